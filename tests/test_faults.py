"""Faults within: what one mistake costs, what noise costs, and how long anything is remembered."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import gc
from itertools import pairwise
from random import Random
import re
import tracemalloc
from typing import Any, SupportsIndex, override

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.dsmr import derivation, framing
from custom_components.dsmr.derivation import Derivation
from custom_components.dsmr.framing import LIMIT, Framer
from custom_components.dsmr.lines import LineReader
from custom_components.dsmr.models import ELECTRICITY, Cause, Counters, ReadingKey
from custom_components.dsmr.obis import MBUS_READING, NET_POWER, POWER_IMPORTED
from custom_components.dsmr.pauses import SHORTEST_SILENCE
from custom_components.dsmr.registers import Register
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .clock import passed, run
from .line import Line, Reading
from .meter import SimulatedMeter
from .meter.day import AMSTERDAM
from .meter.wire import telegram as wire_telegram
from .parts import edited, telegram_of

AM550 = telegram_of("iskra-am550")
LOST = "No telegrams from"


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    return line


def once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Let a method raise the first time that it is called."""
    method: Callable[..., Any] = getattr(owner, name)

    def raise_and_mend(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(owner, name, method)
        raise RuntimeError(f"a mistake in {name}")

    monkeypatch.setattr(owner, name, raise_and_mend)


@pytest.mark.logs("Unexpected error in a telegram from")
@pytest.mark.parametrize(
    ("owner", "name", "sent_before"),
    [
        (LineReader, "read", 0),
        (Register, "believe", 0),
        (Register, "believe", 2),
        (Derivation, "begin", 0),
        (Derivation, "follow", 2),
    ],
)
def test_a_mistake_in_reading_costs_one_telegram(
    line: Line, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, sent_before: int
) -> None:
    async def test() -> None:
        meter = SimulatedMeter("iskra-am550")
        reference = Decoder(VERSIONS["5"], UTC, Counters())
        async with Reading() as reading:
            for _ in range(sent_before):
                line.send(meter.next_telegram())
                await passed(1)
            reading.events()
            once(monkeypatch, owner, name)
            for _ in range(30):
                sent = meter.next_telegram()
                line.send(sent)
                await passed(1)
            read = reading.telegrams()
            assert len(read) == 29
            assert read[-1].readings == reference.decode(sent, 0).readings

    run(test())


@pytest.mark.logs("Unexpected error in what follows from a telegram")
def test_a_mistake_in_what_follows_costs_that_alone(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(_: object) -> None:
        raise RuntimeError("a mistake")

    _, *rest = derivation._RULES[NET_POWER]
    monkeypatch.setitem(derivation._RULES, NET_POWER, (stumble, *rest))

    async def test() -> None:
        meter = SimulatedMeter("iskra-am550")
        power, net = (ReadingKey(ELECTRICITY, obis) for obis in (POWER_IMPORTED, NET_POWER))
        async with Reading() as reading:
            for _ in range(3):
                line.send(meter.next_telegram())
            for telegram in reading.telegrams():
                assert telegram.readings[power].value is not None
                assert telegram.readings[net].value is None
            assert reading.counters.errors == 3
            assert caplog.text.count("Unexpected error") == 1

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs("Telegrams come from")
def test_noise_that_looks_like_a_telegram_is_none_where_there_is_no_checksum(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2") as reading:
            for _ in range(40):
                line.send(b"/(0)\r\n/!(\r\n!\r\n")
                await passed(1)
            assert reading.counters.telegrams == 0
            assert reading.counters.checksum_failures > 0
            # The watchdog is not content with it.
            assert reading.losses() >= 1
            line.send(telegram_of("iskra-me382"))
            assert reading.counters.telegrams == 1

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.parametrize(
    "passes",
    [
        pytest.param(7, id="before it is left"),
        pytest.param(20, id="after it was", marks=pytest.mark.logs("Telegrams come from")),
    ],
)
def test_a_line_that_damages_most_telegrams_teaches_no_patience(line: Line, passes: int) -> None:
    async def test() -> None:
        damaged = AM550.replace(b"(00.461*kW)", b"(00.462*kW)")
        async with Reading() as reading:
            for second in range(10 * passes):
                line.send(AM550 if second % passes == 0 else damaged)
                await passed(1)
            line.send(AM550)
            assert reading.cause() is None
            await passed(SHORTEST_SILENCE + 1)
            assert reading.cause() is Cause.SILENT

    run(test())


def test_noise_that_has_a_right_checksum_by_chance_is_no_telegram(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.send(wire_telegram(["/", "(0)", "/"]))
            assert reading.counters.telegrams == 0
            line.send(AM550)
            assert reading.counters.telegrams == 1

    run(test())


def test_a_damaged_telegram_that_looks_like_another_version_is_not_read_line_by_line(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading("5") as reading:
            line.send(telegram_of("iskra-me382").replace(b"0-0:96.14.0", b"no reference"))
            assert reading.counters.checksum_failures == 1
            assert reading.counters.unreadable_lines == 0
            assert reading.reader.stream.looks_like is VERSIONS["2.2"]

    run(test())


def held_after(work: Callable[[], None]) -> int:
    """Return how many bytes more are held after some work than before it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def test_lines_that_are_others_each_time_take_no_memory_where_there_is_no_checksum() -> None:
    decoder = Decoder(VERSIONS["2.2"], UTC, Counters())
    sent = telegram_of("iskra-me382")

    def work() -> None:
        for n in range(1, 2001):
            # What came once is remembered when it comes again.
            length = (n + 1) // 2
            message = b"0-0:96.13.0(" + b"x" * length + b")"
            decoder.decode(sent.replace(b"0-0:96.13.0()", message), 10.0 * n)

    decoder.decode(sent, 0)
    assert held_after(work) < 80_000


def test_a_log_of_power_failures_in_each_telegram_takes_no_memory() -> None:
    decoder = Decoder(VERSIONS["5"], UTC, Counters())
    logs = [
        edited(
            AM550,
            o1_0_99_97_0=f"(2)(0-0:96.7.19)(2601011200{n % 60:02}W)(0000000{n:03}*s)"
            f"(2601021200{n % 60:02}W)(0000001{n:03}*s)",
        )
        for n in range(1000)
    ]
    for telegram in logs:
        decoder.decode(telegram, 0)

    def another_thousand() -> None:
        for telegram in logs:
            decoder.decode(telegram, 0)

    # What dsmr_parser's own way keeps of a thousand is 100 KiB and more.
    assert held_after(another_thousand) < 10_000


def test_a_line_that_damages_identifiers_takes_no_memory_where_there_is_no_checksum() -> None:
    decoder = Decoder(VERSIONS["2.2"], UTC, Counters())
    sent = telegram_of("iskra-me382")

    def damaged(numbers: range) -> None:
        for number in numbers:
            decoder.decode(sent.replace(b"(3238303039", b"(3%09d" % number), 0)

    damaged(range(1000))
    assert held_after(lambda: damaged(range(1000, 3000))) < 50_000
    assert MBUS_READING in {key.obis for key in decoder.decode(sent, 0).readings}


@pytest.mark.logs("The meter's line .* can't be read")
def test_lines_that_are_others_each_time_take_no_memory() -> None:
    decoder = Decoder(VERSIONS["5"], UTC, Counters())

    def sent(n: int) -> bytes:
        odd = f"1-0:{n}.7.0(1*kW)\r\n1-0:{n}.7.1(1*kW\r\nnoise {n}\r\n"
        return edited(AM550.replace(b"!", odd.encode() + b"!"))

    def are_read() -> None:
        for telegram in telegrams:
            decoder.decode(telegram, 0)

    telegrams = [sent(n) for n in range(1000, 2000)]
    are_read()
    telegrams = [sent(n) for n in range(2000, 3000)]
    # The last telegram, which is another one than before, is 37 KB of it.
    assert held_after(are_read) < 70_000


@pytest.mark.parametrize("version", ["2.2", "5"])
def test_hours_of_noise_take_no_memory(line: Line, version: str) -> None:
    rng = Random(1)
    noise = [rng.randbytes(1000) for _ in range(20)] + [b"/" * 1000, b"!" * 1000, b"\xdb\x08" * 500]

    async def test() -> None:
        async with Reading(version) as reading:

            def an_hour_at_9600_baud() -> None:
                for n in range(3600):
                    line.send(noise[n % len(noise)])

            an_hour_at_9600_baud()
            # Each of both framers holds 64 KiB at most.
            assert held_after(an_hour_at_9600_baud) < 2 * LIMIT
            line.send(b"\r\n" + telegram_of("iskra-me382" if version == "2.2" else "iskra-am550"))
            assert reading.counters.telegrams == 1

    run(test())


@pytest.mark.parametrize(
    "filling", [b"\xff", b"/", b"!", b"\n!", b"/ISK5\r\n", b"\xdb\x08", b"(0)"]
)
def test_noise_costs_as_much_at_its_end_as_at_its_beginning(
    monkeypatch: pytest.MonkeyPatch, filling: bytes
) -> None:
    # Counted, not timed: how many bytes are looked at, and how many moved.
    looking, counting = Looking(framing._END), Counting()
    monkeypatch.setattr(framing, "_END", looking)
    framer = Framer()
    framer._buffer = counting
    piece = (filling * 1000)[:1000]
    for _ in range(200):
        framer.feed(piece)
    early = counting.moved
    for _ in range(200):
        framer.feed(piece)
    assert counting.moved - early <= early + LIMIT
    assert len(counting) <= LIMIT
    # A byte is moved once or twice: what is dropped is dropped by halves.
    assert counting.moved < 3 * 400 * 1000
    # And looked at once, apart from what may be a part of an end.
    assert looking.bytes < 1.1 * 400 * 1000


class Looking:
    """A pattern that counts the bytes in which it is looked for."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.bytes = 0

    def search(self, buffer: bytes, position: int) -> re.Match[bytes] | None:
        found = self._pattern.search(buffer, position)
        self.bytes += (found.end() if found else len(buffer)) - position
        return found


class Counting(bytearray):
    """A buffer that counts the bytes that stay when others are dropped, and so are moved."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0

    @override
    def __delitem__(self, key: SupportsIndex | slice) -> None:
        before = len(self)
        super().__delitem__(key)
        if len(self) < before:
            self.moved += len(self)


@pytest.mark.parametrize("hours", [-24 * 400, -1, 1, 24 * 30])
def test_a_clock_that_is_set_neither_loses_nor_doubles_a_value(
    line: Line, freezer: FrozenDateTimeFactory, hours: int
) -> None:
    async def test() -> None:
        meter = SimulatedMeter("iskra-am550")
        async with Reading() as reading:
            for second in range(120):
                if second == 60:
                    freezer.tick(timedelta(hours=hours))
                line.send(meter.next_telegram())
                await passed(1)
                # None too few, and none twice; the queue would be full without being emptied.
                assert len(reading.telegrams()) == 1
            assert reading.reader.counters.connections == 1
            assert reading.cause() is None

    run(test())


def test_the_doubled_hour_of_autumn_is_two_hours_of_telegrams(line: Line) -> None:
    async def test() -> None:
        start = datetime(2026, 10, 25, 1, 59, 50, tzinfo=AMSTERDAM)
        meter = SimulatedMeter("landisgyr-e350", start=start)
        stamps: list[datetime] = []
        async with Reading("4") as reading:
            for _ in range(2 * 360 + 12):
                line.send(meter.next_telegram())
                await passed(10)
                (telegram,) = reading.telegrams()
                stamp = telegram.readings[ReadingKey(ELECTRICITY, "1.0.0")].value
                assert isinstance(stamp, datetime)
                stamps.append(stamp)
        assert {after - before for before, after in pairwise(stamps)} == {timedelta(seconds=10)}

    run(test())
