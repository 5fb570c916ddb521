"""Where a telegram begins and ends, in whatever pieces and among whatever noise it comes."""

from datetime import UTC
from itertools import pairwise
from typing import Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.dsmr.checksum import ChecksumError, crc16
from custom_components.dsmr.framing import LIMIT, Framer
from custom_components.dsmr.models import Counters, ReadingKey, Telegram, Value
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .meter import MODELS, SimulatedMeter
from .parts import telegram_of

AM550 = telegram_of("iskra-am550")
ME382 = telegram_of("iskra-me382")
# Four telegrams of one meter, which differ.
_METER = SimulatedMeter("iskra-am550")
TELEGRAMS: Final = [_METER.next_telegram() for _ in range(4)]

modest = settings(max_examples=200, deadline=None)


def frames(*reads: bytes) -> list[bytes]:
    """Return what a framer makes of bytes as they were read."""
    framer = Framer()
    return [frame for read in reads for frame in framer.feed(read)]


def checked(body: bytes, template: bytes = b"!%04X\r\n") -> bytes:
    """Return a telegram with its checksum, written as the template says."""
    return body + template % crc16(body + b"!")


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return a stream in pieces, cut at positions taken modulo its length."""
    positions = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(positions)]


@pytest.mark.parametrize("model", MODELS)
def test_a_telegram_of_each_model_is_one_frame(model: str) -> None:
    assert frames(telegram_of(model)) == [telegram_of(model)]


@pytest.mark.parametrize("telegram", [AM550, ME382])
def test_a_telegram_that_comes_byte_by_byte_is_one_frame(telegram: bytes) -> None:
    assert frames(*(bytes([byte]) for byte in telegram * 2)) == [telegram, telegram]


def test_several_telegrams_in_one_read_are_as_many_frames() -> None:
    assert frames(b"".join(TELEGRAMS)) == TELEGRAMS


def test_a_frame_is_there_as_soon_as_its_last_byte() -> None:
    framer = Framer()
    assert framer.feed(AM550[:-1]) == []
    assert framer.feed(AM550[-1:]) == [AM550]


@pytest.mark.parametrize(
    "telegram",
    [
        pytest.param(
            b"/HLY5/D545-METER\r\n\r\n1-0:1.8.1(000001.000*kWh)\r\n!0000\r\n", id="in the header"
        ),
        pytest.param(
            AM550.replace(b"0-0:96.13.0()", b"0-0:96.13.0(24/7 www.example.com/p1 5/6/26)"),
            id="in a text message",
        ),
        pytest.param(
            AM550.replace(b"0-0:96.13.0()", b"0-0:96.13.0()\r\n0-0:96.13.1(a/b)\r\n( /c)"),
            id="in a line that goes on",
        ),
    ],
)
def test_a_slash_within_a_telegram_begins_no_other(telegram: bytes) -> None:
    assert frames(telegram) == [telegram]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"!%04X\r\n", id="as the standard says"),
        pytest.param(b"!%X\r\n", id="not padded"),
        pytest.param(b"!%04x\r\n", id="lower case"),
        pytest.param(b"!%04X\0\r\n", id="a NUL"),
        pytest.param(b"!%04X\0\0\0\0\r\n", id="NULs"),
        pytest.param(b"!%04X \t\r\n", id="blanks"),
        pytest.param(b"!%04X\n", id="no carriage return"),
    ],
)
def test_a_checksum_is_found_however_it_is_written(end: bytes) -> None:
    body = next(
        body
        for telegram in SimulatedTelegrams("kaifa-e0026-v50")
        if crc16((body := telegram[: telegram.rindex(b"!")]) + b"!") < 0x1000
    )
    telegram = checked(body, end)
    (frame,) = frames(*(bytes([byte]) for byte in telegram))
    assert frame == telegram.replace(b"\0", b"")
    assert decoder().decode(frame, 0).header == "KFM5KAIFA-METER"


class SimulatedTelegrams:
    """The telegrams of a model, one after the other."""

    def __init__(self, model: str) -> None:
        self._meter = SimulatedMeter(model)

    def __iter__(self) -> SimulatedTelegrams:
        return self

    def __next__(self) -> bytes:
        return self._meter.next_telegram()


def decoder(version: str = "5") -> Decoder:
    return Decoder(VERSIONS[version], UTC, Counters())


def test_lines_that_end_without_a_carriage_return_are_lines() -> None:
    lines_fed = checked(AM550[: AM550.rindex(b"!")].replace(b"\r\n", b"\n"), b"!%04X\n")
    assert frames(lines_fed) == [lines_fed]
    readings = decoder().decode(lines_fed, 0).readings
    assert readings == decoder().decode(AM550, 0).readings


def test_an_end_is_found_wherever_it_is_cut() -> None:
    telegram = AM550.replace(b"\r\n", b"\0" * 16 + b"\r\n")
    assert frames(telegram) == [AM550]
    assert frames(telegram[:-2], telegram[-2:]) == [AM550]
    blanks = AM550[:-2] + b" " * 8 + b"\r\n"
    for cut in range(1, 16):
        assert frames(blanks[:-cut], blanks[-cut:]) == [blanks]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"/ISK5\\2M550T-1013!", id="in the header"),
        pytest.param(b"0-0:96.13.0(beware!", id="at the end of a line"),
        pytest.param(b"0-0:96.13.0(beware!75EF", id="before a checksum"),
        pytest.param(b" !75EF", id="not quite at the beginning"),
    ],
)
def test_an_exclamation_mark_within_a_line_ends_nothing(line: bytes) -> None:
    header, _, rest = AM550.partition(b"\r\n")
    lines = [line, b""] if line.startswith(b"/") else [header, b"", line]
    telegram = b"\r\n".join([*lines, rest.removeprefix(b"\r\n")])
    assert frames(telegram) == [telegram]


def test_half_a_telegram_costs_itself_and_nothing_more() -> None:
    assert frames(AM550[:400] + AM550 + AM550)[-2:] == [AM550, AM550]
    assert frames(AM550[400:] + AM550 + AM550)[-2:] == [AM550, AM550]


def test_a_telegram_without_its_end_does_not_take_the_next_one_along() -> None:
    assert frames(AM550[: AM550.rindex(b"!")] + AM550) == [AM550]
    assert frames(AM550[:-2] + AM550) == [AM550]


def test_nothing_of_before_is_left_after_clear() -> None:
    framer = Framer()
    framer.feed(AM550[:-10])
    framer.clear()
    assert framer.feed(AM550[-10:]) == []
    assert framer.feed(AM550) == [AM550]
    framer.feed(b"/" * 5000)
    framer.clear()
    assert framer.feed(AM550) == [AM550]


noise = st.one_of(
    st.binary(max_size=300),
    # What a telegram is made of.
    st.lists(
        st.sampled_from(
            [b"/", b"!", b"\r", b"\n", b"\r\n", b"\0", b"(", b")", b"!75EF\r\n", b"/ISK5", b" "]
        ),
        max_size=40,
    ).map(b"".join),
    # Some of a telegram.
    st.tuples(st.integers(0, len(AM550)), st.integers(0, len(AM550))).map(
        lambda ends: AM550[min(ends) : max(ends)]
    ),
)
cuts = st.lists(st.integers(0, 10_000), max_size=20)


@modest
@given(
    telegrams=st.lists(st.sampled_from([*TELEGRAMS, ME382]), min_size=1, max_size=5),
    cuts=cuts,
)
def test_telegrams_are_the_same_however_they_are_cut_into_reads(
    telegrams: list[bytes], cuts: list[int]
) -> None:
    assert frames(*cut(b"".join(telegrams), cuts)) == telegrams


@modest
@given(stream=st.lists(st.one_of(noise, st.sampled_from(TELEGRAMS)), max_size=6), cuts=cuts)
def test_what_is_found_in_noise_is_the_same_however_it_is_cut_into_reads(
    stream: list[bytes], cuts: list[int]
) -> None:
    whole = b"".join(stream)
    assert frames(*cut(whole, cuts)) == frames(whole)


@modest
@given(before=noise, between=noise, end=st.sampled_from([b"\n", b"\r\n"]), cuts=cuts)
def test_noise_costs_no_telegram_that_begins_on_its_own_line(
    before: bytes, between: bytes, end: bytes, cuts: list[int]
) -> None:
    first, second, *_ = TELEGRAMS
    found = frames(*cut(before + end + first + between + end + second, cuts))
    assert first in found
    assert found[-1] == second


@modest
@given(before=noise, cuts=cuts)
def test_noise_without_a_line_end_costs_no_telegram_with_an_identification(
    before: bytes, cuts: list[int]
) -> None:
    assert frames(*cut(before + AM550, cuts))[-1] == AM550


@modest
@given(
    reads=st.lists(
        st.tuples(noise.filter(bool), st.integers(1, 3000)).map(
            lambda drawn: (drawn[0] * drawn[1])[: 2 * LIMIT]
        ),
        max_size=6,
    )
)
def test_no_more_than_the_limit_is_held(reads: list[bytes]) -> None:
    framer = Framer()
    for read in reads:
        framer.feed(read)
        assert len(framer._buffer) <= LIMIT <= 65536
    assert framer.feed(b"\n" + AM550)[-1] == AM550


def test_a_telegram_that_has_begun_is_not_given_up_with_the_noise_before_it() -> None:
    # With five messages and more.
    long = AM550.replace(b"0-0:96.13.0()", b"0-0:96.13.0(" + b"30" * 7000 + b")")
    for noise in range(LIMIT - len(long), LIMIT, 1000):
        assert frames(b"\xff" * noise + b"\n" + long[:-1], long[-1:] + AM550) == [long, AM550]


def test_hours_of_noise_are_held_to_the_limit_and_cost_no_telegram() -> None:
    framer = Framer()
    for filling in (b"\xff\x00", b"/", b"!", b"\n!", b"\n/", b"/ISK5\r\n", AM550[:-4]):
        for _ in range(3 * LIMIT // 1000):
            framer.feed((filling * 1000)[:1000])
            assert len(framer._buffer) <= LIMIT
        assert framer.feed(b"\n" + AM550)[-1] == AM550


def values(telegram: Telegram, sent: bytes) -> dict[ReadingKey, Value]:
    """Return the values of the lines that were sent, without what is derived from them."""
    return {
        key: reading.value
        for key, reading in telegram.readings.items()
        if f":{key.obis}(".encode() in sent
    }


ORIGINALS: Final = [values(decoder().decode(sent, 0), sent) for sent in TELEGRAMS]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a stream of telegrams of which some bytes are other, lost, new or in another place."""
    stream = b"".join(
        draw(st.lists(st.sampled_from(TELEGRAMS), min_size=1, max_size=3)) * draw(st.integers(1, 2))
    )
    for _ in range(draw(st.integers(1, 4))):
        if not stream:
            break
        at = draw(st.integers(0, len(stream) - 1))
        to = draw(st.integers(0, len(stream)))
        match draw(st.sampled_from(["flip", "cut", "insert", "merge", "digit"])):
            case "flip":
                mask = draw(st.integers(1, 255))
                stream = stream[:at] + bytes([stream[at] ^ mask]) + stream[at + 1 :]
            case "cut":
                stream = stream[: min(at, to)] + stream[max(at, to) :]
            case "insert":
                stream = stream[:at] + draw(noise) + stream[at:]
            case "merge":
                stream = stream[:at] + stream[to:]
            case "digit":
                stream = (
                    stream[:at] + draw(st.sampled_from(b"0123456789")).to_bytes() + stream[at + 1 :]
                )
    return stream


@modest
@given(stream=damaged(), cuts=cuts)
def test_a_damaged_stream_shows_no_value_that_was_not_sent(stream: bytes, cuts: list[int]) -> None:
    reader = decoder()
    for second, frame in enumerate(frames(*cut(stream, cuts))):
        try:
            telegram = reader.decode(frame, second)
        except ChecksumError:
            continue
        seen = values(telegram, frame)
        assert seen.keys() == ORIGINALS[0].keys()
        for key, value in seen.items():
            assert value in [original[key] for original in ORIGINALS]


@pytest.mark.logs("The meter's line .* can't be read")
def test_whatever_comes_without_a_checksum_raises_nothing_unforeseen() -> None:
    @modest
    @given(
        head=st.integers(0, len(ME382)),
        middle=st.one_of(
            noise, st.text("0123456789.-:*()kWhm3 \r\nSW", max_size=40).map(str.encode)
        ),
        tail=st.integers(0, len(ME382)),
    )
    def test(head: int, middle: bytes, tail: int) -> None:
        sent = {line for line in ME382.splitlines() if b"(" in line and b"-" in line}
        reader = decoder("2.2")
        for second, frame in enumerate(frames(ME382[:head] + middle + ME382[tail:] + ME382)):
            try:
                reader.decode(frame, second)
            except ChecksumError:
                # Not where a line of the meter has come whole.
                assert not frame.isascii() or not sent & set(frame.splitlines())
        # Whatever that was, the telegram after it is read.
        assert frame == ME382

    test()
    with pytest.raises(ChecksumError, match="no line of it can be read"):
        decoder("2.2").decode(b"/ISk5\r\n\r\nno line\r\n!\r\n", 0)
