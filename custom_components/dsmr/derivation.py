"""What follows from what a meter sends?

Values that no line holds are among the readings, as if the meter sent them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Final

from .models import ELECTRICITY, Counters, Reading, ReadingKey
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
from .registers import MOST_PER_HOUR
from .unforeseen import Unforeseen

QUARTER_HOUR: Final = 900
"""Seconds over which Belgian meters average demand (e-MUCS P1 2.1.1)."""
LEAST_PEAK: Final = Decimal("2.5")
"""kW that the Flemish capacity tariff bills at least for each month (VREG, since 2023)."""
BILLED_MONTHS: Final = 12
LONGEST_MONTH: Final = timedelta(days=32)
"""A month, with the hour by which summer time ends."""

SHORTEST_FLOW: Final = 60.0
"""Seconds between two readings of an M-Bus meter, at least, for a flow: where it is read with each
telegram there would be nothing but spikes."""
LONGEST_FLOW: Final = 26 * 3600.0
"""And at most: some are read once a day, also on that on which summer time ends. Between readings
that are further apart the meter was not read, or its clock was wrong."""
FLOW_LASTS: Final = 3
"""Intervals between two readings of an M-Bus meter after which it is not read any more …"""
FLOW_LASTS_AT_LEAST: Final = 3600.0
"""… but never before as many seconds."""

type _Rule = Callable[[Sequence[Reading | None]], Reading]
type _Following = tuple[ReadingKey, _Rule, tuple[ReadingKey, ...]]

_UNKNOWN: Final = Reading(None)


def _value(reading: Reading | None) -> Decimal | None:
    return reading.value if reading and isinstance(reading.value, Decimal) else None


def _net(inputs: Sequence[Reading | None]) -> Reading:
    """Imported minus exported: positive is taken from the grid."""
    imported, exported = map(_value, inputs)
    if imported is None or exported is None:
        return _UNKNOWN
    return Reading(imported - exported, "kW")


def _total(inputs: Sequence[Reading | None]) -> Reading:
    """The exact sum of the tariffs, where all that the meter sends can be read."""
    sent = [reading for reading in inputs if reading is not None]
    values = [value for value in map(_value, sent) if value is not None]
    if len(values) < len(sent):
        return _UNKNOWN
    return Reading(sum(values, Decimal()), "kWh")


def _forecast(inputs: Sequence[Reading | None]) -> Reading:
    """The demand at the end of the running quarter hour if the power stays as it is.

    The meter's running demand is the energy of this quarter hour so far over all of it.
    """
    demand, power, clock = inputs
    so_far, now = _value(demand), _value(power)
    if so_far is None or now is None or clock is None or not isinstance(clock.value, datetime):
        return _UNKNOWN
    left = QUARTER_HOUR - int(clock.value.timestamp()) % QUARTER_HOUR
    return Reading(so_far + now * left / QUARTER_HOUR, "kW")


def _average_peak(inputs: Sequence[Reading | None]) -> Reading:
    """The mean of this month's peak and those of the eleven months before, 2.5 kW at least each."""
    running, history = inputs
    # A month without a moment is one before the meter was there.
    months = [
        (_month(entry.time), entry.time, entry.value)
        for entry in (history.entries if history else ())
        if entry.time and entry.occurred and isinstance(entry.value, Decimal)
    ]
    numbers = {number for number, _, _ in months}
    latest = max(numbers, default=0)
    now, at = (_value(running), running.time) if running else (None, None)
    peaks = [
        peak
        for number, end, peak in months
        if number > latest - (BILLED_MONTHS - 1)
        # So is one without any demand that is followed by none: the meter was tried in it.
        and (peak or number + 1 in numbers or at is None or at - end < LONGEST_MONTH)
    ]
    if now is not None:
        peaks.append(now)
    billed = [max(peak, LEAST_PEAK) for peak in peaks]
    return Reading(sum(billed, Decimal()) / len(billed), "kW") if billed else _UNKNOWN


def _month(midnight: datetime) -> int:
    """Return the number of the month that begins with a midnight in the meter's time zone."""
    noon = midnight + timedelta(hours=12)
    return noon.year * 12 + noon.month


TARIFFS: Final[Mapping[str, tuple[str, ...]]] = {
    total: tuple(f"{total[:-1]}{tariff}" for tariff in (1, 2, 3, 4, 11, 12, 13))
    for total in (ENERGY_IMPORTED, ENERGY_EXPORTED)
}
"""By a total of energy, the registers of which it is the sum. Meters in Israel send 11 to 13."""

# What is made of which lines, and whether it takes all of them. A line of the same reference that
# the meter does send wins.
_RULES: Final[Mapping[str, tuple[_Rule, tuple[str, ...], Callable[[Iterable[bool]], bool]]]] = {
    NET_POWER: (_net, (POWER_IMPORTED, POWER_EXPORTED), all),
    NET_POWER_PHASES[0]: (_net, ("21.7.0", "22.7.0"), all),
    NET_POWER_PHASES[1]: (_net, ("41.7.0", "42.7.0"), all),
    NET_POWER_PHASES[2]: (_net, ("61.7.0", "62.7.0"), all),
    ENERGY_IMPORTED: (_total, TARIFFS[ENERGY_IMPORTED], any),
    ENERGY_EXPORTED: (_total, TARIFFS[ENERGY_EXPORTED], any),
    FORECAST: (_forecast, (DEMAND, POWER_IMPORTED, TELEGRAM_TIME), all),
    AVERAGE_PEAK: (_average_peak, (PEAK_OF_MONTH, PEAKS), any),
}


def derivable(sent: Collection[str]) -> set[str]:
    """Return what follows for a meter that sends these lines of electricity."""
    return {
        obis
        for obis, (_, inputs, enough) in _RULES.items()
        if enough(line in sent for line in inputs)
    }


class Derivation:
    """Makes the values that follow from the readings of one P1 port."""

    def __init__(self, counters: Counters) -> None:
        """Start without an earlier reading; errors are counted in the counters."""
        self._unforeseen = Unforeseen(counters)
        # By a line, what follows from it: by which rule, and from which other lines.
        self._following: dict[ReadingKey, list[_Following]] = {}
        self._flows: dict[ReadingKey, _Flow] = {}
        # When the first of them ends, if its meter is not read before.
        self._until = inf
        self._readings: dict[ReadingKey, Reading] = {}

    def begin(
        self, sent: dict[ReadingKey, Reading], meters: Iterable[str], now: float
    ) -> dict[ReadingKey, Reading]:
        """Return the readings of a telegram, with what follows from them.

        Args:
            sent: what the telegram says.
            meters: the identities of the M-Bus meters in it.
            now: when it came, in seconds of a monotonic clock.
        """
        self._following, self._readings = {}, sent
        for obis, (rule, inputs, enough) in _RULES.items():
            key = ReadingKey(ELECTRICITY, obis)
            lines = tuple(ReadingKey(ELECTRICITY, line) for line in inputs)
            if key not in sent and enough(line in sent for line in lines):
                for line in lines:
                    self._following.setdefault(line, []).append((key, rule, lines))
                sent[key] = self._made(rule, lines)
        for meter in meters:
            line = ReadingKey(meter, MBUS_READING)
            flow = self._flows.setdefault(line, _Flow())
            sent[ReadingKey(meter, FLOW)] = flow.at(sent.get(line), now)
        self._end_flows(now)
        return sent

    def follow(
        self, said: dict[ReadingKey, Reading], now: float
    ) -> tuple[dict[ReadingKey, Reading], Collection[ReadingKey]]:
        """Return the readings of the next telegram, and which of them may be others.

        Args:
            said: what it says of the lines that say something else than before. The others are
                there still.
            now: when it came, in seconds of a monotonic clock.
        """
        self._readings = known = self._readings | said
        # What follows from several of them is made once.
        changed = dict.fromkeys(said)
        for line, reading in said.items():
            for key, rule, lines in self._following.get(line, ()):
                if key not in changed:
                    known[key] = self._made(rule, lines)
                    changed[key] = None
            if flow := self._flows.get(line):
                key = ReadingKey(line.meter, FLOW)
                known[key] = flow.at(reading, now)
                self._until = min(self._until, flow.until)
                changed[key] = None
        if now > self._until:
            changed |= dict.fromkeys(self._end_flows(now))
        return known, changed

    def _made(self, rule: _Rule, lines: Iterable[ReadingKey]) -> Reading:
        """Return what follows; a rule that raises costs what it makes."""
        try:
            return rule([*map(self._readings.get, lines)])
        except Exception as error:
            self._unforeseen.note(rule, "in what follows from a telegram", error)
            return _UNKNOWN

    def _end_flows(self, now: float) -> list[ReadingKey]:
        """Let the flows be unknown whose meters are not read any more, and return which."""
        ended = []
        for line, flow in self._flows.items():
            if now > flow.until:
                unknown, key = flow.end(), ReadingKey(line.meter, FLOW)
                if key in self._readings:
                    self._readings[key] = unknown
                    ended.append(key)
        self._until = min((flow.until for flow in self._flows.values()), default=inf)
        return ended


class _Flow:
    """The flow between two readings of an M-Bus meter, by its own clock.

    Attributes:
        until: the deadline for the next reading, in seconds of a monotonic clock: after it the
            meter counts as no longer read. Infinity where there is no flow to end.
    """

    def __init__(self) -> None:
        self.until = inf
        # The last reading up to which there is a flow: when it was taken, and what it counted.
        self._base: tuple[datetime, Decimal] | None = None
        self._flow = _UNKNOWN

    def end(self) -> Reading:
        """Return what the flow is as long as there is no other reading: unknown."""
        self.until, self._flow = inf, _UNKNOWN
        return self._flow

    def at(self, reading: Reading | None, now: float) -> Reading:
        """Return the flow up to a reading, which may be the last one again.

        Args:
            reading: the reading.
            now: when it came, in seconds of a monotonic clock.
        """
        count = _value(reading)
        if reading is None or reading.time is None or count is None:
            return _UNKNOWN
        flow, until = None, inf
        if self._base is not None:
            begun, before = self._base
            seconds, counted = (reading.time - begun).total_seconds(), count - before
            # Backwards in time or count: another meter, of which this is the first reading.
            if 0 <= seconds <= LONGEST_FLOW and counted >= 0:
                if seconds < SHORTEST_FLOW:
                    return self._flow
                flow = _per_hour(counted, seconds, reading.unit)
                until = now + max(FLOW_LASTS_AT_LEAST, FLOW_LASTS * seconds)
        self._base, self.until = (reading.time, count), until
        self._flow = Reading(flow, f"{reading.unit}/h")
        return self._flow


def _per_hour(counted: Decimal, seconds: float, unit: str | None) -> Decimal | None:
    flow = counted * 3600 / Decimal(seconds)
    # A register that is believed again after it was wrong has not flowed.
    return flow if flow <= MOST_PER_HOUR.get(unit, 0) else None
