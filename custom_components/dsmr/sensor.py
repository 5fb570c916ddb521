"""The sensors of a P1 port: those that its version may have, then those that the meter has."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from homeassistant.components.sensor import (
    DOMAIN as SENSOR_DOMAIN,
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
    DOMAIN,
    LOGGER,
)
from .entity import EntryIdentity, Identity, YamlIdentity
from .models import Connection, Contents, Keys
from .port import YAML_PORTS, DsmrConfigEntry, P1Port
from .prefixes import YAML_UNIQUE_IDS, prefix_of, url_of
from .reading import DSMRSensor
from .roster import Roster
from .schema import CONFIGURATION
from .takeover import entry_at, leave_out, suggest
from .versions import OTHERS, VERSIONS

PARALLEL_UPDATES = 0
PLATFORM_SCHEMA = CONFIGURATION

LEARNING: Final = 60.0
"""Seconds of telegrams after which what was not among them is not there."""


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Set up the sensors of one `- platform: dsmr` of configuration.yaml."""
    connection = _connection_of(config)
    taken = hass.data.setdefault(YAML_UNIQUE_IDS, set())
    prefix = prefix_of(hass, config)
    if prefix in taken:
        LOGGER.error(
            "A meter is in configuration.yaml twice, and left out the second time: delete it, or"
            " give it another name, unique_id or port (%s, %s)",
            connection.name,
            prefix,
        )
        return
    # Before anything is waited for: other meters are set up at the same time.
    taken.add(prefix)
    if entry := await entry_at(hass, connection.url):
        leave_out(hass, prefix, connection.name, entry)
        return
    version = None if connection.detects else VERSIONS[config[CONF_DSMR_VERSION]]
    roster = await Roster.load(hass, prefix, version)
    if hass.data.get(YAML_UNIQUE_IDS) is not taken:
        # Meanwhile the file was read again, and each of its meters is set up anew.
        return
    p1_port = P1Port(hass, connection, config[CONF_TIME_BETWEEN_UPDATE], roster)
    hass.data.setdefault(YAML_PORTS, {})[prefix] = p1_port
    suggest(hass, p1_port, config[CONF_NAME])

    def identity() -> YamlIdentity:
        return YamlIdentity(p1_port.roster, config[CONF_NAME], precision=config[CONF_PRECISION])

    def begin() -> None:
        Sensors(hass, p1_port, identity(), async_add_entities).begin()

    # They say why nothing comes, also as long as the version is not known.
    async_add_entities(port_sensors(p1_port, identity()))
    if roster.version is not OTHERS:
        begin()
    if connection.detects:
        p1_port.run("following", _follow(hass, p1_port, begin))
    p1_port.start()


def _connection_of(config: ConfigType) -> Connection:
    """Return how a meter is reached, of what is written of it."""
    keys = None
    if CONF_ENCRYPTION_KEY in config:
        keys = Keys(config[CONF_ENCRYPTION_KEY], config.get(CONF_AUTHENTICATION_KEY))
    return Connection(
        url_of(config),
        longest_retry=config[CONF_RECONNECT_INTERVAL],
        keys=keys,
        detects=config[CONF_DSMR_VERSION] == AUTO,
        title="configuration.yaml" + (f" ({config[CONF_NAME]})" if config[CONF_NAME] else ""),
    )


async def _follow(hass: HomeAssistant, p1_port: P1Port, begin: Callable[[], None]) -> None:
    """Have the sensors of the version that is found out, until cancelled."""
    while True:
        before = p1_port.reader.version
        version = await p1_port.reader.found()
        roster = await Roster.load(hass, p1_port.roster.port_id, version, presume=False)
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
    identity = EntryIdentity(port.roster, hass, entry)
    Sensors(hass, port, identity, async_add_entities).begin()
    # Now there is the device that they are named after.
    async_add_entities(port_sensors(port, identity))
    port.start()


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
        self._is_waiting = False

    @callback
    def begin(self) -> None:
        """Add the sensors: those that there may be, and those that are heard."""
        self._add()
        self._dsmr.listen_contents(self._contents_changed)
        self._p1_port.run("forgetting", self._forget_unheard())
        self._p1_port.run("remembering", self._remember())

    async def _forget_unheard(self) -> None:
        """Take away what was presumed of the meter; what it has sent once stays until a start."""
        await self._heard.wait()
        await asyncio.sleep(LEARNING)
        if self._roster.forget_unheard():
            self._take_away()
        self._p1_port.reader.learnt.set()

    async def _remember(self) -> None:
        """Remember what the meter sends, each time that it is known better, until cancelled."""
        await self._heard.wait()
        learnt = self._p1_port.reader.learnt
        while True:
            learnt.clear()
            if not self._roster.presumed:
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
        for slot in (None, *(slot for slot in self._roster.slots if not slot.waits)):
            for row in (*self._roster.rows(slot), *self._roster.unknown(slot)):
                yield DSMRSensor(self._dsmr, self._identity, row, slot)

    def _let_go(self) -> None:
        """Let the sensors of meters leave that are not there; one that is back has them anew.

        So has a sensor that Home Assistant dropped.
        """
        slots = self._roster.slots
        for unique_id, sensor in list(self._sensors.items()):
            is_gone = sensor.slot is not None and not any(sensor.slot is slot for slot in slots)
            if is_gone or sensor.was_dropped:
                del self._sensors[unique_id]
                sensor.leave()

    def _keep_ids(self) -> None:
        """Let the sensors and the device of a meter that was replaced pass to the one in its slot.

        Their unique ids are made of the meter's identifier; entity ids and history stay. Where
        another entry has that meter, whose cable or gateway was swapped with this one's, the unique
        ids stay too.
        """
        entities, devices = er.async_get(self._hass), dr.async_get(self._hass)
        slots = self._roster.slots
        # Before any of them leaves its own: that may be what another one waits for.
        for slot in [slot for slot in slots if slot.keeps and not self._identity.is_taken(slot)]:
            slot.keeps = ""
            self._p1_port.reader.learnt.set()
        identifiers = {slot.identity: self._identity.device(slot) for slot in slots}
        # The built-in has met these meters, and made what is theirs: they take nobody's place.
        met = {
            identity
            for identity, identifier in identifiers.items()
            if identifier
            and devices.async_get_device_by_identifier(identifier, self._roster.port_id)
        }
        for old, sensor in list(self._sensors.items()):
            new = self._identity.unique_id(sensor.entity_description, sensor.slot)
            if new == old or sensor.slot is None:
                continue
            del self._sensors[old]
            taken = entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, new)
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

    async def _add_late(self) -> None:
        """Wait no longer for another entry to leave a meter."""
        await asyncio.sleep(LEARNING)
        self._is_waiting = False
        self._add(is_patient=False)

    def _add(self, *, is_patient: bool = True) -> None:
        self._identity.meet(self._dsmr.telegram, is_patient=is_patient)
        if not self._is_waiting and any(slot.waits for slot in self._roster.slots):
            self._is_waiting = True
            self._p1_port.run("waiting", self._add_late())
        new = [s for s in self._expected() if s.unique_id not in self._sensors]
        registry = er.async_get(self._hass)
        telegram = self._dsmr.telegram or self._p1_port.probed
        for sensor in new:
            # Home Assistant registers a sensor with the unit that it has when it is added.
            if telegram:
                self._dsmr.call(sensor.show, telegram.readings.get(sensor.reading_key))
            elif known := registry.async_get_entity_id(
                SENSOR_DOMAIN, DOMAIN, str(sensor.unique_id)
            ):
                sensor.recall(registry.entities[known].original_device_class)
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
