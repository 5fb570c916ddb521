"""Are these the bytes that the meter sent?

The checksum of DSMR 4 and later is the CRC16 of the telegram from its '/' up to and including its
'!': polynomial x^16 + x^15 + x^2 + 1, least significant bit first, no start value and no final xor
(DSMR P1 companion standard 5.0.2, section 6.2). Without start value and final xor it is linear: the
checksums of two telegrams of one length differ by the checksum of what differs between their bytes.
So of a telegram whose lines are as long as those of the one before, only the bytes that differ are
gone through.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache


def _shifted(crc: int) -> int:
    """Return a checksum after one more bit, a zero."""
    return (crc >> 1) ^ (0xA001 if crc & 1 else 0)


def _of_byte(byte: int) -> int:
    for _ in range(8):
        byte = _shifted(byte)
    return byte


_TABLE = tuple(_of_byte(byte) for byte in range(256))


def crc16(data: bytes, crc: int = 0) -> int:
    """Return the checksum of bytes, after other bytes that have the checksum `crc`."""
    table = _TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc


@lru_cache(maxsize=512)
def _zeros(length: int) -> tuple[array[int], array[int]]:
    """Return what so many zero bytes do to a checksum, by its low byte and by its high byte."""
    crc = crc16(bytes(length), 0x8000)
    of_bits = [crc]
    # What they do to a lower bit is that a bit later.
    for _ in range(15):
        crc = _shifted(crc)
        of_bits.insert(0, crc)
    low, high = array("H", [0]), array("H", [0])
    for table, bits in ((low, of_bits[:8]), (high, of_bits[8:])):
        for bit in bits:
            table.extend([crc ^ bit for crc in table])
    return low, high


@lru_cache(maxsize=2048)
def _crc16_before(data: bytes, zeros: int) -> int:
    """Return the checksum of bytes that so many zeros follow.

    Digits differ by few values, and mostly the last two do: most of the time it is known.
    """
    crc = crc16(data)
    low, high = _zeros(zeros)
    return low[crc & 0xFF] ^ high[crc >> 8]


def has_right_checksum(telegram: bytes) -> bool:
    """Return whether a telegram ends with the checksum that belongs to it."""
    body, _, digits = telegram.rpartition(b"!")
    try:
        return int(digits, 16) == crc16(body + b"!")
    except ValueError:
        return False


def crc16_of_changes(
    before: Sequence[bytes], after: Sequence[bytes], changed: Iterable[int], behind: Sequence[int]
) -> int:
    """Return by what the checksum of a telegram changes when some of its lines do, to be xored.

    Args:
        before: the lines.
        after: as many lines, each as long as the one in whose place it comes.
        changed: which of them differ.
        behind: how many bytes stand behind each.
    """
    change = 0
    for index in changed:
        line = before[index]
        differing = int.from_bytes(line) ^ int.from_bytes(after[index])
        begun = differing.to_bytes(len(line)).rstrip(b"\0")
        change ^= _crc16_before(begun.lstrip(b"\0"), behind[index] + len(line) - len(begun))
    return change
