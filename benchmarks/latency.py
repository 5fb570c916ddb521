"""Seconds from the last byte on the wire to the state."""

from itertools import islice
from typing import Final

from .feeder import feeder, power, stepping, telegrams
from .subject import running

PER_SECOND: Final = 20
_ENTITY: Final = "sensor.electricity_meter_power_consumption"
_STEP: Final = 0.05


async def measure(subject: str, number: int) -> list[float]:
    """Return the milliseconds until each change of the power is there, where every change is."""
    return await _delays(subject, 0, list(islice(telegrams(), number)), 0.0005)


async def measure_steps(number: int) -> list[float]:
    """Return the milliseconds until each step of 50 W is there, at default options."""
    return await _delays("ours", 30, list(islice(stepping(), number)), _STEP)


async def _delays(
    subject: str, time_between_update: float, sent: list[bytes], least: float
) -> list[float]:
    """Send telegrams and return the delay of each change by at least so many kW.

    Raises:
        RuntimeError: one was not shown before the next telegram came.
    """
    async with feeder() as gateway, running(subject) as home:
        options = {"time_between_update": time_between_update}
        await home.ask("add", port=gateway.port, meters=1, options=options)
        await gateway.connected()
        await gateway.send(list(islice(telegrams(), 100)), PER_SECOND)
        await home.ask("watch")
        times = await gateway.send(sent, PER_SECOND)
        changes = [
            (at, float(to)) for at, entity, to in await home.ask("changes") if entity == _ENTITY
        ]
    delays = []
    for before, after, time in zip(sent, sent[1:], times[1:], strict=False):
        if abs(power(after) - power(before)) < least:
            continue
        shown = [at for at, to in changes if time <= at < time + 1 and to == power(after)]
        if not shown:
            raise RuntimeError(f"{power(after)} kW was never shown")
        delays.append(1000 * (shown[0] - time))
    return delays
