"""A meter of configuration.yaml moves to the interface when a person says so, with all it has."""

import asyncio
from collections.abc import Mapping
import itertools
import threading
from typing import Any
from unittest.mock import patch

from homeassistant.components.repairs import RepairsFlowResult, repairs_flow_manager
from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import flush_store

from custom_components.dsmr import opening
from custom_components.dsmr.port import YAML_PORTS

from .meter.wire import encrypted
from .parts import (
    PATIENCE,
    Gateway,
    SerialLine,
    edited,
    set_up,
    state_of,
    telegram_of,
    until,
    value_of,
)
from .test_config_flow import after, begin
from .test_entry import GAS, SERIAL, entry_for, set_up_entry
from .test_reload import at, configuration, reload

AM550 = telegram_of("iskra-am550")
AIDON = telegram_of("aidon-6534")
SMARTY = telegram_of("smarty-t210d")
KEY = "00112233445566778899aabbccddeeff"
POWER = "sensor.power_consumption"


@pytest.fixture(autouse=True)
async def _repairs(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "repairs", {})


def issues(hass: HomeAssistant) -> set[str]:
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == "dsmr"}


async def fix(
    hass: HomeAssistant, port_id: str = "yaml", choice: str = "confirm"
) -> RepairsFlowResult:
    """Open the dialog of the suggestion, and choose what it offers."""
    manager = repairs_flow_manager(hass)
    assert manager
    context: Any = {"issue_id": f"import_yaml_{port_id}"}
    menu = await manager.async_init("dsmr", context=context)
    assert (menu["type"], menu["step_id"]) == (FlowResultType.MENU, "init")
    assert menu["menu_options"] == ["confirm", "ignore"]
    return await manager.async_configure(menu["flow_id"], {"next_step_id": choice})


async def read(hass: HomeAssistant, gateway: Gateway, telegram: bytes, entity_id: str) -> None:
    """Let a telegram come, and wait until it is shown."""
    await gateway.connected()
    gateway.send(telegram)
    await until(lambda: hass.states.get(entity_id) is not None)
    await until(lambda: value_of(hass, entity_id) not in ("unknown", "unavailable"))
    await hass.async_block_till_done()


def entry_of(hass: HomeAssistant) -> ConfigEntry[Any]:
    [entry] = hass.config_entries.async_entries("dsmr")
    return entry


async def test_a_meter_moves_with_its_entities_their_names_and_what_was_learnt(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, at(gateway, time_between_update=5))
    assert not issues(hass)
    await read(hass, gateway, AM550, POWER)
    assert issues(hass) == {"import_yaml_yaml"}
    before = {
        entity_id: entry.disabled_by
        for entity_id, entry in entity_registry.entities.items()
        if entry.platform == "dsmr"
    }
    # A person has changed some.
    entity_registry.async_update_entity(POWER, name="What we use")
    entity_registry.async_update_entity("sensor.gas_consumption", new_entity_id="sensor.our_gas")
    before["sensor.our_gas"] = before.pop("sensor.gas_consumption")
    await hass.async_block_till_done()

    assert (await fix(hass))["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    entry = entry_of(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.unique_id == SERIAL
    assert entry.data == {
        "port": f"socket://127.0.0.1:{gateway.port}",
        "dsmr_version": "5",
        "protocol": "dsmr_protocol",
        "serial_id": SERIAL,
        "serial_id_gas": GAS,
    }
    assert entry.options == {"time_between_update": 5}
    assert not hass.data[YAML_PORTS]
    await gateway.disconnected()
    await read(hass, gateway, AM550, POWER)
    after = {
        entity_id: registered
        for entity_id, registered in entity_registry.entities.items()
        if registered.platform == "dsmr"
    }
    assert {entity_id: registered.disabled_by for entity_id, registered in after.items()} == before
    for registered in after.values():
        assert registered.config_entry_id == entry.entry_id
        assert registered.device_id
        assert not registered.unique_id.startswith("yaml")
    assert after[POWER].unique_id == f"{SERIAL}_current_electricity_usage"
    assert after["sensor.our_gas"].unique_id == GAS
    assert after[POWER].name == "What we use"
    assert value_of(hass, "sensor.our_gas") == "3160.427"
    assert issues(hass) == {"yaml_left_out_yaml"}


async def test_what_a_meter_and_its_sensors_are_called_in_the_file_they_are_called_ever_after(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, at(gateway, name="House"))
    power = "sensor.house_power_consumption"
    await read(hass, gateway, AM550, power)
    before = {
        state.entity_id: state.name
        for state in hass.states.async_all("sensor")
        if state.entity_id != "sensor.house_power_production"
    }
    entity_registry.async_update_entity("sensor.house_power_production", name="The sun")
    assert before["sensor.house_power_consumption_low"] == "House Power consumption low"
    await fix(hass, "yaml_house")
    await hass.async_block_till_done()
    await gateway.disconnected()
    await read(hass, gateway, AM550, power)
    assert entry_of(hass).title == "House"
    named = {entity_id: hass.states.get(entity_id) for entity_id in before}
    assert {entity_id: state and state.name for entity_id, state in named.items()} == before
    sun = entity_registry.async_get("sensor.house_power_production")
    assert sun
    assert sun.name == "The sun"


async def test_the_digits_that_are_shown_of_a_value_stay_as_few_as_the_file_says(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    def options(entity_id: str) -> Mapping[str, Any]:
        entity = entity_registry.async_get(entity_id)
        assert entity
        return entity.options.get("sensor", {})

    def shown(entity_id: str) -> Any:
        return options(entity_id).get("display_precision")

    await set_up(hass, at(gateway, precision=1))
    await read(hass, gateway, AM550, POWER)
    gas = "sensor.gas_consumption"
    chosen = {**options(gas), "display_precision": 2}
    entity_registry.async_update_entity_options(gas, "sensor", chosen)
    await fix(hass)
    await hass.async_block_till_done()
    await gateway.disconnected()
    await read(hass, gateway, AM550, POWER)
    assert shown(POWER) == 1
    assert shown(gas) == 2
    # These never had more.
    assert shown("sensor.voltage_phase_l1") is None
    assert shown("sensor.power_tariff") is None


async def test_what_was_only_presumed_of_a_meter_does_not_move(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    # It has one phase, and no gas meter.
    sent = edited(telegram_of("sagemcom-xs210"), o0_1_24_1_0="", o0_1_96_1_0="", o0_1_24_2_1="")
    await set_up(hass, at(gateway))
    await read(hass, gateway, sent, POWER)
    assert value_of(hass, "sensor.gas_consumption") == "unknown"
    await fix(hass)
    await hass.async_block_till_done()
    await read(hass, gateway, sent, POWER)
    moved = {entity_id for entity_id in entity_registry.entities if entity_id.startswith("sensor.")}
    assert {POWER, "sensor.voltage_phase_l1", "sensor.smart_meter_connection"} < moved
    assert not {entity_id for entity_id in moved if entity_id.endswith(("_l2", "_l3"))}
    assert not {entity_id for entity_id in moved if "gas" in entity_id}


@pytest.mark.parametrize("ends", ["removed", "disabled"])
async def test_the_file_has_its_meter_back_when_the_entry_goes(
    hass: HomeAssistant, gateway: Gateway, ends: str
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    await fix(hass)
    await reload(hass, at(gateway))
    assert issues(hass) == {"yaml_left_out_yaml"}
    entry = entry_of(hass)
    with configuration(at(gateway)):
        if ends == "removed":
            await hass.config_entries.async_remove(entry.entry_id)
        else:
            await hass.config_entries.async_set_disabled_by(
                entry.entry_id, ConfigEntryDisabler.USER
            )
        await until(lambda: bool(hass.data.get(YAML_PORTS, {})))
        async with gateway.sending(AM550):
            await until(lambda: hass.data[YAML_PORTS]["yaml"].dsmr.telegram is not None)
    assert "yaml_left_out_yaml" not in issues(hass)


async def test_the_file_has_its_port_back_when_the_entry_reads_another_one(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    await fix(hass)
    await gateway.disconnected()
    entry = entry_of(hass)
    port = f"socket://127.0.0.1:{second_gateway.port}"
    with configuration(at(gateway)):
        async with gateway.sending(AM550), second_gateway.sending(AM550):
            hass.config_entries.async_update_entry(entry, data={**entry.data, "port": port})
            await hass.config_entries.async_reload(entry.entry_id)
            await until(lambda: bool(hass.data.get(YAML_PORTS, {})))
            await until(lambda: hass.data[YAML_PORTS]["yaml"].dsmr.telegram is not None)
            await until(lambda: entry.runtime_data.dsmr.telegram is not None)
            await hass.async_block_till_done()
    assert issues(hass) == {"import_yaml_yaml"}


async def test_an_entry_that_is_enabled_again_comes_before_the_file(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    await fix(hass)
    await reload(hass, at(gateway))
    entry = entry_of(hass)
    with configuration(at(gateway)):
        async with gateway.sending(AM550):
            await hass.config_entries.async_set_disabled_by(
                entry.entry_id, ConfigEntryDisabler.USER
            )
            await until(lambda: bool(hass.data.get(YAML_PORTS, {})))
            await until(lambda: hass.data[YAML_PORTS]["yaml"].dsmr.telegram is not None)
            await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
            await until(lambda: entry.runtime_data.dsmr.telegram is not None)
            await until(lambda: "yaml_left_out_yaml" in issues(hass))
    assert not hass.data.get(YAML_PORTS)
    assert issues(hass) == {"yaml_left_out_yaml"}


async def test_lines_that_stay_in_the_file_are_left_out_and_a_person_is_told(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    await fix(hass)
    await reload(hass, at(gateway))
    assert not hass.data.get(YAML_PORTS)
    [issue] = [i for (domain, _), i in ir.async_get(hass).issues.items() if domain == "dsmr"]
    assert issue.translation_key == "yaml_left_out"
    assert issue.translation_placeholders == {
        "port": f"socket://127.0.0.1:{gateway.port}",
        "entry": "Iskraemeco · DSMR 5",
    }
    assert not [e for e in entity_registry.entities.values() if e.unique_id.startswith("yaml")]
    # Without them all is well.
    with configuration():
        await hass.services.async_call("dsmr", "reload", blocking=True)
    assert not issues(hass)
    await read(hass, gateway, AM550, POWER)


async def test_a_meter_without_an_identifier_moves_too(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    await set_up(hass, at(gateway, dsmr_version="5S"))
    await read(hass, gateway, AIDON, POWER)
    await fix(hass)
    entry = entry_of(hass)
    registered = entity_registry.async_get(POWER)
    assert registered
    assert registered.unique_id == f"{entry.entry_id}_current_electricity_usage"
    assert entry.unique_id is None


async def test_an_encrypted_meter_keeps_both_its_keys(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    keys = {"encryption_key": KEY, "authentication_key": KEY[::-1]}
    await set_up(hass, at(gateway, dsmr_version="MSn", **keys))
    sent = encrypted(SMARTY, bytes.fromhex(KEY), bytes.fromhex(KEY[::-1]))
    await read(hass, gateway, sent, POWER)
    await fix(hass)
    entry = entry_of(hass)
    assert {key: entry.data[key] for key in keys} == keys
    await gateway.disconnected()
    await read(hass, gateway, sent, POWER)


async def test_a_second_meter_of_the_file_stays_where_it_is(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up(hass, at(gateway), at(second_gateway, name="Barn"))
    await read(hass, gateway, AM550, POWER)
    barn = edited(AM550, o0_0_96_1_1="(4530303534303031323334353030303939)")
    await read(hass, second_gateway, barn, "sensor.barn_power_consumption")
    await fix(hass)
    assert hass.data[YAML_PORTS].keys() == {"yaml_barn"}
    assert issues(hass) == {"import_yaml_yaml_barn", "yaml_left_out_yaml"}
    louder = edited(barn, o1_0_1_7_0="(04.000*kW)")
    second_gateway.send(louder)
    await state_of(hass, "sensor.barn_power_consumption", "4.0")


@pytest.mark.logs("No telegrams from")
async def test_without_a_telegram_it_is_not_known_what_would_move(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    await gateway.close()
    await state_of(hass, POWER, "unavailable")
    result = await fix(hass)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_telegram")
    assert issues(hass) == {"import_yaml_yaml"}


async def test_a_meter_that_the_interface_knows_by_another_port_does_not_move(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up_entry(hass, entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}"))
    await reload(hass, at(second_gateway))
    await read(hass, second_gateway, AM550, POWER)
    result = await fix(hass)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    # And is read on.
    second_gateway.send(edited(AM550, o1_0_1_7_0="(04.000*kW)"))
    await state_of(hass, POWER, "4.0")


async def test_a_meter_moves_though_the_dialog_that_adds_it_was_left_open(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    left = await begin(hass, f"socket://127.0.0.1:{gateway.port}")
    assert (await after(hass, left, gateway, AM550))["step_id"] == "confirm"
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    assert (await fix(hass))["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry_of(hass).state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress_by_handler("dsmr")


async def test_a_meter_moves_with_its_entities_while_the_file_is_read_again(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_read, has_moved = asyncio.Event(), threading.Event()
    close, times = opening._close, itertools.count(1)

    def read_file(*_: object) -> dict[str, Any]:
        # Home Assistant reads it once to see whether it can, and again to set up what is in it.
        if next(times) > 1:
            hass.loop.call_soon_threadsafe(is_read.set)
            assert has_moved.wait(PATIENCE)
        return {"sensor": [{"platform": "dsmr", **at(gateway)}]}

    async def close_slowly(*args: Any) -> None:
        await close(*args)
        await is_read.wait()

    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    monkeypatch.setattr(opening, "_close", close_slowly)
    with patch("homeassistant.config.load_yaml_config_file", side_effect=read_file):
        moving = hass.async_create_task(fix(hass))
        await until(lambda: not hass.data[YAML_PORTS])
        reloading = hass.async_create_task(
            hass.services.async_call("dsmr", "reload", blocking=True)
        )
        over = {ConfigEntryState.LOADED, ConfigEntryState.SETUP_ERROR}
        await until(lambda: entry_of(hass).state in over)
        has_moved.set()
        await asyncio.gather(moving, reloading)
        await hass.async_block_till_done()
    assert entry_of(hass).state is ConfigEntryState.LOADED
    await read(hass, gateway, AM550, POWER)


async def test_the_interface_comes_first_where_both_name_one_port(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up_entry(hass, entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}"))
    await reload(hass, at(gateway))
    assert issues(hass) == {"yaml_left_out_yaml"}
    assert hass.states.get(POWER) is None
    await gateway.connected()
    assert gateway.connections == 1


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
async def test_the_interface_comes_first_where_an_adapter_is_plugged_in_under_both_names(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    by_id = serial_line.device.with_name("usb-P1_cable")
    serial_line.unplug()
    entry = entry_for("5", AM550, port=str(by_id))
    # As long as it is not there, nothing says that the names are of one.
    await set_up_entry(hass, entry)
    await reload(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    assert hass.data[YAML_PORTS]
    await hass.config_entries.async_reload(entry.entry_id)
    await until(lambda: entry.runtime_data.reader.cause is not None)
    serial_line.plug_in()
    by_id.symlink_to(serial_line.device)
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.electricity_meter_power_consumption", "0.461")
        await state_of(hass, "sensor.smart_meter_connection", "held")


async def test_a_meter_whose_unique_id_in_the_file_is_its_serial_number_moves_too(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway, unique_id=SERIAL))
    await read(hass, gateway, AM550, POWER)
    await fix(hass, SERIAL)
    await hass.async_block_till_done()
    assert entry_of(hass).state is ConfigEntryState.LOADED
    await gateway.disconnected()
    await read(hass, gateway, edited(AM550, o1_0_1_7_0="(04.000*kW)"), POWER)
    assert value_of(hass, POWER) == "4.0"


async def test_what_has_a_unique_id_already_costs_no_other_entity_its_move(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    left = entity_registry.async_get_or_create(
        "sensor", "dsmr", f"{SERIAL}_current_electricity_usage", suggested_object_id="left"
    )
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    await fix(hass)
    await hass.async_block_till_done()
    assert entry_of(hass).state is ConfigEntryState.LOADED
    await read(hass, gateway, AM550, left.entity_id)
    gas = entity_registry.async_get("sensor.gas_consumption")
    assert gas
    assert gas.unique_id == GAS


@pytest.mark.parametrize("version", ["5", "4"])
@pytest.mark.parametrize("is_disabled", [True, False])
async def test_gas_that_another_entry_has_too_moves_with_its_history(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    entity_registry: er.EntityRegistry,
    version: str,
    *,
    is_disabled: bool,
) -> None:
    # The electricity meter was replaced, and the entry of the old one is still there.
    old = edited(AM550, o0_0_96_1_1="(4530303534303031)")
    left = entry_for(version, old, port=f"socket://127.0.0.1:{second_gateway.port}")
    await set_up_entry(hass, left)
    await read(hass, second_gateway, old, "sensor.gas_meter_gas_consumption")
    if is_disabled:
        await hass.config_entries.async_set_disabled_by(left.entry_id, ConfigEntryDisabler.USER)
    await reload(hass, at(gateway, dsmr_version=version))
    await read(hass, gateway, AM550, "sensor.gas_consumption")
    await fix(hass)
    await hass.async_block_till_done()
    await gateway.disconnected()
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.gas_consumption", "3160.427")
    gas = entity_registry.async_get("sensor.gas_consumption")
    assert gas
    assert gas.config_entry_id not in (None, left.entry_id)


async def test_a_suggestion_that_a_person_ignores_stays_ignored(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    result = await fix(hass, choice="ignore")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "issue_ignored")

    def is_ignored() -> bool:
        issue = ir.async_get(hass).async_get_issue("dsmr", "import_yaml_yaml")
        return bool(issue and issue.active and issue.dismissed_version)

    assert is_ignored()
    await reload(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    assert is_ignored()
    # A start knows of issues what was stored of them, until they are said again.
    await flush_store(ir.async_get(hass)._store)
    await ir.async_get(hass).async_load()
    assert not is_ignored()
    await reload(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    assert is_ignored()
    assert not hass.config_entries.async_entries("dsmr")
    # With the meter the suggestion goes.
    await reload(hass)
    assert not issues(hass)


@pytest.mark.logs("Error executing service: .* dsmr.reload")
async def test_an_entry_at_the_port_of_a_file_that_can_not_be_read_takes_it_and_is_named(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await read(hass, gateway, AM550, POWER)
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    error = HomeAssistantError("line 3")
    with patch("homeassistant.config.load_yaml_config_file", side_effect=error):
        await set_up_entry(hass, entry)
    assert value_of(hass, POWER) == "unavailable"
    assert value_of(hass, "sensor.smart_meter_connection") == "held"
    issue = ir.async_get(hass).async_get_issue("dsmr", "no_telegrams_yaml")
    assert issue
    assert issue.translation_placeholders
    assert issue.translation_placeholders["holder"] == entry.title
    # When it can be read, that is all that is said.
    await reload(hass, at(gateway))
    assert issues(hass) == {"yaml_left_out_yaml"}
