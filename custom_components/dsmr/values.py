"""What do the values of a line say?

dsmr_parser's specifications say of which form a line is and of what type its values are; its value
parsers read numbers. A line of a form that no specification knows is read by what it looks like.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
import re
from typing import Any, Final

from dsmr_parser.parsers import CosemParser, MaxDemandParser, MBusParser, ProfileGenericParser
from dsmr_parser.value_types import timestamp

from .models import Entry, Reading, Value

_GROUP = re.compile(r"\(([^()]*)\)")
# What stands behind the first parenthesis of a whole line. It never goes back: a damaged line may
# be long.
_GROUPS = re.compile(r"[^()]*+\)\s*+(?:\([^()]*+\)\s*+)*+")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,15})?")
# One number with its unit: nearly every line that changes.
_MEASURED = re.compile(r"(\d{1,15}(?:\.\d{0,15})?)\*(\w{1,5})\)\s*")
_TIMESTAMP = re.compile(r"(\d{8})([0-5]\d)([0-5]\d)([SW]?)")
# A COSEM date-time (IEC 62056-6-2): year, month, day, weekday, hour, minute, second, hundredths,
# minutes from local time to UTC, clock status.
_COSEM = re.compile(r"([0-9A-F]{4})(..)(..)..(..)(..)(..)..([0-9A-F]{4})..", re.IGNORECASE)
# A clock that was never set begins here: 700101 and 000101 are dates before the first P1 port.
_FIRST_YEAR: Final = 2005
_LAST_YEAR: Final = 2069
_LONGEST_TEXT: Final = 255
# No meter sends more: ten power failures are 22, the peaks of two years 75.
_MOST_GROUPS: Final = 100
# Text comes as hexadecimal digits. A row of decimal digits alone that is shorter is a number.
_SHORTEST_TEXT: Final = 12
# 2^31 - 1 seconds: what Kaifa meters log for a failure that they know nothing about.
_NO_DURATION: Final = "2147483647"

# By the unit as a meter writes it, without regard to case: what it is called here, and the power
# of ten between them. One unit for one quantity, whatever the meter.
_UNITS: Final = {
    "w": ("kW", -3),
    "kw": ("kW", 0),
    "mw": ("kW", 3),
    "wh": ("kWh", -3),
    "kwh": ("kWh", 0),
    "mwh": ("kWh", 3),
    "var": ("kvar", -3),
    "kvar": ("kvar", 0),
    "varh": ("kvarh", -3),
    "kvarh": ("kvarh", 0),
    "va": ("kVA", -3),
    "kva": ("kVA", 0),
    "v": ("V", 0),
    "kv": ("V", 3),
    "a": ("A", 0),
    "ka": ("A", 3),
    "hz": ("Hz", 0),
    "khz": ("Hz", 3),
    "gj": ("GJ", 0),
    "mj": ("GJ", -3),
    "kj": ("GJ", -6),
    "s": ("s", 0),
    "m3": ("m³", 0),
    "m\xb3": ("m³", 0),
    "m\xb0": ("m³", 0),
    "l": ("m³", -3),
}


class LineError(ValueError):
    """A line can't be read."""


def read_timestamp(text: str, zone: tzinfo) -> datetime | None:
    """Return the moment that `YYMMDDhhmmssX` or a COSEM date-time of 12 bytes names, in UTC.

    Args:
        text: year to second, and S for summer time, W for normal time or nothing; or the date-time
            as hexadecimal digits.
        zone: the meter's time zone. With W the meter means its normal time also in summer (Swedish
            meters never change their clocks), with S one hour more; without either, what the zone
            says.

    Returns:
        The moment, or None for a clock that was never set and for an impossible date.
    """
    try:
        if match := _TIMESTAMP.fullmatch(text):
            return _p1_timestamp(match, zone)
        if match := _COSEM.fullmatch(text):
            return _cosem_timestamp(match, zone)
    except ValueError, OverflowError:
        pass
    return None


def _p1_timestamp(match: re.Match[str], zone: tzinfo) -> datetime | None:
    hour = _hour(match[1], match[4], zone)
    return hour and hour + timedelta(minutes=int(match[2]), seconds=int(match[3]))


@lru_cache(maxsize=64)
def _hour(text: str, flag: str, zone: tzinfo) -> datetime | None:
    """Return when an hour begins, `YYMMDDhh`: a clock that ticks tells the same one 3600 times."""
    year, month, day, hour = (int(text[place : place + 2]) for place in (0, 2, 4, 6))
    if not _FIRST_YEAR <= 2000 + year <= _LAST_YEAR:
        return None
    local = datetime(2000 + year, month, day, hour, tzinfo=zone)
    if not flag:
        return local.astimezone(UTC)
    offset = _normal_offset(local.year, zone)
    if flag == "S":
        offset += timedelta(hours=1)
    return local.replace(tzinfo=UTC) - offset


@lru_cache(maxsize=8)
def _normal_offset(year: int, zone: tzinfo) -> timedelta:
    """Return how far normal time is ahead of UTC.

    That is the less of winter and summer: by law Ireland's time is the summer's, and `dst` negative
    in winter.
    """
    offsets = (datetime(year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7))
    return min(offset or timedelta() for offset in offsets)


def _cosem_timestamp(match: re.Match[str], zone: tzinfo) -> datetime | None:
    year, month, day, hour, minute, second, deviation = (int(text, 16) for text in match.groups())
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    if deviation != 0x8000:  # which would be: not said
        signed = deviation - 0x10000 if deviation > 0x8000 else deviation
        zone = timezone(-timedelta(minutes=signed))
    return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)


def printable(text: str) -> str:
    """Return a text without control characters and padding, cut to what a state may hold."""
    # Messages are filled up with bytes 0xFF, which are a printable ÿ as latin-1.
    return "".join(c for c in text if c.isprintable() and c != "\xff").strip()[:_LONGEST_TEXT]


def read_text(text: str) -> str | None:
    """Return the message that a meter sends as hexadecimal digits, for a person to read.

    Other text than hexadecimal digits is returned as it is, if it is printable.
    """
    with suppress(ValueError):
        text = bytes.fromhex(text).decode("latin-1")
    return printable(text) or None


def read_message(text: str) -> Reading:
    """Read a text message or its code, from behind the first parenthesis on.

    Raises:
        LineError: it has no end.
    """
    message, end, _ = text.rpartition(")")
    if not end:
        raise LineError("it has no value in parentheses")
    return Reading(read_text(message))


def reader_of(parser: Any, zone: tzinfo) -> Callable[[str], Reading]:
    """Return what reads lines of one OBIS reference, from behind their first parenthesis on.

    It raises LineError where something else stands there than groups in parentheses, and where a
    group is not of the form that the parser says.

    Args:
        parser: dsmr_parser's parser for such a line, or None for a line that it does not know.
        zone: the meter's time zone.
    """
    form = _FORMS.get(type(parser))
    is_number = form is _single and parser.value_formats[0].coerce_type is Decimal

    def read(text: str) -> Reading:
        if is_number and (measured := _MEASURED.fullmatch(text)):
            return Reading(*_scaled(Decimal(measured[1]), measured[2]))
        if not _GROUPS.fullmatch(text):
            # Where bytes were lost between two lines, the value is another line's.
            raise LineError("it is not made of values in parentheses")
        # Spaces are padding wherever they stand, and a comma parts what other meters put in groups.
        found = _GROUP.findall(f"({text}")
        groups = [part.strip() for group in found for part in group.split(",")]
        if len(groups) > _MOST_GROUPS:
            raise LineError(f"it has {len(groups)} values")
        return form(parser, groups, zone) if form else _unknown(groups)

    return read


def _single(parser: Any, groups: Sequence[str], zone: tzinfo) -> Reading:
    """Read one value. What stands behind it, such as a second threshold, is kept beside it."""
    coerce_type = parser.value_formats[0].coerce_type
    if coerce_type is timestamp:
        return Reading(read_timestamp(groups[0], zone))
    value, unit = _value(parser.value_formats[0], groups[0])
    return Reading(value, unit, None, _rows(groups[1:]))


def _timed(parser: Any, groups: Sequence[str], zone: tzinfo) -> Reading:
    """Read a value with the moment at which it was taken."""
    formats = parser.value_formats
    if len(groups) == 2 and _TIMESTAMP.fullmatch(groups[1]) and "*" in groups[0]:
        # The Iskra IE.5 puts the value first.
        groups = [groups[1], groups[0]]
    if len(groups) == 1:
        groups = ["", groups[0]]
    value, unit = _value(formats[-1], groups[-1])
    if len(groups) == 7:
        # Before DSMR 4 the unit is a group of its own.
        value, unit = _scaled(value, groups[5])
    elif len(groups) != 2:
        raise LineError(f"it has {len(groups)} values")
    time = read_timestamp(groups[0], zone)
    if not value and (time is None or unit is None):
        # A meter that was never read says zero: without a unit, or at a moment that never was.
        value = None
    return Reading(value, unit, time)


def _log(parser: Any, groups: Sequence[str], zone: tzinfo) -> Reading:
    """Read a power failure log: (n)(0-0:96.7.19) and n times when a failure ended and how long.

    The value is the duration of the failure that ended last.
    """
    entries = [
        Entry(read_timestamp(time, zone), *_number_or_text(duration))
        for time, duration in zip(groups[2::2], groups[3::2], strict=False)
        if not duration.startswith(_NO_DURATION)
    ]
    return _latest(entries)


def _peaks(parser: Any, groups: Sequence[str], zone: tzinfo) -> Reading:
    """Read the maximum demand of past months: (n)(id)(id) and n times month, moment and demand.

    The value is the demand of the latest month. Hungarian meters send (moment) and the registers of
    the month's end by the same reference: rows without a moment of their own, and no value.
    """
    if not groups[0].isdigit() or len(groups[0]) > 2:
        time = read_timestamp(groups[0], zone)
        return Reading(None, None, time, _rows(groups[1:], time))
    entries = [
        Entry(read_timestamp(month, zone), *_number_or_text(demand), read_timestamp(moment, zone))
        for month, moment, demand in zip(groups[3::3], groups[4::3], groups[5::3], strict=False)
    ]
    return _latest(entries)


def _latest(entries: list[Entry]) -> Reading:
    """Return the reading of the row that is about the latest moment, with all rows."""
    entries.sort(key=lambda entry: entry.time or datetime.min.replace(tzinfo=UTC))
    last = entries[-1] if entries else Entry(None, None, None)
    return Reading(last.value, last.unit, last.time, tuple(entries))


_FORMS: Final[dict[type, Callable[[Any, Sequence[str], tzinfo], Reading]]] = {
    MBusParser: _timed,
    MaxDemandParser: _peaks,
    ProfileGenericParser: _log,
    CosemParser: _single,
}


def _rows(groups: Sequence[str], time: datetime | None = None) -> tuple[Entry, ...]:
    return tuple(Entry(time, *_number_or_text(group)) for group in groups)


def _unknown(groups: Sequence[str]) -> Reading:
    value, unit = _number_or_text(groups[0])
    return Reading(value, unit, None, _rows(groups[1:]))


def _value(value_parser: Any, group: str) -> tuple[Value, str | None]:
    """Read a group: the value in the type that dsmr_parser gives it, and its unit."""
    text, _, unit = (part.strip() for part in group.partition("*"))
    if not text:
        return None, None
    if value_parser.coerce_type is not str and not _NUMBER.fullmatch(text):
        raise LineError(f"{text[:20]!r} is no number")
    value = value_parser.parse(text)["value"]
    return _scaled((printable(value) or None) if isinstance(value, str) else value, unit)


def _number_or_text(group: str) -> tuple[Value, str | None]:
    text, _, unit = (part.strip() for part in group.partition("*"))
    if _NUMBER.fullmatch(text) and (unit or "." in text):
        return _scaled(Decimal(text), unit)
    # A few digits are a count rather than the text "AB".
    if not text or (text.isdecimal() and len(text) < _SHORTEST_TEXT):
        return text or None, None
    return read_text(text), None


def _scaled(value: Value, unit: str) -> tuple[Value, str | None]:
    """Return a value in the one unit for its quantity."""
    if not unit:
        return value, None
    name, exponent = _UNITS.get(unit.casefold(), (printable(unit)[:20], 0))
    if exponent and isinstance(value, Decimal):
        value = value.scaleb(exponent)
    return value, name
