"""How does Home Assistant see a reading?"""

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, override

from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN, SensorDeviceClass
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity

from .const import CONF_SERIAL_ID, CONF_SERIAL_ID_GAS, CONF_SWAP_TARIFFS, DEFAULT_PRECISION, DOMAIN
from .descriptions import DSMRSensorDescription, Shows
from .maker import UNKNOWN, described
from .migration import GAS_READINGS, adopt_gas
from .models import CHANNEL, MBusType, Telegram
from .obis import ENERGY_EXPORTED, ENERGY_IMPORTED, MBUS_READING
from .roster import Roster, Slot, rows_of
from .versions import Tariff

# By the built-in's device names: what a meter is called.
DEVICES: Final[Mapping[MBusType, str]] = {
    MBusType.ELECTRICITY: "second_electricity_meter",
    MBusType.GAS: "gas_meter",
    MBusType.HEAT: "heat_meter",
    MBusType.HEAT_FLOW: "heat_meter",
    MBusType.WATER: "water_meter",
    MBusType.WARM_WATER: "water_meter",
    MBusType.COOLING_RETURN: "cooling_meter",
    MBusType.COOLING_FLOW: "cooling_meter",
    MBusType.HEAT_COOLING: "cooling_meter",
}
# What the built-in takes for the gas meter is one of these, by the device class of its reading.
_TYPES: Final[Mapping[str | None, MBusType]] = {
    SensorDeviceClass.ENERGY: MBusType.HEAT,
    SensorDeviceClass.WATER: MBusType.WATER,
}
# What the built-in calls what has another key here …
_KEYS: Final[Mapping[str, str]] = {
    "current_average_demand": "belgium_current_average_demand",
    "maximum_demand_current_month": "belgium_maximum_demand_current_month",
    "electricity_combined": "eon_hu_electricity_combined",
    "instantaneous_power_factor_total": "eon_hu_instantaneous_power_factor_total",
    "instantaneous_power_factor_l1": "eon_hu_instantaneous_power_factor_l1",
    "instantaneous_power_factor_l2": "eon_hu_instantaneous_power_factor_l2",
    "instantaneous_power_factor_l3": "eon_hu_instantaneous_power_factor_l3",
}
# … and in Belgium alone, where it also has another name.
BELGIAN: Final[Mapping[str, str]] = {
    "actual_threshold_electricity": "max_power_per_phase",
    "fuse_threshold_l1": "max_current_per_phase",
}


@dataclass(frozen=True, slots=True)
class Identity(ABC):
    """What the entities of one P1 port have in common: how they are told apart, and called.

    Attributes:
        roster: which meters there are, and of which version.
        precision: digits after the decimal point of every numeric value.
    """

    roster: Roster
    precision: int = field(default=DEFAULT_PRECISION, kw_only=True)

    @property
    def tariffs(self) -> tuple[Tariff, ...]:
        """What the tariffs 1 to 4 are called."""
        return self.roster.version.tariffs

    @abstractmethod
    def unique_id(self, description: DSMRSensorDescription, slot: Slot | None) -> str:
        """Return the unique id of the entity that shows a reading of the meter in a slot."""

    @abstractmethod
    def label(self, entity: PortEntity) -> None:
        """Give an entity its name, and the device that it belongs to."""

    @abstractmethod
    def device(self, slot: Slot | None) -> tuple[str, str] | None:
        """Return what a meter's device is known by, or None where meters have no devices."""

    @abstractmethod
    def is_taken(self, slot: Slot) -> bool:
        """Return whether the unique ids that a slot's meter would have are those of another one."""

    @abstractmethod
    def meet(self, telegram: Telegram | None, *, is_patient: bool) -> None:
        """Get to know the meters.

        Args:
            telegram: the last one, or None while none comes.
            is_patient: whether a meter waits that another entry shows, and may leave soon.
        """


@dataclass(frozen=True, slots=True)
class YamlIdentity(Identity):
    """Of a port of configuration.yaml: no devices, and names as its users know them.

    Attributes:
        name: what begins the names, or "".
    """

    name: str

    @override
    def unique_id(self, description: DSMRSensorDescription, slot: Slot | None) -> str:
        number = _number(slot)
        return f"{self.roster.port_id}_{description.key}" + (f"_{number}" if number else "")

    @override
    def label(self, entity: PortEntity) -> None:
        # Which of the two registers is the low one, the country says.
        tariff_1, tariff_2, *_ = self.tariffs
        name = entity.entity_description.yaml_name.format(tariff_1=tariff_1, tariff_2=tariff_2)
        entity.called(" ".join(part for part in (self.name, name, _number(entity.slot)) if part))

    @override
    def device(self, slot: Slot | None) -> None:
        return None

    @override
    def is_taken(self, slot: Slot) -> bool:
        return False

    @override
    def meet(self, telegram: Telegram | None, *, is_patient: bool) -> None:
        pass


def _number(slot: Slot | None) -> str:
    """Return the number that the second meter of a kind has behind the first one's names."""
    return str(slot.number) if slot is not None and slot.number > 1 else ""


@dataclass(frozen=True, slots=True)
class EntryIdentity(Identity):
    """Of a config entry: unique ids, devices and English names as in the built-in `dsmr`.

    Attributes:
        hass: where the devices are registered.
        entry: the config entry.
    """

    hass: HomeAssistant
    entry: ConfigEntry[Any]

    @property
    @override
    def tariffs(self) -> tuple[Tariff, ...]:
        first, second, *others = self.roster.version.tariffs
        swapped = self.entry.options.get(CONF_SWAP_TARIFFS)
        return (second, first, *others) if swapped else self.roster.version.tariffs

    @override
    def unique_id(self, description: DSMRSensorDescription, slot: Slot | None) -> str:
        serial = self._serial(slot)
        if slot is not None and _is_reading(description):
            key = self._gas_reading(slot)
            return f"{serial}_{key}" if key else serial
        key = _KEYS.get(description.key, description.key)
        if self.roster.version.key == "5B" and key in BELGIAN:
            key = f"belgium_{BELGIAN[key]}"
        return f"{serial}_{key}"

    @override
    def label(self, entity: PortEntity) -> None:
        name = entity.entity_description.translation_key
        if self.roster.version.key == "5B":
            name = BELGIAN.get(entity.entity_description.key, name)
        entity.belongs_to(DeviceInfo(identifiers={self.device(entity.slot)}), name)
        if self._is_detail(entity.entity_description):
            entity.disabled_at_first()

    @override
    def device(self, slot: Slot | None) -> tuple[str, str]:
        serial = self._serial(slot)
        if slot is not None and serial == self._serial(None):
            return DOMAIN, f"{serial}_{DEVICES[slot.type]}"
        return DOMAIN, serial

    @override
    def is_taken(self, slot: Slot) -> bool:
        kept = {other.keeps for other in self.roster.slots if other is not slot and other.keeps}
        return slot.identity in kept or self._shown_by_another(slot) is not None

    @override
    @callback
    def meet(self, telegram: Telegram | None, *, is_patient: bool) -> None:
        devices = dr.async_get(self.hass)
        serial = self.entry.data.get(CONF_SERIAL_ID) or ""
        electricity = devices.async_get_or_create(
            config_entry_id=self.entry.entry_id,
            identifiers={self.device(None)},
            translation_key="electricity_meter",
            sw_version=self.roster.version.label,
            **(UNKNOWN | described(serial, telegram.header) if telegram else {}),
        )
        # Gas comes last: it takes the old reading that the identifier of no other meter claims.
        for slot in sorted(self.roster.slots, key=lambda slot: slot.type is MBusType.GAS):
            self._claim_ids(slot, is_patient=is_patient)
            if slot.waits:
                continue
            identifier = self.device(slot)
            device = devices.async_get_or_create(
                config_entry_id=self.entry.entry_id,
                identifiers={identifier},
                translation_key=DEVICES[slot.type],
                via_device_id=electricity.id,
                **UNKNOWN | described(slot.identifier, ""),
            )
            if not self._gas_reading(slot):
                serial = self._serial(slot)
                named = "" if _is_first_gas(slot) else f"{serial}_"
                adopt_gas(self.hass, self.entry.entry_id, serial, device.id, named)

    def _shown_by_another(self, slot: Slot) -> er.RegistryEntry | None:
        """Return an entity with which another entry shows the meter in a slot, or None."""
        own = replace(slot, keeps="")
        found = (self._registered(description, own) for description in rows_of(own))
        # What was of configuration.yaml until now is of no entry.
        nobody_else = (None, self.entry.entry_id)
        return next((e for e in found if e and e.config_entry_id not in nobody_else), None)

    @callback
    def _claim_ids(self, slot: Slot, *, is_patient: bool) -> None:
        """Find unique ids for a meter that has none here: those that nobody else has."""
        slot.waits = False
        if slot.keeps:
            return
        if entity := self._shown_by_another(slot):
            slot.waits = _leave(self.hass, entity) and is_patient
        if not slot.waits and self.is_taken(slot):
            # The number: a slot may still have what was made for the meter that was there before.
            slot.keeps = f"{slot.identity}_{slot.number}_{self.entry.entry_id}"

    @callback
    def forget(self, identifiers: Container[tuple[str, str]], telegram: Telegram | None) -> bool:
        """Forget the M-Bus meter of a device.

        Args:
            identifiers: what the device is known by.
            telegram: the last one, or None while none comes.

        Returns:
            Whether the device may go: the meter is not in the telegram.
        """
        if self.device(None) in identifiers:
            return False
        present = {meter.identity for meter in telegram.contents.meters} if telegram else set()
        slots = [slot for slot in self.roster.slots if self.device(slot) in identifiers]
        if any(slot.identity in present for slot in slots):
            return False
        for slot in slots:
            self.roster.slots.remove(slot)
        return True

    def recall(self) -> None:
        """Let the roster know what the built-in had entities of, until the first telegram is there.

        Of the M-Bus meters, only the one that the entry stores as its gas meter is recalled.
        """
        self.roster.lines |= {row.obis for row in rows_of(None) if self._registered(row, None)}
        identity = self.entry.data.get(CONF_SERIAL_ID_GAS) or ""
        slot = Slot(MBusType.GAS, 1, identity, {MBUS_READING})
        (reading,) = filter(_is_reading, rows_of(slot))
        entity = self._registered(reading, slot)
        if entity and entity.config_entry_id == self.entry.entry_id:
            if identity:
                slot.type = _TYPES.get(entity.original_device_class, slot.type)
            if slot.type is MBusType.GAS and self.roster.version.key in GAS_READINGS:
                slot.identity = ""
            self.roster.slots.append(slot)

    def _registered(
        self, description: DSMRSensorDescription, slot: Slot | None
    ) -> er.RegistryEntry | None:
        """Return the entity that shows a reading of the meter in a slot, where there is one."""
        registry = er.async_get(self.hass)
        unique_id = self.unique_id(description, slot)
        entity_id = registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id)
        return registry.async_get(entity_id) if entity_id else None

    def _is_detail(self, description: DSMRSensorDescription) -> bool:
        """Return whether it is disabled until somebody enables it."""
        totals = (ENERGY_IMPORTED, ENERGY_EXPORTED)
        # Where no specification has both, they are the sum of the tariffs.
        is_sum = ENERGY_EXPORTED not in self.roster.version.electricity
        return description.detail or (is_sum and description.obis in totals)

    def _serial(self, slot: Slot | None) -> str:
        """Return what begins the unique ids of a meter's entities."""
        electricity = str(self.entry.data.get(CONF_SERIAL_ID) or self.entry.entry_id)
        if slot is None:
            return electricity
        gas = str(self.entry.data.get(CONF_SERIAL_ID_GAS) or self.entry.entry_id)
        if self._gas_reading(slot):
            is_made = slot.keeps.endswith(f"_{self.entry.entry_id}")
            return slot.keeps if is_made else gas
        if slot.ids_of and not slot.ids_of.startswith(CHANNEL):
            # What the first gas meter is known by may be the identifier of one that it replaced.
            is_taken = slot.ids_of == gas and self.roster.version.key in GAS_READINGS
            return f"{slot.ids_of}_meter_{slot.number}" if is_taken else slot.ids_of
        behind = gas if slot.type is MBusType.GAS else electricity
        return f"{behind}_{slot.ids_of.removeprefix(CHANNEL)}"

    def _gas_reading(self, slot: Slot) -> str:
        """Return the built-in's key for a meter that it does not know by its identifier, or "".

        That is the first gas meter; where there is none, the one that it took for it.
        """
        is_it = _is_first_gas(slot) or (
            slot.ids_of == self.entry.data.get(CONF_SERIAL_ID_GAS)
            and not any(other.type is MBusType.GAS for other in self.roster.slots)
        )
        return GAS_READINGS.get(self.roster.version.key, "") if is_it else ""


@callback
def _leave(hass: HomeAssistant, entity: er.RegistryEntry) -> bool:
    """Let the entry that has an entity leave its meter to another one, where it is gone from there.

    The registry remembers the entity, and gives its entity id to whatever has its unique id next.

    Returns:
        Whether it is not known yet if it is gone: with the first telegram it will be.
    """
    entry: ConfigEntry[Any] | None = hass.config_entries.async_get_entry(
        entity.config_entry_id or ""
    )
    if entry is None or entry.state is not ConfigEntryState.LOADED:
        return False
    p1_port, devices = entry.runtime_data, dr.async_get(hass)
    telegram, roster = p1_port.dsmr.telegram, p1_port.roster
    device = devices.async_get(entity.device_id or "")
    if telegram is not None and device is not None:
        identity = EntryIdentity(roster, hass, entry)
        knows = any(identity.device(slot) in device.identifiers for slot in roster.slots)
        if knows and identity.forget(device.identifiers, telegram):
            devices.async_remove_device(device.id)
            p1_port.reader.learnt.set()
    return telegram is None


def _is_reading(description: DSMRSensorDescription) -> bool:
    return description.obis == MBUS_READING and description.shows is Shows.VALUE


def _is_first_gas(slot: Slot) -> bool:
    return slot.type is MBusType.GAS and slot.number == 1


class PortEntity(Entity):
    """An entity of a P1 port."""

    _attr_should_poll = False
    entity_description: DSMRSensorDescription

    def __init__(
        self, identity: Identity, description: DSMRSensorDescription, slot: Slot | None = None
    ) -> None:
        """Make the entity.

        Args:
            identity: what it has in common with the other entities of the port.
            description: what it shows.
            slot: the M-Bus meter that it belongs to, or None for electricity.
        """
        self.entity_description = description
        self.slot = slot
        self._identity = identity
        self._attr_unique_id = identity.unique_id(description, slot)
        identity.label(self)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._begin()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._end()
        await super().async_will_remove_from_hass()

    @callback
    def async_entity_id_changed(self, old_entity_id: str) -> None:
        """Go on under another entity id.

        Nothing here is known by the entity id. Home Assistant removes and adds an entity for that
        unless it has this (since 2026.11, until 2027.11).
        """

    @callback
    def _begin(self) -> None:
        """Follow the port: it is added. What ends that goes to `async_on_remove`."""
        raise NotImplementedError

    @callback
    def _end(self) -> None:
        """Note that it is about to be removed."""

    @callback
    def called(self, name: str) -> None:
        """Have a name that stands for itself."""
        self._attr_name = name

    @callback
    def renamed(self, unique_id: str) -> None:
        """Have another unique id: the meter was replaced."""
        self._attr_unique_id = unique_id
        # Home Assistant may add it anew, to the device that it names.
        self._identity.label(self)

    @callback
    def disabled_at_first(self) -> None:
        """Be disabled in the registry until a person enables it."""
        self._attr_entity_registry_enabled_default = False

    @callback
    def belongs_to(self, device: DeviceInfo, translation_key: str | None) -> None:
        """Belong to a device, and have a translated name behind that of the device."""
        self._attr_has_entity_name = True
        self._attr_device_info = device
        self._attr_translation_key = translation_key
