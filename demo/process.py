"""Child processes that end when the demo ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# Home Assistant writes its database and its registries when it stops.
STOP_SECONDS = 30


@asynccontextmanager
async def running_process(
    command: Sequence[str | Path], *, cwd: Path, output: BinaryIO | int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command until the context ends.

    Args:
        command: The program and its arguments.
        cwd: The folder to run it in.
        output: Where everything goes that it prints, errors too.

    Yields:
        The process, just started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        # Ctrl-C reaches every process of a terminal's session, and a second signal would kill
        # Home Assistant before it has stopped properly: only we tell the children.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask a process to end, and make it end if it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
