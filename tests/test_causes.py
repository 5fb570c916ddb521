"""Why no telegrams come, and how long a meter may be silent before that is asked."""

import errno
import fcntl
from pathlib import Path
from socket import EAI_NONAME, gaierror

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
import pytest
from serialx import SerialException
from serialx.common import UnknownUriScheme

from custom_components.dsmr.models import Cause
from custom_components.dsmr.pauses import SHORTEST_SILENCE, SILENCE
from custom_components.dsmr.port import YAML_PORTS

from .clock import now, passed, run, settled
from .line import DEVICE, Line, Reading
from .parts import SerialLine, free_port, set_up, telegram_of, until, value_of

AM550 = telegram_of("iskra-am550")
DAMAGED = AM550.replace(b"(00.461*kW)", b"(00.462*kW)")
ME382 = telegram_of("iskra-me382")


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    return line


def _wrapped(error: Exception) -> Exception:
    """Return an error as a library makes it of another one's, and that of the system's."""
    between, outer = Exception("an API error"), ConnectionError("no connection")
    between.__cause__, outer.__cause__ = error, between
    return outer


@pytest.mark.parametrize(
    ("fault", "cause", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), Cause.NO_SUCH_PORT, "no such port"),
        (OSError(errno.ENXIO, "No such device"), Cause.NO_SUCH_PORT, "no such port"),
        (PermissionError(errno.EACCES, "denied"), Cause.NO_PERMISSION, "may not be opened"),
        (OSError(errno.EBUSY, "locked"), Cause.BUSY, "another program has the port"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), Cause.REFUSED, "refuses"),
        (OSError(errno.EHOSTUNREACH, "No route"), Cause.UNREACHABLE, "can't be reached"),
        (gaierror(EAI_NONAME, "Name not known"), Cause.UNREACHABLE, "can't be reached"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Cause.LOST, "connection was lost"),
        (ConnectionAbortedError(errno.ECONNABORTED, "abort"), Cause.LOST, "connection was lost"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), Cause.LOST, "connection was lost"),
        (TimeoutError(), Cause.UNREACHABLE, "can't be reached"),
        (ConnectionError("API connection closed"), Cause.UNREACHABLE, "can't be reached"),
        (_wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "no")), Cause.REFUSED, "refuses"),
        (ConfigEntryNotReady("ESPHome has not loaded yet"), Cause.NOT_READY, "not there yet"),
        (UnknownUriScheme("No handler"), Cause.UNKNOWN_SCHEME, "no such kind of port"),
        (SerialException("unsupported"), Cause.FAILED, "can't be opened"),
    ],
)
def test_why_a_port_does_not_open_is_said_in_words_and_kept(
    line: Line,
    request: pytest.FixtureRequest,
    fault: Exception,
    cause: Cause,
    words: str,
) -> None:
    request.applymarker(pytest.mark.logs(rf"No telegrams from .*\(.*{words}.*\)"))

    async def test() -> None:
        line.fault = fault
        async with Reading(not_ready=(ConfigEntryNotReady,)) as reading:
            assert reading.cause() is cause
            assert words in reading.counters.last_cause

    run(test())


@pytest.mark.logs("No telegrams from .*can't be opened")
def test_an_adapter_that_hangs_is_no_host_that_is_not_reached(line: Line) -> None:
    async def test() -> None:
        line.fault = TimeoutError()
        async with Reading(url=DEVICE) as reading:
            assert reading.cause() is Cause.FAILED

    run(test())


@pytest.mark.logs("Unexpected error while reading")
@pytest.mark.logs("No telegrams from")
def test_what_should_not_happen_has_a_cause_too(line: Line) -> None:
    async def test() -> None:
        line.fault = ZeroDivisionError()
        async with Reading() as reading:
            assert reading.cause() is Cause.UNEXPECTED

    run(test())


@pytest.mark.logs("No telegrams from .* .the connection was lost")
@pytest.mark.logs("Telegrams come from")
@pytest.mark.parametrize("error", [None, OSError(errno.EIO, "device disconnected")])
def test_a_connection_that_ends_is_lost_until_a_telegram_comes(
    line: Line, error: Exception | None
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            assert reading.cause() is None
            line.lose(error)
            await settled()
            assert reading.cause() is Cause.LOST
            await passed(1)
            assert reading.cause() is Cause.LOST
            line.send(AM550)
            assert reading.cause() is None

    run(test())


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", Cause.SILENT),
        (b"\xff\xf1\r\n\0", Cause.SILENT),
        (b"\x00\xff\x80/!", Cause.NO_TELEGRAM),
        (AM550[:-9], Cause.NO_TELEGRAM),
        (DAMAGED, Cause.CHECKSUM),
        (ME382, Cause.WRONG_VERSION),
    ],
    ids=[
        "nothing",
        "only signs that a gateway is there",
        "noise",
        "half a telegram",
        "a damaged telegram",
        "another version",
    ],
)
def test_what_an_open_port_lacks_is_told_apart(
    line: Line, request: pytest.FixtureRequest, data: bytes, cause: Cause
) -> None:
    request.applymarker(pytest.mark.logs("No telegrams from .*no telegram for 12 s"))

    async def test() -> None:
        async with Reading() as reading:
            if data:
                line.send(data)
            await passed(SHORTEST_SILENCE)
            assert reading.cause() is cause

    run(test())


@pytest.mark.logs("No telegrams from .*nothing comes at all")
def test_a_meter_that_stops_is_silent_whatever_came_before(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.send(DAMAGED + AM550)
            await passed(SHORTEST_SILENCE)
            assert reading.cause() is Cause.SILENT

    run(test())


@pytest.mark.logs("No telegrams from")
def test_the_cause_is_the_last_one_and_the_log_has_the_first(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        line.fault = FileNotFoundError(errno.ENOENT, "No such file")
        async with Reading() as reading:
            line.fault = PermissionError(errno.EACCES, "denied")
            await passed(5)
            assert reading.cause() is Cause.NO_PERMISSION
        assert caplog.text.count("No telegrams from") == 1
        assert "no such port" in caplog.text

    run(test())


# --- how long a meter may be silent


@pytest.mark.logs("No telegrams from .*no telegram for 12 s")
@pytest.mark.logs("Telegrams come from")
def test_a_gateway_that_sends_once_a_minute_is_learnt(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for minute in range(1, 61):
                await passed(60 * minute - now())
                line.send(AM550)
                if minute == 3:
                    # Until then it was called silent. Two pauses are enough to know better.
                    assert reading.losses()
            assert reading.losses() == 0
            assert reading.counters.telegrams == 60

    run(test())


@pytest.mark.logs("No telegrams from .*no telegram for 12 s")
@pytest.mark.logs("No telegrams from .*no telegram for 210 s")
@pytest.mark.logs("Telegrams come from")
def test_a_gateway_that_was_learnt_is_silent_after_some_of_its_minutes(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for minute in range(1, 6):
                await passed(60 * minute - now())
                line.send(AM550)
            reading.events()
            await passed(SILENCE * 60 - 1)
            assert reading.losses() == 0
            await passed(1)
            assert reading.losses() == 1

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_an_outage_does_not_make_the_meter_slow(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for outage in (0, 3600, 3600):
                await passed(outage)
                for _ in range(2):
                    line.send(AM550)
                    await passed(1)
            reading.events()
            await passed(SHORTEST_SILENCE - 1)
            assert reading.losses() == 1

    run(test())


@pytest.mark.logs("No telegrams from .*no telegram for 12 s")
@pytest.mark.logs("Telegrams come from")
def test_a_gateway_that_becomes_quick_again_is_learnt_too(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for pause in (60, 60, 60, 60, 1, 1, 1, 1):
                await passed(pause)
                line.send(AM550)
            reading.events()
            await passed(SHORTEST_SILENCE)
            assert reading.losses() == 1

    run(test())


def test_the_interval_of_the_version_is_the_least(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2") as reading:
            for _ in range(5):
                line.send(ME382)
                await passed(1)
            await passed(33)
            assert reading.losses() == 0

    run(test())


# --- with the real serialx


@pytest.mark.logs("No telegrams from .*there is no such port")
async def test_a_device_that_is_not_there(hass: HomeAssistant, tmp_path: Path) -> None:
    await set_up(hass, {"port": str(tmp_path / "ttyUSB9"), "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.NO_SUCH_PORT)


@pytest.mark.logs("No telegrams from .*another program has the port")
async def test_a_device_that_another_program_has(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    with serial_line.device.open("rb", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
        reader = hass.data[YAML_PORTS]["yaml"].reader
        await until(lambda: reader.cause is Cause.BUSY)


@pytest.mark.logs("No telegrams from .*the host refuses the connection")
async def test_a_host_on_which_nothing_listens(hass: HomeAssistant, socket_enabled: None) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": free_port(), "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.REFUSED)


@pytest.mark.logs("No telegrams from esphome-hass://.*what opens the port is not there yet")
async def test_an_esphome_that_is_not_loaded_yet_is_waited_for(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    # Home Assistant's `usb`, which this integration depends on, keeps the place of ESPHome.
    url = "esphome-hass://esphome/0123456789?port_name=p1"
    await set_up(hass, {"port": url, "dsmr_version": 5})
    port = hass.data[YAML_PORTS]["yaml"]
    await until(lambda: port.reader.cause is Cause.NOT_READY)
    assert value_of(hass, "sensor.power_consumption") == "unavailable"
    await port.stop()
    assert "Traceback" not in caplog.text
