"""What does an encrypted frame say?

AES-128 in Galois counter mode, as DLMS security suite 0 has it (IEC 62056-5-3; for Luxembourg also
Luxmetering, E-Meter P1 Specification 1.1.3, section 3.2.5): the initialization vector is the system
title and the frame counter, the additional data is the security control byte and the
authentication key, and the tag has 12 bytes.
"""

import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import GCM

from .checksum import has_right_checksum
from .framing import ENCRYPTED_HEADER, FRAME_COUNTER_LENGTH, TAG_LENGTH
from .models import Keys

_KEY = re.compile(r"[0-9A-Fa-f]{32}")
_BETWEEN: Final = str.maketrans("", "", " -:")


class DecryptionError(ValueError):
    """A frame can't be decrypted. Of the keys nothing is said."""


class DamagedError(DecryptionError):
    """A frame was damaged on the way: the keys have fitted others."""


def read_key(text: str) -> bytes:
    """Return a key of 16 bytes.

    Args:
        text: 32 hexadecimal digits, with spaces, dashes or colons between them as operators print
            them.

    Raises:
        ValueError: it is something else. What it is the error does not say.
    """
    digits = text.translate(_BETWEEN)
    if not _KEY.fullmatch(digits):
        raise ValueError("expected 32 hexadecimal digits")
    return bytes.fromhex(digits)


class Decryption:
    """Decrypts the frames of one meter.

    With an authentication key that the owner gave, each frame must have the tag that belongs to
    it. The one that a specification names is not that of every meter: with the published key of
    Luxembourg the tags of real meters do not verify (dsmr_parser, pull request 185). So that one is
    held to from the first frame on whose tag verifies; until then the telegram's own checksum is
    what shows damage.
    """

    def __init__(self, keys: Keys, published: bytes | None = None) -> None:
        """Prepare to decrypt.

        Args:
            keys: of this meter.
            published: the authentication key that the specification names for all its meters.
        """
        self._encryption = AES128(keys.encryption)
        self._authentication = keys.authentication or published or b""
        self._must_verify = keys.authentication is not None
        self._has_verified = False

    def decrypt(self, frame: bytes) -> bytes:
        """Return the telegram in a frame.

        Args:
            frame: an APDU as `EncryptedFramer` cuts it.

        Raises:
            DecryptionError: it was damaged on the way, or a key is not that of the meter.
            DamagedError: it was damaged on the way.
        """
        header = ENCRYPTED_HEADER.match(frame)
        if header is None:
            raise DecryptionError("it is no encrypted telegram")
        security, rest = frame[header.end() : header.end() + 1], frame[header.end() + 1 :]
        counter, sealed = rest[:FRAME_COUNTER_LENGTH], rest[FRAME_COUNTER_LENGTH:-TAG_LENGTH]
        mode = GCM(header[1] + counter, frame[-TAG_LENGTH:], min_tag_length=TAG_LENGTH)
        decryptor = Cipher(self._encryption, mode).decryptor()
        decryptor.authenticate_additional_data(security + self._authentication)
        telegram = decryptor.update(sealed)
        try:
            decryptor.finalize()
        except InvalidTag:
            if not telegram.startswith(b"/"):
                raise DecryptionError("the encryption key does not fit") from None
            # Where the telegram is as the meter sent it, the meter has another key now.
            if self._has_verified and not has_right_checksum(telegram):
                raise DamagedError("its tag is not the one that belongs to it") from None
            if self._must_verify:
                raise DecryptionError("the authentication key does not fit") from None
        else:
            self._must_verify = self._has_verified = True
        return telegram
