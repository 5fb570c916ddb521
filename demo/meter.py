"""The simulated meter, running as a child process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
import re

from .home import ADDRESS, PYTHON, REPOSITORY
from .process import running_process

MODEL = "iskra-am550"
DSMR_VERSION = "5"
START_SECONDS = 30
_LISTENING = re.compile(rf"Listening on {re.escape(ADDRESS)}:(\d+)\n")


class MeterError(Exception):
    """The simulated meter did not start."""


@asynccontextmanager
async def running_meter(*, speed: int, start: datetime | None = None) -> AsyncIterator[int]:
    """Run the simulated meter until the context ends.

    Args:
        speed: How many times faster than the wall clock its own clock runs.
        start: What its clock shows first; the time of day if not given.

    Yields:
        The TCP port on 127.0.0.1 where it sends its telegrams.

    Raises:
        MeterError: It did not start; the message says what it printed.
    """
    command: list[str | Path] = [PYTHON, "-m", "tests.meter", "--model", MODEL]
    command += ["--tcp", f"{ADDRESS}:0", "--speed", str(speed)]
    if start:
        command += ["--start", start.isoformat()]
    async with running_process(command, cwd=REPOSITORY, output=asyncio.subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                port = await _port(process.stdout)
        except TimeoutError:
            raise MeterError("The simulated meter does not say where it listens.") from None
        yield port


async def _port(printed: asyncio.StreamReader) -> int:
    """Return the port that the meter says it listens on."""
    line = await printed.readline()
    if match := _LISTENING.fullmatch(line.decode()):
        return int(match[1])
    rest = await printed.read()
    raise MeterError(f"The simulated meter did not start:\n{(line + rest).decode().strip()}")
