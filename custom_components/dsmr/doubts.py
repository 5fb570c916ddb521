"""What is believed of a telegram that has no checksum?"""

from collections.abc import Mapping
from typing import Final

from .derivation import TARIFFS
from .lines import ALIKE, Line
from .models import ELECTRICITY, Reading, ReadingKey
from .obis import MBUS_IDENTIFIERS
from .registers import DOUBTED_TELEGRAMS
from .versions import Version

PROVEN: Final = 10
"""Telegrams in a row with a right checksum after which each must have one, also where the version
has none: chance makes one in 65,536 right. After as many wrong ones none has to be right any more,
which is before a meter that talks each second would be called silent."""

# Kinds of lines that are remembered: ten times what any meter sends.
_MOST_KINDS: Final = 300


class Doubts:
    """Tells damage from what a meter sends, for a version that has no checksum.

    Attributes:
        is_familiar: whether nothing was new among the lines of the last telegram.
    """

    def __init__(self, version: Version) -> None:
        """Begin without a telegram, of a meter of a version."""
        # Whether a checksum must be right, and how many telegrams in a row say otherwise.
        self._must_be_right = self._has_shown = False
        self._otherwise = 0
        # The lines that the meter sends, and those that have come once.
        self._kinds: set[int] = set()
        self._strange: set[int] = set()
        self.is_familiar = False
        # How many telegrams have come since the last one in which something was new.
        self._since_new = 0
        # Of which registers a total is the sum, and how many telegrams in a row have lacked one.
        self._summands = {
            total: version.electricity.keys() & set(tariffs) for total, tariffs in TARIFFS.items()
        }
        self._lacking = dict.fromkeys(TARIFFS, 0)

    @property
    def is_strange(self) -> bool:
        """Whether the last telegram had lines that are not believed yet."""
        return bool(self._strange)

    def is_believed(self, sent: bytes, *, is_right: bool) -> bool:
        """Return whether a telegram is believed whose checksum is right, or is not or is missing.

        The Iskra IE.5 sends one though its version has none.
        """
        self._since_new += 1
        if is_right is self._must_be_right:
            self._otherwise = 0
        else:
            self._otherwise += 1
            # A meter that has proven its checksum before needs only one right one to prove it
            # again.
            if self._otherwise == (1 if is_right and self._has_shown else PROVEN):
                self._must_be_right, self._otherwise = is_right, 0
                self._has_shown = True
        if is_right or self._must_be_right:
            return is_right
        # m³ is the one place where a meter writes a byte that is not ASCII.
        return sent.replace(b"m\xb3", b"").replace(b"m\xb0", b"").isascii()

    def familiar(self, lines: list[Line | None], whole: list[bytes]) -> list[Line | None]:
        """Return the lines without those of references or shapes that come for the first time.

        Where there is no checksum it may be the reference that was damaged; and where a byte of the
        value was lost or came twice, the line is of another shape. One that comes again in the next
        telegram is the meter's. Where most are new, it was the telegrams before that were damaged,
        or there were none: all are passed on. If the telegram before held nothing new, they are not
        remembered yet: this telegram itself may be mostly damaged.

        Args:
            lines: the lines as read, None for blank ones.
            whole: as they came.
        """
        kinds = [
            _kind(line, raw) if line and not line.error else None
            for line, raw in zip(lines, whole, strict=True)
        ]
        sent = {kind for kind in kinds if kind is not None}
        strange = sent - self._kinds
        are_most = 2 * len(strange) >= len(sent)
        doubted = set() if are_most else strange - self._strange
        once = strange if are_most and self._since_new > 1 else doubted
        self._strange, self.is_familiar = once, not strange
        if strange:
            self._since_new = 0
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.clear()
        self._kinds |= sent - once
        return [None if kind in doubted else line for line, kind in zip(lines, kinds, strict=True)]

    def partial(self, sent: Mapping[ReadingKey, Reading]) -> list[ReadingKey]:
        """Return the totals that would be too small, because the line of a tariff was damaged.

        Where there is no checksum, nothing else says so. If the specification of the version lists
        these tariffs, a missing one is noticed from the first telegram on.
        """
        found = []
        for total, tariffs in TARIFFS.items():
            keys = {tariff: ReadingKey(ELECTRICITY, tariff) for tariff in tariffs}
            read = {t for t, key in keys.items() if key in sent and sent[key].value is not None}
            lacks = not read >= self._summands[total]
            self._lacking[total] = self._lacking[total] + 1 if lacks else 0
            if self._lacking[total] in range(1, DOUBTED_TELEGRAMS):
                found += [ReadingKey(ELECTRICITY, total)] if read else []
            else:
                self._summands[total] = read
        return found


def _kind(line: Line, raw: bytes) -> int:
    """Return a number for the channel, the reference and the shape of a line.

    Identifiers may have any shape; `meters.py` checks them.
    """
    is_identifier = line.channel and line.obis in MBUS_IDENTIFIERS
    return hash((line.channel, line.obis, b"" if is_identifier else raw.translate(ALIKE)))
