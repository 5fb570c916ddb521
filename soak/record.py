"""What was sent, what was shown, and what should never have happened."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
import logging
import re
from typing import Final, override

from tests.clock import now

MOST_VIOLATIONS: Final = 20
"""Violations that are told; the rest is counted."""

# Lines of which the value is a number, which the sensor shows as it is.
_LINE: Final = re.compile(
    rb"^(?P<channel>\d-\d):(?P<obis>\d+\.\d+\.\d+)(?:\(\d{12}[SW]\))?"
    rb"\((?P<number>\d+(?:\.\d+)?)\*(?P<unit>k?Wh?|V|A|m3)\)",
    re.MULTILINE,
)


def values_of(telegram: bytes) -> dict[str, float]:
    """Return the numbers in a telegram by the value groups C.D.E, read without the integration."""
    return {
        line["obis"].decode(): float(line["number"])
        / (1000 if line["unit"].startswith(b"W") else 1)
        for line in _LINE.finditer(telegram)
    }


@dataclass
class Violations:
    """What should never have happened."""

    told: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, what: str) -> None:
        """Note that something happened that never should."""
        self.count += 1
        if len(self.told) < MOST_VIOLATIONS:
            self.told.append(f"{_clock(now())} {what}")


@dataclass
class Record:
    """What one port's meter sent, and what became of it.

    Attributes:
        name: of the port.
        bound: the most seconds that a value may be shown after the last telegram.
        window: the most seconds of telegrams with other values for which a value may be shown.
        violations: where it is noted what should never have happened.
        sent: telegrams that the meter sent.
        shown: telegrams that reached the entities.
        lost: telegrams that did not, by cause.
        faults: how often each fault was on the port.
        stale: the most seconds that a value was shown after the last telegram.
        outage: the most seconds without a value.
        back: the most seconds from when the meter was reachable again to the first value.
        fault: the last one, for who looks for what went wrong.
        passed_at: when a telegram reached the entities last.
    """

    name: str
    bound: float
    window: float
    violations: Violations
    sent: int = 0
    shown: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    stale: float = 0.0
    outage: float = 0.0
    back: float = 0.0
    fault: str = ""
    passed_at: float = 0.0
    _recent: deque[tuple[float, dict[str, float]]] = field(default_factory=deque)
    _passed: deque[float] = field(default_factory=deque)
    _back_at: float = 0.0
    _gone_at: float | None = 0.0

    def sends(self, telegram: bytes) -> None:
        """Note what the meter says now."""
        self.sent += 1
        self._recent.append((now(), values_of(telegram)))
        oldest = now() - self.window - self.bound
        while self._recent[0][0] < oldest:
            self._recent.popleft()
        while self._passed and self._passed[0] < oldest:
            self._passed.popleft()

    def passes(self, telegrams: int, healthy_since: float | None) -> None:
        """Note that telegrams reach the entities."""
        self.shown += telegrams
        if self._gone_at is None:
            self._is_stale(now() - self.passed_at)
        else:
            self._back_at = now()
            if healthy_since is not None:
                self.back = max(self.back, now() - max(healthy_since, self._gone_at))
        self.passed_at = now()
        self._passed.append(now())

    def says(self, what: str) -> None:
        """Note what should never have happened on this port."""
        self.violations.add(f"{self.name}, after '{self.fault}': {what}")

    def comes_or_goes(self, *, available: bool) -> None:
        """Note that the values are shown from now on, or not."""
        if available and self._gone_at is not None:
            self.outage = max(self.outage, now() - self._gone_at)
            self._gone_at = None
        elif not available and self._gone_at is None:
            self._is_stale(now() - self.passed_at)
            self._gone_at = now()

    def shows(self, obis: str, value: float) -> None:
        """Check a value that is shown: the meter has sent it, and no other one long ago."""
        if not self._recent or obis not in self._recent[-1][1]:
            return
        since = self.passed_at - self.window
        for sent_at, values in reversed(self._recent):
            if abs(values.get(obis, -1.0) - value) < 0.001:
                # After a pause in which telegrams were lost the next one waits its time, too; after
                # an outage it does not.
                is_old = sent_at < since and any(sent_at < at < since for at in self._passed)
                if is_old or sent_at < self._back_at:
                    self.says(f"{obis} shows {value}, which was sent {now() - sent_at:.0f} s ago")
                return
        self.says(f"{obis} shows {value}, which the meter never sent")

    def _is_stale(self, seconds: float) -> None:
        self.stale = max(self.stale, seconds)
        if seconds > self.bound:
            self.says(f"values were shown for {seconds:.1f} s without a telegram")


class LogWatch(logging.Handler):
    """Finds in the log what nobody has announced, and losses that are said twice."""

    LOST: Final = re.compile(r"No telegrams from ([^ ]+):")
    BACK: Final = re.compile(r"Telegrams come from ([^ ]+) again")

    ONCE: Final = re.compile(
        r"Unexpected error (while reading [^ ]+|in a telegram from [^ ]+|in .*?sensor\.\w+)"
    )

    def __init__(self, violations: Violations, announced: Iterable[str]) -> None:
        """Watch the log for warnings and worse that are none of those announced."""
        super().__init__(logging.WARNING)
        self._announced = [re.compile(text) for text in announced]
        self._violations = violations
        self._lost: set[str] = set()
        self._anew: set[str] = set()
        self._once: set[str] = set()

    def forget(self, url: str) -> None:
        """Let all be said again of a port: it is set up anew."""
        # The log names a port without what a URL has behind its '?'.
        self._anew.add(url.partition("?")[0])
        self._once.clear()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if lost := self.LOST.match(message):
            if lost[1] in self._lost - self._anew:
                self._violations.add(f"a loss is said twice: {message}")
            self._lost.add(lost[1])
            self._anew.discard(lost[1])
        elif back := self.BACK.match(message):
            if back[1] not in self._lost:
                self._violations.add(f"a return without a loss: {message}")
            self._lost.discard(back[1])
        elif once := self.ONCE.match(message):
            if once[1] in self._once:
                self._violations.add(f"said twice: {once[0]}")
            self._once.add(once[1])
        elif not any(pattern.search(message) for pattern in self._announced):
            self._violations.add(f"the log has: {message.splitlines()[0][:300]}")


def _clock(seconds: float) -> str:
    """Return a time of the simulation for a person."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"day {hours // 24} {hours % 24:02}:{minutes:02}:{rest:06.3f}"
