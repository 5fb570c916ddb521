"""Are these the bytes that the meter sent?

The checksum of DSMR 4 and later is the CRC16 of the telegram from its '/' up to and including its
'!': polynomial x^16 + x^15 + x^2 + 1, least significant bit first, no start value and no final xor
(DSMR P1 companion standard 5.0.2, section 6.2). Without start value and final xor it is linear: the
checksum of two pieces follows from the checksums of each and the length of the second. So a line
that has not changed since the last telegram is not gone through byte by byte again.
"""

from functools import lru_cache

type _Shift = tuple[tuple[int, ...], tuple[int, ...]]


def _of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_TABLE = tuple(_of_byte(byte) for byte in range(256))


def crc16(data: bytes, crc: int = 0) -> int:
    """Return the checksum of bytes, after other bytes that have the checksum `crc`."""
    table = _TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


@lru_cache(maxsize=256)
def _shift(length: int) -> _Shift:
    """Return what so many further bytes do to a checksum, by its low byte and its high byte."""
    zeros = bytes(length)
    return (
        tuple(crc16(zeros, low) for low in range(0x100)),
        tuple(crc16(zeros, high) for high in range(0, 0x10000, 0x100)),
    )


class TelegramChecksum:
    """Makes the checksum of telegrams most of whose lines are those of the telegram before."""

    def __init__(self) -> None:
        """Start without an earlier telegram."""
        self._lines: dict[bytes, tuple[int, _Shift]] = {}

    def of(self, body: bytes) -> int:
        """Return the checksum of a telegram.

        Args:
            body: its bytes from '/' up to and including '!'.
        """
        crc = 0
        known = self._lines
        self._lines = lines = {}
        # The last piece is the '!' alone.
        *pieces, rest = body.split(b"\n")
        for piece in pieces:
            found = known.get(piece)
            if found is None:
                line = piece + b"\n"
                found = (crc16(line), _shift(len(line)))
            lines[piece] = found
            own, (low, high) = found
            crc = low[crc & 0xFF] ^ high[crc >> 8] ^ own
        return crc16(rest, crc)
