"""`scripts/soak`: a seed is a run, and what should not happen is found."""

import asyncio
from pathlib import Path
import re
import sys

import pytest

from soak.record import Record, Violations

from .clock import passed, run

# Each run is a process of its own that begins with importing Home Assistant.
pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).parent.parent
# What a release with a mistake would do, before the soak begins.
BLIND = """
from custom_components.dsmr.checksum import Checksums
from tests.meter.wire import crc16
passed = Checksums.passed
def blind(checksums, frame):
    body = frame.rpartition(b"!")[0] + b"!"
    return passed(checksums, body + b"%04X\\r\\n" % crc16(body))
Checksums.passed = blind
"""
LEFT_OPEN = """
import asyncio
from custom_components.dsmr.port import P1Port
P1Port.stop = lambda port: asyncio.sleep(0)
"""
NOTHING_SAID = """
from custom_components.dsmr.issues import PortIssue
PortIssue._say = lambda issue, cause: None
"""
NEVER_TAKEN_BACK = """
from custom_components.dsmr.issues import PortIssue
PortIssue.end = lambda issue, contents=None: None
"""


async def soak(*arguments: str, before: str = "") -> tuple[int | None, str]:
    """Run a soak in a process of its own; return its exit status and what it printed."""
    program = (
        f"import sys, custom_components.dsmr; {before}\n"
        f"from soak.__main__ import main; sys.exit(main({list(arguments)!r}))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_an_hour_of_faults_breaks_nothing_and_is_the_same_each_time() -> None:
    runs = await asyncio.gather(*(soak("--days", "0.01", "--seed", "7") for _ in range(2)))
    for status, output in runs:
        assert status == 0, output
        assert "  fault: " in output
    # The memory is that of a process, and not drawn from a seed.
    one, other = (re.sub(r"Memory.*", "", output) for _, output in runs)
    assert one == other


@pytest.mark.parametrize(
    ("before", "run_of", "found"),
    [
        pytest.param(
            BLIND,
            "--days 0.015 --seed 3",
            "which the meter never sent",
            id="checksums are not looked at",
        ),
        pytest.param(
            LEFT_OPEN, "--days 0.015 --seed 4", "open twice|open though", id="a port is left open"
        ),
        pytest.param(
            NOTHING_SAID, "--days 0.006 --seed 3", "telegram for .* no issue", id="no issue is made"
        ),
        pytest.param(
            NEVER_TAKEN_BACK, "--days 0.006 --seed 3", "and telegrams come", id="an issue stays"
        ),
    ],
)
async def test_a_mistake_is_found(before: str, run_of: str, found: str) -> None:
    status, output = await soak(*run_of.split(), before=before)
    assert status == 1
    assert re.search(found, output), output


async def test_a_fuzz_run_says_how_far_it_came() -> None:
    status, output = await soak("--fuzz", "--minutes", "0.02")
    assert status == 0, output
    assert re.match(r"[\d,]+ streams, [\d,]+ damaged telegrams, [\d,]+ telegrams read", output)


async def test_what_a_fuzz_run_finds_can_be_had_again() -> None:
    status, output = await soak("--fuzz", "--minutes", "0.1", before=BLIND)
    assert status == 1
    seed = output.split()[-1]
    status, again = await soak("--fuzz", "--seed", seed, "--minutes", "0", before=BLIND)
    assert status == 1
    assert again.splitlines()[1:] == output.splitlines()[1:]


def power(kilowatts: float) -> bytes:
    """Return a telegram that says a power."""
    return b"1-0:1.7.0(%06.3f*kW)\r\n" % kilowatts


@pytest.mark.parametrize(
    ("waits", "is_lost", "told"),
    [
        pytest.param(30, False, False, id="after a pause"),
        pytest.param(40, False, True, id="for longer than that"),
        pytest.param(0, True, True, id="after an outage"),
    ],
)
def test_a_value_may_stay_for_its_time_when_others_come(
    waits: int, is_lost: bool, told: bool
) -> None:
    async def test() -> None:
        record = Record("a meter", bound=15, window=34, violations=Violations())
        record.comes_or_goes(available=True)
        record.sends(power(0.207))
        record.passes(1, None)
        # These are lost on the way.
        for _ in range(10):
            await passed(1)
            record.sends(power(0.3))
        if is_lost:
            record.comes_or_goes(available=False)
        for _ in range(waits + 1):
            await passed(1)
            record.sends(power(0.4))
            record.passes(1, None)
        record.shows("1.7.0", 0.207)
        assert bool(record.violations.count) is told

    run(test())
