"""The version `auto`: told from the line, remembered, and looked for again where it must be."""

import asyncio
from datetime import UTC
import errno
from itertools import pairwise
import termios
from typing import Any, Final, override
from unittest.mock import patch

from homeassistant.core import HomeAssistant
import pytest

from custom_components.dsmr.detection import _LINE, RULES, TURN, recognise
from custom_components.dsmr.models import Cause, Connection, Keys
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.probe import LOSSES, ProbeError, probe
from custom_components.dsmr.reader import DOUBT, LONGEST_RETRY, SERVER_PATIENCE
from custom_components.dsmr.versions import (
    OTHERS,
    SERIAL_9600_7E1,
    SERIAL_115200_7E1,
    SERIAL_115200_8N1,
    VERSIONS,
    SerialSettings,
    Version,
)

from .clock import now, passed, run
from .line import DEVICE, URL, Line, Reading, nobody
from .meter import MODELS
from .meter.wire import encrypted
from .parts import (
    Gateway,
    SerialLine,
    edited,
    remembered,
    set_up,
    state_of,
    telegram_of,
    until,
    value_of,
)

KEY: Final = bytes.fromhex("3c9f41e07ab25d18f6c3904be27d5a61")
AM550 = telegram_of("iskra-am550")
ME382 = telegram_of("iskra-me382")
E350 = telegram_of("landisgyr-e350")
SMARTY = telegram_of("smarty-t210d")
T210 = telegram_of("sagemcom-t210d-r")
SETTINGS: Final = (SERIAL_115200_8N1, SERIAL_115200_7E1, SERIAL_9600_7E1)


# --- the rules


@pytest.mark.parametrize("model", MODELS)
def test_the_version_of_each_model_is_told_from_its_telegram(model: str) -> None:
    assert recognise(telegram_of(model)) is VERSIONS[MODELS[model].version]


@pytest.mark.parametrize(
    ("model", "version"),
    [("smarty-t210d", "MSn"), ("sagemcom-t210d-r", "SAGEMCOM_T210_D_R"), ("iskra-am550", "5")],
)
def test_the_version_of_an_encrypted_telegram_is_told_from_what_is_in_it(
    model: str, version: str
) -> None:
    assert recognise(telegram_of(model), encrypted=True) is VERSIONS[version]


@pytest.mark.parametrize(
    ("telegram", "version"),
    [
        pytest.param(
            b"/ABC5\\OTHER\r\n\r\n0-0:96.1.4(50221)\r\n1-0:1.7.0(00.1*kW)\r\n!0000\r\n",
            "5B",
            id="another operator in Belgium",
        ),
        pytest.param(
            T210.replace(b"/EST5", b"/XYZ5"), "5", id="another operator in Austria, plain"
        ),
        pytest.param(
            telegram_of("sagemcom-hungary")
            .replace(b"/SAG5SAG-METER", b"/HLY5\\D545-METER")
            .replace(b"0-0:1.0.0", b"1-3:0.2.8(50)\r\n0-0:1.0.0"),
            "5EONHU",
            id="another maker in Hungary",
        ),
        pytest.param(
            telegram_of("aidon-6534").replace(b"/ADN9 6534", b"/XYZ5"),
            "5S",
            id="another maker in Sweden",
        ),
        pytest.param(
            AM550.replace(b"/ISK5", b"\0\n/ISK5").replace(b"0-0:1.0.0", b"\0\0000-0:1.0.0"),
            "5",
            id="NULs between the lines",
        ),
        pytest.param(
            b"/XYZ5\r\n\r\n1-0:1.8.1(1*kWh)\r\n!\r\n", "2.2", id="nothing but no checksum"
        ),
        pytest.param(b"/XYZ5\r\n\r\n1-0:1.8.1(1*kWh)\r\n!0000\r\n", "5", id="nothing at all"),
        pytest.param(b"/\xff\xfe\r\n!\r\n", "2.2", id="noise"),
    ],
)
def test_a_meter_thatnobody_has_seen_is_told_by_what_it_sends(
    telegram: bytes, version: str
) -> None:
    assert recognise(telegram) is VERSIONS[version]


def test_an_encrypted_meter_of_another_austrian_operator_is_told_by_what_it_lacks() -> None:
    telegram = T210.replace(b"/EST5", b"/XYZ5")
    assert recognise(telegram, encrypted=True) is VERSIONS["SAGEMCOM_T210_D_R"]


def test_blank_lines_before_a_line_are_none_of_it() -> None:
    # Else all that follow would be looked through again from each of them.
    assert _LINE.match(b"\0 1-3:0.2.8(50)")
    assert not _LINE.match(b"\r\n1-3:0.2.8(50)")
    assert recognise(b"/X\r\n" + 1000 * b"\r\n" + b"1-3:0.2.8(50)\r\n!0000") is VERSIONS["5"]


def test_each_rule_says_why_and_the_last_one_holds_always() -> None:
    assert all(rule.why and rule.version in VERSIONS for rule in RULES)
    assert {rule.version for rule in RULES} == VERSIONS.keys() - {"3"}  # 3 has the lines of 2.2.
    last = RULES[-1]
    assert last == type(last)(version=last.version, why=last.why)


# --- the search, on virtual time


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    return line


def sent(data: bytes, meter: SerialSettings, ours: SerialSettings) -> bytes:
    """Return what is read of bytes on a line that is set as it is (UART, least bit first)."""
    if meter.baudrate != ours.baudrate:
        # One bit of the slow line is many of the fast one.
        return bytes(0x80 | byte ^ 0x55 for byte in data)
    if meter.byte_size == 7 and ours.byte_size == 8:
        return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)
    return bytes(byte & (0x7F if ours.byte_size == 7 else 0xFF) for byte in data)


@pytest.mark.logs("No telegrams from /dev/ttyUSB0: the other side")
@pytest.mark.parametrize(
    ("model", "meter"),
    [
        ("iskra-am550", SERIAL_115200_8N1),
        ("landisgyr-e350", SERIAL_115200_8N1),
        ("landisgyr-e350", SERIAL_115200_7E1),
        ("iskra-me382", SERIAL_9600_7E1),
    ],
)
def test_the_settings_of_a_serial_line_are_found_by_trying(
    line: Line, model: str, meter: SerialSettings
) -> None:
    async def test() -> None:
        telegram = telegram_of(model)
        async with Reading(None, url=DEVICE) as reading:
            while not reading.counters.telegrams:
                assert now() < len(SETTINGS) * (TURN + 1)
                line.send(sent(telegram, meter, line.settings))
                await passed(1)
            assert reading.reader.version is VERSIONS[MODELS[model].version]
            assert len(reading.telegrams()) == 1
            line.lose()
            await passed(1)
            assert line.settings == meter

    run(test())


@pytest.mark.logs("No telegrams from /dev/ttyUSB0: no telegram for 12 s .nothing comes at all")
def test_a_silent_line_is_tried_with_each_setting_in_turn_and_then_said_to_be_silent(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading(None, url=DEVICE) as reading:
            await passed(len(SETTINGS) * TURN)
            assert tuple(settings for _, settings in line.opened) == SETTINGS
            assert reading.cause() is None
            await passed(1)
            assert reading.cause() is Cause.SILENT
            await passed(300)
            assert reading.losses()
        for (before, _), (after, _) in pairwise(line.opened):
            assert TURN <= after - before <= TURN + 2
        assert caplog.text.count("No telegrams from") == 1

    run(test())


def test_a_setting_that_makes_garbage_is_left_before_its_time(line: Line) -> None:
    async def test() -> None:
        async with Reading(None, url=DEVICE):
            for _ in range(5):
                line.send(sent(AM550, SERIAL_115200_7E1, SERIAL_115200_8N1))
                await passed(1)
            assert line.settings == SERIAL_115200_7E1

    run(test())


@pytest.mark.logs("No telegrams from .*: no telegram for 35 s .bytes come, but no telegram")
@pytest.mark.parametrize("url", ["socket://192.0.2.1:2001", "tcp://192.0.2.1:2001"])
def test_behind_a_server_there_is_nothing_to_try(line: Line, url: str) -> None:
    async def test() -> None:
        async with Reading(None, url=url) as reading:
            line.send(b"\xfe" * 4096)
            await passed(60)
            assert [settings for _, settings in line.opened] == [SERIAL_115200_8N1] * 2
            assert reading.cause() is Cause.NO_TELEGRAM

    run(test())


@pytest.mark.parametrize("sign", [b"", b"\r\n", b"\xff\xf1"], ids=["", "line end", "telnet"])
@pytest.mark.parametrize("version", [None, VERSIONS["5"]], ids=["auto", "5"])
def test_who_adds_a_gateway_that_sends_once_a_minute_need_not_try_again(
    line: Line, version: Version | None, sign: bytes
) -> None:
    async def test() -> None:
        probing = asyncio.create_task(probe(Connection(URL, 30), version, UTC, nobody))
        # Some show meanwhile that they are there.
        for _ in range(59):
            await passed(1)
            line.send(sign)
        line.send(AM550)
        found = await probing
        assert found.version is VERSIONS["5"]
        # Its minutes may begin when somebody calls.
        assert len(line.opened) == 1

    run(test())


@pytest.mark.logs("No telegrams from .*the connection was lost")
@pytest.mark.logs("Telegrams come from .* again")
def test_who_adds_a_gateway_that_hangs_up_at_first_need_not_try_again(line: Line) -> None:
    async def test() -> None:
        probing = asyncio.create_task(probe(Connection(URL, 30), None, UTC, nobody))
        for _ in range(2):
            await passed(0.1)
            line.lose()
            await passed(1)
        line.send(AM550)
        found = await probing
        assert found.version is VERSIONS["5"]

    run(test())


@pytest.mark.logs("No telegrams from .*the connection was lost")
def test_who_adds_a_gateway_that_only_hangs_up_is_told_so(line: Line) -> None:
    async def test() -> None:
        probing = asyncio.create_task(probe(Connection(URL, 30), None, UTC, nobody))
        for _ in range(LOSSES):
            await passed(1)
            line.lose()
        with pytest.raises(ProbeError) as error:
            await probing
        assert error.value.cause is Cause.LOST
        assert len(line.opened) == LOSSES

    run(test())


@pytest.mark.logs("No telegrams from .*: no telegram for .* s .nothing comes at all")
@pytest.mark.parametrize(
    ("url", "version", "least"),
    [
        (URL, None, SERVER_PATIENCE),
        (URL, "5", SERVER_PATIENCE),
        (DEVICE, None, 3 * TURN),
        (DEVICE, "5", 0),
    ],
)
def test_who_adds_a_silent_port_is_told_soon_and_of_a_gateway_after_a_minute(
    line: Line, url: str, version: str | None, least: float
) -> None:
    async def test() -> None:
        with pytest.raises(ProbeError) as error:
            await probe(Connection(url, 30), VERSIONS[version] if version else None, UTC, nobody)
        assert error.value.cause is Cause.SILENT
        assert least <= now() <= least + 15

    run(test())


@pytest.mark.logs("No telegrams from .*: no telegram for 35 s .the telegrams are damaged")
@pytest.mark.logs("Telegrams come from")
def test_a_telegram_that_is_damaged_decides_nothing(line: Line) -> None:
    async def test() -> None:
        async with Reading(None) as reading:
            line.send(AM550.replace(b"(00.461*kW)", b"(00.462*kW)"))
            await passed(36)
            assert reading.reader.version is OTHERS
            assert reading.cause() is Cause.CHECKSUM
            line.send(ME382)
            assert reading.reader.version is VERSIONS["2.2"]

    run(test())


def test_what_comes_with_the_deciding_telegram_is_not_lost(line: Line) -> None:
    async def test() -> None:
        async with Reading(None) as reading:
            line.send(AM550[100:] + AM550 * 2 + AM550[:100])
            line.send(AM550[100:])
            assert len(reading.telegrams()) == 3
            assert line.opened[1:] == []

    run(test())


@pytest.mark.parametrize(
    ("model", "version"),
    [("smarty-t210d", "MSn"), ("sagemcom-t210d-r", "SAGEMCOM_T210_D_R"), ("iskra-am550", "5")],
)
def test_with_a_key_the_version_of_an_encrypted_meter_is_found(
    line: Line, model: str, version: str
) -> None:
    async def test() -> None:
        telegram = telegram_of(model)
        async with Reading(None, url=DEVICE, keys=Keys(KEY)) as reading:
            line.send(encrypted(telegram, KEY)[200:])
            for counter in range(2):
                await passed(1)
                line.send(encrypted(telegram, KEY, counter=counter))
            assert reading.reader.version is VERSIONS[version]
            assert len(reading.telegrams()) == 2

    run(test())


def test_once_the_version_is_found_its_published_authentication_key_counts(line: Line) -> None:
    async def test() -> None:
        published = VERSIONS["MSn"].authentication_key or b""
        async with Reading(None, keys=Keys(KEY)) as reading:
            line.send(encrypted(SMARTY, KEY, published, counter=1))
            line.send(encrypted(SMARTY, KEY, published, counter=2))
            line.send(encrypted(SMARTY, KEY, b"another", counter=3))
            assert len(reading.telegrams()) == 2
            assert reading.counters.decryption_failures == 1

    run(test())


@pytest.mark.logs("No telegrams from .*: .*the telegrams are encrypted, and there is no key")
def test_without_a_key_it_is_said_that_one_is_missing(line: Line) -> None:
    async def test() -> None:
        async with Reading(None, url=DEVICE) as reading:
            line.send(encrypted(SMARTY, KEY))
            await passed(TURN)
            assert reading.cause() is Cause.NO_KEY
            await passed(1)
            line.send(encrypted(SMARTY, KEY))
            await passed(60)
            assert reading.reader.version is OTHERS

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_a_version_that_was_found_before_is_looked_for_again_when_nothing_passes(
    line: Line,
) -> None:
    async def test() -> None:
        # Somebody has put a meter of DSMR 5 where one of DSMR 2.2 was.
        async with Reading("2.2", url=DEVICE, detects=True) as reading:
            while not reading.counters.telegrams:
                assert now() < 2 * DOUBT
                line.send(sent(AM550, SERIAL_115200_8N1, line.settings))
                await passed(1)
                if now() < DOUBT:
                    assert line.settings == SERIAL_9600_7E1
            assert await reading.reader.found() is VERSIONS["5"]

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.parametrize("noise", [b"", b"\xfe" * 100], ids=["silence", "noise"])
def test_a_version_that_was_found_before_stays_the_first_that_is_tried(
    line: Line, noise: bytes
) -> None:
    async def test() -> None:
        async with Reading("2.2", url=DEVICE, detects=True) as reading:
            while now() < 600:
                if noise:
                    line.send(noise)
                await passed(1)
            tried = [settings for _, settings in line.opened]
            assert tried.count(SERIAL_9600_7E1) > len(tried) // 2
            assert (SERIAL_115200_8N1 in tried) is bool(noise)
            assert reading.reader.version is VERSIONS["2.2"]

    run(test())


@pytest.mark.logs("No telegrams from")
def test_a_version_that_was_given_stays_and_what_comes_instead_is_told(line: Line) -> None:
    async def test() -> None:
        async with Reading("4", url=DEVICE) as reading:
            while now() < 600:
                line.send(ME382)
                await passed(10)
            assert {settings for _, settings in line.opened} == {SERIAL_115200_7E1}
            assert reading.reader.stream.looks_like is VERSIONS["2.2"]
            assert reading.cause() is Cause.WRONG_VERSION
            assert not reading.telegrams()

    run(test())


@pytest.mark.logs("No telegrams from .*bytes come, but no telegram")
def test_what_comes_with_another_speed_than_the_given_version_has_is_told_once(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2", url=DEVICE) as reading:
            while now() < 600:
                line.send(sent(AM550, SERIAL_115200_8N1, line.settings))
                await passed(1)
            tried = [settings for _, settings in line.opened]
            assert tried.count(SERIAL_115200_8N1) == 1
            assert line.settings == SERIAL_9600_7E1
            assert reading.reader.stream.looks_like is VERSIONS["5"]
            assert reading.cause() is Cause.WRONG_VERSION
            assert not reading.telegrams()

    run(test())


@pytest.mark.logs("No telegrams from")
def test_a_meter_that_was_found_is_listened_to_with_its_own_settings_in_between(line: Line) -> None:
    async def test() -> None:
        async with Reading(None, url=DEVICE) as reading:
            line.send(AM550)
            assert reading.reader.version is VERSIONS["5"]
            begun = now()
            while now() - begun < 10 * (DOUBT + 3 * TURN):
                line.send(b"noise\r\n")
                await passed(1)
            tried = [settings for _, settings in line.opened]
            assert tried.count(SERIAL_9600_7E1) in (9, 10)

    run(test())


@pytest.mark.logs("No telegrams from")
def test_what_was_of_another_version_is_silent_when_nothing_comes_any_more(line: Line) -> None:
    async def test() -> None:
        async with Reading("5") as reading:
            for _ in range(40):
                line.send(ME382)
                await passed(1)
            assert reading.cause() is Cause.WRONG_VERSION
            await passed(40)
            assert reading.cause() is Cause.SILENT

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_in_each_outage_other_settings_are_tried_once(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2", url=DEVICE) as reading:
            for outages in (1, 2):
                for _ in range(int(10 * DOUBT)):
                    line.send(b"noise\r\n")
                    await passed(1)
                tried = [settings for _, settings in line.opened]
                assert tried.count(SERIAL_115200_8N1) == outages
                while reading.reader.cause is not None:
                    line.send(sent(ME382, SERIAL_9600_7E1, line.settings))
                    await passed(1)

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_a_meter_of_the_given_version_with_other_settings_is_read(line: Line) -> None:
    async def test() -> None:
        async with Reading("5", url=DEVICE) as reading:
            while not reading.counters.telegrams:
                assert now() < 2 * DOUBT
                line.send(sent(AM550, SERIAL_115200_7E1, line.settings))
                await passed(1)
            assert line.settings == SERIAL_115200_7E1
            assert reading.reader.version is VERSIONS["5"]

    run(test())


def test_the_settings_with_which_telegrams_came_before_are_the_first_that_are_tried(
    line: Line,
) -> None:
    async def test() -> None:
        reading = Reading("5", url=DEVICE)
        reading.reader.serial = SERIAL_115200_7E1
        async with reading:
            line.send(sent(AM550, SERIAL_115200_7E1, line.settings))
            assert len(reading.telegrams()) == 1
            assert reading.reader.serial == SERIAL_115200_7E1

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_a_meter_of_the_version_that_was_given_is_found_with_other_settings_than_usual(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading("5", url=DEVICE) as reading:
            while not reading.counters.telegrams:
                assert now() < 2 * DOUBT
                line.send(sent(AM550, SERIAL_115200_7E1, line.settings))
                await passed(1)
            assert reading.reader.version is VERSIONS["5"]
            assert reading.reader.serial == SERIAL_115200_7E1

    run(test())


class EightBits(Line):
    """A line at an adapter that has no seven bits."""

    @override
    async def open(self, *args: Any, **settings: Any) -> Any:
        seven = settings["byte_size"] == 7
        self.fault = OSError(errno.EINVAL, "Invalid argument") if seven else None
        return await super().open(*args, **settings)


@pytest.fixture
def eight_bits(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = EightBits()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    return line


@pytest.mark.parametrize("detects", [True, False], ids=["found before", "given"])
def test_a_meter_at_an_adapter_that_has_not_the_bits_of_its_version_is_read_with_others_at_once(
    eight_bits: Line, detects: bool
) -> None:
    async def test() -> None:
        async with Reading("4", url=DEVICE, detects=detects) as reading:
            await passed(1)
            eight_bits.send(sent(E350, SERIAL_115200_8N1, eight_bits.settings))
            assert len(reading.telegrams()) == 1
            assert reading.reader.serial == SERIAL_115200_8N1

    run(test())


@pytest.mark.logs("No telegrams from .*Invalid argument .the port can't be opened")
def test_a_line_that_can_not_be_set_as_its_meter_sends_is_looked_at_again_and_again(
    eight_bits: Line,
) -> None:
    async def test() -> None:
        async with Reading("2.2", url=DEVICE) as reading:
            await passed(600)
            tried = [settings for _, settings in eight_bits.opened]
            assert tried.count(SERIAL_115200_8N1) > 600 // (TURN + 5)
            assert reading.cause() is Cause.FAILED
            assert reading.reader.serial == SERIAL_9600_7E1

    run(test())


# --- in Home Assistant


def at(gateway: Gateway) -> dict[str, Any]:
    """Return the configuration of a meter of any version at a gateway."""
    return {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": "auto"}


async def test_at_the_first_start_the_sensors_come_when_the_version_is_found(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    await set_up(hass, at(gateway))
    await gateway.connected()
    # What there is of each port says why there is no more.
    (connection,) = hass.states.async_all()
    assert connection.entity_id == "sensor.smart_meter_connection"
    # In Belgium 2 is the low tariff.
    gateway.send(edited(telegram_of("fluvius-t211"), o0_0_96_14_0="(0002)"))
    await until(lambda: hass.states.get("sensor.power_tariff") is not None)
    await state_of(hass, "sensor.power_tariff", "low")
    assert hass_storage["dsmr.yaml"]["data"]["version"] == "5B"
    assert gateway.connections == 1


async def test_at_the_next_start_the_sensors_stand_at_once(
    hass: HomeAssistant, gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    hass_storage["dsmr.yaml"] = remembered("5B", ["1.7.0", "96.14.0"], [])
    await set_up(hass, at(gateway))
    assert value_of(hass, "sensor.power_tariff") == "unavailable"
    await gateway.connected()
    gateway.send(edited(telegram_of("fluvius-t211"), o0_0_96_14_0="(0002)"))
    await state_of(hass, "sensor.power_tariff", "low")


@pytest.mark.logs("No telegrams from")
@pytest.mark.parametrize("version", [None, "5"])
def test_an_adapter_that_takes_no_settings_is_not_asked_more_often_than_one_that_is_gone(
    line: Line, version: str | None
) -> None:
    async def test() -> None:
        line.fault = OSError(errno.EINVAL, "Invalid argument")
        async with Reading(version, url=DEVICE):
            await passed(60)
            before = len(line.opened)
            await passed(60)
            # One after the other with little time between them, and then a pause.
            assert (len(line.opened) - before) / 3 <= 60 / LONGEST_RETRY

    run(test())


@pytest.mark.logs(r"What .storage/dsmr.yaml says can't be read, and is learnt again: KeyError")
async def test_a_version_that_is_remembered_and_not_known_any_more_is_found_anew(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    hass_storage["dsmr.yaml"] = remembered("9", ["1.7.0", "96.14.0"], [])
    await set_up(hass, at(gateway))
    await gateway.connected()
    gateway.send(AM550)
    await until(lambda: hass.states.get("sensor.power_tariff") is not None)
    assert hass_storage["dsmr.yaml"]["data"]["version"] == "5"
    assert caplog.text.count("WARNING  custom_components.dsmr") == 1


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
async def test_a_version_that_was_remembered_wrongly_is_mended(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.dsmr.reader.DOUBT", 0.0)
    monkeypatch.setattr("custom_components.dsmr.pauses.SHORTEST_SILENCE", 0.2)
    monkeypatch.setattr("custom_components.dsmr.pauses.SILENCE", 0.01)
    hass_storage["dsmr.yaml"] = remembered("4", ["1.7.0", "96.14.0"], [])
    written = {"sensor": [{"platform": "dsmr", **at(gateway)}]}
    with patch("homeassistant.config.load_yaml_config_file", side_effect=lambda *_: written):
        await set_up(hass, at(gateway))
        thought = hass.data[YAML_PORTS]["yaml"]

        def is_read_anew() -> bool:
            gateway.send(ME382)
            port = hass.data.get(YAML_PORTS, {}).get("yaml", thought)
            return port is not thought and port.reader.counters.telegrams > 0

        await until(is_read_anew)
    assert hass.data[YAML_PORTS]["yaml"].reader.version is VERSIONS["2.2"]
    await state_of(hass, "sensor.power_consumption_low", "6274.318")
    await hass.data[YAML_PORTS]["yaml"].stop()


async def test_over_a_serial_line_a_meter_of_dsmr_2_2_is_found(
    hass: HomeAssistant, serial_line: SerialLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.dsmr.detection.TURN", 0.5)
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": "auto"})
    await until(lambda: serial_line.settings()[4] == termios.B9600)
    async with serial_line.sending(edited(ME382, o1_0_1_7_0="(0000.77*kW)")):
        await until(lambda: hass.states.get("sensor.power_consumption") is not None)
        await state_of(hass, "sensor.power_consumption", "0.77")


async def test_a_meter_that_was_added_with_other_settings_than_usual_is_read_with_them_at_once(
    hass: HomeAssistant,
    serial_line: SerialLine,
    hass_storage: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.dsmr.detection.TURN", 0.5)

    def plug_in_anew() -> None:
        # A pseudo-terminal has no seven bits and no parity, and refuses what changes nothing else.
        serial_line.unplug()
        serial_line.plug_in()

    async def send() -> None:
        while True:
            is_slow = serial_line.settings()[4] == termios.B9600
            ours = SERIAL_9600_7E1 if is_slow else SERIAL_115200_8N1
            serial_line.send(sent(AM550, SERIAL_9600_7E1, ours))
            await asyncio.sleep(0.05)

    meter = asyncio.create_task(send())
    user = {"port": str(serial_line.device), "dsmr_version": "auto"}
    flow = await hass.config_entries.flow.async_init("dsmr", context={"source": "user"})
    await hass.config_entries.flow.async_configure(flow["flow_id"], user)
    await hass.async_block_till_done()
    await hass.config_entries.flow.async_configure(flow["flow_id"])
    plug_in_anew()
    added = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    entry = added["result"]
    # The built-in has no word for it.
    assert entry.data["dsmr_version"] == "5"
    assert "serial" not in entry.data
    await state_of(hass, "sensor.electricity_meter_active_tariff", "normal")
    stored = f"dsmr.{entry.entry_id}"
    await until(lambda: stored in hass_storage)
    assert hass_storage[stored]["data"]["serial"] == [9600, 7, "E"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    plug_in_anew()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await state_of(hass, "sensor.electricity_meter_active_tariff", "normal")
    assert entry.runtime_data.reader.counters.connections == 1
    assert await hass.config_entries.async_unload(entry.entry_id)
    meter.cancel()
