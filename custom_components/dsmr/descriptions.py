"""Which sensors are there? One row for each OBIS reference: data, no code but the three phases."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfVolume,
    UnitOfVolumeFlowRate,
)

from .models import MBusType
from .versions import MBUS_READING

POWER_STEP: Final = 0.05
"""kW. A load switched on does not wait for the next update."""
ANY_CHANGE: Final = 0.0


@dataclass(frozen=True, kw_only=True)
class DSMRSensorDescription(SensorEntityDescription):
    """One sensor.

    Attributes:
        key: as in the built-in `dsmr`: unique ids are made of it.
        obis: the value groups C.D.E of its OBIS reference.
        yaml_name: the name of a sensor that configuration.yaml set up; for `{tariff_1}` and
            `{tariff_2}` stands what the meter's version means by them.
        step: a change of at least this much, in the meter's unit, does not wait.
        mbus: the type of the M-Bus meter that it belongs to, or None for electricity.
    """

    obis: str
    yaml_name: str
    step: float | None = None
    mbus: MBusType | None = None


def _phases(
    key: str, obis: tuple[str, str, str], yaml_name: str, **rest: object
) -> Iterator[DSMRSensorDescription]:
    """Yield a row for each phase; the key, name and translation key take the phase."""
    for phase, code in zip(("l1", "l2", "l3"), obis, strict=True):
        yield DSMRSensorDescription(
            key=key.format(phase),
            translation_key=key.format("phase"),
            translation_placeholders={"phase": phase.upper()},
            obis=code,
            yaml_name=f"{yaml_name} phase {phase.upper()}",
            **rest,  # type: ignore[arg-type]
        )


_ENERGY: Final = {
    "device_class": SensorDeviceClass.ENERGY,
    "state_class": SensorStateClass.TOTAL_INCREASING,
    "native_unit_of_measurement": UnitOfEnergy.KILO_WATT_HOUR,
}
_POWER: Final = {
    "device_class": SensorDeviceClass.POWER,
    "state_class": SensorStateClass.MEASUREMENT,
    "native_unit_of_measurement": UnitOfPower.KILO_WATT,
    "step": POWER_STEP,
}
_COUNT: Final = {"state_class": SensorStateClass.TOTAL_INCREASING, "step": ANY_CHANGE}

TARIFF_KEY: Final = "electricity_active_tariff"
HOURLY_GAS_KEY: Final = "hourly_gas_consumption"

SENSORS: Final[tuple[DSMRSensorDescription, ...]] = (
    DSMRSensorDescription(
        key="current_electricity_usage",
        translation_key="current_electricity_usage",
        obis="1.7.0",
        yaml_name="Power consumption",
        **_POWER,  # type: ignore[arg-type]
    ),
    DSMRSensorDescription(
        key="current_electricity_delivery",
        translation_key="current_electricity_delivery",
        obis="2.7.0",
        yaml_name="Power production",
        **_POWER,  # type: ignore[arg-type]
    ),
    DSMRSensorDescription(
        key=TARIFF_KEY,
        translation_key=TARIFF_KEY,
        obis="96.14.0",
        yaml_name="Power tariff",
        device_class=SensorDeviceClass.ENUM,
        options=["low", "normal"],
        step=ANY_CHANGE,
    ),
    DSMRSensorDescription(
        key="electricity_used_tariff_1",
        translation_key="electricity_used_tariff_1",
        obis="1.8.1",
        yaml_name="Power consumption {tariff_1}",
        **_ENERGY,  # type: ignore[arg-type]
    ),
    DSMRSensorDescription(
        key="electricity_used_tariff_2",
        translation_key="electricity_used_tariff_2",
        obis="1.8.2",
        yaml_name="Power consumption {tariff_2}",
        **_ENERGY,  # type: ignore[arg-type]
    ),
    DSMRSensorDescription(
        key="electricity_delivered_tariff_1",
        translation_key="electricity_delivered_tariff_1",
        obis="2.8.1",
        yaml_name="Power production {tariff_1}",
        **_ENERGY,  # type: ignore[arg-type]
    ),
    DSMRSensorDescription(
        key="electricity_delivered_tariff_2",
        translation_key="electricity_delivered_tariff_2",
        obis="2.8.2",
        yaml_name="Power production {tariff_2}",
        **_ENERGY,  # type: ignore[arg-type]
    ),
    *_phases(
        "instantaneous_active_power_{}_positive",
        ("21.7.0", "41.7.0", "61.7.0"),
        "Power consumption",
        **_POWER,
    ),
    *_phases(
        "instantaneous_active_power_{}_negative",
        ("22.7.0", "42.7.0", "62.7.0"),
        "Power production",
        **_POWER,
    ),
    DSMRSensorDescription(
        key="short_power_failure_count",
        translation_key="short_power_failure_count",
        obis="96.7.21",
        yaml_name="Short power failure count",
        **_COUNT,  # type: ignore[arg-type]
    ),
    DSMRSensorDescription(
        key="long_power_failure_count",
        translation_key="long_power_failure_count",
        obis="96.7.9",
        yaml_name="Long power failure count",
        **_COUNT,  # type: ignore[arg-type]
    ),
    *_phases("voltage_sag_{}_count", ("32.32.0", "52.32.0", "72.32.0"), "Voltage sags", **_COUNT),
    *_phases(
        "voltage_swell_{}_count", ("32.36.0", "52.36.0", "72.36.0"), "Voltage swells", **_COUNT
    ),
    *_phases(
        "instantaneous_voltage_{}",
        ("32.7.0", "52.7.0", "72.7.0"),
        "Voltage",
        device_class=SensorDeviceClass.VOLTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
    ),
    *_phases(
        "instantaneous_current_{}",
        ("31.7.0", "51.7.0", "71.7.0"),
        "Current",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
    ),
    DSMRSensorDescription(
        key="gas_reading",
        translation_key="gas_meter_reading",
        obis=MBUS_READING,
        mbus=MBusType.GAS,
        yaml_name="Gas consumption",
        device_class=SensorDeviceClass.GAS,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfVolume.CUBIC_METERS,
        step=ANY_CHANGE,
    ),
    DSMRSensorDescription(
        key=HOURLY_GAS_KEY,
        translation_key=HOURLY_GAS_KEY,
        obis=MBUS_READING,
        mbus=MBusType.GAS,
        yaml_name="Hourly gas consumption",
        device_class=SensorDeviceClass.VOLUME_FLOW_RATE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfVolumeFlowRate.CUBIC_METERS_PER_HOUR,
        step=ANY_CHANGE,
    ),
)
