"""The sensors of a P1 port: those that its version may have, then those that the meter has."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, override

from homeassistant.components.sensor import (
    DEVICE_CLASS_STATE_CLASSES,
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
    SensorEntity,
)
from homeassistant.const import (
    CONF_NAME,
    SERVICE_RELOAD,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity_platform import (
    AddConfigEntryEntitiesCallback,
    AddEntitiesCallback,
)
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

from .connection import port_sensors
from .const import (
    AUTO,
    CONF_AUTHENTICATION_KEY,
    CONF_DSMR_VERSION,
    CONF_ENCRYPTION_KEY,
    CONF_PRECISION,
    CONF_RECONNECT_INTERVAL,
    CONF_TIME_BETWEEN_UPDATE,
    DEFAULT_PRECISION,
    DOMAIN,
    LOGGER,
)
from .descriptions import DSMRSensorDescription, Shows
from .entity import DSMREntity, EntryIdentity, Identity, YamlIdentity
from .models import Connection, Contents, Entry, Keys, Reading
from .port import YAML_PORTS, DsmrConfigEntry, P1Port
from .prefixes import YAML_UNIQUE_IDS, prefix_of, url_of
from .roster import Roster
from .schema import CONFIGURATION
from .takeover import entry_at, leave_out, suggest
from .versions import OTHERS, VERSIONS, Tariff

PARALLEL_UPDATES = 0
PLATFORM_SCHEMA = CONFIGURATION

LEARNING: Final = 60.0
"""Seconds of telegrams after which what was not among them is not there."""

# By the unit of a reading, what is measured in it. Where a meter writes another unit than the
# sensor's row expects (a threshold in A, heat in kWh), the sensor follows the meter.
_DEVICE_CLASSES: Final = {
    "kW": SensorDeviceClass.POWER,
    "kWh": SensorDeviceClass.ENERGY,
    "GJ": SensorDeviceClass.ENERGY,
    "kVA": SensorDeviceClass.APPARENT_POWER,
    "A": SensorDeviceClass.CURRENT,
    "m³": SensorDeviceClass.VOLUME,
}
# 0-0:96.3.10: 0 is off, 1 on, 2 to be switched on by hand (DLMS UA Blue Book, disconnect control);
# Hungarian meters write it out.
_SWITCH: Final = {
    "0": "disconnected",
    "1": "connected",
    "2": "ready_for_reconnection",
    "OFF": "disconnected",
    "ON": "connected",
}
_VALVE: Final = {"0": "closed", "1": "open"}


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Set up the sensors of one `- platform: dsmr` of configuration.yaml."""
    keys = None
    if CONF_ENCRYPTION_KEY in config:
        keys = Keys(config[CONF_ENCRYPTION_KEY], config.get(CONF_AUTHENTICATION_KEY))
    connection = Connection(
        url_of(config),
        longest_retry=config[CONF_RECONNECT_INTERVAL],
        keys=keys,
        detects=config[CONF_DSMR_VERSION] == AUTO,
        title="configuration.yaml" + (f" ({config[CONF_NAME]})" if config[CONF_NAME] else ""),
    )
    taken = hass.data.setdefault(YAML_UNIQUE_IDS, set())
    prefix = prefix_of(hass, taken, config)
    if prefix in taken:
        LOGGER.error(
            "Two meters in configuration.yaml have the unique_id %r: one is left out", prefix
        )
        return
    # Before anything is waited for: other meters are set up at the same time.
    taken.add(prefix)
    if entry := await entry_at(hass, connection.url):
        leave_out(hass, prefix, connection.name, entry)
        return
    if connection.detects:
        version = await Roster.version(hass, prefix) or OTHERS
    else:
        version = VERSIONS[config[CONF_DSMR_VERSION]]
    roster = await Roster.load(hass, prefix, version)
    if hass.data.get(YAML_UNIQUE_IDS) is not taken:
        # Meanwhile the file was read again, and each of its meters is set up anew.
        return
    p1_port = P1Port(hass, connection, version, config[CONF_TIME_BETWEEN_UPDATE], roster)
    hass.data.setdefault(YAML_PORTS, {})[prefix] = p1_port
    suggest(hass, p1_port)

    def begin() -> None:
        version = p1_port.reader.version
        identity = YamlIdentity(version, config[CONF_PRECISION], prefix, config[CONF_NAME])
        Sensors(hass, p1_port, identity, async_add_entities).begin()

    if version is not OTHERS:
        begin()
    if connection.detects:
        p1_port.start(following=_follow(hass, p1_port, prefix, begin))


async def _follow(
    hass: HomeAssistant, p1_port: P1Port, prefix: str, begin: Callable[[], None]
) -> None:
    """Have the sensors of the version that is found out, until cancelled."""
    while True:
        before = p1_port.reader.version
        version = await p1_port.reader.found()
        roster = await Roster.load(hass, prefix, version, presume=False)
        roster.port = p1_port.roster.port
        p1_port.roster = roster
        await p1_port.remember()
        if before is OTHERS:
            begin()
        else:
            # The sensors that there are, are of the version that it was thought to be.
            await hass.services.async_call(DOMAIN, SERVICE_RELOAD)


async def async_setup_entry(
    hass: HomeAssistant, entry: DsmrConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Set up the sensors of a config entry."""
    port = entry.runtime_data
    identity = EntryIdentity(port.reader.version, DEFAULT_PRECISION, hass, entry, port.roster)
    Sensors(hass, port, identity, async_add_entities).begin()


class Sensors:
    """Adds the sensors of one P1 port, and takes away those that its meter does not have."""

    def __init__(
        self,
        hass: HomeAssistant,
        p1_port: P1Port,
        identity: Identity,
        add_entities: AddEntitiesCallback | AddConfigEntryEntitiesCallback,
    ) -> None:
        """Prepare the sensors; `begin` adds them.

        Args:
            hass: in whose registry they are.
            p1_port: which of them there are, and who tells them the readings.
            identity: what they have in common.
            add_entities: what adds them to Home Assistant.
        """
        self._hass = hass
        self._p1_port = p1_port
        self._dsmr = p1_port.dsmr
        self._roster = p1_port.roster
        self._identity = identity
        self._add_entities = add_entities
        self._sensors: dict[str, DSMRSensor] = {}
        self._heard = asyncio.Event()

    @callback
    def begin(self) -> None:
        """Read the port, and add the sensors: those that there may be, and those that are heard."""
        self._add_entities(port_sensors(self._p1_port, self._identity))
        self._add()
        self._dsmr.listen_contents(self._contents_changed)
        self._p1_port.start(settling=self._settle(), remembering=self._remember())

    async def _settle(self) -> None:
        """Take away what was presumed of the meter; what it has sent once stays until a start."""
        await self._heard.wait()
        await asyncio.sleep(LEARNING)
        if self._roster.settle():
            self._take_away()
        self._p1_port.reader.learnt.set()

    async def _remember(self) -> None:
        """Remember what the meter sends, each time that it is known better, until cancelled."""
        await self._heard.wait()
        learnt = self._p1_port.reader.learnt
        while True:
            learnt.clear()
            if self._roster.learnt:
                await self._p1_port.remember()
            await learnt.wait()

    @callback
    def _contents_changed(self, contents: Contents) -> None:
        self._heard.set()
        if self._roster.take(contents):
            self._p1_port.reader.learnt.set()
        self._let_go()
        self._keep_ids()
        self._add()
        for sensor in self._sensors.values():
            if sensor.slot is not None:
                sensor.follow()

    def _expected(self) -> Iterator[DSMRSensor]:
        for slot in (None, *self._roster.slots):
            for row in (*self._roster.rows(slot), *self._roster.unknown(slot)):
                yield DSMRSensor(self._dsmr, self._identity, row, slot)

    def _let_go(self) -> None:
        """Let the sensors of meters leave that are not there; one that is back has them anew."""
        slots = self._roster.slots
        for unique_id, sensor in list(self._sensors.items()):
            if sensor.slot is not None and not any(sensor.slot is slot for slot in slots):
                del self._sensors[unique_id]
                sensor.leave()

    def _keep_ids(self) -> None:
        """Let the sensors and the device of a meter that was replaced pass to the one in its slot.

        Their unique ids are made of the meter's identifier; entity ids and history stay.
        """
        entities, devices = er.async_get(self._hass), dr.async_get(self._hass)
        identifiers = {slot.identity: self._identity.device(slot) for slot in self._roster.slots}
        # The built-in has met these meters, and made what is theirs: they take nobody's place.
        met = {
            identity
            for identity, identifier in identifiers.items()
            if identifier
            and devices.async_get_device_by_identifier(identifier, self._roster.port_id)
        }
        for expected, sensor in list(self._sensors.items()):
            new = self._identity.unique_id(sensor.entity_description, sensor.slot)
            if new == expected or sensor.slot is None:
                continue
            del self._sensors[expected]
            old = str(sensor.unique_id)
            taken = entities.async_get(
                entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, new) or ""
            )
            if old == new or (taken and taken.config_entry_id != self._roster.port_id):
                # It has that id again, or another entry has it, whose cable or gateway was swapped
                # with this one's: what there is goes on under the id that it has.
                self._sensors[new] = sensor
                continue
            if taken or sensor.slot.identity in met:
                sensor.leave()
                continue
            sensor.renamed(new)
            self._sensors[new] = sensor
            if entity_id := entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, old):
                device_id = entities.async_update_entity(entity_id, new_unique_id=new).device_id
                identifier = identifiers[sensor.slot.identity]
                if identifier and device_id:
                    devices.async_update_device(device_id, new_identifiers={identifier})

    def _add(self) -> None:
        self._identity.meet(self._roster.slots, self._dsmr.telegram)
        new = [s for s in self._expected() if s.unique_id not in self._sensors]
        if telegram := self._dsmr.telegram or self._p1_port.probed:
            for sensor in new:
                # Home Assistant registers a sensor with the unit that it has when it is added.
                sensor.show(telegram.readings.get(sensor.reading_key))
        self._sensors |= {str(sensor.unique_id): sensor for sensor in new}
        if new:
            self._add_entities(new)

    def _take_away(self) -> None:
        expected = {sensor.unique_id for sensor in self._expected()}
        registry = er.async_get(self._hass)
        for unique_id in [unique_id for unique_id in self._sensors if unique_id not in expected]:
            del self._sensors[unique_id]
            if entity_id := registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id):
                registry.async_remove(entity_id)


class DSMRSensor(DSMREntity, SensorEntity):
    """A sensor that shows one reading."""

    entity_description: DSMRSensorDescription
    _attr_extra_state_attributes: dict[str, Any] = {}  # noqa: RUF012 (it is never changed)
    _unit: str | None = None
    _value: Any = None

    @property
    @override
    def native_value(self) -> Any:
        # Read once for each time that it is set: a cache, as `_attr_native_value` has, costs more.
        return self._value

    @property
    @override
    def suggested_display_precision(self) -> int | None:
        digits = self.entity_description.suggested_display_precision
        return digits if digits is None else min(digits, self._identity.precision)

    @override
    def show(self, reading: Reading | None) -> None:
        if reading is None:
            self._value = None
            self._attr_extra_state_attributes = {}
            return
        value, unit, time, entries = reading
        if unit != self._unit and not self._follows(unit):
            # What it would be in the unit that is shown, nobody knows.
            value = None
        shows = self.entity_description.shows
        if shows is Shows.VALUE:
            self._value = self._rounded(value)
            if isinstance(value, str) and not value.isdecimal() and self.native_unit_of_measurement:
                # The meter writes a text in the place of a number: there is none.
                self._value = None
            if time is None and not entries and not self._attr_extra_state_attributes:
                return
        else:
            self._value = self._shown(shows, reading)
        self._attr_extra_state_attributes = dict(self._attributes(reading))

    def _shown(self, shows: Shows, reading: Reading) -> datetime | str | None:
        match shows:
            case Shows.TIME:
                return reading.time
            case Shows.TARIFF:
                return _tariff(self._identity.tariffs, reading)
            case Shows.SWITCH:
                return _SWITCH.get(str(reading.value))
            case _:
                return _VALVE.get(str(reading.value))

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            # A rounded -0.3 is 0.0 and not -0.0.
            return round(float(value), self._digits) + 0.0
        return value

    @cached_property
    def _digits(self) -> int:
        """How many digits after the decimal point are left, in the meter's unit.

        Where another unit is shown, Home Assistant converts what is left: 1 L/min is 0.06 m³/h.
        """
        if self.entity_description.suggested_unit_of_measurement:
            return max(self._identity.precision, DEFAULT_PRECISION)
        return self._identity.precision

    def _follows(self, unit: str | None) -> bool:
        """Show the unit that the meter writes, and return whether there is such a one."""
        if unit is not None and unit != (self.native_unit_of_measurement or unit):
            device_class = _DEVICE_CLASSES.get(unit)
            # No register is in kW: its h was lost on the way.
            if not device_class or self.state_class not in DEVICE_CLASS_STATE_CLASSES[device_class]:
                return False
            self._attr_native_unit_of_measurement = unit
            self._attr_device_class = device_class
        self._unit = unit
        return True

    def _attributes(self, reading: Reading) -> Iterator[tuple[str, Any]]:
        """Yield what a person may want to know beside the state."""
        shows = self.entity_description.shows
        if shows is Shows.TARIFF:
            yield "code", reading.value
        if shows is Shows.VALUE and reading.time is not None and self.slot is None:
            yield "time", reading.time
        if reading.entries and not (shows is Shows.VALUE and self._is_log):
            yield "entries", [self._entry(entry) for entry in reading.entries]

    @property
    def _is_log(self) -> bool:
        """Whether another sensor of the same line shows its entries."""
        return self.device_class is SensorDeviceClass.DURATION

    def _entry(self, entry: Entry) -> dict[str, datetime | float | int | str | None]:
        found: dict[str, Any] = {
            "time": entry.time,
            "value": self._rounded(entry.value),
            "unit": entry.unit,
            "occurred": entry.occurred,
        }
        return {name: value for name, value in found.items() if value is not None}


def _tariff(tariffs: Sequence[Tariff], reading: Reading) -> str | None:
    """Return the name of a tariff that is sent as `0002` or `TARIFF 2`."""
    number = str(reading.value).rpartition(" ")[2].lstrip("0")
    return tariffs[int(number) - 1] if number in {"1", "2", "3", "4"} else None
