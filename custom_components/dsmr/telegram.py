"""What does a telegram say?

dsmr_parser's specifications say which lines a version has and of what type their values are; its
value parsers read them. Cutting a telegram into lines and a line into groups is done here, so that
one bad line costs that line alone, and a line that has not changed since the last telegram is not
read again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
import re
from typing import Any

from dsmr_parser.parsers import CosemParser, MBusParser
from dsmr_parser.value_types import timestamp

from .const import LOGGER
from .models import ELECTRICITY, Counters, MBusMeter, Reading, ReadingKey, Telegram, Value
from .versions import MBUS_READING, MBUS_READINGS, Line, Version

MBUS_TYPE = "24.1.0"
MBUS_IDENTIFIERS = ("96.1.0", "96.1.1")

# An OBIS reference A-B:C.D.E with an optional *F, and its groups in parentheses.
_LINE = re.compile(r"(\d+)-(\d+):(\d+\.\d+\.\d+)(?:\*\d+)?(?=\()")
_GROUP = re.compile(r"\(([^()]*)\)")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,15})?")
_TIMESTAMP = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([SW]?)")
# A clock that was never set begins here: 700101 and 000101 are dates before the first P1 port.
_FIRST_YEAR = 2005


class ChecksumError(ValueError):
    """A telegram's bytes are not the ones that the meter sent."""


class LineError(ValueError):
    """A line can't be read."""


def crc16(data: bytes) -> int:
    """Return the CRC16 of a telegram from its '/' up to and including its '!'.

    Polynomial x^16 + x^15 + x^2 + 1, least significant bit first, no start value and no final xor
    (DSMR P1 companion standard 5.0.2, section 6.2).
    """
    crc = 0
    for byte in data:
        crc = (crc >> 8) ^ _CRC16[(crc ^ byte) & 0xFF]
    return crc


def _crc16_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC16 = tuple(_crc16_of_byte(byte) for byte in range(256))


def read_timestamp(text: str, zone: tzinfo) -> datetime | None:
    """Return the moment that `YYMMDDhhmmssX` names, in UTC.

    Args:
        text: year to second, and S for summer time, W for normal time or nothing.
        zone: the meter's time zone. With W the meter means its normal time also in summer (Swedish
            meters never change their clocks), with S one hour more; without either, what the zone
            says.

    Returns:
        The moment, or None for a clock that was never set and for an impossible date.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    *digits, flag = match.groups()
    year, *rest = map(int, digits)
    if not _FIRST_YEAR <= 2000 + year < 2070:
        return None
    try:
        local = datetime(2000 + year, *rest, tzinfo=zone)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    if not flag:
        return local.astimezone(UTC)
    offset = (local.utcoffset() or timedelta()) - (local.dst() or timedelta())
    if flag == "S":
        offset += timedelta(hours=1)
    return local.replace(tzinfo=UTC) - offset


@dataclass(frozen=True, slots=True)
class _Line:
    """One line as read: on which channel (0 is the electricity meter), what, and its value."""

    channel: int
    obis: str
    reading: Reading


class Decoder:
    """Reads the telegrams of one P1 port.

    Attributes:
        counters: checksum failures and unreadable lines are counted here.
    """

    def __init__(self, version: Version, zone: tzinfo, counters: Counters) -> None:
        """Prepare for telegrams of a version, from a meter in a time zone."""
        self.counters = counters
        self._version = version
        self._zone = zone
        self._lines: dict[bytes, _Line | None] = {}
        self._logged: set[str] = set()
        self._meters: tuple[MBusMeter, ...] = ()
        self._seen: set[str] = set()

    def decode(self, frame: bytes) -> Telegram:
        """Read a telegram.

        Args:
            frame: its bytes, from '/' to the line end after '!'.

        Raises:
            ChecksumError: the bytes were changed on the way. Nothing of it is believed.
        """
        self._check(frame)
        header, *rest = frame[: frame.rindex(b"!")].splitlines()
        lines: dict[bytes, _Line | None] = {}
        for raw in _joined(rest):
            try:
                lines[raw] = self._lines[raw]
            except KeyError:
                lines[raw] = self._line(raw)
        self._lines = lines
        readings: dict[ReadingKey, Reading] = {}
        channels: dict[int, dict[str, Reading]] = {}
        for line in lines.values():
            if line is None:
                continue
            if line.channel:
                channels.setdefault(line.channel, {}).setdefault(line.obis, line.reading)
            else:
                readings.setdefault(ReadingKey(ELECTRICITY, line.obis), line.reading)
        meters = []
        for channel, values in sorted(channels.items()):
            if meter := self._meter(channel, values):
                meters.append(meter)
                for obis, reading in values.items():
                    readings[ReadingKey(meter.identity, obis)] = reading
        # The same tuple for the same meters: whoever looks after them compares by identity.
        if self._meters != (found := tuple(meters)):
            self._meters = found
        return Telegram(header[1:].decode("ascii", "replace"), readings, self._meters)

    def _check(self, frame: bytes) -> None:
        body, _, checksum = frame.rpartition(b"!")
        if self._version.checksum:
            digits = checksum.strip(b"\0 \t\r\n")
            if not digits or int(digits, 16) != crc16(body + b"!"):
                raise ChecksumError(f"the checksum is {digits.decode('ascii')!r}")
        elif not frame.isascii():
            raise ChecksumError("a byte is not ASCII")

    def _line(self, raw: bytes) -> _Line | None:
        """Read one line, or return None for one that has no OBIS reference."""
        text = raw.decode("latin-1")
        head = _LINE.match(text)
        if head is None:
            self._unreadable(text[:40], "it has no OBIS reference")
            return None
        medium, channel, obis = int(head[1]), int(head[2]), head[3]
        mbus = medium == 0 and channel > 0
        try:
            reading = self._reading(obis, mbus, _GROUP.findall(text, head.end()))
        except (LineError, ValueError, ArithmeticError) as error:
            self._unreadable(head[0], str(error))
            reading = Reading(None)
        if mbus and obis in MBUS_READINGS:
            obis = MBUS_READING
        return _Line(channel if mbus else 0, obis, reading)

    def _reading(self, obis: str, mbus: bool, groups: list[str]) -> Reading:
        known: Mapping[str, Line] = self._version.mbus if mbus else self._version.electricity
        parser = known[obis].parser if obis in known else None
        if isinstance(parser, MBusParser):
            return self._timed(parser, groups)
        if isinstance(parser, CosemParser):
            if len(groups) != 1:
                raise LineError(f"it has {len(groups)} groups in place of one")
            value, unit = self._value(parser.value_formats[0], groups[0])
            return Reading(value, unit)
        # A line of another version or a list: kept as it is written.
        return Reading("".join(f"({group})" for group in groups))

    def _timed(self, parser: MBusParser, groups: list[str]) -> Reading:
        if len(groups) != len(parser.value_formats):
            raise LineError(f"it has {len(groups)} groups in place of {len(parser.value_formats)}")
        # Time and value are the first group and the last. Before DSMR 4 the unit is a group of its
        # own, the last but one.
        time, _ = self._value(parser.value_formats[0], groups[0])
        value, unit = self._value(parser.value_formats[-1], groups[-1])
        if len(groups) > 2:
            unit = groups[-2] or None
        if not isinstance(time, datetime):
            time = None
        if not value and (time is None or unit is None):
            # A meter that was never read says zero: without a unit, or at a moment that never was.
            value = None
        return Reading(value, unit, time)

    def _value(self, value_parser: Any, group: str) -> tuple[Value, str | None]:
        """Read a group: the value in the type that dsmr_parser gives it, and its unit."""
        if value_parser.coerce_type is timestamp:
            return read_timestamp(group, self._zone), None
        text, _, unit = group.partition("*")
        if not text:
            return None, unit or None
        if value_parser.coerce_type is not str and not _NUMBER.fullmatch(text):
            raise LineError(f"{text[:20]!r} is no number")
        value: Value = value_parser.parse(text)["value"]
        return value, unit or None

    def _meter(self, channel: int, values: dict[str, Reading]) -> MBusMeter | None:
        """Return the meter on a channel, or None for an empty slot and one never read."""
        type_ = values.get(MBUS_TYPE, Reading(None)).value
        if type_ is None or not str(type_).isdigit():
            return None
        identifier = next((str(values[o].value or "") for o in MBUS_IDENTIFIERS if o in values), "")
        meter = MBusMeter(int(str(type_)), identifier, channel)
        if values.get(MBUS_READING, Reading(None)).value is not None:
            self._seen.add(meter.identity)
        return meter if meter.identity in self._seen else None

    def _unreadable(self, line: str, reason: str) -> None:
        """Count a line that can't be read; say so once for each."""
        self.counters.unreadable_lines += 1
        if line not in self._logged and len(self._logged) < 100:
            self._logged.add(line)
            LOGGER.warning("The meter's line %r can't be read: %s", line, reason)


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines that say something; one that begins with '(' continues the one before."""
    joined = b""
    for line in lines:
        if line.startswith(b"("):
            joined += line
            continue
        if joined:
            yield joined
        joined = line.strip()
    if joined:
        yield joined
