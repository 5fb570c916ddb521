"""A peer that is gone without a word: behind a dropped route, in a network namespace."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
import os
from pathlib import Path
import shutil
import socket
import subprocess
import sys

from homeassistant.core import HomeAssistant
import pytest
import pytest_socket

from custom_components.dsmr.port import YAML_PORTS

from .esphome import ESPHome
from .parts import PATIENCE, set_up, state_of, telegram_of, until

POWER = "sensor.power_consumption"
OURS, THEIRS, PORT = "198.51.100.1", "198.51.100.2", 2001
LOST = f"No telegrams from socket://{THEIRS}:{PORT}: no telegram for"
BACK = f"Telegrams come from socket://{THEIRS}:{PORT} again"


def ip(*arguments: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Elsewhere:
    """Another computer: a network namespace with a meter, and the cable to it."""

    def __init__(self) -> None:
        self._name = self._near = self._far = ""
        self._names = (f"m{os.getpid()}x{number}" for number in count())
        self._gateway: Process | None = None

    def build(self) -> None:
        """Make the namespace; raises where the machine does not allow it."""
        self._name = next(self._names)
        self._near, self._far = f"{self._name}n", f"{self._name}f"
        ip("netns", "add", self._name)
        ip("link", "add", self._near, "type", "veth", "peer", self._far, "netns", self._name)
        ip("address", "add", f"{OURS}/30", "dev", self._near)
        ip("link", "set", self._near, "up")
        ip("-n", self._name, "address", "add", f"{THEIRS}/30", "dev", self._far)
        ip("-n", self._name, "link", "set", self._far, "up")

    def demolish(self) -> None:
        """Take it away again, the cable with it."""
        for arguments in (("link", "del", self._near), ("netns", "del", self._name)):
            with suppress(subprocess.CalledProcessError):
                ip(*arguments)

    async def switch_on(self) -> None:
        """Start the gateway at the meter."""
        meter = (sys.executable, "-m", "tests.meter", "--model", "iskra-am550")
        self._gateway = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", self._name, *meter, "--tcp", f"{THEIRS}:{PORT}"),
            stderr=PIPE,
            stdout=PIPE,
        )
        output = self._gateway.stdout, self._gateway.stderr
        lines = [asyncio.ensure_future(stream.readline()) for stream in output if stream]
        await asyncio.wait(lines, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for line in lines:
            line.cancel()

    def listen(self, port: int) -> socket.socket:
        """Return a socket that listens there, though it is served here."""

        def listen() -> socket.socket:
            # For this thread alone, which ends with it.
            with Path(f"/run/netns/{self._name}").open("rb") as namespace:
                os.setns(namespace.fileno(), os.CLONE_NEWNET)
            return socket.create_server((THEIRS, port))

        with ThreadPoolExecutor(1) as threads:
            return threads.submit(listen).result()

    async def lose_power(self) -> None:
        """Be gone with all connections, of which nobody is told, and be there anew."""
        self.cut()
        await self.switch_off()
        self.demolish()
        self.build()
        await self.switch_on()

    async def switch_off(self) -> None:
        """Kill the gateway."""
        if self._gateway and self._gateway.returncode is None:
            self._gateway.kill()
            await self._gateway.communicate()

    def cut(self) -> None:
        """Let no packet through: nobody learns that the other is gone."""
        ip("-n", self._name, "link", "set", self._far, "down")

    def mend(self) -> None:
        """Let packets through again."""
        ip("-n", self._name, "link", "set", self._far, "up")


@pytest.fixture
async def elsewhere(
    socket_enabled: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Elsewhere]:
    """A meter at a gateway on another computer."""
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed: apt install iproute2")
    pytest_socket.socket_allow_hosts(["127.0.0.1", THEIRS])
    # The meter sends each second; the machine may be busy.
    monkeypatch.setattr("custom_components.dsmr.pauses.SHORTEST_SILENCE", 2.5)
    monkeypatch.setattr("custom_components.dsmr.pauses.SILENCE", 2.5)
    place = Elsewhere()
    try:
        try:
            place.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
        await place.switch_on()
        yield place
    finally:
        await place.switch_off()
        place.demolish()


async def read(hass: HomeAssistant) -> None:
    """Read the meter until a value of it is shown."""
    await set_up(hass, {"host": THEIRS, "port": PORT, "dsmr_version": 5})
    await back(hass)


async def read_by_esphome(hass: HomeAssistant, elsewhere: Elsewhere) -> ESPHome:
    """Have an ESPHome at the meter, and open it."""
    proxy = ESPHome()
    await proxy.open(elsewhere.listen(6053))
    await set_up(hass, {"port": f"esphome://{THEIRS}/?port_name=p1", "dsmr_version": 5})
    return proxy


async def back(hass: HomeAssistant) -> None:
    """Wait until a value is shown."""
    await state_of(hass, "sensor.power_tariff", "low", "normal")


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_a_route_that_is_dropped_is_noticed_and_its_return_too(
    hass: HomeAssistant, elsewhere: Elsewhere
) -> None:
    await read(hass)
    elsewhere.cut()
    await state_of(hass, POWER, "unavailable")
    elsewhere.mend()
    await back(hass)
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs("No telegrams from .*the connection was lost")
@pytest.mark.logs(BACK)
async def test_a_gateway_that_was_without_power_is_read_long_before_it_would_be_called_silent(
    hass: HomeAssistant, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.dsmr.pauses.SHORTEST_SILENCE", 3600.0)
    await read(hass)
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await elsewhere.lose_power()
    telegrams, begun = reader.counters.telegrams, hass.loop.time()
    await until(lambda: reader.counters.telegrams > telegrams)
    assert hass.loop.time() - begun < 10
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs("No telegrams from esphome://.*: no telegram for")
@pytest.mark.logs("Telegrams come from esphome://.* again")
async def test_an_esphome_behind_a_dropped_route_is_left_and_read_when_that_returns(
    hass: HomeAssistant, elsewhere: Elsewhere
) -> None:
    proxy = await read_by_esphome(hass, elsewhere)
    async with proxy.sending(telegram_of("iskra-am550")):
        await back(hass)
        elsewhere.cut()
        await state_of(hass, POWER, "unavailable")
        elsewhere.mend()
        await back(hass)
    await hass.data[YAML_PORTS]["yaml"].stop()
    await proxy.close()


@pytest.mark.logs("No telegrams from esphome://.*the connection was lost")
@pytest.mark.logs("Telegrams come from esphome://.* again")
async def test_an_esphome_that_was_without_power_is_read_long_before_it_would_be_called_silent(
    hass: HomeAssistant, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.dsmr.pauses.SHORTEST_SILENCE", 3600.0)
    proxy = await read_by_esphome(hass, elsewhere)
    async with proxy.sending(telegram_of("iskra-am550")):
        await back(hass)
    elsewhere.cut()
    await proxy.close()
    await elsewhere.lose_power()
    await proxy.open(elsewhere.listen(6053))
    begun = hass.loop.time()
    await proxy.connected()
    assert hass.loop.time() - begun < 10
    async with proxy.sending(telegram_of("iskra-am550")):
        await back(hass)
    await hass.data[YAML_PORTS]["yaml"].stop()
    await proxy.close()


@pytest.mark.logs(f"No telegrams from socket://{THEIRS}:{PORT}: ")
@pytest.mark.logs(BACK)
async def test_a_peer_that_is_gone_without_farewell_and_back_is_called_anew(
    hass: HomeAssistant, elsewhere: Elsewhere
) -> None:
    await read(hass)
    await elsewhere.lose_power()
    await state_of(hass, POWER, "unavailable")
    await back(hass)
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs(f"No telegrams from socket://{THEIRS}:{PORT}: .*the host can't be reached")
@pytest.mark.logs(BACK)
async def test_a_host_that_is_down_at_start_is_read_when_it_comes(
    hass: HomeAssistant, elsewhere: Elsewhere
) -> None:
    elsewhere.cut()
    await set_up(hass, {"host": THEIRS, "port": PORT, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: bool(reader.counters.last_cause))
    elsewhere.mend()
    await back(hass)
    await hass.data[YAML_PORTS]["yaml"].stop()
