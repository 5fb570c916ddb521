"""Over RFC 2217: the settings of the line go with the bytes, through the real ser2net."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import termios
from typing import Any, override

from homeassistant.core import HomeAssistant
import pytest

from custom_components.dsmr.models import Cause
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.rfc2217 import transport_of

from .parts import Gateway, SerialLine, edited, ser2net, set_up, state_of, telegram_of, until

ME382 = telegram_of("iskra-me382")


class Engaged(Gateway):
    """A server that has another client already."""

    @override
    async def _talk(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1024)


@asynccontextmanager
async def rfc2217(line: SerialLine, port: int | None = None) -> AsyncIterator[str]:
    """Run ser2net as an RFC 2217 server on a serial line, set as no meter is; give the URL."""
    async with ser2net(line.device, "1200n82", port, protocol="telnet(rfc2217),tcp") as at:
        yield f"rfc2217://127.0.0.1:{at}"


def test_an_address_may_be_written_in_capitals() -> None:
    assert transport_of("RFC2217://192.0.2.1:2217") is transport_of("rfc2217://192.0.2.1:2217")
    assert transport_of("socket://192.0.2.1:2217") is None


@pytest.mark.parametrize(
    ("model", "version", "speed"),
    [("iskra-am550", 5, termios.B115200), ("iskra-me382", 2.2, termios.B9600)],
)
async def test_the_line_is_set_and_the_meter_read(
    hass: HomeAssistant,
    serial_line: SerialLine,
    socket_enabled: None,
    model: str,
    version: float,
    speed: int,
) -> None:
    async with rfc2217(serial_line) as url:
        await set_up(hass, {"port": url, "dsmr_version": version})
        await until(lambda: serial_line.settings()[4] == speed)
        async with serial_line.sending(edited(telegram_of(model), o1_0_1_7_0="(00.777*kW)")):
            await state_of(hass, "sensor.power_consumption", "0.777")
        await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs("No telegrams from rfc2217://")
@pytest.mark.logs("Telegrams come from rfc2217://.* again")
async def test_a_server_that_was_killed_mid_telegram_is_read_again(
    hass: HomeAssistant, serial_line: SerialLine, socket_enabled: None
) -> None:
    async with rfc2217(serial_line) as url:
        await set_up(hass, {"port": url, "dsmr_version": 2.2})
        await until(lambda: serial_line.settings()[4] == termios.B9600)
        async with serial_line.sending(edited(ME382, o0_0_96_14_0="(0001)")):
            await state_of(hass, "sensor.power_tariff", "low")
        serial_line.send(ME382[:300])
    await state_of(hass, "sensor.power_tariff", "unavailable")
    async with rfc2217(serial_line, int(url.rpartition(":")[2])):
        async with serial_line.sending(edited(ME382, o0_0_96_14_0="(0001)")):
            await state_of(hass, "sensor.power_tariff", "low")
        await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs("No telegrams from .*: TimeoutError .the host can't be reached")
async def test_a_host_that_does_not_answer_is_not_said_to_speak_anything(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(*_: Any, **__: Any) -> None:
        await hass.loop.create_future()

    monkeypatch.setattr("custom_components.dsmr.opening.CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(hass.loop, "create_connection", wait)
    await set_up(hass, {"port": "rfc2217://192.0.2.1:2217", "dsmr_version": 5})
    port = hass.data[YAML_PORTS]["yaml"]
    await until(lambda: port.reader.cause is Cause.UNREACHABLE)
    await port.stop()


@pytest.mark.logs("No telegrams from .*: the server does not speak RFC 2217 .the port can't")
async def test_a_server_that_does_not_speak_it_is_said_not_to(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.dsmr.opening.CONNECT_TIMEOUT", 0.5)
    await set_up(hass, {"port": f"rfc2217://127.0.0.1:{gateway.port}", "dsmr_version": 5})
    port = hass.data[YAML_PORTS]["yaml"]
    await until(lambda: port.reader.cause is Cause.FAILED)
    await port.stop()


@pytest.mark.logs("No telegrams from rfc2217://.*the connection was lost")
async def test_a_server_that_listens_and_hangs_up_is_a_connection_that_was_lost(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    async with Engaged() as gateway:
        await set_up(hass, {"port": f"rfc2217://127.0.0.1:{gateway.port}", "dsmr_version": 5})
        port = hass.data[YAML_PORTS]["yaml"]
        await until(lambda: port.reader.cause is Cause.LOST)
        await port.stop()


@pytest.mark.logs("No telegrams from rfc2217://.*the connection was lost")
async def test_a_server_that_has_another_client_is_called_again_and_again_without_a_word(
    hass: HomeAssistant, serial_line: SerialLine, socket_enabled: None
) -> None:
    async with rfc2217(serial_line) as url:
        _, other = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        await serial_line.opened()
        await set_up(hass, {"port": url, "dsmr_version": 5})
        port = hass.data[YAML_PORTS]["yaml"]
        lost: list[None] = []
        port.dsmr.listen_loss(lost.append)
        await until(lambda: len(lost) >= 3)
        await port.stop()
        other.close()


async def test_the_version_of_a_meter_is_found(
    hass: HomeAssistant,
    serial_line: SerialLine,
    socket_enabled: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.dsmr.detection.TURN", 0.5)
    async with rfc2217(serial_line) as url:
        await set_up(hass, {"port": url, "dsmr_version": "auto"})
        await until(lambda: serial_line.settings()[4] == termios.B9600)
        async with serial_line.sending(edited(ME382, o0_0_96_14_0="(0001)")):
            await until(lambda: hass.states.get("sensor.power_tariff") is not None)
            await state_of(hass, "sensor.power_tariff", "low")
        await hass.data[YAML_PORTS]["yaml"].stop()
