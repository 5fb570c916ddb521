"""The command line of `scripts/bench`."""

import argparse
import asyncio
from collections.abc import Sequence
import json
import subprocess
import sys
from typing import Any

from demo.home import PYTHON, REPOSITORY

from . import latency, processor, report, scale, startup
from .subject import SUBJECTS, configured

DAY = 86_400
_OPTIONS = (60, 30, 10, 5, 0)
_BLOCKS = 5


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write what was measured."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures this integration beside the built-in dsmr of the installed Home "
        "Assistant, in turn, and writes docs/performance.md. Let the machine rest meanwhile.",
    )
    parser.add_argument("--quick", action="store_true", help="a first look; nothing is written")
    parser.add_argument(
        "--micro", action="store_true", help="only framing, decoding and dispatch, by themselves"
    )
    options = parser.parse_args(arguments)
    if options.micro:
        command = [sys.executable, "-m", "pytest", "benchmarks/micro.py", "-q"]
        return subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    found = asyncio.run(_measured(quick=options.quick))
    text = report.text(found)
    print(text)
    if not options.quick:
        report.write(found, text)
    return 0


async def _measured(*, quick: bool) -> dict[str, Any]:
    """Return all figures, each as `report` takes it."""
    rounds, telegrams = (1, 500) if quick else (3, 2000)
    found: dict[str, Any] = {"processor": {sensors: [] for sensors in processor.SENSORS}}
    for number in range(rounds):
        for sensors, measured in found["processor"].items():
            _say(f"processor time, round {number + 1} of {rounds}, {sensors}")
            measured.append(await processor.measure(sensors, _BLOCKS, telegrams // 2))
    _say("latency")
    found["latency"] = {
        subject: await latency.measure(subject, telegrams // 4) for subject in SUBJECTS
    }
    found["steps"] = await latency.measure_steps(telegrams // 4)
    _say("start")
    found["import"] = {
        subject: [await startup.measure_import(subject) for _ in range(rounds)]
        for subject in SUBJECTS
    }
    found["set up"] = {
        subject: await startup.measure_set_up(subject, rounds) for subject in SUBJECTS
    }
    _say("scale")
    found["scale"] = await scale.measure(scale.METERS, 3 if quick else 10)
    _say("a day in the database")
    seconds = DAY // 24 if quick else DAY
    days = [
        ("built-in", processor.DEFAULTS["built-in"]),
        *(("ours", option) for option in _OPTIONS),
    ]
    lived = await asyncio.gather(*_two_at_a_time(_day(*day, seconds) for day in days))
    found["days"] = [(*day, result) for day, result in zip(days, lived, strict=True)]
    found["hours"] = seconds // 3600
    return found


def _two_at_a_time(days: Any) -> list[Any]:
    """Rows do not depend on how busy the machine is; the day need not wait."""
    places = asyncio.Semaphore(2)

    async def lived(day: Any) -> Any:
        async with places:
            return await day

    return [lived(day) for day in days]


async def _day(subject: str, time_between_update: float, seconds: int) -> Any:
    """Live through a day in a process of its own, and return what was recorded."""
    with configured(subject, "recorder") as directory:
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            *("-m", "benchmarks.day", directory, subject, str(time_between_update), str(seconds)),
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate()
        return json.loads(output.splitlines()[-1])


def _say(what: str) -> None:
    print(f"Measuring {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
