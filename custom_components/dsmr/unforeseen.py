"""What if something fails that nobody has foreseen?"""

from collections.abc import Callable, Hashable

from .const import LOGGER
from .models import Counters
from .privacy import trace_of


class Unforeseen:
    """Counts errors that nobody has foreseen, and logs them in full, once for each cause."""

    def __init__(self, counters: Counters, hide: Callable[[str], str] = str) -> None:
        """Start without an error.

        Args:
            counters: where they are counted.
            hide: takes out of a text what is secret.
        """
        self._counters = counters
        self._hide = hide
        self._causes: set[Hashable] = set()

    def note(self, cause: Hashable, where: str, error: BaseException) -> None:
        """Count an error, and log it if it is the first one of its cause."""
        self._counters.errors += 1
        if cause not in self._causes:
            self._causes.add(cause)
            LOGGER.error("Unexpected error %s: %s", where, trace_of(error, self._hide))

    def note_in(self, where: str, error: BaseException) -> None:
        """Count an error, and log it if it is the first one of its type there."""
        self.note((where, type(error)), where, error)

    def forget(self, cause: Hashable) -> None:
        """Log the next error of a cause again."""
        self._causes.discard(cause)
