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
import re
from typing import Final

PROVEN: Final = 10
"""Telegrams in a row with a right checksum after which each must have one, also where the version
has none: chance makes one in 65,536 right. After as many wrong ones none has to be right any more,
which is before a meter that talks each second would be called silent."""

# Commands of the telnet protocol (RFC 854): a gateway that was set to speak it puts them in.
_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa])", re.DOTALL)


class ChecksumError(ValueError):
    """A telegram's bytes are not the ones that the meter sent."""


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
    body, _, checksum = telegram.rpartition(b"!")
    return _is_right(body, checksum)


def _is_right(body: bytes, checksum: bytes) -> bool:
    try:
        return bool(checksum.strip()) and int(checksum, 16) == crc16(body + b"!")
    except ValueError:
        return False


class Checksums:
    """Checks the telegrams of one P1 port.

    The Iskra IE.5 sends checksums though its version has none.
    """

    def __init__(self, *, is_sent: bool) -> None:
        """Begin without a telegram.

        Args:
            is_sent: whether each telegram of the version has one.
        """
        self._is_sent = is_sent
        # Whether a checksum must be right, and how many telegrams in a row say otherwise.
        self._must_be_right = is_sent
        self._has_shown = False
        self._otherwise = 0

    def passed(self, frame: bytes) -> bytes:
        """Return what the meter sent before its '!'.

        Args:
            frame: the bytes of a telegram, from '/' to the line end after '!'.

        Raises:
            ChecksumError: the bytes were changed on the way, or are noise.
        """
        body, _, checksum = frame.rpartition(b"!")
        for sent in _as_sent(body):
            is_right = _is_right(sent, checksum)
            if is_right if self._is_sent else self._is_believed(sent, is_right=is_right):
                return sent
        raise ChecksumError("its bytes are not the ones that the meter sent")

    def _is_believed(self, sent: bytes, *, is_right: bool) -> bool:
        """Return whether a telegram is believed whose checksum is right, wrong or missing."""
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


def _as_sent(body: bytes) -> tuple[bytes, ...]:
    """Return what came, and what the meter sent if a gateway has put something in."""
    return (body, _TELNET.sub(b"", body)) if b"\xff" in body else (body,)
