"""What does a telegram say?

Cutting a telegram into lines is done here, so that one bad line costs that line alone, and a line
that has not changed since the last telegram is not read again.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import accumulate, compress, count
from operator import ne
import re
from typing import Final

from .checksum import crc16, crc16_of_changes
from .derivation import TARIFFS, Derivation
from .line import printable
from .lines import Line, LineReader
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
from .obis import MBUS_IDENTIFIERS, MBUS_READING, MBUS_TYPE
from .registers import DOUBTED_TELEGRAMS, Register
from .versions import Version

# Commands of the telnet protocol (RFC 854): a gateway that was set to speak it puts them in.
_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa])", re.DOTALL)

LONGEST_UNREAD: Final = timedelta(days=30)
"""How much earlier than another one a meter was last read that is not read any more."""

PROVEN: Final = 10
"""Telegrams in a row with a right checksum after which each must have one, also where the version
has none: chance makes one in 65,536 right. After as many wrong ones none has to be right any more,
which is before a meter that talks each second would be called silent."""

_MBUS_TYPES = frozenset(MBusType)
# The lines that say which meters there are.
_METERS = frozenset({MBUS_TYPE, *MBUS_IDENTIFIERS})
# The registers of which a total is the sum.
_SUMMANDS = frozenset(tariff for tariffs in TARIFFS.values() for tariff in tariffs)
# All digits are one: what is left of a telegram is mostly the same in the next one.
_ALIKE = bytes.maketrans(b"123456789", b"000000000")
# Kinds of lines that are remembered where there is no checksum: ten times what any meter sends.
_MOST_KINDS: Final = 300


class ChecksumError(ValueError):
    """A telegram's bytes are not the ones that the meter sent."""


class Decoder:
    """Reads the telegrams of one P1 port.

    Attributes:
        version: of which they are.
        counters: checksum failures and unreadable lines are counted here.
    """

    def __init__(self, version: Version, zone: tzinfo, counters: Counters) -> None:
        """Prepare for telegrams of a version, from a meter in a time zone."""
        self.counters = counters
        self.version = version
        self._zone = zone
        self._reader = LineReader(version, zone, counters)
        # Whether a checksum must be right, and how many telegrams in a row say otherwise.
        self._must_be_right = version.checksum
        self._otherwise = 0
        self._seen: set[str] = set()
        self._registers: defaultdict[ReadingKey, Register] = defaultdict(Register)
        # What the lines say of which the register is not believed.
        self._doubted: dict[ReadingKey, Reading] = {}
        # Where there is no checksum: the lines that the meter sends, and those that have come once.
        self._kinds: set[int] = set()
        self._strange: set[int] = set()
        # There too: of which registers a total is the sum, and how many telegrams in a row have
        # lacked one of them.
        self._summands = {
            total: version.electricity.keys() & set(tariffs) for total, tariffs in TARIFFS.items()
        }
        self._lacking = dict.fromkeys(TARIFFS, 0)
        # And what has come once on the channel of an M-Bus meter.
        self._strangers: set[tuple[int, str]] = set()
        # By an identifier that meters of two types have: the type of the one known by it alone.
        self._owners: dict[str, int] = {}
        self._derivation = Derivation(counters)
        # The last telegram: when it came, its checksum, its lines as they came, all of them without
        # their digits, how many bytes stand behind each, and what each says of whose reading.
        self._at = 0.0
        self._crc: int | None = None
        self._raw: list[bytes] = []
        self._alike = b""
        self._behind: list[int] = []
        self._lines: list[tuple[ReadingKey, Line] | None] = []
        self._odd: list[OddLine] = []
        self._unreadable = 0
        self._telegram = Telegram("", {}, Contents(frozenset(), ()))

    def of(self, version: Version) -> Decoder:
        """Return a decoder for the same meter, which has turned out to be of another version."""
        return Decoder(version, self._zone, self.counters)

    def passes(self, frame: bytes) -> bool:
        """Return whether the bytes of a telegram are those that a meter of the version sent."""
        try:
            self._checked(frame)
        except ChecksumError:
            return False
        return True

    def decode(self, frame: bytes, now: float) -> Telegram:
        """Read a telegram.

        Args:
            frame: its bytes, from '/' to the line end after '!'.
            now: when it came, in seconds of a monotonic clock.

        Raises:
            ChecksumError: the bytes were changed on the way, or are noise. Nothing is believed.
        """
        raw, changed, crc = self._checked(frame)
        try:
            telegram = None if changed is None else self._follow(raw, changed, now)
            self._telegram = telegram or self._read(raw, now)
        except Exception:
            # What is remembered by halves, no telegram can be compared with.
            self._alike = b""
            raise
        self._at, self._crc = now, crc
        return self._telegram

    def _follow(self, raw: list[bytes], changed: Sequence[int], now: float) -> Telegram | None:
        """Read the lines that changed since the last telegram, if only their values did."""
        news = self._news(raw, changed)
        if news is None:
            return None
        self._raw = raw
        # A register that is doubted may be believed though its line stays as it is.
        said = {**self._doubted, **news} if self._doubted else news
        for key in said.keys() & self._registers.keys():
            said[key] = self._believed(key, said[key], now)
        for odd in self._odd:
            odd.times += 1
        self.counters.unreadable_lines += self._unreadable
        last, (readings, others) = self._telegram, self._derivation.follow(said, now)
        return Telegram(last.header, readings, last.contents, last.readings, others)

    def _news(self, raw: list[bytes], changed: Sequence[int]) -> dict[ReadingKey, Reading] | None:
        """Return what the lines that changed say, if they are about the same as before."""
        news = {}
        for index in changed:
            before = self._lines[index]
            if before is None:
                return None
            key, line = before
            reading = line.again(raw[index]) if line.again else None
            if reading is None:
                now = self._reader.read(raw[index])
                if now.error or now.key != line.key or now.channel != line.channel:
                    return None
                self._lines[index], reading = (key, now), now.reading
            news[key] = reading
        return news

    def _believed(self, key: ReadingKey, reading: Reading, now: float) -> Reading:
        """Return the reading of a register, or what is believed in its place."""
        believed = self._registers[key].believe(reading, now, self._at)
        if believed is not reading:
            self._doubted[key] = reading
        else:
            self._doubted.pop(key, None)
        return believed

    def _read(self, raw: list[bytes], now: float) -> Telegram:
        """Read all lines."""
        header, *rest = raw
        continued = any(line.startswith(b"(") for line in rest)
        whole = [*_joined(rest)] if continued else rest
        lines = [self._reader.read(line) if line.strip() else None for line in whole]
        if not self.version.checksum:
            lines = self._familiar(lines, whole)
        if all(line is None or line.error for line in lines):
            raise ChecksumError("no line of it can be read")
        sent, behind = self._sorted(filter(None, lines))
        partial = [] if self.version.checksum else self._partial(sent)
        meters = tuple(self._add_meters(sent, behind)) if behind else ()
        doubts = continued or self._strange or self._strangers or partial
        self._remember([] if doubts else raw, [None, *lines], sent)
        self._doubted.clear()
        for total in partial:
            sent.setdefault(total, Reading(None))
        for key, reading in sent.items():
            if _is_register(key.obis):
                sent[key] = self._believed(key, reading, now)
        readings = self._derivation.begin(sent, [meter.identity for meter in meters], now)
        # The same object for the same contents: whoever looks after them compares by identity.
        contents = self._telegram.contents
        if contents.keys != readings.keys() or contents.meters != meters:
            contents = Contents(frozenset(readings), meters)
        return Telegram(printable(header[1:].decode("ascii", "replace")), readings, contents)

    def _familiar(self, lines: list[Line | None], whole: list[bytes]) -> list[Line | None]:
        """Return the lines without those of references or shapes that come for the first time.

        Where there is no checksum it may be the reference that was damaged; and where a byte of the
        value was lost or came twice, the line is of another shape. One that comes again in the next
        telegram is the meter's. Where most are new, it was the telegrams before that were damaged,
        or there were none.

        Args:
            lines: the lines as read, None for blank ones.
            whole: as they came.
        """
        kinds = [
            _kind(line, raw) if line and not line.error else None
            for line, raw in zip(lines, whole, strict=True)
        ]
        sent = {kind for kind in kinds if kind is not None}
        strange = sent - self._kinds
        doubted = strange - self._strange if 2 * len(strange) < len(sent) else set()
        self._strange = doubted
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.clear()
        self._kinds |= sent - doubted
        return [None if kind in doubted else line for line, kind in zip(lines, kinds, strict=True)]

    def _partial(self, sent: Mapping[ReadingKey, Reading]) -> list[ReadingKey]:
        """Return the totals that would be too small, because the line of a tariff was damaged.

        Where there is no checksum, nothing else says so. A meter of which it is known from the
        version what it sends is believed at once.
        """
        found = []
        for total, tariffs in TARIFFS.items():
            keys = {tariff: ReadingKey(ELECTRICITY, tariff) for tariff in tariffs}
            read = {t for t, key in keys.items() if key in sent and sent[key].value is not None}
            lacks = not read >= self._summands[total]
            self._lacking[total] = self._lacking[total] + 1 if lacks else 0
            if self._lacking[total] in range(1, DOUBTED_TELEGRAMS):
                found += [ReadingKey(ELECTRICITY, total)] if read else []
            else:
                self._summands[total] = read
        return found

    def _remember(
        self, raw: list[bytes], lines: list[Line | None], readings: Mapping[ReadingKey, Reading]
    ) -> None:
        """Remember a telegram, so that only what changes has to be read of the next one."""
        self._raw, self._alike = raw, b"".join(raw).translate(_ALIKE)
        self._behind = list(accumulate(map(len, reversed(raw[1:])), initial=len("!")))[::-1]
        # What a line says is a reading of a meter, or not where an earlier line said the same; but
        # who knows which meters there are when a line changes that says which?
        whose = {id(reading): key for key, reading in readings.items()}
        self._lines = [
            (key, line)
            if line and line.key.obis not in _METERS and (key := whose.pop(id(line.reading), None))
            else None
            for line in lines
        ]
        self._odd = [line.odd for line in lines if line and line.odd]
        self._unreadable = sum(bool(line and line.error) for line in lines)

    def _sorted(self, lines: Iterable[Line]) -> tuple[dict[ReadingKey, Reading], list[Line]]:
        """Return the readings of the electricity meter, and the lines of the meters behind it."""
        readings: dict[ReadingKey, Reading] = {}
        unread: dict[ReadingKey, Reading] = {}
        behind: list[Line] = []
        for line in lines:
            if line.odd is not None:
                line.odd.times += 1
            if line.error:
                self.counters.unreadable_lines += 1
                # Without it the total is not known. Where there is no checksum, see `_partial`.
                if self.version.checksum and line.key.obis in _SUMMANDS:
                    unread[line.key] = line.reading
            elif line.channel:
                behind.append(line)
            else:
                readings.setdefault(line.key, line.reading)
        return {**unread, **readings}, behind

    def _add_meters(
        self, readings: dict[ReadingKey, Reading], lines: Iterable[Line]
    ) -> Iterator[MBusMeter]:
        """Add the readings of the M-Bus meters under their identities; yield the meters."""
        channels: defaultdict[int, dict[str, Reading]] = defaultdict(dict)
        for line in lines:
            channels[line.channel].setdefault(line.key.obis, line.reading)
        taken: set[str] = set()
        times = [time for values in channels.values() if (time := _read_at(values))]
        strangers: set[tuple[int, str]] = set()
        found = [
            (self._type(channel, values, strangers), channel, values)
            for channel, values in channels.items()
        ]
        # A meter that was replaced, and the old channel of one that has moved, may stay in the
        # telegrams for years, before those that are read.
        found.sort(key=lambda of: (of[0], _is_left(of[2], times), of[1]))
        # One device that measures heat and cold has two channels and one identifier, which is that
        # of the heat meter, also as long as that is not read or its channel is missing.
        owners = {
            _identifier(values): type_
            for type_, _, values in reversed(found)
            if type_ in _MBUS_TYPES
        }
        for type_, channel, values in found:
            if type_ in _MBUS_TYPES:
                identifier = _identifier(values)
                owner = min(owners[identifier], self._owners.get(identifier, type_))
                other = owner != type_
                meter = self._meter(MBusType(type_), channel, values, taken, is_shared=other)
                if meter is None:
                    continue
                said = {ReadingKey(meter.identity, obis): values[obis] for obis in values}
                stranger = (meter.type, meter.identity)
                if expected := self._in_place_of(stranger, channel, strangers):
                    meter, last = expected, self._telegram.readings
                    said = {key: last[key] for key in last if key.meter == meter.identity}
                elif other:
                    self._owners[identifier] = owner
                taken.add(meter.identity)
                self._seen.add(meter.identity)
                readings.update(said)
                yield meter
            elif type_:
                # There are no rows for such a meter; what it says is not lost.
                for obis, reading in values.items():
                    readings[ReadingKey(ELECTRICITY, f"{channel}:{obis}")] = reading
        self._strangers = strangers

    def _type(
        self, channel: int, values: Mapping[str, Reading], strangers: set[tuple[int, str]]
    ) -> int:
        """Return the type of the meter on a channel, or 0 for an empty slot."""
        type_ = _type(values)
        if type_ in _MBUS_TYPES:
            return type_
        expected = self._in_place_of((type_, str(channel)), channel, strangers)
        return expected.type if expected else type_

    def _in_place_of(
        self, stranger: tuple[int, str], channel: int, strangers: set[tuple[int, str]]
    ) -> MBusMeter | None:
        """Return which meter is expected on a channel where another one comes first, or None.

        Where there is no checksum it may be the type or the identifier that was damaged. What comes
        again in the next telegram is there.

        Args:
            stranger: the type and the identity of what comes; the channel where it has no rows.
            channel: where it is.
            strangers: to these it is added where another one is expected.
        """
        last = self._telegram.contents.meters
        known = {(m.type, m.identity) for m in last} | self._strangers
        expected = next((m for m in last if m.channel == channel), None)
        if self.version.checksum or stranger in known or expected is None:
            return None
        strangers.add(stranger)
        return expected

    def _checked(self, frame: bytes) -> tuple[list[bytes], Sequence[int] | None, int | None]:
        """Return the lines that the meter sent before its '!', which of them changed, and the CRC.

        Where other lines came in the last telegram, None stands for those that changed; and for the
        CRC where the meter sent none.
        """
        body, _, checksum = frame.rpartition(b"!")
        digits = checksum.strip()
        for sent in _as_sent(body):
            raw = sent.splitlines(keepends=True)
            changed = None
            if sent.translate(_ALIKE) == self._alike:
                changed = [*compress(count(), map(ne, raw, self._raw, strict=True))]
            if not digits:
                crc = None
            elif changed is None or self._crc is None:
                crc = crc16(sent + b"!")
            else:
                crc = self._crc ^ crc16_of_changes(self._raw, raw, changed, self._behind)
            if self._is_believed(sent, is_right=crc is not None and int(digits, 16) == crc):
                return raw, changed, crc
        raise ChecksumError("its bytes are not the ones that the meter sent")

    def _is_believed(self, sent: bytes, *, is_right: bool) -> bool:
        """Return whether a telegram is believed whose checksum is right, or is not or is missing.

        The Iskra IE.5 sends one though its version has none.
        """
        if is_right is self._must_be_right:
            self._otherwise = 0
        elif not self.version.checksum:
            self._otherwise += 1
            if self._otherwise == PROVEN:
                self._must_be_right, self._otherwise = is_right, 0
        if is_right or self._must_be_right:
            return is_right
        # m³ is the one place where a meter writes a byte that is not ASCII.
        return sent.replace(b"m\xb3", b"").replace(b"m\xb0", b"").isascii()

    def _meter(
        self,
        type_: MBusType,
        channel: int,
        values: dict[str, Reading],
        taken: Container[str],
        *,
        is_shared: bool,
    ) -> MBusMeter | None:
        """Return the meter on a channel, or None for one that was never read.

        Args:
            type_: what it measures.
            channel: where it is.
            values: what its lines say.
            taken: the identities of other meters.
            is_shared: whether its identifier is that of a meter of another type.
        """
        identifier = _identifier(values)
        for suffix in ("", f" {type_}", f" {type_} {channel}")[is_shared:]:
            meter = MBusMeter(type_, identifier and identifier + suffix, channel)
            if meter.identity not in taken:
                break
        is_read = values.get(MBUS_READING, Reading(None)).value is not None
        return meter if is_read or meter.identity in self._seen else None


def _kind(line: Line, raw: bytes) -> int:
    """Return a number for the channel, the reference and the shape of a line.

    An identifier may have any shape: what doubts it is `_in_place_of`.
    """
    is_identifier = line.channel and line.key.obis in MBUS_IDENTIFIERS
    return hash((line.channel, line.key, b"" if is_identifier else raw.translate(_ALIKE)))


def _identifier(values: Mapping[str, Reading]) -> str:
    """Return the identifier of the meter on a channel, or "" where it sends none."""
    identifiers = (str(values[obis].value or "") for obis in MBUS_IDENTIFIERS if obis in values)
    return next(filter(None, identifiers), "")


def _type(values: Mapping[str, Reading]) -> int:
    """Return the type of the meter on a channel, or 0 for an empty slot."""
    type_ = str(values.get(MBUS_TYPE, Reading(None)).value)
    return int(type_) if type_.isdecimal() else 0


def _read_at(values: Mapping[str, Reading]) -> datetime | None:
    """Return when the meter on a channel was read."""
    return values.get(MBUS_READING, Reading(None)).time


def _is_left(values: Mapping[str, Reading], times: Sequence[datetime]) -> bool:
    """Return whether the meter on a channel is not read, or not any more while others are."""
    reading = values.get(MBUS_READING, Reading(None))
    late = reading.time is not None and max(times) - reading.time > LONGEST_UNREAD
    return late or reading.value is None


def _is_register(obis: str) -> bool:
    """Return whether a value only counts up: energy by the value group D, and M-Bus readings."""
    return obis == MBUS_READING or ".8." in obis


def _as_sent(body: bytes) -> tuple[bytes, ...]:
    """Return what came, and what the meter sent if a gateway has put something in."""
    return (body, _TELNET.sub(b"", body)) if b"\xff" in body else (body,)


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
