"""Over the network: from a gateway's TCP port to the states in Home Assistant."""

from contextlib import ExitStack
import socket
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration
import pytest
from pytest_socket import socket_allow_hosts

from custom_components.dsmr.port import YAML_PORTS

from .parts import (
    Gateway,
    SerialLine,
    edited,
    ser2net,
    set_up,
    state_of,
    telegram_of,
    until,
    value_of,
)

AM550 = edited(telegram_of("iskra-am550"), o1_0_1_8_1="(002104.718*kWh)", o0_0_96_14_0="(0001)")
LOST = "No telegrams from socket://127.0.0.1:"
BACK = "Telegrams come from socket://127.0.0.1:"


async def test_it_is_this_integration_that_runs(hass: HomeAssistant) -> None:
    integration = await async_get_integration(hass, "dsmr")
    assert integration.pkg_path == "custom_components.dsmr"


async def test_sensors_stand_before_the_first_telegram(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    assert value_of(hass, "sensor.power_consumption_low") == "unavailable"
    gateway.send(AM550)
    await state_of(hass, "sensor.power_consumption_low", "2104.718")


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_a_dropped_connection_is_opened_again(hass: HomeAssistant, gateway: Gateway) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.power_tariff", "low")
    gateway.drop()
    await state_of(hass, "sensor.power_tariff", "unavailable")
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.power_tariff", "low")


async def test_a_gateway_is_read_at_whichever_address_its_name_has(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"meter.home": ["127.0.0.3", *(f"127.0.0.{n}" for n in range(4, 9)), "127.0.0.1"]}
    socket_allow_hosts(names["meter.home"], allow_unix_socket=True)
    ask = hass.loop.getaddrinfo

    async def look_up(host: str, port: int, **rest: Any) -> list[Any]:
        return [
            found
            for address in names.get(host, [host])
            for found in await ask(address, port, **rest)
        ]

    monkeypatch.setattr(hass.loop, "getaddrinfo", look_up)
    with ExitStack() as sockets:
        # Nobody is at the first one; at five others the queue is full, and who calls hears nothing.
        for address in names["meter.home"][1:-1]:
            deaf, waiting = (sockets.enter_context(socket.socket()) for _ in range(2))
            deaf.bind((address, gateway.port))
            deaf.listen(0)
            waiting.connect(deaf.getsockname())
        await set_up(hass, {"host": "meter.home", "port": gateway.port, "dsmr_version": 5})
        await gateway.connected()
        gateway.send(AM550)
        await state_of(hass, "sensor.power_tariff", "low")


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_a_gateway_that_is_down_at_start_is_read_when_it_comes(
    hass: HomeAssistant, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    await gateway.close()
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    reader = next(iter(hass.data[YAML_PORTS].values())).reader
    await until(lambda: bool(reader.counters.last_cause))
    assert value_of(hass, "sensor.power_consumption") == "unavailable"
    await gateway.open()
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.power_tariff", "low")
    assert caplog.text.count("No telegrams from") == 1


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(AM550.replace(b"1-0:1.8.1", b"1-0:1.8.2"), id="wrong checksum"),
        pytest.param(AM550[:400], id="cut in half"),
        pytest.param(AM550[400:], id="begins mid-stream"),
        pytest.param(AM550[:300] + AM550[500:], id="joined"),
        pytest.param(AM550.replace(b"(003)", b"(0\xff3)"), id="a byte that is not ASCII"),
        pytest.param(b"/\r\n!\r\n/!\r\n\0\r\n!0000\r\n", id="noise"),
    ],
)
async def test_a_damaged_telegram_costs_itself_and_nothing_more(
    hass: HomeAssistant, gateway: Gateway, damaged: bytes
) -> None:
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5})
    await gateway.connected()
    gateway.send(damaged)
    gateway.send(edited(AM550, o1_0_1_8_1="(004321.000*kWh)"))
    await state_of(hass, "sensor.power_consumption_low", "4321.0")
    assert next(iter(hass.data[YAML_PORTS].values())).reader.counters.telegrams == 1


async def test_two_meters_are_read_side_by_side(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up(
        hass,
        {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5},
        {"host": "127.0.0.1", "port": second_gateway.port, "dsmr_version": 4, "name": "Garage"},
    )
    await gateway.connected()
    await second_gateway.connected()
    gateway.send(edited(AM550, o1_0_1_8_1="(000001.000*kWh)"))
    second_gateway.send(edited(telegram_of("landisgyr-e350"), o1_0_1_8_1="(000002.000*kWh)"))
    await state_of(hass, "sensor.power_consumption_low", "1.0")
    await state_of(hass, "sensor.garage_power_consumption_low", "2.0")


@pytest.mark.parametrize(
    ("model", "version", "settings"),
    [("iskra-me382", 2.2, "9600e71"), ("iskra-am550", 5, "115200n81")],
)
async def test_a_meter_is_read_through_ser2net(
    hass: HomeAssistant,
    serial_line: SerialLine,
    socket_enabled: None,
    model: str,
    version: float,
    settings: str,
) -> None:
    async with ser2net(serial_line.device, settings) as port:
        await set_up(hass, {"host": "127.0.0.1", "port": port, "dsmr_version": version})
        async with serial_line.sending(edited(telegram_of(model), o1_0_1_7_0="(00.777*kW)")):
            await state_of(hass, "sensor.power_consumption", "0.777")
        await hass.data[YAML_PORTS]["yaml"].stop()


@pytest.mark.logs(LOST)
@pytest.mark.logs(BACK)
async def test_a_ser2net_that_was_killed_mid_telegram_is_read_again(
    hass: HomeAssistant, serial_line: SerialLine, socket_enabled: None
) -> None:
    async with ser2net(serial_line.device, "115200n81") as port:
        await set_up(hass, {"host": "127.0.0.1", "port": port, "dsmr_version": 5})
        async with serial_line.sending(AM550):
            await state_of(hass, "sensor.power_tariff", "low")
        serial_line.send(AM550[:500])
    await state_of(hass, "sensor.power_tariff", "unavailable")
    async with ser2net(serial_line.device, "115200n81", port):
        async with serial_line.sending(AM550):
            await state_of(hass, "sensor.power_tariff", "low")
        await hass.data[YAML_PORTS]["yaml"].stop()
