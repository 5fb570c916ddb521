"""Framing, decoding and dispatch by themselves: `scripts/bench --micro`."""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from custom_components.dsmr.dispatcher import DSMR
from custom_components.dsmr.framing import EncryptedFramer, Framer
from custom_components.dsmr.models import Counters
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS
from tests.meter.day import AMSTERDAM

from .feeder import telegrams

SENT = list(islice(telegrams(), 1000))

type Benchmark = Callable[[Callable[[], Any]], Any]


def test_framing(benchmark: Benchmark) -> None:
    plain, encrypted, sent = Framer(), EncryptedFramer(), cycle(SENT)

    def feed() -> list[bytes]:
        telegram = next(sent)
        return plain.feed(telegram) or encrypted.feed(telegram)

    assert benchmark(feed)


def test_decoding(benchmark: Benchmark) -> None:
    decoder = Decoder(VERSIONS["5"], AMSTERDAM, Counters())
    sent = cycle(enumerate(SENT))

    def decode() -> Any:
        second, telegram = next(sent)
        return decoder.decode(telegram, second)

    assert benchmark(decode).readings


def test_dispatch(benchmark: Benchmark) -> None:
    decoder = Decoder(VERSIONS["5"], AMSTERDAM, Counters())
    decoded = cycle([decoder.decode(sent, second) for second, sent in enumerate(SENT)])
    told: list[Any] = []

    async def dispatch() -> None:
        dsmr = DSMR(deque(), 0, Counters())
        first = next(decoded)
        dsmr._received(first)
        for key in first.readings:
            dsmr.listen(key, told.append, None)
        benchmark(lambda: dsmr._received(next(decoded)))

    asyncio.run(dispatch())
    assert told
