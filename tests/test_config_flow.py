"""What a person sees who adds a meter, moves it, or has its key wrong."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext, suppress
import errno
import fcntl
import gc
from pathlib import Path
from typing import Any

from homeassistant.components.usb import SerialDevice
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.const import CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.selector import SerialPortSelector, TextSelector
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.dsmr import opening, pauses, probe, reader, stream
from custom_components.dsmr.addresses import port_url

from .meter.wire import encrypted
from .parts import Gateway, SerialLine, edited, free_port, set_up, state_of, telegram_of, until
from .test_entry import AM550, GAS, SERIAL, entry_for, packets, set_up_entry

KEY = "3c9f41e07ab25d18f6c3904be27d5a61"
OTHER_KEY = "5b20d7719e4cc8a3180fb6e94d3527fa"
ME382 = telegram_of("iskra-me382")
KAIFA = telegram_of("kaifa-e0026-v42")
SMARTY = telegram_of("smarty-t210d")
SMARTY_SERIAL = "53414731303330373132333435303030"


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find a meter silent, or a serial line of the wrong speed, after a fraction of a second."""
    monkeypatch.setattr(reader, "SERVER_PATIENCE", 0.5)
    monkeypatch.setattr(pauses, "SHORTEST_SILENCE", 0.5)
    monkeypatch.setattr(pauses, "SILENCE", 0.05)
    # What is found out sooner than that, is in `test_encryption.py`.
    monkeypatch.setattr(probe, "LOOK", 60)


@pytest.fixture
def by_id(serial_line: SerialLine) -> str:
    """The name of a serial line that stays the same wherever its adapter is plugged in."""
    link = serial_line.device.with_name("usb-P1_cable")
    link.symlink_to(serial_line.device)
    return str(link)


async def begin(hass: HomeAssistant, port: str, version: str = "auto") -> ConfigFlowResult:
    """Begin to add a meter."""
    form = await hass.config_entries.flow.async_init("dsmr", context={"source": SOURCE_USER})
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    assert form["errors"] == {}
    return await give(hass, form, {"port": port, "dsmr_version": version})


async def move(
    hass: HomeAssistant, entry: MockConfigEntry, port: str, version: str = "auto"
) -> ConfigFlowResult:
    """Begin to move a meter that is known to a port."""
    form = await entry.start_reconfigure_flow(hass)
    return await give(hass, form, {"port": port, "dsmr_version": version})


async def give(
    hass: HomeAssistant, result: ConfigFlowResult, user_input: Mapping[str, Any]
) -> ConfigFlowResult:
    """Fill in a form."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], dict(user_input))


async def after(
    hass: HomeAssistant, result: ConfigFlowResult, gateway: Gateway | None = None, *sent: bytes
) -> ConfigFlowResult:
    """Return what is shown when the probe is over; meanwhile the meter sends."""
    assert (result["type"], result["step_id"]) == (FlowResultType.SHOW_PROGRESS, "probe")
    assert result["progress_action"] == "probe"

    async with gateway.sending(b"".join(sent)) if gateway else nullcontext():
        await hass.async_block_till_done()
    # What the interface does when it hears that the progress is over.
    return await hass.config_entries.flow.async_configure(result["flow_id"])


def at(gateway: Gateway) -> str:
    return f"socket://127.0.0.1:{gateway.port}"


async def test_a_meter_is_added_by_its_address_alone(hass: HomeAssistant, gateway: Gateway) -> None:
    result = await begin(hass, f"127.0.0.1:{gateway.port}")
    assert result["description_placeholders"] == {"port": at(gateway)}
    shown = await after(hass, result, gateway, AM550)
    assert (shown["type"], shown["step_id"]) == (FlowResultType.FORM, "confirm")
    assert shown["description_placeholders"] == {
        "meter": "Iskraemeco M550T\\-1013",
        "serial": "E0054001234500023",
        "version": "DSMR 5",
        "imported": "0.461 kW",
        "exported": "0.000 kW",
        "consumed": "8197.601 kWh",
        "produced": "3896.073 kWh",
        "gas": "3160.427 m³",
        "water": "-",
        "heat": "-",
    }
    await gateway.disconnected()
    added = await give(hass, shown, {})
    assert added["type"] is FlowResultType.CREATE_ENTRY
    assert added["title"] == "Iskraemeco · DSMR 5"
    assert added["data"] == {
        "port": at(gateway),
        "dsmr_version": "5",
        "protocol": "dsmr_protocol",
        "serial_id": SERIAL,
        "serial_id_gas": GAS,
    }
    assert added["result"].unique_id == SERIAL
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")


async def test_what_a_meter_calls_itself_is_no_link_and_no_picture_in_the_dialog(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    header = b"/ISK5 [Log in](http://x) ![x](y.png) <img>"
    sent = edited(
        AM550.replace(b"/ISK5\\2M550T-1013", header), o0_0_96_1_1=f"({b'*E*_`1`'.hex().upper()})"
    )
    shown = await after(hass, await begin(hass, at(gateway)), gateway, sent)
    assert shown["description_placeholders"]
    assert shown["description_placeholders"]["meter"] == (
        r"Iskraemeco \[Log in\]\(http\:\/\/x\) \!\[x\]\(y\.png\) \<img\>"
    )
    assert shown["description_placeholders"]["serial"] == r"\*E\*\_\`1\`"


async def test_a_meter_at_a_serial_line_is_known_by_its_adapter(
    hass: HomeAssistant, serial_line: SerialLine, by_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "custom_components.dsmr.config_flow.get_serial_by_id",
        lambda device: by_id if device == str(serial_line.device) else device,
    )
    async with serial_line.sending(AM550):
        shown = await after(hass, await begin(hass, str(serial_line.device), "5"))
        added = await give(hass, shown, {})
        assert added["data"][CONF_PORT] == by_id
        await state_of(hass, "sensor.electricity_meter_active_tariff", "normal")


async def test_a_meter_without_identifier_is_told_apart_by_its_port(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    aidon = telegram_of("aidon-6534")
    shown = await after(hass, await begin(hass, at(gateway)), gateway, aidon)
    added = await give(hass, shown, {})
    assert added["title"] == "Aidon · DSMR 5S (Sweden)"
    assert added["data"]["serial_id"] is None
    assert added["result"].unique_id is None
    again = await begin(hass, at(gateway))
    assert (again["type"], again["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_the_same_meter_is_not_added_twice(hass: HomeAssistant, gateway: Gateway) -> None:
    entry_for("5", AM550, port="/dev/ttyUSB0").add_to_hass(hass)
    result = await after(hass, await begin(hass, at(gateway)), gateway, AM550)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "my meter",
        "host:99999",
        "host:0",
        "192.0.2.1/",
        "[192.0.2.1]",
        "socket:192.0.2.1:2001",
        "socket://",
        "socket:///p1",
        "socket://host:x",
        "://host",
    ],
)
async def test_what_is_no_port_is_refused_at_once(hass: HomeAssistant, wrong: str) -> None:
    form = await begin(hass, wrong)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    assert form["errors"] == {"port": "invalid_port"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/dev/serial/by-id/usb-FTDI", "/dev/serial/by-id/usb-FTDI"),
        (" p1.local ", "socket://p1.local:2001"),
        ("192.0.2.1:23", "socket://192.0.2.1:23"),
        ("2001:db8::1", "socket://[2001:db8::1]:2001"),
        ("[2001:db8::1]:23", "socket://[2001:db8::1]:23"),
        ("fe80::1%eth0", "socket://[fe80::1%eth0]:2001"),
        ("[fe80::1%eth0]:23", "socket://[fe80::1%eth0]:23"),
        ("socket://p1.local", "socket://p1.local:2001"),
        ("socket://p1.local:/", "socket://p1.local:2001"),
        ("rfc2217://p1.local?logging=debug", "rfc2217://p1.local:2001?logging=debug"),
        ("socket://p1.local:23", "socket://p1.local:23"),
        ("rfc2217://user:secret@p1.local:2217", "rfc2217://user:secret@p1.local:2217"),
        ("esphome://p1.local:6053/?port_name=p1", "esphome://p1.local:6053/?port_name=p1"),
    ],
)
def test_every_way_to_name_a_port_is_understood(text: str, url: str) -> None:
    assert port_url(text) == url


@pytest.mark.logs("No telegrams from .*: ")
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.EACCES, "Permission denied"), "no_permission"),
        (OSError(errno.EIO, "Input/output error"), "failed"),
    ],
)
async def test_a_port_that_can_not_be_opened_says_why(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, error: OSError, cause: str
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(opening, "create_serial_connection", refuse)
    form = await after(hass, await begin(hass, "/dev/ttyUSB0"))
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "user")
    assert form["errors"] == {"base": cause}
    # And so it is when the page is loaded again.
    form = await hass.config_entries.flow.async_configure(form["flow_id"])
    assert form["errors"] == {"base": cause}
    assert form["description_placeholders"]
    assert form["description_placeholders"]["port"] == "/dev/ttyUSB0"


@pytest.mark.logs("No telegrams from .*: ")
async def test_a_port_that_is_not_there_and_a_host_that_refuses_say_so_until_they_are_right(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    form = await after(hass, await begin(hass, "/dev/no-such-port"))
    assert form["errors"] == {"base": "no_such_port"}
    away = f"127.0.0.1:{free_port()}"
    form = await after(hass, await give(hass, form, {"port": away, "dsmr_version": "auto"}))
    assert form["errors"] == {"base": "refused"}
    result = await give(hass, form, {"port": at(gateway), "dsmr_version": "auto"})
    shown = await after(hass, result, gateway, AM550)
    assert shown["step_id"] == "confirm"


@pytest.mark.logs("No telegrams from .*: No handler registered")
async def test_a_kind_of_port_that_is_not_known_is_told_from_a_port_that_is_not_there(
    hass: HomeAssistant,
) -> None:
    form = await after(hass, await begin(hass, "http://192.0.2.1"))
    assert form["errors"] == {"base": "unknown_scheme"}
    assert form["description_placeholders"]
    assert form["description_placeholders"]["port"] == "http://192.0.2.1"


@pytest.mark.logs("No telegrams from .*: ")
async def test_a_port_that_another_program_has_is_busy(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    with serial_line.device.open("rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        form = await after(hass, await begin(hass, str(serial_line.device), "5"))
    assert form["errors"] == {"base": "busy"}


@pytest.mark.logs("No telegrams from .*: ")
@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        ([], "silent"),
        ([b"\x00\xff\x17noise"], "no_telegram"),
        ([AM550.replace(b"3160.427", b"3160.428")], "checksum"),
    ],
)
async def test_a_port_from_which_no_telegram_comes_says_what_does(
    hass: HomeAssistant, gateway: Gateway, sent: list[bytes], cause: str
) -> None:
    form = await after(hass, await begin(hass, at(gateway), "5"), gateway, *sent)
    assert form["errors"] == {"base": cause}


@pytest.mark.logs("No telegrams from .*: no telegram")
async def test_a_meter_at_an_rfxtrx_receiver_is_found_and_moves(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    shown = await after(hass, await begin(hass, at(gateway), "5"), gateway, packets(AM550))
    added = await give(hass, shown, {})
    entry = added["result"]
    assert entry.data["protocol"] == "rfxtrx_dsmr_protocol"
    form = await hass.config_entries.flow.async_init(
        "dsmr", context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    result = await give(hass, form, {"port": at(second_gateway), "dsmr_version": "5"})
    done = await after(hass, result, second_gateway, packets(AM550))
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["protocol"] == "rfxtrx_dsmr_protocol"
    assert entry.data["port"] == at(second_gateway)


@pytest.mark.logs("No telegrams from .*: no telegram")
async def test_a_meter_moves_from_an_rfxtrx_receiver_to_a_cable(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port="/dev/ttyUSB0", protocol="rfxtrx_dsmr_protocol")
    entry.add_to_hass(hass)
    result = await move(hass, entry, at(gateway), "5")
    done = await after(hass, result, gateway, AM550)
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["protocol"] == "dsmr_protocol"
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")


async def test_what_only_a_newer_release_knows_of_an_entry_stays_when_its_meter_moves(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, host="127.0.0.1", port=free_port(), newer="what it says")
    entry.add_to_hass(hass)
    result = await move(hass, entry, at(gateway), "5")
    done = await after(hass, result, gateway, AM550)
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["newer"] == "what it says"
    assert entry.data["port"] == at(gateway)
    assert "host" not in entry.data


@pytest.mark.logs("No telegrams? from .*: ")
async def test_a_meter_that_encrypts_asks_for_its_key_when_it_moves_from_an_rfxtrx_receiver(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port="/dev/ttyUSB0", protocol="rfxtrx_dsmr_protocol")
    entry.add_to_hass(hass)
    sent = encrypted(AM550, bytes.fromhex(KEY))
    result = await move(hass, entry, at(gateway))
    form = await after(hass, result, gateway, sent)
    assert (form["step_id"], form["errors"]) == ("encryption_key", {})
    form = await after(hass, await give(hass, form, {"encryption_key": OTHER_KEY}), gateway, sent)
    assert (form["step_id"], form["errors"]) == ("encryption_key", {"encryption_key": "wrong_key"})
    done = await after(hass, await give(hass, form, {"encryption_key": KEY}), gateway, sent)
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["protocol"] == "dsmr_protocol"
    assert entry.data["encryption_key"] == KEY
    await hass.async_block_till_done()


@pytest.mark.logs("No telegrams from .*: ")
async def test_telegrams_of_another_version_are_named_at_a_receiver_and_at_a_cable(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    for protocol, sent in (
        ("rfxtrx_dsmr_protocol", ME382),
        ("dsmr_protocol", packets(ME382)),
    ):
        entry = entry_for("5", AM550, port=f"/dev/{protocol}", protocol=protocol)
        entry.add_to_hass(hass)
        result = await move(hass, entry, at(gateway), "5")
        form = await after(hass, result, gateway, sent)
        assert form["errors"] == {"base": "wrong_version"}
        assert (form["description_placeholders"] or {})["version"] == "DSMR 2.2"
        await hass.config_entries.async_remove(entry.entry_id)


@pytest.mark.parametrize(
    ("chosen", "model", "named"),
    [
        # Its header says what it is.
        ("5", "fluvius-t211", "DSMR 5B (Belgium)"),
        # It has no identifier where such a meter has it, and could be added any number of times.
        ("5L", "iskra-am550", "DSMR 5"),
        ("Q3D", "iskra-me382", "DSMR 2.2"),
    ],
)
async def test_a_kind_that_was_chosen_by_mistake_is_told_from_the_one_that_it_is(
    hass: HomeAssistant, gateway: Gateway, chosen: str, model: str, named: str
) -> None:
    sent = telegram_of(model)
    form = await after(hass, await begin(hass, at(gateway), chosen), gateway, sent)
    assert (form["step_id"], form["errors"]) == ("user", {"base": "wrong_version"})
    assert (form["description_placeholders"] or {})["version"] == named
    result = await give(hass, form, {"port": at(gateway), "dsmr_version": "auto"})
    shown = await after(hass, result, gateway, sent)
    assert shown["step_id"] == "confirm"


async def test_a_kind_that_is_chosen_by_mistake_for_a_meter_that_is_known_is_told_too(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    fluvius = telegram_of("fluvius-t211")
    # As the built-in made it, which takes any.
    entry = entry_for("5", fluvius, port="/dev/ttyUSB0")
    entry.add_to_hass(hass)
    result = await move(hass, entry, at(gateway), "4")
    form = await after(hass, result, gateway, fluvius)
    assert (form["step_id"], form["errors"]) == ("reconfigure", {"base": "wrong_version"})
    # What was said of it before, nobody says now.
    result = await give(hass, form, {"port": at(gateway), "dsmr_version": "5"})
    done = await after(hass, result, gateway, fluvius)
    assert done["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()


@pytest.mark.parametrize(
    ("chosen", "model"),
    # DSMR 3 looks like 2.2; and who knows that a meter's 1 is the normal tariff, may say so.
    [("3", "iskra-me382"), ("5B", "iskra-am550"), ("5S", "aidon-6534")],
)
async def test_a_kind_of_which_the_telegrams_may_be_is_what_a_person_says(
    hass: HomeAssistant, gateway: Gateway, chosen: str, model: str
) -> None:
    result = await begin(hass, at(gateway), chosen)
    shown = await after(hass, result, gateway, telegram_of(model))
    assert shown["step_id"] == "confirm"


@pytest.mark.logs("No telegrams? from .*: ")
async def test_a_meter_that_encrypts_asks_for_its_key(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    sent = encrypted(SMARTY, bytes.fromhex(KEY))
    # It turns out by itself …
    form = await after(hass, await begin(hass, at(gateway)), gateway, sent)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "encryption_key")
    assert form["errors"] == {}
    # … a key that is none, and one of another meter …
    form = await give(hass, form, {"encryption_key": "secret"})
    assert form["errors"] == {"encryption_key": "invalid_key"}
    form = await after(hass, await give(hass, form, {"encryption_key": OTHER_KEY}), gateway, sent)
    assert (form["step_id"], form["errors"]) == ("encryption_key", {"encryption_key": "wrong_key"})
    # … and the right one, as the operator prints it.
    printed = "-".join(KEY[at : at + 4].upper() for at in range(0, 32, 4))
    shown = await after(hass, await give(hass, form, {"encryption_key": printed}), gateway, sent)
    assert shown["step_id"] == "confirm"
    added = await give(hass, shown, {})
    assert added["data"]["encryption_key"] == KEY
    assert added["data"]["dsmr_version"] == "MSn"
    assert added["result"].unique_id == SMARTY_SERIAL
    async with gateway.sending(sent):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "4920.183")


@pytest.mark.logs("No telegrams? from .*: ")
@pytest.mark.parametrize(
    ("version", "model"),
    [("5L", SMARTY), ("5", AM550), ("auto", AM550)],
    ids=["5L", "5", "auto"],
)
async def test_a_meter_that_encrypts_though_its_version_does_not_keeps_its_key(
    hass: HomeAssistant, gateway: Gateway, version: str, model: bytes
) -> None:
    sent = encrypted(model, bytes.fromhex(KEY))
    form = await after(hass, await begin(hass, at(gateway), version), gateway, sent)
    shown = await after(hass, await give(hass, form, {"encryption_key": KEY}), gateway, sent)
    added = await give(hass, shown, {})
    assert added["data"]["encryption_key"] == KEY
    async with gateway.sending(sent):
        await until(lambda: added["result"].runtime_data.dsmr.telegram is not None)
    assert not hass.config_entries.flow.async_progress()


async def test_a_version_that_is_encrypted_asks_for_the_key_first(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    form = await begin(hass, at(gateway), "MSn")
    assert form["step_id"] == "encryption_key"
    result = await give(hass, form, {"encryption_key": KEY})
    shown = await after(hass, result, gateway, encrypted(SMARTY, bytes.fromhex(KEY)))
    assert shown["step_id"] == "confirm"


async def test_a_person_who_closes_the_window_leaves_the_port_alone(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    result = await begin(hass, at(gateway))
    await gateway.connected()
    hass.config_entries.flow.async_abort(result["flow_id"])
    await gateway.disconnected()


async def test_a_meter_moves_to_another_port_and_keeps_all(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    # An old entry: what the built-in kept in two parts is one address from now on.
    entry = entry_for("5", AM550, host="127.0.0.1", port=gateway.port)
    await set_up_entry(hass, entry)
    form = await entry.start_reconfigure_flow(hass)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "reconfigure")
    result = await give(hass, form, {"port": at(second_gateway), "dsmr_version": "5"})
    done = await after(hass, result, second_gateway, AM550)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.data == {
        "port": at(second_gateway),
        "dsmr_version": "5",
        "protocol": "dsmr_protocol",
        "serial_id": SERIAL,
        "serial_id_gas": GAS,
    }
    async with second_gateway.sending(AM550):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")


async def test_the_port_that_the_meter_has_itself_can_be_probed(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    entry = entry_for("5", AM550, port=str(serial_line.device))
    await set_up_entry(hass, entry)
    async with serial_line.sending(AM550):
        await state_of(hass, "sensor.electricity_meter_active_tariff", "normal")
        result = await move(hass, entry, str(serial_line.device), "5")
        done = await after(hass, result)
        assert done["reason"] == "reconfigure_successful"
        await state_of(hass, "sensor.electricity_meter_active_tariff", "normal")


@pytest.mark.logs("No telegrams from .*: ")
async def test_a_move_to_where_nothing_is_leaves_the_meter_where_it_was(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port=at(gateway))
    await set_up_entry(hass, entry)
    result = await move(hass, entry, "/dev/no-such-port")
    form = await after(hass, result)
    assert (form["step_id"], form["errors"]) == ("reconfigure", {"base": "no_such_port"})
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data["port"] == at(gateway)


async def test_a_meter_that_was_replaced_gives_its_entities_to_the_new_one(
    hass: HomeAssistant,
    gateway: Gateway,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    old = telegram_of("kaifa-e0026-v42")
    entry = entry_for("4", old, port=at(gateway))
    await set_up_entry(hass, entry)
    async with gateway.sending(old):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "6944.172")
    before = {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    }
    result = await move(hass, entry, at(gateway))
    form = await after(hass, result, gateway, AM550)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "replace")
    done = await give(hass, form, {})
    assert done["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    assert entry.unique_id == SERIAL
    power = entity_registry.async_get("sensor.electricity_meter_power_consumption")
    gas = entity_registry.async_get("sensor.gas_meter_gas_consumption")
    assert power
    assert gas
    assert power.unique_id == f"{SERIAL}_current_electricity_usage"
    assert gas.unique_id == GAS
    entities = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    assert before <= {entity.entity_id for entity in entities}
    assert sorted(e.entity_id for e in entities if "gas_consumption" in e.entity_id) == [
        "sensor.gas_meter_gas_consumption",
        "sensor.gas_meter_hourly_gas_consumption",
    ]
    devices = dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    assert {frozenset(device.identifiers) for device in devices} == {
        frozenset({("dsmr", SERIAL)}),
        frozenset({("dsmr", GAS)}),
    }


@pytest.mark.parametrize(
    ("version", "old", "new"),
    [
        ("2.2", ME382, KAIFA),
        ("4", KAIFA, ME382),
        ("5", AM550, KAIFA),
        # It was another version than the one that was given.
        ("5", KAIFA, KAIFA),
    ],
    ids=["2.2 to 4", "4 to 2.2", "5 to 4", "4 as 5"],
)
async def test_the_gas_keeps_its_history_when_the_version_changes(
    hass: HomeAssistant,
    gateway: Gateway,
    entity_registry: er.EntityRegistry,
    version: str,
    old: bytes,
    new: bytes,
) -> None:
    readings = {ME382: "8321.604", KAIFA: "6944.172", AM550: "3160.427"}

    def gas() -> set[str]:
        entities = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
        return {e.entity_id for e in entities if e.entity_id.startswith("sensor.gas_meter_")}

    entry = entry_for(version, old, port=at(gateway))
    await set_up_entry(hass, entry)
    async with gateway.sending(old):
        await state_of(hass, "sensor.gas_meter_gas_consumption", readings[old])
    before = gas()
    result = await move(hass, entry, at(gateway))
    shown = await after(hass, result, gateway, new)
    if old != new:
        assert shown["step_id"] == "replace"
        shown = await give(hass, shown, {})
    assert shown["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    async with gateway.sending(new):
        await state_of(hass, "sensor.gas_meter_gas_consumption", readings[new])
    # What another version has, or has not, comes and goes.
    assert not any(entity_id.endswith("_2") for entity_id in gas())
    assert {entity_id for entity_id in before if "consumption" in entity_id} <= gas()


@pytest.mark.parametrize("is_taken_away", [False, True])
async def test_who_moves_a_meter_changes_nothing_of_its_gas_meters(
    hass: HomeAssistant,
    gateway: Gateway,
    entity_registry: er.EntityRegistry,
    *,
    is_taken_away: bool,
) -> None:
    # The first one was replaced long ago, and is sent on: the other one comes first in a telegram.
    rows = "0-2:24.1.0(003)\r\n0-2:96.1.0(4732)\r\n0-2:24.2.1(261112070000W)(02000.000*m3)\r\n!"
    old = edited(KAIFA, o0_1_24_2_1="(170221100000W)(01000.000*m3)").decode()
    sent = edited(old.replace("!", rows).encode())
    entry = entry_for("4", sent, port=at(gateway))
    await set_up_entry(hass, entry)
    async with gateway.sending(KAIFA):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "6944.172")
    async with gateway.sending(sent):
        await until(lambda: hass.states.get("sensor.gas_meter_gas_consumption_2") is not None)
    await hass.async_block_till_done()
    gas = entry.data["serial_id_gas"]
    before = {e.entity_id: e.unique_id for e in entity_registry.entities.values()}
    result = await move(hass, entry, at(gateway), "4")
    if is_taken_away:
        # The first one is sent no longer.
        kept = sent.decode().rpartition("!")[0].replace(f"({gas})", "(4733)")
        sent = edited(f"{kept}!0000\r\n".encode(), o0_1_24_2_1="(632525252525W)(00000.000*m3)")
    done = await after(hass, result, gateway, sent)
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["serial_id_gas"] == gas
    async with gateway.sending(sent):
        await until(lambda: entry.runtime_data.dsmr.telegram is not None)
    await hass.async_block_till_done()
    assert {e.entity_id: e.unique_id for e in entity_registry.entities.values()} == before


async def test_an_entry_is_named_after_its_meter_until_a_person_has_named_it(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("4", KAIFA, port=at(gateway))
    entry.add_to_hass(hass)
    for before, after_it in (
        ("Kaifa · DSMR 4", "Iskraemeco · DSMR 5"),
        (f"127.0.0.1:{gateway.port}", "Iskraemeco · DSMR 5"),
        ("Barn", "Barn"),
    ):
        hass.config_entries.async_update_entry(
            entry, title=before, data=entry_for("4", KAIFA, port=at(gateway)).data
        )
        result = await move(hass, entry, at(gateway))
        replaces = await after(hass, result, gateway, AM550)
        await give(hass, replaces, {})
        assert entry.title == after_it
        await hass.async_block_till_done()
        await hass.config_entries.async_unload(entry.entry_id)


async def test_a_meter_that_has_changed_is_read_as_it_was_found(
    hass: HomeAssistant, serial_line: SerialLine, by_id: str
) -> None:
    # An adapter without seven bits: as the version says it, the line can't be set.
    entry = entry_for("5", AM550, port=by_id)
    await set_up_entry(hass, entry)
    await serial_line.opened()
    async with serial_line.sending(KAIFA):
        result = await move(hass, entry, by_id)
        done = await give(hass, await after(hass, result), {})
        assert done["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        assert entry.data["dsmr_version"] == "4"
        await until(lambda: entry.runtime_data.reader.counters.telegrams > 0)
    assert entry.runtime_data.reader.counters.last_cause == ""
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.logs("No telegrams from")
async def test_a_meter_that_is_gone_before_it_is_added_has_the_sensors_that_were_found(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    heat = edited(telegram_of("warmtelink-kamstrup"), o0_1_24_2_1="(260127083516W)(63.272*kWh)")
    shown = await after(hass, await begin(hass, at(gateway)), gateway, heat)
    await gateway.close()
    entry = (await give(hass, shown, {}))["result"]
    await until(lambda: entry.runtime_data.reader.cause is not None)
    await state_of(hass, "sensor.heat_meter_energy", "unavailable")
    registered = entity_registry.async_get("sensor.heat_meter_energy")
    assert registered
    assert registered.unit_of_measurement == "kWh"


@pytest.mark.parametrize("model", ["iskra-am550", "aidon-6534"])
async def test_a_dialog_that_was_left_open_keeps_no_other_from_adding_the_meter_and_adds_it_never(
    hass: HomeAssistant, gateway: Gateway, model: str
) -> None:
    # The second one says nothing by which it could be known.
    sent = telegram_of(model)
    left = await after(hass, await begin(hass, at(gateway)), gateway, sent)
    assert left["step_id"] == "confirm"
    shown = await after(hass, await begin(hass, at(gateway)), gateway, sent)
    added = await give(hass, shown, {})
    assert added["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    with suppress(UnknownFlow):
        late = await give(hass, left, {})
        assert (late["type"], late["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert hass.config_entries.async_entries("dsmr") == [added["result"]]


async def test_a_meter_can_not_take_the_place_of_one_that_has_its_own_entry(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry_for("5", AM550, port="/dev/ttyUSB0").add_to_hass(hass)
    entry = entry_for("4", telegram_of("kaifa-e0026-v42"), port="/dev/ttyUSB1")
    entry.add_to_hass(hass)
    result = await move(hass, entry, at(gateway))
    result = await after(hass, result, gateway, AM550)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


@pytest.mark.logs("No telegrams? from .*: ")
async def test_a_key_that_does_not_fit_is_asked_for_again(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("MSn", SMARTY, port=at(gateway), encryption_key=OTHER_KEY)
    await set_up_entry(hass, entry)
    await gateway.connected()
    for count in range(stream.REFUSED):
        gateway.send(encrypted(SMARTY, bytes.fromhex(KEY), counter=count))
    await until(lambda: bool(hass.config_entries.flow.async_progress()))
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == "reauth"
    form = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "reauth_confirm")
    form = await give(hass, form, {"encryption_key": "?"})
    assert form["errors"] == {"encryption_key": "invalid_key"}
    sent = encrypted(SMARTY, bytes.fromhex(KEY))
    result = await give(hass, form, {"encryption_key": OTHER_KEY})
    form = await after(hass, result, gateway, sent)
    assert (form["step_id"], form["errors"]) == (
        "reauth_confirm",
        {"encryption_key": "wrong_key"},
    )
    result = await give(hass, form, {"encryption_key": KEY})
    done = await after(hass, result, gateway, sent)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    assert entry.data["encryption_key"] == KEY
    async with gateway.sending(sent):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "4920.183")


@pytest.mark.parametrize("seconds", [0, 0.5, 5, 7200])
async def test_how_long_values_wait_is_changed_and_holds_at_once(
    hass: HomeAssistant, gateway: Gateway, seconds: float
) -> None:
    entry = entry_for("5", AM550, port=at(gateway))
    await set_up_entry(hass, entry)
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "init")
    before = entry.runtime_data
    done = await hass.config_entries.options.async_configure(
        form["flow_id"], {"time_between_update": seconds}
    )
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry.options == {"time_between_update": seconds, "swap_tariffs": False}
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data is not before


async def test_tariffs_that_an_operator_numbers_the_other_way_round_are_swapped(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up_entry(hass, entry := entry_for("5", AM550, port=at(gateway)))
    tariff = "sensor.electricity_meter_active_tariff"
    async with gateway.sending(AM550):
        await state_of(hass, tariff, "normal")
        form = await hass.config_entries.options.async_init(entry.entry_id)
        await hass.config_entries.options.async_configure(
            form["flow_id"], {"time_between_update": 30, "swap_tariffs": True}
        )
        await state_of(hass, tariff, "low")
    state = hass.states.get(tariff)
    assert state
    assert state.attributes["code"] == "0002"


@pytest.mark.logs("No telegrams from .*: configuration.yaml has the port")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_port_that_configuration_yaml_reads_is_not_opened_beside_it(
    hass: HomeAssistant, gateway: Gateway, host: str
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.power_consumption", "0.461")
        form = await after(hass, await begin(hass, f"{host}:{gateway.port}"))
    assert form["errors"] == {"base": "held"}
    assert (form["description_placeholders"] or {})["holder"] == "configuration.yaml"
    assert gateway.connections == 1


@pytest.mark.logs("No telegrams from .*: ")
async def test_telegrams_of_another_version_are_named(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    form = await after(hass, await begin(hass, at(gateway), "5"), gateway, ME382)
    assert form["errors"] == {"base": "wrong_version"}
    assert (form["description_placeholders"] or {})["version"] == "DSMR 2.2"


def field_of(form: ConfigFlowResult) -> object:
    """Return with what a form asks for the port."""
    assert form["data_schema"]
    return next(what for field, what in form["data_schema"].schema.items() if field == CONF_PORT)


async def test_an_address_is_changed_as_a_text_and_an_adapter_is_chosen_from_the_list(
    hass: HomeAssistant, gateway: Gateway, tmp_path: Path
) -> None:
    for port, selector in (
        (at(gateway), TextSelector),
        (str(tmp_path / "ttyUSB0"), SerialPortSelector),
    ):
        entry = entry_for("5", AM550, port=port)
        entry.add_to_hass(hass)
        assert isinstance(field_of(await entry.start_reconfigure_flow(hass)), selector)
        await hass.config_entries.async_remove(entry.entry_id)


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The adapters that the interface lists; where there are none, it has no list."""
    listed: list[str] = []

    async def scan(hass: HomeAssistant) -> list[SerialDevice]:
        if not listed:
            raise OSError(errno.ENOENT, "an adapter is gone")
        what = {"serial_number": None, "manufacturer": None, "description": None}
        return [SerialDevice(device=device, **what) for device in listed]

    monkeypatch.setattr("custom_components.dsmr.config_flow.async_scan_serial_ports", scan)
    return listed


@pytest.mark.logs("No telegrams from .*: ")
async def test_what_was_typed_in_vain_can_be_corrected_and_what_was_chosen_be_chosen_again(
    hass: HomeAssistant, tmp_path: Path, adapters: list[str]
) -> None:
    usb0, usb9 = str(tmp_path / "ttyUSB0"), str(tmp_path / "ttyUSB9")
    adapters.append(usb0)
    form = await begin(hass, "my meter")
    assert isinstance(field_of(form), TextSelector)
    form = await after(hass, await give(hass, form, {"port": usb9, "dsmr_version": "5"}))
    assert isinstance(field_of(form), TextSelector)
    form = await after(hass, await give(hass, form, {"port": usb0, "dsmr_version": "5"}))
    assert form["errors"] == {"base": "no_such_port"}
    assert isinstance(field_of(form), SerialPortSelector)


async def test_a_form_without_a_list_of_adapters_has_a_field(
    hass: HomeAssistant, adapters: list[str]
) -> None:
    assert not adapters
    assert isinstance(field_of(await begin(hass, "my meter")), TextSelector)


@pytest.mark.logs("No telegrams? from .*: ")
@pytest.mark.logs("Telegrams come from")
async def test_a_key_is_not_asked_for_any_more_when_telegrams_can_be_read_again(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5L", SMARTY, port=at(gateway))
    await set_up_entry(hass, entry)
    async with gateway.sending(encrypted(SMARTY, bytes.fromhex(KEY))):
        await until(lambda: bool(hass.config_entries.flow.async_progress()))
    async with gateway.sending(SMARTY):
        await until(lambda: not hass.config_entries.flow.async_progress())
    assert not ir.async_get(hass).issues


# --- an entry lets go of its port while that is probed


@pytest.fixture
async def probing(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> tuple[MockConfigEntry, ConfigFlowResult]:
    """An entry, and the dialog in which another port is listened to for it."""
    entry = entry_for("5", AM550, port=at(gateway))
    await set_up_entry(hass, entry)
    await gateway.connected()
    return entry, await move(hass, entry, at(second_gateway), "5")


type Probing = tuple[MockConfigEntry, ConfigFlowResult]


async def test_an_entry_that_is_set_up_anew_meanwhile_moves_all_the_same(
    hass: HomeAssistant, second_gateway: Gateway, probing: Probing
) -> None:
    entry, result = probing
    await second_gateway.connected()
    await until(lambda: entry.state is ConfigEntryState.NOT_LOADED)
    # As Home Assistant does half a minute after a sensor was enabled.
    hass.config_entries.async_schedule_reload(entry.entry_id)
    await until(lambda: entry.state is ConfigEntryState.LOADED)
    done = await after(hass, result, second_gateway, AM550)
    assert done["reason"] == "reconfigure_successful"
    assert entry.data["port"] == at(second_gateway)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def test_an_entry_that_is_removed_meanwhile_is_not_set_up_again(
    hass: HomeAssistant, second_gateway: Gateway, probing: Probing
) -> None:
    entry, result = probing
    await second_gateway.connected()
    await hass.config_entries.async_remove(entry.entry_id)
    async with second_gateway.sending(AM550):
        await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not hass.config_entries.async_entries("dsmr")
    done = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "entry_removed")


@pytest.mark.logs("No telegrams from")
async def test_nobody_is_told_of_a_port_that_fails_when_its_entry_was_removed_meanwhile(
    hass: HomeAssistant, second_gateway: Gateway, probing: Probing
) -> None:
    entry, result = probing
    await second_gateway.connected()
    await hass.config_entries.async_remove(entry.entry_id)
    await second_gateway.close()
    await hass.async_block_till_done()
    done = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "entry_removed")
    # asyncio logs an error that nobody has asked for when its task is thrown away.
    gc.collect()


@pytest.mark.parametrize("step_id", ["reconfigure", "replace"])
async def test_a_form_that_is_sent_after_its_entry_was_removed_says_so(
    hass: HomeAssistant, gateway: Gateway, step_id: str
) -> None:
    entry = entry_for("5", AM550, port="/dev/ttyUSB0", serial_id="77")
    entry.add_to_hass(hass)
    form = await entry.start_reconfigure_flow(hass)
    sent = {"port": at(gateway), "dsmr_version": "5"}
    if step_id == "replace":
        form, sent = await after(hass, await give(hass, form, sent), gateway, AM550), {}
    assert form["step_id"] == step_id
    await hass.config_entries.async_remove(entry.entry_id)
    done = await give(hass, form, sent)
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "entry_removed")


@pytest.mark.parametrize("turns", range(6))
async def test_an_entry_reads_on_at_whatever_moment_the_window_is_closed(
    hass: HomeAssistant, gateway: Gateway, probing: Probing, turns: int
) -> None:
    entry, result = probing
    for _ in range(turns):
        await asyncio.sleep(0)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await until(lambda: entry.state is ConfigEntryState.LOADED)
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.electricity_meter_active_tariff", "normal")
