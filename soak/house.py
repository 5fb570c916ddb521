"""A Home Assistant in simulated time, with a few ports and all that happens to them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import gc
import logging
from pathlib import Path
from random import Random
import sys
import tempfile
import time
from typing import Final
from unittest.mock import patch

from homeassistant import loader
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import HomeAssistant
from homeassistant.util.async_ import get_scheduled_timer_handles
from pytest_homeassistant_custom_component.common import async_test_home_assistant

from custom_components.dsmr.models import Reading, Telegram
from custom_components.dsmr.reading import DSMRSensor
from custom_components.dsmr.telegram import Decoder
from tests.clock import HomeLoop, now, passed

from .faults import FAULTS, MISTAKEN, PROMPT
from .line import Lines
from .port import KINDS, START, Port
from .record import LogWatch, Record, Violations

BETWEEN_FAULTS: Final = 300.0
"""Seconds from the end of a fault to the beginning of the next, on average."""
DAY: Final = 86400
HOUR: Final = 3600
WARM: Final = DAY / 4
"""Seconds after which all that is made once has been made; of a short run a quarter."""
MOST_GROWTH: Final = 20_000
"""Blocks of the heap, about 2 MiB, by which it may differ; Home Assistant's caches fill slowly."""
_PATCHED: Final = "custom_components.dsmr.opening.create_serial_connection"
_ANNOUNCED: Final = (
    # Home Assistant's, at its start.
    "We found a custom integration dsmr",
    "zlib_ng and isal",
    # Home Assistant's too, of real time: the machine was busy with something else.
    r"Updating state for .* took \d",
    # The port without a checksum.
    "The meter's line .* can't be read",
    # Damaged frames in a row look like a wrong key, and another key is asked for.
    "No telegram from rfc2217://192.0.2.2:2217 can be read",
)


@dataclass(frozen=True)
class Memory:
    """What the process holds.

    Attributes:
        blocks: of Python's heap.
        rss: resident, in bytes.
    """

    blocks: int
    rss: int

    @classmethod
    def now(cls) -> Memory:
        """Measure it, after everything is gone that nobody needs."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(sys.getallocatedblocks(), pages * 4096)


@dataclass
class Outcome:
    """What a run has shown.

    Attributes:
        seed: what it was drawn from.
        simulated: how long it was, in seconds of the meters' lives.
        records: of each port.
        violations: what should never have happened.
        memory: when all was made that is made once, and at the end.
        left: the tasks and timers that were left when Home Assistant had stopped.
    """

    seed: int
    violations: Violations = field(default_factory=Violations)
    records: list[Record] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    simulated: float = 0.0


def soak(seed: int, *, days: float | None = None, minutes: float = 60) -> Outcome:
    """Let meters live, with a fault now and then on each port.

    Args:
        seed: from which all that happens is drawn.
        days: how long their lives are; None: as long as there is time.
        minutes: of real time that there are.
    """
    outcome = Outcome(seed)
    end = (time.monotonic() + 60 * minutes) if days is None else None
    with asyncio.Runner(loop_factory=lambda: HomeLoop(10_000)) as runner:
        runner.run(_live(outcome, DAY * days if days else 0, end))
    return outcome


async def _live(outcome: Outcome, length: float, end: float | None) -> None:
    rng = Random(outcome.seed)
    wall = _WallClock(rng)
    watch = LogWatch(outcome.violations, _ANNOUNCED)
    lines = Lines()
    async with AsyncExitStack() as stack:
        stack.enter_context(patch(_PATCHED, lines.open))
        stack.enter_context(wall.shown())
        stack.enter_context(_watching(watch))
        hass = await stack.enter_async_context(_home_assistant())
        ports = [Port(hass, kind, outcome.seed, outcome.violations, watch) for kind in KINDS]
        stack.enter_context(_mistakes(ports))
        outcome.records = [port.record for port in ports]
        tasks = []
        for port in ports:
            lines.add(port.line)
            hass.bus.async_listen(EVENT_STATE_CHANGED, port.state_changed)
            await port.set_up()
            tasks.append(asyncio.create_task(port.live()))
            tasks.append(asyncio.create_task(_suffer(hass, port)))
        while now() < length if end is None else time.monotonic() < end:
            _raise_what_failed(tasks)
            await passed(min(HOUR, max(length - now(), 1)) if end is None else HOUR)
            wall.is_set()
            if not outcome.memory and now() >= min(WARM, length / 4 or WARM):
                outcome.memory.append(Memory.now())
        outcome.memory.append(Memory.now())
        grown = outcome.memory[-1].blocks - outcome.memory[0].blocks
        if grown > MOST_GROWTH:
            outcome.violations.add(f"the heap has grown by {grown:,} blocks")
        outcome.simulated = now()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for port in ports:
            _conclude(port)
        await hass.async_stop(force=True)
        # Home Assistant does not wait for ports to close.
        await passed(PROMPT)
        outcome.left = _left()


async def _suffer(hass: HomeAssistant, port: Port) -> None:
    """Have one fault after the other, until cancelled."""
    names = list(FAULTS)
    while True:
        await asyncio.sleep(port.rng.expovariate(1 / BETWEEN_FAULTS))
        name = port.rng.choice(names)
        port.record.faults[name] += 1
        port.record.fault = name
        port.healthy_since = None
        await FAULTS[name](hass, port)
        port.is_healthy()


def _raise_what_failed(tasks: list[asyncio.Task[None]]) -> None:
    """Raise the mistake of the simulation, if it made one."""
    for task in tasks:
        if task.done():
            task.result()


def _conclude(port: Port) -> None:
    """See that no telegram went anywhere unnoticed, and that no port was open twice."""
    record = port.record
    if record.sent != record.shown + record.lost.total():
        record.says(f"{record.sent} sent, {record.shown} shown, {record.lost.total()} lost")
    if port.line.opened_twice:
        record.says(f"the port was open twice, {port.line.opened_twice} times")


def _left() -> list[str]:
    """Return the tasks and the timers of this integration that are left."""
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    timers = [timer for timer in get_scheduled_timer_handles(loop) if not timer.cancelled()]
    ours = [repr(timer) for timer in timers if "custom_components.dsmr" in repr(timer)]
    return [task.get_name() for task in tasks] + ours


@asynccontextmanager
async def _home_assistant() -> AsyncIterator[HomeAssistant]:
    """Give a Home Assistant in the Netherlands that finds this repository's integration."""
    with tempfile.TemporaryDirectory() as folder:
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
            await hass.config.async_set_time_zone("Europe/Amsterdam")
            yield hass


@contextmanager
def _watching(watch: LogWatch) -> Iterator[None]:
    """Watch the log, and print none of it."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, [watch]
    try:
        yield
    finally:
        root.handlers = handlers


@contextmanager
def _mistakes(ports: list[Port]) -> Iterator[None]:
    """Let the integration make mistakes where a fault says so."""
    decode, show = Decoder.decode, DSMRSensor.show
    by_entry = {port.entry.entry_id: port for port in ports}

    def decoding(decoder: Decoder, frame: bytes, now: float) -> Telegram:
        if any(port.is_sending and port.decoding_fails for port in ports):
            raise ZeroDivisionError("a mistake in decoding")
        return decode(decoder, frame, now)

    def showing(sensor: DSMRSensor, reading: Reading | None) -> None:
        entry = sensor.registry_entry
        port = by_entry[str(entry.config_entry_id)] if entry else None
        if port and port.showing_fails and sensor.entity_description.obis == MISTAKEN:
            raise ZeroDivisionError("a mistake in showing")
        show(sensor, reading)

    with patch.object(Decoder, "decode", decoding), patch.object(DSMRSensor, "show", showing):
        yield


class _WallClock:
    """What time it is, of which nothing here may depend on."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._wrong = 0.0

    def is_set(self) -> None:
        """Be set, back or forward."""
        self._wrong = self._rng.choice((0, 0, -3600, 3600, -400 * DAY, 7 * DAY))

    def time(self) -> float:
        """Return the seconds since 1970."""
        return START.timestamp() + now() + self._wrong

    def utcnow(self) -> datetime:
        """Return the moment."""
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.time())

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Be what everybody looks at."""
        with ExitStack() as stack:
            for name in ("time.time", "homeassistant.helpers.event.time_tracker_timestamp"):
                stack.enter_context(patch(name, self.time))
            for name in (
                "homeassistant.util.dt.utcnow",
                "homeassistant.helpers.event.time_tracker_utcnow",
            ):
                stack.enter_context(patch(name, self.utcnow))
            yield
