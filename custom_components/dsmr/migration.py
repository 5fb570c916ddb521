"""Which entities of older releases of the built-in `dsmr` are these?"""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import CONF_DSMR_VERSION, CONF_SERIAL_ID, CONF_SERIAL_ID_GAS, DOMAIN

_PHASES: Final = ("1", "2", "3")
_POWER: Final = "instantaneous_active_power"
# Before unique ids were made of keys, they were made of names.
_NAMES: Final = {
    "Power_Consumption": "current_electricity_usage",
    "Power_Production": "current_electricity_delivery",
    "Power_Tariff": "electricity_active_tariff",
    "Energy_Consumption_(tarif_1)": "electricity_used_tariff_1",
    "Energy_Consumption_(tarif_2)": "electricity_used_tariff_2",
    "Energy_Production_(tarif_1)": "electricity_delivered_tariff_1",
    "Energy_Production_(tarif_2)": "electricity_delivered_tariff_2",
    "Energy_Consumption_(total)": "electricity_imported_total",
    "Energy_Production_(total)": "electricity_exported_total",
    "Short_Power_Failure_Count": "short_power_failure_count",
    "Long_Power_Failure_Count": "long_power_failure_count",
    "Max_power_per_phase": "belgium_max_power_per_phase",
    "Max_current_per_phase": "belgium_max_current_per_phase",
    **{f"Power_Consumption_Phase_L{n}": f"{_POWER}_l{n}_positive" for n in _PHASES},
    **{f"Power_Production_Phase_L{n}": f"{_POWER}_l{n}_negative" for n in _PHASES},
    **{f"Voltage_Sags_Phase_L{n}": f"voltage_sag_l{n}_count" for n in _PHASES},
    **{f"Voltage_Swells_Phase_L{n}": f"voltage_swell_l{n}_count" for n in _PHASES},
    **{f"Voltage_Phase_L{n}": f"instantaneous_voltage_l{n}" for n in _PHASES},
    **{f"Current_Phase_L{n}": f"instantaneous_current_l{n}" for n in _PHASES},
}
_GAS_NAME: Final = "Gas_Consumption"
_GAS: Final = {
    "2.2": "gas_meter_reading",
    "4": "hourly_gas_meter_reading",
    "5": "hourly_gas_meter_reading",
    "5L": "hourly_gas_meter_reading",
    "5B": "belgium_5min_gas_meter_reading",
}
GAS_READINGS: Final[Mapping[str, str]] = {
    "2.2": "gas_meter_reading",
    "4": "hourly_gas_meter_reading",
}
"""By the version, what the built-in calls the reading of a gas meter that it knows by the entry's
data alone, and not by its identifier."""
_OLD_GAS: Final = "gas_meter_reading"


@callback
def migrated(
    entities: er.EntityRegistry, version: str, entity: er.RegistryEntry
) -> dict[str, Any] | None:
    """Return what changes of an entity whose unique id was made of its name, or None.

    Args:
        entities: where no other may have the unique id that it gets.
        version: the `dsmr_version` of the config entry.
        entity: the entity.
    """
    keys = {**_NAMES, _GAS_NAME: _GAS[version]} if version in _GAS else _NAMES
    for name, key in keys.items():
        if entity.unique_id.endswith(f"_{name}"):
            new = entity.unique_id.removesuffix(name) + key
            is_taken = entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, new)
            return None if is_taken else {"new_unique_id": new}
    return None


@callback
def adopt_gas(
    hass: HomeAssistant, entry_id: str, identifier: str, device_id: str, named: str
) -> None:
    """Give the gas reading from before M-Bus meters had identifiers to the meter that it is of.

    Args:
        hass: in whose registries they are.
        entry_id: the config entry of the meter.
        identifier: what the meter is known by; its reading's unique id from now on.
        device_id: the device of the meter.
        named: what begins the reading's unique id so far.
    """
    entities = er.async_get(hass)
    if entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, identifier):
        return
    for entity in er.async_entries_for_config_entry(entities, entry_id):
        if entity.unique_id.startswith(named) and entity.unique_id.endswith(_OLD_GAS):
            entities.async_update_entity(
                entity.entity_id, new_unique_id=identifier, device_id=device_id
            )
            old = entity.device_id
            if old and not er.async_entries_for_device(
                entities, old, include_disabled_entities=True
            ):
                dr.async_get(hass).async_remove_device(old)
            return


@callback
def replace_meter(hass: HomeAssistant, entry: ConfigEntry[Any], stored: Mapping[str, Any]) -> None:
    """Let the entities and devices of an entry's meters pass to those in their place.

    Entity ids, names and history stay.

    Args:
        hass: in whose registries they are.
        entry: the config entry as it was.
        stored: what it says from now on.
    """
    entities, devices = er.async_get(hass), dr.async_get(hass)
    serials = [CONF_SERIAL_ID]
    if {entry.data[CONF_DSMR_VERSION], stored[CONF_DSMR_VERSION]} & GAS_READINGS.keys():
        serials.append(CONF_SERIAL_ID_GAS)
        rename(entities, _gas_id(entry.data, entry), _gas_id(stored, entry))
    for serial in serials:
        old = entry.data.get(serial) or entry.entry_id
        new = stored[serial] or entry.entry_id
        if old == new:
            continue
        for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
            if entity.unique_id.startswith(f"{old}_"):
                rename(entities, entity.unique_id, new + entity.unique_id.removeprefix(old))
        device = devices.async_get_device_by_identifier((DOMAIN, old), entry.entry_id)
        if device and not devices.async_get_device_by_identifier((DOMAIN, new), entry.entry_id):
            devices.async_update_device(device.id, new_identifiers={(DOMAIN, new)})


def _gas_id(said: Mapping[str, Any], entry: ConfigEntry[Any]) -> str:
    """Return the unique id of the first gas meter's reading, by what an entry says."""
    serial = said.get(CONF_SERIAL_ID_GAS) or entry.entry_id
    key = GAS_READINGS.get(said[CONF_DSMR_VERSION])
    return f"{serial}_{key}" if key else serial


@callback
def rename(entities: er.EntityRegistry, old: str, new: str) -> None:
    """Give an entity another unique id, where there is no other that has it."""
    entity_id = entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, old)
    if entity_id and not entities.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, new):
        entities.async_update_entity(entity_id, new_unique_id=new)
