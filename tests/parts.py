"""The real parts that tests put together: a gateway, a serial line, ser2net, and patience."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
import fcntl
import os
from pathlib import Path
import pty
import re
import shutil
import socket
import termios
import tty
from typing import Any, Self

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.setup import async_setup_component
import pytest

from .meter.wire import telegram

PATIENCE = 20
"""Seconds after which a test that waits for something fails."""

TELEGRAMS = Path(__file__).parent / "telegrams"


def telegram_of(model: str) -> bytes:
    """Return the telegram of a meter model."""
    return (TELEGRAMS / f"{model}.txt").read_bytes()


def edited(original: bytes, **replacements: str) -> bytes:
    """Return a telegram with other lines, and the checksum that belongs to them.

    Args:
        original: a telegram.
        replacements: what stands behind an OBIS reference instead, with its parentheses, by the
            reference with _ for its punctuation (`o1_0_1_7_0`); "" takes the line out.
    """
    body, _, checksum = original.decode("latin-1").rpartition("!")
    lines = []
    for line in body.removesuffix("\r\n").split("\r\n"):
        reference = line.partition("(")[0]
        name = "o" + reference.replace("-", "_").replace(":", "_").replace(".", "_")
        if name not in replacements:
            lines.append(line)
        elif replacements[name]:
            lines.append(reference + replacements[name])
    return telegram([line.encode("latin-1") for line in lines], checksum=checksum != "\r\n")


def remembered(version: str, lines: list[str], slots: list[Any]) -> dict[str, Any]:
    """Return what is stored of a meter's lines and of the meters behind it."""
    return {
        "version": 1,
        "minor_version": 1,
        "key": "dsmr.yaml",
        "data": {
            "version": version,
            "port": "socket://127.0.0.1:1",
            "serial": [115200, 8, "N"],
            "patience": 12.0,
            "lines": lines,
            "slots": slots,
        },
    }


@asynccontextmanager
async def during(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something beside the test that never ends by itself, until the context ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Gateway:
    """A TCP server that passes on what the meter sends."""

    def __init__(self) -> None:
        self._clients: list[asyncio.StreamWriter] = []
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self, listening: socket.socket | None = None) -> None:
        """Listen; on the same port as before where there was one, or on a socket."""
        listening = listening or socket.create_server(("127.0.0.1", self.port))
        self._server = await asyncio.start_server(self._serve, sock=listening)
        self.port = listening.getsockname()[1]

    async def close(self) -> None:
        """Refuse new clients and drop those that are there."""
        if self._server:
            self._server.close()
            self._server.abort_clients()
            await self._server.wait_closed()
        self._server = None
        self._arrived.clear()

    async def connected(self) -> None:
        """Wait until a client is there."""
        async with asyncio.timeout(PATIENCE):
            await self._arrived.wait()

    async def disconnected(self) -> None:
        """Wait until no client is there."""
        async with asyncio.timeout(PATIENCE):
            await self._left.wait()

    def send(self, data: bytes) -> None:
        """Pass bytes on to all clients."""
        for client in self._clients:
            client.write(data)

    @asynccontextmanager
    async def sending(self, data: bytes) -> AsyncIterator[None]:
        """Pass bytes on again and again, whoever comes and goes."""

        async def send() -> None:
            while True:
                await self._arrived.wait()
                self.send(data)
                await asyncio.sleep(0.05)

        async with during(send()):
            yield

    def drop(self) -> None:
        """Close the connections, as a gateway does that restarts."""
        assert self._server
        self._server.abort_clients()
        self._arrived.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except OSError:
            pass
        finally:
            self._leave(writer)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what a client asks for, until it leaves."""
        self._arrive(writer)
        while await reader.read(1024):
            pass

    def _arrive(self, client: asyncio.StreamWriter) -> None:
        self._clients.append(client)
        self._arrived.set()
        self._left.clear()

    def _leave(self, client: asyncio.StreamWriter) -> None:
        if client in self._clients:
            self._clients.remove(client)
        if not self._clients:
            self._arrived.clear()
            self._left.set()


class SerialLine:
    """A pseudo-terminal: the meter writes on one side, the other is a serial device."""

    def __init__(self, device: Path) -> None:
        self.device = device
        self._meter, self._slave = -1, -1
        self.plug_in()

    def plug_in(self) -> None:
        """Make the device."""
        self._meter, self._slave = pty.openpty()
        os.set_blocking(self._meter, False)
        tty.setraw(self._slave)
        # Not what any version sets: `opened` waits for another speed.
        attributes = termios.tcgetattr(self._slave)
        attributes[4] = attributes[5] = termios.B300
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        self.device.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Pull the cable out: the device is gone."""
        if self._meter >= 0:
            self.device.unlink()
            os.close(self._slave)
            os.close(self._meter)
            self._meter = -1

    async def opened(self) -> None:
        """Wait until somebody has opened the device and set its speed."""
        await until(lambda: self.settings()[4] != termios.B300)

    def send(self, data: bytes) -> None:
        """Send bytes from the meter; where nobody reads, they are lost."""
        with suppress(BlockingIOError):
            os.write(self._meter, data)

    @asynccontextmanager
    async def sending(self, telegram: bytes, *, piece: int = 1024) -> AsyncIterator[None]:
        """Send a telegram again and again, as a meter does, in pieces of so many bytes."""

        async def send() -> None:
            while True:
                for start in range(0, len(telegram), piece):
                    self.send(telegram[start : start + piece])
                    await asyncio.sleep(0)
                await asyncio.sleep(0.1)

        async with during(send()):
            yield

    def settings(self) -> list[Any]:
        """Return how the device is set, as termios says it."""
        return termios.tcgetattr(self._slave)

    def is_locked(self) -> bool:
        """Return whether somebody has the device for himself."""
        try:
            with self.device.open("rb", buffering=0) as device:
                fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


async def set_up(hass: HomeAssistant, *platforms: dict[str, Any]) -> None:
    """Set up `- platform: dsmr` of configuration.yaml, once for each configuration."""
    assert await async_setup_component(
        hass, "sensor", {"sensor": [{"platform": "dsmr", **platform} for platform in platforms]}
    )
    await hass.async_block_till_done()


async def state_of(hass: HomeAssistant, entity_id: str, *expected: str) -> str:
    """Wait until an entity has one of the states expected, and return it."""
    found: asyncio.Future[str] = hass.loop.create_future()

    @callback
    def look(_: Event[EventStateChangedData] | None = None) -> None:
        state = hass.states.get(entity_id)
        if state is not None and state.state in expected and not found.done():
            found.set_result(state.state)

    unsubscribe = async_track_state_change_event(hass, entity_id, look)
    try:
        look()
        async with asyncio.timeout(PATIENCE):
            return await found
    except TimeoutError:
        pytest.fail(f"{entity_id} is not {expected} but {hass.states.get(entity_id)}")
    finally:
        unsubscribe()


def value_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity."""
    state = hass.states.get(entity_id)
    assert state, f"there is no {entity_id}"
    return state.state


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop work until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def ser2net(
    device: Path, settings: str, port: int | None = None, *, protocol: str = "tcp"
) -> AsyncIterator[int]:
    """Run the real ser2net on a serial device; give the TCP port.

    Args:
        device: the serial device.
        settings: speed and framing as ser2net writes them, such as `115200n81`.
        port: the TCP port to listen on, or None for a free one.
        protocol: what it speaks there, as ser2net writes it: `tcp` or `telnet(rfc2217),tcp`.
    """
    program = installed("ser2net")
    port = port or free_port()
    configuration = device.with_name(f"{device.name}.yaml")
    configuration.write_text(
        f"connection: &meter\n"
        f"  accepter: {protocol},127.0.0.1,{port}\n"
        f"  connector: serialdev,{device},{settings},local\n"
    )
    process = await asyncio.create_subprocess_exec(program, "-n", "-u", "-c", str(configuration))
    try:
        await until(lambda: is_listening(port))
        yield port
    finally:
        process.terminate()
        await process.wait()


def complaints(log: str) -> list[str]:
    """Return the warnings and errors about the integration in the log of a Home Assistant."""
    return [
        line
        for line in log.splitlines()
        if "dsmr" in line
        and re.search(r" (WARNING|ERROR|CRITICAL) |custom_components/dsmr/", line)
        and "We found a custom integration dsmr" not in line
    ]


def installed(program: str) -> str:
    """Return the path of the program of a Debian package of that name.

    A test is skipped where it is missing, and fails where `CI` is set.
    """
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        reason = f"{program} is not installed: apt install {program}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Return whether a process listens on a TCP port; connecting would make it open its device."""
    listening = f":{port:04X} 00000000:0000 0A "
    return listening in Path("/proc/net/tcp").read_text()
