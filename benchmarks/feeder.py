"""The meters that everything is measured with, behind a gateway on TCP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
import re
import time
from typing import Final, cast, override

from demo.home import free_port
from tests.meter import SimulatedMeter
from tests.meter.day import AMSTERDAM
from tests.meter.wire import telegram

NIGHT: Final = datetime(2026, 11, 12, 3, tzinfo=AMSTERDAM)
"""A quiet house: the power moves by a few watts, and the fridge comes and goes."""
MIDNIGHT: Final = datetime(2026, 11, 12, tzinfo=AMSTERDAM)

MOST_METERS: Final = 50
_GLANCE: Final = 0.0001
"""Seconds between two looks at whether a process rests."""

_POWER = re.compile(rb"1-0:1\.7\.0\((\d+\.\d+)\*kW\)")
_IDENTIFIER = re.compile(r"(0-\d:96\.1\.[01]\(\d{26})\d{6}")


def telegrams(start: datetime = NIGHT, meter: int = 0) -> Iterator[bytes]:
    """Yield what a three-phase DSMR 5 meter with a gas meter sends, a telegram for each second.

    Args:
        start: the meter's time one second before the first.
        meter: which meter; each has its own identifiers and lives in its own house.
    """
    simulated = SimulatedMeter("iskra-am550", seed=1 + meter, start=start)
    while True:
        sent = simulated.next_telegram()
        yield _edited(sent, _IDENTIFIER, rf"\g<1>{meter:06}") if meter else sent


def stepping() -> Iterator[bytes]:
    """Yield what such a meter sends while a load of 1 kW goes on and off, every five seconds."""
    for second, sent in zip(count(), telegrams(), strict=False):
        if second // 5 % 2:
            watts = round(power(sent) * 1000) + 1000
            yield _edited(sent, re.compile(r"(1-0:1\.7\.0\()[\d.]+"), rf"\g<1>{watts / 1000:06.3f}")
        else:
            yield sent


def power(sent: bytes) -> float:
    """Return the power in a telegram, in kW."""
    found = _POWER.search(sent)
    assert found
    return float(found[1])


def _edited(sent: bytes, pattern: re.Pattern[str], replacement: str) -> bytes:
    body = sent.decode("ascii").rpartition("\r\n!")[0]
    return telegram(pattern.sub(replacement, body).split("\r\n"))


class _Client(asyncio.Protocol):
    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._feeder.clients.append(self._transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._feeder.clients.remove(self._transport)


class Feeder:
    """Passes telegrams on, each as a write of its own.

    Attributes:
        port: the TCP port on which it listens.
        clients: who is connected, in the order of their coming.
    """

    def __init__(self) -> None:
        """Start without a client."""
        self.port = 0
        self.clients: list[asyncio.Transport] = []

    async def send(self, telegrams: Sequence[bytes], per_second: float) -> list[float]:
        """Send telegrams to the clients in turn, at a steady pace.

        Returns:
            When each was sent, in monotonic seconds.
        """
        times = []
        due = time.monotonic()
        for number, sent in enumerate(telegrams):
            due += 1 / per_second
            await asyncio.sleep(due - time.monotonic())
            times.append(time.monotonic())
            self.clients[number % len(self.clients)].write(sent)
        # The last one is to be taken too.
        await asyncio.sleep(0.1)
        return times

    def send_at_rest(self, telegrams: Sequence[bytes], processor_time: Callable[[], float]) -> None:
        """Send telegrams to the only client, each as soon as its process rests from the one before.

        So each is received by itself, and the processor's clock and caches are as busy for a quick
        reader as for a slow one.

        Args:
            telegrams: what is sent.
            processor_time: the processor time of the client's process so far.
        """
        (client,) = self.clients
        for sent in telegrams:
            before = processor_time()
            client.write(sent)
            # It has begun when its clock has moved, and rests when that stands still.
            while (now := processor_time()) == before:
                time.sleep(_GLANCE)
            while now != before:
                time.sleep(_GLANCE)
                before, now = now, processor_time()

    async def connected(self, clients: int = 1) -> None:
        """Wait until there are so many clients."""
        async with asyncio.timeout(60):
            while len(self.clients) != clients:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def feeder() -> AsyncIterator[Feeder]:
    """Listen on a free port of this machine."""
    gateway = Feeder()
    gateway.port = free_port()
    loop = asyncio.get_running_loop()
    # An address for each meter: a line has one reader.
    hosts = [f"127.0.0.{number}" for number in range(1, 1 + MOST_METERS)]
    server = await loop.create_server(lambda: _Client(gateway), hosts, gateway.port)
    try:
        yield gateway
    finally:
        server.close()
        server.abort_clients()
