"""A household's plausible day, as a function of time and seed."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import shake_128
from math import cos, hypot, pi, sin
from typing import NamedTuple
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


class _Use(NamedTuple):
    """An appliance in use: on for `on` seconds of every `period`.

    `start` and `end` are seconds of the day; `watts` and `var` the power while it is on.
    """

    phase: int
    watts: int
    var: int
    start: int
    end: int
    on: int = 1
    period: int = 1


class _Plan(NamedTuple):
    """A day: its uses, a byte of `clouds` per ten minutes, and `noise` bytes for the rest."""

    uses: tuple[_Use, ...]
    clouds: bytes
    noise: bytes


@lru_cache(maxsize=4)
def _plan(seed: int, day: date) -> _Plan:
    # A hash gives the same day whichever days were asked for before.
    noise = shake_128(f"{seed} {day}".encode()).digest(300)
    breakfast, dinner, tea = 25000 + 12 * noise[0], 62500 + 12 * noise[1], 71000 + 12 * noise[2]
    laundry = 33000 + 60 * noise[3] if noise[4] < 100 else 86400
    uses = (
        _Use(1, 95, 55, -10 * noise[5], 86400, 900, 2700),  # fridge
        _Use(2, 180, 0, 23000, 31000),  # lights in the morning
        _Use(1, 2000, 0, breakfast, breakfast + 180),  # kettle
        _Use(3, 850, 0, breakfast + 240, breakfast + 420),  # toaster
        _Use(2, 2200, 0, dinner, dinner + 3000, 90, 150),  # oven
        _Use(3, 240, -20, 64000, 83500),  # lights and television
        _Use(1, 2000, 0, tea, tea + 180),  # kettle
        _Use(3, 1900, 0, laundry, laundry + 1200),  # washing machine: heats
        _Use(3, 220, 90, laundry + 1200, laundry + 4800, 20, 30),  # washing machine: turns
    )
    return _Plan(uses, noise[-145:], noise)


def _season(day: date) -> float:
    """Return -1 (midwinter) to 1 (midsummer)."""
    return cos(2 * pi * (day.timetuple().tm_yday - 172) / 365)


def low_tariff(now: datetime) -> bool:
    """Whether the low tariff holds: from 23:00 to 07:00 and at weekends, by the local clock."""
    return now.weekday() >= 5 or not 7 <= now.hour < 23


class Household:
    """The house behind a meter, at a moment that only advances.

    Of each list, index 0 is the total and 1 to 3 are the phases.

    Attributes:
        now: the time, in Europe/Amsterdam.
        watts: active power; negative is export.
        var: reactive power; negative is export.
        volts: voltage; 0 for a phase that is not measured, and in total.
        amps: current; 0 in total.
        energy: W·s and var·s since the start, by OBIS group value C (1 import, 2 export,
            3 reactive import, 4 reactive export, 5 to 8 reactive in quadrants I to IV) and
            whether at the low tariff.
        volumes: m³ since the start of "gas", "water" and "heat" (heating water).
    """

    def __init__(self, seed: int, start: datetime, *, phases: Collection[int], solar: bool) -> None:
        """Start the house.

        Args:
            seed: which house; the same seed lives the same days.
            start: the time, with time zone.
            phases: those that are measured; what would be on another is on the first.
            solar: whether the house has solar panels.
        """
        self._seed = seed
        self._utc = start.astimezone(UTC)
        self._phases = phases
        self._solar = solar
        self.energy = Counter[tuple[int, bool]]()
        self.volumes = {"gas": 0.0, "water": 0.0, "heat": 0.0}
        self.advance(0)

    def advance(self, seconds: int) -> None:
        """Let time pass, all of it at the power of its last second."""
        self._utc += timedelta(seconds=seconds)
        self.now = self._utc.astimezone(AMSTERDAM)
        plan = _plan(self._seed, self.now.date())
        self._use_power(plan)
        self._count_energy(seconds)
        self._count_volumes(seconds, plan)

    def _use_power(self, plan: _Plan) -> None:
        self.watts, self.var = [0] * 4, [0] * 4
        second = self.now.hour * 3600 + self.now.minute * 60 + self.now.second
        for phase, watts in ((1, 85), (2, 50), (3, 35)):
            self._add(phase, watts + plan.noise[(second + 99 * phase) % 293] // 16, -watts // 3)
        for use in plan.uses:
            if use.start <= second < use.end and (second - use.start) % use.period < use.on:
                self._add(use.phase, use.watts, use.var)
        if self._solar:
            self._add(3, -self._solar_power(plan.clouds), 0)

        self.volts, self.amps = [0.0] * 4, [0.0] * 4
        for phase in self._phases:
            drift = 2 * sin(self._utc.timestamp() / 1900 + 2 * phase + self._seed)
            self.volts[phase] = 232 + drift - 0.0008 * self.watts[phase]
            self.amps[phase] = hypot(self.watts[phase], self.var[phase]) / self.volts[phase]
        if 2 not in self._phases:
            # On a 3x230 V grid, what flows in two wires returns in the third.
            self.amps[2] = hypot(self.amps[1], self.amps[3])

    def _add(self, phase: int, watts: int, var: int) -> None:
        for index in (0, phase if phase in self._phases else 1):
            self.watts[index] += watts
            self.var[index] += var

    def _solar_power(self, clouds: bytes) -> int:
        season = _season(self._utc)
        hours = self._utc.hour + self._utc.minute / 60 + self._utc.second / 3600
        from_noon = (hours - 11.7) / (6.1 + 2.1 * season)  # -1 is sunrise, 1 is sunset
        if abs(from_noon) >= 1:
            return 0
        slot, part = divmod(hours * 6, 1)
        before, after = clouds[int(slot)], clouds[int(slot) + 1]
        sky = 1 - 0.85 * (before + (after - before) * part) / 255
        return round((2300 + 1300 * season) * cos(pi / 2 * from_noon) * sky)

    def _count_energy(self, seconds: int) -> None:
        low = low_tariff(self.now)
        active, reactive = self.watts[0], self.var[0]
        if active >= 0:
            direction, quadrant = 1, 5 if reactive >= 0 else 8
        else:
            direction, quadrant = 2, 6 if reactive >= 0 else 7
        self.energy[direction, low] += abs(active) * seconds
        for quantity in (3 if reactive >= 0 else 4, quadrant):
            self.energy[quantity, low] += abs(reactive) * seconds

    def _count_volumes(self, seconds: int, plan: _Plan) -> None:
        hour = self.now.hour
        gas, water = 0.05, 0.004  # m³/h
        if 6 <= hour < 9:
            gas, water = 0.9, 0.06
        elif 17 <= hour < 23:
            gas, water = 0.6, 0.03
        gas *= (0.8 - 0.5 * _season(self._utc)) * (0.7 + plan.noise[hour] / 400)
        for volume, flow in (("gas", gas), ("water", water), ("heat", gas / 4)):
            self.volumes[volume] += flow * seconds / 3600
