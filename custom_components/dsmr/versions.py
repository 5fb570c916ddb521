"""Which meters are there? One row each.

What a line means is dsmr_parser's knowledge: a version names its specification, and the lines that
the specification describes are looked up here by their OBIS reference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
import re
from typing import Any, Final, Literal

from dsmr_parser import telegram_specifications as specifications
from serialx import Parity

type Tariff = Literal["low", "normal", "tariff_3", "tariff_4"]

# How dsmr_parser writes the OBIS reference in its patterns: A-B:C.D.E, each a digit, a class or a
# literal, such as r"^\d-[1-9]:24\.2\.[13].+?\r\n".
_PATTERN = re.compile(
    r"\^(?:\\d|\d)-(?P<channel>\\d|\[1-9\]|\d):(?P<c>\d+)\\\.(?P<d>\d+)\\\.(?P<e>\d+|\[\d+\])"
)


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """Speed and framing of a serial line; one stop bit always."""

    baudrate: int
    byte_size: int
    parity: Parity

    @classmethod
    def of(cls, stored: tuple[int, int, str]) -> SerialSettings:
        """Return the settings of which `stored` says what to keep."""
        baudrate, byte_size, parity = stored
        return cls(baudrate, byte_size, Parity(parity))

    @property
    def stored(self) -> tuple[int, int, str]:
        """What to keep of them, in the types of JSON."""
        return self.baudrate, self.byte_size, self.parity.value


SERIAL_9600_7E1: Final = SerialSettings(9600, 7, Parity.EVEN)
# The standard says 8N1 for DSMR 4, and some meters send 7E1. Seven bits read both: a telegram is
# ASCII, so that the eighth data bit of an 8N1 meter is a 0 in the place of the parity bit, and the
# kernel hands the character on without looking at the parity (serialx does not set INPCK). The
# other way round does not work: eight bits would read the parity of a 7E1 meter as part of the
# character.
SERIAL_115200_7E1: Final = SerialSettings(115200, 7, Parity.EVEN)
SERIAL_115200_8N1: Final = SerialSettings(115200, 8, Parity.NONE)


LOW_IS_1: Final[tuple[Tariff, ...]] = ("low", "normal", "tariff_3", "tariff_4")
LOW_IS_2: Final[tuple[Tariff, ...]] = ("normal", "low", "tariff_3", "tariff_4")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One kind of meter.

    Attributes:
        key: what `dsmr_version` says, such as `2.2`.
        label: what a person calls it.
        specification: dsmr_parser's description of its telegrams.
        serial: how its serial line is set.
        interval: seconds between two telegrams.
        tariffs: what the codes 1 to 4 of `0-0:96.14.0` mean, and so which registers are low.
    """

    key: str
    label: str
    specification: Mapping[str, Any] = field(repr=False)
    serial: SerialSettings
    interval: int
    tariffs: tuple[Tariff, ...] = LOW_IS_1

    @property
    def checksum(self) -> bool:
        """Whether telegrams end with a CRC16."""
        return bool(self.specification["checksum_support"])

    @property
    def encrypted(self) -> bool:
        """Whether telegrams come encrypted, and a key is needed."""
        return bool(self.specification.get("general_global_cipher"))

    @property
    def authentication_key(self) -> bytes | None:
        """The authentication key of all its meters, where the specification names one."""
        key = self.specification.get("authentication_key")
        return bytes.fromhex(key) if key else None

    @cached_property
    def electricity(self) -> Mapping[str, Any]:
        """dsmr_parser's parsers of the electricity meter's lines, by the value groups C.D.E."""
        return {
            obis: parser
            for channel, obis, parser in self._lines()
            # C = 24 is the M-Bus, also where the specification leaves the channel open.
            if channel != "[1-9]" and not obis.startswith("24.")
        }

    @cached_property
    def mbus(self) -> Mapping[str, Any]:
        """Those for the lines of the meters behind it, by the value groups C.D.E."""
        return {obis: p for channel, obis, p in self._lines() if channel in ("[1-9]", r"\d")}

    def _lines(self) -> Iterator[tuple[str, str, Any]]:
        for line in self.specification["objects"]:
            pattern = _PATTERN.match(line["obis_reference"])
            if pattern is None:
                raise ValueError(f"dsmr_parser's {line['value_name']} has a pattern of a new form")
            for e in [pattern["e"]] if pattern["e"].isdigit() else pattern["e"][1:-1]:
                obis = f"{pattern['c']}.{pattern['d']}.{e}"
                yield pattern["channel"], obis, line["value_parser"]


VERSIONS: Final[Mapping[str, Version]] = {
    version.key: version
    for version in (
        Version(
            key="2.2",
            label="DSMR 2.2",
            specification=specifications.V2_2,
            serial=SERIAL_9600_7E1,
            interval=10,
        ),
        Version(
            key="3",
            label="DSMR 3",
            specification=specifications.V3,
            serial=SERIAL_9600_7E1,
            interval=10,
        ),
        Version(
            key="4",
            label="DSMR 4",
            specification=specifications.V4,
            serial=SERIAL_115200_7E1,
            interval=10,
        ),
        Version(
            key="5",
            label="DSMR 5",
            specification=specifications.V5,
            serial=SERIAL_115200_8N1,
            interval=1,
        ),
        Version(
            key="5B",
            label="DSMR 5B (Belgium)",
            specification=specifications.BELGIUM_FLUVIUS,
            serial=SERIAL_115200_8N1,
            interval=1,
            tariffs=LOW_IS_2,
        ),
        Version(
            key="5L",
            label="DSMR 5L (Luxembourg, not encrypted)",
            specification=specifications.LUXEMBOURG_SMARTY,
            serial=SERIAL_115200_8N1,
            interval=10,
        ),
        Version(
            key="MSn",
            label="DSMR MSn (Luxembourg Smarty, encrypted)",
            specification=specifications.MSN,
            serial=SERIAL_115200_8N1,
            interval=10,
        ),
        Version(
            key="5S",
            label="DSMR 5S (Sweden)",
            specification=specifications.SWEDEN,
            serial=SERIAL_115200_8N1,
            interval=10,
        ),
        Version(
            key="5EONHU",
            label="DSMR 5 (Hungary)",
            specification=specifications.EON_HUNGARY,
            serial=SERIAL_115200_8N1,
            interval=10,
            tariffs=LOW_IS_2,
        ),
        Version(
            key="Q3D",
            label="EasyMeter Q3D (Austria)",
            specification=specifications.Q3D,
            serial=SERIAL_115200_8N1,
            interval=10,
        ),
        Version(
            key="SAGEMCOM_T210_D_R",
            label="Sagemcom T210-D-r (Austria, encrypted)",
            specification=specifications.SAGEMCOM_T210_D_R,
            serial=SERIAL_115200_8N1,
            interval=10,
            tariffs=LOW_IS_2,
        ),
        Version(
            key="ISKRA_IE",
            label="Iskra IE (Belgium, Wallonia)",
            specification=specifications.ISKRA_IE,
            serial=SERIAL_115200_8N1,
            interval=1,
            tariffs=LOW_IS_2,
        ),
    )
}

OTHERS: Final = Version(
    key="",
    label="any meter",
    specification={
        "checksum_support": True,
        # Where specifications differ the last one wins.
        "objects": [
            line
            for specification in (
                specifications.V2_2,
                specifications.ISKRA_IE,
                specifications.Q3D,
                specifications.SWEDEN,
                specifications.SAGEMCOM_T210_D_R,
                specifications.EON_HUNGARY,
                specifications.MSN,
                specifications.BELGIUM_FLUVIUS,
                specifications.V5,
            )
            for line in specification["objects"]
        ],
    },
    serial=SERIAL_115200_8N1,
    interval=10,
)
"""All lines that dsmr_parser knows: a meter may send some that its version does not have."""
