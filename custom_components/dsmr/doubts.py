"""What is believed of the lines of a telegram?"""

from collections.abc import Iterable, Mapping
from typing import Final, override

from .derivation import TARIFFS
from .lines import ALIKE, Line
from .models import ELECTRICITY, Reading, ReadingKey, Telegram
from .obis import MBUS_IDENTIFIERS
from .registers import DOUBTED_TELEGRAMS
from .versions import Version

# The registers of which a total is the sum.
_SUMMANDS: Final = frozenset(tariff for tariffs in TARIFFS.values() for tariff in tariffs)
# Kinds of lines that are remembered: ten times what any meter sends.
_MOST_KINDS: Final = 300


class Trust:
    """Believes each line that can be read: the checksum says that it is the meter's.

    Attributes:
        is_familiar: whether nothing was new among the lines of the last telegram.
        is_strange: whether there was something in it, or missing, that is not believed yet.
    """

    is_familiar = True
    is_strange = False

    def believed(
        self, lines: list[Line | None], whole: list[bytes], last: Telegram
    ) -> list[Line | None]:
        """Return the lines without those that may be damaged.

        Args:
            lines: the lines as read, None for blank ones.
            whole: as they came.
            last: the telegram before.
        """
        return lines

    def unknown(
        self, sent: Mapping[ReadingKey, Reading], lines: Iterable[Line | None]
    ) -> list[ReadingKey]:
        """Return what is unknown so that no total is too small: the tariffs that can't be read.

        Args:
            sent: the readings of the electricity meter.
            lines: the lines that are believed, None for others.
        """
        return [
            ReadingKey(ELECTRICITY, line.obis)
            for line in lines
            if line and line.error and line.obis in _SUMMANDS
        ]


class Doubts(Trust):
    """Tells damage from what a meter sends, for a version that has no checksum."""

    def __init__(self, version: Version) -> None:
        """Begin without a telegram, of a meter of a version."""
        # The lines that the meter sends, and those that have come once.
        self._kinds: set[int] = set()
        self._strange: set[int] = set()
        self.is_familiar = False
        # Of which registers a total is the sum, and how many telegrams in a row have lacked one.
        self._summands = {
            total: version.electricity.keys() & set(tariffs) for total, tariffs in TARIFFS.items()
        }
        self._lacking = dict.fromkeys(TARIFFS, 0)

    @override
    def believed(
        self, lines: list[Line | None], whole: list[bytes], last: Telegram
    ) -> list[Line | None]:
        """Return the lines without those of references or shapes that come for the first time.

        Where there is no checksum it may be the reference that was damaged; and where a byte of the
        value was lost or came twice, the line is of another shape. One that comes again in the next
        telegram is the meter's. Where most are new, it was the telegrams before that were damaged,
        or there were none: all are passed on. If the telegram before held nothing new, they are not
        remembered yet: this telegram itself may be mostly damaged.
        """
        # A telegram that is compared with an earlier one has the lines of that.
        was_familiar = self.is_familiar or last.earlier is not None
        kinds = [
            _kind(line, raw) if line and not line.error else None
            for line, raw in zip(lines, whole, strict=True)
        ]
        sent = {kind for kind in kinds if kind is not None}
        strange = sent - self._kinds
        are_most = 2 * len(strange) >= len(sent)
        doubted = set() if are_most else strange - self._strange
        once = strange if are_most and was_familiar else doubted
        self._strange, self.is_familiar, self.is_strange = once, not strange, bool(once)
        if len(self._kinds) > _MOST_KINDS:
            self._kinds.clear()
        self._kinds |= sent - once
        return [None if kind in doubted else line for line, kind in zip(lines, kinds, strict=True)]

    @override
    def unknown(
        self, sent: Mapping[ReadingKey, Reading], lines: Iterable[Line | None]
    ) -> list[ReadingKey]:
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
        self.is_strange |= bool(found)
        return found


def _kind(line: Line, raw: bytes) -> int:
    """Return a number for the channel, the reference and the shape of a line.

    Identifiers may have any shape; `meters.py` checks them.
    """
    is_identifier = line.channel and line.obis in MBUS_IDENTIFIERS
    return hash((line.channel, line.obis, b"" if is_identifier else raw.translate(ALIKE)))
