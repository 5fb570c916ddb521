"""Through an ESPHome: the real serialx and aioesphomeapi, and a serial proxy over TCP."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
import logging
import socket
from urllib.parse import quote

from aioesphomeapi.client import APIClient
from aioesphomeapi.core import APIConnectionError
from homeassistant.core import HomeAssistant
import pytest
from serialx import create_serial_connection

from custom_components.dsmr.models import Cause
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.reader import OPEN_TIMEOUT

from .esphome import API, ESPHome, SharedESPHome
from .parts import edited, free_port, set_up, state_of, telegram_of, until

AM550 = edited(telegram_of("iskra-am550"), o1_0_1_8_1="(002104.718*kWh)", o0_0_96_14_0="(0001)")
PROMISE = 3
TARIFF = "sensor.power_tariff"
LOST = r"No telegrams from esphome(://127\.0\.0\.1:\d+/|-hass://esphome/\w+): "
BACK = r"Telegrams come from esphome(://127\.0\.0\.1:\d+/|-hass://esphome/\w+) again"
KEY = base64.b64encode(bytes(range(32))).decode()
# It has a + in it.
ANOTHER_KEY = base64.b64encode(bytes(range(220, 252))).decode()
directly = pytest.mark.parametrize("proxy", ["plain", "encrypted"], indirect=True)
encrypted = pytest.mark.parametrize("proxy", ["encrypted"], indirect=True)
shared = pytest.mark.parametrize("proxy", ["shared"], indirect=True)


@pytest.fixture(params=["plain", "encrypted", "shared"])
async def proxy(
    hass: HomeAssistant, socket_enabled: None, request: pytest.FixtureRequest
) -> AsyncIterator[ESPHome]:
    """An ESPHome at a meter, for each way to reach it."""
    match request.param:
        case "plain":
            proxy = ESPHome()
        case "encrypted":
            proxy = ESPHome(key=KEY)
        case "shared":
            proxy = SharedESPHome(hass)
    async with proxy:
        yield proxy


async def is_shown(hass: HomeAssistant, proxy: ESPHome) -> None:
    """Have the meter send until it is shown."""
    async with proxy.sending(AM550):
        await state_of(hass, TARIFF, "low")


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
    await until(lambda: proxy.is_left)


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_an_esphome_that_was_killed_mid_telegram_is_read_again(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    await is_shown(hass, proxy)
    proxy.send(AM550[:500])
    await proxy.close()
    await state_of(hass, TARIFF, "unavailable")
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is proxy.cause_when_off)
    await proxy.open()
    async with asyncio.timeout(PROMISE):
        await is_shown(hass, proxy)
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs(LOST + r".*'p1 of the neighbour' does not exist.*\(there is no such port\)")
async def test_a_proxy_that_the_esphome_does_not_have_is_told(
    hass: HomeAssistant, proxy: ESPHome, caplog: pytest.LogCaptureFixture
) -> None:
    url = proxy.url.replace("p1", "p1%20of%20the%20neighbour")
    await set_up(hass, {"port": url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(
        lambda: reader.cause is Cause.NO_SUCH_PORT and proxy.asked > {API.DeviceInfoRequest}
    )
    assert "Traceback" not in caplog.text
    await hass.data[YAML_PORTS]["yaml"].stop()
    await until(lambda: proxy.is_left)


@pytest.mark.logs(LOST + r".*\(another program has the port\)")
@pytest.mark.logs(BACK)
async def test_a_proxy_that_another_client_has_is_read_when_that_leaves(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    other, _ = await create_serial_connection(
        hass.loop, asyncio.Protocol, proxy.address, baudrate=115200
    )
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.BUSY)
    other.abort()
    await is_shown(hass, proxy)
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.parametrize("is_read", [False, True], ids=["while it is opened", "while it is read"])
async def test_an_esphome_that_hangs_is_left_at_once(
    hass: HomeAssistant, proxy: ESPHome, is_read: bool
) -> None:
    if not is_read:
        proxy.ignores = (API.SerialProxyRequest, API.DisconnectRequest)
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    if is_read:
        await is_shown(hass, proxy)
        proxy.ignores = (object,)
    await until(lambda: API.SerialProxyRequest in proxy.asked)
    async with asyncio.timeout(2):
        await hass.data[YAML_PORTS]["yaml"].stop()
        await until(lambda: proxy.is_left)


@pytest.mark.logs(LOST + r".*\(the host (refuses the connection|can't be reached)\)")
@pytest.mark.logs(BACK)
async def test_an_esphome_that_is_off_is_read_when_it_is_on(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    await proxy.close()
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is proxy.cause_when_off)
    await proxy.open()
    await is_shown(hass, proxy)
    await hass.data[YAML_PORTS]["yaml"].stop()


@directly
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
    await is_shown(hass, proxy)
    await hass.data[YAML_PORTS]["yaml"].stop()


@directly
@pytest.mark.logs("Connection error occurred: .*Connect call failed")
async def test_what_the_library_says_of_other_devices_is_said_still(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    await proxy.connected()
    with pytest.raises(APIConnectionError):
        await APIClient("127.0.0.1", free_port()).connect()
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.parametrize(
    ("proxy", "key", "why"),
    [
        pytest.param("encrypted", ANOTHER_KEY, "Invalid encryption key", id="another"),
        pytest.param("encrypted", KEY[:-4], "Malformed PSK", id="cut short"),
        pytest.param("encrypted", "", "requires encryption", id="none"),
        pytest.param("plain", ANOTHER_KEY, "using plaintext", id="needless"),
    ],
    indirect=["proxy"],
)
@pytest.mark.logs(LOST + r".*\(the port can't be opened\)")
async def test_a_key_that_is_not_that_of_the_esphome_is_told_once_and_given_away_nowhere(
    hass: HomeAssistant, proxy: ESPHome, key: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "asyncio")
    url = proxy.address.partition("&")[0] + f"&key={key}"
    await set_up(hass, {"port": url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.FAILED and proxy.connections > 2)
    assert why in reader.counters.last_cause
    await hass.data[YAML_PORTS]["yaml"].stop()
    assert caplog.text.count("No telegrams from") == 1
    assert "Traceback" not in caplog.text
    forms = {key.rstrip("="), quote(key.rstrip("=")), key.replace("+", " ").rstrip("=")}
    assert not {form for form in forms - {""} if form in caplog.text}


@encrypted
@pytest.mark.parametrize("key", [KEY, ANOTHER_KEY], ids=["plain letters", "with a plus"])
@pytest.mark.parametrize("written", [str, quote], ids=["as it is", "escaped"])
async def test_the_key_of_an_esphome_can_be_pasted_as_it_is(
    hass: HomeAssistant, proxy: ESPHome, key: str, written: Callable[[str], str]
) -> None:
    proxy.key = key
    url = proxy.address.partition("&")[0] + f"&key={written(key)}"
    await set_up(hass, {"port": url, "dsmr_version": 5})
    await is_shown(hass, proxy)
    await hass.data[YAML_PORTS]["yaml"].stop()


@encrypted
@pytest.mark.logs(LOST + ".*Invalid encryption key")
@pytest.mark.logs(BACK)
async def test_an_esphome_that_gets_the_right_key_is_read(
    hass: HomeAssistant, proxy: ESPHome
) -> None:
    url = proxy.url
    proxy.key = ANOTHER_KEY
    await set_up(hass, {"port": url, "dsmr_version": 5})
    await until(lambda: proxy.connections > 2)
    proxy.key = KEY
    async with asyncio.timeout(PROMISE):
        await is_shown(hass, proxy)
    await hass.data[YAML_PORTS]["yaml"].stop()


@shared
@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_a_meter_waits_for_the_esphome_of_home_assistant(
    hass: HomeAssistant, proxy: SharedESPHome
) -> None:
    await proxy.unload()
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    async with proxy.sending(AM550):
        for _ in range(2):
            await until(lambda: reader.cause is Cause.NOT_READY)
            assert "is not loaded" in reader.counters.last_cause
            await proxy.load()
            async with asyncio.timeout(PROMISE):
                await state_of(hass, TARIFF, "low")
            await proxy.unload()
            await state_of(hass, TARIFF, "unavailable")
    await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs(LOST + r"ESPHome has not loaded yet \(what opens the port is not there yet\)")
@pytest.mark.logs(BACK)
async def test_a_meter_that_is_set_up_before_the_esphome_of_home_assistant_waits_for_it(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    proxy = SharedESPHome(hass)
    await set_up(hass, {"port": proxy.url, "dsmr_version": 5})
    reader = hass.data[YAML_PORTS]["yaml"].reader
    await until(lambda: reader.cause is Cause.NOT_READY)
    async with proxy, proxy.sending(AM550):
        async with asyncio.timeout(PROMISE):
            await state_of(hass, TARIFF, "low")
        await hass.data[YAML_PORTS]["yaml"].stop()
