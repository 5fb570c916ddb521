"""Which meters are behind the electricity meter, and what does each say?"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from .lines import Line
from .models import ELECTRICITY, MBusMeter, MBusType, Reading, ReadingKey, Telegram
from .obis import MBUS_IDENTIFIERS, MBUS_READING, MBUS_TYPE

LONGEST_UNREAD: Final = timedelta(days=30)
"""How much earlier than another one a meter was last read that is not read any more."""

_MBUS_TYPES = frozenset(MBusType)
# Those that come after all others, whatever their numbers: of heat and cold, heat comes first.
_COLD = frozenset({MBusType.COOLING_RETURN, MBusType.COOLING_FLOW, MBusType.HEAT_COOLING})


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
        # Where there is no checksum: what has come once, in this telegram and in the one before.
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
        channels: defaultdict[int, dict[str, Reading]] = defaultdict(dict)
        for line in lines:
            channels[line.channel].setdefault(line.key.obis, line.reading)
        taken: set[str] = set()
        times = [time for values in channels.values() if (time := _read_at(values))]
        self._before, self._strangers = self._strangers, set()
        found = [
            (self._type(channel, values, last), channel, values)
            for channel, values in channels.items()
        ]
        # A meter that was replaced, and the old channel of one that has moved, may stay in the
        # telegrams for years, before those that are read.
        found.sort(key=lambda of: (_rank(of[0]), _is_left(of[2], times), of[1]))
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
                owner = min(owners[identifier], self.owners.get(identifier, type_), key=_rank)
                other = owner != type_
                meter = self._meter(MBusType(type_), channel, values, taken, is_shared=other)
                said = {ReadingKey(meter.identity, obis): values[obis] for obis in values}
                stranger = (meter.type, meter.identity)
                if expected := self._in_place_of(stranger, channel, last):
                    meter = expected
                    said = {k: last.readings[k] for k in last.readings if k.meter == meter.identity}
                elif not self._is_there(meter, values, is_familiar=is_familiar):
                    continue
                elif other:
                    self.owners[identifier] = owner
                taken.add(meter.identity)
                self._seen.add(meter.identity)
                readings.update(said)
                yield meter
            elif type_:
                # There are no rows for such a meter; what it says is not lost.
                for obis, reading in values.items():
                    readings[ReadingKey(ELECTRICITY, f"{channel}:{obis}")] = reading

    def _type(self, channel: int, values: Mapping[str, Reading], last: Telegram) -> int:
        """Return the type of the meter on a channel, or 0 for an empty slot."""
        type_ = _type(values)
        if type_ in _MBUS_TYPES:
            return type_
        expected = self._in_place_of((type_, str(channel)), channel, last)
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
        meters = last.contents.meters
        known = {(m.type, m.identity) for m in meters} | self._before
        expected = next((m for m in meters if m.channel == channel), None)
        if self._has_checksum or stranger in known or expected is None:
            return None
        self._strangers.add(stranger)
        return expected

    def _meter(
        self,
        type_: MBusType,
        channel: int,
        values: dict[str, Reading],
        taken: Container[str],
        *,
        is_shared: bool,
    ) -> MBusMeter:
        """Return the meter on a channel.

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
        return meter

    def _is_there(
        self, meter: MBusMeter, values: Mapping[str, Reading], *, is_familiar: bool
    ) -> bool:
        """Return whether a meter has ever been read; where there is no checksum, not only once.

        Args:
            meter: the meter.
            values: what its lines say.
            is_familiar: whether the lines are like those that came before; new ones have been
                doubted already.
        """
        if meter.identity in self._seen:
            return True
        if values.get(MBUS_READING, Reading(None)).value is None:
            return False
        stranger = (meter.type, meter.identity)
        if self._has_checksum or stranger in self._before or not is_familiar:
            return True
        self._strangers.add(stranger)
        return False


def _rank(type_: int) -> tuple[bool, int]:
    """Return what sorts the types of meters: who of two has the identifier that they share."""
    return type_ in _COLD, type_


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
