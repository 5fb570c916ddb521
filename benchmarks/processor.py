"""Processor time for each telegram, from the socket to the state machine."""

from itertools import islice
import time
from typing import Any, Final

from custom_components.dsmr.const import DEFAULT_TIME_BETWEEN_UPDATE

from .feeder import feeder, telegrams
from .subject import running

EVERY_CHANGE: Final = "every change"
DEFAULT_OPTIONS: Final = "default options"
SAME: Final = "the built-in's sensors"
ALL: Final = "all sensors"
DEFAULTS: Final = {"ours": DEFAULT_TIME_BETWEEN_UPDATE, "built-in": 30}
"""Seconds, and so telegrams, for which a change waits by default: one comes a second."""


async def measure(subject: str, number: int, same: list[str]) -> dict[str, Any]:
    """Return what a telegram costs.

    Args:
        subject: of `SUBJECTS`.
        number: how many telegrams are measured.
        same: the unique ids of the built-in's entities; where it is measured itself, none.

    Returns:
        The milliseconds of processor time, by the sensors that are enabled and by the options; and
        the unique ids of all entities.
    """
    meter = telegrams()
    found: dict[str, Any] = {}
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

        async def both() -> dict[str, float]:
            await warmed_up(0)
            every_change = await measured()
            # Both count real time, which passes slower than the meter's here: as many telegrams
            # are held back or thrown away as in the default time of a meter.
            await warmed_up(DEFAULTS[subject] * await warmed_up(1))
            return {EVERY_CHANGE: every_change, DEFAULT_OPTIONS: await measured()}

        await home.ask("add", port=gateway.port, meters=1, options={"time_between_update": 0})
        await gateway.connected()
        gateway.send_at_rest(list(islice(meter, 100)), home.processor_time)
        await home.ask("enable")
        # The built-in adds its entities twice if it is set up anew before a telegram has come.
        await gateway.connected()
        gateway.send_at_rest(list(islice(meter, 100)), home.processor_time)
        found["entities"] = await home.ask("unique_ids")
        found[ALL] = found[SAME] = await both()
        if same:
            await home.ask("keep", unique_ids=same)
            found["same"] = await home.ask("unique_ids")
            found[SAME] = await both()
    return found
