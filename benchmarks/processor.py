"""Processor time for each telegram, from the socket to the state machine."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
import time
from typing import Any, Final

from custom_components.dsmr.const import DEFAULT_TIME_BETWEEN_UPDATE

from .feeder import Feeder, feeder, telegrams
from .subject import SUBJECTS, Subject, running

EVERY_CHANGE: Final = "every change"
DEFAULT_OPTIONS: Final = "default options"
SAME: Final = "the built-in's sensors"
ALL: Final = "all sensors"
SENSORS: Final = (SAME, ALL)
DEFAULTS: Final = {"ours": DEFAULT_TIME_BETWEEN_UPDATE, "built-in": 30}
"""Seconds, and so telegrams, for which a change waits by default: one comes a second."""


class _Meter:
    """A meter that one Home Assistant reads."""

    def __init__(self, home: Subject, gateway: Feeder) -> None:
        self.home = home
        self._gateway = gateway
        self._telegrams: Iterator[bytes] = telegrams()

    async def begin(self) -> None:
        """Set it up, with every entity enabled."""
        options = {"time_between_update": 0}
        await self.home.ask("add", port=self._gateway.port, meters=1, options=options)
        await self._gateway.connected()
        self._send(100)
        await self.home.ask("enable")
        # The built-in adds its entities twice if it is set up anew before a telegram has come.
        await self._gateway.connected()
        self._send(100)

    async def warm_up(self, time_between_update: float) -> float:
        """Set up anew, and return the seconds that there are between two telegrams."""
        await self.home.ask("reload", options={"time_between_update": time_between_update})
        await self._gateway.connected()
        self._send(400)
        began = time.monotonic()
        self._send(400)
        return (time.monotonic() - began) / 400

    def cost(self, number: int) -> float:
        """Return what each of the next telegrams costs, in milliseconds of processor time."""
        began = self.home.processor_time()
        self._send(number)
        return (self.home.processor_time() - began) / number * 1000

    def _send(self, number: int) -> None:
        sent = list(islice(self._telegrams, number))
        self._gateway.send_at_rest(sent, self.home.processor_time)


@asynccontextmanager
async def _meter(subject: str) -> AsyncIterator[_Meter]:
    async with feeder() as gateway, running(subject) as home:
        meter = _Meter(home, gateway)
        await meter.begin()
        yield meter


async def measure(sensors: str, blocks: int, number: int) -> dict[str, Any]:
    """Return what a telegram costs, here and in the built-in.

    Both run side by side and are measured in turn, block by block: so what else happens on the
    machine happens to both.

    Args:
        sensors: which of them are enabled, of `SENSORS`.
        blocks: how often each is measured.
        number: how many telegrams it is sent for that.

    Returns:
        By the options and by subject, the milliseconds of processor time in each block; and under
        "entities" how many each has.
    """
    found: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        meters = {subject: await stack.enter_async_context(_meter(subject)) for subject in SUBJECTS}
        if sensors == SAME:
            theirs = await meters["built-in"].home.ask("unique_ids")
            await meters["ours"].home.ask("keep", unique_ids=theirs)
        found["entities"] = {
            subject: len(await meter.home.ask("unique_ids")) for subject, meter in meters.items()
        }
        for case in (EVERY_CHANGE, DEFAULT_OPTIONS):
            for subject, meter in meters.items():
                waits = 0.0
                if case == DEFAULT_OPTIONS:
                    # It counts real time, which passes slower than the meter's here: as many
                    # telegrams are held back or thrown away as in the default time of a meter.
                    waits = DEFAULTS[subject] * await meter.warm_up(1)
                await meter.warm_up(waits)
            costs = [[meter.cost(number) for meter in meters.values()] for _ in range(blocks)]
            found[case] = dict(zip(meters, zip(*costs, strict=True), strict=True))
    return found
