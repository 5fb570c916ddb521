"""What stands in the place of serialx: a line that does what the faults make it do."""

import asyncio
from collections.abc import Callable
from typing import Any, override

from tests.clock import now

CONNECT_ATTEMPTS = (0.0, 1.0, 2.0)
"""Seconds before each of the packets that ask a host for a connection (RFC 6298)."""

TELEGRAM = 0.5
"""Seconds that a telegram takes on the line."""


class _Transport(asyncio.Transport):
    """The reader's end of the line."""

    def __init__(self, line: Line, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.deaf = False
        self._line = line
        self._closed = asyncio.Event()

    @override
    def abort(self) -> None:
        self._line.left(self)
        asyncio.get_running_loop().call_later(self._line.closing, self._closed.set)

    async def wait_closed(self) -> None:
        await self._closed.wait()


class Line:
    """The line between a meter and its reader.

    Attributes:
        url: what the reader opens.
        refusal: makes the error with which opening fails, or None.
        answers: whether the host at the other end answers who wants to connect.
        closing: seconds that closing takes.
        transports: the ends that are open; more than one never may be.
        opened_twice: how often one was.
        closed_at: when it was closed last.
        opened: set each time that it is opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.refusal: Callable[[], Exception] | None = None
        self.answers = True
        self.closing = 0.0
        self.transports: list[_Transport] = []
        self.opened_twice = 0
        self.closed_at = 0.0
        self.opened = asyncio.Event()
        self._last = b""
        self._last_at = 0.0

    async def open(
        self, protocol_factory: Callable[[], asyncio.Protocol], connect_timeout: float
    ) -> tuple[_Transport, asyncio.Protocol]:
        """Be opened as serialx opens a port.

        Args:
            protocol_factory: makes who gets the bytes.
            connect_timeout: seconds to wait for a host that does not answer.
        """
        async with asyncio.timeout(connect_timeout):
            for pause in CONNECT_ATTEMPTS:
                await asyncio.sleep(pause)
                if self.answers:
                    break
            else:
                await asyncio.sleep(connect_timeout)
        if self.refusal is not None:
            raise self.refusal()
        if self.transports:
            self.opened_twice += 1
        self.opened.set()
        transport = _Transport(self, protocol_factory())
        self.transports.append(transport)
        if now() - self._last_at < TELEGRAM:
            asyncio.get_running_loop().call_soon(self.send, self._last[len(self._last) // 2 :])
        return transport, transport.protocol

    @property
    def is_heard(self) -> bool:
        """Whether what is sent now reaches a reader."""
        return any(not transport.deaf for transport in self.transports)

    def send(self, data: bytes) -> None:
        """Send bytes from the meter."""
        for transport in self.transports:
            if not transport.deaf:
                transport.protocol.data_received(data)

    def passes(self, telegram: bytes) -> None:
        """Keep the telegram of which a reader hears the end who opens the line in it."""
        self._last, self._last_at = telegram, now()

    def lose(self, error: Exception | None = None) -> None:
        """Lose the connection, and say so."""
        for transport in self.transports[:]:
            self.left(transport)
            transport.protocol.connection_lost(error)

    def deafen(self) -> None:
        """Lose the connection without a word: the peer is gone, or a route."""
        for transport in self.transports:
            transport.deaf = True

    def left(self, transport: _Transport) -> None:
        """Be left by the reader."""
        if transport in self.transports:
            self.transports.remove(transport)
            self.closed_at = now()


class Lines:
    """All lines, opened by their URLs; it takes the place of `create_serial_connection`."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def add(self, line: Line) -> None:
        """Let a line be opened."""
        self._lines[line.url] = line

    async def open(
        self,
        _: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], asyncio.Protocol],
        url: str,
        *,
        connect_timeout: float,
        **__: Any,
    ) -> tuple[_Transport, asyncio.Protocol]:
        """Open the line that has a URL."""
        return await self._lines[url].open(protocol_factory, connect_timeout)
