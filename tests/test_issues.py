"""What a person is told where no telegrams come, and when it is taken back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.dsmr import issues, reader
from custom_components.dsmr.const import YAML_PORTS
from custom_components.dsmr.models import Cause
from custom_components.dsmr.port import P1Port, line_of

from .parts import (
    Gateway,
    SerialLine,
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
        (b"", Cause.SILENT, "DSMR 5"),
        (b"\xff\x80 garbage", Cause.NO_TELEGRAM, "DSMR 5"),
        (DAMAGED, Cause.CHECKSUM, "DSMR 5"),
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
    monkeypatch.setattr(reader, "SHORTEST_SILENCE", 0.5)
    monkeypatch.setattr(reader, "SILENCE", 0.05)
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
    ],
)
async def test_a_line_is_one_by_whichever_name(hass: HomeAssistant, name: str, other: str) -> None:
    assert await line_of(hass, name) == await line_of(hass, other)


@pytest.mark.logs("No telegrams from .*The first has the port")
async def test_two_entries_at_one_gateway_do_not_take_turns(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    first = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    second = entry_for("5", AM550, port=f"rfc2217://127.0.0.1:{gateway.port}", serial_id="77")
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


@pytest.mark.logs("No telegrams from .*the connection was lost")
@pytest.mark.logs("Telegrams come from")
async def test_the_connection_is_shown_and_when_the_last_telegram_came(
    hass: HomeAssistant, gateway: Gateway, later: Later
) -> None:
    await set_up(hass, at(gateway))
    await gateway.connected()
    assert value_of(hass, CONNECTION) == "unknown"
    gateway.send(AM550)
    await state_of(hass, CONNECTION, "receiving")
    state = hass.states.get(CONNECTION)
    assert state
    assert "last_telegram" not in state.attributes
    later(10)
    await gateway.close()
    await state_of(hass, CONNECTION, "lost")
    state = hass.states.get(CONNECTION)
    assert state
    assert 10 <= (state.last_changed - state.attributes["last_telegram"]).total_seconds() < 20
    assert value_of(hass, "sensor.power_consumption") == "unavailable"
    last = state.attributes["last_telegram"]
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
