"""For how long may a meter be silent? Its pauses say it."""

from collections import deque
from collections.abc import Callable
from heapq import nsmallest
from math import inf
from statistics import median_low

SILENCE = 3.5
"""Telegram intervals without a telegram after which the meter counts as silent …"""
SHORTEST_SILENCE = 12.0
"""… but never before as many seconds: some meters of a version that talks every second send every
ten."""
SLOWEST = 60.0
"""Seconds between telegrams that are expected at most: longer pauses are outages, however often."""
SHORTEST_PAUSE = 0.5
"""Seconds without a byte that are a pause between telegrams, and not one within them."""
GAPS = 7
"""Pauses between telegrams from which the interval is learnt: the middle one of the five shortest.
An outage may be among them. So four of seven may be too long because telegrams were lost, and two
too short because a gateway held one back."""


def least_patience(interval: float) -> float:
    """Return for how many seconds a meter may be silent at least.

    Args:
        interval: seconds between two telegrams of its version.
    """
    return max(SHORTEST_SILENCE, SILENCE * interval)


class Pauses:
    """Learns from the pauses between a meter's telegrams for how long it may be silent.

    Attributes:
        patience: for how many seconds, as the pauses have taught; until then 0, or as it was
            remembered.
        heard_at: when the last bytes came, or else when the port was first open, in seconds of a
            monotonic clock; infinity before.
        has_begun: whether a telegram of the meter has come.
    """

    def __init__(self, learnt: Callable[[], None]) -> None:
        """Start without a pause; when the patience is another one, `learnt` is called."""
        self.patience = 0.0
        self.heard_at = inf
        self._learnt = learnt
        self._gaps: deque[float] = deque(maxlen=GAPS)
        # For how long no bytes came at most since the last telegram that passed.
        self._longest = 0.0
        self._is_interrupted = False
        self.has_begun = False

    def begin(self, now: float) -> None:
        """Note that the port is open."""
        self.heard_at = min(self.heard_at, now)

    def resume(self) -> None:
        """Note that a telegram came before, when something else read the port.

        The wait for the first telegram then counts as a pause, measured from when the port was
        opened.
        """
        self.has_begun = True

    def interrupt(self) -> None:
        """Note that the port was closed: what passes until the next telegram is no pause.

        Telegrams may have come meanwhile. As long as no pause is known, it may be one: some
        gateways hang up after each telegram.
        """
        self._is_interrupted = self.patience > 0

    def hear(self, now: float) -> None:
        """Note that bytes come from the meter."""
        self._longest = max(self._longest, now - self.heard_at)
        self.heard_at = now

    def end(self) -> None:
        """Note that a telegram has passed."""
        # No bytes at all: damaged telegrams teach nothing, nor do two telegrams in a row.
        pause, self._longest = self._longest, 0.0
        # Before the first one there was no pause.
        if self.has_begun and pause > SHORTEST_PAUSE and not self._is_interrupted:
            self._gaps.append(pause)
        self._is_interrupted = False
        self.has_begun = True

    @property
    def is_known(self) -> bool:
        """Whether any pause has taught for how long the meter may be silent."""
        return bool(self.patience or self._gaps)

    def allowed(self, interval: float) -> float:
        """Return for how many seconds the meter may be silent.

        Args:
            interval: seconds between two telegrams of its version.
        """
        least, known = least_patience(interval), len(self._gaps)
        # Two outages in a row would pass for pauses that the meter makes; what is known lasts.
        if self.patience and known < GAPS:
            return max(least, self.patience)
        pause = median_low(nsmallest(5, self._gaps or [0.0]))
        patience = max(least, SILENCE * min(pause, SLOWEST))
        # No pause is quite as long as the one before.
        if known == GAPS and abs(patience - self.patience) > patience / 4:
            self.patience = patience
            self._learnt()
        return patience
