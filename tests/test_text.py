"""Text from the meter is text: in the log, in states, in attributes and in diagnostics."""

from collections import deque
from datetime import UTC
import json
import logging
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.json import ExtendedJSONEncoder
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.dsmr import derivation
from custom_components.dsmr.diagnostics import async_get_config_entry_diagnostics
from custom_components.dsmr.dispatcher import DSMR
from custom_components.dsmr.lines import LineReader
from custom_components.dsmr.models import (
    ELECTRICITY,
    Connection,
    Counters,
    Event,
    ReadingKey,
)
from custom_components.dsmr.obis import NET_POWER
from custom_components.dsmr.reader import Reader
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .clock import run
from .meter.wire import telegram
from .parts import Gateway, edited, state_of, telegram_of

LONGEST = 255
"""Characters of the longest text that is shown anywhere; Home Assistant allows a state no more."""
SERIAL = "4530303534303031323334353030303233"
# What somebody may write who has the other end of the cable.
NASTY = {
    "a terminal's commands": b"\x1b[2J\x1b]0;owned\x07\x1b[31m",
    "control characters": bytes(range(1, 9)) + b"\x0b\x0c\x0e\x0f\x7f\x85\x9b",
    "placeholders": b"{name} {0} %s %(port)s {entry.data[port]} $(id)",
    "markup": b"<script>alert('1')</script> [link](https://example.org) {{ states }}",
    "a kilobyte": b"A" * 1024,
    "bytes that are not ASCII": bytes(range(0x80, 0x100)),
}


def written(nasty: bytes) -> bytes:
    """Return a telegram with such a text wherever a text can be."""
    bare = nasty.translate(None, b"()\r\n")
    lines = telegram_of("iskra-am550").rpartition(b"\r\n!")[0].split(b"\r\n")
    extra = [
        b"0-0:96.13.0(" + nasty.hex().encode() + b")",
        b"0-0:96.13.1(" + bare + b")",
        b"0-0:96.14.0(" + bare + b")",
        b"0-0:96.99.9(" + bare + b")",
        b"1-0:99.99.9(" + nasty.hex().encode() + b")(" + bare + b"*" + bare + b")",
        b"1-0:32.7.0(230.1*" + bare + b")",
        b"0-2:24.1.0(007)",
        # Another than the rest: identifiers are masked in the diagnostics wherever they stand.
        b"0-2:96.1.0(meter " + bare + b")",
        b"0-2:24.2.1(260101120000W)(00012.000*" + bare + b")",
        bare,
        b"1-0:1.8.3(" + bare + b")",
        b"0-3:24.1.0(003)",
        b"0-3:96.1.0(" + bare + b")",
        b"0-3:24.2.1(260101120000W)(00012.000*m3)",
    ]
    replaced = (b"0-0:96.13.0(", b"0-0:96.14.0(", b"1-0:32.7.0(")
    kept = [line for line in lines[1:] if not line.startswith(replaced)]
    return telegram([b"/ISK5" + bare, *kept, *extra])


def texts(value: Any) -> list[str]:
    """Return all texts in a structure, keys too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return []


def assert_harmless(found: str, where: str, longest: int = LONGEST) -> None:
    """Fail for a text that is too long, or would command a terminal or break a line."""
    assert len(found) <= longest, f"{where}: {len(found)} characters: {found[:80]}"
    commands = re.findall(r"[\x00-\x1f\x7f-\x9f]", found)
    assert not commands, f"{where}: {commands} in {found[:80]!r}"


@pytest.mark.logs("The meter's line")
@pytest.mark.parametrize("nasty", NASTY.values(), ids=NASTY)
async def test_what_a_meter_writes_is_text_wherever_it_is_shown(
    hass: HomeAssistant, gateway: Gateway, caplog: pytest.LogCaptureFixture, nasty: bytes
) -> None:
    caplog.set_level(logging.DEBUG, "custom_components.dsmr")
    entry = MockConfigEntry(
        domain="dsmr",
        data={
            "port": f"socket://127.0.0.1:{gateway.port}",
            "dsmr_version": "5",
            "protocol": "dsmr_protocol",
            "serial_id": SERIAL,
            "serial_id_gas": None,
        },
        options={"time_between_update": 0},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await gateway.connected()
    gateway.send(written(nasty))
    await state_of(hass, "sensor.electricity_meter_power_consumption", "0.461")
    await hass.async_block_till_done()
    entities = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        entities.async_update_entity(entity.entity_id, disabled_by=None)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await gateway.connected()
    gateway.send(written(nasty))
    await state_of(hass, "sensor.electricity_meter_power_consumption", "0.461")
    await hass.async_block_till_done()

    for state in hass.states.async_all():
        assert_harmless(state.state, state.entity_id)
        for text in texts(json.loads(json.dumps(state.as_dict(), cls=ExtendedJSONEncoder))):
            assert_harmless(text, state.entity_id)
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        assert_harmless(str(entity.original_name), entity.entity_id)
    for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id):
        for said in (device.manufacturer, device.model, device.serial_number, device.name):
            assert_harmless(str(said), "device")
    for text in texts(await async_get_config_entry_diagnostics(hass, entry)):
        # A line of a telegram is kept whole; the longest is a message of 1024 characters.
        assert_harmless(text, "diagnostics", 2100)
    for record in caplog.records:
        if record.name.startswith("custom_components.dsmr"):
            assert_harmless(record.getMessage(), "log", 2 * LONGEST)
    assert SERIAL not in caplog.text
    assert bytes.fromhex(SERIAL).decode() not in caplog.text


@pytest.mark.logs("Unexpected error in a telegram from socket://192.0.2.1:2001")
@pytest.mark.logs("Unexpected error in what follows from a telegram")
@pytest.mark.logs("Unexpected error in test_nothing_of.*stumble")
def test_nothing_of_a_telegram_is_in_the_log_that_an_unforeseen_error_quotes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = f"0-0:96.1.1({SERIAL})\x1b[2J{'x' * 100_000}"

    def stumble(*_: object) -> Any:
        raise LookupError(quoted)

    key = ReadingKey(ELECTRICITY, NET_POWER)
    queue: deque[Event] = deque()
    counters = Counters()
    dsmr = DSMR(queue, 0, counters)
    dsmr.listen(key, stumble, None)
    decoder = Decoder(VERSIONS["5"], UTC, counters)
    reader = Reader(Connection("socket://192.0.2.1:2001", 30), decoder, queue, dsmr.drain)
    frame = telegram_of("iskra-am550")
    _, *rest = derivation._RULES[NET_POWER]
    monkeypatch.setitem(derivation._RULES, NET_POWER, (stumble, *rest))

    async def hear() -> None:
        reader.received(frame)
        monkeypatch.setattr(LineReader, "read", stumble)
        reader.received(edited(frame, o1_0_1_7_0="(0.461*kW)"))

    run(hear())
    said = [record.getMessage() for record in caplog.records if "Unexpected" in record.getMessage()]
    assert len(said) == 3
    for text in said:
        assert "stumble" in text
        assert "LookupError" in text
        assert SERIAL not in text
        assert "\x1b" not in text
        assert len(text) < 5000


@pytest.mark.logs("The meter's line '0-1:96.x.0\\(…\\)' can't be read")
@pytest.mark.logs("The meter's line '…\\)' can't be read")
def test_no_identifier_of_a_damaged_line_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    identifier = "4730303332353635"
    reader = LineReader(VERSIONS["5"], UTC, Counters())
    for line in (f"0-1:96.x.0({identifier})", f"{identifier[4:]})"):
        assert reader.read(line.encode()).error
    assert identifier[4:] not in caplog.text
