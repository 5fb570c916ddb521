"""Config entries: those of the built-in `dsmr` go on as if nothing had happened, and back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
import re
from typing import Any, NamedTuple
from unittest.mock import patch

from homeassistant import loader
from homeassistant.config_entries import (
    HANDLERS,
    ConfigEntry,
    ConfigEntryDisabler,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, translation
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.dsmr import async_remove_config_entry_device
from custom_components.dsmr.framing import RFXtrxPackets
from custom_components.dsmr.maker import described
from custom_components.dsmr.reader import QUEUE_SIZE
from custom_components.dsmr.reading import DSMRSensor
from custom_components.dsmr.sensor import LEARNING

from .clock import passed, run
from .line import URL, Line, Reading
from .parts import Gateway, SerialLine, edited, state_of, telegram_of, until, value_of

with patch.dict(HANDLERS):
    # Importing it puts it in the place of ours, in which it shall be in these tests alone.
    from homeassistant.components.dsmr.config_flow import DSMRFlowHandler

AM550 = telegram_of("iskra-am550")
WATER_AND_GAS = telegram_of("fluvius-water-gas")
SERIAL = "4530303534303031323334353030303233"
GAS = "4730303839303031323334353030303233"

# Where the built-in looks for the meter's identifier; the rest have none for it.
_IDENTIFIERS = {
    "2.2": "96.1.1",
    "4": "96.1.1",
    "5": "96.1.1",
    "5B": "96.1.1",
    "5EONHU": "42.0.0",
    "Q3D": "0.0.0",
}


def entry_for(version: str, telegram: bytes, **data: Any) -> MockConfigEntry:
    """Return the config entry that the built-in makes of a telegram."""
    text = telegram.decode("latin-1")

    def identifier(reference: str | None) -> str | None:
        found = re.search(rf"^\d-\d:{reference}(?:\*255)?\((\w+)\)", text, re.MULTILINE)
        return found[1] if reference and found else None

    serial = identifier(_IDENTIFIERS.get(version))
    return MockConfigEntry(
        domain="dsmr",
        version=1,
        unique_id=serial,
        title="/dev/ttyUSB0",
        data={
            "dsmr_version": version,
            "protocol": "dsmr_protocol",
            "serial_id": serial,
            "serial_id_gas": identifier(r"96\.1\.0"),
            **data,
        },
        options={"time_between_update": 0},
    )


async def set_up_entry(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up a config entry."""
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


class Seen(NamedTuple):
    """What a person and a history know of an entity."""

    entity_id: str
    name: str | None
    device: frozenset[tuple[str, str]]
    device_name: str | None
    disabled: bool


def entities_of(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Seen]:
    """Return the entities of a config entry by their unique ids."""
    devices, entities = dr.async_get(hass), er.async_get(hass)
    seen = {}
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        device = devices.async_get(entity.device_id or "")
        assert device
        seen[entity.unique_id] = Seen(
            entity.entity_id,
            entity.original_name,
            frozenset(device.identifiers),
            device.name,
            entity.disabled,
        )
    return seen


@asynccontextmanager
async def built_in(hass: HomeAssistant, entry: ConfigEntry) -> AsyncIterator[None]:
    """Have the built-in in place of ours, and nothing of either left in between."""

    def forget() -> None:
        for parts in (hass.data[loader.DATA_INTEGRATIONS], hass.data[loader.DATA_COMPONENTS]):
            for name in [name for name in parts if name.split(".")[0] == "dsmr"]:
                del parts[name]
        hass.config.components -= {"dsmr", "sensor.dsmr", "dsmr.sensor"}
        # The tests of one session share what was read of them.
        texts = translation._async_get_translations_cache(hass).cache_data
        for known in texts.loaded.values():
            known.discard("dsmr")
        for language in texts.cache.values():
            for category in language.values():
                category.pop("dsmr", None)

    ours = hass.data[loader.DATA_CUSTOM_COMPONENTS]
    forget()
    hass.data[loader.DATA_CUSTOM_COMPONENTS] = {}
    try:
        with patch.dict(HANDLERS, {"dsmr": DSMRFlowHandler}):
            assert (await loader.async_get_integration(hass, "dsmr")).is_built_in
            yield
    finally:
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)
        forget()
        hass.data[loader.DATA_CUSTOM_COMPONENTS] = ours
    assert not (await loader.async_get_integration(hass, "dsmr")).is_built_in


@pytest.mark.logs("Unexpected error in .*(show|_told)")
async def test_a_sensor_that_can_not_show_its_value_costs_the_others_nothing(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def show(sensor: DSMRSensor, reading: Any) -> None:
        if sensor.entity_description.key == "current_electricity_usage":
            raise ZeroDivisionError
        told(sensor, reading)

    told = DSMRSensor.show
    monkeypatch.setattr(DSMRSensor, "show", show)
    telegram = telegram_of("iskra-am550")
    port = f"socket://127.0.0.1:{gateway.port}"
    await set_up_entry(hass, entry_for("5", telegram, port=port))
    await gateway.connected()
    gateway.send(telegram)
    await state_of(hass, "sensor.electricity_meter_power_production", "0.0")
    await state_of(hass, "sensor.electricity_meter_connection", "receiving")


METERS = pytest.mark.parametrize(
    ("version", "model"),
    [
        ("2.2", "iskra-me382"),
        ("2.2", "kamstrup-382"),
        ("4", "kaifa-e0026-v42"),
        ("4", "landisgyr-e350"),
        ("5", "iskra-am550"),
        ("5", "sagemcom-xs210"),
        ("5B", "fluvius-t211"),
        ("5B", "fluvius-water-gas"),
        ("5S", "aidon-6534"),
        ("Q3D", "easymeter-q3d"),
        ("5EONHU", "sagemcom-hungary"),
    ],
)


@METERS
async def test_what_the_built_in_stored_goes_on_and_back(
    hass: HomeAssistant, serial_line: SerialLine, version: str, model: str
) -> None:
    telegram = telegram_of(model)
    entry = entry_for(version, telegram, port=str(serial_line.device))
    await loader.async_get_custom_components(hass)
    async with built_in(hass, entry), serial_line.sending(telegram):
        await set_up_entry(hass, entry)
        await until(lambda: bool(entities_of(hass, entry)))
        await hass.async_block_till_done()
        before = entities_of(hass, entry)
    stored = dict(entry.data)

    # A pseudo-terminal can't be set to seven bits twice.
    serial_line.unplug()
    serial_line.plug_in()
    async with serial_line.sending(telegram):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: not unavailable(hass, before))
        await hass.async_block_till_done()
        ours = entities_of(hass, entry)
        assert {unique_id: ours[unique_id] for unique_id in before} == before
        await hass.config_entries.async_unload(entry.entry_id)
    assert entry.data == stored
    assert entry.version == 1

    serial_line.unplug()
    serial_line.plug_in()
    async with built_in(hass, entry), serial_line.sending(telegram):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: not unavailable(hass, before))
        again = entities_of(hass, entry)
    assert {unique_id: again[unique_id] for unique_id in before} == before


def unavailable(hass: HomeAssistant, entities: dict[str, Seen]) -> set[str]:
    """Return which enabled entities show nothing."""
    found = {seen.entity_id: hass.states.get(seen.entity_id) for seen in entities.values()}
    return {
        seen.entity_id
        for seen in entities.values()
        if not seen.disabled
        and ((state := found[seen.entity_id]) is None or state.state == "unavailable")
    }


async def test_an_entry_shows_its_meter_and_lets_go_of_the_port(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    assert value_of(hass, "sensor.electricity_meter_active_tariff") == "normal"
    assert await hass.config_entries.async_unload(entry.entry_id)
    await gateway.disconnected()
    assert value_of(hass, "sensor.electricity_meter_active_tariff") == "unavailable"


async def test_an_old_entry_with_host_and_port_apart_is_read(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, host="127.0.0.1", port=gateway.port)
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    assert entry.data["host"] == "127.0.0.1"


@pytest.mark.logs("Error setting up entry .* for dsmr: ")
async def test_a_version_that_nobody_knows_is_an_error_that_says_so(hass: HomeAssistant) -> None:
    entry = entry_for("9", AM550, port="/dev/ttyUSB0")
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "unknown_version"


async def test_a_meter_says_who_made_it(
    hass: HomeAssistant, gateway: Gateway, device_registry: dr.DeviceRegistry
) -> None:
    entry = entry_for("5B", WATER_AND_GAS, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(WATER_AND_GAS)
    await until(lambda: hass.states.get("sensor.gas_meter_gas_consumption") is not None)
    found = {
        device.name: device
        for device in dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    }
    electricity = found["Electricity Meter"]
    assert electricity.serial_number == "1SAG3112345001"
    assert electricity.manufacturer == "Sagemcom"
    assert electricity.model == "53769484_A"
    assert electricity.sw_version == "DSMR 5B (Belgium)"
    gas = found["Gas Meter"]
    assert gas.serial_number == "7FLO2112345001"
    assert gas.manufacturer == "Flonidan"
    assert gas.via_device_id == found["Water Meter"].via_device_id == electricity.id


def test_a_header_that_is_the_identifier_is_no_model() -> None:
    assert described("5A414246303031323334", "KMP5 ZABF001234") == {
        "manufacturer": "Kamstrup",
        "serial_number": "ZABF001234",
    }


@pytest.mark.parametrize("has_more", [False, True])
async def test_the_oldest_unique_ids_become_those_of_today(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry, *, has_more: bool
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    entry.add_to_hass(hass)
    old_device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("dsmr", entry.entry_id)}, name="Gas Meter"
    )
    for object_id, unique_id, device in (
        ("power", f"{SERIAL}_Power_Consumption", None),
        ("sags", f"{SERIAL}_Voltage_Sags_Phase_L2", None),
        ("total", f"{SERIAL}_Energy_Consumption_(tarif_1)", None),
        ("gas", f"{entry.entry_id}_Gas_Consumption", old_device.id),
    ):
        entity_registry.async_get_or_create(
            "sensor",
            "dsmr",
            unique_id,
            suggested_object_id=object_id,
            config_entry=entry,
            device_id=device,
        )
    if has_more:
        entity_registry.async_get_or_create(
            "sensor", "dsmr", "more", config_entry=entry, device_id=old_device.id
        )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas", "3160.427")
    for entity_id, unique_id in (
        ("sensor.power", f"{SERIAL}_current_electricity_usage"),
        ("sensor.sags", f"{SERIAL}_voltage_sag_l2_count"),
        ("sensor.total", f"{SERIAL}_electricity_used_tariff_1"),
        ("sensor.gas", GAS),
    ):
        entity = entity_registry.async_get(entity_id)
        assert entity
        assert entity.unique_id == unique_id
    assert (dr.async_get(hass).async_get(old_device.id) is None) is not has_more


async def test_an_oldest_unique_id_that_has_become_that_of_another_entity_costs_no_set_up(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    entry.add_to_hass(hass)
    left, shown = (
        entity_registry.async_get_or_create(
            "sensor", "dsmr", f"{SERIAL}_{name}", config_entry=entry
        ).entity_id
        for name in ("Power_Consumption", "current_electricity_usage")
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    async with gateway.sending(AM550):
        await state_of(hass, shown, "0.461")
    # Which of them has the history, a person knows.
    assert entity_registry.async_get(left)


@pytest.mark.logs("No telegrams from /dev/no-such-port: .*there is no such port")
@pytest.mark.parametrize(
    ("version", "key"),
    [("2.2", "gas_meter_reading"), ("4", "hourly_gas_meter_reading"), ("Q3D", "Gas_Consumption")],
)
async def test_the_oldest_gas_id_is_made_of_what_its_version_sends(
    hass: HomeAssistant, entity_registry: er.EntityRegistry, version: str, key: str
) -> None:
    entry = entry_for(version, AM550, port="/dev/no-such-port")
    entry.add_to_hass(hass)
    entity = entity_registry.async_get_or_create(
        "sensor", "dsmr", f"{GAS}_Gas_Consumption", config_entry=entry
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: bool(entry.runtime_data.reader.cause))
    found = entity_registry.async_get(entity.entity_id)
    assert found
    assert found.unique_id == f"{GAS}_{key}"


async def test_a_gas_meter_that_replaces_another_takes_its_entity_and_device(
    hass: HomeAssistant,
    gateway: Gateway,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    device = device_registry.async_get_device_by_identifier(("dsmr", GAS), entry.entry_id)
    replaced = edited(AM550, o0_1_96_1_0="(4732)", o0_1_24_2_1="(261112070000W)(00000.012*m3)")
    gateway.send(replaced)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "0.012")
    gas = entity_registry.async_get("sensor.gas_meter_gas_consumption")
    assert gas
    assert device
    assert (gas.unique_id, gas.device_id) == ("4732", device.id)
    assert entity_registry.async_get_entity_id("sensor", "dsmr", "4732_hourly_gas_consumption")
    renamed = device_registry.async_get(device.id)
    assert renamed
    assert renamed.identifiers == {("dsmr", "4732")}
    # Also with another entity id …
    entity_registry.async_update_entity(gas.entity_id, new_entity_id="sensor.our_gas")
    await state_of(hass, "sensor.our_gas", "0.012")
    gas = entity_registry.async_get("sensor.our_gas")
    assert gas
    assert gas.device_id == device.id
    # … after the next start, and when the old one comes back.
    await hass.config_entries.async_reload(entry.entry_id)
    await gateway.connected()
    gateway.send(replaced)
    await state_of(hass, "sensor.our_gas", "0.012")
    gateway.send(edited(AM550, o0_1_24_2_1="(261112080000W)(03161.000*m3)"))
    await state_of(hass, "sensor.our_gas", "3161.0")
    assert entities_of(hass, entry)[GAS].entity_id == "sensor.our_gas"


async def test_a_gas_meter_that_was_replaced_and_is_sent_on_is_another_device(
    hass: HomeAssistant,
    gateway: Gateway,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    def both(time: str, gas: str) -> bytes:
        # The old one is on the first channel, and the built-in took its identifier.
        text = edited(kaifa, o0_1_24_2_1="(170221100000W)(01000.000*m3)").decode()
        new = f"0-2:24.1.0(003)\r\n0-2:96.1.0(4732)\r\n0-2:24.2.1({time})({gas}*m3)\r\n!"
        return edited(text.replace("!", new).encode())

    kaifa = telegram_of("kaifa-e0026-v42")
    entry = entry_for(
        "4", both("261112070000W", "02000.000"), port=f"socket://127.0.0.1:{gateway.port}"
    )
    gas = entry.data["serial_id_gas"]
    entry.add_to_hass(hass)
    built_in_made = entity_registry.async_get_or_create(
        "sensor", "dsmr", f"{gas}_hourly_gas_meter_reading", config_entry=entry
    )
    entity_registry.async_update_entity(built_in_made.entity_id, new_entity_id="sensor.our_gas")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await gateway.connected()
    gateway.send(both("261112070000W", "02000.000"))
    await state_of(hass, "sensor.our_gas", "2000.0")
    gateway.send(both("261112080000W", "02001.200"))
    await state_of(hass, "sensor.our_gas", "2001.2")
    assert value_of(hass, "sensor.gas_meter_hourly_gas_consumption") == "1.2"
    assert value_of(hass, "sensor.gas_meter_gas_consumption") == "1000.0"
    assert value_of(hass, "sensor.gas_meter_hourly_gas_consumption_2") == "unknown"
    for serial in (gas, f"{gas}_meter_2"):
        assert device_registry.async_get_device_by_identifier(("dsmr", serial), entry.entry_id)


def entries_at(*gateways: Gateway, versions: Sequence[str] = "55") -> list[MockConfigEntry]:
    """Return an entry for each gateway, of the same gas meter and of other electricity meters."""
    return [
        entry_for(version, AM550, port=f"socket://127.0.0.1:{gateway.port}", serial_id=str(number))
        for number, (gateway, version) in enumerate(zip(gateways, versions, strict=False))
    ]


# The built-in makes the ids of the gas meter of DSMR 4 another way.
of_versions = pytest.mark.parametrize("versions", ["55", "44", "45", "54"])


async def test_entries_whose_gateways_were_swapped_read_on_under_the_ids_they_have(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    gateways = (gateway, second_gateway)
    entries = entries_at(*gateways)
    for entry, its_gateway in zip(entries, gateways, strict=True):
        await set_up_entry(hass, entry)
        await its_gateway.connected()
    sensors = ("sensor.gas_meter_gas_consumption", "sensor.gas_meter_gas_consumption_2")
    identifiers = (f"({GAS})", "(4732)")
    made = []
    # They are swapped, and back, and again; each telegram is of a meter that counts on.
    for turn, order in enumerate([(0, 1), (0, 1), (1, 0), (1, 0), (0, 1), (1, 0)], 1):
        for place, (its_gateway, meter) in enumerate(zip(gateways, order, strict=True)):
            reading = f"(261112{turn:02}0000W)(0{meter}000.{turn:03}*m3)"
            sent = edited(AM550, o0_1_96_1_0=identifiers[meter], o0_1_24_2_1=reading)
            its_gateway.send(sent)
            await state_of(hass, sensors[place], f"{meter * 1000 + turn / 1000}")
            await hass.async_block_till_done()
        made.append([entities_of(hass, entry).keys() for entry in entries])
    assert all(entities == made[0] for entities in made[1:])
    assert [entry.runtime_data.reader.counters.errors for entry in entries] == [0, 0]


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(0, 1), (1, 0), (1, 0), (0, 1), (0, 1)], id="two adapters are swapped"),
        pytest.param(
            [(0, 1), (1, None), (1, None), (0, 1), (0, 1)], id="one is carried to the other's meter"
        ),
    ],
)
async def test_gas_stays_with_its_port_at_each_start_after_cables_were_swapped_and_back(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    places: list[tuple[int, int | None]],
) -> None:
    gateways = (gateway, second_gateway)
    entries = entries_at(*gateways)
    for entry in entries:
        await set_up_entry(hass, entry)
    sensors = ("sensor.gas_meter_gas_consumption", "sensor.gas_meter_gas_consumption_2")
    identifiers = (f"({GAS})", "(4732)")
    made = []
    for start, meters in enumerate(places, 1):
        for its_gateway, meter, sensor in zip(gateways, meters, sensors, strict=True):
            await its_gateway.connected()
            if meter is None:
                assert value_of(hass, sensor) == "unavailable"
                continue
            reading = f"(261112{start:02}0000W)(0{meter}000.{start:03}*m3)"
            its_gateway.send(edited(AM550, o0_1_96_1_0=identifiers[meter], o0_1_24_2_1=reading))
            await state_of(hass, sensor, f"{meter * 1000 + start / 1000}")
            await hass.async_block_till_done()
        made.append([entities_of(hass, entry) for entry in entries])
        for entry in entries:
            await entry.runtime_data.remember()
            assert await hass.config_entries.async_unload(entry.entry_id)
        for entry in entries:
            assert await hass.config_entries.async_setup(entry.entry_id)
    assert all(entities == made[0] for entities in made[1:])


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
async def test_ids_of_gas_that_are_free_again_are_the_same_after_the_next_start(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    other = edited(AM550, o0_1_96_1_0="(4732)", o0_1_24_2_1="(261112060000W)(00006.000*m3)")
    gateways = (gateway, second_gateway)
    entry, swapped = entries_at(*gateways)
    for each in (entry, swapped):
        await set_up_entry(hass, each)
    for first, second in ((AM550, other), (other, AM550)):
        for its_gateway, sent in zip(gateways, (first, second), strict=True):
            await its_gateway.connected()
            its_gateway.send(sent)
        shown = "6.0" if first is other else "3160.427"
        await state_of(hass, "sensor.gas_meter_gas_consumption", shown)
        await hass.async_block_till_done()
    stored = hass_storage[f"dsmr.{entry.entry_id}"]["data"]
    assert [keeps for *_, keeps in stored["slots"]] == [GAS]
    await hass.config_entries.async_remove(swapped.entry_id)
    async with gateway.sending(other):
        gateway.drop()
        await until(lambda: hass_storage[f"dsmr.{entry.entry_id}"]["data"]["slots"][0][4] == "")
        before = entities_of(hass, entry)
        assert await hass.config_entries.async_reload(entry.entry_id)
        await state_of(hass, "sensor.gas_meter_gas_consumption", "6.0")
    await hass.async_block_till_done()
    assert entities_of(hass, entry) == before


WITHOUT_GAS = edited(AM550, o0_1_24_1_0="", o0_1_96_1_0="", o0_1_24_2_1="")


async def test_a_gas_meter_that_an_entry_has_left_goes_on_in_the_one_that_is_added_for_it(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    entity_registry: er.EntityRegistry,
    hass_storage: dict[str, Any],
) -> None:
    old, new = (f"socket://127.0.0.1:{each.port}" for each in (gateway, second_gateway))
    entry = entry_for("5", AM550, port=old)
    added = entry_for("5", AM550, port=old, serial_id="added")
    async with gateway.sending(AM550), second_gateway.sending(WITHOUT_GAS):
        await set_up_entry(hass, entry)
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
        entity_registry.async_update_entity(
            "sensor.gas_meter_gas_consumption", new_entity_id="sensor.our_gas"
        )
        await hass.async_block_till_done()
        # It moves to a meter without gas.
        hass.config_entries.async_update_entry(entry, data={**entry.data, "port": new})
        await hass.config_entries.async_reload(entry.entry_id)
        await state_of(hass, "sensor.our_gas", "unknown")
        await set_up_entry(hass, added)
        await state_of(hass, "sensor.our_gas", "3160.427")
        await until(lambda: not hass_storage[f"dsmr.{entry.entry_id}"]["data"]["slots"])
        for each in (entry, added):
            await hass.config_entries.async_reload(each.entry_id)
        await state_of(hass, "sensor.our_gas", "3160.427")
    assert entities_of(hass, added)[GAS].entity_id == "sensor.our_gas"
    left = entities_of(hass, entry).values()
    assert not [seen for seen in left if seen.device_name == "Gas Meter"]


async def test_gas_is_as_it_was_after_two_cables_were_swapped_by_mistake_whichever_is_read_first(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    entries = entries_at(gateway, second_gateway)
    for entry in entries:
        await set_up_entry(hass, entry)
    power = "sensor.electricity_meter_power_consumption"
    made = []
    # One of the houses has no gas.
    for first, second in ((AM550, WITHOUT_GAS), (WITHOUT_GAS, AM550), (AM550, WITHOUT_GAS)):
        async with gateway.sending(first):
            await state_of(hass, power, "0.461")
            await hass.async_block_till_done()
            async with second_gateway.sending(second):
                await state_of(hass, f"{power}_2", "0.461")
                await hass.async_block_till_done()
                async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=LEARNING + 1))
                await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
                await hass.async_block_till_done()
        made.append([entities_of(hass, entry) for entry in entries])
        for entry in entries:
            await entry.runtime_data.remember()
            await hass.config_entries.async_unload(entry.entry_id)
        for entry in entries:
            await hass.config_entries.async_setup(entry.entry_id)
    assert made[2] == made[0]


@of_versions
async def test_a_gas_meter_that_two_entries_read_is_shown_by_both_until_one_is_removed(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway, versions: str
) -> None:
    entries = entries_at(gateway, second_gateway, versions=versions)
    sensors = ("sensor.gas_meter_gas_consumption", "sensor.gas_meter_gas_consumption_2")
    async with gateway.sending(AM550), second_gateway.sending(AM550):
        await set_up_entry(hass, entries[0])
        await state_of(hass, sensors[0], "3160.427")
        await set_up_entry(hass, entries[1])
        await state_of(hass, sensors[1], "3160.427")
        for entry in entries:
            await entry.runtime_data.remember()
        made = [entities_of(hass, entry) for entry in entries]
        assert [unique_id for unique_id in made[1] if unique_id.startswith(f"{GAS}_1_")]
        for entry in entries:
            await hass.config_entries.async_reload(entry.entry_id)
        for sensor in sensors:
            await state_of(hass, sensor, "3160.427")
        assert [entities_of(hass, entry) for entry in entries] == made
        await hass.config_entries.async_remove(entries[0].entry_id)
        await hass.config_entries.async_reload(entries[1].entry_id)
        await state_of(hass, sensors[1], "3160.427")
        its_id = GAS if versions[1] == "5" else f"{GAS}_hourly_gas_meter_reading"
        assert entities_of(hass, entries[1])[its_id].entity_id == sensors[1]


@of_versions
async def test_an_entry_that_is_enabled_again_has_the_gas_that_it_had_though_another_reads_it_too(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway, versions: str
) -> None:
    entries = entries_at(gateway, second_gateway, versions=versions)
    sensors = ("sensor.gas_meter_gas_consumption", "sensor.gas_meter_gas_consumption_2")
    async with gateway.sending(AM550), second_gateway.sending(AM550):
        await set_up_entry(hass, entries[0])
        await state_of(hass, sensors[0], "3160.427")
        made = entities_of(hass, entries[0])
        await hass.config_entries.async_set_disabled_by(
            entries[0].entry_id, ConfigEntryDisabler.USER
        )
        await set_up_entry(hass, entries[1])
        await state_of(hass, sensors[1], "3160.427")
        await hass.config_entries.async_set_disabled_by(entries[0].entry_id, None)
        for sensor in sensors:
            await state_of(hass, sensor, "3160.427")
    assert entities_of(hass, entries[0]) == made


OTHER_GAS = edited(AM550, o0_1_96_1_0="(4731)", o0_1_24_2_1="(261112060000W)(00006.000*m3)")


async def set_up_both(hass: HomeAssistant, first: MockConfigEntry, second: MockConfigEntry) -> None:
    """Let an entry have its gas sensor, and then one whose meter is another one."""
    await set_up_entry(hass, first)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    await set_up_entry(hass, second)
    await state_of(hass, "sensor.gas_meter_gas_consumption_2", "6.0")


async def test_a_gas_meter_that_is_back_beside_the_one_that_took_its_sensor_has_one_of_its_own(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    entries = entries_at(gateway, second_gateway)
    async with gateway.sending(AM550), second_gateway.sending(OTHER_GAS):
        await set_up_both(hass, *entries)
    async with gateway.sending(OTHER_GAS):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "6.0")
    async with gateway.sending(with_gas(AM550)):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "7.0")
        await state_of(hass, "sensor.gas_meter_gas_consumption_3", "3160.427")
        # It stays so where the ids that the first one would have are free again.
        await hass.config_entries.async_remove(entries[1].entry_id)
        assert await hass.config_entries.async_reload(entries[0].entry_id)
        await state_of(hass, "sensor.gas_meter_gas_consumption", "7.0")
        await state_of(hass, "sensor.gas_meter_gas_consumption_3", "3160.427")


async def test_each_of_two_gas_meters_of_which_other_entries_have_the_ids_has_its_own(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    async with Gateway() as third, gateway.sending(AM550), second_gateway.sending(OTHER_GAS):
        *others, entry = entries_at(gateway, second_gateway, third, versions="555")
        await set_up_both(hass, *others)
        # It reads the first one's meter, then the second one's, then both.
        async with third.sending(AM550):
            await set_up_entry(hass, entry)
            await state_of(hass, "sensor.gas_meter_gas_consumption_3", "3160.427")
        async with third.sending(OTHER_GAS):
            await state_of(hass, "sensor.gas_meter_gas_consumption_3", "6.0")
        async with third.sending(with_gas(AM550)):
            await state_of(hass, "sensor.gas_meter_gas_consumption_3", "7.0")
            await state_of(hass, "sensor.gas_meter_gas_consumption_4", "3160.427")


async def test_a_gas_meter_that_the_built_in_met_first_is_shown_under_what_it_made(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    entry = entry_for("5", AM550, port=str(serial_line.device))
    await loader.async_get_custom_components(hass)
    async with serial_line.sending(AM550):
        await set_up_entry(hass, entry)
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
        await hass.config_entries.async_unload(entry.entry_id)
    replaced = edited(AM550, o0_1_96_1_0="(4732)", o0_1_24_2_1="(261112070000W)(00005.000*m3)")
    serial_line.unplug()
    serial_line.plug_in()
    async with built_in(hass, entry), serial_line.sending(replaced):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: "4732" in entities_of(hass, entry))
        await hass.async_block_till_done()
        made = entities_of(hass, entry)["4732"]
    serial_line.unplug()
    serial_line.plug_in()
    async with serial_line.sending(replaced):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await state_of(hass, made.entity_id, "5.0")
        await hass.async_block_till_done()
        # The old meter's one shows nothing of the new one.
        assert value_of(hass, "sensor.gas_meter_gas_consumption") == "unavailable"
        assert entities_of(hass, entry)["4732"] == made
        assert entry.runtime_data.reader.counters.errors == 0
        await hass.config_entries.async_unload(entry.entry_id)


async def test_a_meter_that_is_gone_can_be_removed_and_one_that_is_there_can_not(
    hass: HomeAssistant, gateway: Gateway, device_registry: dr.DeviceRegistry
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    gas = device_registry.async_get_device_by_identifier(("dsmr", GAS), entry.entry_id)
    electricity = device_registry.async_get_device_by_identifier(("dsmr", SERIAL), entry.entry_id)
    assert gas
    assert electricity
    assert not await async_remove_config_entry_device(hass, entry, electricity)
    assert not await async_remove_config_entry_device(hass, entry, gas)

    gateway.send(WITHOUT_GAS)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "unknown")
    assert await async_remove_config_entry_device(hass, entry, gas)
    device_registry.async_remove_device(gas.id)
    await hass.async_block_till_done()
    assert hass.states.get("sensor.gas_meter_gas_consumption") is None
    # It was no error: the meter is back.
    gateway.send(AM550)
    await until(lambda: hass.states.get("sensor.gas_meter_gas_consumption") is not None)


async def test_the_device_of_a_meter_can_be_removed_while_its_entry_is_disabled(
    hass: HomeAssistant, gateway: Gateway, device_registry: dr.DeviceRegistry
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
        await hass.async_block_till_done()
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    gas = device_registry.async_get_device_by_identifier(("dsmr", GAS), entry.entry_id)
    electricity = device_registry.async_get_device_by_identifier(("dsmr", SERIAL), entry.entry_id)
    assert gas
    assert electricity
    assert not await async_remove_config_entry_device(hass, entry, electricity)
    assert await async_remove_config_entry_device(hass, entry, gas)
    device_registry.async_remove_device(gas.id)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    assert hass.states.get("sensor.gas_meter_gas_consumption") is None
    assert value_of(hass, "sensor.electricity_meter_power_consumption") == "unavailable"


async def test_what_was_learnt_of_an_entry_goes_with_it(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(AM550)
    await until(lambda: f"dsmr.{entry.entry_id}" in hass_storage)
    await hass.config_entries.async_remove(entry.entry_id)
    assert f"dsmr.{entry.entry_id}" not in hass_storage


async def test_when_home_assistant_was_busy_the_newest_is_shown_and_no_more_than_a_minute_kept(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    entry = entry_for("5", AM550, port=URL)
    await set_up_entry(hass, entry)
    line.send(AM550 * 99 + edited(AM550, o1_0_1_7_0="(00.777*kW)"))
    assert entry.runtime_data.reader.counters.dropped == 100 - QUEUE_SIZE
    await state_of(hass, "sensor.electricity_meter_power_consumption", "0.777")


def packets(telegram: bytes) -> bytes:
    """Return a telegram as an RFXtrx receiver passes it on, among what other devices send."""
    other = bytes.fromhex("0a520102ce0300f6290369")
    pieces = [telegram[at : at + 60] for at in range(0, len(telegram), 60)]
    return other.join(
        bytes([len(piece) + 3, 0x62, 0x01, number]) + piece for number, piece in enumerate(pieces)
    )


async def test_a_meter_at_an_rfxtrx_receiver_is_read(hass: HomeAssistant, gateway: Gateway) -> None:
    port = f"socket://127.0.0.1:{gateway.port}"
    entry = entry_for("5", AM550, port=port, protocol="rfxtrx_dsmr_protocol")
    await set_up_entry(hass, entry)
    await gateway.connected()
    # It began to listen in the middle of a packet, and what comes is cut anywhere.
    stream = packets(AM550)[100:] + packets(AM550)
    for at in range(0, len(stream), 37):
        gateway.send(stream[at : at + 37])
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    assert entry.runtime_data.reader.counters.checksum_failures == 0


def test_each_piece_of_a_packet_is_passed_on_as_soon_as_its_packet_is_there() -> None:
    stream = packets(AM550)
    receiver = RFXtrxPackets()
    assert b"".join(receiver.feed(stream[at : at + 1]) for at in range(len(stream))) == AM550
    receiver.feed(stream[:30])
    receiver.clear()
    assert receiver.feed(stream) == AM550


def test_what_other_devices_send_takes_no_memory() -> None:
    receiver = RFXtrxPackets()
    for _ in range(100):
        receiver.feed(bytes.fromhex("0a520102ce0300f6290369") * 100)
    assert len(receiver._buffer) < 256


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_half_a_packet_before_a_loss_costs_no_telegram_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)

    async def test() -> None:
        async with Reading(rfxtrx=True) as reading:
            line.send(packets(AM550)[:30])
            line.lose()
            await passed(1)
            line.send(packets(AM550))
            assert reading.counters.telegrams == 1

    run(test())


async def test_a_sensor_keeps_the_unit_of_its_meter_when_a_person_renames_it(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    heat = edited(telegram_of("warmtelink-kamstrup"), o0_1_24_2_1="(260127083516W)(63.272*kWh)")
    entry = entry_for("5", heat, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    async with gateway.sending(heat):
        await state_of(hass, "sensor.heat_meter_energy", "63.272")
        entity_registry.async_update_entity(
            "sensor.heat_meter_energy", new_entity_id="sensor.warmth"
        )
        await state_of(hass, "sensor.warmth", "63.272")
    state = hass.states.get("sensor.warmth")
    assert state
    assert state.attributes["unit_of_measurement"] == "kWh"


async def test_what_the_built_in_had_is_there_while_the_port_is_not(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    entry.add_to_hass(hass)
    ids = (f"{SERIAL}_current_electricity_usage", f"{SERIAL}_voltage_sag_l1_count", GAS)
    had = [
        entity_registry.async_get_or_create("sensor", "dsmr", unique_id, config_entry=entry)
        for unique_id in ids
    ]
    assert await hass.config_entries.async_setup(entry.entry_id)
    for entity in had:
        state = hass.states.get(entity.entity_id)
        assert state
        assert (state.state, state.attributes.get("restored")) == ("unavailable", None)
    async with gateway.sending(AM550):
        await state_of(hass, had[2].entity_id, "3160.427")
        assert {e.unique_id for e in had} < entities_of(hass, entry).keys()


IN_PLACE_OF_GAS = "303030304B414D363435343632"


def house_with(type_: str, reading: str) -> bytes:
    """Return the telegram of a house with another M-Bus meter in the place of the gas meter."""
    return edited(
        AM550,
        o0_1_24_1_0=f"({type_})",
        o0_1_96_1_0=f"({IN_PLACE_OF_GAS})",
        o0_1_24_2_1=f"(230227190235W)({reading})",
    )


def with_gas(telegram: bytes) -> bytes:
    """Return the telegram of a house that has a gas meter too."""
    gas = (
        b"0-2:24.1.0(003)\r\n0-2:96.1.0(4731)\r\n"
        b"0-2:24.2.1(261112070000W)(00007.000*m3)\r\n!0000\r\n"
    )
    return edited(telegram.rpartition(b"!")[0] + gas)


@pytest.mark.parametrize("is_said", [True, False])
@pytest.mark.parametrize(
    ("type_", "reading", "device", "device_class"),
    [
        ("004", "84.108*GJ", "Heat Meter", "energy"),
        ("012", "84.108*GJ", "Heat Meter", "energy"),
        ("007", "00084.108*m3", "Water Meter", "water"),
    ],
)
async def test_a_meter_that_the_built_in_took_for_the_gas_meter_goes_on_as_what_it_is(
    hass: HomeAssistant,
    gateway: Gateway,
    entity_registry: er.EntityRegistry,
    type_: str,
    reading: str,
    device: str,
    device_class: str,
    *,
    is_said: bool,
) -> None:
    telegram = house_with(type_, reading)
    entry = entry_for("5", telegram, port=f"socket://127.0.0.1:{gateway.port}")
    assert entry.data["serial_id_gas"] == IN_PLACE_OF_GAS
    entry.add_to_hass(hass)
    entity_id = entity_registry.async_get_or_create(
        "sensor",
        "dsmr",
        IN_PLACE_OF_GAS,
        config_entry=entry,
        original_device_class=device_class if is_said else None,
    ).entity_id

    def seen() -> tuple[str, str]:
        state = hass.states.get(entity_id)
        assert state
        return state.state, state.attributes["device_class"]

    assert await hass.config_entries.async_setup(entry.entry_id)
    # Where the registry does not say it, the first telegram does.
    assert seen() == ("unavailable", device_class if is_said else "gas")
    async with gateway.sending(telegram):
        await state_of(hass, entity_id, "84.108")
        assert seen() == ("84.108", device_class)
        assert entities_of(hass, entry)[IN_PLACE_OF_GAS].device_name == device
        assert [slot.type for slot in entry.runtime_data.roster.slots] == [int(type_)]
        # And so it is after the next start.
        await hass.config_entries.async_reload(entry.entry_id)
        await state_of(hass, entity_id, "84.108")
        assert seen() == ("84.108", device_class)


async def test_a_heat_meter_that_the_built_in_shows_as_gas_goes_on_and_back(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    telegram = house_with("012", "84.108*GJ")
    entry = entry_for("4", telegram, port=str(serial_line.device))
    unique_id = f"{IN_PLACE_OF_GAS}_hourly_gas_meter_reading"
    await loader.async_get_custom_components(hass)
    async with built_in(hass, entry), serial_line.sending(telegram):
        await set_up_entry(hass, entry)
        await until(lambda: unique_id in entities_of(hass, entry))
        await hass.async_block_till_done()
        entity_id = entities_of(hass, entry)[unique_id].entity_id
    for _ in ("the first start", "the next one"):
        # A pseudo-terminal can't be set to seven bits twice.
        serial_line.unplug()
        serial_line.plug_in()
        async with serial_line.sending(telegram):
            assert await hass.config_entries.async_setup(entry.entry_id)
            await state_of(hass, entity_id, "84.108")
            await entry.runtime_data.remember()
            seen = entities_of(hass, entry)[unique_id]
            assert (seen.entity_id, seen.device_name) == (entity_id, "Heat Meter")
            assert await hass.config_entries.async_unload(entry.entry_id)
    serial_line.unplug()
    serial_line.plug_in()
    async with built_in(hass, entry), serial_line.sending(telegram):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await state_of(hass, entity_id, "84.108")


async def test_a_water_meter_that_the_built_in_shows_as_gas_goes_on_until_gas_is_paired(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    water = house_with("007", "00321.108*m3")
    entry = entry_for("4", water, port=f"socket://127.0.0.1:{gateway.port}")
    entry.add_to_hass(hass)
    entity_id = entity_registry.async_get_or_create(
        "sensor",
        "dsmr",
        f"{IN_PLACE_OF_GAS}_hourly_gas_meter_reading",
        config_entry=entry,
        original_device_class="gas",
        suggested_object_id="water",
    ).entity_id
    assert await hass.config_entries.async_setup(entry.entry_id)
    async with gateway.sending(water):
        await state_of(hass, entity_id, "321.108")
        state = hass.states.get(entity_id)
        assert state
        assert state.attributes["device_class"] == "water"
    async with gateway.sending(with_gas(water)):
        await until(lambda: hass.states.get("sensor.gas_meter_gas_consumption") is not None)
        await state_of(hass, "sensor.gas_meter_gas_consumption", "7.0")
        await state_of(hass, entity_id, "321.108")


async def test_heat_from_before_meters_had_identifiers_is_the_heat_meter_s(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    heat = house_with("012", "84.108*GJ")
    entry = entry_for("5", heat, port=f"socket://127.0.0.1:{gateway.port}")
    entry.add_to_hass(hass)
    entity_id = entity_registry.async_get_or_create(
        "sensor", "dsmr", f"{IN_PLACE_OF_GAS}_hourly_gas_meter_reading", config_entry=entry
    ).entity_id
    assert await hass.config_entries.async_setup(entry.entry_id)
    # There is gas too, which has readings of its own.
    async with gateway.sending(with_gas(heat)):
        await state_of(hass, entity_id, "84.108")
        await state_of(hass, "sensor.gas_meter_gas_consumption", "7.0")
    assert entities_of(hass, entry)[IN_PLACE_OF_GAS].entity_id == entity_id


async def test_heat_that_is_paired_after_cold_with_one_identifier_has_sensors_of_its_own(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    cold = house_with("011", "10.000*GJ").decode().rpartition("!")[0]
    heat = (
        f"0-2:24.1.0(004)\r\n0-2:96.1.0({IN_PLACE_OF_GAS})\r\n"
        "0-2:24.2.1(230227190235W)(84.108*GJ)\r\n!0000\r\n"
    )
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    async with gateway.sending(house_with("011", "10.000*GJ")):
        await until(lambda: hass.states.get("sensor.cooling_meter_cooling_energy") is not None)
        await state_of(hass, "sensor.cooling_meter_cooling_energy", "10.0")
    async with gateway.sending(edited((cold + heat).encode())):
        await until(lambda: hass.states.get("sensor.heat_meter_energy") is not None)
        await state_of(hass, "sensor.heat_meter_energy", "84.108")
        await state_of(hass, "sensor.cooling_meter_cooling_energy", "10.0")
    seen = entities_of(hass, entry)
    assert seen[IN_PLACE_OF_GAS].entity_id == "sensor.heat_meter_energy"
    assert seen[f"{IN_PLACE_OF_GAS} 11"].entity_id == "sensor.cooling_meter_cooling_energy"
    assert seen[IN_PLACE_OF_GAS].device_name == "Heat Meter"
    assert seen[f"{IN_PLACE_OF_GAS} 11"].device_name == "Cooling Meter"
    # Nor does one go on as the other one after a start, when the heat is not sent for a while.
    await entry.runtime_data.remember()
    assert await hass.config_entries.async_reload(entry.entry_id)
    async with gateway.sending(house_with("011", "11.000*GJ")):
        await state_of(hass, "sensor.cooling_meter_cooling_energy", "11.0")
    assert value_of(hass, "sensor.heat_meter_energy") == "unknown"


async def test_a_gas_meter_has_not_the_maker_of_the_one_that_it_replaced(
    hass: HomeAssistant, gateway: Gateway, device_registry: dr.DeviceRegistry
) -> None:
    fluvius = telegram_of("fluvius-t211")

    def of(identifier: str) -> bytes:
        return edited(fluvius, o0_1_96_1_1=f"({identifier.encode().hex().upper()})")

    async def device_of(identifier: str) -> dr.DeviceEntry:
        known_by = ("dsmr", identifier.encode().hex().upper())
        async with gateway.sending(of(identifier)):
            await until(
                lambda: bool(
                    device_registry.async_get_device_by_identifier(known_by, entry.entry_id)
                )
            )
        await hass.async_block_till_done()
        device = device_registry.async_get_device_by_identifier(known_by, entry.entry_id)
        assert device
        return device

    entry = entry_for("5B", fluvius, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    assert (await device_of("7FLO2112345678")).manufacturer == "Flonidan"
    replaced = await device_of("7QQQ2199999999")
    assert (replaced.manufacturer, replaced.serial_number) == (None, "7QQQ2199999999")
