"""The command line of `scripts/demo`."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import signal
import sys

from .check import SIMULATED, check
from .home import ADDRESS, Home, HomeError, free_port, running_home
from .meter import DSMR_VERSION, MeterError, running_meter

CONFIGURATION = Path(__file__).parent / "configuration"
HOME_ASSISTANT_PORT = 8123
# Five minutes pass in half a minute: gas per hour is known only after two readings of the gas
# meter, and those are five minutes apart.
CHECK_SPEED = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A meter as `configuration.yaml` names it."""

    host: str | None
    port: str
    version: str

    @property
    def written(self) -> dict[str, str]:
        """What stands there."""
        sensor = {"platform": "dsmr", "port": self.port, "dsmr_version": self.version}
        return sensor | ({"host": self.host} if self.host else {})


def main(arguments: Sequence[str]) -> int:
    """Run the demo, or its check, and return the exit code."""
    try:
        return asyncio.run(_until_signalled(*_parse(arguments)))
    except (HomeError, MeterError) as error:
        print(error, file=sys.stderr)
        return 1


def _parse(arguments: Sequence[str]) -> tuple[Meter | None, bool]:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Shows a smart meter in a Home Assistant of its own, until Ctrl-C. Without "
        "options the meter is a simulated one.",
    )
    parser.add_argument(
        "--port", help="a real meter's serial port such as /dev/ttyUSB0; with --host, its TCP port"
    )
    parser.add_argument("--host", help="the network host that a real meter is connected to")
    parser.add_argument(
        "--dsmr-version",
        metavar="VERSION",
        help="what a real meter speaks, such as 5 or 5B; it is found out where this is left out",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="print the entities once all of them have a value, and end; fail after two minutes",
    )
    options = parser.parse_args(arguments)
    if options.port is None:
        if options.host or options.dsmr_version:
            parser.error("--host and --dsmr-version are about a real meter: give its --port too")
        return None, options.check
    if "/" in options.port and "://" not in options.port:
        if not Path(options.port).exists():
            parser.error(f"there is no {options.port}: is the cable connected?")
        if not os.access(options.port, os.R_OK | os.W_OK):
            parser.error(f"you may not open {options.port}: are you in its group?")
    meter = Meter(host=options.host, port=options.port, version=options.dsmr_version or "auto")
    # Imports Home Assistant, which takes seconds that the simulated meter can do without.
    from probatio import Invalid  # noqa: PLC0415

    from custom_components.dsmr.schema import CONFIGURATION as SCHEMA  # noqa: PLC0415

    try:
        SCHEMA(meter.written)
    except Invalid as error:
        parser.error(str(error))
    return meter, options.check


async def _until_signalled(meter: Meter | None, checking: bool) -> int:
    """Run the demo in a task that the first signal cancels, and no later one disturbs."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(_run(meter, checking))

    def stop() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        task.cancel()
        print("\nStopping Home Assistant …", flush=True)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return int(checking)


async def _run(meter: Meter | None, checking: bool) -> int:
    print("Starting Home Assistant …", flush=True)
    async with _home(meter, checking) as home:
        if checking:
            return int(not await check(home, () if meter else SIMULATED))
        print(f"Open {home.url} to see the meter. Ctrl-C ends the demo.", flush=True)
        await home.process.wait()
        print("Home Assistant has ended.")
        return 1


@asynccontextmanager
async def _home(meter: Meter | None, checking: bool) -> AsyncIterator[Home]:
    """Run Home Assistant with a real meter, or else with the simulated one."""
    async with AsyncExitStack() as stack:
        if meter is None:
            speed = CHECK_SPEED if checking else 1
            port = await stack.enter_async_context(running_meter(speed=speed))
            meter = Meter(host=ADDRESS, port=str(port), version=DSMR_VERSION)
        home = await stack.enter_async_context(
            running_home(files(meter), port=free_port(0 if checking else HOME_ASSISTANT_PORT))
        )
        yield home


def files(meter: Meter) -> dict[str, str]:
    """Return the files of the configuration directory of the demo at a meter."""
    written = {
        str(path.relative_to(CONFIGURATION)): path.read_text(encoding="utf-8")
        for path in CONFIGURATION.rglob("*")
        if path.is_file()
    }
    # JSON is YAML, and quotes what has to be quoted.
    return {**written, "sensor.yaml": json.dumps([meter.written])}
