"""Which version does a meter speak? Told from its telegrams."""

from dataclasses import dataclass
import re
from typing import Final

from .addresses import SERVED, scheme_of
from .versions import (
    SERIAL_9600_7E1,
    SERIAL_115200_7E1,
    SERIAL_115200_8N1,
    VERSIONS,
    SerialSettings,
    Version,
)

TURN: Final = 12.0
"""Seconds for which one setting of a serial line is tried: a meter that talks every ten seconds has
sent a whole telegram, also at 9600 baud and after one that was half over."""
_OTHER_BYTES: Final = 1024
"""Bytes that no plain telegram has, after which settings are not the right ones. An encrypted
telegram of which the beginning was missed has fewer: three bytes in five of its 1.2 KiB."""
_TEXT: Final = bytes((*range(0x20, 0x7F), *b"\r\n\0"))

# Of a line that begins with A-B:C.D.E(value): A-B, C.D.E and the first value.
_LINE = re.compile(rb"^[ \t\r\0]*(\d+-\d+):(\d+\.\d+\.\d+)(?:\*\d+)?\s*\(([^()]*)", re.MULTILINE)
_P1_VERSION = ("1-3", "0.2.8")
_BELGIAN_VERSION = ("0-0", "96.1.4")


@dataclass(frozen=True, slots=True)
class Traits:
    """What of a telegram tells its version.

    Attributes:
        header: the identification line without its '/'.
        p1_version: the value of 1-3:0.2.8, or "".
        belgian_version: the value of 0-0:96.1.4, or "".
        lines: the value groups C.D.E of its lines.
        checksum: whether it ends with one.
        encrypted: whether it came encrypted.
    """

    header: str
    p1_version: str
    belgian_version: str
    lines: frozenset[str]
    checksum: bool
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to tell a version. What is left out may be anything.

    Attributes:
        version: which version it is.
        why: why that follows.
        header: what the header begins with, as a regular expression.
        p1_version: what 1-3:0.2.8 begins with.
        belgian_version: what 0-0:96.1.4 begins with.
        sends: lines that are in the telegram, all of them.
        lacks: lines that are not in it, none of them.
        checksum: whether it ends with a checksum.
        encrypted: whether it came encrypted.
    """

    version: str
    why: str
    header: str = ""
    p1_version: str = ""
    belgian_version: str = ""
    sends: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    checksum: bool | None = None
    encrypted: bool | None = None

    @property
    def is_certain(self) -> bool:
        """Whether it goes by a name. What else tells a version may be in another's telegrams."""
        return bool(self.header or self.belgian_version)

    def holds(self, traits: Traits) -> bool:
        """Return whether a telegram is of this rule."""
        return (
            re.match(self.header, traits.header) is not None
            and traits.p1_version.startswith(self.p1_version)
            and traits.belgian_version.startswith(self.belgian_version)
            and self.sends <= traits.lines
            and not self.lacks & traits.lines
            and self.checksum in (None, traits.checksum)
            and self.encrypted in (None, traits.encrypted)
        )


# The first rule that holds decides. Headers come first: a country that took over the Dutch
# standard sends its version number too.
RULES: Final = (
    Rule(
        version="MSn",
        header="Lux5",
        encrypted=True,
        why="the header of all meters in Luxembourg; they say that they speak version 4.2",
    ),
    Rule(
        version="5L",
        header="Lux5",
        why="as above, where a gateway or the operator has taken the encryption away",
    ),
    Rule(
        version="SAGEMCOM_T210_D_R",
        header="EST5",
        why="the header of Energienetze Steiermark; they say that they speak version 5.0",
    ),
    Rule(
        version="SAGEMCOM_T210_D_R",
        encrypted=True,
        lacks=frozenset({"96.1.1", "42.0.0", "96.14.0"}),
        why="other Austrian operators have the same meter: no identifier and no tariff is in it",
    ),
    Rule(
        version="ISKRA_IE",
        header=r"ISk\d\\2MIE",
        why="the Iskra IE.5 and IE.7 name themselves; their lines are in part the Belgian ones",
    ),
    Rule(version="5B", header="FLU5", why="the header of Fluvius"),
    Rule(
        version="5B",
        belgian_version="502",
        why="other Belgian operators: 0-0:96.1.4 is of e-MUCS P1, DSMR 5.0.2 and two digits of "
        "its own version; a Swiss meter has another number there",
    ),
    Rule(
        version="Q3D",
        header="ESY5Q3D",
        why="the EasyMeter names itself; without a checksum it would look like DSMR 2.2",
    ),
    Rule(
        version="5EONHU",
        sends=frozenset({"5.8.0", "8.8.0"}),
        why="no others count reactive energy by quadrant; the headers are the makers', one of "
        "which says in 1-3:0.2.8 that it speaks DSMR 5",
    ),
    Rule(version="4", p1_version="4", why="DSMR P1 4.0 and 4.2: 1-3:0.2.8 is the version"),
    Rule(version="5", p1_version="5", why="DSMR P1 5.0: 1-3:0.2.8 is the version"),
    Rule(
        version="5S",
        sends=frozenset({"1.8.0", "3.8.0", "4.8.0"}),
        lacks=frozenset({"1.8.1", "96.14.0", "96.1.1"}),
        why="reactive energy, no tariffs and no identifier (Swedenergy H1 2.0); the headers are "
        "the makers'",
    ),
    Rule(
        version="2.2",
        checksum=False,
        why="the checksum and the version number came with DSMR 4; DSMR 3 has the same lines",
    ),
    Rule(
        version="5", why="what is left has the lines of DSMR 5, and more (Lithuania, Switzerland)"
    ),
)


def traits_of(telegram: bytes, *, encrypted: bool = False) -> Traits:
    """Return what of a telegram tells its version.

    Args:
        telegram: its bytes from '/' to the line end after '!', decrypted.
        encrypted: whether it came encrypted.
    """
    body, _, checksum = telegram.rpartition(b"!")
    header, _, _ = body.partition(b"\n")
    values: dict[tuple[str, str], str] = {}
    for line in _LINE.finditer(body):
        device, obis, value = (group.decode("latin-1") for group in line.groups())
        values.setdefault((device, obis), value)
    return Traits(
        header.removeprefix(b"/").decode("latin-1").strip("\0\r "),
        values.get(_P1_VERSION, ""),
        values.get(_BELGIAN_VERSION, ""),
        frozenset(obis for _, obis in values),
        checksum=bool(checksum.strip(b"\0 \t\r\n")),
        encrypted=encrypted,
    )


def rule_of(telegram: bytes, *, encrypted: bool = False) -> Rule:
    """Return the rule that tells the version of a telegram.

    Args:
        telegram: its bytes from '/' to the line end after '!', decrypted.
        encrypted: whether it came encrypted.
    """
    traits = traits_of(telegram, encrypted=encrypted)
    return next(rule for rule in RULES if rule.holds(traits))


def recognise(telegram: bytes, *, encrypted: bool = False) -> Version:
    """Return the version of a telegram; the arguments are those of `rule_of`."""
    return VERSIONS[rule_of(telegram, encrypted=encrypted).version]


class Search:
    """Which settings a serial line has, as long as no telegram has come.

    Attributes:
        patience: seconds for which settings are tried, or None where there is nothing to try.
    """

    def __init__(self, url: str) -> None:
        """Begin with the settings of most meters.

        Args:
            url: the port. Where it is served, there is nothing to try.
        """
        self.patience: float | None = None
        self._settings: tuple[SerialSettings, ...] = (SERIAL_115200_8N1,)
        if scheme_of(url) not in SERVED:
            self.patience = TURN
            self._settings += (SERIAL_115200_7E1, SERIAL_9600_7E1)
        self._turn = 0
        self._other_bytes = 0

    def begin(self) -> SerialSettings:
        """Return the settings whose turn it is; with them the port is opened."""
        self._other_bytes = 0
        return self._settings[self._turn]

    def turn(self) -> bool:
        """Let the next settings have their turn; return whether some have not had it yet."""
        self._turn = (self._turn + 1) % len(self._settings)
        return self._turn > 0

    def is_hopeless(self, data: bytes) -> bool:
        """Return whether so many bytes have come that are in no telegram, these being the last."""
        self._other_bytes += len(data.translate(None, _TEXT))
        return self.patience is not None and self._other_bytes > _OTHER_BYTES
