"""Where does a telegram begin and end?"""

import re

LIMIT = 65_536
"""The most bytes held. The longest telegrams known are below 8 KiB."""

# A telegram begins at a '/' at the start of a line. Inside a line only what looks like an
# identification begins one (IEC 62056-21: three letters and a baud rate character; a WarmteLink
# has a '-'): there the end of an earlier telegram is missing. Any other '/' belongs to a header or
# to a text message.
_START = re.compile(rb"(?:(?<=\n)|\A)/|/(?=[A-Za-z]{3}[0-9-])")
# The '!' stands at the start of a line, with the checksum where the version has one.
_END = re.compile(rb"\n!([0-9A-Fa-f]{0,4})\0*[ \t]*\r?\n")
# As much of an unfinished end as can be at the end of the bytes that have come.
_TAIL = 16


class Framer:
    """Cuts a stream of bytes into telegrams.

    Holds at most `LIMIT` bytes, looks at each byte a bounded number of times, and finds the next
    telegram whatever came before it.
    """

    def __init__(self) -> None:
        """Start with no bytes held."""
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the telegrams that they complete.

        Args:
            data: the bytes as they came, cut anywhere.

        Returns:
            Whole telegrams, from their '/' to the line end after their '!'.
        """
        self._buffer += data
        frames = []
        position = 0
        while end := _END.search(self._buffer, max(position, self._searched)):
            if frame := self._frame(position, end.end()):
                frames.append(frame)
            # The line end that ends one telegram also begins the next one's first line.
            position = end.end()
            self._searched = position
        del self._buffer[:position]
        self._searched = max(0, len(self._buffer) - _TAIL)
        if len(self._buffer) > LIMIT:
            # Half, so that noise is moved once for each half, not once for each byte.
            del self._buffer[: -LIMIT // 2]
            self._searched = len(self._buffer) - _TAIL
        return frames

    def clear(self) -> None:
        """Forget what has come: the next byte has nothing to do with it."""
        self._buffer.clear()
        self._searched = 0

    def _frame(self, position: int, end: int) -> bytes | None:
        chunk = bytes(self._buffer[position:end])
        if chunk.rfind(b"/") == 0:
            return chunk
        starts = [start.start() for start in _START.finditer(chunk)]
        return chunk[starts[-1] :] if starts else None
