"""How is a port opened, at which address of its host, and does nothing else here have it?"""

import asyncio
from asyncio.staggered import staggered_race
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack, suppress
import errno
from functools import partial
from typing import override

from serialx import BaseSerialTransport, UnsupportedSetting, create_serial_connection

from . import esphome, rfc2217
from .addresses import addressed, keep_asking
from .causes import how_little
from .versions import SerialSettings

CONNECT_TIMEOUT = 3.5
"""Seconds for a host to answer at one of its addresses: the first three packets go out at 0, 1 and
3 s (RFC 6298)."""
HEAD_START = 1.0
"""Seconds after which the next address of a host is called too: a server that asks and answers
before it is open should not be called twice (RFC 8305, section 8, allows two)."""
CLOSE_TIMEOUT = 0.5
"""Seconds that are waited for a port to close; it goes on closing by itself, and neither its
entities nor who stops the reading should wait for it."""


class HeldError(Exception):
    """Something else here reads the port."""


class Protocol(asyncio.Protocol):
    """Hands bytes on and knows when the connection is lost.

    Attributes:
        lost: done with the error when the connection is lost, or with None where there is none.
    """

    def __init__(self, received: Callable[[bytes], None]) -> None:
        """Prepare for bytes, which go to `received`."""
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._received = received

    @override
    def data_received(self, data: bytes) -> None:
        if not self.lost.cancelled():
            self._received(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)


class Opener:
    """Opens one P1 port, as long as nothing else here has it.

    Attributes:
        held_by: awaited before each attempt to open, with `urls`; returns the name of whatever else
            here reads the port, which is then not opened, or "".
        holder: what `held_by` returned the last time.
        urls: the port, with its host by name and by the addresses at which it was called last.
        has_port: whether the port is open, or about to be: nothing else had it.
    """

    def __init__(self, url: str, received: Callable[[bytes], None]) -> None:
        """Prepare to open a port, whose bytes go to `received`."""
        self.held_by: Callable[[Collection[str]], Awaitable[str]] = _nobody
        self.holder = ""
        self.urls = {url}
        self.has_port = False
        self._url = url
        self._received = received
        self._answered = ""

    async def open(self, settings: SerialSettings, open_ports: AsyncExitStack) -> Protocol:
        """Open the port, at the address of its host that answers first.

        Args:
            settings: how its serial line is set.
            open_ports: closes it.

        Raises:
            HeldError: something else here has it.
            Exception: what serialx, or whatever it opens the port with, raises.
        """
        try:
            addresses = await addressed(self._url)
        except OSError:
            # What its name stood for may be another's now.
            self.urls = {self._url}
            raise
        self.urls = {self._url, *addresses}
        self.holder = await self.held_by(self.urls)
        if self.holder:
            raise HeldError(f"{self.holder} has the port")
        self.has_port = True
        open_ports.callback(self._leave_port)
        # The one that answered last comes first.
        addresses.sort(key=lambda url: url != self._answered)
        ways = [partial(self._open_at, url, settings, open_ports) for url in addresses]
        protocol: Protocol | None
        protocol, _, failures = await staggered_race(ways, HEAD_START)
        if protocol is None:
            raise min(filter(None, failures), key=how_little)
        return protocol

    def _leave_port(self) -> None:
        self.has_port = False

    async def _open_at(
        self, url: str, settings: SerialSettings, open_ports: AsyncExitStack
    ) -> Protocol:
        protocol = Protocol(self._received)
        transport, _ = await create_serial_connection(
            asyncio.get_running_loop(),
            lambda: protocol,
            url,
            baudrate=settings.baudrate,
            byte_size=settings.byte_size,
            parity=settings.parity,
            connect_timeout=CONNECT_TIMEOUT,
            transport_cls=rfc2217.transport_of(url) or esphome.transport_of(url),
        )
        open_ports.push_async_callback(_close, transport, protocol)
        # serialx has no other way to it.
        if tcp := getattr(transport, "_tcp_transport", None):
            keep_asking(tcp.get_extra_info("socket"))
        self._answered = url
        return protocol


async def _nobody(_: Collection[str]) -> str:
    return ""


async def _close(transport: BaseSerialTransport, protocol: Protocol) -> None:
    # A port that takes its time to close is not heard beside the next one.
    protocol.lost.cancel()
    transport.abort()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await transport.wait_closed()


def are_unusable(error: Exception) -> bool:
    """Return whether the serial line can't be set like that.

    Not every adapter has seven bits: then the system calls the argument invalid.
    """
    return isinstance(error, UnsupportedSetting) or getattr(error, "errno", None) == errno.EINVAL
