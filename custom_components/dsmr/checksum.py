"""Are these the bytes that the meter sent?

The checksum of DSMR 4 and later is the CRC16 of the telegram from its '/' up to and including its
'!': the remainder by the polynomial x^16 + x^15 + x^2 + 1, least significant bit first, without
start value and final xor (DSMR P1 companion standard 5.0.2, section 6.2).
"""

from collections.abc import Callable
import re
from typing import Final

from anycrc import Model

PROVEN: Final = 10
"""Telegrams in a row with a right checksum after which each must have one, also where the version
has none: chance makes one in 65,536 right. After as many wrong ones none has to be right any more,
which is before a meter that talks each second would be called silent."""

crc16: Final[Callable[[bytes], int]] = Model("CRC16-ARC").calc
"""Returns the checksum of bytes."""

# Commands of the telnet protocol (RFC 854): a gateway that was set to speak it puts them in.
_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe].|[\xf0-\xfa])", re.DOTALL)


class ChecksumError(ValueError):
    """A telegram's bytes are not the ones that the meter sent."""


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
        if self._passes(body, checksum):
            return body
        if b"\xff" in body and self._passes(sent := _TELNET.sub(b"", body), checksum):
            # A gateway has put in what is between the two.
            return sent
        raise ChecksumError("its bytes are not the ones that the meter sent")

    def _passes(self, sent: bytes, checksum: bytes) -> bool:
        is_right = _is_right(sent, checksum)
        return is_right if self._is_sent else self._is_believed(sent, is_right=is_right)

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
