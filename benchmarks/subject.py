"""The Home Assistants that are measured, from outside."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
import json
from pathlib import Path
import tempfile
import time
from typing import Any, Final

from demo.home import ADDRESS, PYTHON, REPOSITORY, free_port
from demo.seed import seed

SUBJECTS: Final = ("ours", "built-in")
_LONGEST_ANSWER: Final = 1 << 26


class Subject:
    """A process that runs `benchmarks.home`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Speak to a process."""
        self._process = process

    async def answer(self) -> Any:
        """Wait for the answer to a command."""
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("Home Assistant has ended")
        return json.loads(line)

    async def ask(self, command: str, **arguments: Any) -> Any:
        """Have a method of `benchmarks.home.Home` run, and return what it returns."""
        assert self._process.stdin
        self._process.stdin.write(f"{json.dumps([command, arguments])}\n".encode())
        return await self.answer()

    def processor_time(self) -> float:
        """Return the processor time of all its threads so far, in seconds.

        It is read from outside, so that reading it costs the process nothing: on Linux the
        processor clock of another process has this number (clock_getcpuclockid(3)).
        """
        return time.clock_gettime((~self._process.pid << 3) | 2)


@contextmanager
def configured(subject: str, *components: str) -> Iterator[Path]:
    """Make the configuration directory of a Home Assistant, for as long as the context lasts.

    Args:
        subject: of `SUBJECTS`.
        components: what stands in its configuration.yaml beside what is always there.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        _, files = seed(ADDRESS, free_port())
        lines = ["logger:", "  default: error", *(f"{component}:" for component in components)]
        files["configuration.yaml"] = "\n".join(lines)
        # A package of that name, also where it is empty: no other is looked for then.
        files["custom_components/__init__.py"] = ""
        for path, text in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
        if subject == "ours":
            ours = REPOSITORY / "custom_components" / "dsmr"
            (directory / "custom_components" / "dsmr").symlink_to(ours)
        yield directory


@asynccontextmanager
async def running(subject: str) -> AsyncIterator[Subject]:
    """Run a Home Assistant, of `SUBJECTS`, until the context ends."""
    with configured(subject) as directory:
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            *("-m", "benchmarks.home", directory, subject),
            cwd=REPOSITORY,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Home Assistant misses programs here that a camera would need.
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_ANSWER,
        )
        try:
            running_subject = Subject(process)
            async with asyncio.timeout(120):
                await running_subject.answer()
            yield running_subject
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
