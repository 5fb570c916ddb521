"""What is told of a meter to who is to find out what is wrong, and what is not."""

import json
from typing import Any

from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    get_system_health_info,
)

from custom_components.dsmr.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)

from .meter.wire import encrypted
from .parts import Gateway, edited, set_up, state_of, telegram_of, until
from .test_entry import AM550, GAS, SERIAL, entry_for, set_up_entry

KEY = "3c9f41e07ab25d18f6c3904be27d5a61"
SMARTY = telegram_of("smarty-t210d")
GAS_PRINTED = bytes.fromhex(GAS).decode()


async def diagnostics(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    """Return the diagnostics of an entry as they are downloaded."""
    return json.loads(json.dumps(await async_get_config_entry_diagnostics(hass, entry)))


async def test_the_diagnostics_of_an_entry_say_what_happened(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    assert (await diagnostics(hass, entry))["seconds_since_telegram"] is None
    gateway.send(AM550.replace(b"0-1:24.2.1", b"1-0:142.7.0(00.1*kW)\r\n0-1:24.2.1"))
    gateway.send(edited(AM550 + b"", o0_0_96_14_0="(0001)"))
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    found = await diagnostics(hass, entry)
    assert found["version"] == "5"
    assert found["counters"]["telegrams"] == 1
    assert found["counters"]["checksum_failures"] == 1
    assert found["cause"] is None
    assert found["seconds_since_telegram"] < 20
    assert found["entry"]["options"] == {"time_between_update": 0}
    assert found["roster"]["slots"] == [{"type": 3, "number": 1, "identity": REDACTED}]
    power = next(line for line in found["readings"] if line["obis"] == "1.7.0")
    assert power == {
        "meter": "",
        "obis": "1.7.0",
        "value": "0.461",
        "unit": "kW",
        "time": None,
        "entries": 0,
    }
    assert len(found["heard"]) == 2
    assert "1-0:142.7.0(00.1*kW)" in found["heard"][0]
    assert f"0-0:96.1.1({REDACTED})" in found["heard"][1]
    assert found["unreadable_lines"] == found["unknown_lines"] == []


@pytest.mark.logs("Unexpected error in")
async def test_a_mistake_in_showing_is_counted_with_those_in_reading(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    def stumble(_: object) -> None:
        raise ZeroDivisionError

    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    entry.runtime_data.dsmr.listen_contents(stumble)
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    entry.runtime_data.reader.counters.errors += 2
    assert (await diagnostics(hass, entry))["counters"]["errors"] == 3


@pytest.mark.logs("The meter's line '1-0:32.7.0' can't be read")
@pytest.mark.logs("The meter's line 'noise …' can't be read")
async def test_the_lines_that_say_nothing_are_listed_with_how_often_they_came(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    body = edited(AM550, o1_0_32_7_0="(x*V)", o0_1_24_2_1="").rpartition(b"!")[0]
    for code in (b"1", b"2"):
        odd = b"1-0:142.7.0(00.1*kW)\r\n0-0:96.99.2(1EMH0012345678)\r\nnoise 1234567%s\r\n" % code
        # Neither is odd: ours is the row of the first, and there is no meter on channel 4.
        plain = b"1-0:15.7.0(00.1*kW)\r\n0-4:24.1.0(000)\r\n"
        gateway.send(edited(body + odd + plain + b"!0000\r\n"))
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    found = await diagnostics(hass, entry)
    assert found["unreadable_lines"] == [
        {"line": "1-0:32.7.0(x*V)", "times": 2, "reason": "'x' is no number"},
        {"line": f"noise {REDACTED}", "times": 2, "reason": "it has no OBIS reference"},
    ]
    assert found["unknown_lines"] == [
        {"line": "1-0:142.7.0(00.1*kW)", "times": 2},
        {"line": f"0-0:96.99.2({REDACTED})", "times": 2},
    ]
    assert found["counters"]["unreadable_lines"] == 4
    # The device of the electricity meter says the same.
    gas, electricity = sorted(
        dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id),
        key=lambda device: not device.via_device_id,
    )
    assert gas.via_device_id == electricity.id
    said = await async_get_device_diagnostics(hass, entry, electricity)
    assert said["unknown_lines"] == found["unknown_lines"]


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("0-0:42.0.0(53414731303330)", "53414731303330"),
        ("1-0:0.0.0*255(1ESY1160001234)", "1ESY1160001234"),
        ("0-0:96.1.255*255(1ESY1160001234)", "1ESY1160001234"),
        ("0-0:96.1.2(353431343438)", "541448"),
        ("0-1:96.1.2(353431343438)", "353431343438"),
        ("0-0:96.13.3(4D722E20536D697468)", "Smith"),
        ("0-0:96.77.1(4530303437303030)", "4530303437303030"),
        ("0-0:96.77.1(E0047000012)", "E0047000012"),
        # In the forms in which a reference is read, and with parentheses in a message.
        ("0-0:96.13.0 (Hello Mr Smith)", "Smith"),
        ("0-0:96.13.0*255 (Hello Mr Smith)", "Smith"),
        ("0-0:96:13.0(Hello Mr Smith)", "Smith"),
        ("0-0:96.13.0.255(Hello Mr Smith)", "Smith"),
        ("0-0:96.13.0(44656172 (Mr) Smith)", "Smith"),
        ("0-0:96.13.0(44656172 284D722920536D697468)", "Smith"),
        ("0-2:96.1.0.255(4730303339303031)", "4730303339303031"),
        # Damaged: a control character, and the reference of the line before.
        ("0-0:96.77.1(1EMH0012345678\x7f)", "0012345678"),
        ("0-0:1.0.0(2601303534303031)", "2601303534303031"),
        ("1-0:1.7.0(00.135343030)", "135343030"),
        # The same identifier by another reference, and in a message.
        (f"0-0:96.77.1(ID {GAS})", GAS),
        (f"0-0:96.77.1(ID {GAS_PRINTED})", GAS_PRINTED),
    ],
)
async def test_nobody_learns_an_identifier_wherever_it_stands(
    hass: HomeAssistant, gateway: Gateway, line: str, secret: str
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}?key=opensesame")
    await set_up_entry(hass, entry)
    await gateway.connected()
    header, blank, rest = AM550.split(b"\r\n", 2)
    gateway.send(edited(b"\r\n".join([header + b" E0054001234500023", blank, line.encode(), rest])))
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    said = json.dumps(await diagnostics(hass, entry))
    assert REDACTED in said
    for text in (secret, "E0054001234500023", "001234500023", "opensesame"):
        assert text not in said


async def test_the_version_of_the_telegrams_is_no_secret(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    t211 = edited(telegram_of("fluvius-t211"), o0_0_96_1_4="(50217)")
    entry = entry_for("5B", t211, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(t211)
    await state_of(hass, "sensor.electricity_meter_active_tariff", "normal", "low")
    assert "0-0:96.1.4(50217)" in (await diagnostics(hass, entry))["heard"][0]


@pytest.mark.parametrize("model", ["iskra-am550", "kamstrup-382", "landisgyr-e350"])
async def test_nobody_learns_which_meter_it_is(
    hass: HomeAssistant, gateway: Gateway, device_registry: dr.DeviceRegistry, model: str
) -> None:
    telegram = edited(telegram_of(model), o0_0_96_13_0="(48656C6C6F206D7220536D697468)")
    version = {"iskra-am550": "5", "kamstrup-382": "2.2"}.get(model, "4")
    port = f"socket://resident:hunter2@127.0.0.1:{gateway.port}"
    entry = entry_for(version, telegram, port=port)
    await set_up_entry(hass, entry)
    await gateway.connected()
    # Also where a bit of the identifier is damaged.
    gateway.send(telegram.replace(b"0-0:96.1.1(4", b"0-0:96.1.1(5"))
    gateway.send(telegram)
    await state_of(hass, "sensor.electricity_meter_active_tariff", "low", "normal")
    said = json.dumps(await async_get_config_entry_diagnostics(hass, entry))
    for device in dr.async_entries_for_config_entry(device_registry, entry.entry_id):
        said += json.dumps(await async_get_device_diagnostics(hass, entry, device))
    serials = [entry.data["serial_id"], entry.data["serial_id_gas"]]
    for secret in filter(None, serials):
        assert secret not in said
        assert bytes.fromhex(secret).decode().strip() not in said
        assert secret[2:] not in said
    assert "48656C6C6F" not in said
    assert "Hello" not in said
    assert "hunter2" not in said
    assert "resident" not in said
    assert "12345" not in said


async def test_nobody_learns_the_key(hass: HomeAssistant, gateway: Gateway) -> None:
    port = f"socket://127.0.0.1:{gateway.port}"
    keys = {"encryption_key": KEY, "authentication_key": KEY[::-1]}
    entry = entry_for("MSn", SMARTY, port=port, **keys)
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(encrypted(SMARTY, *map(bytes.fromhex, keys.values())))
    await state_of(hass, "sensor.gas_meter_gas_consumption", "4920.183")
    said = json.dumps(await diagnostics(hass, entry))
    for name, key in keys.items():
        assert key not in said.lower()
        assert f'"{name}": "{REDACTED}"' in said


@pytest.mark.parametrize("url", ["socket://{0}:{1}@{2}/", "socket://{2}/?user={0}&key={1}"])
async def test_nobody_learns_what_of_the_url_is_secret_wherever_it_stands(
    hass: HomeAssistant, gateway: Gateway, url: str
) -> None:
    port = url.format("somebody", "s3cret", f"127.0.0.1:{gateway.port}")
    entry = entry_for("5", AM550, port=port)
    await set_up_entry(hass, entry)
    await gateway.connected()
    body = AM550.decode().rpartition("!")[0]
    gateway.send(edited(f"{body}1-0:142.7.0(somebody has s3cret)\r\n!0000\r\n".encode()))
    await until(lambda: entry.runtime_data.dsmr.telegram is not None)
    said = json.dumps(await diagnostics(hass, entry))
    assert f"socket://{REDACTED}:{gateway.port}" in said
    assert f"{REDACTED} has {REDACTED}" in said
    assert "somebody" not in said
    assert "s3cret" not in said


@pytest.mark.logs("No telegrams from")
async def test_nobody_learns_where_the_gateway_is(hass: HomeAssistant, gateway: Gateway) -> None:
    await gateway.close()
    entry = entry_for("5", AM550, host="localhost", port=gateway.port)
    await set_up_entry(hass, entry)
    await until(lambda: bool(entry.runtime_data.reader.counters.last_cause))
    found = await diagnostics(hass, entry)
    assert REDACTED in found["counters"]["last_cause"]
    assert found["entry"]["data"]["host"] == REDACTED
    said = json.dumps(found)
    assert "localhost" not in said
    assert "127.0.0.1" not in said


async def test_the_diagnostics_of_a_device_are_about_its_meter(
    hass: HomeAssistant, gateway: Gateway, device_registry: dr.DeviceRegistry
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    gas = device_registry.async_get_device_by_identifier(("dsmr", GAS), entry.entry_id)
    electricity = device_registry.async_get_device_by_identifier(("dsmr", SERIAL), entry.entry_id)
    assert gas
    assert electricity
    found = await async_get_device_diagnostics(hass, entry, gas)
    assert {line["obis"] for line in found["readings"]} == {"24.1.0", "96.1.0", "24.2.1", "flow"}
    assert [slot["number"] for slot in found["slots"]] == [1]
    found = await async_get_device_diagnostics(hass, entry, electricity)
    assert "1.7.0" in {line["obis"] for line in found["readings"]}
    assert "24.2.1" not in {line["obis"] for line in found["readings"]}


async def test_the_system_health_counts_meters_of_both_kinds(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    assert await async_setup_component(hass, "system_health", {})
    await set_up(hass, {"host": "127.0.0.1", "port": second_gateway.port, "dsmr_version": 5})
    await set_up_entry(hass, entry_for("5", AM550, port=f"socket://127.0.0.1:{gateway.port}"))
    await gateway.connected()
    gateway.send(AM550)
    await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
    assert await get_system_health_info(hass, "dsmr") == {
        "ports": 2,
        "reading": 1,
        "telegrams": 1,
        "damaged": 0,
    }


async def test_an_identifier_of_zeros_is_none_and_hides_nothing(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    zeros = edited(AM550, o0_0_96_1_1="(00000000)", o1_0_1_7_0="(00000000.461*kW)")
    entry = entry_for("5", zeros, port=f"socket://127.0.0.1:{gateway.port}")
    await set_up_entry(hass, entry)
    async with gateway.sending(zeros):
        await state_of(hass, "sensor.gas_meter_gas_consumption", "3160.427")
        found = await diagnostics(hass, entry)
    assert "1-0:1.7.0(00000000.461*kW)" in found["heard"][0]
