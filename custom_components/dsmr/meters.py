"""Which meters are behind the electricity meter, and what does each say?"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from .lines import Line
from .models import COOLING, ELECTRICITY, MBusMeter, MBusType, Reading, ReadingKey, Telegram
from .obis import MBUS_IDENTIFIERS, MBUS_READING, MBUS_TYPE

LONGEST_UNREAD: Final = timedelta(days=30)
"""A meter whose last reading is this much older than that of another meter is no longer read."""

_NEVER = datetime.min.replace(tzinfo=UTC)
_MBUS_TYPES = frozenset(MBusType)


@dataclass(slots=True)
class _Channel:
    """What the lines of one M-Bus channel say.

    Attributes:
        number: which channel.
        values: their readings, by the value groups C.D.E.
        type: what the meter there measures, also a type that is none of `MBusType`; 0 for an empty
            slot.
    """

    number: int
    values: dict[str, Reading] = field(default_factory=dict)
    type: int = 0

    @property
    def sent_type(self) -> int:
        """The type that it sends, or 0."""
        text = str(self.values.get(MBUS_TYPE, Reading(None)).value)
        return int(text) if text.isdecimal() else 0

    @property
    def identifier(self) -> str:
        """The identifier that it sends, or ""."""
        sent = (
            str(self.values[obis].value or "") for obis in MBUS_IDENTIFIERS if obis in self.values
        )
        return next(filter(None, sent), "")

    @property
    def reading(self) -> Reading:
        """What the meter counts."""
        return self.values.get(MBUS_READING, Reading(None))

    def is_left(self, latest: datetime) -> bool:
        """Return whether the meter is not read, or not any more while others are."""
        value, _, time, _ = self.reading
        return value is None or (time is not None and latest - time > LONGEST_UNREAD)


class Meters:
    """Finds the M-Bus meters in the telegrams of one P1 port, by their identifiers."""

    def __init__(self, *, has_checksum: bool, owners: Mapping[str, int]) -> None:
        """Begin without a meter.

        Args:
            has_checksum: whether telegrams have one, or may be damaged unnoticed.
            owners: by an identifier that meters of two types have, the type of the one that is
                known by it alone.
        """
        self._has_checksum = has_checksum
        self._seen: set[str] = set()
        # Where there is no checksum: what has come once, in this telegram, and what there was in
        # the one before.
        self._strangers: set[tuple[int, str]] = set()
        self._before: set[tuple[int, str]] = set()
        self.owners = {**owners}

    @property
    def is_strange(self) -> bool:
        """Whether the last telegram had meters that are not believed yet."""
        return bool(self._strangers)

    def add(
        self,
        readings: dict[ReadingKey, Reading],
        lines: Iterable[Line],
        last: Telegram,
        *,
        is_familiar: bool,
    ) -> Iterator[MBusMeter]:
        """Add the readings of the M-Bus meters under their identities; yield the meters.

        Args:
            readings: to which they are added.
            lines: of the M-Bus channels, as read.
            last: the telegram before.
            is_familiar: whether all lines of this one are like those that came before.
        """
        channels: dict[int, _Channel] = {}
        for line in lines:
            channel = channels.setdefault(line.channel, _Channel(line.channel))
            channel.values.setdefault(line.obis, line.reading)
        self._before = self._strangers | {(m.type, m.identity) for m in last.contents.meters}
        self._strangers = set()
        for channel in channels.values():
            channel.type = self._type(channel, last)
        latest = max(filter(None, (c.reading.time for c in channels.values())), default=_NEVER)
        # A meter that was replaced, and the old channel of one that has moved, may stay in the
        # telegrams for years, before those that are read.
        found = sorted(
            channels.values(), key=lambda c: (_rank(c.type), c.is_left(latest), c.number)
        )
        # One device that measures heat and cold has two channels and one identifier, which is that
        # of the heat meter, also as long as that is not read or its channel is missing.
        owners = {c.identifier: c.type for c in reversed(found) if c.type in _MBUS_TYPES}
        taken: set[str] = set()
        for channel in found:
            if channel.type in _MBUS_TYPES:
                identifier = channel.identifier
                owner = min(
                    owners[identifier], self.owners.get(identifier, channel.type), key=_rank
                )
                is_shared = owner != channel.type
                meter = _meter(channel, taken, is_shared=is_shared)
                said = {ReadingKey(meter.identity, o): r for o, r in channel.values.items()}
                stranger = (meter.type, meter.identity)
                if expected := self._in_place_of(stranger, channel.number, last):
                    meter = expected
                    said = {k: last.readings[k] for k in last.readings if k.meter == meter.identity}
                elif not self._is_there(meter, channel, is_familiar=is_familiar):
                    continue
                elif is_shared:
                    self.owners[identifier] = owner
                taken.add(meter.identity)
                self._seen.add(meter.identity)
                readings.update(said)
                yield meter
            elif channel.type:
                # There are no rows for such a meter; what it says is not lost.
                for obis, reading in channel.values.items():
                    readings[ReadingKey(ELECTRICITY, f"{channel.number}:{obis}")] = reading

    def _type(self, channel: _Channel, last: Telegram) -> int:
        """Return the type of the meter on a channel, or of the one that is expected there."""
        type_ = channel.sent_type
        if type_ in _MBUS_TYPES:
            return type_
        expected = self._in_place_of((type_, str(channel.number)), channel.number, last)
        return expected.type if expected else type_

    def _in_place_of(
        self, stranger: tuple[int, str], channel: int, last: Telegram
    ) -> MBusMeter | None:
        """Return which meter is expected on a channel where another one comes first, or None.

        Where there is no checksum it may be the type or the identifier that was damaged. What comes
        again in the next telegram is there.

        Args:
            stranger: the type and the identity of what comes; the channel where it has no rows.
            channel: where it is.
            last: the telegram before.
        """
        expected = next((m for m in last.contents.meters if m.channel == channel), None)
        if self._has_checksum or stranger in self._before or expected is None:
            return None
        self._strangers.add(stranger)
        return expected

    def _is_there(self, meter: MBusMeter, channel: _Channel, *, is_familiar: bool) -> bool:
        """Return whether a meter has ever been read; where there is no checksum, not only once.

        Args:
            meter: the meter.
            channel: where it is.
            is_familiar: whether the lines are like those that came before; new ones have been
                doubted already.
        """
        if meter.identity in self._seen:
            return True
        if channel.reading.value is None:
            return False
        stranger = (meter.type, meter.identity)
        if self._has_checksum or stranger in self._before or not is_familiar:
            return True
        self._strangers.add(stranger)
        return False


def _meter(channel: _Channel, taken: Container[str], *, is_shared: bool) -> MBusMeter:
    """Return the meter on a channel.

    Args:
        channel: where it is.
        taken: the identities of other meters.
        is_shared: whether its identifier is that of a meter of another type.
    """
    type_, identifier = MBusType(channel.type), channel.identifier
    for suffix in ("", f" {type_}", f" {type_} {channel.number}")[is_shared:]:
        meter = MBusMeter(type_, identifier and identifier + suffix, channel.number)
        if meter.identity not in taken:
            break
    return meter


def _rank(type_: int) -> tuple[bool, int]:
    """Return what sorts the types of meters: who of two has the identifier that they share."""
    # Of heat and cold, heat comes first, whatever the numbers of the types.
    return type_ in COOLING, type_
