"""The reader on a line that does what the test says, on virtual time."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC
from decimal import Decimal
import errno
import itertools
import logging
from math import ceil
from typing import Any, Self, override

import pytest
from serialx import SerialException

from custom_components.dsmr.addresses import addressed
from custom_components.dsmr.models import (
    ELECTRICITY,
    Cause,
    Connection,
    Counters,
    Disconnected,
    Event,
    ReadingKey,
    Telegram,
)
from custom_components.dsmr.pauses import SHORTEST_SILENCE, SILENCE, Pauses
from custom_components.dsmr.reader import (
    QUEUE_SIZE,
    SHORT_CONNECTIONS,
    STEADY_AFTER,
    Reader,
)
from custom_components.dsmr.stream import LONGEST_HEARD
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .clock import now, passed, run, settled
from .parts import edited, telegram_of

URL = "socket://192.0.2.1:2001"
AM550 = telegram_of("iskra-am550")
ME382 = telegram_of("iskra-me382")
LOST = "No telegrams from socket://192.0.2.1:2001: "
BACK = "Telegrams come from socket://192.0.2.1:2001 again"
PAUSES = [0.25, 0.5, 1, 2, 2, 2]


def am550(watts: int) -> bytes:
    """Return a telegram that is told from others by its power."""
    return edited(AM550, o1_0_1_7_0=f"({watts / 1000:06.3f}*kW)")


class Transport(asyncio.Transport):
    """The reader's end of a line, as serialx makes it."""

    def __init__(self, protocol: asyncio.BaseProtocol, closing: float) -> None:
        super().__init__()
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol
        self._closing = closing
        self._closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def receive(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def lose(self, error: Exception | None = None) -> None:
        """Lose the connection, which tells the protocol once."""
        if self._timer:
            self._timer.cancel()
        if not self.closed:
            self._closed.set()
            self._protocol.connection_lost(error)

    @override
    def abort(self) -> None:
        # Never at once: serialx closes the file in a thread, the socket in the next iteration, and
        # takes leave of an ESPHome before.
        if not self.closed and not self._timer:
            self._timer = asyncio.get_running_loop().call_later(self._closing, self.lose)

    async def wait_closed(self) -> None:
        await self._closed.wait()


class Line:
    """Takes the place of serialx: what happens when a reader opens its port.

    Attributes:
        fault: what opening raises, or None where it succeeds.
        hangs: whether opening waits for ever.
        closing: how many seconds closing takes.
        opened: when it was tried, in seconds since the test began.
        given_up: how many openings were cancelled.
        asked: URL and settings of the last attempt.
        transport: the line, since it was opened.
    """

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self.hangs = False
        self.closing = 0.0
        self.opened: list[float] = []
        self.given_up = 0
        self.asked: dict[str, Any] = {}
        self.transport: Transport | None = None

    async def open(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        url: str,
        **settings: Any,
    ) -> tuple[Transport, asyncio.BaseProtocol]:
        self.opened.append(now())
        self.asked = {"url": url, **settings}
        if self.hangs:
            try:
                await loop.create_future()
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        if self.fault:
            raise self.fault
        protocol = protocol_factory()
        self.transport = Transport(protocol, self.closing)
        return self.transport, protocol

    def send(self, data: bytes) -> None:
        """Send bytes from the meter."""
        assert self.transport
        self.transport.receive(data)

    def lose(self, error: Exception | None = None) -> None:
        """Lose the connection."""
        assert self.transport
        self.transport.lose(error)

    def pauses(self) -> list[float]:
        """Return the seconds between attempts where each failed at once."""
        return [after - before for before, after in itertools.pairwise(self.opened)]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", line.open)
    return line


class Reading:
    """A reader at work."""

    def __init__(
        self,
        version: str = "5",
        *,
        url: str = URL,
        longest_retry: float = 30,
        room: int = QUEUE_SIZE,
        drain: Callable[[], None] = lambda: None,
    ) -> None:
        self.queue: deque[Event] = deque(maxlen=room)
        self.counters = Counters()
        self.decoder = Decoder(VERSIONS[version], UTC, self.counters)
        self.reader = Reader(Connection(url, longest_retry), self.decoder, self.queue, drain)
        self.task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.reader.run())
        await settled()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop, and raise what it has died of."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        return [self.queue.popleft() for _ in range(len(self.queue))]

    def watts(self) -> list[int]:
        """Return the power in each telegram that has come since the last call."""
        telegrams = [event for event in self.events() if isinstance(event, Telegram)]
        return [_watts(telegram) for telegram in telegrams]


def _watts(telegram: Telegram) -> int:
    value = telegram.readings[ReadingKey(ELECTRICITY, "1.7.0")].value
    assert isinstance(value, Decimal)
    return int(value * 1000)


def test_a_port_is_opened_as_its_version_speaks(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2"):
            assert line.asked["url"] == URL
            assert line.asked["baudrate"] == 9600
            assert line.asked["byte_size"] == 7
            assert line.asked["parity"] == VERSIONS["2.2"].serial.parity

    run(test())


def test_a_telegram_arrives_as_soon_as_its_last_byte(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.send(am550(461)[:-1])
            assert reading.events() == []
            line.send(b"\n")
            assert reading.watts() == [461]
            assert reading.counters.telegrams == 1

    run(test())


@pytest.mark.logs(LOST)
def test_pauses_grow_from_less_than_a_second_to_two(line: Line) -> None:
    async def test() -> None:
        line.fault = ConnectionRefusedError(111, "refused")
        async with Reading():
            await passed(sum(PAUSES))
        assert line.pauses() == PAUSES

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.parametrize(
    ("longest", "pauses"), [(0.125, [0.125] * 4), (0.75, [0.25, 0.5, 0.75, 0.75])]
)
def test_no_pause_is_longer_than_the_reconnect_interval(
    line: Line, longest: float, pauses: list[float]
) -> None:
    async def test() -> None:
        line.fault = ConnectionRefusedError(111, "refused")
        async with Reading(longest_retry=longest):
            await passed(sum(pauses))
        assert line.pauses() == pauses

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_after_a_telegram_the_pauses_begin_again(line: Line) -> None:
    async def test() -> None:
        line.fault = ConnectionRefusedError(111, "refused")
        async with Reading():
            await passed(sum(PAUSES) - 1)
            line.fault = None
            await passed(1)
            line.send(AM550)
            line.opened.clear()
            line.fault = ConnectionRefusedError(111, "refused")
            lost_at = now()
            line.lose()
            await passed(sum(PAUSES))
        assert line.opened[0] - lost_at == PAUSES[0]
        assert line.pauses() == PAUSES[1:]

    run(test())


@pytest.mark.logs(LOST)
def test_a_gateway_that_hangs_up_at_once_is_not_called_again_and_again(line: Line) -> None:
    async def test() -> None:
        async with Reading():
            for pause in PAUSES:
                line.lose()
                await passed(pause)
        assert line.pauses() == PAUSES

    run(test())


@pytest.mark.logs(LOST + "TimeoutError")
def test_a_host_that_never_answers_is_tried_again(line: Line) -> None:
    async def test() -> None:
        line.hangs = True
        async with Reading() as reading:
            await passed(15)
            assert line.given_up == 1
            line.hangs = False
            await passed(1)
            assert reading.events() == [Disconnected()]
            assert line.transport

    run(test())


@pytest.mark.logs(LOST + r"no telegram for \d+ s")
@pytest.mark.parametrize(
    ("version", "patience", "most"),
    [
        ("5", SHORTEST_SILENCE, 15),
        ("5B", SHORTEST_SILENCE, 15),
        ("2.2", SILENCE * 10, 40),
        ("4", SILENCE * 10, 40),
    ],
)
def test_a_meter_that_falls_silent_is_left_and_called_again(
    line: Line, version: str, patience: float, most: float
) -> None:
    async def test() -> None:
        assert patience < most
        async with Reading(version) as reading:
            line.send(ME382 if version == "2.2" else AM550)
            silent = line.transport
            reading.events()
            await passed(patience - 0.125)
            assert reading.events() == []
            await passed(0.125)
            assert reading.events() == [Disconnected()]
            assert silent
            assert silent.closed
            await passed(PAUSES[0])
            assert line.transport is not silent

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
def test_bytes_that_never_make_a_telegram_are_silence(line: Line) -> None:
    async def test() -> None:
        wrong = AM550.replace(b"(00.461*kW)", b"(00.462*kW)")
        async with Reading() as reading:
            for _ in range(ceil(SHORTEST_SILENCE)):
                line.send(wrong)
                line.send(b"/\x00\xff!\r\n")
                await passed(1)
            assert reading.events() == [Disconnected()]
            assert reading.counters.checksum_failures >= SHORTEST_SILENCE

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
def test_each_telegram_earns_the_meter_its_patience_anew(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for _ in range(100):
                await passed(SHORTEST_SILENCE / 4)
                line.send(AM550)
                reading.watts()
            assert len(line.opened) == 1
            await passed(SHORTEST_SILENCE - 0.125)
            assert reading.events() == []
            await passed(0.125)
            assert reading.events() == [Disconnected()]

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize("version", ["5", "4"])
@pytest.mark.parametrize("wait", [0, 2.5, 59])
def test_a_gateway_that_sends_once_a_minute_is_not_called_silent_from_its_first_pause_on(
    line: Line, version: str, wait: float
) -> None:
    async def test() -> None:
        async with Reading(version) as reading:
            await passed(wait)
            line.send(AM550)
            await passed(60)
            reading.events()
            for watts in range(100):
                line.send(am550(watts))
                await passed(60)
            telegrams = reading.events()
            assert {type(event) for event in telegrams} == {Telegram}
            # When it does fall silent, that takes as many minutes as it takes seconds elsewhere.
            await passed(60 * SILENCE)
            assert Disconnected() in reading.events()

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize("interval", [15, 30, 60])
def test_a_gateway_that_counts_its_seconds_from_each_call_is_read(
    line: Line, interval: int
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            called_at = 0.0
            while now() < 600:
                await passed(1)
                if line.opened[-1] > called_at:
                    called_at = line.opened[-1]
                elif now() - called_at > interval:
                    called_at += interval
                    line.send(AM550)
            assert reading.counters.telegrams > 300 / interval
            assert line.opened[-1] < 300

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.parametrize("wait", [0, 5, 11])
def test_a_meter_that_falls_silent_after_its_first_telegram_is_missed_as_soon_as_any_other(
    line: Line, wait: float
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            await passed(wait)
            line.send(AM550)
            await passed(SHORTEST_SILENCE)
            assert reading.events()[-1] == Disconnected()

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize(
    "sent",
    [
        [2 * AM550],
        [AM550 + bytes(300)],
        [AM550, AM550],
        [(4 * AM550)[start : start + 1460] for start in range(0, 4 * len(AM550), 1460)],
    ],
    ids=["two", "with padding", "two packets", "segments"],
)
def test_a_gateway_that_sends_more_than_a_telegram_a_minute_is_learnt_too(
    line: Line, sent: list[bytes]
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for _ in range(10):
                reading.events()
                for data in sent:
                    line.send(data)
                    await passed(0.0625)
                await passed(60)
            assert {type(event) for event in reading.events()} == {Telegram}

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize("sign", [b"\0", b"\r\n", b"\xff\xf1"], ids=["NUL", "line end", "telnet"])
def test_a_gateway_that_shows_between_its_telegrams_that_it_is_there_is_learnt_too(
    line: Line, sign: bytes
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for _ in range(10):
                reading.events()
                line.send(AM550)
                for _ in range(12):
                    await passed(5)
                    line.send(sign)
            assert {type(event) for event in reading.events()} == {Telegram}

    run(test())


@pytest.mark.logs(LOST + "no telegram for 35 s")
@pytest.mark.logs(BACK)
def test_a_gateway_that_sends_more_often_from_now_on_is_missed_sooner(line: Line) -> None:
    async def test() -> None:
        async with Reading("4") as reading:
            for pause in [60] * 10 + [4] * 20:
                line.send(AM550)
                await passed(pause)
            reading.events()
            await passed(SILENCE * 10)
            assert reading.events()[0] == Disconnected()
            assert reading.reader.pauses.patience == SILENCE * 10

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_what_a_new_gateway_that_keeps_hanging_up_has_sent_is_shown_no_longer_than_else(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading("4") as reading:
            await hands_out_and_hangs_up(line, 2 * SHORT_CONNECTIONS)
            reading.events()
            await passed(SILENCE * 10)
            assert Disconnected() in reading.events()

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_what_was_lost_with_the_connection_teaches_no_patience(line: Line) -> None:
    async def test() -> None:
        async with Reading("4") as reading:
            await talks(line, 10)
            for _ in range(20):
                await passed(10)
                line.lose()
                await passed(8)
                line.send(AM550)
            assert reading.reader.pauses.allowed(10) == 35
            # Nor what was missed while the port was opened anew, because nothing passed.
            for _ in range(10):
                for _ in range(4):
                    await passed(10)
                    line.send(AM550.replace(b"0.461", b"0.462"))
                await passed(20)
                line.send(AM550)
            assert reading.reader.pauses.allowed(10) == 35

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
def test_however_often_a_gateway_fails_its_silence_is_noticed_after_minutes(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            # It hangs after its first telegram, each time, until it is called anew.
            for _ in range(30):
                calls = len(line.opened)
                await passed(3)
                line.send(AM550)
                sent_at = now()
                while len(line.opened) == calls:
                    await passed(1)
                assert now() - sent_at <= 60 * SILENCE + 2
            assert reading.reader.pauses.patience <= 60 * SILENCE

    run(test())


@pytest.mark.logs(LOST + "no telegram for 12 s")
@pytest.mark.logs(BACK)
def test_a_gateway_whose_first_telegram_comes_at_once_is_called_silent_before_the_second_alone(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for watts in range(2):
                reading.events()
                line.send(am550(watts))
                await passed(60)
            assert {type(event) for event in reading.events()} == {Telegram}

    run(test())


async def talks_and_is_missed(line: Line, reading: Reading) -> None:
    """Let a meter send each second, and expect it to be missed like one that always has."""
    for _ in range(3):
        line.send(AM550)
        await passed(1)
    reading.events()
    await passed(SHORTEST_SILENCE)
    assert reading.events()[0] == Disconnected()


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize("outage", [60, 3600])
def test_an_outage_before_or_after_the_first_telegram_delays_no_loss_by_more_than_minutes(
    line: Line, outage: int
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for _ in range(2):
                await passed(outage)
                line.send(AM550)
                reading.events()
            await passed(60 * SILENCE)
            assert reading.events()[0] == Disconnected()
            await passed(1)
            # Two telegrams in a row, and it is known again.
            await talks_and_is_missed(line, reading)

    run(test())


@pytest.mark.logs(LOST + "no telegram for 210 s")
@pytest.mark.logs(BACK)
def test_outages_after_a_start_do_not_change_for_how_long_a_known_meter_may_be_silent(
    line: Line,
) -> None:
    async def test() -> None:
        reading = Reading()
        reading.reader.pauses.patience = 60 * SILENCE
        async with reading:
            for pause in (300, 60, 240, 300, 0):
                line.send(AM550)
                await passed(pause)
            reading.events()
            await passed(60 * SILENCE)
            assert reading.events().count(Disconnected()) == 1

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize(
    "pauses", [[120, 120, 60, 120, 120], [1, 60, 1]], ids=["lost", "held back"]
)
def test_odd_pauses_of_a_gateway_do_not_change_when_it_counts_as_silent(
    line: Line, pauses: list[int]
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for pause in [60] * 9 + pauses:
                line.send(AM550)
                await passed(pause)
            line.send(AM550)
            reading.events()
            await passed(60 * SILENCE - 0.125)
            assert reading.events() == []
            await passed(0.125)
            assert reading.events() == [Disconnected()]

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
@pytest.mark.parametrize("before", [1, 2, 100])
def test_an_hour_without_telegrams_teaches_no_patience(line: Line, before: int) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for _ in range(before):
                line.send(AM550)
                await passed(1)
            await passed(3600)
            await talks_and_is_missed(line, reading)

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
@pytest.mark.logs(BACK)
def test_a_gateway_that_sends_each_telegram_again_is_soon_missed_again(line: Line) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for pause in [60] * 5 + [1] * 5:
                line.send(AM550)
                await passed(pause)
            reading.events()
            await passed(SHORTEST_SILENCE)
            assert reading.events()[0] == Disconnected()

    run(test())


@pytest.mark.logs(LOST + "reset by a cat")
@pytest.mark.logs(BACK)
def test_a_loss_and_a_return_are_said_once_however_many_attempts(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.send(AM550)
            line.lose(OSError("reset by a cat"))
            for fault in (ConnectionRefusedError(111, "refused"), SerialException("busy"), None):
                line.fault = fault
                await passed(600)
            line.send(AM550)
            line.send(AM550)
            assert len(line.opened) > 600
            assert reading.counters.telegrams == 3
        assert caplog.text.count("No telegrams from") == 1
        assert caplog.text.count("Telegrams come from") == 1

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_the_next_loss_is_said_again(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with Reading():
            for _ in range(3):
                line.send(AM550)
                line.lose()
                await passed(1)
        assert caplog.text.count("No telegrams from") == 3
        assert caplog.text.count("Telegrams come from") == 2

    run(test())


async def hands_out_and_hangs_up(line: Line, times: int) -> None:
    """Let a gateway close each connection after a telegram, so many times."""
    for watts in range(times):
        line.send(am550(watts))
        line.lose()
        await passed(PAUSES[-1])


async def talks(line: Line, seconds: float) -> None:
    """Let a meter send each second."""
    for _ in range(int(seconds)):
        line.send(AM550)
        await passed(1)


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_what_a_gateway_hands_out_that_keeps_hanging_up_is_shown_and_its_losses_are_told_thrice(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            await hands_out_and_hangs_up(line, SHORT_CONNECTIONS)
            assert reading.events().count(Disconnected()) == SHORT_CONNECTIONS
            await hands_out_and_hangs_up(line, 20)
            events = reading.events()
            assert Disconnected() not in events
            assert len([event for event in events if isinstance(event, Telegram)]) == 20
            assert set(line.pauses()[-15:]) == {PAUSES[-1]}
            assert caplog.text.count("No telegrams from") == SHORT_CONNECTIONS
            assert caplog.text.count("Telegrams come from") == SHORT_CONNECTIONS - 1
            await talks(line, STEADY_AFTER)
            assert caplog.text.count("Telegrams come from") == SHORT_CONNECTIONS - 1
            await talks(line, 10)
            assert caplog.text.count("Telegrams come from") == SHORT_CONNECTIONS
            # As if nothing had been.
            reading.events()
            line.lose()
            await passed(PAUSES[0])
            assert reading.events() == [Disconnected()]
            assert line.transport
            assert not line.transport.closed
            assert caplog.text.count("No telegrams from") == SHORT_CONNECTIONS + 1

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_a_gateway_that_keeps_hanging_up_and_then_refuses_is_lost_at_the_next_attempt(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            await hands_out_and_hangs_up(line, 2 * SHORT_CONNECTIONS)
            line.send(AM550)
            reading.events()
            line.fault = ConnectionRefusedError(111, "refused")
            line.lose()
            await passed(PAUSES[-1] - 0.125)
            assert reading.events() == []
            await passed(0.125)
            assert reading.events() == [Disconnected()]

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
@pytest.mark.parametrize(
    ("hangs_up_after", "missed_after"),
    [(after, max(SHORTEST_SILENCE, after + PAUSES[-1])) for after in (0, 1, 11)]
    + [(SHORTEST_SILENCE, SHORTEST_SILENCE)],
)
def test_a_meter_is_missed_as_soon_as_ever_behind_a_gateway_that_keeps_hanging_up(
    line: Line, hangs_up_after: float, missed_after: float
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            await hands_out_and_hangs_up(line, 2 * SHORT_CONNECTIONS)
            line.send(AM550)
            sent_at = now()
            reading.events()
            await passed(hangs_up_after)
            line.lose()
            while Disconnected() not in reading.events():
                await passed(0.25)
            assert now() - sent_at == missed_after

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_a_meter_is_missed_as_soon_as_ever_behind_a_gateway_that_hangs_up_and_then_hangs(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            await hands_out_and_hangs_up(line, 2 * SHORT_CONNECTIONS)
            line.send(AM550)
            reading.events()
            line.hangs = True
            line.lose()
            await passed(SHORTEST_SILENCE)
            assert reading.events() == [Disconnected()]

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_attempts_without_a_telegram_neither_make_a_gateway_one_that_keeps_hanging_up_nor_end_it(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            for _ in range(3):
                await hands_out_and_hangs_up(line, SHORT_CONNECTIONS - 1)
                assert reading.events().count(Disconnected()) == SHORT_CONNECTIONS - 1
                # Nothing comes for a while, and then telegrams for longer.
                for _ in range(2 * SHORT_CONNECTIONS):
                    line.lose()
                    await passed(PAUSES[-1])
                await talks(line, 1)
                assert reading.reader.cause is None
                assert caplog.messages[-1] == BACK
                await talks(line, STEADY_AFTER)
                line.lose()
                await passed(PAUSES[-1])
                reading.events()
            await hands_out_and_hangs_up(line, SHORT_CONNECTIONS)
            line.lose()
            await passed(PAUSES[-1])
            reading.events()
            await hands_out_and_hangs_up(line, SHORT_CONNECTIONS)
            assert Disconnected() not in reading.events()
        assert caplog.text.count("No telegrams from") == 4 * SHORT_CONNECTIONS

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (None, "the other side closed the connection"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (SerialException("the adapter is gone"), "the adapter is gone"),
    ],
)
def test_the_cause_of_a_loss_is_kept(line: Line, error: Exception | None, cause: str) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.lose(error)
            await settled()
            assert cause in reading.counters.last_cause

    run(test())


@pytest.mark.logs(LOST)
def test_each_attempt_that_fails_is_told(line: Line) -> None:
    async def test() -> None:
        line.fault = ConnectionRefusedError(111, "refused")
        async with Reading() as reading:
            assert reading.events() == [Disconnected()]
            await passed(PAUSES[0])
            assert reading.events() == [Disconnected()]

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_two_halves_of_two_telegrams_are_none(line: Line) -> None:
    async def test() -> None:
        # A version without a checksum would not notice.
        async with Reading("2.2") as reading:
            line.send(ME382[:300])
            line.lose()
            await passed(1)
            line.send(ME382[300:])
            assert reading.counters.telegrams == 0
            line.send(ME382)
            assert reading.counters.telegrams == 1

    run(test())


@pytest.mark.logs("Unexpected error while reading socket://192.0.2.1:2001")
@pytest.mark.logs(LOST + "KeyError: 'unforeseen'")
@pytest.mark.logs(BACK)
def test_an_unforeseen_error_in_opening_does_not_end_the_reading(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        line.fault = KeyError("unforeseen")
        async with Reading() as reading:
            assert reading.events() == [Disconnected()]
            line.fault = None
            await passed(1)
            line.send(am550(461))
            assert reading.watts() == [461]
        assert "Traceback" in caplog.text

    run(test())


@pytest.mark.logs("Unexpected error in a telegram from socket://192.0.2.1:2001")
def test_an_unforeseen_error_in_a_telegram_costs_that_telegram(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            decode = reading.decoder.decode

            def stumble(frame: bytes, *rest: Any) -> Telegram:
                if b"00.666" in frame:
                    raise ZeroDivisionError
                return decode(frame, *rest)

            monkeypatch.setattr(reading.decoder, "decode", stumble)
            line.send(am550(1) + am550(666) + am550(2))
            assert reading.watts() == [1, 2]
            assert len(line.opened) == 1
        assert "ZeroDivisionError" in caplog.text

    run(test())


@pytest.mark.logs("Unexpected error while reading")
@pytest.mark.logs(LOST)
def test_an_unforeseen_error_that_stays_is_said_once(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        line.fault = KeyError("unforeseen")
        async with Reading() as reading:
            await passed(60)
            assert reading.counters.errors > 20
        assert caplog.text.count("Unexpected error while reading") == 1

    run(test())


@pytest.mark.logs("Unexpected error in a telegram")
def test_an_unforeseen_error_in_each_telegram_is_said_once(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(*_: Any) -> Telegram:
        raise ZeroDivisionError

    async def test() -> None:
        async with Reading() as reading:
            monkeypatch.setattr(reading.decoder, "decode", stumble)
            for _ in range(5):
                line.send(AM550)
        assert caplog.text.count("Unexpected error in a telegram") == 1

    run(test())


@pytest.mark.logs(LOST)
def test_an_opening_that_somebody_else_cancelled_is_tried_again(line: Line) -> None:
    async def test() -> None:
        line.fault = asyncio.CancelledError()
        async with Reading():
            line.fault = None
            await passed(1)
            assert len(line.opened) == 2

    run(test())


@pytest.mark.logs("Unexpected error while reading socket://192.0.2.1:2001")
def test_a_mistake_in_what_is_done_about_a_loss_ends_no_reading_and_the_loss_is_told(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.send(AM550)
            reading.events()
            with monkeypatch.context() as patched:
                patched.setattr(Pauses, "interrupt", lambda _: 1 / 0)
                for _ in range(2):
                    line.lose()
                    await passed(3)
                    assert Disconnected() in reading.events()
            assert reading.counters.errors == 2
            line.send(AM550)
            assert reading.watts() == [461]

    run(test())
    assert caplog.text.count("Unexpected error while reading") == 1


@pytest.mark.logs("Unexpected error in a telegram from socket://192.0.2.1:2001")
def test_a_mistake_about_a_damaged_telegram_does_not_cost_the_next_one(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            monkeypatch.setattr(reading.reader.stream, "_look", lambda *_, **__: 1 / 0)
            line.send(AM550.replace(b"00.461", b"00.462") + AM550)
            assert reading.watts() == [461]

    run(test())


@pytest.mark.logs(LOST)
def test_what_a_gateway_says_commands_no_terminal_and_is_not_endless(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            line.lose(OSError("\x1b[2J\nall is well" + 5000 * "!"))
            await settled()
            assert reading.counters.last_cause.startswith("[2Jall is well!")

    run(test())
    (said,) = (record.getMessage() for record in caplog.records if record.levelno > logging.INFO)
    assert said.isprintable()
    assert len(said) < 400


@pytest.mark.logs("Unexpected error in telling what comes from socket://192.0.2.1:2001")
@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_a_mistake_in_telling_ends_no_reading(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    def stumble() -> None:
        raise RuntimeError("a mistake")

    async def test() -> None:
        async with Reading(drain=stumble) as reading:
            line.send(am550(1))
            line.lose()
            await passed(1)
            line.send(am550(2))
            assert reading.watts() == [1, 2]
            assert caplog.text.count("Unexpected error") == 1
            # A telegram came, the port was lost, and another telegram came.
            assert reading.counters.errors == 3

    run(test())


def test_when_the_queue_is_full_the_oldest_goes_and_the_newest_arrives(line: Line) -> None:
    async def test() -> None:
        async with Reading(room=3) as reading:
            for watts in range(1, 7):
                line.send(am550(watts))
            assert reading.watts() == [4, 5, 6]
            assert reading.counters.dropped == 3
            assert reading.counters.telegrams == 6

    run(test())


@pytest.mark.logs(LOST)
def test_a_loss_is_told_though_the_queue_is_full(line: Line) -> None:
    async def test() -> None:
        async with Reading(room=2) as reading:
            line.send(am550(1) + am550(2))
            line.lose()
            await settled()
            *_, newest = reading.events()
            assert newest == Disconnected()

    run(test())


@pytest.mark.logs(LOST + "no telegram for")
def test_a_silence_is_told_though_the_port_is_slow_to_close(line: Line) -> None:
    async def test() -> None:
        # An ESPHome that is gone: serialx first takes leave of it.
        line.closing = 10
        async with Reading() as reading:
            await passed(SHORTEST_SILENCE + 1)
            assert reading.events()[:1] == [Disconnected()]
        # Until the line has closed, which nobody waits for.
        await passed(20)

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_a_port_that_was_left_is_not_heard_any_more(line: Line) -> None:
    async def test() -> None:
        line.closing = 10
        async with Reading() as reading:
            before = line.transport
            assert before
            await passed(SHORTEST_SILENCE + 1)
            assert line.transport is not before
            reading.events()
            line.send(am550(1)[:300])
            before.receive(am550(666))
            line.send(am550(1)[300:])
            assert reading.watts() == [1]
            line.fault = OSError(16, "busy")
            line.lose()
            await passed(1)
            reading.events()
            before.receive(am550(666))
            assert reading.events() == []
        await passed(20)

    run(test())


SECRET = "s3cret"
SECRETIVE = [
    f"socket://user:{SECRET}@192.0.2.1:2001",
    f"rfc2217://{SECRET}@192.0.2.1:2001",
    f"esphome://192.0.2.1/?key={SECRET}",
    f"esphome://192.0.2.1/?port_name=p1&password={SECRET}#{SECRET}",
]


@pytest.mark.logs("No telegrams from (socket|rfc2217|esphome)://192.0.2.1")
@pytest.mark.logs("Telegrams come from (socket|rfc2217|esphome)://192.0.2.1")
@pytest.mark.parametrize("url", SECRETIVE)
def test_user_password_and_keys_of_a_url_are_not_logged(
    line: Line, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        caplog.set_level(logging.DEBUG)
        async with Reading(url=url) as reading:
            line.send(AM550.replace(b"(00.461*kW)", b"(00.462*kW)"))
            line.lose()
            await passed(1)
            line.send(AM550)
            assert reading.counters.checksum_failures == 1
        assert "A telegram from" in caplog.text
        assert SECRET not in caplog.text

    run(test())


@pytest.mark.logs("No telegrams from (socket|rfc2217|esphome)://192.0.2.1")
@pytest.mark.parametrize("url", SECRETIVE)
@pytest.mark.parametrize(
    "error",
    [
        OSError,
        SerialException,
        # So does serialx, of a socket:// without a port.
        ValueError,
        pytest.param(RuntimeError, marks=pytest.mark.logs("Unexpected error while reading")),
    ],
)
def test_an_error_that_names_the_url_does_not_give_its_secrets_away(
    line: Line, url: str, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        line.fault = error(f"Invalid socket URI, expected both host and port: {url}")
        async with Reading(url=url) as reading:
            assert SECRET not in reading.counters.last_cause
        assert SECRET not in caplog.text

    run(test())


@pytest.mark.logs("No telegrams from")
@pytest.mark.parametrize(
    ("url", "error"),
    [
        pytest.param(
            f"esphome://192.0.2.1/?key={SECRET}",
            f"192.0.2.1: Malformed PSK {SECRET}, expected base64-encoded value",
            id="as aioesphomeapi writes it",
        ),
        pytest.param(
            "esphome://192.0.2.1/?key=%73%33cret",
            f"192.0.2.1: Malformed PSK {SECRET}, expected base64-encoded value",
            id="decoded",
        ),
        pytest.param(
            f"socket://user:{SECRET}@192.0.2.1:2001",
            f"user:{SECRET}@192.0.2.1 refuses",
            id="without the scheme",
        ),
    ],
)
def test_an_error_that_names_a_part_of_the_url_does_not_give_its_secrets_away(
    line: Line, url: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        line.fault = SerialException(error)
        async with Reading(url=url) as reading:
            assert SECRET not in reading.counters.last_cause
        assert SECRET not in caplog.text

    run(test())


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"esphome://?key={SECRET}",
        f"socket://user:{SECRET}@[::1:2001",
        f"socket://user:{SECRET}/2@192.0.2.1:2001",
        f"socket:/user:{SECRET}@192.0.2.1:2001",
    ],
)
def test_a_url_that_makes_no_sense_has_a_name_that_gives_nothing_away(url: str) -> None:
    assert SECRET not in Connection(url, 30).name


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
def test_a_gateway_that_hangs_up_after_a_silence_is_not_said_to_be_out_of_reach(
    line: Line,
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            await hands_out_and_hangs_up(line, SHORT_CONNECTIONS)
            line.send(AM550)
            # What is shown is too old when the line would be opened next.
            await passed(SHORTEST_SILENCE - 1)
            reading.events()
            line.lose()
            await passed(PAUSES[-1])
            assert Disconnected() in reading.events()
            assert reading.reader.cause is Cause.LOST
            # It is called all the same.
            assert line.transport
            assert not line.transport.closed

    run(test())


def test_pauses_that_are_about_the_same_are_remembered_once(line: Line) -> None:
    async def test() -> None:
        async with Reading("4") as reading:
            remembered = 0
            for telegram in range(60):
                line.send(AM550)
                remembered += reading.reader.learnt.is_set()
                reading.reader.learnt.clear()
                await passed(18 + telegram // 12)
            assert remembered == 1
            assert reading.reader.pauses.patience == SILENCE * 18

    run(test())


def test_a_name_server_may_take_longer_than_a_host(line: Line) -> None:
    async def test() -> None:
        async def look_up(host: str, port: int, **_: Any) -> list[Any]:
            await asyncio.sleep(5)
            return [(None, None, None, "", ("192.0.2.1", port))]

        asyncio.get_running_loop().getaddrinfo = look_up  # type: ignore[assignment,method-assign]
        async with Reading(url="socket://meter.home:2001") as reading:
            await passed(5)
            line.send(AM550)
            assert reading.counters.telegrams == 1
            assert line.opened == [5]

    run(test())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rfc2217://me:secret@home:2217?a=b", "rfc2217://me:secret@192.0.2.1:2217?a=b"),
        ("socket://home", "socket://192.0.2.1"),
        ("TCP://home6:1", "tcp://[fe80::1%2]:1"),
        ("socket://[2001:db8::1]:1", "socket://[2001:db8::1]:1"),
        ("esphome://home:6053/?key=a", "esphome://192.0.2.1:6053/?key=a"),
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
    ],
)
def test_a_host_is_called_by_its_address(url: str, expected: str) -> None:
    async def test() -> None:
        async def look_up(host: str, port: int, **_: Any) -> list[Any]:
            found = {"home": ("192.0.2.1", port), "home6": ("fe80::1", port, 0, 2)}
            return 2 * [(None, None, None, "", found[host])]

        asyncio.get_running_loop().getaddrinfo = look_up  # type: ignore[assignment,method-assign]
        assert await addressed(url) == [expected]

    run(test())


def test_of_two_addresses_that_answer_one_stays_and_who_stops_meanwhile_leaves_none_open(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async def look_up(host: str, port: int, **_: Any) -> list[Any]:
            return [(None, None, None, "", (f"192.0.2.{number}", port)) for number in (1, 2)]

        asyncio.get_running_loop().getaddrinfo = look_up  # type: ignore[assignment,method-assign]
        async with Reading(url="socket://meter.home:2001") as reading:
            await passed(1)
            assert line.asked["url"] == "socket://192.0.2.1:2001"
            assert len(line.opened) == 1
        assert line.transport
        assert line.transport.closed

        async def open_and_stop(
            loop: asyncio.AbstractEventLoop, *args: Any, **settings: Any
        ) -> Any:
            loop.call_soon(reading.task.cancel)
            return await line.open(loop, *args, **settings)

        monkeypatch.setattr(
            "custom_components.dsmr.opening.create_serial_connection", open_and_stop
        )
        async with reading:
            assert len(line.opened) == 2
            assert line.transport.closed

    run(test())


class House:
    """A name with two addresses, which a name server gives in their order.

    Attributes:
        faults: by address, what calling it raises; there is no line at the others.
        called: the addresses in the order in which they were called.
    """

    URL = "socket://meter.home:2001"

    def __init__(self, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faults: Mapping[str, Exception | None] = {}
        self.called: list[str] = []
        self._line = line
        monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", self.open)

    def begin(self) -> None:
        """Give the name its addresses."""

        async def look_up(host: str, port: int, **_: Any) -> list[Any]:
            return [(None, None, None, "", (address, port)) for address in self.faults]

        asyncio.get_running_loop().getaddrinfo = look_up  # type: ignore[assignment,method-assign]

    async def open(self, loop: Any, factory: Any, url: str, **settings: Any) -> Any:
        address = url.removeprefix("socket://").removesuffix(":2001")
        self.called.append(address)
        if fault := self.faults[address]:
            raise fault
        return await self._line.open(loop, factory, url, **settings)


@pytest.mark.logs("No telegrams from socket://meter.home:2001")
@pytest.mark.parametrize(
    "mute",
    [
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
        TimeoutError(),
    ],
)
def test_why_a_gateway_does_not_answer_is_told_of_the_address_where_it_is(
    line: Line, monkeypatch: pytest.MonkeyPatch, mute: Exception
) -> None:
    async def test() -> None:
        refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        house = House(line, monkeypatch)
        house.begin()
        for house.faults in ({"here": refused, "v6": mute}, {"v6": mute, "here": refused}):
            async with Reading(url=house.URL) as reading:
                await passed(0.1)
                assert reading.reader.cause is Cause.REFUSED
        # The server listens at one of its addresses, where it has another client.
        lost = ConnectionResetError(errno.ECONNRESET, "hung up")
        house.faults = {"v6": refused, "here": lost, "elsewhere": mute}
        async with Reading(url=house.URL) as reading:
            await passed(0.1)
            assert reading.reader.cause is Cause.LOST

    run(test())


@pytest.mark.logs("No telegrams from socket://meter.home:2001")
def test_the_address_that_answered_last_is_called_first(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        house = House(line, monkeypatch)
        house.faults = {"192.0.2.1": TimeoutError(), "192.0.2.2": None}
        house.begin()
        async with Reading(url=house.URL):
            assert house.called == ["192.0.2.1", "192.0.2.2"]
            line.lose()
            await passed(1)
            assert house.called[2:] == ["192.0.2.2"]

    run(test())


@pytest.mark.logs("No telegrams from socket://192.0.2.1:2001: ")
def test_a_password_with_a_slash_is_not_told_by_who_takes_it_for_a_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with Reading(url="socket://somebody:hunter2hunter/2@192.0.2.1:2001") as reading:
            await passed(1)
            assert "hunter" not in reading.counters.last_cause

    run(test())
    assert "hunter" not in caplog.text


@pytest.mark.logs("No telegrams from .* .there is no such port")
def test_a_url_that_makes_no_sense_does_not_end_the_reading() -> None:
    async def test() -> None:
        async with Reading(url="socket://[::1:2001") as reading:
            for _ in range(2):
                await passed(1)
                assert Disconnected() in reading.events()

    run(test())


@pytest.mark.logs("Unexpected error in what comes from")
def test_an_unforeseen_error_in_taking_bytes_costs_those_bytes_and_not_the_port(
    line: Line, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with Reading() as reading:
            with monkeypatch.context() as patched:
                patched.setattr(reading.reader.stream._plain, "feed", lambda _: 1 / 0)
                line.send(AM550)
                line.send(AM550)
            line.send(AM550)
            assert reading.counters.errors == 2
            assert reading.counters.telegrams == 1
            assert len(line.opened) == 1

    run(test())
    assert caplog.text.count("Unexpected error in what comes from") == 1


def test_of_what_is_framed_a_few_thousand_bytes_are_kept(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2") as reading:
            line.send(b"/ISK5\r\n\r\n" + b"1-0:1.7.0(0)\r\n" * 2000 + b"!\r\n")
            assert [len(frame) for _, frame in reading.reader.stream.heard] == [LONGEST_HEARD]

    run(test())
