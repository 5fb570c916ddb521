"""A line in the place of serialx: it does what a test says, on virtual time."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC
from typing import Any, Self, override

from custom_components.dsmr.models import (
    Cause,
    Connection,
    Counters,
    Disconnected,
    Event,
    Keys,
    Telegram,
)
from custom_components.dsmr.reader import QUEUE_SIZE, Reader
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import OTHERS, VERSIONS, SerialSettings

from .clock import now, settled

URL = "socket://192.0.2.1:2001"
DEVICE = "/dev/ttyUSB0"


async def nobody(_: Collection[str]) -> str:
    """Say that nothing else reads the line."""
    return ""


class _Transport(asyncio.Transport):
    """The reader's end of the line."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self._closed = asyncio.Event()

    @override
    def abort(self) -> None:
        self._closed.set()

    async def wait_closed(self) -> None:
        await self._closed.wait()


class Line:
    """What a reader opens.

    Attributes:
        fault: what opening raises, or None where it succeeds.
        opened: when it was opened, in seconds since the test began, and with which settings.
    """

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self.opened: list[tuple[float, SerialSettings]] = []
        self._transport: _Transport | None = None

    async def open(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], asyncio.Protocol],
        url: str,
        *,
        baudrate: int,
        byte_size: int,
        parity: Any,
        **_: Any,
    ) -> tuple[_Transport, asyncio.Protocol]:
        """Take the place of `create_serial_connection`."""
        self.opened.append((now(), SerialSettings(baudrate, byte_size, parity)))
        if self.fault:
            raise self.fault
        self._transport = _Transport(protocol_factory())
        return self._transport, self._transport.protocol

    @property
    def settings(self) -> SerialSettings:
        """How the line is set now."""
        return self.opened[-1][1]

    def send(self, data: bytes) -> None:
        """Send bytes from the meter."""
        assert self._transport
        self._transport.protocol.data_received(data)

    def lose(self, error: Exception | None = None) -> None:
        """Lose the connection."""
        assert self._transport
        self._transport.protocol.connection_lost(error)


class Reading:
    """A reader at work.

    Attributes:
        reader: the reader.
        counters: what it has counted.
    """

    def __init__(
        self,
        version: str | None = "5",
        *,
        url: str = URL,
        keys: Keys | None = None,
        detects: bool = False,
        rfxtrx: bool = False,
        not_ready: tuple[type[Exception], ...] = (),
    ) -> None:
        """Prepare a reader; None is a version that is to be found out."""
        row = VERSIONS[version] if version else OTHERS
        self.counters = Counters()
        self._queue: deque[Event] = deque(maxlen=QUEUE_SIZE)
        self.reader = Reader(
            Connection(url, 30, keys, detects or version is None, rfxtrx),
            Decoder(row, UTC, self.counters),
            self._queue,
            lambda: None,
            not_ready=not_ready,
        )
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.reader.run())
        await settled()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def telegrams(self) -> list[Telegram]:
        """Return the telegrams since the last call."""
        return [event for event in self.events() if isinstance(event, Telegram)]

    def cause(self) -> Cause | None:
        """Return why no telegrams come."""
        return self.reader.cause

    def losses(self) -> int:
        """Return how often the connection was lost since the last call."""
        return self.events().count(Disconnected())
