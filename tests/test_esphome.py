"""Through an ESPHome: the real serialx and aioesphomeapi, and a serial proxy over TCP."""

import asyncio
from collections.abc import AsyncIterator

from homeassistant.core import HomeAssistant
import pytest
from serialx import create_serial_connection

from custom_components.dsmr.const import YAML_PORTS
from custom_components.dsmr.models import Cause

from .esphome import ESPHome
from .parts import edited, set_up, state_of, telegram_of, until

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
