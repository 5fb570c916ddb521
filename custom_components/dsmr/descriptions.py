"""Which sensors are there? One row each.

It is data. Code makes the rows that are alike: of phases, quadrants, tariffs, relays and messages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    EntityCategory,
    UnitOfApparentPower,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfPower,
    UnitOfReactiveEnergy,
    UnitOfReactivePower,
    UnitOfTime,
    UnitOfVolume,
    UnitOfVolumeFlowRate,
)
from homeassistant.util import slugify

from .models import COOLING, MBusType
from .obis import (
    AVERAGE_PEAK,
    FLOW,
    FORECAST,
    MBUS_READING,
    MONTH_END,
    NET_POWER,
    NET_POWER_PHASES,
    RELAY,
)

POWER_STEP: Final = 0.05
"""kW. A load switched on does not wait for the next update."""
ANY_CHANGE: Final = 0.0


class Shows(StrEnum):
    """What of a reading a sensor shows."""

    VALUE = "value"
    TIME = "time"
    TARIFF = "tariff"
    SWITCH = "switch"
    VALVE = "valve"


@dataclass(frozen=True, kw_only=True)
class DSMRSensorDescription(SensorEntityDescription):
    """One sensor.

    Attributes:
        key: as in the built-in `dsmr`: unique ids are made of it.
        obis: the value groups C.D.E of its OBIS reference, or a name of `obis.py` for a value that
            is made of several.
        yaml_name: the name of a sensor that configuration.yaml set up; for `{tariff_1}` and
            `{tariff_2}` stands what the meter's version means by them.
        step: a change of at least this much, in the meter's unit, does not wait.
        mbus: the types of the M-Bus meter that it belongs to, or () for electricity.
        shows: what of the reading it shows.
        detail: whether few people look at it: in a config entry it is disabled until somebody
            enables it, as in the built-in.
    """

    obis: str
    yaml_name: str
    step: float | None = None
    mbus: tuple[MBusType, ...] = ()
    shows: Shows = Shows.VALUE
    detail: bool = False


_DIAGNOSTIC: Final[dict[str, Any]] = {"entity_category": EntityCategory.DIAGNOSTIC}
_DISABLED: Final[dict[str, Any]] = {"entity_registry_enabled_default": False}
_HIDDEN: Final = _DIAGNOSTIC | _DISABLED
_MEASURED: Final[dict[str, Any]] = {"state_class": SensorStateClass.MEASUREMENT}
_COUNTED: Final[dict[str, Any]] = {"state_class": SensorStateClass.TOTAL_INCREASING}
# How the grid is, as in the built-in.
_GRID: Final = _MEASURED | _DIAGNOSTIC

_POWER: Final = _MEASURED | {
    "device_class": SensorDeviceClass.POWER,
    "native_unit_of_measurement": UnitOfPower.KILO_WATT,
    "step": POWER_STEP,
    "suggested_display_precision": 3,
}
_ENERGY: Final = _COUNTED | {
    "device_class": SensorDeviceClass.ENERGY,
    "native_unit_of_measurement": UnitOfEnergy.KILO_WATT_HOUR,
    "suggested_display_precision": 3,
}
_REACTIVE_POWER: Final = _MEASURED | {
    "device_class": SensorDeviceClass.REACTIVE_POWER,
    "native_unit_of_measurement": UnitOfReactivePower.KILO_VOLT_AMPERE_REACTIVE,
    "suggested_display_precision": 3,
}
_REACTIVE_ENERGY: Final = _COUNTED | {
    "device_class": SensorDeviceClass.REACTIVE_ENERGY,
    "native_unit_of_measurement": UnitOfReactiveEnergy.KILO_VOLT_AMPERE_REACTIVE_HOUR,
    "suggested_display_precision": 3,
}
_APPARENT_POWER: Final = _MEASURED | {
    "device_class": SensorDeviceClass.APPARENT_POWER,
    "native_unit_of_measurement": UnitOfApparentPower.KILO_VOLT_AMPERE,
    "suggested_display_precision": 3,
}
_VOLTAGE: Final = _GRID | {
    "device_class": SensorDeviceClass.VOLTAGE,
    "native_unit_of_measurement": UnitOfElectricPotential.VOLT,
    "suggested_display_precision": 1,
}
_CURRENT: Final = _GRID | {
    "device_class": SensorDeviceClass.CURRENT,
    "native_unit_of_measurement": UnitOfElectricCurrent.AMPERE,
    "suggested_display_precision": 2,
}
_POWER_FACTOR: Final = _GRID | {"device_class": SensorDeviceClass.POWER_FACTOR}
_FREQUENCY: Final = _GRID | {
    "device_class": SensorDeviceClass.FREQUENCY,
    "native_unit_of_measurement": UnitOfFrequency.HERTZ,
}
_SECONDS: Final[dict[str, Any]] = {
    "device_class": SensorDeviceClass.DURATION,
    "native_unit_of_measurement": UnitOfTime.SECONDS,
    "suggested_display_precision": 0,
}
_COUNT: Final = _COUNTED | _DIAGNOSTIC | {"step": ANY_CHANGE, "detail": True}
_TEXT: Final[dict[str, Any]] = {"step": ANY_CHANGE}
_TIME: Final[dict[str, Any]] = {
    "device_class": SensorDeviceClass.TIMESTAMP,
    "shows": Shows.TIME,
}
_SWITCH: Final[dict[str, Any]] = {
    "device_class": SensorDeviceClass.ENUM,
    "options": ["disconnected", "connected", "ready_for_reconnection"],
    "shows": Shows.SWITCH,
    "step": ANY_CHANGE,
}
_VALVE: Final[dict[str, Any]] = {
    "device_class": SensorDeviceClass.ENUM,
    "options": ["closed", "open"],
    "shows": Shows.VALVE,
    "step": ANY_CHANGE,
}
_FLOW: Final = _MEASURED | {
    "device_class": SensorDeviceClass.VOLUME_FLOW_RATE,
    "native_unit_of_measurement": UnitOfVolumeFlowRate.CUBIC_METERS_PER_HOUR,
    "obis": FLOW,
    "suggested_display_precision": 3,
}
_VOLUME: Final = _COUNTED | {
    "native_unit_of_measurement": UnitOfVolume.CUBIC_METERS,
    "obis": MBUS_READING,
    "suggested_display_precision": 3,
}
_HEAT: Final = _COUNTED | {
    "device_class": SensorDeviceClass.ENERGY,
    "native_unit_of_measurement": UnitOfEnergy.GIGA_JOULE,
    "obis": MBUS_READING,
    "suggested_display_precision": 3,
}

_WATER: Final = (MBusType.WATER, MBusType.WARM_WATER)
_HEATING: Final = (MBusType.HEAT, MBusType.HEAT_FLOW)


def _row(key: str, obis: str, yaml_name: str, **rest: Any) -> DSMRSensorDescription:
    return DSMRSensorDescription(
        key=key, translation_key=key, obis=obis, yaml_name=yaml_name, **rest
    )


def _phases(
    key: str, obis: tuple[str, str, str], yaml_name: str, **rest: Any
) -> Iterator[DSMRSensorDescription]:
    """Yield a row for each phase; `{}` in the key is the phase."""
    for phase, code in zip(("l1", "l2", "l3"), obis, strict=True):
        yield DSMRSensorDescription(
            key=key.format(phase),
            translation_key=key.format("phase"),
            translation_placeholders={"phase": phase.upper()},
            obis=code,
            yaml_name=f"{yaml_name} phase {phase.upper()}",
            **rest,
        )


def _of_mbus(
    mbus: tuple[MBusType, ...], key: str, yaml_name: str, **rest: Any
) -> DSMRSensorDescription:
    return DSMRSensorDescription(
        key=key, yaml_name=yaml_name, mbus=mbus, **{"translation_key": key, **rest}
    )


# fmt: off
SENSORS: Final[tuple[DSMRSensorDescription, ...]] = (
    _row("timestamp", "1.0.0", "Telegram time", **_HIDDEN,
         device_class=SensorDeviceClass.TIMESTAMP),
    # Power and energy
    _row("current_electricity_usage", "1.7.0", "Power consumption", **_POWER),
    _row("current_electricity_delivery", "2.7.0", "Power production", **_POWER),
    _row("net_power", NET_POWER, "Net power", **_POWER),
    _row("electricity_active_tariff", "96.14.0", "Power tariff", step=ANY_CHANGE,
         device_class=SensorDeviceClass.ENUM, options=["low", "normal", "tariff_3", "tariff_4"],
         shows=Shows.TARIFF),
    _row("electricity_imported_total", "1.8.0", "Power consumption total", **_ENERGY),
    _row("electricity_used_tariff_1", "1.8.1", "Power consumption {tariff_1}", **_ENERGY),
    _row("electricity_used_tariff_2", "1.8.2", "Power consumption {tariff_2}", **_ENERGY),
    _row("electricity_used_tariff_3", "1.8.3", "Power consumption tariff 3", **_ENERGY),
    _row("electricity_used_tariff_4", "1.8.4", "Power consumption tariff 4", **_ENERGY),
    _row("electricity_exported_total", "2.8.0", "Power production total", **_ENERGY),
    _row("electricity_delivered_tariff_1", "2.8.1", "Power production {tariff_1}", **_ENERGY),
    _row("electricity_delivered_tariff_2", "2.8.2", "Power production {tariff_2}", **_ENERGY),
    _row("electricity_delivered_tariff_3", "2.8.3", "Power production tariff 3", **_ENERGY),
    _row("electricity_delivered_tariff_4", "2.8.4", "Power production tariff 4", **_ENERGY),
    _row("electricity_combined", "15.8.0", "Energy combined", **_ENERGY),
    *_phases("instantaneous_active_power_{}_positive", ("21.7.0", "41.7.0", "61.7.0"),
             "Power consumption", **_POWER, detail=True),
    *_phases("instantaneous_active_power_{}_negative", ("22.7.0", "42.7.0", "62.7.0"),
             "Power production", **_POWER, detail=True),
    *_phases("net_power_{}", NET_POWER_PHASES, "Net power", **_POWER,
             entity_registry_enabled_default=False),
    _row("absolute_active_power", "15.7.0", "Absolute power", **_POWER, **_HIDDEN),
    _row("average_absolute_active_power", "15.24.0", "Average absolute power", **_POWER, **_HIDDEN),
    _row("average_net_power", "16.24.0", "Average net power", **_POWER, **_HIDDEN),
    _row("average_power_consumption", "1.24.0", "Average power consumption", **_POWER, **_HIDDEN),
    # Grid
    *_phases("instantaneous_voltage_{}", ("32.7.0", "52.7.0", "72.7.0"), "Voltage", **_VOLTAGE,
             detail=True),
    *_phases("instantaneous_current_{}", ("31.7.0", "51.7.0", "71.7.0"), "Current", **_CURRENT,
             detail=True),
    *_phases("average_voltage_{}", ("32.24.0", "52.24.0", "72.24.0"), "Average voltage",
             **_VOLTAGE, **_DISABLED),
    _row("instantaneous_voltage", "12.7.0", "Voltage", **_VOLTAGE, **_DISABLED),
    _row("instantaneous_current", "11.7.0", "Current", **_CURRENT, **_DISABLED),
    _row("instantaneous_current_sum", "90.7.0", "Current sum", **_CURRENT, **_DISABLED),
    _row("instantaneous_current_neutral", "91.7.0", "Current neutral", **_CURRENT, **_DISABLED),
    _row("nominal_voltage", "94.32.1", "Nominal voltage", **_VOLTAGE, **_DISABLED),
    _row("eon_hu_frequency", "14.7.0", "Frequency", **_FREQUENCY, detail=True),
    _row("instantaneous_power_factor_total", "13.7.0", "Power factor", **_POWER_FACTOR,
         detail=True),
    _row("minimum_power_factor", "13.3.0", "Minimum power factor", **_POWER_FACTOR, **_DISABLED),
    *_phases("instantaneous_power_factor_{}", ("33.7.0", "53.7.0", "73.7.0"), "Power factor",
             **_POWER_FACTOR, detail=True),
    _row("short_power_failure_count", "96.7.21", "Short power failure count", **_COUNT),
    _row("long_power_failure_count", "96.7.9", "Long power failure count", **_COUNT),
    _row("last_power_failure", "99.97.0", "Last power failure", **_TIME, **_DIAGNOSTIC,
         step=ANY_CHANGE),
    _row("last_power_failure_duration", "99.97.0", "Last power failure duration", **_SECONDS,
         **_DIAGNOSTIC, step=ANY_CHANGE),
    *_phases("voltage_sag_{}_count", ("32.32.0", "52.32.0", "72.32.0"), "Voltage sags", **_COUNT),
    *_phases("voltage_sag_{}_duration", ("32.33.0", "52.33.0", "72.33.0"),
             "Voltage sag duration", **_SECONDS, **_HIDDEN),
    *_phases("voltage_sag_{}_depth", ("32.34.0", "52.34.0", "72.34.0"), "Voltage sag depth",
             **_VOLTAGE, **_DISABLED),
    *_phases("voltage_swell_{}_count", ("32.36.0", "52.36.0", "72.36.0"), "Voltage swells",
             **_COUNT),
    *_phases("voltage_swell_{}_duration", ("32.37.0", "52.37.0", "72.37.0"),
             "Voltage swell duration", **_SECONDS, **_HIDDEN),
    *_phases("voltage_swell_{}_height", ("32.38.0", "52.38.0", "72.38.0"),
             "Voltage swell height", **_VOLTAGE, **_DISABLED),
    # Reactive and apparent
    _row("reactive_power_imported", "3.7.0", "Reactive power imported", **_REACTIVE_POWER),
    _row("reactive_power_exported", "4.7.0", "Reactive power exported", **_REACTIVE_POWER),
    *_phases("reactive_power_{}_imported", ("23.7.0", "43.7.0", "63.7.0"),
             "Reactive power imported", **_REACTIVE_POWER),
    *_phases("reactive_power_{}_exported", ("24.7.0", "44.7.0", "64.7.0"),
             "Reactive power exported", **_REACTIVE_POWER),
    *(_row(f"reactive_power_q{quadrant}", f"{4 + quadrant}.7.0", f"Reactive power Q{quadrant}",
           **_REACTIVE_POWER) for quadrant in (1, 2, 3, 4)),
    _row("electricity_reactive_imported_total", "3.8.0", "Reactive energy imported total",
         **_REACTIVE_ENERGY),
    *(_row(f"electricity_reactive_imported_tariff_{tariff}", f"3.8.{tariff}",
           f"Reactive energy imported tariff {tariff}", **_REACTIVE_ENERGY)
      for tariff in (1, 2, 3, 4)),
    _row("electricity_reactive_exported_total", "4.8.0", "Reactive energy exported total",
         **_REACTIVE_ENERGY),
    *(_row(f"electricity_reactive_exported_tariff_{tariff}", f"4.8.{tariff}",
           f"Reactive energy exported tariff {tariff}", **_REACTIVE_ENERGY)
      for tariff in (1, 2, 3, 4)),
    *(_row(f"electricity_reactive_total_q{quadrant}", f"{4 + quadrant}.8.0",
           f"Reactive energy Q{quadrant}", **_REACTIVE_ENERGY) for quadrant in (1, 2, 3, 4)),
    _row("apparent_power_imported", "9.7.0", "Apparent power imported", **_APPARENT_POWER),
    _row("apparent_power_exported", "10.7.0", "Apparent power exported", **_APPARENT_POWER),
    *_phases("apparent_power_{}_imported", ("29.7.0", "49.7.0", "69.7.0"),
             "Apparent power imported", **_APPARENT_POWER),
    *_phases("apparent_power_{}_exported", ("30.7.0", "50.7.0", "70.7.0"),
             "Apparent power exported", **_APPARENT_POWER),
    # Demand
    _row("current_average_demand", "1.4.0", "Average demand", **_POWER),
    _row("demand_forecast", FORECAST, "Demand forecast", **_POWER),
    _row("maximum_demand_current_month", "1.6.0", "Peak demand this month", **_POWER),
    _row("maximum_demand_history", "98.1.0", "Peak demand last month", **_POWER),
    _row("month_end", MONTH_END, "Month end", **_TIME, step=ANY_CHANGE),
    _row("average_maximum_demand", AVERAGE_PEAK, "Average peak demand", **_POWER),
    _row("last_average_demand", "1.5.0", "Last average demand", **_POWER, **_HIDDEN),
    _row("current_average_demand_production", "2.4.0", "Average demand production", **_POWER,
         **_HIDDEN),
    _row("last_average_demand_production", "2.5.0", "Last average demand production", **_POWER,
         **_HIDDEN),
    _row("reactive_demand_imported", "3.4.0", "Reactive demand imported", **_REACTIVE_POWER,
         **_HIDDEN),
    _row("last_reactive_demand_imported", "3.5.0", "Last reactive demand imported",
         **_REACTIVE_POWER, **_HIDDEN),
    _row("reactive_demand_exported", "4.4.0", "Reactive demand exported", **_REACTIVE_POWER,
         **_HIDDEN),
    _row("last_reactive_demand_exported", "4.5.0", "Last reactive demand exported",
         **_REACTIVE_POWER, **_HIDDEN),
    _row("apparent_demand_imported", "9.4.0", "Apparent demand imported", **_APPARENT_POWER,
         **_HIDDEN),
    _row("last_apparent_demand_imported", "9.5.0", "Last apparent demand imported",
         **_APPARENT_POWER, **_HIDDEN),
    _row("apparent_demand_exported", "10.4.0", "Apparent demand exported", **_APPARENT_POWER,
         **_HIDDEN),
    _row("last_apparent_demand_exported", "10.5.0", "Last apparent demand exported",
         **_APPARENT_POWER, **_HIDDEN),
    # Limits, switches and messages
    _row("actual_threshold_electricity", "17.0.0", "Power threshold", **_MEASURED, **_DIAGNOSTIC,
         detail=True, device_class=SensorDeviceClass.POWER,
         native_unit_of_measurement=UnitOfPower.KILO_WATT),
    *_phases("fuse_threshold_{}", ("31.4.0", "51.4.0", "71.4.0"), "Fuse threshold", **_CURRENT,
             detail=True),
    _row("switch_position", "96.3.10", "Switch position", **_SWITCH, **_DIAGNOSTIC),
    *(_row(f"relay_{number}_position", f"{number}:{RELAY}", f"Relay {number} position", **_SWITCH,
           **_DIAGNOSTIC) for number in (1, 2, 3, 4)),
    _row("breaker_state", "96.50.68", "Breaker state", **_SWITCH, **_DIAGNOSTIC),
    _row("text_message", "96.13.0", "Text message", **_TEXT,
         entity_registry_enabled_default=False),
    _row("text_message_code", "96.13.1", "Text message code", **_TEXT, **_HIDDEN),
    *(_row(f"text_message_{number}", f"96.13.{number}", f"Text message {number}", **_TEXT,
           **_HIDDEN) for number in (2, 3, 4, 5)),
    # Meters behind the electricity meter
    _of_mbus((MBusType.GAS,), "gas_reading", "Gas consumption", **_VOLUME,
             device_class=SensorDeviceClass.GAS),
    _of_mbus((MBusType.GAS,), "hourly_gas_consumption", "Hourly gas consumption", **_FLOW),
    _of_mbus(_WATER, "water_reading", "Water consumption", **_VOLUME,
             device_class=SensorDeviceClass.WATER),
    _of_mbus(_WATER, "water_flow", "Water flow", **_FLOW,
             suggested_unit_of_measurement=UnitOfVolumeFlowRate.LITERS_PER_MINUTE),
    _of_mbus(_HEATING, "heat_reading", "Heat consumption", **_HEAT),
    _of_mbus(COOLING, "cooling_reading", "Cooling consumption", **_HEAT),
    _of_mbus((MBusType.ELECTRICITY,), "slave_electricity_reading", "Second meter consumption",
             **_ENERGY, obis=MBUS_READING),
    _of_mbus((MBusType.GAS,), "gas_reading_time", "Gas reading time", obis=MBUS_READING, **_TIME,
             **_HIDDEN),
    _of_mbus(_WATER, "water_reading_time", "Water reading time", obis=MBUS_READING, **_TIME,
             **_HIDDEN),
    _of_mbus(_HEATING, "heat_reading_time", "Heat reading time", obis=MBUS_READING, **_TIME,
             **_HIDDEN),
    _of_mbus(COOLING, "cooling_reading_time", "Cooling reading time", obis=MBUS_READING, **_TIME,
             **_HIDDEN, translation_key="heat_reading_time"),
    _of_mbus((MBusType.ELECTRICITY,), "slave_electricity_reading_time",
             "Second meter reading time", obis=MBUS_READING, **_TIME, **_HIDDEN,
             translation_key="heat_reading_time"),
    _of_mbus((MBusType.GAS,), "gas_valve_position", "Gas valve position", obis="24.4.0", **_VALVE,
             **_DIAGNOSTIC),
    _of_mbus(_WATER, "water_valve_position", "Water valve position", obis="24.4.0", **_VALVE,
             **_DIAGNOSTIC),
    _of_mbus(_HEATING, "heat_valve_position", "Heat valve position", obis="24.4.0", **_VALVE,
             **_DIAGNOSTIC),
    _of_mbus(COOLING, "cooling_valve_position", "Cooling valve position", obis="24.4.0",
             **_VALVE, **_DIAGNOSTIC, translation_key="heat_valve_position"),
    _of_mbus((MBusType.ELECTRICITY,), "slave_electricity_switch_position",
             "Second meter switch position", obis="24.4.0", **_SWITCH, **_DIAGNOSTIC,
             translation_key="switch_position"),
)
# fmt: on

DIAGNOSTIC_LINES: Final = frozenset(
    {
        "0.0.0",
        "0.2.0",
        "0.2.8",
        "0.4.2",
        "0.4.3",
        "0.8.2",
        "1.1.0",
        "42.0.0",
        "96.1.0",
        "96.1.1",
        "96.1.2",
        "96.1.4",
        "96.1.255",
        "96.5.5",
        "24.1.0",
    }
)
"""Versions and identifiers: they say nothing to a person and stand in the diagnostics alone."""


def unknown_line(obis: str, of: MBusType | None = None) -> DSMRSensorDescription:
    """Return the row for a line that no specification and no row knows.

    Args:
        obis: the value groups C.D.E.
        of: what the meter behind the electricity meter measures that sends it, if one does.
    """
    name = f"OBIS {obis}"
    if of is not None:
        name += f" {of.name.lower().replace('_', ' ')}"
    # Another country's tariff: what else is unknown nobody looks at until he asks for it.
    is_energy = of is None and obis.startswith(("1.8.", "2.8."))
    traits = _ENERGY if is_energy else _HIDDEN | {"step": ANY_CHANGE}
    return DSMRSensorDescription(
        key=slugify(name),
        translation_key="obis",
        translation_placeholders={"reference": obis},
        obis=obis,
        yaml_name=name,
        **traits,
    )
