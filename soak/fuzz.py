"""Damaged streams of telegrams, one after the other, as fast as they can be read."""

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import count
import logging
from random import Random
import re
import time
from typing import Final, override
from unittest.mock import patch

from custom_components.dsmr.models import (
    Connection,
    Counters,
    Event,
    Keys,
    Telegram,
)
from custom_components.dsmr.reader import QUEUE_SIZE, Reader
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS
from tests.clock import VirtualLoop, settled
from tests.meter import MODELS, SimulatedMeter
from tests.meter.day import AMSTERDAM
from tests.meter.wire import crc16

from .faults import damaged
from .line import Line, Lines
from .record import values_of

KEY: Final = bytes(range(16))
_URL: Final = "socket://192.0.2.1:2001"
_PATCHED: Final = "custom_components.dsmr.opening.create_serial_connection"
# What a gateway that speaks telnet puts in, and the integration takes out (RFC 854).
_TELNET: Final = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa])", re.DOTALL)


@dataclass
class Fuzz:
    """How far a run came.

    Attributes:
        streams: that were sent.
        telegrams: that were in them.
        read: how many of them passed.
        failure: what should not have happened, or "".
        seed: of the last stream.
    """

    streams: int = 0
    telegrams: int = 0
    read: int = 0
    failure: str = ""
    seed: int = 0


class _Errors(logging.Handler):
    """Keeps what the integration has not foreseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class _Decoder(Decoder):
    """A decoder that is watched: what it lets pass is checked another time, in another way."""

    wrong = ""
    is_checked = True

    @override
    def decode(self, frame: bytes, now: float) -> Telegram:
        telegram = super().decode(frame, now)
        if self.is_checked and not _is_right(frame):
            self.wrong = "a telegram passed of which the checksum is wrong"
        return telegram


def fuzz(seed: int, minutes: float) -> Fuzz:
    """Send streams until one is read wrongly or the time is over; one at least.

    Each has a seed of its own, which is one more than that of the stream before.
    """
    run = Fuzz()
    end = time.monotonic() + 60 * minutes
    for stream in count(seed):
        run.seed = stream
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            run.failure = runner.run(_stream(Random(stream), run))
        run.streams += 1
        if run.failure or time.monotonic() >= end:
            return run
    raise AssertionError


async def _stream(rng: Random, run: Fuzz) -> str:
    """Send a stream to a reader of its own, and return what was wrong."""
    model = rng.choice(list(MODELS))
    version = VERSIONS[MODELS[model].version]
    key = KEY if version.encrypted or rng.random() < 0.1 else None
    meter = SimulatedMeter(
        model,
        seed=rng.randrange(100),
        key=key,
        authentication_key=(version.authentication_key or b"") if version.encrypted else b"",
    )
    queue: deque[Event] = deque(maxlen=QUEUE_SIZE)
    decoder = _Decoder(version, AMSTERDAM, Counters())
    decoder.is_checked = version.checksum
    connection = Connection(_URL, 30, Keys(key) if key else None, rfxtrx=rng.random() < 0.02)
    reader = Reader(connection, decoder, queue, lambda: None)
    lines, line, errors = Lines(), Line(_URL), _Errors()
    lines.add(line)
    logger = logging.getLogger("custom_components.dsmr")
    handlers, logger.handlers, logger.propagate = logger.handlers, [errors], False
    with patch(_PATCHED, lines.open):
        task = asyncio.create_task(reader.run())
        await settled()
        try:
            for _ in range(rng.randrange(1, 12)):
                _send(line, rng, damaged(meter.next_telegram(), rng))
                run.telegrams += 1
            queue.clear()
            good = meter.next_telegram()
            # A line end, because what ends a telegram may be what was damaged.
            _send(line, rng, good if key or connection.rfxtrx else b"\r\n" + good)
            run.read += reader.counters.telegrams
            wrong = decoder.wrong
            if not connection.rfxtrx:
                wrong = wrong or _missing(queue, good, readable=not key, checked=version.checksum)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            logger.handlers, logger.propagate = handlers, True
    return f"{model}: {errors.messages[0]}" if errors.messages else wrong and f"{model}: {wrong}"


def _send(line: Line, rng: Random, data: bytes) -> None:
    """Send bytes in pieces."""
    start = 0
    while start < len(data):
        end = start + rng.choice((1, 7, 64, 1024, 100_000))
        line.send(data[start:end])
        start = end


def _is_right(frame: bytes) -> bool:
    body, _, checksum = frame.rpartition(b"!")
    plain = (body, _TELNET.sub(b"", body))
    return any(int(checksum.strip() or b"-1", 16) == crc16(sent + b"!") for sent in plain)


def _missing(queue: deque[Event], good: bytes, *, readable: bool, checked: bool) -> str:
    """Return what of the last telegram, which is a good one, was not read."""
    telegrams = [event for event in queue if isinstance(event, Telegram)]
    if not telegrams:
        return "the good telegram after the damaged ones was not read"
    if not readable or not checked:
        return ""
    read = {key.obis: reading.value for key, reading in telegrams[-1].readings.items()}
    for obis, value in values_of(good).items():
        if obis in read and abs(float(str(read[obis])) - value) > 0.0005:
            return f"{obis} is {read[obis]}, and the meter sent {value}"
    return ""
