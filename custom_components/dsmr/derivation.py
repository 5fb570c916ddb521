"""What follows from what a meter sends?

Values that no line holds are added to the readings, as if the meter sent them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from .models import ELECTRICITY, Reading, ReadingKey
from .obis import (
    AVERAGE_PEAK,
    DEMAND,
    ENERGY_EXPORTED,
    ENERGY_IMPORTED,
    FLOW,
    FORECAST,
    MBUS_READING,
    NET_POWER,
    NET_POWER_PHASES,
    PEAK_OF_MONTH,
    PEAKS,
    POWER_EXPORTED,
    POWER_IMPORTED,
    TELEGRAM_TIME,
)

QUARTER_HOUR: Final = 900
"""Seconds over which Belgian meters average demand (e-MUCS P1 2.1.1)."""
LEAST_PEAK: Final = Decimal("2.5")
"""kW that the Flemish capacity tariff bills at least for each month (VREG, since 2023)."""
BILLED_MONTHS: Final = 12

type _Rule = Callable[[Sequence[Reading | None]], Reading | None]


def _value(reading: Reading | None) -> Decimal | None:
    return reading.value if reading and isinstance(reading.value, Decimal) else None


def _net(inputs: Sequence[Reading | None]) -> Reading | None:
    """Imported minus exported: positive is taken from the grid."""
    imported, exported = inputs
    if (
        imported is None
        or exported is None
        or not isinstance(imported.value, Decimal)
        or not isinstance(exported.value, Decimal)
    ):
        return None
    return Reading(imported.value - exported.value, "kW")


def _total(inputs: Sequence[Reading | None]) -> Reading | None:
    """The exact sum of the tariffs, where all that the meter sends can be read."""
    sent = [reading for reading in inputs if reading is not None]
    values = [value for value in map(_value, sent) if value is not None]
    if not sent or len(values) < len(sent):
        return None
    return Reading(sum(values, Decimal()), "kWh")


def _forecast(inputs: Sequence[Reading | None]) -> Reading | None:
    """The demand at the end of the running quarter hour if the power stays as it is.

    The meter's running demand is the energy of this quarter hour so far over all of it.
    """
    demand, power, clock = inputs
    so_far, now = _value(demand), _value(power)
    if so_far is None or now is None or clock is None or not isinstance(clock.value, datetime):
        return None
    left = QUARTER_HOUR - int(clock.value.timestamp()) % QUARTER_HOUR
    return Reading(so_far + now * left / QUARTER_HOUR, "kW")


def _average_peak(inputs: Sequence[Reading | None]) -> Reading | None:
    """The mean of this month's peak and those of the eleven months before, 2.5 kW at least each."""
    running, history = inputs
    peaks = [
        entry.value
        for entry in (history.entries if history else ())
        if isinstance(entry.value, Decimal)
    ]
    if (now := _value(running)) is not None:
        peaks.append(now)
    billed = [max(peak, LEAST_PEAK) for peak in peaks[-BILLED_MONTHS:]]
    return Reading(sum(billed, Decimal()) / len(billed), "kW") if billed else None


def _tariffs(total: str) -> tuple[str, ...]:
    return tuple(f"{total[:-1]}{tariff}" for tariff in (1, 2, 3, 4))


# What is made of which lines, and whether it takes all of them. A line of the same reference that
# the meter does send wins.
_RULES: Final[Mapping[str, tuple[_Rule, tuple[str, ...], Callable[[Iterable[bool]], bool]]]] = {
    NET_POWER: (_net, (POWER_IMPORTED, POWER_EXPORTED), all),
    NET_POWER_PHASES[0]: (_net, ("21.7.0", "22.7.0"), all),
    NET_POWER_PHASES[1]: (_net, ("41.7.0", "42.7.0"), all),
    NET_POWER_PHASES[2]: (_net, ("61.7.0", "62.7.0"), all),
    ENERGY_IMPORTED: (_total, _tariffs(ENERGY_IMPORTED), any),
    ENERGY_EXPORTED: (_total, _tariffs(ENERGY_EXPORTED), any),
    FORECAST: (_forecast, (DEMAND, POWER_IMPORTED, TELEGRAM_TIME), all),
    AVERAGE_PEAK: (_average_peak, (PEAK_OF_MONTH, PEAKS), any),
}


type _KeyedRule = tuple[ReadingKey, _Rule, tuple[ReadingKey, ...]]


def derivable(sent: Collection[str]) -> set[str]:
    """Return what follows for a meter that sends these lines of electricity."""
    return {
        obis
        for obis, (_, inputs, enough) in _RULES.items()
        if enough(line in sent for line in inputs)
    }


class Derivation:
    """Adds the values that follow from the readings of one P1 port."""

    def __init__(self) -> None:
        """Start without an earlier reading."""
        # What follows from a line: the reading that it makes, how, and from which lines.
        self._following: dict[ReadingKey, list[_KeyedRule]] = {}
        self._earlier: dict[str, Reading] = {}
        self._flows: dict[str, Reading] = {}

    def add(self, readings: dict[ReadingKey, Reading], meters: Iterable[str]) -> None:
        """Add what follows from a telegram's readings to them.

        Args:
            readings: what the telegram says.
            meters: the identities of the M-Bus meters in it.
        """
        following: defaultdict[ReadingKey, list[_KeyedRule]] = defaultdict(list)
        for meter in meters:
            line = ReadingKey(meter, MBUS_READING)
            following[line].append((ReadingKey(meter, FLOW), partial(self._flow, meter), (line,)))
        for obis, (rule, inputs, enough) in _RULES.items():
            key = ReadingKey(ELECTRICITY, obis)
            lines = tuple(ReadingKey(ELECTRICITY, line) for line in inputs)
            if key not in readings and enough(line in readings for line in lines):
                for line in lines:
                    following[line].append((key, rule, lines))
        self._following = dict(following)
        self.follow(readings, following)

    def follow(
        self, readings: dict[ReadingKey, Reading], changed: Iterable[ReadingKey]
    ) -> set[ReadingKey]:
        """Have the readings follow a change, with the same lines as when they were last added.

        Args:
            readings: what the telegram says, and what followed before the change.
            changed: the lines that say something else than before.

        Returns:
            Which of the readings that follow may be others now.
        """
        followed = set()
        for line in changed:
            for key, rule, lines in self._following.get(line, ()):
                if key in followed:
                    continue
                followed.add(key)
                result = rule([*map(readings.get, lines)])
                if result is not None:
                    readings[key] = result
                else:
                    readings.pop(key, None)
        return followed

    def _flow(self, meter: str, inputs: Sequence[Reading | None]) -> Reading:
        """Return the flow between the last two readings, by the meter's own clock."""
        (reading,), earlier = inputs, self._earlier.get(meter)
        if reading is None or reading.time is None or _value(reading) is None:
            return Reading(None)
        if earlier is None or earlier.time != reading.time:
            self._earlier[meter] = reading
            self._flows[meter] = Reading(_per_hour(earlier, reading), f"{reading.unit}/h")
        return self._flows[meter]


def _per_hour(earlier: Reading | None, reading: Reading) -> Decimal | None:
    before, now = _value(earlier), _value(reading)
    if earlier is None or earlier.time is None or reading.time is None:
        return None
    if before is None or now is None:
        return None
    seconds = Decimal((reading.time - earlier.time) / timedelta(seconds=1))
    # Backwards in time or count: another meter, of which this is the first reading.
    if seconds <= 0 or now < before:
        return None
    return (now - before) * 3600 / seconds
