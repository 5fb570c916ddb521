"""How do telegrams get here? The reader loop: open, watch, close, wait, open again."""

import asyncio
from typing import override

from serialx import SerialException, create_serial_connection

from .const import LOGGER
from .framing import Framer
from .models import Connected, Connection, Counters, Disconnected, Event, TelegramReceived
from .telegram import ChecksumError, Decoder
from .versions import Version

QUEUE_SIZE = 64
"""Events that wait while Home Assistant is busy: a minute of DSMR 5."""
FIRST_RETRY = 0.25
"""Seconds before the first attempt to open a lost port again; each next one waits twice as long."""
LONGEST_RETRY = 2.0
"""Seconds between two attempts: a meter that is back is read within three."""
CONNECT_TIMEOUT = 3.5
"""Seconds for a host to answer: its first three packets go out at 0, 1 and 3 s (RFC 6298)."""
OPEN_TIMEOUT = 15.0
"""Seconds for everything else that opening may do, such as the handshake of a serial proxy."""
SILENCE = 3.5
"""Telegram intervals without a telegram after which the meter counts as silent …"""
SHORTEST_SILENCE = 12.0
"""… but never before as many seconds: some meters of a version that talks every second send every
ten."""


class SilentError(Exception):
    """The port is open, and no telegram comes."""


class _Protocol(asyncio.Protocol):
    """Hands bytes to the reader and knows when the connection is lost."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    @override
    def data_received(self, data: bytes) -> None:
        self._reader.received(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)


class Reader:
    """Keeps a P1 port open and puts what happens there on a queue.

    Attributes:
        connection: where the port is.
        version: the kind of meter there.
        counters: telegrams, checksum failures, connections and the last cause of a loss.
    """

    def __init__(
        self,
        connection: Connection,
        version: Version,
        decoder: Decoder,
        queue: asyncio.Queue[Event],
    ) -> None:
        """Prepare to read; `run` does it."""
        self.connection = connection
        self.counters: Counters = decoder.counters
        self.version = version
        self._decoder = decoder
        self._queue = queue
        self._framer = Framer()
        self._last_telegram = 0.0
        self._available = True
        self._longest_retry = min(LONGEST_RETRY, connection.longest_retry)

    async def run(self) -> None:
        """Read until cancelled. No error ends it; on cancellation the port is closed."""
        pause = FIRST_RETRY
        while True:
            telegrams = self.counters.telegrams
            try:
                await self._read()
            except (OSError, SerialException, SilentError) as error:
                self._lost(str(error) or type(error).__name__)
            except Exception as error:
                LOGGER.exception("Unexpected error while reading %s", self.connection.name)
                self._lost(f"{type(error).__name__}: {error}")
            self._put(Disconnected())
            if self.counters.telegrams > telegrams:
                pause = FIRST_RETRY
            await asyncio.sleep(min(pause, self._longest_retry))
            pause = min(2 * pause, self._longest_retry)

    async def _read(self) -> None:
        """Open the port and stay on it until it is lost or silent."""
        loop = asyncio.get_running_loop()
        self._framer.clear()
        serial = self.version.serial
        protocol = _Protocol(self)
        async with asyncio.timeout(OPEN_TIMEOUT):
            transport, _ = await create_serial_connection(
                loop,
                lambda: protocol,
                self.connection.url,
                baudrate=serial.baudrate,
                byte_size=serial.byte_size,
                parity=serial.parity,
                connect_timeout=CONNECT_TIMEOUT,
            )
        try:
            self.counters.connections += 1
            self._put(Connected())
            self._last_telegram = loop.time()
            error = await self._watch(protocol.lost)
        finally:
            transport.abort()
            await transport.wait_closed()
        raise error or ConnectionResetError("the other side closed the connection")

    async def _watch(self, lost: asyncio.Future[Exception | None]) -> Exception | None:
        """Wait for the loss of the connection, and for no longer than the meter may be silent."""
        loop = asyncio.get_running_loop()
        patience = max(SHORTEST_SILENCE, SILENCE * self.version.interval)
        while True:
            deadline = self._last_telegram + patience
            if deadline <= loop.time():
                raise SilentError(f"no telegram for {patience:.0f} s")
            done, _ = await asyncio.wait({lost}, timeout=deadline - loop.time())
            if done:
                return lost.result()

    def received(self, data: bytes) -> None:
        """Take bytes from the port."""
        now = asyncio.get_running_loop().time()
        for frame in self._framer.feed(data):
            try:
                telegram = self._decoder.decode(frame, now)
            except ChecksumError as error:
                self.counters.checksum_failures += 1
                LOGGER.debug("A telegram from %s is dropped: %s", self.connection.name, error)
                continue
            except Exception:
                LOGGER.exception("Unexpected error in a telegram from %s", self.connection.name)
                continue
            self.counters.telegrams += 1
            self._last_telegram = now
            if not self._available:
                self._available = True
                LOGGER.warning("Telegrams come from %s again", self.connection.name)
            self._put(TelegramReceived(telegram))

    def _lost(self, cause: str) -> None:
        self.counters.last_cause = cause
        if self._available:
            self._available = False
            LOGGER.warning("No telegrams from %s: %s", self.connection.name, cause)

    def _put(self, event: Event) -> None:
        """Queue an event; where there is no room the oldest goes."""
        if self._queue.full():
            self._queue.get_nowait()
            self.counters.dropped += 1
        self._queue.put_nowait(event)
