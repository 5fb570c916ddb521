"""What a person is told where no telegrams come, and when it is taken back."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import EAI_NONAME, gaierror
from typing import Any
from unittest.mock import Mock

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.dsmr import issues, pauses, reader
from custom_components.dsmr.models import Cause
from custom_components.dsmr.port import YAML_PORTS, P1Port, endpoint_of, holder_of

from .parts import (
    Gateway,
    SerialLine,
    edited,
    set_up,
    state_of,
    telegram_of,
    until,
    value_of,
)
from .test_entry import entry_for, set_up_entry
from .test_reload import ours, reload
from .test_takeover import fix

AM550 = telegram_of("iskra-am550")
ME382 = telegram_of("iskra-me382")
DAMAGED = AM550.replace(b"0.461", b"0.462")
CONNECTION = "sensor.smart_meter_connection"
LAST_TELEGRAM = "sensor.smart_meter_last_telegram"

type Later = Callable[[float], None]


@pytest.fixture
def later(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Later:
    """Let time pass at once: what was to happen in it happens now."""
    clock, ahead = hass.loop.time, [0.0]
    monkeypatch.setattr(hass.loop, "time", lambda: clock() + ahead[0])

    def pass_by(seconds: float) -> None:
        ahead[0] += seconds

    return pass_by


def at(gateway: Gateway, version: Any = 5) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": version}


def port_of(hass: HomeAssistant, name: str = "yaml") -> P1Port:
    return hass.data[YAML_PORTS][name]


async def lost_again(port: P1Port) -> None:
    """Wait until one more attempt has been in vain."""
    lost: list[None] = []
    unsubscribe = port.dsmr.listen_loss(lost.append)
    await until(lambda: bool(lost))
    unsubscribe()


def issue_of(hass: HomeAssistant, port_id: str = "yaml") -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue("dsmr", f"no_telegrams_{port_id}")


@pytest.mark.logs("No telegrams from .*(there is no such port|the connection was lost)")
@pytest.mark.logs("Telegrams come from")
async def test_a_missing_port_is_an_issue_after_five_minutes_and_gone_when_it_is_back(
    hass: HomeAssistant, serial_line: SerialLine, later: Later
) -> None:
    serial_line.unplug()
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    port = port_of(hass)
    await lost_again(port)
    later(280)
    await lost_again(port)
    assert issue_of(hass) is None
    later(20)
    await lost_again(port)
    issue = issue_of(hass)
    assert issue
    assert issue.translation_key == Cause.NO_SUCH_PORT
    assert issue.translation_placeholders
    assert issue.translation_placeholders["port"] == str(serial_line.device)
    assert not issue.is_fixable
    assert value_of(hass, CONNECTION) == "no_such_port"

    serial_line.plug_in()
    later(2)
    await serial_line.opened()
    async with serial_line.sending(AM550):
        await state_of(hass, CONNECTION, "receiving")
    assert issue_of(hass) is None

    # The next outage has its own five minutes.
    serial_line.unplug()
    await lost_again(port)
    await lost_again(port)
    assert issue_of(hass) is None


@pytest.mark.logs("No telegrams from")
@pytest.mark.parametrize(
    ("sent", "cause", "version"),
    [
        (b"", Cause.SILENT, ""),
        (b"\xff\x80 garbage", Cause.NO_TELEGRAM, ""),
        (DAMAGED, Cause.CHECKSUM, ""),
        (ME382, Cause.WRONG_VERSION, "DSMR 2.2"),
    ],
    ids=["nothing", "garbage", "damaged telegrams", "another version"],
)
async def test_the_issue_tells_what_comes_instead_of_telegrams(
    hass: HomeAssistant,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    sent: bytes,
    cause: Cause,
    version: str,
) -> None:
    monkeypatch.setattr(pauses, "SHORTEST_SILENCE", 0.5)
    monkeypatch.setattr(pauses, "SILENCE", 0.05)
    monkeypatch.setattr(issues, "PATIENCE", 0)
    await set_up(hass, at(gateway))

    async with gateway.sending(sent):
        await state_of(hass, CONNECTION, cause)
    issue = issue_of(hass)
    assert issue
    assert issue.translation_key == cause
    assert issue.translation_placeholders
    assert issue.translation_placeholders["version"] == version


@pytest.mark.logs("No telegrams from socket://127.0.0.1")
async def test_no_issue_gives_the_user_and_the_password_of_a_port_away(
    hass: HomeAssistant, gateway: Gateway, later: Later
) -> None:
    def is_said(issue: str) -> bool:
        said = {i.issue_id: str(i) for _, i in sorted(ir.async_get(hass).issues.items())}
        assert "somebody" not in str(said)
        assert "s3cret" not in str(said)
        return issue in said

    url = f"socket://somebody:s3cret@127.0.0.1:{gateway.port}"
    configured = {"port": url, "dsmr_version": 5}
    await async_setup_component(hass, "repairs", {})
    await set_up(hass, configured)
    await gateway.connected()
    gateway.send(AM550)
    await until(lambda: is_said("import_yaml_yaml"))
    # Home Assistant names tasks in its log.
    assert "s3cret" not in str(ours())
    await fix(hass)
    await until(lambda: is_said("yaml_left_out_yaml"))
    await reload(hass)
    assert not is_said("yaml_left_out_yaml")
    await reload(hass, configured)
    assert is_said("yaml_left_out_yaml")
    [entry] = hass.config_entries.async_entries("dsmr")
    await gateway.connected()
    await gateway.close()
    await lost_again(entry.runtime_data)
    later(300)
    await lost_again(entry.runtime_data)
    assert is_said(f"no_telegrams_{entry.entry_id}")


@pytest.mark.logs("No telegrams from .*configuration.yaml.* has the port")
@pytest.mark.logs("Telegrams come from")
async def test_the_second_at_one_port_waits_and_is_told_who_has_it(
    hass: HomeAssistant, serial_line: SerialLine, tmp_path: Path
) -> None:
    # By its other name it is the same line.
    by_id = tmp_path / "usb-P1_cable"
    by_id.symlink_to(serial_line.device)
    await set_up(
        hass,
        {"port": str(serial_line.device), "dsmr_version": 5},
        {"port": str(by_id), "dsmr_version": 5, "name": "Second"},
    )
    first, second = port_of(hass), port_of(hass, "yaml_second")
    await until(lambda: Cause.HELD in (first.reader.cause, second.reader.cause))
    # Which of the two was the first is chance.
    if first.reader.cause is Cause.HELD:
        first, second = second, first
    await until(lambda: issue_of(hass, second.roster.port_id) is not None)
    issue = issue_of(hass, second.roster.port_id)
    assert issue
    assert issue.translation_placeholders
    assert issue.translation_placeholders["holder"] == first.reader.connection.title
    assert second.reader.counters.connections == 0
    assert issue_of(hass, first.roster.port_id) is None

    async with serial_line.sending(AM550):
        await until(lambda: first.dsmr.telegram is not None)
        await first.stop()
        await until(lambda: second.dsmr.telegram is not None)
    assert issue_of(hass, second.roster.port_id) is None


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("socket://192.0.2.1:2001", "rfc2217://192.0.2.1:2001"),
        ("socket://gateway.local:2001", "socket://Gateway.local:2001"),
        ("socket://192.0.2.1:2001", "socket://somebody:secret@192.0.2.1:2001"),
        ("esphome://meter.home/?port_name=p1", "esphome://Meter.home:6053/p1?key=c2VjcmV0"),
    ],
)
async def test_a_line_is_one_by_whichever_name(hass: HomeAssistant, name: str, other: str) -> None:
    assert await endpoint_of(hass, name) == await endpoint_of(hass, other)


@pytest.mark.logs("No telegrams from .*The first has the port")
@pytest.mark.parametrize("other", ["rfc2217://127.0.0.1", "socket://localhost"])
async def test_two_entries_at_one_gateway_do_not_take_turns(
    hass: HomeAssistant, gateway: Gateway, other: str
) -> None:
    first = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    second = entry_for("5", AM550, port=f"{other}:{gateway.port}", serial_id="77")
    await set_up_entry(hass, first)
    hass.config_entries.async_update_entry(first, title="The first")
    await hass.config_entries.async_reload(first.entry_id)
    await gateway.connected()
    await set_up_entry(hass, second)
    await until(lambda: second.runtime_data.reader.cause is Cause.HELD)
    issue = issue_of(hass, second.entry_id)
    assert issue
    assert issue.translation_placeholders
    assert issue.translation_placeholders["holder"] == "The first"
    async with gateway.sending(AM550):
        await until(lambda: first.runtime_data.dsmr.telegram is not None)
    # Who waits can be taken away like who reads.
    await hass.config_entries.async_remove(second.entry_id)
    assert issue_of(hass, second.entry_id) is None


async def test_two_ports_of_one_esphome_are_two_lines(hass: HomeAssistant) -> None:
    ports = ("port_name=a", "port_name=b", "port_serial_number=A1", "port_serial_number=B2")
    assert len({await endpoint_of(hass, f"esphome://meter.home/?{port}") for port in ports}) == 4


@pytest.mark.logs("No telegrams from socket://meter.home.* has the port")
async def test_a_line_that_was_opened_while_the_first_one_looks_for_its_host_stays_with_who_has_it(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, is_found = hass.loop.getaddrinfo, asyncio.Event()

    async def look_up(host: str, port: int, **rest: Any) -> list[Any]:
        if host == "meter.home":
            await is_found.wait()
        return await ask("127.0.0.1", port, **rest)

    monkeypatch.setattr(hass.loop, "getaddrinfo", look_up)
    first = entry_for("5", AM550, port=f"socket://meter.home:{gateway.port}")
    second = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}", serial_id="77")
    await set_up_entry(hass, first)
    await set_up_entry(hass, second)
    await gateway.connected()
    is_found.set()
    await until(lambda: first.runtime_data.reader.cause is Cause.HELD)
    assert first.runtime_data.reader.opener.holder == second.title
    async with gateway.sending(AM550):
        await until(lambda: second.runtime_data.dsmr.telegram is not None)
    assert gateway.connections == 1


@pytest.mark.logs("No telegrams from socket://old.home")
async def test_a_gateway_whose_name_nobody_knows_any_more_keeps_no_address(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, names = hass.loop.getaddrinfo, {"old.home"}

    async def look_up(host: str, port: int, **rest: Any) -> list[Any]:
        if host.endswith(".home") and host not in names:
            raise gaierror(EAI_NONAME, "Name or service not known")
        return await ask("127.0.0.1", port, **rest)

    monkeypatch.setattr(hass.loop, "getaddrinfo", look_up)
    old = entry_for("5", AM550, port=f"socket://old.home:{gateway.port}")
    await set_up_entry(hass, old)
    await gateway.connected()
    names.clear()
    gateway.drop()
    await until(lambda: old.runtime_data.reader.cause is Cause.UNREACHABLE)
    # It was replaced by another one, at the same address.
    new = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}", serial_id="77")
    await set_up_entry(hass, new)
    async with gateway.sending(AM550):
        await until(lambda: new.runtime_data.dsmr.telegram is not None)


@pytest.mark.logs("No telegrams from .*socket://.* has the port")
async def test_an_entry_without_a_title_has_its_line_too(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    port = f"socket://127.0.0.1:{gateway.port}"
    first = entry_for("5", AM550, port=port)
    second = entry_for("5", AM550, port=port, serial_id="77")
    await set_up_entry(hass, first)
    hass.config_entries.async_update_entry(first, title="")
    await hass.config_entries.async_reload(first.entry_id)
    await gateway.connected()
    await set_up_entry(hass, second)
    await until(lambda: second.runtime_data.reader.cause is Cause.HELD)
    assert second.runtime_data.reader.opener.holder == port
    async with gateway.sending(AM550):
        await until(lambda: first.runtime_data.dsmr.telegram is not None)


@pytest.fixture
def cables(tmp_path: Path) -> Iterator[Cables]:
    """Two adapters, each with a name that goes with it."""
    cables = Cables(tmp_path)
    cables.plug_in(0, 1)
    yield cables
    cables.unplug()


class Cables:
    """Two adapters that get the names ttyUSB0 and ttyUSB1 in the order in which they come."""

    def __init__(self, directory: Path) -> None:
        self.by_id = (directory / "usb-A", directory / "usb-B")
        self.lines = [SerialLine(directory / f"ttyUSB{number}") for number in (0, 1)]

    def plug_in(self, *adapters: int) -> None:
        """Plug the adapters in, in this order."""
        for line, adapter in zip(self.lines, adapters, strict=True):
            if not line.device.is_symlink():
                line.plug_in()
            self.by_id[adapter].symlink_to(line.device)

    def unplug(self) -> None:
        """Pull both out."""
        for line, name in zip(self.lines, self.by_id, strict=True):
            line.unplug()
            name.unlink(missing_ok=True)


@pytest.mark.logs("No telegrams from .*(there is no such port|the connection was lost)")
@pytest.mark.logs("Telegrams come from")
async def test_adapters_that_come_back_under_each_others_names_are_both_read(
    hass: HomeAssistant, cables: Cables
) -> None:
    entries = [
        entry_for("5", AM550, port=str(name), serial_id=serial)
        for name, serial in zip(cables.by_id, ("1", "2"), strict=True)
    ]
    for entry in entries:
        await set_up_entry(hass, entry)
    for line in cables.lines:
        await line.opened()
    cables.unplug()
    await until(lambda: all(entry.runtime_data.reader.cause for entry in entries))
    cables.plug_in(1, 0)
    # Without the gas meter, which can't be at both.
    sent = edited(AM550, o0_1_24_2_1="")
    async with cables.lines[0].sending(sent), cables.lines[1].sending(sent):
        await until(lambda: all(entry.runtime_data.dsmr.telegram for entry in entries))
        assert await holder_of(hass, [str(cables.lines[0].device)]) == entries[1].title
        await hass.config_entries.async_reload(entries[1].entry_id)
        await until(lambda: entries[1].runtime_data.dsmr.telegram is not None)
    assert entries[1].runtime_data.reader.counters.connections == 1


@pytest.mark.logs("No telegrams from .*there is no such port")
async def test_who_has_a_line_that_was_plugged_in_late_is_told_too(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    device, by_id = tmp_path / "ttyUSB0", tmp_path / "usb-P1_cable"
    first = entry_for("5", AM550, port=str(by_id))
    second = entry_for("5", AM550, port=str(device), serial_id="77")
    await set_up_entry(hass, first)
    await set_up_entry(hass, second)
    await until(lambda: bool(first.runtime_data.reader.cause and second.runtime_data.reader.cause))
    by_id.symlink_to(device)
    line = SerialLine(device)
    await until(lambda: second.runtime_data.reader.cause is Cause.HELD)
    assert second.runtime_data.reader.opener.holder == first.title
    for entry in (first, second):
        await hass.config_entries.async_unload(entry.entry_id)
    line.unplug()


@pytest.mark.logs("No telegrams from .* has the port")
async def test_that_a_port_is_set_up_twice_is_not_said_of_one_that_is_not_any_more(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    first = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    second = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}", serial_id="77")
    await set_up_entry(hass, first)
    await set_up_entry(hass, second)
    await gateway.connected()
    await until(lambda: issue_of(hass, second.entry_id) is not None)
    await gateway.close()
    await hass.config_entries.async_remove(first.entry_id)
    await until(lambda: second.runtime_data.reader.cause is Cause.REFUSED)
    await until(lambda: issue_of(hass, second.entry_id) is None)


@pytest.mark.logs("No telegrams from .*the connection was lost")
@pytest.mark.logs("Telegrams come from")
async def test_the_connection_is_shown_and_when_the_last_telegram_came(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await gateway.connected()
    assert value_of(hass, CONNECTION) == "unknown"
    sent = dt_util.utcnow()
    gateway.send(AM550)
    await state_of(hass, CONNECTION, "receiving")
    state = hass.states.get(CONNECTION)
    assert state
    assert "last_telegram" not in state.attributes
    await gateway.close()
    await state_of(hass, CONNECTION, "lost")
    shown, state = state, hass.states.get(CONNECTION)
    assert state
    last = state.attributes["last_telegram"]
    assert sent <= last <= shown.last_changed
    assert value_of(hass, "sensor.power_consumption") == "unavailable"
    for _ in range(2):
        await lost_again(port_of(hass))
    state = hass.states.get(CONNECTION)
    assert state
    assert (state.state, state.attributes["last_telegram"]) == ("refused", last)
    await gateway.open()
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, CONNECTION, "receiving")
    state = hass.states.get(CONNECTION)
    assert state
    assert "last_telegram" not in state.attributes


@pytest.mark.logs("No telegrams from .*the connection was lost")
async def test_who_wants_it_is_shown_while_telegrams_come_when_the_last_one_did(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Mock()
    monkeypatch.setattr(reader, "datetime", clock)

    async def sent(hour: int) -> None:
        clock.now.return_value = datetime(2026, 11, 26, hour, tzinfo=UTC)
        gateway.send(AM550)
        await until(lambda: port_of(hass).reader.telegram_time == clock.now.return_value)

    await set_up(hass, at(gateway))
    assert hass.states.get(LAST_TELEGRAM) is None
    er.async_get(hass).async_update_entity(LAST_TELEGRAM, disabled_by=None)
    await reload(hass, at(gateway))
    await gateway.connected()
    assert value_of(hass, LAST_TELEGRAM) == "unknown"
    await sent(hour=7)
    await state_of(hass, LAST_TELEGRAM, "2026-11-26T07:00:00+00:00")
    # As any value it waits for a minute at most.
    await sent(hour=8)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await state_of(hass, LAST_TELEGRAM, "2026-11-26T08:00:00+00:00")
    await sent(hour=9)
    await gateway.close()
    await state_of(hass, CONNECTION, "lost")
    assert value_of(hass, LAST_TELEGRAM) == "2026-11-26T09:00:00+00:00"


@pytest.mark.logs("No telegrams from")
async def test_a_silent_meter_is_told_when_the_time_for_it_is_over(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "SHORTEST_SILENCE", 3600.0)
    await set_up(hass, at(gateway))
    async with gateway.sending(AM550):
        await state_of(hass, "sensor.power_consumption", "0.461")
    # The first time that somebody looks, telegrams have come since the last one.
    for _ in range(2):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=3601))
        await hass.async_block_till_done()
    await state_of(hass, "sensor.power_consumption", "unavailable")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=issues.PATIENCE + 1))
    assert ir.async_get(hass).async_get_issue("dsmr", "no_telegrams_yaml")
