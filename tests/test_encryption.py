"""Meters that encrypt: their frames on the wire, their keys, and what is said of a wrong one."""

import asyncio
from contextlib import suppress
from datetime import UTC
from itertools import pairwise
import logging
from typing import Any, Final

from dsmr_parser import telegram_specifications as specifications
from dsmr_parser.parsers import TelegramParser
from homeassistant.core import HomeAssistant
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.dsmr.decryption import DamagedError, Decryption, DecryptionError, read_key
from custom_components.dsmr.framing import LIMIT, EncryptedFramer
from custom_components.dsmr.models import Cause, Connection, Keys
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.probe import LOOK, ProbeError, probe
from custom_components.dsmr.stream import REFUSED
from custom_components.dsmr.versions import SERIAL_115200_8N1, VERSIONS

from .clock import passed, run
from .line import Line, Reading, nobody
from .meter import SimulatedMeter
from .meter.wire import encrypted
from .parts import Gateway, edited, set_up, state_of, telegram_of, until, value_of

KEY: Final = bytes.fromhex("3c9f41e07ab25d18f6c3904be27d5a61")
OTHER_KEY: Final = bytes.fromhex("5b20d7719e4cc8a3180fb6e94d3527fa")
AUTHENTICATION_KEY: Final = bytes.fromhex("a1b2c3d4e5f60718293a4b5c6d7e8f90")
PUBLISHED: Final = VERSIONS["MSn"].authentication_key or b""
SECRETS: Final = (KEY, OTHER_KEY, AUTHENTICATION_KEY)
SMARTY = telegram_of("smarty-t210d")
T210 = telegram_of("sagemcom-t210d-r")
TELEGRAMS: Final = [
    edited(SMARTY, o1_0_1_7_0=f"({watts / 1000:06.3f}*kW)") for watts in range(1, 6)
]
FRAMES: Final = [encrypted(t, KEY, PUBLISHED, counter=n) for n, t in enumerate(TELEGRAMS)]
HEADER_LENGTH = 14


def frames(*reads: bytes) -> list[bytes]:
    """Return what a framer makes of bytes as they were read."""
    framer = EncryptedFramer()
    return [frame for read in reads for frame in framer.feed(read)]


def read(stream: bytes) -> list[bytes]:
    """Return the telegrams that are read from a stream."""
    decryption = Decryption(Keys(KEY, PUBLISHED))
    telegrams = []
    for frame in frames(stream):
        with suppress(DecryptionError):
            telegrams.append(decryption.decrypt(frame))
    return telegrams


def with_length(frame: bytes, form: bytes) -> bytes:
    """Return a frame with its length written otherwise."""
    return frame[:10] + form + frame[13:]


# --- framing


def test_what_the_simulated_meter_encrypts_dsmr_parser_decrypts() -> None:
    telegram = TelegramParser(specifications.MSN).parse(
        encrypted(SMARTY, KEY, PUBLISHED).hex(), encryption_key=KEY.hex()
    )
    assert str(telegram.ELECTRICITY_IMPORTED_TOTAL.value) == "3704.218"


def test_a_frame_that_comes_byte_by_byte_is_one_frame() -> None:
    stream = b"".join(FRAMES)
    assert frames(*(stream[at : at + 1] for at in range(len(stream)))) == FRAMES


def test_several_frames_in_one_read_are_as_many() -> None:
    assert frames(b"".join(FRAMES)) == FRAMES


def test_a_frame_is_there_as_soon_as_its_last_byte() -> None:
    framer = EncryptedFramer()
    assert framer.feed(FRAMES[0][:-1]) == []
    assert framer.feed(FRAMES[0][-1:]) == FRAMES[:1]


@pytest.mark.parametrize(
    ("telegram", "form"),
    [
        (T210[:200], lambda n: b"\x81" + bytes([n])),
        (T210, lambda n: b"\x82" + n.to_bytes(2)),
    ],
    ids=["0x81", "0x82"],
)
def test_a_length_is_read_in_each_form_that_it_may_have(telegram: bytes, form: Any) -> None:
    frame = encrypted(telegram, KEY)
    frame = with_length(frame, form(len(frame) - 13))
    assert frames(frame + FRAMES[0]) == [frame, FRAMES[0]]
    assert Decryption(Keys(KEY)).decrypt(frame) == telegram


def test_a_frame_in_which_a_short_one_seems_to_begin_is_one_frame() -> None:
    # Its system title and its frame counter are as chance may make the ciphertext.
    frame = encrypted(SMARTY, KEY, title=b"AB\xdb\x08CDEF", counter=0x20300000)
    assert frames(frame + FRAMES[0]) == [frame, FRAMES[0]]


@pytest.mark.parametrize(
    "noise",
    [b"\xdb" * 300, b"\xdb\x08" * 150, SMARTY, FRAMES[1][300:], b"\xdb\x08" + bytes(8) + b"\x83"],
    ids=["tags", "tags and lengths", "a plain telegram", "the end of a frame", "a longer length"],
)
def test_a_frame_is_found_in_whatever_noise_it_comes(noise: bytes) -> None:
    assert frames(noise + FRAMES[0] + noise + FRAMES[1])[-2:] == FRAMES[:2]


@pytest.mark.parametrize("length", [0, 1, 17, 18, 100, 600, 1700, 0x3FFF, 0x4000, 0x4001, 0xFFFF])
def test_a_broken_length_costs_its_frame_and_not_the_following_ones(length: int) -> None:
    broken = with_length(FRAMES[0], b"\x82" + length.to_bytes(2))
    assert read(broken + b"".join(FRAMES[1:])) == TELEGRAMS[1:]


@pytest.mark.parametrize("length", [0, 17, 0x4001, 0xFFFF])
def test_a_length_that_no_telegram_has_is_not_waited_for(length: int) -> None:
    framer = EncryptedFramer()
    assert framer.feed(with_length(FRAMES[0], b"\x82" + length.to_bytes(2)) + bytes(100)) == []
    assert len(framer._buffer) < HEADER_LENGTH + 1


def test_after_a_broken_length_the_next_frame_does_not_wait_for_more() -> None:
    framer = EncryptedFramer()
    framer.feed(with_length(FRAMES[0], b"\x82\x3f\xff"))
    assert framer.feed(FRAMES[1]) == [FRAMES[1]]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_costs_the_frames_that_it_touches_and_no_other(data: st.DataObject) -> None:
    stream = b"".join(FRAMES)
    at = data.draw(st.integers(0, len(stream) - 1))
    missing = data.draw(st.integers(0, 40))
    put_in = data.draw(st.binary(max_size=40))
    damaged = stream[:at] + put_in + stream[at + missing :]
    bounds = [len(b"".join(FRAMES[:n])) for n in range(len(FRAMES) + 1)]
    untouched = [
        telegram
        for telegram, (start, end) in zip(TELEGRAMS, pairwise(bounds), strict=True)
        if end <= at or start >= at + missing
    ]
    telegrams = read(damaged)
    assert [telegram for telegram in telegrams if telegram in untouched] == untouched
    assert set(telegrams) <= set(TELEGRAMS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=20))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    stream = FRAMES[0][200:] + FRAMES[1] + with_length(FRAMES[2], b"\x82\x3f\x00") + FRAMES[3]
    at = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    assert frames(*(stream[a:b] for a, b in pairwise(at))) == frames(stream)


@pytest.mark.parametrize(
    "noise",
    [bytes(range(256)), b"\xdb", FRAMES[0][:HEADER_LENGTH], b"\xdb\x08" + b"\x82\x3f\xff0" * 5],
)
def test_hours_of_noise_take_no_memory(noise: bytes) -> None:
    framer = EncryptedFramer()
    for _ in range(200):
        for frame in framer.feed(noise * (8192 // len(noise))):
            assert len(frame) < LIMIT
        assert len(framer._buffer) < LIMIT
        assert len(framer._begun) <= 4
    assert framer.feed(FRAMES[0])[-1] == FRAMES[0]


def test_what_came_before_a_reconnect_has_nothing_to_do_with_what_comes_after() -> None:
    framer = EncryptedFramer()
    framer.feed(FRAMES[0][:200])
    framer.clear()
    assert framer.feed(FRAMES[0][200:]) == []
    assert framer.feed(FRAMES[1]) == [FRAMES[1]]


# --- keys


@pytest.mark.parametrize(
    "text",
    [
        "3c9f41e07ab25d18f6c3904be27d5a61",
        "3C9F41E07AB25D18F6C3904BE27D5A61",
        "3C 9F 41 E0 7A B2 5D 18 F6 C3 90 4B E2 7D 5A 61",
        "3C:9F:41:E0:7A:B2:5D:18:F6:C3:90:4B:E2:7D:5A:61",
        "3C9F41E0-7AB2-5D18-F6C3-904BE27D5A61",
    ],
)
def test_a_key_may_be_written_as_operators_print_it(text: str) -> None:
    assert read_key(text) == KEY


@pytest.mark.parametrize(
    "text", ["", KEY.hex()[:-1], KEY.hex() + "0", KEY.hex().replace("c", "x"), "٣" * 32]
)
def test_a_key_of_another_form_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="expected 32 hexadecimal digits") as error:
        read_key(text)
    assert not text or text not in str(error.value)


def test_keys_do_not_show_themselves() -> None:
    shown = repr(Keys(KEY, AUTHENTICATION_KEY)) + repr(Decryption(Keys(KEY, AUTHENTICATION_KEY)))
    for secret in SECRETS:
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_with_the_owners_authentication_key_a_tag_must_fit() -> None:
    decryption = Decryption(Keys(KEY, AUTHENTICATION_KEY))
    with pytest.raises(DecryptionError, match="the authentication key does not fit"):
        decryption.decrypt(FRAMES[0])
    assert decryption.decrypt(encrypted(SMARTY, KEY, AUTHENTICATION_KEY)) == SMARTY


def test_without_an_authentication_key_a_telegram_is_read_all_the_same() -> None:
    decryption = Decryption(Keys(KEY))
    assert decryption.decrypt(encrypted(T210, KEY, AUTHENTICATION_KEY)) == T210


def test_the_published_authentication_key_is_held_to_where_it_is_the_meters() -> None:
    decryption = Decryption(Keys(KEY), PUBLISHED)
    decryption.decrypt(FRAMES[0])
    with pytest.raises(DamagedError):
        decryption.decrypt(FRAMES[1][:200] + b"\0\0" + FRAMES[1][202:])
    with pytest.raises(DecryptionError, match="the authentication key does not fit"):
        decryption.decrypt(encrypted(SMARTY, KEY, AUTHENTICATION_KEY))


def test_a_meter_that_has_another_authentication_key_than_the_published_one_is_read() -> None:
    decryption = Decryption(Keys(KEY), PUBLISHED)
    for counter in range(3):
        frame = encrypted(SMARTY, KEY, AUTHENTICATION_KEY, counter=counter)
        assert decryption.decrypt(frame) == SMARTY


@pytest.mark.parametrize("authentication", [None, AUTHENTICATION_KEY])
def test_a_wrong_key_is_told_from_a_wrong_authentication_key(authentication: bytes | None) -> None:
    with pytest.raises(DecryptionError, match="the encryption key does not fit"):
        Decryption(Keys(OTHER_KEY, authentication)).decrypt(FRAMES[0])


# --- the reader, on virtual time


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    return line


def test_an_encrypted_telegram_is_a_telegram_like_any_other(line: Line) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(KEY)) as reading:
            for frame in FRAMES:
                line.send(frame)
            assert len(reading.telegrams()) == len(FRAMES)

    run(test())


@pytest.mark.logs("No telegrams from")
def test_that_a_meter_encrypts_is_told_though_the_line_is_set_for_another_version_again(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading("2.2", url="/dev/ttyUSB0") as reading:
            told = []
            for _ in range(60):
                await passed(10)
                # At another speed than the meter's nothing but noise comes.
                is_right = line.settings == SERIAL_115200_8N1
                line.send(FRAMES[0] if is_right else b"\x80\xf8\xfe\x1c")
                told.append(reading.cause())
            assert Cause.NO_TELEGRAM in told
            assert set(told[-30:]) == {Cause.NO_KEY}

    run(test())


@pytest.mark.parametrize(
    ("keys", "version", "frames", "cause"),
    [
        (None, None, 1, Cause.NO_KEY),
        (None, "5", 1, Cause.NO_KEY),
        # The line may have damaged the first one.
        (Keys(OTHER_KEY), "MSn", 2, Cause.WRONG_KEY),
    ],
)
def test_who_adds_a_meter_that_encrypts_is_asked_for_the_key_as_soon_as_it_is_seen(
    line: Line, keys: Keys | None, version: str | None, frames: int, cause: Cause
) -> None:
    async def test() -> None:
        connection, row = Connection("/dev/ttyUSB0", 30, keys), version and VERSIONS[version]
        probing = asyncio.ensure_future(probe(connection, row or None, UTC, nobody))
        for frame in FRAMES[:frames]:
            await passed(5)
            assert not probing.done()
            line.send(frame)
        await passed(LOOK)
        with pytest.raises(ProbeError) as error:
            await probing
        assert error.value.cause is cause

    run(test())


def test_an_encrypted_telegram_that_has_an_end_of_a_plain_one_in_it_is_read(line: Line) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(KEY)) as reading:
            line.send(encrypted(SMARTY, KEY, PUBLISHED, title=b"\n/\n!\nABC"))
            assert len(reading.telegrams()) == 1

    run(test())


def test_a_telegram_that_a_gateway_has_decrypted_is_read_as_well(line: Line) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(KEY)) as reading:
            line.send(SMARTY)
            assert len(reading.telegrams()) == 1

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
def test_two_halves_of_a_frame_are_none_where_the_connection_was_lost_between_them(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(KEY)) as reading:
            line.send(FRAMES[0][:100])
            line.lose()
            await passed(1)
            line.send(FRAMES[0][100:])
            assert reading.counters.telegrams == 0
            line.send(FRAMES[1])
            assert reading.counters.telegrams == 1

    run(test())


def test_damaged_frames_cost_themselves_and_are_counted(line: Line) -> None:
    async def test() -> None:
        # Without a tag to verify, a damaged byte shows in the checksum, the first one at once.
        first = FRAMES[0][:18] + b"\0" + FRAMES[0][19:]
        middle = FRAMES[1][:200] + b"\0\0" + FRAMES[1][202:]
        async with Reading("SAGEMCOM_T210_D_R", keys=Keys(KEY)) as reading:
            line.send(first + middle + FRAMES[2])
            assert len(reading.telegrams()) == 1
            assert reading.counters.decryption_failures == 1
            assert reading.counters.checksum_failures == 1
            assert reading.cause() is None

    run(test())


@pytest.mark.logs("No telegrams from .* .the telegrams are damaged")
@pytest.mark.parametrize("key", [None, PUBLISHED], ids=["published", "the owner's"])
def test_damage_is_no_wrong_key_where_that_has_fitted_before(line: Line, key: bytes | None) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(KEY, key)) as reading:
            line.send(FRAMES[0])
            for frame in 2 * FRAMES[1:]:
                line.send(frame[:200] + b"\0\0" + frame[202:])
            assert reading.cause() is None
            await passed(36)
            assert reading.cause() is Cause.CHECKSUM

    run(test())


@pytest.mark.logs("No telegram from socket://192.0.2.1:2001 can be read: the encryption key")
def test_several_frames_in_a_row_mean_a_wrong_key_and_it_is_said_once(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        caplog.set_level(logging.DEBUG)
        async with Reading("MSn", keys=Keys(OTHER_KEY, AUTHENTICATION_KEY)) as reading:
            for frame in FRAMES[: REFUSED - 1]:
                line.send(frame)
            assert reading.cause() is None
            for frame in FRAMES * 3:
                line.send(frame)
            assert reading.cause() is Cause.WRONG_KEY
            assert reading.telegrams() == []
        assert caplog.text.count("can be read") == 1
        for secret in SECRETS:
            assert secret.hex() not in caplog.text
            assert repr(secret)[2:-1] not in caplog.text

    run(test())


@pytest.mark.logs("No telegrams from .*no telegram for 35 s .the telegrams are damaged")
@pytest.mark.logs("No telegram from .* can be read: the encryption key does not fit")
def test_a_wrong_key_is_known_also_of_a_meter_that_is_called_silent_meanwhile(line: Line) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(OTHER_KEY)) as reading:
            for frame in FRAMES:
                await passed(10)
                line.send(frame)
            assert len(line.opened) > 1
            assert reading.cause() is Cause.WRONG_KEY
            await passed(60)
            assert reading.cause() is Cause.WRONG_KEY

    run(test())


@pytest.mark.logs("No telegrams from .*no telegram for 35 s .the telegrams are damaged")
@pytest.mark.logs("No telegram from .* can be read: the encryption key does not fit")
def test_a_meter_that_is_unplugged_after_frames_that_could_not_be_read_is_silent(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading("MSn", keys=Keys(KEY)) as reading:
            line.send(FRAMES[0])
            for _ in range(REFUSED):
                await passed(10)
                line.send(encrypted(SMARTY, OTHER_KEY, PUBLISHED))
            await passed(60)
            assert reading.cause() is Cause.WRONG_KEY
            await passed(240)
            assert reading.cause() is Cause.SILENT

    run(test())


@pytest.mark.logs("No telegram from socket://192.0.2.1:2001 can be read")
def test_user_and_password_of_a_url_are_not_logged_with_a_wrong_key_or_a_version_found(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        url = "socket://somebody:s3cret@192.0.2.1:2001"
        async with Reading(None, url=url, keys=Keys(OTHER_KEY)):
            for _ in range(REFUSED):
                line.send(FRAMES[0])
            line.send(SMARTY)

    caplog.set_level(logging.DEBUG)
    run(test())
    for said in ("A frame from", "can be read", "speaks"):
        assert said in caplog.text
    assert "somebody" not in caplog.text
    assert "s3cret" not in caplog.text


def test_a_frame_that_is_read_begins_the_row_anew(line: Line) -> None:
    async def test() -> None:
        wrong = encrypted(SMARTY, OTHER_KEY, PUBLISHED)
        async with Reading("MSn", keys=Keys(KEY)) as reading:
            for frame in FRAMES * 3:
                line.send(wrong * (REFUSED - 1) + frame)
            assert len(reading.telegrams()) == 15
            assert reading.cause() is None

    run(test())


@pytest.mark.logs(
    "No telegrams from .*no telegram for 12 s .the telegrams are encrypted, and there"
)
def test_encrypted_telegrams_without_a_key_are_called_that(line: Line) -> None:
    async def test() -> None:
        async with Reading("5") as reading:
            line.send(FRAMES[0])
            await passed(13)
            assert reading.cause() is Cause.NO_KEY

    run(test())


# --- configuration.yaml


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"dsmr_version": "MSn"}, "required key 'encryption_key' not provided"),
        ({"dsmr_version": "SAGEMCOM_T210_D_R"}, "required key 'encryption_key' not provided"),
        (
            {"dsmr_version": "MSn", "authentication_key": KEY.hex()},
            "required key 'encryption_key' not provided",
        ),
        (
            {"dsmr_version": "auto", "authentication_key": KEY.hex()},
            "required key 'encryption_key' not provided",
        ),
        ({"authentication_key": OTHER_KEY.hex()}, "required key 'encryption_key' not provided"),
        (
            {"dsmr_version": "MSn", "encryption_key": KEY.hex() + "0"},
            "expected 32 hexadecimal digits .*'encryption_key', got .*REDACTED",
        ),
        (
            {"dsmr_version": "MSn", "encryption_key": [KEY.hex()]},
            "expected 32 hexadecimal digits in quotes .*'encryption_key', got .*REDACTED",
        ),
        (
            {"dsmr_version": "MSn", "encryption_key": int(KEY.hex(), 16)},
            "expected 32 hexadecimal digits in quotes .*'encryption_key', got .*REDACTED",
        ),
        (
            {
                "dsmr_version": "MSn",
                "encryption_key": KEY.hex(),
                "authentication_key": f"x{OTHER_KEY.hex()}",
            },
            "expected 32 hexadecimal digits .*'authentication_key', got .*REDACTED",
        ),
        (
            {"dsmr_version": "MSn", "encryption_key": KEY.hex(), "precision": 10},
            "from 0 to 9.*'precision', got 10",
        ),
        (
            {"dsmr_version": "MSn", "encrypton_key": KEY.hex()},
            "'encrypton_key' is an invalid option",
        ),
    ],
)
async def test_a_wrong_key_in_the_configuration_is_refused_and_not_repeated(
    hass: HomeAssistant,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    given: dict[str, Any],
    complaint: str,
) -> None:
    request.applymarker(pytest.mark.logs(f"Invalid config.*{complaint}"))
    caplog.set_level(logging.DEBUG)
    await set_up(hass, given)
    assert YAML_PORTS not in hass.data
    for secret in SECRETS:
        assert secret.hex() not in caplog.text
        assert str(int(secret.hex(), 16)) not in caplog.text


async def test_an_encrypted_meter_is_read_and_its_keys_stay_out_of_the_log(
    hass: HomeAssistant, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await set_up(
        hass,
        {
            "host": "127.0.0.1",
            "port": gateway.port,
            "dsmr_version": "SAGEMCOM_T210_D_R",
            "encryption_key": " ".join(KEY.hex()[at : at + 8] for at in range(0, 32, 8)),
            "authentication_key": AUTHENTICATION_KEY.hex(),
        },
    )
    await gateway.connected()
    meter = SimulatedMeter("sagemcom-t210d-r", key=KEY, authentication_key=AUTHENTICATION_KEY)
    assert value_of(hass, "sensor.power_consumption_total") == "unavailable"
    gateway.send(meter.next_telegram())
    await state_of(hass, "sensor.power_consumption_total", "4218.731")
    gateway.send(meter.next_telegram())
    counters = hass.data[YAML_PORTS]["yaml"].reader.counters
    await until(lambda: counters.telegrams == 2)
    gateway.send(encrypted(T210, KEY, PUBLISHED))
    await until(lambda: counters.decryption_failures == 1)
    for secret in SECRETS:
        assert secret.hex() not in caplog.text.lower()
