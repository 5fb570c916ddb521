"""Are these the bytes that the meter sent?

The checksum of DSMR 4 and later is the CRC16 of the telegram from its '/' up to and including its
'!': polynomial x^16 + x^15 + x^2 + 1, least significant bit first, no start value and no final xor
(DSMR P1 companion standard 5.0.2, section 6.2). Without start value and final xor it is linear: the
checksums of two telegrams of one length differ by the checksum of what differs between their bytes.
So of a telegram whose lines are as long as those of the one before, only the bytes that differ are
gone through.
"""


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


def _zeros(length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    zeros = bytes(length)
    return (
        tuple(crc16(zeros, low) for low in range(0x100)),
        tuple(crc16(zeros, high) for high in range(0, 0x10000, 0x100)),
    )


def _doubled(
    low: tuple[int, ...], high: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    low_twice, high_twice = (
        tuple(low[crc & 0xFF] ^ high[crc >> 8] for crc in table) for table in (low, high)
    )
    return low_twice, high_twice


# What 1, 2, 4, 8 … zero bytes do to a checksum, by its low byte and by its high byte: together they
# make every length below 64 KiB, and no frame is longer.
_ZEROS = [_zeros(1)]
while len(_ZEROS) < 16:
    _ZEROS.append(_doubled(*_ZEROS[-1]))


def crc16_of_change(before: bytes, after: bytes, behind: int) -> int:
    """Return by what the checksum of a telegram changes when some of its bytes do, to be xored.

    Args:
        before: the bytes.
        after: as many bytes that come in their place.
        behind: how many bytes stand behind them.
    """
    differing = (int.from_bytes(before) ^ int.from_bytes(after)).to_bytes(len(before))
    differs_last = differing.rstrip(b"\0")
    crc = crc16(differs_last.lstrip(b"\0"))
    behind += len(differing) - len(differs_last)
    for low, high in _ZEROS:
        if behind & 1:
            crc = low[crc & 0xFF] ^ high[crc >> 8]
        behind >>= 1
        if not behind:
            break
    return crc
