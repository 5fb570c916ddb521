"""How do telegrams get here? The reader loop: open, watch, close, wait, open again."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
import errno
from math import inf

from serialx import SerialException

from . import esphome
from .addresses import SERVED, scheme_of
from .causes import WORDS, cause_of
from .const import LOGGER
from .detection import Search
from .models import (
    Cause,
    Connection,
    Counters,
    Disconnected,
    Event,
    Telegram,
)
from .opening import HeldError, Opener, Protocol, are_unusable
from .pauses import SILENCE, SLOWEST, Pauses, least_patience
from .stream import Fruitless, Stream
from .telegram import Decoder
from .unforeseen import Unforeseen
from .values import printable
from .versions import OTHERS, SerialSettings, Version

QUEUE_SIZE = 64
"""Events that wait to be told when much comes at once, because Home Assistant was busy: a minute of
DSMR 5."""
FIRST_RETRY = 0.25
"""Seconds before the first attempt to open a lost port again; each next one waits twice as long."""
LONGEST_RETRY = 2.0
"""Seconds between two attempts: a meter that is back is read within three."""
OPEN_TIMEOUT = 15.0
"""Seconds for everything else that opening may do, such as the handshake of a serial proxy."""
SERVER_PATIENCE = 65.0
"""Seconds for the first byte from a server: some pass on a telegram a minute."""
STEADY_AFTER = 600.0
"""Seconds after which a connection with telegrams is no short one."""
SHORT_CONNECTIONS = 3
"""Short ones in a row, after which the other side keeps hanging up."""
DOUBT = 60.0
"""Seconds without a telegram, though bytes come, after which a version that was found out before is
looked for again."""


# What meters and gateways send between telegrams to show that they are there.
_PADDING = b"\0\r\n\xff\xf1"


class SilentError(Exception):
    """The port is open, and no telegram comes."""


class Reader:
    """Keeps a P1 port open and puts what happens there on a queue.

    Attributes:
        connection: where the port is.
        version: the kind of meter there; `OTHERS` as long as it is to be found out.
        serial: how the serial line was set when telegrams came; until a telegram has come, as the
            version says or as it was remembered.
        pauses: for how long the meter may be silent.
        learnt: set when there is something new to remember of the meter, or of how it sends.
        counters: telegrams, checksum failures, connections and the last cause of a loss.
        cause: why no telegrams come, or None while they do and as long as it is not known.
        opener: opens the port.
        stream: makes telegrams of what comes.
        telegram_at: when the last telegram that passed came, in seconds of the event loop's clock.
        telegram_time: the same by the wall clock.
    """

    def __init__(
        self,
        connection: Connection,
        decoder: Decoder,
        queue: deque[Event],
        drain: Callable[[], None],
        *,
        not_ready: tuple[type[Exception], ...] = (),
    ) -> None:
        """Prepare to read; `run` does it.

        Args:
            connection: where the port is.
            decoder: reads telegrams of the version of the meter there, or of `OTHERS` to find out
                which that is.
            queue: where events go. Where it has a longest length and there is no room, the oldest
                goes, and is counted.
            drain: takes the events off the queue; it is called when there are some.
            not_ready: what opening raises, beside OSError and SerialException, when the port is
                another integration's that is not set up yet.
        """
        self.connection = connection
        self.counters: Counters = decoder.counters
        self.version = decoder.version
        self.cause: Cause | None = None
        self.opener = Opener(connection.url, self.received)
        self.telegram_at: float | None = None
        self.telegram_time: datetime | None = None
        self.learnt = asyncio.Event()
        self.pauses = Pauses(self.learnt.set)
        self._unforeseen = Unforeseen(self.counters, connection.without_secrets)
        self.stream = Stream(connection, decoder, self._passed, self._unforeseen)
        self._queue = queue
        self._drain = drain
        self._not_ready = (*not_ready, *esphome.not_ready_of(connection.url))
        self._failures: tuple[type[Exception], ...] = (
            OSError,
            SerialException,
            SilentError,
            HeldError,
            *self._not_ready,
        )
        self._protocol: Protocol | None = None
        self.serial: SerialSettings = self.version.serial
        self._serial = self.serial
        self._search = Search(connection.url) if self.version is OTHERS else None
        self._found = asyncio.Event()
        # inf while it is not open.
        self._opened_at = inf
        self._short = 0
        self._is_shown = False
        self._waiting_since = 0.0
        self._doubt_since = 0.0
        self._has_searched = False
        self._available = True
        self._longest_retry = min(LONGEST_RETRY, connection.longest_retry)

    async def run(self) -> None:
        """Read until cancelled. No error ends it; on cancellation the port is closed."""
        pause = FIRST_RETRY
        self._doubt_since = asyncio.get_running_loop().time()
        while True:
            try:
                is_new = await self._attempt()
            except Exception as error:
                # In what is done about a loss, which has to be told all the same.
                is_new = False
                self._unforeseen.note_in(f"while reading {self.connection.name}", error)
                self.cause = Cause.UNEXPECTED
                self._tell(Disconnected())
            if is_new:
                pause = FIRST_RETRY
            await asyncio.sleep(min(pause, self._longest_retry))
            pause = min(2 * pause, self._longest_retry)

    async def _attempt(self) -> bool:
        """Read until the port is lost; return whether it is opened anew as soon as may be."""
        loop = asyncio.get_running_loop()
        telegrams = self.counters.telegrams
        try:
            await self._read_in_turn()
        except self._failures as error:
            self._lost(self._cause_of(error), error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Somebody else's: a library has cancelled what it was waiting for.
            self._lost(Cause.UNEXPECTED, error)
        except Exception as error:
            self._unforeseen.note_in(f"while reading {self.connection.name}", error)
            self._lost(Cause.UNEXPECTED, error)
        came = self.counters.telegrams > telegrams
        # What is shown is seconds old, and the next connection may go on with it.
        self._is_shown = came and self._is_unsteady and self.cause is Cause.LOST
        if not self._is_shown:
            self._tell(Disconnected())
        self.stream.fruitless = Fruitless()
        if came:
            is_short = loop.time() - self._opened_at < STEADY_AFTER
            self._short = self._short + 1 if is_short else 0
        return came and not self._is_unsteady

    async def _read_in_turn(self) -> None:
        """Read with the settings that the serial line has, or with one after the other."""
        while True:
            try:
                await self._read()
            except self._failures as error:
                if not self._turns(error):
                    raise
            await asyncio.sleep(FIRST_RETRY)

    async def found(self) -> Version:
        """Wait until the version has turned out to be another one, and return it."""
        await self._found.wait()
        self._found.clear()
        return self.version

    async def _read(self) -> None:
        """Open the port and stay on it until it is lost or silent."""
        loop = asyncio.get_running_loop()
        self.stream.clear()
        self._opened_at = inf
        if self._open_timeout <= 0:
            # What is shown is too old. It is said, and the port is opened all the same.
            self._is_shown = False
            self._lost(Cause.LOST, ConnectionResetError("the other side keeps hanging up"))
            self._tell(Disconnected())
        self._serial = self._search.begin() if self._search else self.serial
        is_as_given = not self.stream.takes_all and self._serial == self.serial
        self.stream.recognises = self._search is not None and not is_as_given
        async with AsyncExitStack() as open_ports:
            try:
                async with asyncio.timeout(self._open_timeout):
                    self._protocol = protocol = await self.opener.open(self._serial, open_ports)
            except ValueError as reason:
                # The URL lacks something, or names a serial proxy that the ESPHome does not have.
                raise FileNotFoundError(errno.ENOENT, str(reason)) from reason
            self._opened_at = loop.time()
            self.counters.connections += 1
            if not self._is_shown:
                self._waiting_since = self._opened_at
            self.pauses.begin(self._opened_at)
            error = await self._watch(protocol.lost)
        raise error or ConnectionResetError("the other side closed the connection")

    @property
    def _open_timeout(self) -> float:
        """For how long opening may take: what is shown meanwhile must not be too old."""
        if not self._is_shown:
            return OPEN_TIMEOUT
        left = self._waiting_since + self._patience() - asyncio.get_running_loop().time()
        return min(OPEN_TIMEOUT, left)

    @property
    def _is_unsteady(self) -> bool:
        """Whether the other side keeps hanging up, and has not left this connection alone yet."""
        now = asyncio.get_running_loop().time()
        return self._short >= SHORT_CONNECTIONS and now - self._opened_at < STEADY_AFTER

    async def _watch(self, lost: asyncio.Future[Exception | None]) -> Exception | None:
        """Wait for the loss of the connection, and for no longer than the meter may be silent."""
        while True:
            since = self._waiting_since
            waited = asyncio.get_running_loop().time() - since
            while self._waiting_since == since:
                left = self._patience() - waited
                if left <= 0:
                    return SilentError(f"no telegram for {waited:.0f} s")
                # What comes meanwhile may make it shorter.
                step = min(left, least_patience(self.version.interval))
                done, _ = await asyncio.wait({lost}, timeout=step)
                if done:
                    return lost.result()
                # By the timers and not by the clock: what came while the loop was busy is read
                # before it is missed.
                waited += step

    def _patience(self) -> float:
        """Return the seconds for which the meter may be silent."""
        if self._search is not None and self._search.patience is not None:
            return self._search.patience
        allowed = self.pauses.allowed(self.version.interval)
        has_come = self.telegram_at is not None and self.telegram_at >= self._opened_at
        is_known = self.pauses.is_known
        if not (has_come or is_known or self._is_shown or self.stream.fruitless.bytes):
            return max(allowed, self._first_patience)
        return allowed

    @property
    def _first_patience(self) -> float:
        """How many seconds a server may stay silent after connecting, while its pauses are unknown.

        It may pass on a telegram a minute, and count its minutes from when it is called. No value
        is shown yet, so none can be out of date; but the connection may be dead.
        """
        if scheme_of(self.connection.url) not in SERVED:
            return 0.0
        # Where a telegram has come before, there is a meter; else it is waited ever longer.
        waited = inf if self.pauses.has_begun else self._opened_at - self.pauses.heard_at
        return min(waited, SERVER_PATIENCE)

    def _turns(self, error: Exception) -> bool:
        """After a failure: return whether other settings have their turn now."""
        now = asyncio.get_running_loop().time()
        unusable = self._opened_at == inf and are_unusable(error)
        if self._search is not None:
            told = self.stream.fruitless.sealed or self.stream.looks_like is not None
            of_settings = unusable or isinstance(error, SilentError)
            if not told and of_settings and self._search.turn():
                return True
            if self.version is not OTHERS:
                # It is the meter, or the line; what was known is as good as before.
                self._search, self._doubt_since = None, now
        elif unusable or self._is_doubtful(now):
            self._search, self._has_searched = Search(self.connection.url), True
            return unusable
        return False

    def _is_doubtful(self, now: float) -> bool:
        """Return whether the version may be another one than the one that was found before.

        A version that the user gave is kept; the port is listened to once with other settings, only
        to name what comes.
        """
        late = now - self._doubt_since >= DOUBT
        told = self._has_searched or self.stream.looks_like is not None
        again = self.connection.detects or not told
        return again and self.stream.fruitless.bytes and late

    def received(self, data: bytes) -> None:
        """Take bytes from the port; where that fails, the next ones are taken again."""
        now = asyncio.get_running_loop().time()
        try:
            if data.strip(_PADDING):
                self.stream.fruitless.bytes = True
                self.pauses.hear(now)
            self.stream.feed(data, now)
            if self.stream.is_refused:
                self.cause = Cause.WRONG_KEY
            # All that has come at once: if that is much, the queue keeps the newest.
            if self._queue:
                self._have_told()
            if self._search is None or self._protocol is None:
                return
            if self._search.is_hopeless(data) and not self.stream.fruitless.telegrams:
                self._protocol.connection_lost(SilentError("bytes come that are in no telegram"))
        except Exception as error:
            self._unforeseen.note_in(f"in what comes from {self.connection.name}", error)

    def _passed(self, telegram: Telegram, now: float) -> None:
        """Put a telegram on the queue, and learn from it."""
        # The serial line is set as it must be, and the version is found.
        self._search, self.serial = None, self._serial
        self.stream.recognises = False
        if self.stream.version is not self.version:
            self.version = self.stream.version
            LOGGER.info("The meter at %s speaks %s", self.connection.name, self.version.label)
            self._found.set()
        self.cause = None
        self._has_searched = False
        self.pauses.end()
        self.telegram_at = self._waiting_since = self._doubt_since = now
        self.telegram_time = datetime.now(UTC)
        if not self._available and not self._is_unsteady:
            self._available = True
            LOGGER.warning("Telegrams come from %s again", self.connection.name)
        self._put(telegram)

    def _cause_of(self, error: Exception) -> Cause:
        """Return what an error means that came in opening a port, or from an open one."""
        if isinstance(error, SilentError):
            quiet = asyncio.get_running_loop().time() - self.pauses.heard_at
            return self.stream.diagnosis(is_quiet=quiet >= SILENCE * SLOWEST)
        if isinstance(error, HeldError):
            return Cause.HELD
        if isinstance(error, self._not_ready):
            return Cause.NOT_READY
        cause = cause_of(error, is_open=self._opened_at < inf)
        # An adapter that hangs is no host.
        is_device = self.connection.url.startswith("/")
        return Cause.FAILED if is_device and cause is Cause.UNREACHABLE else cause

    def _lost(self, cause: Cause, error: BaseException) -> None:
        self.cause = cause
        if cause is not Cause.SILENT:
            self.pauses.interrupt()
        # A gateway's words may be in it.
        text = printable(self.connection.without_secrets(str(error)))
        if not text or cause is Cause.UNEXPECTED:
            text = f"{type(error).__name__}: {text}".rstrip(": ")
        self.counters.last_cause = f"{text} ({WORDS[cause]})"
        if self._available:
            self._available = False
            LOGGER.warning(
                "No telegrams from %s: %s", self.connection.name, self.counters.last_cause
            )

    def _tell(self, event: Event) -> None:
        """Put an event on the queue, and have it told."""
        self._put(event)
        self._have_told()

    def _put(self, event: Event) -> None:
        self.counters.dropped += len(self._queue) == self._queue.maxlen
        self._queue.append(event)

    def _have_told(self) -> None:
        try:
            self._drain()
        except Exception as error:
            self._unforeseen.note_in(f"in telling what comes from {self.connection.name}", error)
