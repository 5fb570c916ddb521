"""Where does a telegram begin and end?"""

import re
from typing import Final

LIMIT = 32_768
"""The most bytes held. The longest telegrams have 12 KiB, and half of this is kept of noise."""

# A telegram begins at a '/' at the start of a line. Inside a line only what looks like an
# identification begins one (IEC 62056-21: three letters and a baud rate character; a WarmteLink
# has a '-'): there the end of an earlier telegram is missing. Any other '/' belongs to a header or
# to a text message.
_START = re.compile(rb"(?:(?<=\n)|\A)/|/(?=[A-Za-z]{3}[0-9-])")
# The '!' stands at the start of a line, with the checksum where the version has one.
_END = re.compile(rb"\n!([0-9A-Fa-f]{0,4})[ \t]{0,8}\r?\n")
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
        # Some meters send NULs between telegrams, some gateways within: they never mean anything.
        self._buffer += data.replace(b"\0", b"")
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
        # Of nearly every telegram this is true, and the pattern takes much longer to say so.
        if chunk.rfind(b"/") == 0:
            return chunk
        starts = [start.start() for start in _START.finditer(chunk)]
        return chunk[starts[-1] :] if starts else None


# A packet of an RFXtrx receiver with a P1 input: how many bytes follow, its type, its subtype and a
# number; then a piece of a telegram. The second and the third never stand in a telegram.
_PACKET = re.compile(rb"(.)\x62\x01.", re.DOTALL)


class RFXtrxPackets:
    """Takes the pieces of telegrams out of packets; what other transmitters sent is left out.

    Holds less than 256 bytes and what has come last.
    """

    def __init__(self) -> None:
        """Start with no bytes held."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came, cut anywhere, and return what the packets hold that they end."""
        self._buffer += data
        pieces = bytearray()
        position = 0
        while head := _PACKET.search(self._buffer, position):
            end = head.start() + 1 + head[1][0]
            if end > len(self._buffer):
                position = head.start()
                break
            pieces += self._buffer[head.end() : end]
            position = max(end, head.end())
        else:
            position = max(position, len(self._buffer) - 3)
        del self._buffer[:position]
        return bytes(pieces)

    def clear(self) -> None:
        """Forget what has come."""
        self._buffer.clear()


# An encrypted telegram is a DLMS general-global-cipher APDU (IEC 62056-5-3): its tag, the system
# title of 8 bytes, the length of all that follows in BER, the security control byte (security
# suite 0, authenticated and encrypted; the bit for a broadcast key is not looked at), the frame
# counter of 4 bytes, the ciphertext and the authentication tag of 12. BER's form for lengths below
# 128 is left out: no telegram is that short, and it stands in the ciphertext of one in 20,000 by
# chance.
ENCRYPTED_HEADER: Final = re.compile(
    rb"\xdb\x08(.{8})(?:\x81(.)|\x82(..))(?=[\x30\x70])", re.DOTALL
)
FRAME_COUNTER_LENGTH: Final = 4
TAG_LENGTH: Final = 12
_HEADER_LENGTH = 14
_OVERHEAD = 1 + FRAME_COUNTER_LENGTH + TAG_LENGTH
# A telegram with five messages of 1024 characters, in hexadecimal digits (Luxmetering, E-Meter P1
# Specification 1.1.3), has 12 KiB.
_LONGEST = 16_384
# More frames than this do not begin within each other but by chance or by damage.
_MOST_BEGUN = 4


class EncryptedFramer:
    """Cuts a stream of bytes into encrypted telegrams.

    What is in a frame does not say where it ends, its length does. Where a byte of the length is
    damaged or bytes are missing, the next frame begins within the one that the length makes: so a
    frame may begin anywhere, also within another, and of two frames that overlap the one that ends
    first is there first; one that had begun before it is given up.

    Holds less than `LIMIT` bytes and looks at each byte a bounded number of times.
    """

    def __init__(self) -> None:
        """Start with no bytes held."""
        self._buffer = bytearray()
        self._searched = 0
        self._begun: list[tuple[int, int]] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the frames that they complete.

        Args:
            data: the bytes as they came, cut anywhere.

        Returns:
            Whole APDUs, from their tag to the last byte that their length counts.
        """
        self._buffer += data
        frames = []
        while header := ENCRYPTED_HEADER.search(self._buffer, self._searched):
            start = header.start()
            self._searched = start + 1
            length = int.from_bytes(header[header.lastindex or 0])
            if _OVERHEAD < length <= _LONGEST:
                frames += self._ended(start)
                self._begun = [*self._begun, (start, header.end() + length)][-_MOST_BEGUN:]
        self._searched = max(self._searched, len(self._buffer) - _HEADER_LENGTH)
        frames += self._ended(len(self._buffer))
        self._drop(min([self._searched, *(start for start, _ in self._begun)]))
        return frames

    def clear(self) -> None:
        """Forget what has come: the next byte has nothing to do with it."""
        self._buffer.clear()
        self._searched = 0
        self._begun = []

    def _ended(self, position: int) -> list[bytes]:
        """Return the frames that end at a position or before it."""
        frames = []
        while self._begun:
            start, end = min(self._begun, key=lambda frame: frame[1])
            if end > position:
                break
            frames.append(bytes(self._buffer[start:end]))
            self._begun = [frame for frame in self._begun if frame[0] > start]
        return frames

    def _drop(self, position: int) -> None:
        del self._buffer[:position]
        self._searched -= position
        self._begun = [(start - position, end - position) for start, end in self._begun]
