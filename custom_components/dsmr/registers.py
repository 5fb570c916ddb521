"""Which register is believed?

A register counts up. One telegram in which it reads zero, runs back or jumps by more than any fuse
carries is a fault of the meter or of the line that no checksum shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .models import Reading

DOUBTED_TELEGRAMS: Final = 3
"""Telegrams in a row that count on from each other make a meter that was replaced …"""
DOUBTED_SECONDS: Final = 30.0
"""… and whatever comes is believed after as many: telegrams may be rare, and power high."""
MOST_PER_HOUR: Final[Mapping[str | None, int]] = {
    "kWh": 2000,
    "kvarh": 2000,
    "GJ": 10,
    "m³": 1000,
}
"""By the unit, the most that a register can count: a transformer station, in m³ a factory."""
_SLACK: Final = Decimal(1)
"""Of the register's unit: registers are also corrected, and round."""


@dataclass(slots=True)
class _Doubt:
    """What is not believed yet.

    Attributes:
        value: the last value that was not believed.
        since: when the first one in a row came.
        telegrams: how many of the last ones count on from each other.
    """

    value: Decimal
    since: float
    telegrams: int


class Register:
    """One register of one meter."""

    def __init__(self) -> None:
        """Believe the first reading."""
        self._believed: Reading | None = None
        self._value = Decimal()
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
        believed, value = self._believed, reading.value
        if self._doubt is None:
            self._at = earlier
        if not isinstance(value, Decimal):
            return reading
        if (
            believed is None
            or self._is_plausible(believed, reading, value - self._value, now)
            or self._persists(value, now)
        ):
            self._believed, self._value, self._doubt = reading, value, None
            return reading
        return believed

    def _is_plausible(
        self, believed: Reading, reading: Reading, counted: Decimal, now: float
    ) -> bool:
        if reading.unit != believed.unit:
            return False
        elapsed = now - self._at
        if reading.time and believed.time:
            elapsed = max(elapsed, (reading.time - believed.time).total_seconds())
        most = MOST_PER_HOUR.get(reading.unit, 0) * Decimal(elapsed) / 3600 + _SLACK
        return 0 <= counted <= most

    def _persists(self, value: Decimal, now: float) -> bool:
        """Return whether doubted values have come for long enough, or one that counts on often."""
        doubt = self._doubt
        if doubt is None:
            self._doubt = _Doubt(value, now, 1)
            return False
        doubt.telegrams = doubt.telegrams + 1 if 0 <= value - doubt.value <= _SLACK else 1
        doubt.value = value
        return doubt.telegrams >= DOUBTED_TELEGRAMS or now - doubt.since >= DOUBTED_SECONDS
