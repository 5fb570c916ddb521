"""Which register is believed?

A register counts up. One telegram in which it reads zero, runs back or jumps by more than any fuse
carries is a fault of the meter or of the line that no checksum shows.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .models import Reading, ReadingKey
from .obis import MBUS_READING

DOUBTED_TELEGRAMS: Final = 3
"""Telegrams in a row that count on from each other make a meter that was replaced. Of a meter that
is read now and then, and repeated until it is read again, it is as many readings …"""
DOUBTED_SECONDS: Final = 30.0
"""… and of any other, whatever comes is believed after as many."""
MOST_PER_HOUR: Final[Mapping[str | None, int]] = {
    "kWh": 2000,
    "kvarh": 2000,
    "GJ": 10,
    "m³": 1000,
}
"""By the unit, the most that a register can count: a transformer station, in m³ a factory."""
_UNKNOWN: Final = Reading(None)
_SLACK: Final = Decimal(1)
"""Of the register's unit: registers are also corrected, and round."""


@dataclass(slots=True)
class _Doubt:
    """What is not believed yet.

    Attributes:
        reading: the last one that was not believed.
        at: when it came.
        since: when the first one in a row came.
        telegrams: how many of the last ones count on from each other.
    """

    reading: Reading
    at: float
    since: float
    telegrams: int = 1


class Registers:
    """The registers of the meters at one P1 port."""

    def __init__(self) -> None:
        """Believe the first reading of each."""
        self._registers: defaultdict[ReadingKey, Register] = defaultdict(Register)
        # What the telegram says of those that are not believed.
        self._doubted: dict[ReadingKey, Reading] = {}
        # When the telegram before came.
        self._at = 0.0

    def begin(self, sent: dict[ReadingKey, Reading], now: float) -> None:
        """Put what is believed in the place of what a telegram says.

        Args:
            sent: all that the telegram says.
            now: when it came, in seconds of a monotonic clock.
        """
        self._doubted.clear()
        for key, reading in sent.items():
            # What only counts up: energy by the value group D, and M-Bus readings.
            if key.obis == MBUS_READING or ".8." in key.obis:
                sent[key] = self._believed(key, reading, now)
        self._at = now

    def follow(self, news: dict[ReadingKey, Reading], now: float) -> dict[ReadingKey, Reading]:
        """Return what is believed of the next telegram, of all that may be another than before.

        Args:
            news: what it says of the lines that say something else than before.
            now: when it came, in seconds of a monotonic clock.
        """
        # One that is doubted may be believed though its line stays as it is.
        said = {**self._doubted, **news} if self._doubted else news
        for key in said:
            if key in self._registers:
                said[key] = self._believed(key, said[key], now)
        self._at = now
        return said

    def _believed(self, key: ReadingKey, reading: Reading, now: float) -> Reading:
        """Return the reading of a register, or what is believed in its place."""
        believed = self._registers[key].believe(reading, now, self._at)
        if believed is not reading:
            self._doubted[key] = reading
        else:
            self._doubted.pop(key, None)
        return believed


class Register:
    """One register of one meter."""

    def __init__(self) -> None:
        """Believe the first reading, if it is not the zero of one that is read now and then."""
        self._believed: Reading | None = None
        self._at = 0.0
        self._doubt: _Doubt | None = None

    def believe(self, reading: Reading, now: float, earlier: float) -> Reading:
        """Return the reading, or the last one that was believed in its place.

        Args:
            reading: what the telegram says. No call is needed for a reading that has not changed
                since it was believed.
            now: monotonic time, in seconds.
            earlier: when the telegram before came.
        """
        believed = self._believed
        if self._doubt is None:
            self._at = earlier
        if not isinstance(reading.value, Decimal):
            return reading
        if believed is None:
            # As long as the electricity meter has not read it again, it may send zero.
            follows = reading.time is None or bool(reading.value)
        else:
            follows = _counts_on(believed, reading, now - self._at)
        if follows or self._persists(reading, now):
            self._believed, self._doubt = reading, None
            return reading
        return believed or _UNKNOWN

    def _persists(self, reading: Reading, now: float) -> bool:
        """Return whether doubted values have come for long enough, or one that counts on often."""
        believed, doubt = self._believed, self._doubt
        if doubt is None:
            self._doubt = _Doubt(reading, now, now)
            return False
        # The meter repeats it until it is read again, with what is wrong in it. But of two values
        # for one moment the line has damaged one, and that is not the one that is repeated.
        is_repeated = reading.time and (believed is None or reading.time != believed.time)
        if is_repeated and reading == doubt.reading:
            return False
        counts_on = _counts_on(doubt.reading, reading, now - doubt.at)
        doubt.telegrams = doubt.telegrams + 1 if counts_on else 1
        doubt.reading, doubt.at = reading, now
        is_late = not is_repeated and now - doubt.since >= DOUBTED_SECONDS
        return is_late or doubt.telegrams >= DOUBTED_TELEGRAMS


def _counts_on(before: Reading, reading: Reading, seconds: float) -> bool:
    """Return whether a register may have counted from one reading to another in so many seconds."""
    value, counted = reading.value, before.value
    if not isinstance(value, Decimal) or not isinstance(counted, Decimal):
        return False
    if reading.unit != before.unit:
        return False
    if reading.time and before.time:
        seconds = max(seconds, (reading.time - before.time).total_seconds())
    most = MOST_PER_HOUR.get(reading.unit, 0) * Decimal(seconds) / 3600 + _SLACK
    return 0 <= value - counted <= most
