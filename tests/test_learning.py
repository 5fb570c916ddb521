"""Which sensors a meter has: learnt from what it sends, and remembered."""

from datetime import UTC, timedelta
import errno
from typing import Any
from unittest.mock import Mock

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.dsmr.models import Contents, Counters, MBusMeter, MBusType
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.roster import MOST_UNKNOWN, Roster
from custom_components.dsmr.sensor import LEARNING
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import OTHERS, VERSIONS

from .parts import Gateway, edited, remembered, set_up, state_of, telegram_of, until, value_of
from .test_reload import reload

XS210 = telegram_of("sagemcom-xs210")
WATER_AND_GAS = telegram_of("fluvius-water-gas")


async def learn(hass: HomeAssistant, hass_storage: dict[str, Any]) -> None:
    """Let the time pass in which a meter is listened to."""
    await hass.async_block_till_done()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=LEARNING + 1))
    await until(lambda: "dsmr.yaml" in hass_storage)
    await hass.async_block_till_done()


async def test_a_single_phase_meter_loses_the_phases_that_it_does_not_send(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    entity_registry: er.EntityRegistry,
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    assert value_of(hass, "sensor.voltage_phase_l2") == "unavailable"
    gateway.send(XS210)
    await state_of(hass, "sensor.voltage_phase_l2", "unknown")
    await learn(hass, hass_storage)
    assert hass.states.get("sensor.voltage_phase_l2") is None
    assert entity_registry.async_get("sensor.voltage_phase_l2") is None
    assert value_of(hass, "sensor.voltage_phase_l1") not in ("unknown", "unavailable")


async def test_at_the_next_start_there_is_what_the_meter_sends_and_nothing_else(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    entity_registry: er.EntityRegistry,
) -> None:
    hass_storage["dsmr.yaml"] = remembered(
        "5",
        ["1.7.0", "2.7.0", "16.7.0", "142.7.0"],
        [[7, 1, "AB", ["24.2.1", "24.4.0", "24.5.0", "flow"]]],
    )
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    assert {state.entity_id for state in hass.states.async_all("sensor")} == {
        "sensor.power_consumption",
        "sensor.power_production",
        "sensor.net_power",
        "sensor.smart_meter_connection",
        "sensor.water_consumption",
        "sensor.water_flow",
        "sensor.water_valve_position",
    }
    assert entity_registry.async_get("sensor.obis_142_7_0")
    assert entity_registry.async_get("sensor.obis_24_5_0_water")


async def test_a_meter_is_known_again_of_which_the_port_was_not_remembered(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    stored = remembered("5", ["1.7.0"], [])
    del stored["data"]["port"]
    hass_storage["dsmr.yaml"] = stored
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    assert value_of(hass, "sensor.power_consumption") == "unavailable"
    assert hass.states.get("sensor.gas_consumption") is None


@pytest.mark.logs(r"What .storage/dsmr.yaml says can't be read, and is learnt again: ")
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({**remembered("5", ["1.7.0"], []), "version": 99}, id="of a later release"),
        pytest.param(remembered("5", ["1.7.0"], [[77, 1, "", []]]), id="of an unknown meter"),
        pytest.param({**remembered("5", [], []), "data": ["?"]}, id="edited"),
    ],
)
async def test_what_is_stored_and_can_not_be_read_is_learnt_again(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any], stored: dict[str, Any]
) -> None:
    hass_storage["dsmr.yaml"] = stored
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    gateway.send(XS210)
    await state_of(hass, "sensor.power_tariff", "normal")
    del hass_storage["dsmr.yaml"]
    await learn(hass, hass_storage)
    assert "96.14.0" in hass_storage["dsmr.yaml"]["data"]["lines"]


@pytest.mark.logs("Unexpected error in storing what was learnt of the meter: ")
async def test_a_disk_that_is_full_for_a_moment_ends_no_learning(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "auto"})
    await gateway.connected()
    with monkeypatch.context() as patched:
        full = OSError(errno.ENOSPC, "No space left on device")
        patched.setattr("homeassistant.helpers.storage.Store.async_save", Mock(side_effect=full))
        gateway.send(XS210)
        await state_of(hass, "sensor.power_tariff", "normal")
    await learn(hass, hass_storage)


async def test_what_a_meter_has_stopped_sending_is_not_there_at_the_next_start(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    hass_storage["dsmr.yaml"] = remembered("5", ["1.7.0", "32.7.0", "52.7.0"], [])
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    # The meter was replaced by one of a single phase.
    gateway.send(XS210)
    await state_of(hass, "sensor.voltage_phase_l2", "unknown")
    await learn(hass, hass_storage)
    # It may be back: until then it says that nothing is known.
    assert value_of(hass, "sensor.voltage_phase_l2") == "unknown"
    await until(lambda: "52.7.0" not in hass_storage["dsmr.yaml"]["data"]["lines"])
    assert {"1.7.0", "32.7.0"} < set(hass_storage["dsmr.yaml"]["data"]["lines"])


async def test_the_valve_of_a_gas_meter_that_was_replaced_is_not_there_at_the_next_start(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    hass_storage["dsmr.yaml"] = remembered(
        "5",
        ["1.7.0"],
        [[3, 1, "4731", ["24.2.1", "flow", "24.4.0"]], [7, 1, "4732", ["24.2.1", "24.4.0"]]],
    )
    configuration = {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5}
    await set_up(hass, configuration)
    await gateway.connected()
    gateway.send(telegram_of("iskra-am550"))
    await state_of(hass, "sensor.gas_consumption", "3160.427")
    await learn(hass, hass_storage)
    await until(lambda: "24.4.0" not in hass_storage["dsmr.yaml"]["data"]["slots"][-1][3])
    await reload(hass, configuration)

    def is_left(name: str) -> bool:
        """Return whether a sensor only stands in the registry, where a person may delete it."""
        state = hass.states.get(f"sensor.{name}")
        assert state
        return bool(state.attributes.get("restored"))

    assert is_left("gas_valve_position")
    assert not is_left("hourly_gas_consumption")
    # A meter that is gone may be back, as it was.
    assert not is_left("water_valve_position")


async def test_what_was_learnt_of_another_version_is_forgotten(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    hass_storage["dsmr.yaml"] = remembered("4", ["1.7.0"], [])
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    assert value_of(hass, "sensor.gas_consumption") == "unavailable"


async def test_a_meter_that_is_paired_later_appears_by_itself(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "5B"})
    await gateway.connected()
    without_water = edited(WATER_AND_GAS, o0_1_24_1_0="", o0_1_96_1_1="", o0_1_24_2_1="")
    gateway.send(without_water)
    await state_of(hass, "sensor.power_tariff", "low", "normal")
    await learn(hass, hass_storage)
    assert hass.states.get("sensor.water_consumption") is None
    gateway.send(edited(WATER_AND_GAS, o0_1_24_2_1="(261112070000W)(00872.199*m3)"))
    await until(lambda: hass.states.get("sensor.water_consumption") is not None)
    await state_of(hass, "sensor.water_consumption", "872.199")


async def test_gas_keeps_its_entity_when_the_channels_change(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(
        hass,
        {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "5B", "time_between_update": 0},
    )
    await gateway.connected()
    gateway.send(
        edited(
            WATER_AND_GAS,
            o0_1_24_2_1="(261112070000W)(00100.000*m3)",
            o0_2_24_2_3="(261112070000W)(02000.000*m3)",
        )
    )
    await state_of(hass, "sensor.gas_consumption", "2000.0")
    await state_of(hass, "sensor.water_consumption", "100.0")
    swapped = edited(
        WATER_AND_GAS,
        o0_1_24_2_1="(261112070500W)(00100.100*m3)",
        o0_2_24_2_3="(261112070500W)(02000.200*m3)",
    )
    text = swapped.decode().replace("0-1:", "0-x:").replace("0-2:", "0-1:").replace("0-x:", "0-2:")
    gateway.send(edited(text.encode()))
    await state_of(hass, "sensor.gas_consumption", "2000.2")
    await state_of(hass, "sensor.water_consumption", "100.1")


async def test_two_gas_meters_have_a_sensor_each_and_a_dead_slot_none(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    am550 = telegram_of("iskra-am550").decode().rpartition("!")[0]
    gateway.send(
        edited(
            (
                f"{am550}0-2:24.1.0(003)\r\n0-2:96.1.0(4731)\r\n"
                "0-2:24.2.1(261112070000W)(00007.000*m3)\r\n"
                "0-3:24.1.0(003)\r\n0-3:96.1.0()\r\n0-3:24.2.1(700101010000W)(00000000)\r\n!0000\r\n"
            ).encode()
        )
    )
    await state_of(hass, "sensor.gas_consumption", "3160.427")
    await until(lambda: hass.states.get("sensor.gas_consumption_2") is not None)
    await state_of(hass, "sensor.gas_consumption_2", "7.0")
    assert hass.states.get("sensor.gas_consumption_3") is None


async def test_a_gas_meter_that_replaces_another_takes_its_sensor(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    am550 = telegram_of("iskra-am550")
    gateway.send(am550)
    await state_of(hass, "sensor.gas_consumption", "3160.427")
    gateway.send(edited(am550, o0_1_96_1_0="(4732)", o0_1_24_2_1="(261112070000W)(00000.012*m3)"))
    await state_of(hass, "sensor.gas_consumption", "0.012")
    assert hass.states.get("sensor.gas_consumption_2") is None


@pytest.mark.parametrize("is_started_anew", [False, True])
async def test_a_gas_meter_that_is_replaced_again_takes_the_sensor_of_the_one_before_it(
    hass: HomeAssistant, gateway: Gateway, *, is_started_anew: bool
) -> None:
    def gas(*readings: str) -> bytes:
        """Return the telegram of gas meters of which each began a year after the one before it."""
        body, _, _ = (
            edited(telegram_of("iskra-am550"), o0_1_24_1_0="", o0_1_96_1_0="", o0_1_24_2_1="")
            .decode()
            .rpartition("!")
        )
        for channel, reading in enumerate(readings, 1):
            body += (
                f"0-{channel}:24.1.0(003)\r\n0-{channel}:96.1.0(473{reading[0]})\r\n"
                f"0-{channel}:24.2.1(2{reading[0]}0101120000W)(0{reading}*m3)\r\n"
            )
        return edited(f"{body}!0000\r\n".encode())

    configuration = {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5}
    await set_up(hass, configuration)
    async with gateway.sending(gas("1000.000")):
        await state_of(hass, "sensor.gas_consumption", "1000.0")
    # For a while the old one is sent beside the new one.
    async with gateway.sending(gas("1000.000", "2005.000")):
        await until(lambda: hass.states.get("sensor.gas_consumption_2") is not None)
        await state_of(hass, "sensor.gas_consumption_2", "2005.0")
    async with gateway.sending(gas("2005.000")):
        await state_of(hass, "sensor.gas_consumption", "unknown")
    if is_started_anew:
        await hass.data[YAML_PORTS]["yaml"].remember()
        await reload(hass, configuration)
    async with gateway.sending(gas("3001.000")):
        await state_of(hass, "sensor.gas_consumption_2", "3001.0")
    assert value_of(hass, "sensor.gas_consumption") == "unknown"


def test_a_meter_that_is_back_is_where_its_unique_ids_were_kept() -> None:
    def contents(*identifiers: str) -> Contents:
        meters = (MBusMeter(MBusType.GAS, identifier, 1) for identifier in identifiers)
        return Contents(frozenset(), tuple(meters))

    roster = Roster("", OTHERS, set(), [], OTHERS.serial)
    # The cable is put into a house with two gas meters, and back.
    for there in ("A",), ("P", "Q"), ("A",):
        assert roster.take(contents(*there))
    assert {(slot.number, slot.identity) for slot in roster.slots} == {(1, "A"), (2, "Q")}


def test_meters_that_are_replaced_at_once_are_replaced_in_their_order() -> None:
    def contents(*identifiers: str) -> Contents:
        meters = (MBusMeter(MBusType.WATER, identifier, 1) for identifier in identifiers)
        return Contents(frozenset(), tuple(meters))

    roster = Roster("", OTHERS, set(), [], OTHERS.serial)
    for there in ("A",), ("A", "B"), ("B", "C"), ("D", "E"):
        assert roster.take(contents(*there))
    assert {(slot.number, slot.identity) for slot in roster.slots} == {(1, "D"), (2, "E")}
    # One of them was there before, and is gone for long.
    assert roster.take(contents("D", "E", "F"))
    assert roster.take(contents("E", "F")) is False
    assert roster.take(contents("G", "H"))
    assert {(slot.number, slot.identity) for slot in roster.slots} == {
        (1, "D"),
        (2, "G"),
        (3, "H"),
    }
    # That one of them is gone is to be remembered, once.
    assert [roster.take(contents("G")) for _ in range(2)] == [True, False]


async def test_a_line_that_nobody_knows_is_kept_by_a_sensor_that_is_disabled(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    am550 = telegram_of("iskra-am550").decode().rpartition("!")[0]
    gateway.send(edited(f"{am550}1-0:142.7.0(00.123*kW)\r\n!0000\r\n".encode()))
    await until(lambda: entity_registry.async_get("sensor.obis_142_7_0") is not None)
    entry = entity_registry.async_get("sensor.obis_142_7_0")
    assert entry
    assert entry.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert hass.data[YAML_PORTS]["yaml"].reader.counters.unreadable_lines == 0


async def test_a_tariff_that_no_specification_knows_is_energy_and_part_of_the_total(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    # As meters in Israel send them.
    am550 = telegram_of("iskra-am550")
    sent = am550.replace(b"1-0:1.8.1(", b"1-0:1.8.11(").replace(b"1-0:1.8.2(", b"1-0:1.8.13(")
    async with gateway.sending(edited(sent)):
        await state_of(hass, "sensor.obis_1_8_11", "4281.573")
        await state_of(hass, "sensor.power_consumption_total", "8197.601")
    state = hass.states.get("sensor.obis_1_8_13")
    assert state
    assert state.state == "3916.028"
    shown = ("device_class", "state_class", "unit_of_measurement")
    assert [state.attributes[name] for name in shown] == ["energy", "total_increasing", "kWh"]


async def test_a_second_electricity_meter_has_its_own_sensors_for_lines_that_nobody_knows(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    am550 = telegram_of("iskra-am550").decode().rpartition("!")[0]
    rows = """0-0:99.50.0(00001.5*kW)
0-4:24.1.0(002)
0-4:96.1.0(4730303332353635)
0-4:24.2.1(261112070000W)(00012.000*kWh)
0-4:99.50.0(00007.5*kW)
!0000
"""
    async with gateway.sending(edited((am550 + rows.replace("\n", "\r\n")).encode())):
        await until(
            lambda: (
                {"sensor.obis_99_50_0", "sensor.obis_99_50_0_electricity"}
                <= entity_registry.entities.keys()
            )
        )


def test_a_line_that_damages_telegrams_without_a_checksum_for_years_adds_few_sensors() -> None:
    roster = Roster("", OTHERS, set(), [], OTHERS.serial)
    decoder = Decoder(VERSIONS["2.2"], UTC, Counters())
    me382 = telegram_of("iskra-me382")

    def comes(telegram: bytes) -> None:
        # What comes twice is believed.
        for _ in range(2):
            roster.take(decoder.decode(telegram, 0).contents)

    for number in range(100, 100 + 3 * MOST_UNKNOWN):
        damaged = me382.replace(b"0:2.7.0", b"0:2.7.%d" % number)
        comes(damaged.replace(b"1:24.4.0", b"1:24.4.%d" % number))
    (gas,) = roster.slots
    assert len(roster.unknown(None)) == len(roster.unknown(gas)) == MOST_UNKNOWN
    assert "2.7.0" not in roster.lines
    comes(me382)
    assert "2.7.0" in roster.lines
    assert "24.4.0" in gas.lines


@pytest.mark.parametrize(
    ("type_", "reading", "shown"),
    [
        ("002", "(00123.456*kWh)", {"second_meter_consumption": "123.456"}),
        ("003", "(00123.456*m3)", {"gas_consumption": "123.456"}),
        ("004", "(00123.456*GJ)", {"heat_consumption": "123.456"}),
        ("012", "(00123.456*m3)", {"heat_consumption": "123.456"}),
        ("006", "(00123.456*m3)", {"water_consumption": "123.456"}),
        ("007", "(00123456*l)", {"water_consumption": "123.456"}),
        ("010", "(00123.456*GJ)", {"cooling_consumption": "123.456"}),
        ("011", "(00123456*MJ)", {"cooling_consumption": "123.456"}),
        ("013", "(00123.456*GJ)", {"cooling_consumption": "123.456"}),
    ],
)
@pytest.mark.parametrize("version", ["4", "5", "5B"])
async def test_a_meter_of_each_type_that_is_paired_later_is_shown_with_all_that_it_says(
    hass: HomeAssistant,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    type_: str,
    reading: str,
    shown: dict[str, str],
) -> None:
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", True)
    models = {"4": "landisgyr-e350", "5": "lithuania-eso", "5B": "fluvius-t211"}
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": version})
    await gateway.connected()
    alone = edited(telegram_of(models[version]), o0_1_24_1_0="", o0_1_96_1_1="", o0_1_24_2_3="")
    gateway.send(alone)
    await state_of(hass, "sensor.smart_meter_connection", "receiving")
    body = alone.rpartition(b"!")[0].decode()
    lines = (
        f"0-2:24.1.0({type_})\r\n0-2:96.1.0(4731)\r\n0-2:24.4.0(1)\r\n"
        f"0-2:24.2.1(261112070000W){reading}\r\n0-2:24.9.9(ABC)\r\n!0000\r\n"
    )
    gateway.send(edited((body + lines).encode()))
    ((name, state),) = shown.items()
    await until(lambda: hass.states.get(f"sensor.{name}") is not None)
    await state_of(hass, f"sensor.{name}", state)
    await hass.async_block_till_done()
    kind = name.rpartition("_")[0]
    assert value_of(hass, f"sensor.{kind}_reading_time").startswith("2026-11-12T")
    positions = {"connected", "open"}
    position = "switch" if type_ == "002" else "valve"
    assert value_of(hass, f"sensor.{kind}_{position}_position") in positions
    (unknown,) = (s for s in hass.states.async_all("sensor") if "obis_24_9_9" in s.entity_id)
    assert unknown.state == "ABC"
