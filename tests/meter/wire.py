"""Telegrams as bytes on the wire: line ends and checksum."""

from collections.abc import Sequence


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_REMAINDERS = [_remainder(byte) for byte in range(256)]


def crc16(data: bytes) -> int:
    """Return the checksum of a telegram.

    CRC16/ARC: polynomial 0xA001 (least significant bit first), initially 0, no final XOR. Source:
    DSMR P1 companion standard 5.0.2, section 6.2.

    Args:
        data: the telegram from its `/` to its `!`, both included.
    """
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ _REMAINDERS[(crc ^ byte) & 0xFF]
    return crc


def telegram(lines: Sequence[str | bytes], *, checksum: bool = True) -> bytes:
    """Return a telegram as the meter sends it.

    Args:
        lines: the header (with its `/`), the blank line and the data lines, without line ends;
            bytes where a line is not ASCII.
        checksum: whether a CRC follows the `!`, as in DSMR 4 and later.

    Raises:
        UnicodeEncodeError: a line of text is not ASCII.
    """
    encoded = [line if isinstance(line, bytes) else line.encode("ascii") for line in lines]
    body = b"\r\n".join(encoded) + b"\r\n!"
    return body + (b"%04X" % crc16(body) if checksum else b"") + b"\r\n"
