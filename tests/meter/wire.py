"""Telegrams as bytes on the wire: line ends, checksum and encryption."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


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


SYSTEM_TITLE = b"SAG\x00\x00\x12\x34\x50"
_SECURITY = b"\x30"  # suite 0, authenticated and encrypted


def encrypted(
    telegram: bytes,
    key: bytes,
    authentication_key: bytes = b"",
    *,
    counter: int = 1,
    title: bytes = SYSTEM_TITLE,
) -> bytes:
    """Return a telegram as a meter sends it that encrypts.

    A general-global-cipher APDU of DLMS security suite 0, AES-128-GCM with a tag of 12 bytes (IEC
    62056-5-3; Luxmetering, E-Meter P1 Specification 1.1.3, section 3.2.5), its length in two bytes.

    Args:
        telegram: the telegram from its `/` to its last line end.
        key: the meter's encryption key, 16 bytes.
        authentication_key: the meter's authentication key, 16 bytes, or none.
        counter: the number of the frame, below 2^32.
        title: the system title of the meter, 8 bytes.
    """
    number = counter.to_bytes(4)
    encryptor = Cipher(algorithms.AES128(key), modes.GCM(title + number)).encryptor()
    encryptor.authenticate_additional_data(_SECURITY + authentication_key)
    ciphertext = encryptor.update(telegram) + encryptor.finalize()
    sealed = _SECURITY + number + ciphertext + encryptor.tag[:12]
    return b"\xdb\x08" + title + b"\x82" + len(sealed).to_bytes(2) + sealed
