"""What does somebody need to know who is to find out what is wrong, and what must he not know?"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
import re
from typing import Any, Final
from urllib.parse import urlsplit

from homeassistant.components.diagnostics import REDACTED
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .const import (
    CONF_AUTHENTICATION_KEY,
    CONF_ENCRYPTION_KEY,
    CONF_SERIAL_ID,
    CONF_SERIAL_ID_GAS,
)
from .entity import EntryIdentity
from .models import ELECTRICITY, OddLine, Telegram
from .port import DsmrConfigEntry, P1Port
from .roster import Slot, is_known
from .values import read_text

# The value groups C.D.E of identifiers; 96.1.4 is the version of the telegrams.
_IDENTIFIER: Final = re.compile(r"96[.:]1\.(?!4\b)\d+|42[.:]0\.0|0[.:]0\.0")
_PERSONAL: Final = re.compile(rf"{_IDENTIFIER.pattern}|96[.:]13\.\d+")
# Identifiers and messages in a telegram, to the end of the line: a message may have parentheses.
_PERSONAL_LINE: Final = re.compile(rf"(:(?:{_PERSONAL.pattern})(?:[*.]\d+)?[ \t]*)\(.*")
# Some makers write the number of the meter into the header.
_NUMBER: Final = re.compile(r"\d{6,}")
# What may be an identifier: nobody may know what a line means, and where bytes were lost, one may
# stand behind another reference. It is long, with a digit, and neither a timestamp nor a number
# with decimals or a unit.
_UNTOLD: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?!\d{12}[SW]?\b)(?=[A-Za-z]*\d)[0-9A-Za-z]{8,}(?![0-9A-Za-z.*])"
    r"|(?<=\.)[0-9A-Za-z]{7,}"
)
_KEYS: Final = frozenset({CONF_AUTHENTICATION_KEY, CONF_ENCRYPTION_KEY})
# A shorter one may be anything else.
_SHORTEST_SECRET: Final = 4
# The identifiers that some meters send for none are of zeros.
_ZEROS: Final = re.compile(r"(?:0|30|20)*")


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: DsmrConfigEntry
) -> dict[str, Any]:
    """Return what is known of a config entry, its port and its meters."""
    port = entry.runtime_data
    meters = {slot.identity for slot in port.roster.slots} | {ELECTRICITY}
    more = {
        "roster": {
            "lines": sorted(port.roster.lines),
            "slots": [_slot(slot) for slot in port.roster.slots],
        },
        "heard": [_telegram(frame) for _, frame in port.reader.stream.heard],
    }
    return _diagnostics(hass, entry, meters, more)


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: DsmrConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return what is known of one meter."""
    port = entry.runtime_data
    identity = EntryIdentity(port.roster, hass, entry)
    slots = [slot for slot in port.roster.slots if identity.device(slot) in device.identifiers]
    meters = {slot.identity for slot in slots}
    if identity.device(None) in device.identifiers:
        meters.add(ELECTRICITY)
    return _diagnostics(hass, entry, meters, {"slots": [_slot(slot) for slot in slots]})


def _diagnostics(
    hass: HomeAssistant, entry: DsmrConfigEntry, meters: set[str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what is known of an entry, its port and some of its meters, and more, masked."""
    port = entry.runtime_data
    readings = _readings(port.dsmr.telegram, meters)
    said = {"entry": _entry(entry), **_port(hass, port), **more, "readings": readings}
    masked: dict[str, Any] = _masked(said, _secrets(entry))
    return masked


def _entry(entry: DsmrConfigEntry) -> dict[str, Any]:
    data: dict[str, Any] = {**entry.data, CONF_PORT: entry.runtime_data.reader.connection.name}
    data |= dict.fromkeys(_KEYS & data.keys(), REDACTED)
    return {"data": data, "options": dict(entry.options)}


def _port(hass: HomeAssistant, port: P1Port) -> dict[str, Any]:
    reader = port.reader
    counters = asdict(reader.counters)
    del counters["odd_lines"]
    return {
        "version": reader.version.key,
        "looks_like": reader.stream.looks_like.key if reader.stream.looks_like else None,
        "reading": port.dsmr.telegram is not None,
        "cause": reader.cause,
        "counters": counters,
        "seconds_since_telegram": None
        if reader.telegram_at is None
        else round(hass.loop.time() - reader.telegram_at, 1),
        **_odd_lines(reader.counters.odd_lines),
    }


def _odd_lines(lines: Mapping[str, OddLine]) -> dict[str, list[dict[str, Any]]]:
    """Return the lines that can't be read, and those that nobody knows, with their counts."""
    unreadable, unknown = [], []
    for reference, line in lines.items():
        said = {"line": _line(line.text), "times": line.times}
        if line.reason:
            unreadable.append({**said, "reason": _UNTOLD.sub(REDACTED, line.reason)})
        elif not is_known(_obis(reference)):
            unknown.append(said)
    return {"unreadable_lines": unreadable, "unknown_lines": unknown}


def _slot(slot: Slot) -> dict[str, Any]:
    return {"type": slot.type, "number": slot.number, "identity": slot.identity}


def _readings(telegram: Telegram | None, meters: set[str]) -> list[dict[str, Any]]:
    """Return the readings of some meters as they were read."""
    if telegram is None:
        return []
    return [
        {
            "meter": key.meter,
            "obis": key.obis,
            "value": _value(key.obis, str(reading.value)),
            "unit": reading.unit,
            "time": str(reading.time) if reading.time else None,
            "entries": len(reading.entries),
        }
        for key, reading in telegram.readings.items()
        if key.meter in meters
    ]


def _value(obis: str, value: str) -> str:
    is_personal = _PERSONAL.fullmatch(obis.rpartition(":")[2])
    return REDACTED if is_personal else _UNTOLD.sub(REDACTED, value)


def _telegram(frame: bytes) -> list[str]:
    """Return the lines of a telegram without what tells the house."""
    header, *lines = frame.decode("latin-1").splitlines()
    return [_NUMBER.sub(REDACTED, _printable(header)), *map(_line, lines)]


def _printable(text: str) -> str:
    """Return a text without what would command a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _line(text: str) -> str:
    """Return a line of a telegram without what tells the house."""
    masked = _PERSONAL_LINE.sub(rf"\1({REDACTED})", _printable(text))
    return _UNTOLD.sub(REDACTED, masked)


def _obis(line: str) -> str:
    """Return the value groups C.D.E with which a line begins."""
    return re.split(r"[*(\s]", line.partition(":")[2], maxsplit=1)[0]


def _secrets(entry: DsmrConfigEntry) -> set[str]:
    """Return what must not stand anywhere: identifiers as sent and as printed, keys and hosts."""
    port = entry.runtime_data
    identifiers = {entry.data.get(CONF_SERIAL_ID), entry.data.get(CONF_SERIAL_ID_GAS)}
    identifiers |= {slot.identifier for slot in port.roster.slots}
    if port.dsmr.telegram is not None:
        identifiers |= {
            str(reading.value)
            for key, reading in port.dsmr.telegram.readings.items()
            if _IDENTIFIER.fullmatch(key.obis.rpartition(":")[2])
        }
    connection = port.reader.connection
    found = {*map(entry.data.get, _KEYS), connection.url, *connection.secrets}
    found |= {entry.data.get(CONF_HOST), *map(_host, port.reader.opener.urls)}
    for identifier in filter(None, identifiers):
        if not _ZEROS.fullmatch(identifier):
            found |= {identifier, read_text(identifier)}
    return {secret for secret in found if secret and len(secret) >= _SHORTEST_SECRET}


def _host(url: str) -> str | None:
    """Return the host of a port, by name or by address, or None where it has none."""
    with suppress(ValueError):
        return urlsplit(url).hostname
    return None


def _masked(value: Any, secrets: set[str]) -> Any:
    """Return a value without the secrets, wherever they stand in it."""
    masked = value
    if isinstance(value, str):
        masked = str(value)
        # The longest first: one may be part of another.
        for secret in sorted(secrets, key=len, reverse=True):
            masked = re.sub(re.escape(secret), REDACTED, masked, flags=re.IGNORECASE)
    elif isinstance(value, Mapping):
        masked = {key: _masked(below, secrets) for key, below in value.items()}
    elif isinstance(value, list):
        masked = [_masked(below, secrets) for below in value]
    return masked
