"""Serve a simulated meter at its own pace: `python -m tests.meter --tcp 2001`."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
import fcntl
import os
from pathlib import Path
import signal
import sys
import termios
import tty
from typing import cast, override

from . import MODELS, SimulatedMeter

type _Write = Callable[[bytes], None]

_UNREAD_MAX = 65536  # bytes a client may leave unread before it misses telegrams


class _Client(asyncio.Protocol):
    """A reader of the meter; whatever it sends is ignored."""

    def __init__(self, clients: set[asyncio.WriteTransport]) -> None:
        self._clients = clients

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._clients.add(self._transport)

    @override
    def eof_received(self) -> bool:
        return True  # It may still read.

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self._transport)


@asynccontextmanager
async def _tcp(host: str, port: int) -> AsyncIterator[_Write]:
    """Listen; what is written goes to every client."""
    clients = set[asyncio.WriteTransport]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Client(clients), host, port)
    host, port = server.sockets[0].getsockname()[:2]
    _say(f"Listening on {host}:{port}")

    def write(data: bytes) -> None:
        for client in clients:
            if client.get_write_buffer_size() < _UNREAD_MAX:
                client.write(data)

    try:
        yield write
    finally:
        server.close()
        server.abort_clients()


@contextmanager
def _pty(link: Path) -> Iterator[_Write]:
    """Open a pseudo-terminal and link its slave; what is written can be read there."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(os.ttyname(slave))
    _say(f"Pseudo-terminal at {link}")

    def write(data: bytes) -> None:
        unread = fcntl.ioctl(slave, termios.FIONREAD, bytes(4))
        if any(unread):
            # Nobody reads. Whoever comes gets the newest telegram, as from a real port.
            termios.tcflush(slave, termios.TCIFLUSH)
        with suppress(BlockingIOError):
            os.write(master, data)

    try:
        yield write
    finally:
        link.unlink(missing_ok=True)
        os.close(master)
        os.close(slave)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _run(meter: SimulatedMeter, speed: float, write: _Write) -> None:
    """Write telegrams until cancelled."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        # From the time that was due, not from now, so that delays do not add up.
        due += meter.interval / speed
        await asyncio.sleep(due - loop.time())
        write(meter.next_telegram())


async def _serve(meter: SimulatedMeter, arguments: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    running = cast("asyncio.Task[None]", asyncio.current_task())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        if arguments.pty:
            with _pty(arguments.pty) as write:
                await _run(meter, arguments.speed, write)
        else:
            async with _tcp(*arguments.tcp) as write:
                await _run(meter, arguments.speed, write)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def _speed(text: str) -> float:
    speed = float(text)
    if not speed > 0:
        raise ValueError
    return speed


def main() -> None:
    """Serve what the command line asks for."""
    by_version = {model.version: name for name, model in reversed(MODELS.items())}
    parser = argparse.ArgumentParser(prog="python -m tests.meter", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", choices=MODELS, default="iskra-am550")
    which.add_argument("--dsmr-version", choices=by_version)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=datetime.fromisoformat, default=datetime.now(UTC))
    parser.add_argument("--speed", type=_speed, default=1.0)
    parser.add_argument("--key", metavar="HEX", type=bytes.fromhex)
    parser.add_argument("--authentication-key", metavar="HEX", type=bytes.fromhex, default=b"")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--tcp", metavar="[HOST:]PORT", type=_address)
    where.add_argument("--pty", metavar="LINK", type=Path)
    arguments = parser.parse_args()
    model = by_version.get(arguments.dsmr_version, arguments.model)
    meter = SimulatedMeter(
        model,
        seed=arguments.seed,
        start=arguments.start,
        key=arguments.key,
        authentication_key=arguments.authentication_key,
    )
    asyncio.run(_serve(meter, arguments))


if __name__ == "__main__":
    main()
