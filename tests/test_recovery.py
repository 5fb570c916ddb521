"""How soon is a meter read that can be reached again? Within three seconds, on real parts."""

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC

from homeassistant.core import HomeAssistant
import pytest

from custom_components.dsmr.models import (
    Connection,
    Counters,
    Disconnected,
    Event,
    Telegram,
)
from custom_components.dsmr.reader import Reader
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .esphome import ESPHome, SharedESPHome
from .parts import Gateway, SerialLine, during, free_port, ser2net, telegram_of, until

AM550 = telegram_of("iskra-am550")
PROMISE = 3
# After so many losses the pauses grow no more: they were 0.25, 0.5, 1 and 2 seconds, and the next
# one would be 4.
LOSSES = 5

type Reachable = Callable[[], AbstractAsyncContextManager[None]]
"""What a meter can be reached through, for as long as the context lasts; it sends all the time."""


def a_gateway(*_: object) -> tuple[str, Reachable]:
    """A TCP port that refuses until it listens again."""
    gateway = Gateway()
    gateway.port = free_port()
    return f"socket://127.0.0.1:{gateway.port}", _listening(gateway)


def an_esphome(*_: object) -> tuple[str, Reachable]:
    return _proxied(ESPHome())


def an_encrypted_esphome(*_: object) -> tuple[str, Reachable]:
    return _proxied(ESPHome(key=base64.b64encode(bytes(range(32))).decode()))


def an_esphome_of_home_assistant(_: SerialLine, hass: HomeAssistant) -> tuple[str, Reachable]:
    """It is reachable when Home Assistant's own ESPHome has reached it."""
    return _proxied(SharedESPHome(hass))


def _proxied(proxy: ESPHome) -> tuple[str, Reachable]:
    proxy.port = free_port()
    return proxy.url, _listening(proxy)


def _listening(gateway: Gateway) -> Reachable:
    @asynccontextmanager
    async def reachable() -> AsyncIterator[None]:
        async with gateway, gateway.sending(AM550):
            yield

    return reachable


def ser2net_over_tcp(line: SerialLine, _: HomeAssistant) -> tuple[str, Reachable]:
    port = free_port()
    return f"socket://127.0.0.1:{port}", _served(line, port, "tcp")


def ser2net_over_rfc2217(line: SerialLine, _: HomeAssistant) -> tuple[str, Reachable]:
    port = free_port()
    return f"rfc2217://127.0.0.1:{port}", _served(line, port, "telnet(rfc2217),tcp")


def _served(line: SerialLine, port: int, protocol: str) -> Reachable:
    @asynccontextmanager
    async def reachable() -> AsyncIterator[None]:
        async with (
            line.sending(AM550),
            ser2net(line.device, "115200n81", port, protocol=protocol),
        ):
            yield

    return reachable


def an_adapter_by_its_id(line: SerialLine, _: HomeAssistant) -> tuple[str, Reachable]:
    """A device that comes back under another name."""
    folder = line.device.parent
    by_id = folder / "usb-meter"
    line.unplug()

    @asynccontextmanager
    async def reachable() -> AsyncIterator[None]:
        line.device = folder / f"{line.device.name}0"
        line.plug_in()
        by_id.symlink_to(line.device)
        async with line.sending(AM550):
            yield
        by_id.unlink()
        line.unplug()

    return str(by_id), reachable


@pytest.mark.logs("No telegrams from ")
@pytest.mark.logs("Telegrams come from .* again")
@pytest.mark.parametrize(
    "part",
    [
        a_gateway,
        an_esphome,
        an_encrypted_esphome,
        an_esphome_of_home_assistant,
        ser2net_over_tcp,
        ser2net_over_rfc2217,
        an_adapter_by_its_id,
    ],
)
async def test_a_meter_is_read_within_three_seconds_of_being_reachable_again(
    serial_line: SerialLine,
    hass: HomeAssistant,
    socket_enabled: None,
    part: Callable[[SerialLine, HomeAssistant], tuple[str, Reachable]],
) -> None:
    url, reachable = part(serial_line, hass)
    queue: deque[Event] = deque()
    decoder = Decoder(VERSIONS["5"], UTC, Counters())
    reader = Reader(Connection(url, 30), decoder, queue, lambda: None)

    async def next_one(kind: type[Event]) -> None:
        await until(lambda: any(isinstance(queue.popleft(), kind) for _ in range(len(queue))))

    loop = asyncio.get_running_loop()
    async with during(reader.run()):
        async with reachable():
            await next_one(Telegram)
        for _ in range(LOSSES):
            await next_one(Disconnected)
        async with reachable():
            since = loop.time()
            await next_one(Telegram)
            seconds = loop.time() - since
    assert seconds <= PROMISE
