"""What travels from the P1 port to the entities."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from math import inf
import re
from typing import Final, NamedTuple
from urllib.parse import unquote

# By hand, because a URL that makes no sense must not give its secrets away either: what stands
# before the last '@' is the user, with whatever a password may have in it.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):/+(?:(?P<user>.*)@)?(?P<where>[^@?#]*)(?P<query>[?#].*)?"
)
# What a person calls a serial proxy of an ESPHome is no secret.
_PORT_NAME = re.compile(r"\bport_name=[^&#]*")
# Shorter words are in every text.
_SHORTEST_SECRET = 4

type Value = Decimal | int | str | datetime | None

ELECTRICITY = ""
"""The `ReadingKey.meter` of the electricity meter itself."""
CHANNEL = "channel "
"""What begins the `MBusMeter.identity` of a meter that sends no identifier."""


class ReadingKey(NamedTuple):
    """Which value of which meter a reading is.

    Attributes:
        meter: `ELECTRICITY`, or the `MBusMeter.identity` of the meter behind it.
        obis: the value groups C.D.E of the OBIS reference, such as `1.8.1`.
    """

    meter: str
    obis: str


class Entry(NamedTuple):
    """One row of a line that holds a list, such as the power failure log.

    Attributes:
        time: which moment or month the row is about.
        value: its value.
        unit: the unit of the value.
        occurred: when in that month it was, for a peak of demand.
    """

    time: datetime | None
    value: Value
    unit: str | None
    occurred: datetime | None = None


class Reading(NamedTuple):
    """One value that a meter sent.

    Attributes:
        value: the value, or None where the line has none or can't be read.
        unit: the unit, one for each quantity: kW, kWh, kvar, kvarh, kVA, V, A, Hz, GJ, m³, s.
        time: when it was taken, by the clock of the meter that took it; None for most.
        entries: the rows of a line that holds a list, oldest first.
    """

    value: Value
    unit: str | None = None
    time: datetime | None = None
    entries: tuple[Entry, ...] = ()


class MBusType(IntEnum):
    """What a meter behind the electricity meter measures (EN 13757-3:2013, table 3)."""

    ELECTRICITY = 2
    GAS = 3
    HEAT = 4
    WARM_WATER = 6
    WATER = 7
    COOLING_RETURN = 10
    COOLING_FLOW = 11
    HEAT_FLOW = 12
    HEAT_COOLING = 13


COOLING: Final = (MBusType.COOLING_RETURN, MBusType.COOLING_FLOW, MBusType.HEAT_COOLING)
"""What measures cold, or heat and cold."""


@dataclass(frozen=True, slots=True)
class MBusMeter:
    """A gas, water or heat meter behind the electricity meter.

    Attributes:
        type: what it measures.
        identifier: its equipment identifier as sent (hex of ASCII), or "" where it sends none.
        channel: the M-Bus channel on which it is now. Channels move; identifiers stay.
    """

    type: MBusType
    identifier: str
    channel: int

    @property
    def identity(self) -> str:
        """What this meter is known by: its identifier, or its channel where it has none."""
        return self.identifier or f"{CHANNEL}{self.channel}"


class Contents(NamedTuple):
    """Which values and meters there are.

    Attributes:
        keys: the readings of a telegram, and what follows from them.
        meters: the M-Bus meters that have a reading, by what they measure and by channel.
    """

    keys: frozenset[ReadingKey]
    meters: tuple[MBusMeter, ...]


class Telegram(NamedTuple):
    """What the meter said at one moment.

    Attributes:
        header: the identification line without its `/`.
        readings: every line that was read, and what follows from them.
        contents: which readings and meters these are; the same object as in the telegram before
            where they are the same.
        earlier: the readings of an earlier telegram. All of them except `changed` are identical in
            this one. None where it was compared with no other.
        changed: which readings may differ from `earlier`.
    """

    header: str
    readings: Mapping[ReadingKey, Reading]
    contents: Contents
    earlier: Mapping[ReadingKey, Reading] | None = None
    changed: Collection[ReadingKey] = ()


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The port was closed, could not be opened, or no telegrams come from it."""


type Event = Telegram | Disconnected


class Cause(StrEnum):
    """Why no telegrams come from a P1 port."""

    UNKNOWN_SCHEME = "unknown_scheme"
    NO_SUCH_PORT = "no_such_port"
    NO_PERMISSION = "no_permission"
    BUSY = "busy"
    HELD = "held"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NOT_READY = "not_ready"
    FAILED = "failed"
    LOST = "lost"
    SILENT = "silent"
    NO_TELEGRAM = "no_telegram"
    CHECKSUM = "checksum"
    WRONG_VERSION = "wrong_version"
    NO_KEY = "no_key"
    WRONG_KEY = "wrong_key"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Keys:
    """What the operator of an encrypted meter gives its owner.

    Attributes:
        encryption: 16 bytes, for one meter alone.
        authentication: 16 bytes, or None where the owner has none.
    """

    encryption: bytes = field(repr=False)
    authentication: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a P1 port and to read what comes from it.

    Attributes:
        url: a serial device's path, or a URL that serialx opens.
        longest_retry: the most seconds between two attempts to open it.
        keys: what telegrams are decrypted with that come encrypted.
        detects: whether the version of the meter may turn out to be another one.
        rfxtrx: whether an RFXtrx receiver passes telegrams on in its packets.
        title: the name that the user gave to what reads it: the title of the entry, or
            configuration.yaml.
    """

    url: str
    longest_retry: float = inf
    keys: Keys | None = None
    detects: bool = False
    rfxtrx: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """The port as it may stand in a log: without user, password and keys."""
        url = _URL.fullmatch(self.url)
        return f"{url['scheme']}://{url['where']}" if url else self.url

    def without_secrets(self, text: str) -> str:
        """Return a text, such as an error's, without what of the URL is secret, for the log."""
        text = text.replace(self.url, self.name)
        # The longest first: one may be part of another.
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "…")
        return text

    @property
    def secrets(self) -> set[str]:
        """What of the URL is nobody's business, as it is written and as it is meant."""
        url = _URL.fullmatch(self.url)
        if url is None:
            return set()
        secret = f"{url['user'] or ''}:{_PORT_NAME.sub('', url['query'] or '')}"
        # What is behind a / is taken for the path by whoever reads the URL, and quoted.
        parts = re.split(r"[:&=?#/]", secret)
        written = {*parts, *map(unquote, parts)}
        return {part for part in written if len(part) >= _SHORTEST_SECRET}


@dataclass(slots=True)
class OddLine:
    """A line that can't be read, or that no specification knows.

    Attributes:
        text: the line as it came last.
        reason: why it can't be read, or "" where it was read by what it looks like.
        times: how often it has come.
    """

    text: str
    reason: str
    times: int = 0


@dataclass(slots=True)
class Counters:
    """What has happened on a P1 port since it was set up.

    Attributes:
        errors: those that nobody has foreseen.
        odd_lines: the lines that can't be read and those that no specification knows, by what
            stands before their first parenthesis; "" for all that have no OBIS reference.
    """

    telegrams: int = 0
    checksum_failures: int = 0
    decryption_failures: int = 0
    unreadable_lines: int = 0
    dropped: int = 0
    connections: int = 0
    errors: int = 0
    last_cause: str = ""
    odd_lines: dict[str, OddLine] = field(default_factory=dict)
