"""Are these the bytes that the meter sent?

The checksum of DSMR 4 and later is the CRC16 of the telegram from its '/' up to and including its
'!': the remainder by the polynomial x^16 + x^15 + x^2 + 1, least significant bit first, without
start value and final xor (DSMR P1 companion standard 5.0.2, section 6.2).

That polynomial is (x + 1) * (x^15 + x + 1). By the first factor the remainder is whether the ones
are odd in number. By the second, x^15 is x + 1, so that x^(15q) is x^q + 1 for each power of two q:
what stands first in a telegram can be added to what comes 15q and 14q bits later. So a few
operations on one long number do what else takes a step for each byte.
"""

from functools import lru_cache


@lru_cache(maxsize=64)
def _folds(bits: int) -> tuple[list[tuple[int, int, int]], int]:
    """Return how so many bits become less than 29: by which q, and how many bits are left.

    Each fold takes 14q bits away: their number, a mask for them, and q.
    """
    folds, q = [], 1
    while bits >= 2 * 29 * q:
        q *= 2
    while q:
        while bits >= 29 * q:
            folds.append((14 * q, (1 << 14 * q) - 1, q))
            bits -= 14 * q
        q //= 2
    return folds, bits


def crc16(data: bytes) -> int:
    """Return the checksum of bytes."""
    # The lowest bit is the first one that was sent, which has the highest power of x.
    number = int.from_bytes(data, "little")
    is_odd = number.bit_count() & 1
    folds, left = _folds(8 * len(data) + 16)
    for width, mask, q in folds:
        first = number & mask
        number = (number >> width) ^ first ^ (first << q)
    # The last fold, by x^15 itself, of what is more than 15 bits.
    first = number & ((1 << (left - 15)) - 1)
    number = (number >> (left - 15)) ^ (first ^ (first << 1)) << (29 - left)
    crc = number << 1
    # Of the two numbers of 16 bits that leave it by the second factor, the one with as many ones.
    return crc ^ 0xC001 if crc.bit_count() & 1 != is_odd else crc


def has_right_checksum(telegram: bytes) -> bool:
    """Return whether a telegram ends with the checksum that belongs to it."""
    body, _, digits = telegram.rpartition(b"!")
    try:
        return int(digits, 16) == crc16(body + b"!")
    except ValueError:
        return False
