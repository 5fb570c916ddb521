"""What configuration.yaml may say, and what Home Assistant answers to the rest."""

import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from custom_components.dsmr.addresses import socket_url
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.versions import VERSIONS

from .parts import Gateway, edited, set_up, state_of, telegram_of

_EVERY_VERSION = ", ".join(VERSIONS).replace(".", r"\.")
_A_PORT = (
    "expected a device such as /dev/ttyUSB0 or a URL such as socket://192.168.1.13:2001; "
    r"a network gateway is written as host \(and its TCP port as port\) 'port', got "
)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        pytest.param(
            {"colour": "red"}, "'colour' is an invalid option for 'dsmr.sensor'", id="unknown key"
        ),
        pytest.param(
            {"dsmr_version": 9}, f"{_EVERY_VERSION}.*'dsmr_version', got 9", id="version 9"
        ),
        pytest.param({"dsmr_version": True}, f"{_EVERY_VERSION}.*'dsmr_version'", id="version yes"),
        pytest.param(
            {"precision": "many"},
            "a whole number from 0 to 9.*'precision', got 'many'",
            id="precision many",
        ),
        pytest.param({"precision": 10}, "from 0 to 9.*'precision', got 10", id="precision 10"),
        pytest.param(
            {"precision": False}, "from 0 to 9.*'precision', got False", id="precision no"
        ),
        pytest.param(
            {"precision": 1.5},
            "a whole number from 0 to 9.*'precision', got 1.5",
            id="precision 1.5",
        ),
        pytest.param(
            {"precision": float("inf")}, "from 0 to 9.*'precision', got inf", id="precision inf"
        ),
        pytest.param(
            {"host": "192.0.2.1", "port": "/dev/ttyUSB0"},
            "a whole number from 1 to 65535, the TCP port of the host.*'port', got '/dev/ttyUSB0'",
            id="host and serial device",
        ),
        pytest.param(
            {"host": "192.0.2.1", "port": None},
            "from 1 to 65535.*'port', got None",
            id="host, port",
        ),
        *(
            pytest.param({"port": port}, f"{_A_PORT}{re.escape(repr(port))}", id=f"port {port}")
            for port in (
                None,
                "",
                "192.168.1.13",
                "192.168.1.13:2001",
                2001,
                "gateway.local",
                "ttyUSB0",
                ["/dev/ttyUSB0"],
                "socket:192.168.1.13:2001",
                "socket://",
                "socket:///p1",
                "socket://192.168.1.13",
                "tcp://192.168.1.13/",
                "rfc2217://192.168.1.13",
                "socket://127.0.0.1:99999",
                "socket://127.0.0.1:0",
                "socket://[fe80::1:2001",
                "esphome://192.168.1.13:x/",
                "1://192.168.1.13:2001",
            )
        ),
        *(
            pytest.param(
                {"host": host},
                r"a name or an address alone; its TCP port is written as port.*'host', got ",
                id=f"host {host}",
            )
            for host in (
                "192.0.2.1:2001",
                "gateway.local:2001",
                "[2001:db8::1]:2001",
                "[2001:db8::1",
                "[192.0.2.1]",
                "socket://192.0.2.1",
                "/dev/ttyUSB0",
                "192.0.2.1/",
                "my meter",
                None,
                ["192.0.2.1"],
            )
        ),
        pytest.param({"host": "192.0.2.1", "port": 0}, "from 1 to 65535.*'port', got 0", id="port"),
        pytest.param(
            {"time_between_update": -1},
            "a number from 0.0 to 86400.0.*'time_between_update', got -1",
            id="time_between_update",
        ),
        pytest.param(
            {"reconnect_interval": "soon"},
            "a number from 0.1 to 86400.0.*'reconnect_interval', got 'soon'",
            id="reconnect_interval",
        ),
    ],
)
async def test_a_wrong_configuration_is_refused_and_disturbs_nothing_else(
    hass: HomeAssistant,
    gateway: Gateway,
    request: pytest.FixtureRequest,
    wrong: dict[str, Any],
    complaint: str,
) -> None:
    request.applymarker(pytest.mark.logs(f"Invalid config.*{complaint}"))
    await set_up(
        hass,
        {"name": "Wrong", **wrong},
        {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5},
    )
    assert hass.states.get("sensor.wrong_power_consumption") is None
    assert set(hass.data[YAML_PORTS].keys()) == {"yaml"}
    await gateway.connected()
    gateway.send(edited(telegram_of("iskra-am550"), o1_0_1_7_0="(00.123*kW)"))
    await state_of(hass, "sensor.power_consumption", "0.123")


@pytest.mark.parametrize(
    "given",
    [
        {"port": "esphome://10.0.0.[1/?port_name=p1&key=hunter22"},
        {"port": "socket://admin:hunter22@[fe80::1:2001"},
        {"port": "socket://admin:hunter22@192.0.2.1"},
        # What stands before the slash is no number of a TCP port.
        {"port": "socket://admin:hunter22/more@192.0.2.1:2001"},
        {"port": "esphome://192.0.2.1:x/?key=hunter22"},
        {"port": ["socket://admin:hunter22@192.0.2.1:2001"]},
        {"host": "192.0.2.1", "port": "socket://admin:hunter22@192.0.2.1:2001"},
        {"host": "admin:hunter22@192.0.2.1"},
    ],
)
@pytest.mark.logs(r"Invalid config .*'(host|port)', got \*\*REDACTED\*\*")
async def test_of_a_port_that_is_refused_the_log_has_no_password_and_no_key(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture, given: dict[str, Any]
) -> None:
    await set_up(hass, given)
    assert YAML_PORTS not in hass.data
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize(
    ("written", "version"),
    [
        (5, "5"),
        ("5", "5"),
        (5.0, "5"),
        ("5.0", "5"),
        (2.2, "2.2"),
        ("2.2", "2.2"),
        (4.0, "4"),
        (4.2, "4"),
        ("4.2", "4"),
        ("5B", "5B"),
        ("5b", "5B"),
        ("5eonhu", "5EONHU"),
        ("iskra_ie", "ISKRA_IE"),
        (None, "2.2"),
    ],
)
async def test_a_version_may_be_a_number_or_text_in_capitals_or_not(
    hass: HomeAssistant, gateway: Gateway, written: float | str | None, version: str
) -> None:
    given = {} if written is None else {"dsmr_version": written}
    await set_up(hass, {"host": "127.0.0.1", "port": gateway.port, **given})
    assert hass.data[YAML_PORTS]["yaml"].reader.version is VERSIONS[version]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "/dev/ttyUSB0"),
        ({"port": "/dev/ttyUSB1"}, "/dev/ttyUSB1"),
        ({"host": "192.0.2.1"}, "socket://192.0.2.1:2001"),
        ({"host": "192.0.2.1", "port": 2002}, "socket://192.0.2.1:2002"),
        ({"host": "192.0.2.1", "port": "2002"}, "socket://192.0.2.1:2002"),
        ({"host": "2001:db8::1"}, "socket://[2001:db8::1]:2001"),
        ({"host": "[2001:db8::1]", "port": 23}, "socket://[2001:db8::1]:23"),
        ({"host": "fe80::1%eth0"}, "socket://[fe80::1%eth0]:2001"),
        ({"host": "[fe80::1%eth0]"}, "socket://[fe80::1%eth0]:2001"),
        ({"host": "gateway.local"}, "socket://gateway.local:2001"),
        ({"host": "", "port": "/dev/ttyS0"}, "/dev/ttyS0"),
        ({"host": "192.0.2.1 ", "port": "2002 "}, "socket://192.0.2.1:2002"),
        ({"port": "/dev/ttyUSB1 "}, "/dev/ttyUSB1"),
        ({"port": "/dev/serial/by-path/usb-0:1:1.0"}, "/dev/serial/by-path/usb-0:1:1.0"),
        *(
            ({"port": url}, url)
            for url in (
                "socket://192.0.2.1:23",
                "tcp://gateway.local:23",
                "rfc2217://user:password@192.0.2.1:2217",
                "socket://[2001:db8::1]:23",
                "socket://[fe80::1%eth0]:23",
                "esphome://192.0.2.1/?port_name=P1 port&key=AbC+d/e=",
                "esphome://[2001:db8::1]:6053/?port_name=p1",
                "esphome-hass://esphome/0123456789abcdef?port_name=p1",
                "device:///dev/ttyUSB0",
            )
        ),
    ],
)
async def test_the_port_is_a_serial_device_or_with_a_host_a_tcp_port(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], url: str
) -> None:
    async def run(reader: object) -> None:
        """Open nothing."""

    monkeypatch.setattr("custom_components.dsmr.reader.Reader.run", run)
    await set_up(hass, given)
    assert hass.data[YAML_PORTS]["yaml"].reader.connection.url == url


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("2001:db8::1", "socket://[2001:db8::1]:23"),
        ("fe80::1%eth0", "socket://[fe80::1%eth0]:23"),
        ("[2001:db8::1]", "socket://[2001:db8::1]:23"),
        # Whoever opens it says what is wrong with it, and not that it is no IPv6 address.
        ("192.0.2.1:2001", "socket://192.0.2.1:2001:23"),
    ],
)
def test_in_a_url_nothing_but_an_ipv6_address_stands_in_brackets(host: str, url: str) -> None:
    assert socket_url(host, "23") == url


async def test_an_old_configuration_is_accepted_as_it_stands(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    telegram = telegram_of("iskra-am550")
    await set_up(
        hass,
        {
            "host": "127.0.0.1",
            "port": gateway.port,
            "dsmr_version": "5",
            "precision": 3,
            "reconnect_interval": 30,
            "time_between_update": 30,
        },
    )
    group = [
        "sensor.power_consumption_low",
        "sensor.power_consumption_normal",
        "sensor.power_production_low",
        "sensor.power_production_normal",
        "sensor.gas_consumption",
    ]
    assert await async_setup_component(
        hass, "group", {"group": {"meter_readings": {"entities": group}}}
    )
    await gateway.connected()
    gateway.send(telegram)
    for entity_id in group:
        assert hass.states.get(entity_id), entity_id
    await state_of(hass, "sensor.gas_consumption", "3160.427")
    state = hass.states.get("group.meter_readings")
    assert state
    assert state.attributes["entity_id"] == tuple(group)
