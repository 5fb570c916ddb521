"""Through an ESPHome: the real serialx and aioesphomeapi, and a serial proxy over TCP."""

import asyncio
from collections.abc import AsyncIterator
import socket

from aioesphomeapi.client import APIClient
from aioesphomeapi.core import APIConnectionError
from homeassistant.core import HomeAssistant
import pytest
from serialx import create_serial_connection

from custom_components.dsmr.const import YAML_PORTS
from custom_components.dsmr.models import Cause
from custom_components.dsmr.reader import OPEN_TIMEOUT

from .esphome import API, ESPHome
from .parts import edited, free_port, set_up, state_of, telegram_of, until

AM550 = edited(telegram_of("iskra-am550"), o1_0_1_8_1="(002104.718*kWh)", o0_0_96_14_0="(0001)")
TARIFF = "sensor.power_tariff"
LOST = r"No telegrams from esphome://127\.0\.0\.1:\d+/: "
BACK = r"Telegrams come from esphome://127\.0\.0\.1:\d+/ again"


@pytest.fixture
async def proxy(socket_enabled: None) -> AsyncIterator[ESPHome]:
    """An ESPHome at a meter."""
    async with ESPHome() as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("model", "version", "settings"),
    [("iskra-am550", 5, (115200, 8, 0)), ("iskra-me382", 2.2, (9600, 7, 1))],
)
async def test_a_meter_is_read_and_its_line_set(
    hass: HomeAssistant,
    proxy: ESPHome,
    model: str,
    version: float,
    settings: tuple[int, int, int],
) -> None:
    await set_up(hass, {"port": proxy.url, "dsmr_version": version})
    async with proxy.sending(edited(telegram_of(model), o1_0_1_7_0="(00.777*kW)")):
        await state_of(hass, "sensor.power_consumption", "0.777")
    await until(lambda: proxy.settings == settings)
    await hass.data[YAML_PORTS]["yaml"].stop()
    await proxy.disconnected()


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_an_esphome_that_was_killed_mid_telegram_is_read_again(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    async with proxy.sending(AM550):
        await state_of(hass, TARIFF, "low")
    proxy.send(AM550[:500])
    await proxy.close()
    await state_of(hass, TARIFF, "unavailable")
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: "Connect call failed" in reader.counters.last_cause)
    await proxy.open()
    async with proxy.sending(AM550):
        await state_of(hass, TARIFF, "low")
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs(LOST + r".*'p1 of the neighbour' does not exist.*\(there is no such port\)")
async def test_a_proxy_that_the_esphome_does_not_have_is_told(
    hass: HomeAssistant, proxy: ESPHome, caplog: pytest.LogCaptureFixture
) -> None:
    await set_up(hass, {"port": f"{proxy.url} of the neighbour", "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.NO_SUCH_PORT and proxy.connections > 1)
    assert "Traceback" not in caplog.text
    await hass.data[YAML_PORTS]["yaml"].stop()
    await until(lambda: proxy.guests == 0)


@pytest.mark.logs(LOST + r".*\(another program has the port\)")
@pytest.mark.logs(BACK)
async def test_a_proxy_that_another_client_has_is_read_when_that_leaves(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    other, _ = await create_serial_connection(
        hass.loop, asyncio.Protocol, proxy.url, baudrate=115200
    )
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.BUSY)
    other.abort()
    async with proxy.sending(AM550):
        await state_of(hass, TARIFF, "low")
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.parametrize("is_read", [False, True], ids=["while it is opened", "while it is read"])
async def test_an_esphome_that_hangs_is_left_at_once(
    hass: HomeAssistant, proxy: ESPHome, is_read: bool
) -> None:
    if not is_read:
        proxy.ignores = (API.SerialProxyRequest, API.DisconnectRequest)
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    if is_read:
        async with proxy.sending(AM550):
            await state_of(hass, TARIFF, "low")
        proxy.ignores = (object,)
    await until(lambda: API.SerialProxyRequest in proxy.asked)
    async with asyncio.timeout(2):
        await hass.data[YAML_PORTS]["yaml"].stop()
        await until(lambda: proxy.guests == 0)


@pytest.mark.logs(LOST + r".*\(the host can't be reached\)")
@pytest.mark.logs(BACK)
async def test_a_host_that_says_nothing_is_asked_again_soon(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    await proxy.close()
    # Who comes when nobody more can wait gets no answer, as behind a dropped route.
    with (
        socket.create_server(("127.0.0.1", proxy.port), backlog=0) as server,
        socket.create_connection(server.getsockname()[:2]),
    ):
        begun = hass.loop.time()
        await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
        reader = hass.data[YAML_PORTS]["yaml"].reader
        await until(lambda: reader.cause is Cause.UNREACHABLE)
        assert hass.loop.time() - begun < OPEN_TIMEOUT / 2
    await proxy.open()
    async with proxy.sending(AM550):
        await state_of(hass, TARIFF, "low")
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs("Connection error occurred: .*Connect call failed")
async def test_what_the_library_says_of_other_devices_is_said_still(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    await proxy.connected()
    with pytest.raises(APIConnectionError):
        await APIClient("127.0.0.1", free_port()).connect()
    await hass.data[YAML_PORTS]["yaml"].stop()
