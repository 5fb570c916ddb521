"""What does a telegram say?

Cutting a telegram into lines is done here, so that one bad line costs that line alone, and a line
that has not changed since the last telegram is not read again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import compress, count
from operator import ne

from .checksum import ChecksumError, Checksums
from .derivation import Derivation
from .doubts import Doubts, Trust
from .lines import ALIKE, Line, LineReader
from .meters import Meters
from .models import (
    ELECTRICITY,
    Contents,
    Counters,
    OddLine,
    Reading,
    ReadingKey,
    Telegram,
)
from .obis import MBUS_IDENTIFIERS, MBUS_TYPE
from .registers import Registers
from .values import printable
from .versions import Version

# The lines that say which meters there are.
_METERS = frozenset({MBUS_TYPE, *MBUS_IDENTIFIERS})


@dataclass(slots=True)
class _Last:
    """The last telegram that was read, as far as the next one can be compared with it.

    Attributes:
        raw: its lines as they came; none where no other telegram can be compared with it.
        alike: all of them without their digits.
        said: for each, whose reading it is and the line as read, or None where it can't be followed
            alone.
        odd: where the odd ones are counted.
        unreadable: how many can't be read.
    """

    raw: list[bytes] = field(default_factory=list)
    alike: bytes = b""
    said: list[tuple[ReadingKey, Line] | None] = field(default_factory=list)
    odd: list[OddLine] = field(default_factory=list)
    unreadable: int = 0


class Decoder:
    """Reads the telegrams of one P1 port.

    Attributes:
        version: of which they are.
        counters: checksum failures and unreadable lines are counted here.
    """

    def __init__(
        self,
        version: Version,
        zone: tzinfo,
        counters: Counters,
        owners: Mapping[str, int] | None = None,
    ) -> None:
        """Prepare for telegrams.

        Args:
            version: of which they are.
            zone: the time zone of the meter.
            counters: where it is counted what can't be read.
            owners: by an identifier that M-Bus meters of two types have, the type of the one that
                is known by it alone, as far as that is known.
        """
        self.counters = counters
        self.version = version
        self._zone = zone
        self._reader = LineReader(version, zone, counters)
        self._checksums = Checksums(is_sent=version.checksum)
        self._trust = Trust() if version.checksum else Doubts(version)
        self._meters = Meters(has_checksum=version.checksum, owners=owners or {})
        self._registers = Registers()
        self._derivation = Derivation(counters)
        self._last = _Last()
        self._telegram = Telegram("", {}, Contents(frozenset(), ()))

    def of(self, version: Version) -> Decoder:
        """Return a decoder for the same meter, which has turned out to be of another version."""
        return Decoder(version, self._zone, self.counters, self._meters.owners)

    def decode(self, frame: bytes, now: float) -> Telegram:
        """Read a telegram.

        Args:
            frame: its bytes, from '/' to the line end after '!'.
            now: when it came, in seconds of a monotonic clock.

        Raises:
            ChecksumError: the bytes were changed on the way, or are noise. Nothing is believed.
        """
        sent = self._checksums.passed(frame)
        raw = sent.splitlines(keepends=True)
        try:
            telegram = self._follow(raw, now) if sent.translate(ALIKE) == self._last.alike else None
            self._telegram = telegram or self._read(raw, now)
        except Exception:
            # The state is half updated: do not compare the next telegram with it.
            self._last.alike = b""
            raise
        return self._telegram

    def _follow(self, raw: list[bytes], now: float) -> Telegram | None:
        """Read the lines that changed since the last telegram, if only their values did."""
        news = self._news(raw)
        if news is None:
            return None
        self._last.raw = raw
        said = self._registers.follow(news, now)
        for odd in self._last.odd:
            odd.times += 1
        self.counters.unreadable_lines += self._last.unreadable
        last, (readings, others) = self._telegram, self._derivation.follow(said, now)
        return Telegram(last.header, readings, last.contents, last.readings, others)

    def _news(self, raw: list[bytes]) -> dict[ReadingKey, Reading] | None:
        """Return what the lines that changed say, if they are about the same as before."""
        news, said = {}, self._last.said
        for index in compress(count(), map(ne, raw, self._last.raw, strict=True)):
            before = said[index]
            if before is None:
                return None
            key, line = before
            reading = again(raw[index]) if (again := line.again) else None
            if reading is None:
                now = self._reader.read(raw[index])
                if now.error or now.obis != line.obis or now.channel != line.channel:
                    return None
                self._last.said[index], reading = (key, now), now.reading
            news[key] = reading
        return news

    def _read(self, raw: list[bytes], now: float) -> Telegram:
        """Read all lines."""
        header, *rest = raw
        continued = any(line.startswith(b"(") for line in rest)
        whole = [*_joined(rest)] if continued else rest
        lines = [self._reader.read(line) if line.strip() else None for line in whole]
        lines = self._trust.believed(lines, whole, self._telegram)
        if all(line is None or line.error for line in lines):
            raise ChecksumError("no line of it can be read")
        sent, behind = self._sorted(filter(None, lines))
        unknown = self._trust.unknown(sent, lines)
        found = self._meters.add(sent, behind, self._telegram, is_familiar=self._trust.is_familiar)
        meters = tuple(found) if behind else ()
        is_strange = self._meters.is_strange or self._trust.is_strange
        self._remember([] if continued or is_strange else raw, [None, *lines], sent)
        for key in unknown:
            sent.setdefault(key, Reading(None))
        self._registers.begin(sent, now)
        readings = self._derivation.begin(sent, [meter.identity for meter in meters], now)
        # The same object for the same contents: whoever looks after them compares by identity.
        contents = self._telegram.contents
        if contents.keys != readings.keys() or contents.meters != meters:
            contents = Contents(frozenset(readings), meters)
        return Telegram(printable(header[1:].decode("ascii", "replace")), readings, contents)

    def _remember(
        self, raw: list[bytes], lines: list[Line | None], readings: Mapping[ReadingKey, Reading]
    ) -> None:
        """Remember a telegram, so that only what changes has to be read of the next one."""
        # A line can be followed alone if its reading was taken. It was not if an earlier line had
        # the same reference. A change of a line that names a meter makes all lines be read again.
        whose = {id(reading): key for key, reading in readings.items()}
        said = [
            (key, line)
            if line and line.obis not in _METERS and (key := whose.pop(id(line.reading), None))
            else None
            for line in lines
        ]
        self._last = _Last(
            raw,
            b"".join(raw).translate(ALIKE),
            said,
            [line.odd for line in lines if line and line.odd],
            sum(bool(line and line.error) for line in lines),
        )

    def _sorted(self, lines: Iterable[Line]) -> tuple[dict[ReadingKey, Reading], list[Line]]:
        """Return the readings of the electricity meter, and the lines of the meters behind it."""
        readings: dict[ReadingKey, Reading] = {}
        behind: list[Line] = []
        for line in lines:
            if line.odd is not None:
                line.odd.times += 1
            if line.error:
                self.counters.unreadable_lines += 1
            elif line.channel:
                behind.append(line)
            else:
                readings.setdefault(ReadingKey(ELECTRICITY, line.obis), line.reading)
        return readings, behind


def _joined(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines; one that begins with '(' continues the one before."""
    parts = [b""]
    for line in lines:
        if line.startswith(b"("):
            parts[-1] = parts[-1].rstrip()
            parts.append(line)
            continue
        yield b"".join(parts)
        parts = [line]
    yield b"".join(parts)
