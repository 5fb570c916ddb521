"""Real telegrams, where there are some: each line of each of them is explained.

They hold identifiers of real meters, and so they are not in the repository. `P1_CORPUS` says where
they are: a folder with an `INDEX.md` that names the specification of each.
"""

from collections import Counter
import os
from pathlib import Path
import re
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from custom_components.dsmr.checksum import crc16
from custom_components.dsmr.descriptions import DIAGNOSTIC_LINES
from custom_components.dsmr.detection import recognise
from custom_components.dsmr.framing import Framer
from custom_components.dsmr.models import ELECTRICITY, Counters, ReadingKey, Telegram
from custom_components.dsmr.obis import MBUS_READING, MBUS_READINGS, MONTH_END, PEAKS, RELAY
from custom_components.dsmr.roster import Roster
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS, Version

from .conftest import REPORT

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / os.environ.get("P1_CORPUS", "../shared/telegrams")
ZONE = ZoneInfo("Europe/Amsterdam")
# What the index calls dsmr_parser's specifications.
SPECIFICATIONS: Final = {
    "V2_2": "2.2",
    "V4": "4",
    "V5": "5",
    "BELGIUM_FLUVIUS": "5B",
    "LUXEMBOURG_SMARTY": "5L",
    "SWEDEN": "5S",
    "EON_HUNGARY": "5EONHU",
    "Q3D": "Q3D",
    "ISKRA_IE": "ISKRA_IE",
    "SAGEMCOM_T210_D_R": "SAGEMCOM_T210_D_R",
}
# One publisher has mistyped 1-0:42.7.0.
MISTYPED: Final = frozenset({"1-0:42.1.0"})

_REFERENCE = re.compile(rb"(\d+)-(\d+):(\d+)[.:](\d+\.\d+)")


def each(*patterns: str) -> list[object]:
    """Return a parameter for each file of the corpus, or a skipped one where there is none."""
    paths = [path for pattern in patterns for path in sorted(CORPUS.glob(pattern))]
    skipped = pytest.mark.skip(reason=f"there is no corpus of real telegrams at {CORPUS}")
    return [pytest.param(path, id=path.stem) for path in paths] or [pytest.param("", marks=skipped)]


def indexed() -> dict[str, str]:
    """Return the versions of the telegrams of the corpus by its index."""
    rows = re.finditer(r"^\| (\S+\.txt) \|.*?\| (\w+): ", index(), re.MULTILINE)
    return {row[1]: SPECIFICATIONS[row[2]] for row in rows}


def index() -> str:
    path = CORPUS / "INDEX.md"
    return path.read_text(encoding="utf-8") if path.exists() else ""


class Meter:
    """A meter whose telegrams are decoded, and its lines accounted for."""

    def __init__(self, version: Version) -> None:
        self.counters = Counters()
        self.accounts: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self._roster = Roster("", version, set(), [], version.serial)
        self._decoder = Decoder(version, ZONE, self.counters)
        self._now = 0.0

    def says(self, frame: bytes) -> None:
        """Take in a telegram, and say of each of its lines where it went."""
        self._now += 10
        telegram = self._decoder.decode(frame, self._now)
        self._roster.take(telegram.contents)
        for line in frame.rpartition(b"!")[0].splitlines()[1:]:
            if line.strip() and not line.startswith(b"("):
                self.accounts[self._account(line, telegram)] += 1

    def _account(self, line: bytes, telegram: Telegram) -> str:
        """Return where a line went: every line that a person sees a value of is `shown`."""
        match = _REFERENCE.match(line)
        if match is None:
            return "lost"
        medium, channel = match[1], int(match[2])
        obis = f"{match[3].decode()}.{match[4].decode()}"
        if medium == b"0" and channel > 0 and obis != RELAY:
            return self._account_behind(channel, obis, telegram)
        if channel and obis == RELAY:
            obis = f"{channel}:{RELAY}"
        names = {PEAKS, MONTH_END} if obis == PEAKS else {obis}
        sent = {name for name in names if ReadingKey(ELECTRICITY, name) in telegram.readings}
        return self._place(match[0], sent, {row.obis for row in self._roster.rows(None)})

    def _account_behind(self, channel: int, obis: str, telegram: Telegram) -> str:
        meter = next((m for m in telegram.contents.meters if m.channel == channel), None)
        if meter is None:
            return "of an empty slot"
        obis = MBUS_READING if obis in MBUS_READINGS else obis
        slot = next(slot for slot in self._roster.slots if slot.identity == meter.identity)
        rows = {row.obis for row in self._roster.rows(slot)}
        sent = {obis} if ReadingKey(meter.identity, obis) in telegram.readings else set()
        return self._place(f"0-{channel}:{obis}".encode(), sent, rows)

    def _place(self, reference: bytes, sent: set[str], rows: set[str]) -> str:
        if not sent:
            return "lost"
        if sent & rows:
            return "shown"
        if sent & DIAGNOSTIC_LINES:
            return "in diagnostics"
        self.unknown.add(reference.decode())
        return "unknown"


@pytest.mark.parametrize("path", each("*.txt"))
def test_the_version_of_each_real_telegram_is_told(path: Path) -> None:
    assert recognise(path.read_bytes()) is VERSIONS[indexed()[path.name]]


@pytest.fixture
def report(request: pytest.FixtureRequest) -> list[str]:
    """What is printed at the end of the run."""
    return request.config.stash.setdefault(REPORT, [])


def reported(path: Path, version: Version, meter: Meter) -> str:
    """Return what became of the lines of a file."""
    found = (
        f"{meter.accounts[what]:4} {what}"
        for what in ("shown", "in diagnostics", "unknown", "of an empty slot")
    )
    unknown = f" ({', '.join(sorted(meter.unknown))})" if meter.unknown else ""
    return f"{path.stem:50} {version.key:18} {', '.join(found)}{unknown}"


def intact(frame: bytes, version: Version) -> bytes:
    """Return a telegram with the checksum of what it says: publishers have changed identifiers."""
    body = frame.rpartition(b"!")[0] + b"!"
    return body + (b"%04X" % crc16(body) if version.checksum else b"") + b"\r\n"


@pytest.mark.parametrize("path", each("*.txt", "spec-examples/*.txt"))
def test_every_line_of_every_real_telegram_is_explained(path: Path, report: list[str]) -> None:
    version = recognise(path.read_bytes())
    meter = Meter(version)
    (frame,) = Framer().feed(intact(path.read_bytes(), version))
    meter.says(frame)
    report.append(reported(path, version, meter))
    assert meter.counters.unreadable_lines == 0
    assert meter.accounts["shown"] > 0
    assert meter.accounts["lost"] == 0
    assert meter.unknown <= MISTYPED


@pytest.mark.parametrize("path", each("streams/*.txt"))
def test_every_telegram_of_a_real_stream_is_read(path: Path, report: list[str]) -> None:
    stream = path.read_bytes()
    framer = Framer()
    pieces = (stream[start : start + 61] for start in range(0, len(stream), 61))
    frames = [frame for piece in pieces for frame in framer.feed(piece)]
    assert len(frames) == len(re.findall(rb"/[A-Z]{3}\d[^!]*![0-9A-F]*\r\n", stream))
    version = recognise(frames[0])
    meter = Meter(version)
    for frame in frames:
        meter.says(intact(frame, version))
    report.append(f"{reported(path, version, meter)}, in {len(frames)} telegrams")
    assert meter.counters.unreadable_lines == 0
    assert meter.accounts["lost"] == 0
    assert not meter.unknown
