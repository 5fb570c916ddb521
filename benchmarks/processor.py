"""Processor time for each telegram, from the socket to the state machine."""

from itertools import islice
import time
from typing import Final

from .feeder import feeder, telegrams
from .subject import running

EVERY_CHANGE: Final = "every change"
DEFAULT_OPTIONS: Final = "default options"
_DEFAULT: Final = 30
"""Telegrams for which a change waits by default: one comes a second."""


async def measure(subject: str, number: int) -> dict[str, float]:
    """Return the milliseconds of processor time that a telegram costs, by the name of the case.

    Args:
        subject: of `SUBJECTS`.
        number: how many telegrams are measured.
    """
    meter = telegrams()
    found: dict[str, float] = {}
    async with feeder() as gateway, running(subject) as home:

        async def warmed_up(time_between_update: float) -> float:
            """Set up anew, and return the seconds that there are between two telegrams."""
            await home.ask("reload", options={"time_between_update": time_between_update})
            await gateway.connected()
            gateway.send_at_rest(list(islice(meter, 400)), home.processor_time)
            began = time.monotonic()
            gateway.send_at_rest(list(islice(meter, 400)), home.processor_time)
            return (time.monotonic() - began) / 400

        async def measured() -> float:
            sent = list(islice(meter, number))
            began = home.processor_time()
            gateway.send_at_rest(sent, home.processor_time)
            return (home.processor_time() - began) / number * 1000

        await home.ask("add", port=gateway.port, meters=1, options={"time_between_update": 0})
        await gateway.connected()
        gateway.send_at_rest(list(islice(meter, 100)), home.processor_time)
        await home.ask("enable")
        # The built-in adds its entities twice if it is set up anew before a telegram has come.
        await gateway.connected()
        gateway.send_at_rest(list(islice(meter, 100)), home.processor_time)
        await warmed_up(0)
        found[EVERY_CHANGE] = await measured()
        found["entities"] = len(await home.ask("entities"))
        # Both count real time, which passes slower than the meter's here: as many telegrams are
        # held back or thrown away as in 30 s of a meter.
        await warmed_up(_DEFAULT * await warmed_up(1))
        found[DEFAULT_OPTIONS] = await measured()
    return found
