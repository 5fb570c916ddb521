"""Which telegrams are in the bytes that come, and if none, what else?"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from .checksum import ChecksumError, Checksums
from .const import LOGGER
from .decryption import DamagedError, Decryption, DecryptionError
from .detection import recognise
from .framing import EncryptedFramer, Framer, RFXtrxPackets
from .models import Cause, Connection, Telegram
from .telegram import Decoder
from .unforeseen import Unforeseen
from .versions import OTHERS, Version

HEARD = 3
"""Telegrams that are kept for the diagnostics …"""
LONGEST_HEARD = 5_000
"""… and the most bytes of each: what is framed may be noise."""
REFUSED = 5
"""Frames in a row that can't be decrypted, after which it is the key and not the line."""


@dataclass(slots=True)
class Fruitless:
    """What has come since the last telegram that passed, or since the last loss.

    Attributes:
        bytes: whether any has but those that only show that somebody is there.
        damaged: whether a telegram has whose bytes are not those that the meter sent.
        sealed: whether an encrypted one has, where there is no key.
    """

    bytes: bool = False
    damaged: bool = False
    sealed: bool = False

    @property
    def telegrams(self) -> bool:
        """Whether any telegram has."""
        return self.damaged or self.sealed


class Stream:
    """Makes telegrams of the bytes of one P1 port.

    Attributes:
        version: of which they are; `OTHERS` as long as it is to be found out.
        recognises: whether each telegram is asked of which version it is; otherwise it is taken for
            one of `version`.
        fruitless: what else has come.
        looks_like: the version as which the telegrams pass that come, where it is another one.
        looks_sealed: whether they are encrypted, and there is no key.
        heard: the last telegrams, decrypted, whether they passed or not, each with when it came in
            seconds of the event loop's clock.
    """

    def __init__(
        self,
        connection: Connection,
        decoder: Decoder,
        passed: Callable[[Telegram, float], None],
        unforeseen: Unforeseen,
    ) -> None:
        """Prepare for bytes.

        Args:
            connection: with which keys they are decrypted, and whether they come in packets.
            decoder: reads telegrams of the version of the meter there, or of `OTHERS` to find out
                which that is.
            passed: called with each telegram that passes, and with when it came.
            unforeseen: where it is told what fails that nobody has foreseen.
        """
        self.version = decoder.version
        self.recognises = False
        self.fruitless = Fruitless()
        self.looks_like: Version | None = None
        self.looks_sealed = False
        self.heard: deque[tuple[float, bytes]] = deque(maxlen=HEARD)
        self._connection = connection
        self._decoder = decoder
        self._counters = decoder.counters
        self._passed = passed
        self._unforeseen = unforeseen
        self._decryption = self._decryption_as_of(self.version)
        self._packets = RFXtrxPackets() if connection.rfxtrx else None
        self._plain = Framer()
        self._encrypted = EncryptedFramer()
        self._refused = 0

    def clear(self) -> None:
        """Forget what has come: the next byte has nothing to do with it."""
        if self._packets is not None:
            self._packets.clear()
        self._plain.clear()
        self._encrypted.clear()

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes as they came, cut anywhere, at a moment of the event loop's clock."""
        if self._packets is not None:
            data = self._packets.feed(data)
        passed = self._counters.telegrams
        for frame in self._plain.feed(data):
            self._take(frame, now)
        # Bytes that end a plain telegram are none of an encrypted one; but what looks like a plain
        # one may be in an encrypted one by chance.
        for sealed in () if self._counters.telegrams > passed else self._encrypted.feed(data):
            for frame in self._opened(sealed):
                self._take(frame, now, encrypted=True)

    @property
    def is_refused(self) -> bool:
        """Whether the key does not fit."""
        return self._refused >= REFUSED

    @property
    def lacks_key(self) -> Cause | None:
        """What a person who waits may be asked for already: no key, or the right one."""
        if self.fruitless.sealed:
            return Cause.NO_KEY
        # The line may have damaged a single one.
        return Cause.WRONG_KEY if self._refused > 1 else None

    @property
    def takes_all(self) -> bool:
        """Whether the version is taken from the telegrams and not from the configuration."""
        return self.version is OTHERS or self._connection.detects

    def diagnosis(self, *, is_quiet: bool) -> Cause:
        """Return why none passes.

        Args:
            is_quiet: whether no bytes have come for longer than any meter is silent.
        """
        if self.is_refused and not is_quiet:
            return Cause.WRONG_KEY
        # It may have turned out with other settings than those that the serial line has again.
        if self.looks_sealed and self.fruitless.bytes:
            return Cause.NO_KEY
        if self.looks_like is not None and self.fruitless.bytes:
            return Cause.WRONG_VERSION
        if self.fruitless.damaged:
            return Cause.CHECKSUM
        return Cause.NO_TELEGRAM if self.fruitless.bytes else Cause.SILENT

    def _opened(self, frame: bytes) -> Iterator[bytes]:
        """Yield the telegram in an encrypted frame."""
        if self._decryption is None:
            self.fruitless.sealed = self.looks_sealed = True
            return
        try:
            text = self._decryption.decrypt(frame)
        except DecryptionError as error:
            self._counters.decryption_failures += 1
            self.fruitless.damaged = True
            self._refused += not isinstance(error, DamagedError)
            LOGGER.debug("A frame from %s is dropped: %s", self._connection.name, error)
            if self._refused == REFUSED:
                LOGGER.warning("No telegram from %s can be read: %s", self._connection.name, error)
            return
        # Whether a line end belongs to the telegram is not for the frame to say.
        yield from Framer().feed(text + b"\r\n")

    def _decryption_as_of(self, version: Version) -> Decryption | None:
        keys = self._connection.keys
        return Decryption(keys, version.authentication_key) if keys else None

    def _take(self, frame: bytes, now: float, *, encrypted: bool = False) -> None:
        """Read a telegram; no error in that costs the next one."""
        self.heard.append((now, frame[:LONGEST_HEARD]))
        try:
            self._decode(frame, now, encrypted=encrypted)
        except Exception as error:
            self._unforeseen.note_in(f"in a telegram from {self._connection.name}", error)

    def _decode(self, frame: bytes, now: float, *, encrypted: bool) -> None:
        """Read a telegram, of whichever version where that is to be found out."""
        version = recognise(frame, encrypted=encrypted) if self.recognises else self.version
        decoder = self._decoder if version is self.version else self._decoder.of(version)
        try:
            telegram = decoder.decode(frame, now)
        except ChecksumError as error:
            self._counters.checksum_failures += 1
            self.fruitless.damaged = True
            self._look(frame, encrypted=encrypted)
            LOGGER.debug("A telegram from %s is dropped: %s", self._connection.name, error)
            return
        if version is not self.version:
            if not self.takes_all:
                self.fruitless.damaged = True
                self.looks_like = version
                return
            self.version, self._decoder = version, decoder
            self._decryption = self._decryption_as_of(version)
        self._counters.telegrams += 1
        self.looks_like, self.looks_sealed = None, False
        self.fruitless = Fruitless()
        self._refused = 0
        self._passed(telegram, now)

    def _look(self, frame: bytes, *, encrypted: bool) -> None:
        """Tell whether a telegram that does not pass would pass as one of another version."""
        version = recognise(frame, encrypted=encrypted)
        self.looks_like = None
        if version is not self.version:
            with suppress(ChecksumError):
                Checksums(is_sent=version.checksum).passed(frame)
                self.looks_like, self.looks_sealed = version, False
