"""Which reading of which meter is a line?"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
import re
from typing import Final, NamedTuple

from .const import LOGGER
from .models import Counters, OddLine, Reading
from .obis import MBUS_READING, MBUS_READINGS, MESSAGES, MONTH_END, PEAKS, RELAY
from .privacy import without_identifiers
from .unforeseen import Unforeseen
from .values import printable, read_message, reader_of
from .versions import OTHERS, Version

# An OBIS reference A-B:C.D.E, with or without a *F; the groups in parentheses follow. The examples
# in the standards of DSMR 4 also have C:D.E and A-B:C.D.E.F. Each is a byte (IEC 62056-61).
_REFERENCE = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})[.:](\d{1,3}\.\d{1,3})(?:[*.]\d{1,3})?")

ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
"""Makes all digits one: what is left is the shape of a line, mostly that of the next one too."""

# Lines of which nothing changes but the number, or the minutes and seconds of the hour.
_NUMBER = re.compile(rb"([^(]+\()\d+(?:\.\d*)?(\*(\w+)\)\s*)")
_TIME = re.compile(rb"([^(]+\(\d{8})(\d\d)\d\d([SW]?\)\s*)")

# Lines of noise that are named in the log, each once; afterwards they are only counted.
_MOST_LOGGED = 20
# Lines that are counted each by itself: one whose very reference is damaged is another each time.
_MOST_COUNTED = 200
LONGEST_ODD: Final = 1024
"""The most bytes that are kept of such a line."""
# References of which it is remembered how their lines are read: three times what any meter sends.
_MOST_FORMS = 300


type _Again = Callable[[bytes], Reading | None]


class Line(NamedTuple):
    """One line as read.

    Attributes:
        channel: 0 for the electricity meter.
        obis: the value groups C.D.E, or "" where the line has no reference.
        reading: its value, or none where it can't be read.
        error: why it can't be read, or "".
        odd: where it is counted that it can't be read or that no specification knows it, or None.
        again: reads a later line that differs from this one only in its number, or its minutes and
            seconds, and returns None if it differs elsewhere; None if this line can not be read
            that way.
    """

    channel: int
    obis: str
    reading: Reading
    error: str = ""
    odd: OddLine | None = None
    again: _Again | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    """How the lines of one OBIS reference are read.

    Attributes:
        reference: the reference.
        channel: as in `Line`.
        obis: as in `Line`.
        is_known: whether a specification has it.
        read: reads what stands behind the first parenthesis.
    """

    reference: str
    channel: int
    obis: str
    is_known: bool
    read: Callable[[str], Reading]


class LineReader:
    """Reads the lines of one P1 port."""

    def __init__(self, version: Version, zone: tzinfo, counters: Counters) -> None:
        """Prepare for lines of a version, from a meter in a time zone."""
        self._version = version
        self._zone = zone
        self._counters = counters
        self._forms: dict[bytes, _Form] = {}
        self._logged: set[str] = set()
        self._unforeseen = Unforeseen(counters)

    def read(self, raw: bytes) -> Line:
        """Read one line, with or without its line end."""
        head, parenthesis, groups = raw.partition(b"(")
        head = head.strip()
        form = self._forms.get(head)
        if form is None:
            form = self._form(head)
            if form is None or not parenthesis:
                return self._unreadable(None, raw, "it has no OBIS reference")
            if len(self._forms) < _MOST_FORMS:
                self._forms[head] = form
        try:
            reading = form.read(groups.decode("latin-1"))
        except (ValueError, ArithmeticError) as error:
            return self._unreadable(form, raw, printable(str(error)))
        except Exception as error:
            self._unforeseen.note_in(f"in the line {form.reference}", error)
            return self._unreadable(form, raw, type(error).__name__)
        obis, odd = form.obis, None
        if obis == PEAKS and reading.entries and reading.value is None:
            obis = MONTH_END
        if not form.is_known:
            odd = self._odd(form.reference, _text(raw))
        return Line(form.channel, obis, reading, "", odd, None if odd else _again(raw, reading))

    def _form(self, head: bytes) -> _Form | None:
        reference = _REFERENCE.fullmatch(head.decode("latin-1"))
        if reference is None:
            return None
        medium, channel = int(reference[1]), int(reference[2])
        obis = f"{reference[3]}.{reference[4]}"
        mbus = medium == 0 and channel > 0
        known = self._version.mbus if mbus else self._version.electricity
        parser = known.get(obis) or (OTHERS.mbus if mbus else OTHERS.electricity).get(obis)
        read = reader_of(parser, self._zone)
        if obis.startswith(MESSAGES):
            read = read_message
        if mbus and obis in MBUS_READINGS:
            obis = MBUS_READING
        if mbus and obis == RELAY:
            mbus, obis = False, f"{channel}:{RELAY}"
        return _Form(reference[0], channel if mbus else 0, obis, parser is not None, read)

    def _unreadable(self, form: _Form | None, raw: bytes, reason: str) -> Line:
        """Say once for each line that it can't be read."""
        text, reference = _text(raw), form.reference if form else ""
        line = reference or text[:40]
        if line not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(line)
            # The line may be that of an identifier, and damaged.
            said = map(without_identifiers, (line, reason))
            LOGGER.warning("The meter's line %r can't be read: %s", *said)
        odd = self._odd(reference, text, reason)
        channel, obis = (form.channel, form.obis) if form else (0, "")
        return Line(channel, obis, Reading(None), reason, odd)

    def _odd(self, reference: str, text: str, reason: str = "") -> OddLine:
        """Return where it is counted how often an odd line comes."""
        lines = self._counters.odd_lines
        odd = lines.get(reference) or OddLine(text, reason)
        if len(lines) < _MOST_COUNTED:
            lines[reference] = odd
        odd.text, odd.reason = text[:LONGEST_ODD], reason
        return odd


def _again(raw: bytes, reading: Reading) -> _Again | None:
    """Return what reads later lines like this one: nearly all that change are."""
    value, unit = reading.value, reading.unit
    if isinstance(value, Decimal) and (line := _NUMBER.fullmatch(raw)):
        # In another unit than the one for its quantity, a number is not the value.
        return _number_again(line[1], line[2], unit) if line[3].decode() == unit else None
    if isinstance(value, datetime) and (line := _TIME.fullmatch(raw)):
        # Where a zone is half an hour away from UTC, so is the beginning of its hours.
        return _time_again(line[1], line[3], value) if int(line[2]) == value.minute else None
    return None


def _number_again(start: bytes, end: bytes, unit: str | None) -> _Again:
    begins, ends = len(start), -len(end)

    def read(raw: bytes) -> Reading | None:
        if raw.startswith(start):
            return Reading(Decimal(raw[begins:ends].decode()), unit)
        return None

    return read


def _time_again(start: bytes, end: bytes, earlier: datetime) -> _Again:
    begins, ends = len(start), -len(end)

    def read(raw: bytes) -> Reading | None:
        minute, second = divmod(int(raw[begins:ends]), 100)
        if raw.startswith(start) and minute < 60 and second < 60:
            return Reading(earlier.replace(minute=minute, second=second))
        return None

    return read


def _text(raw: bytes) -> str:
    return raw.decode("latin-1").strip()
