"""The sensors of a P1 port: those that its version may have, then those that the meter has."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, override

from homeassistant.components.sensor import (
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
    SensorEntity,
)
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT, CONF_UNIQUE_ID, EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType
from homeassistant.util import slugify

from .const import (
    CONF_DSMR_VERSION,
    CONF_PRECISION,
    CONF_RECONNECT_INTERVAL,
    CONF_TIME_BETWEEN_UPDATE,
    DOMAIN,
    YAML_PORTS,
)
from .descriptions import ANY_CHANGE, DSMRSensorDescription, Shows
from .dispatcher import DSMR
from .entity import DSMREntity, Identity
from .models import Connection, Contents, Entry, Reading
from .port import P1Port
from .roster import Roster
from .schema import CONFIGURATION
from .versions import VERSIONS, Version

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
    host, port = config[CONF_HOST], config[CONF_PORT]
    version = VERSIONS[config[CONF_DSMR_VERSION]]
    p1_port = P1Port(
        hass,
        Connection(
            f"socket://{host}:{port}" if host else port,
            longest_retry=config[CONF_RECONNECT_INTERVAL],
        ),
        version,
        config[CONF_TIME_BETWEEN_UPDATE],
    )
    identity = Identity(
        version,
        config.get(CONF_UNIQUE_ID) or _unique_id(hass, config[CONF_NAME], p1_port),
        config[CONF_NAME],
        config[CONF_PRECISION],
    )
    hass.data.setdefault(YAML_PORTS, {})[identity.unique_id] = p1_port
    roster = await Roster.load(hass, identity.unique_id, version)
    sensors = Sensors(hass, p1_port.dsmr, identity, roster, async_add_entities)
    sensors.set_up()
    p1_port.start(sensors.learn())


def _unique_id(hass: HomeAssistant, name: str, p1_port: P1Port) -> str:
    """Return what begins the unique ids of a meter that was given none.

    It is there before the first telegram, and stays when the cable moves to another port: the name
    alone. Only a second meter of the same name is told apart by its port.
    """
    unique_id = slugify(f"yaml {name}")
    if unique_id in hass.data.get(YAML_PORTS, {}):
        return slugify(f"yaml {name} {p1_port.reader.connection.name}")
    return unique_id


class Sensors:
    """Adds the sensors of one P1 port, and takes away those that its meter does not have."""

    def __init__(
        self,
        hass: HomeAssistant,
        dsmr: DSMR,
        identity: Identity,
        roster: Roster,
        add_entities: AddEntitiesCallback,
    ) -> None:
        """Prepare the sensors; `set_up` adds them.

        Args:
            hass: in whose registry they are.
            dsmr: who tells them the readings.
            identity: what they have in common.
            roster: which of them there are.
            add_entities: what adds them to Home Assistant.
        """
        self._hass = hass
        self._dsmr = dsmr
        self._identity = identity
        self._roster = roster
        self._add_entities = add_entities
        self._sensors: dict[str, DSMRSensor] = {}
        self._heard = asyncio.Event()
        self._changed = asyncio.Event()

    @callback
    def set_up(self) -> None:
        """Add the sensors that there may be, and from then on those that turn out to be there."""
        self._add(None)
        self._dsmr.listen_contents(self._contents_changed)

    async def learn(self) -> None:
        """Take away what the meter does not send, and remember what it does, until cancelled."""
        await self._heard.wait()
        if not self._roster.learnt:
            await asyncio.sleep(LEARNING)
            self._roster.settle()
            self._take_away()
            self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._roster.save(self._identity.version)

    @callback
    def _contents_changed(self, contents: Contents) -> None:
        self._heard.set()
        if self._roster.take(contents) and self._roster.learnt:
            self._changed.set()
        self._add(contents)
        for sensor in self._sensors.values():
            if sensor.slot is not None:
                sensor.follow()

    def _expected(self, contents: Contents | None) -> Iterator[DSMRSensor]:
        for description in self._roster.electricity():
            yield DSMRSensor(self._dsmr, self._identity, description)
        for obis in sorted(self._roster.unknown()):
            yield DSMRSensor(self._dsmr, self._identity, _unknown_line(obis))
        for slot in self._roster.slots:
            for description in self._roster.of_slot(slot, contents):
                yield DSMRSensor(self._dsmr, self._identity, description, slot)

    def _add(self, contents: Contents | None) -> None:
        new = [s for s in self._expected(contents) if s.unique_id not in self._sensors]
        self._sensors |= {str(sensor.unique_id): sensor for sensor in new}
        if new:
            self._add_entities(new)

    def _take_away(self) -> None:
        contents = self._dsmr.telegram.contents if self._dsmr.telegram else None
        expected = {sensor.unique_id for sensor in self._expected(contents)}
        registry = er.async_get(self._hass)
        for unique_id in [unique_id for unique_id in self._sensors if unique_id not in expected]:
            del self._sensors[unique_id]
            if entity_id := registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id):
                registry.async_remove(entity_id)


def _unknown_line(obis: str) -> DSMRSensorDescription:
    """Return the row for a line that no specification and no row of ours knows."""
    return DSMRSensorDescription(
        key=f"obis_{obis.replace('.', '_').replace(':', '_')}",
        obis=obis,
        yaml_name=f"OBIS {obis}",
        step=ANY_CHANGE,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
    )


class DSMRSensor(DSMREntity, SensorEntity):
    """A sensor that shows one reading."""

    entity_description: DSMRSensorDescription

    @override
    def show(self, reading: Reading | None) -> None:
        if reading is None:
            self._attr_native_value = None
            return
        self._follow_unit(reading)
        match self.entity_description.shows:
            case Shows.VALUE:
                self._attr_native_value = self._rounded(reading.value)
            case Shows.TIME:
                self._attr_native_value = reading.time
            case Shows.TARIFF:
                self._attr_native_value = _tariff(self._identity.version, reading)
            case Shows.SWITCH:
                self._attr_native_value = _SWITCH.get(str(reading.value))
            case Shows.VALVE:
                self._attr_native_value = _VALVE.get(str(reading.value))
        self._attr_extra_state_attributes = dict(self._attributes(reading))

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return round(float(value), self._identity.precision)
        return value

    def _follow_unit(self, reading: Reading) -> None:
        unit = reading.unit
        if unit is None or unit == (self.native_unit_of_measurement or unit):
            return
        if self.entity_description.shows is Shows.VALUE and unit in _DEVICE_CLASSES:
            self._attr_native_unit_of_measurement = unit
            self._attr_device_class = _DEVICE_CLASSES[unit]

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


def _tariff(version: Version, reading: Reading) -> str | None:
    """Return the name of a tariff that is sent as `0002` or `TARIFF 2`."""
    number = str(reading.value).rpartition(" ")[2].lstrip("0")
    return version.tariffs[int(number) - 1] if number in {"1", "2", "3", "4"} else None
