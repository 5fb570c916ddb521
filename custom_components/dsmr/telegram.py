"""What does a telegram say?

Cutting a telegram into lines is done here, so that one bad line costs that line alone, and a line
that has not changed since the last telegram is not read again.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache
import re

from .checksum import TelegramChecksum
from .const import LOGGER
from .derivation import Derivation
from .line import read_line
from .models import (
    ELECTRICITY,
    Contents,
    Counters,
    MBusMeter,
    MBusType,
    OddLine,
    Reading,
    ReadingKey,
    Telegram,
)
from .obis import MBUS_IDENTIFIERS, MBUS_READING, MBUS_READINGS, MBUS_TYPE, MONTH_END, PEAKS, RELAY
from .registers import Register
from .versions import OTHERS, Version

# An OBIS reference A-B:C.D.E, with or without a *F, before the groups in parentheses.
_REFERENCE = re.compile(r"(\d+)-(\d+):(\d+\.\d+\.\d+)(?:\*\d+)?[ ]*(?=\()")
# Commands of the telnet protocol (RFC 854): a gateway that was set to speak it puts them in.
_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa])", re.DOTALL)

# Lines of noise that are named in the log, each once; afterwards they are only counted.
_MOST_LOGGED = 20
# Lines that are counted each by itself: one whose very reference is damaged is another each time.
_MOST_COUNTED = 200


_MBUS_TYPES = frozenset(MBusType)


class ChecksumError(ValueError):
    """A telegram's bytes are not the ones that the meter sent."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line as read.

    Attributes:
        channel: 0 for the electricity meter.
        key: what the line is about, of a meter on a channel as if of the electricity meter.
        reading: its value.
        error: why it can't be read, or "".
        odd: where it is counted that it can't be read or that no specification knows it, or None.
    """

    channel: int
    key: ReadingKey
    reading: Reading
    error: str = ""
    odd: OddLine | None = None


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
        self._lines: dict[bytes, _Line] = {}
        self._logged: set[str] = set()
        self._contents = Contents(frozenset(), ())
        self._seen: set[str] = set()
        self._registers: defaultdict[ReadingKey, Register] = defaultdict(Register)
        self._derivation = Derivation()
        self._checksum = TelegramChecksum()

    def of(self, version: Version) -> Decoder:
        """Return a decoder for the same meter, which has turned out to be of another version."""
        return Decoder(version, self._zone, self.counters)

    def decode(self, frame: bytes, now: float) -> Telegram:
        """Read a telegram.

        Args:
            frame: its bytes, from '/' to the line end after '!'.
            now: when it came, in seconds of a monotonic clock.

        Raises:
            ChecksumError: the bytes were changed on the way. Nothing of it is believed.
        """
        body = self._checked(frame)
        header, *rest = body.splitlines()
        lines: dict[bytes, _Line] = {}
        for raw in _joined(rest) if b"\n(" in body else filter(None, rest):
            try:
                lines[raw] = self._lines[raw]
            except KeyError:
                lines[raw] = self._line(raw)
        self._lines = lines
        readings, behind = self._sorted(lines.values())
        meters = tuple(self._add_meters(readings, behind)) if behind else ()
        for key, reading in readings.items():
            if _is_register(key.obis):
                readings[key] = self._registers[key].believe(reading, now)
        self._derivation.add(readings, [meter.identity for meter in meters])
        # The same object for the same contents: whoever looks after them compares by identity.
        if self._contents.keys != readings.keys() or self._contents.meters != meters:
            self._contents = Contents(frozenset(readings), meters)
        return Telegram(header[1:].decode("ascii", "replace"), readings, self._contents)

    def _sorted(self, lines: Iterable[_Line]) -> tuple[dict[ReadingKey, Reading], list[_Line]]:
        """Return the readings of the electricity meter, and the lines of the meters behind it."""
        readings: dict[ReadingKey, Reading] = {}
        behind: list[_Line] = []
        for line in lines:
            if line.odd is not None:
                line.odd.times += 1
            if line.error:
                self.counters.unreadable_lines += 1
            elif line.channel:
                behind.append(line)
            else:
                readings.setdefault(line.key, line.reading)
        return readings, behind

    def _add_meters(
        self, readings: dict[ReadingKey, Reading], lines: Iterable[_Line]
    ) -> Iterator[MBusMeter]:
        """Add the readings of the M-Bus meters under their identities; yield the meters."""
        channels: defaultdict[int, dict[str, Reading]] = defaultdict(dict)
        for line in lines:
            channels[line.channel].setdefault(line.key.obis, line.reading)
        taken: set[str] = set()
        found = ((_type(values), channel, values) for channel, values in channels.items())
        for type_, channel, values in sorted(found, key=lambda of: of[:2]):
            if type_ in _MBUS_TYPES:
                meter = self._meter(MBusType(type_), channel, values, taken)
                if meter is None:
                    continue
                taken.add(meter.identity)
                for obis, reading in values.items():
                    readings[ReadingKey(meter.identity, obis)] = reading
                yield meter
            elif type_:
                # There are no rows for such a meter; what it says is not lost.
                for obis, reading in values.items():
                    readings[ReadingKey(ELECTRICITY, f"{channel}:{obis}")] = reading

    def _checked(self, frame: bytes) -> bytes:
        """Return what the meter sent before its '!', without what a gateway has put in."""
        body, _, checksum = frame.rpartition(b"!")
        digits = checksum.strip()
        for sent in (body, _TELNET.sub(b"", body)):
            if not self._version.checksum:
                # m³ is the one place where a meter writes a byte that is not ASCII.
                if sent.replace(b"m\xb3", b"").replace(b"m\xb0", b"").isascii():
                    break
            elif (digits := checksum.strip()) and int(digits, 16) == self._checksum.of(sent + b"!"):
                break
        else:
            raise ChecksumError("its bytes are not the ones that the meter sent")
        return sent

    def _line(self, raw: bytes) -> _Line:
        """Read one line."""
        text = raw.decode("latin-1").strip()
        head = _REFERENCE.match(text)
        if head is None:
            return self._unreadable("", text, "it has no OBIS reference")
        medium, channel, obis = int(head[1]), int(head[2]), head[3]
        mbus = medium == 0 and channel > 0
        known = self._version.mbus if mbus else self._version.electricity
        line = known.get(obis) or (OTHERS.mbus if mbus else OTHERS.electricity).get(obis)
        try:
            reading = read_line(line.parser if line else None, text[head.end() :], self._zone)
        except (ValueError, ArithmeticError) as error:
            return self._unreadable(head[0], text, str(error))
        odd = None if line else self._odd(head[0], text)
        if mbus and obis in MBUS_READINGS:
            obis = MBUS_READING
        if obis == PEAKS and reading.entries and reading.entries[0].occurred is None:
            obis = MONTH_END
        if mbus and obis == RELAY:
            return _Line(0, ReadingKey(ELECTRICITY, f"{channel}:{RELAY}"), reading, odd=odd)
        return _Line(channel if mbus else 0, ReadingKey(ELECTRICITY, obis), reading, odd=odd)

    def _meter(
        self, type_: MBusType, channel: int, values: dict[str, Reading], taken: Container[str]
    ) -> MBusMeter | None:
        """Return the meter on a channel, or None for one that was never read.

        Args:
            type_: what it measures.
            channel: where it is.
            values: what its lines say.
            taken: the identities of other meters. One device that measures heat and cold has two
                channels and one identifier.
        """
        identifiers = (str(values[obis].value or "") for obis in MBUS_IDENTIFIERS if obis in values)
        identifier = next(filter(None, identifiers), "")
        for suffix in ("", f" {type_}", f" {type_} {channel}"):
            meter = MBusMeter(type_, identifier and identifier + suffix, channel)
            if meter.identity not in taken:
                break
        if values.get(MBUS_READING, Reading(None)).value is not None:
            self._seen.add(meter.identity)
        return meter if meter.identity in self._seen else None

    def _unreadable(self, reference: str, text: str, reason: str) -> _Line:
        """Say once for each line that it can't be read."""
        line = reference or text[:40]
        if line not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(line)
            LOGGER.warning("The meter's line %r can't be read: %s", line, reason)
        odd = self._odd(reference, text, reason)
        return _Line(0, ReadingKey(ELECTRICITY, line), Reading(None), reason, odd)

    def _odd(self, reference: str, text: str, reason: str = "") -> OddLine:
        """Return where it is counted how often an odd line comes."""
        lines = self.counters.odd_lines
        odd = lines.get(reference) or OddLine(text, reason)
        if len(lines) < _MOST_COUNTED:
            lines[reference] = odd
        odd.text, odd.reason = text, reason
        return odd


def _type(values: Mapping[str, Reading]) -> int:
    """Return the type of the meter on a channel, or 0 for an empty slot."""
    type_ = str(values.get(MBUS_TYPE, Reading(None)).value)
    return int(type_) if type_.isdecimal() else 0


@cache
def _is_register(obis: str) -> bool:
    """Return whether a value only counts up: energy by the value group D, and M-Bus readings."""
    return obis == MBUS_READING or ".8." in obis


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines that say something; one that begins with '(' continues the one before."""
    joined = b""
    for line in lines:
        if line.startswith(b"("):
            joined += line
            continue
        if joined:
            yield joined
        joined = line
    if joined:
        yield joined
