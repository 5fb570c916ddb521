"""What the sensors of a meter show."""

from decimal import Decimal
import itertools
from typing import Any

from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.dsmr.descriptions import SENSORS
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.reading import DSMRSensor

from .meter import MODELS, SimulatedMeter
from .parts import Gateway, edited, set_up, state_of, telegram_of, until, value_of
from .test_reload import at

AM550 = telegram_of("iskra-am550")

TOTALS = ("total_increasing", "kWh", "energy")
POWER = ("measurement", "kW", "power")
COUNT = ("total_increasing", None, None)
VOLTAGE = ("measurement", "V", "voltage")
CURRENT = ("measurement", "A", "current")

# What users of configuration.yaml know: the name, then state class, unit and device class.
EVERY_METER = {
    "power_consumption": POWER,
    "power_production": POWER,
    "power_tariff": (None, None, "enum"),
    "smart_meter_connection": (None, None, "enum"),
    "power_consumption_low": TOTALS,
    "power_consumption_normal": TOTALS,
    "power_production_low": TOTALS,
    "power_production_normal": TOTALS,
    "power_consumption_total": TOTALS,
    "power_production_total": TOTALS,
    "net_power": POWER,
    "gas_consumption": ("total_increasing", "m³", "gas"),
    "hourly_gas_consumption": ("measurement", "m³/h", "volume_flow_rate"),
}
UNTIL_DSMR_3 = EVERY_METER | {
    "power_threshold": POWER,
    "switch_position": (None, None, "enum"),
}
SINCE_DSMR_4 = EVERY_METER | {
    "short_power_failure_count": COUNT,
    "long_power_failure_count": COUNT,
    "last_power_failure": (None, None, "timestamp"),
    "last_power_failure_duration": (None, "s", "duration"),
    **{
        f"{name}_phase_l{phase}": kind
        for phase in (1, 2, 3)
        for name, kind in {
            "power_consumption": POWER,
            "power_production": POWER,
            "voltage_sags": COUNT,
            "voltage_swells": COUNT,
            "current": CURRENT,
        }.items()
    },
}
SINCE_DSMR_5 = SINCE_DSMR_4 | {f"voltage_phase_l{phase}": VOLTAGE for phase in (1, 2, 3)}


@pytest.mark.parametrize(
    ("version", "sensors"),
    [(2.2, UNTIL_DSMR_3), (3, UNTIL_DSMR_3), (4, SINCE_DSMR_4), (5, SINCE_DSMR_5)],
)
async def test_each_version_has_the_sensors_that_users_know(
    hass: HomeAssistant,
    gateway: Gateway,
    version: float,
    sensors: dict[str, tuple[str | None, str | None, str | None]],
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": version})
    found = {
        state.entity_id.removeprefix("sensor."): (
            state.attributes.get("state_class"),
            state.attributes.get("unit_of_measurement"),
            state.attributes.get("device_class"),
        )
        for state in hass.states.async_all("sensor")
    }
    assert found == sensors


def test_units_and_state_classes_are_those_that_home_assistant_allows() -> None:
    for description in SENSORS:
        if description.device_class is None:
            assert description.native_unit_of_measurement is None
            continue
        units = DEVICE_CLASS_UNITS.get(description.device_class, {None})
        assert description.native_unit_of_measurement in units, description.key
        if description.state_class is not None:
            classes = DEVICE_CLASS_STATE_CLASSES[description.device_class]
            assert description.state_class in classes, description.key


# By meter, what a person reads off its telegram.
READ_OFF = {
    "iskra-me382": "6274.318 7105.962 812.447 1930.205 normal 0.47 0.0 8321.604",
    "iskra-mt382": "9417.55 8266.031 0.0 0.003 low 0.29 0.0 6750.219",
    "kamstrup-382": "7345.12 6981.774 1204.336 2871.908 normal 0.0 1.36 4608.937",
    "landisgyr-e350": "11462.708 13090.415 1873.26 4511.937 normal 0.0 1.184 unknown",
    "landisgyr-zcf110": "9216.381 8734.059 0.0 0.0 normal 2.618 0.0 7402.586",
    "landisgyr-zmf110": "3581.94 4027.118 17.362 44.805 normal 0.735 0.0 5118.344",
    "kaifa-e0026-v42": "5820.663 6247.301 0.0 0.0 normal 0.374 0.0 6944.172",
    "kaifa-e0026-v50": "12904.135 9876.42 2316.508 5690.273 normal 0.588 0.0 4377.95",
    "iskra-am550": "4281.573 3916.028 1140.692 2755.381 normal 0.461 0.0 3160.427",
    "sagemcom-xs210": "5034.816 4490.275 953.104 2187.639 normal 0.0 1.522 3608.291",
}


@pytest.mark.parametrize("model", READ_OFF)
async def test_a_meter_shows_what_its_telegram_says(
    hass: HomeAssistant, gateway: Gateway, model: str
) -> None:
    version = MODELS[model].version
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": version})
    await gateway.connected()
    gateway.send(telegram_of(model))
    await state_of(hass, "sensor.power_tariff", "low", "normal")
    shown = [
        value_of(hass, f"sensor.{name}")
        for name in (
            "power_consumption_low",
            "power_consumption_normal",
            "power_production_low",
            "power_production_normal",
            "power_tariff",
            "power_consumption",
            "power_production",
            "gas_consumption",
        )
    ]
    assert " ".join(shown) == READ_OFF[model]
    assert hass.data[YAML_PORTS]["yaml"].reader.counters.unreadable_lines == 0


async def test_every_phase_and_count_of_a_meter_is_shown(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.voltage_phase_l1", "232.6")
    expected = {
        "short_power_failure_count": "8",
        "long_power_failure_count": "4",
        "power_consumption_phase_l1": "0.194",
        "power_consumption_phase_l2": "0.227",
        "power_consumption_phase_l3": "0.04",
        "power_production_phase_l3": "0.0",
        "voltage_phase_l2": "231.8",
        "voltage_phase_l3": "233.3",
        "current_phase_l1": "1.0",
        "current_phase_l3": "0.0",
        "voltage_sags_phase_l1": "1",
        "voltage_sags_phase_l2": "2",
        "voltage_swells_phase_l3": "1",
    }
    assert {name: value_of(hass, f"sensor.{name}") for name in expected} == expected


async def test_precision_is_what_every_number_is_rounded_to(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(
        hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5, "precision": 1}
    )
    await gateway.connected()
    gateway.send(edited(AM550, o1_0_1_8_1="(000123.456*kWh)", o1_0_32_7_0="(229.96*V)"))
    await state_of(hass, "sensor.power_consumption_low", "123.5")
    assert value_of(hass, "sensor.voltage_phase_l1") == "230.0"


async def test_a_flow_is_not_rounded_before_it_is_converted_to_litres(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(
        hass,
        {
            "host": "127.0.0.1",
            "port": gateway.port,
            "dsmr_version": "5B",
            "precision": 1,
            "time_between_update": 0,
        },
    )
    await gateway.connected()
    for time, water, expected in (
        ("261112070000W", "00100.000", "unknown"),
        ("261112070500W", "00100.005", "1.0"),
        ("261112071000W", "00100.015", "2.0"),
    ):
        sent = telegram_of("fluvius-water-gas")
        gateway.send(edited(sent, o0_1_24_2_1=f"({time})({water}*m3)"))
        await state_of(hass, "sensor.water_flow", expected)


async def test_a_power_that_is_rounded_to_nothing_has_no_sign(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(
        hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5, "precision": 0}
    )
    await gateway.connected()
    gateway.send(edited(AM550, o1_0_1_7_0="(00.000*kW)", o1_0_2_7_0="(00.300*kW)"))
    await state_of(hass, "sensor.power_production", "0.0")
    assert value_of(hass, "sensor.net_power") == "0.0"


async def test_in_belgium_tariff_1_is_the_normal_one(hass: HomeAssistant, gateway: Gateway) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "5B"})
    await gateway.connected()
    gateway.send(
        edited(
            telegram_of("fluvius-t211"),
            o0_0_96_14_0="(0001)",
            o1_0_1_8_1="(000001.000*kWh)",
            o1_0_1_8_2="(000002.000*kWh)",
        )
    )
    await state_of(hass, "sensor.power_tariff", "normal")
    assert value_of(hass, "sensor.power_consumption_normal") == "1.0"
    assert value_of(hass, "sensor.power_consumption_low") == "2.0"


async def test_a_line_that_is_missing_is_unknown_and_one_that_says_zero_is_zero(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    gateway.send(edited(AM550, o1_0_2_8_1="", o1_0_2_8_2="(000000.000*kWh)"))
    await state_of(hass, "sensor.power_production_normal", "0.0")
    assert value_of(hass, "sensor.power_production_low") == "unknown"


async def test_beside_a_line_that_is_missing_nothing_stands_of_what_it_said(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    def beside(name: str) -> set[str]:
        state = hass.states.get(f"sensor.{name}")
        assert state
        return {"code", "time", "entries"} & state.attributes.keys()

    t211 = telegram_of("fluvius-t211")
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "5B"})
    await gateway.connected()
    gateway.send(t211)
    await state_of(hass, "sensor.power_tariff", "low", "normal")
    names = ("power_tariff", "peak_demand_this_month", "peak_demand_last_month")
    assert all(map(beside, names))
    gateway.send(edited(t211, o0_0_96_14_0="", o1_0_1_6_0="", o0_0_98_1_0=""))
    for name in names:
        await state_of(hass, f"sensor.{name}", "unknown")
        assert not beside(name)


@pytest.mark.logs("The meter's line '1-0:1.8.1' can't be read: .* is no number")
async def test_a_line_that_cannot_be_read_costs_that_line(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    gateway.send(edited(AM550, o1_0_1_8_1="(00??.100*kWh)"))
    await state_of(hass, "sensor.power_consumption_normal", "3916.028")
    assert value_of(hass, "sensor.power_consumption_low") == "unknown"


async def test_gas_per_hour_goes_by_the_clock_of_the_gas_meter(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(
        hass,
        {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5, "time_between_update": 0},
    )
    await gateway.connected()

    telegrams = itertools.count(1)

    async def read(time: str, gas: str, expected: str) -> None:
        power = f"0.{next(telegrams):03}"
        line = {"o0_1_24_2_1": f"({time})({gas}*m3)", "o1_0_1_7_0": f"(0{power}*kW)"}
        gateway.send(edited(AM550, **line))
        await state_of(hass, "sensor.power_consumption", power)
        assert value_of(hass, "sensor.gas_consumption") == str(float(gas))
        assert value_of(hass, "sensor.hourly_gas_consumption") == expected

    await read("261112070000W", "03160.400", "unknown")
    await read("261112070500W", "03160.500", "1.2")
    # The same reading in the next telegrams changes nothing.
    await read("261112070500W", "03160.500", "1.2")
    await read("261112071000W", "03160.550", "0.6")
    # Three readings were missed.
    await read("261112073000W", "03160.850", "0.9")
    await read("261112073500W", "03160.850", "0.0")


async def test_gas_per_hour_starts_again_with_a_new_gas_meter(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(
        hass,
        {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5, "time_between_update": 0},
    )
    await gateway.connected()
    for time, sent, gas, flow in (
        ("261112070000W", "03160.400", "3160.4", "unknown"),
        ("261112070500W", "03160.500", "3160.5", "1.2"),
        # That a counter runs back is believed when it is read for the third time.
        ("261112071000W", "00000.000", "3160.5", "1.2"),
        ("261112071500W", "00000.010", "3160.5", "1.2"),
        ("261112072000W", "00000.020", "0.02", "unknown"),
        ("261112072500W", "00000.070", "0.07", "0.6"),
    ):
        gateway.send(3 * edited(AM550, o0_1_24_2_1=f"({time})({sent}*m3)"))
        await state_of(hass, "sensor.gas_consumption", gas)
        await state_of(hass, "sensor.hourly_gas_consumption", flow)


@pytest.mark.parametrize(
    ("said", "state", "unit"),
    [
        ("00012.400*GJ", "12.4", "GJ"),
        ("12400.000*MJ", "12.4", "GJ"),
        ("00012.400*MWh", "12400.0", "kWh"),
        ("00012.400*m3", "12.4", "m³"),
        ("00012.400*Gcal", "unknown", "GJ"),
        ("00012.400*kW", "unknown", "GJ"),
    ],
)
async def test_a_heat_meter_is_shown_in_the_unit_that_it_writes_or_not_at_all(
    hass: HomeAssistant, gateway: Gateway, said: str, state: str, unit: str
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    heat = f"(261126070000W)({said})"
    gateway.send(edited(telegram_of("warmtelink-kamstrup"), o0_1_24_2_1=heat))
    await state_of(hass, "sensor.smart_meter_connection", "receiving")
    await state_of(hass, "sensor.heat_consumption", state)
    shown = hass.states.get("sensor.heat_consumption")
    assert shown
    assert shown.attributes["unit_of_measurement"] == unit


async def test_a_heat_meter_that_is_read_with_each_telegram_is_shown_as_often_as_is_asked_for(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    counters = hass.data[YAML_PORTS]["yaml"].reader.counters
    for second in range(10):
        read = f"(26112607000{second}W)(00084.10{second}*m3)"
        gateway.send(edited(telegram_of("warmtelink-kamstrup"), o0_1_24_2_1=read))
    await until(lambda: counters.telegrams == 10)
    assert value_of(hass, "sensor.heat_consumption") == "84.1"


async def test_gas_is_the_gas_meter_that_reads_on_whatever_channel(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "5B"})
    await gateway.connected()
    gateway.send(telegram_of("fluvius-water-gas"))
    telegram = telegram_of("fluvius-water-gas").decode()
    line = next(line for line in telegram.splitlines() if ":24.2.3(" in line)
    gas = Decimal(line.rpartition("(")[2].partition("*")[0])
    await state_of(hass, "sensor.gas_consumption", str(float(gas)))


async def test_sensors_have_unique_ids_and_can_be_renamed(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    entries = [entity_registry.async_get(state.entity_id) for state in hass.states.async_all()]
    assert len({entry.unique_id for entry in entries if entry}) == len(SINCE_DSMR_5)
    entity_registry.async_update_entity("sensor.gas_consumption", new_entity_id="sensor.gas")
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas", "3160.427")


@pytest.mark.logs("No telegrams from")
async def test_a_sensor_that_is_renamed_while_it_is_shown_goes_on(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(
        hass,
        {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5, "time_between_update": 0},
    )
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.power_consumption", "0.461")
    renamed = {
        "sensor.power_consumption": "sensor.power",
        "sensor.gas_consumption": "sensor.gas",
        "sensor.smart_meter_connection": "sensor.port",
    }
    for entity_id, new in renamed.items():
        entity_registry.async_update_entity(entity_id, new_entity_id=new)
    await state_of(hass, "sensor.power", "0.461")
    gas = "(261112070504W)(03160.500*m3)"
    gateway.send(edited(AM550, o1_0_1_7_0="(01.000*kW)", o0_1_24_2_1=gas))
    await state_of(hass, "sensor.power", "1.0")
    await state_of(hass, "sensor.gas", "3160.5")
    await gateway.close()
    for entity_id in ("sensor.power", "sensor.gas"):
        await state_of(hass, entity_id, "unavailable")
    assert value_of(hass, "sensor.port") != "receiving"


@pytest.mark.logs("Unexpected error in DSMRSensor._told of sensor.last_power_failure_duration: ")
async def test_a_sensor_that_can_not_be_shown_costs_the_others_nothing(
    hass: HomeAssistant,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def value(sensor: DSMRSensor) -> Any:
        # Home Assistant asks for it also when it is to say which sensor this is.
        if sensor.entity_id == "sensor.last_power_failure_duration":
            raise LookupError("4530303534303031323334353030303233")
        return sensor._value

    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    monkeypatch.setattr(DSMRSensor, "native_value", property(value))
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_consumption", "3160.427")
    gateway.send(edited(AM550, o1_0_1_7_0="(01.000*kW)"))
    await state_of(hass, "sensor.power_consumption", "1.0")
    # It never changed: it was told with the first telegram.
    assert value_of(hass, "sensor.voltage_sags_phase_l1") == "1"
    assert hass.data[YAML_PORTS]["yaml"].reader.counters.errors == 2
    assert caplog.text.count("Unexpected error") == 1
    assert "453030353430303132" not in caplog.text


@pytest.mark.logs("Unexpected error in DSMRSensor._told of sensor.water_consumption: ")
async def test_a_sensor_that_can_not_show_its_first_value_shows_its_next_one(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def value(sensor: DSMRSensor) -> Any:
        if sensor._value in {872.0, 872.2}:
            raise LookupError
        return sensor._value

    monkeypatch.setattr(DSMRSensor, "native_value", property(value))
    await set_up(hass, at(gateway, dsmr_version="5B", time_between_update=0))
    await gateway.connected()
    # It is added with the telegram in which there is a water meter.
    gateway.send(with_water("872.000"))
    await state_of(hass, "sensor.water_consumption", "unknown")
    gateway.send(with_water("872.100"))
    await state_of(hass, "sensor.water_consumption", "872.1")
    # Nor does it go on to show what is no longer so.
    gateway.send(with_water("872.200"))
    await state_of(hass, "sensor.water_consumption", "unknown")


@pytest.mark.logs("Error adding entity sensor.water_consumption")
@pytest.mark.logs("Unexpected error in DSMRSensor._told of sensor.water_consumption: ")
@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
async def test_a_sensor_that_home_assistant_could_not_add_is_added_after_an_outage(
    hass: HomeAssistant,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def value(sensor: DSMRSensor) -> Any:
        if sensor.entity_id == "sensor.water_consumption":
            raise LookupError
        return sensor._value

    with monkeypatch.context() as patch:
        patch.setattr(DSMRSensor, "native_value", property(value))
        await set_up(hass, at(gateway, dsmr_version="5B", time_between_update=0))
        await gateway.connected()
        gateway.send(with_water("872.000"))
        await state_of(hass, "sensor.gas_consumption", "764.815")
        await hass.async_block_till_done()
        assert hass.states.get("sensor.water_consumption") is None
        gateway.send(edited(with_water("872.100"), o1_0_1_7_0="(01.000*kW)"))
        await state_of(hass, "sensor.power_consumption", "1.0")
        # It is not asked for a state that nobody takes.
        assert hass.data[YAML_PORTS]["yaml"].reader.counters.errors == 1
    gateway.drop()
    await gateway.connected()
    gateway.send(with_water("872.200"))
    await state_of(hass, "sensor.water_consumption", "872.2")
    assert caplog.text.count("Unexpected error") == 1


def with_water(volume: str) -> bytes:
    """Return a telegram with the reading of a water meter in m³."""
    return edited(telegram_of("fluvius-water-gas"), o0_1_24_2_1=f"(261112070000W)({volume}*m3)")


async def test_a_text_in_the_place_of_a_number_is_unknown(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    log = "(1)(0-0:96.7.19)(250206143009W)(----------*s)"
    gateway.send(edited(AM550, o1_0_99_97_0=log))
    await state_of(hass, "sensor.power_consumption", "0.461")
    assert value_of(hass, "sensor.last_power_failure_duration") == "unknown"
    assert value_of(hass, "sensor.last_power_failure").startswith("2025-02-06T")


async def test_a_text_in_the_place_of_a_number_without_a_unit_is_unknown(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    # A person has enabled it.
    entity_registry.async_get_or_create("sensor", "dsmr", "yaml_minimum_power_factor")
    await set_up(hass, at(gateway, time_between_update=0))
    await gateway.connected()
    gateway.send(edited(AM550, o0_0_96_7_21="(00008)\r\n1-0:13.3.0(ABC-X)"))
    await state_of(hass, "sensor.dsmr_yaml_minimum_power_factor", "unknown")
    gateway.send(edited(AM550, o0_0_96_7_21="(00008)\r\n1-0:13.3.0(0.9)"))
    await state_of(hass, "sensor.dsmr_yaml_minimum_power_factor", "0.9")


async def test_an_explicit_unique_id_wins(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "unique_id": "cupboard"})
    entry = entity_registry.async_get("sensor.power_tariff")
    assert entry
    assert entry.unique_id == "cupboard_electricity_active_tariff"


async def test_a_meter_keeps_its_unique_ids_when_its_cable_moves_to_another_port(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    entity_registry: er.EntityRegistry,
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "name": "House"})
    entry = entity_registry.async_get("sensor.house_power_tariff")
    assert entry
    assert entry.unique_id == "yaml_house_electricity_active_tariff"


async def test_two_meters_without_a_name_work_side_by_side(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    here = {"host": "127.0.0.1", "dsmr_version": 5}
    await set_up(hass, {**here, "port": gateway.port}, {**here, "port": second_gateway.port})
    await gateway.connected()
    await second_gateway.connected()
    gateway.send(edited(AM550, o1_0_1_7_0="(00.001*kW)"))
    second_gateway.send(edited(AM550, o1_0_1_7_0="(00.002*kW)"))
    # Home Assistant sets both up at once: either may be the first.
    first = await state_of(hass, "sensor.power_consumption", "0.001", "0.002")
    second = await state_of(hass, "sensor.power_consumption_2", "0.001", "0.002")
    assert first != second


async def test_a_simulated_hour_is_shown_to_its_last_telegram(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    meter = SimulatedMeter("iskra-am550")
    await set_up(
        hass,
        {
            "host": "127.0.0.1",
            "port": gateway.port,
            "dsmr_version": 5,
            "time_between_update": 0,
        },
    )
    await gateway.connected()
    for _ in range(3600):
        telegram = meter.next_telegram()
        gateway.send(telegram)
        await hass.async_block_till_done()
    line = next(line for line in telegram.decode().splitlines() if line.startswith("1-0:1.8.2"))
    await state_of(hass, "sensor.power_consumption_normal", str(float(line[10:20])))


@pytest.mark.parametrize(
    ("precision", "shown"), [(0, (0, 0)), (1, (1, 1)), (3, (3, 1)), (5, (3, 1))]
)
async def test_as_many_digits_are_shown_as_the_file_says_and_the_meter_has(
    hass: HomeAssistant,
    gateway: Gateway,
    entity_registry: er.EntityRegistry,
    precision: int,
    shown: tuple[int, int],
) -> None:
    platform = {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5}
    await set_up(hass, {**platform, "precision": precision})
    for sensor, digits in zip(("power_consumption", "voltage_phase_l1"), shown, strict=True):
        registered = entity_registry.async_get(f"sensor.{sensor}")
        assert registered
        assert registered.options["sensor"]["suggested_display_precision"] == digits
