"""A day of one meter, recorded: `python -m benchmarks.day DIRECTORY SUBJECT TIME_BETWEEN_UPDATE`.

Home Assistant with its recorder lives through the simulated meter's day in minutes: the event
loop's clock and Home Assistant's stand still while it works, and go on by a second with each
telegram. All else is real, from the bytes to the rows in SQLite.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
import json
import os
from pathlib import Path
import sqlite3
import sys
import time
from typing import Any, Final

from dsmr_parser.clients import protocol as built_in_reader
from homeassistant import bootstrap, runner, util
from homeassistant.components.recorder import get_instance
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity as entity_helper, event as event_helper
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util

from .feeder import MIDNIGHT, power, telegrams
from .home import PACKAGES, Home

_STEP: Final = 0.05
# The rounds of the loop in which all is done that a telegram sets going.
_ROUNDS: Final = 6
_POWER: Final = "sensor.electricity_meter_power_consumption"


class _Line(asyncio.Transport):
    """An open port in the same process."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._closed = asyncio.Event()

    def abort(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._protocol.connection_lost(None)

    close = abort

    async def wait_closed(self) -> None:
        await self._closed.wait()


class _Clock:
    """What time it is, for the event loop and for Home Assistant."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._monotonic, self._since_1970 = time.monotonic(), MIDNIGHT.timestamp()
        self.seconds = 0
        loop.time = lambda: self._monotonic + self.seconds  # type: ignore[method-assign]
        time.time = entity_helper.timer = self.time
        event_helper.time_tracker_timestamp = self.time
        event_helper.time_tracker_utcnow = util.utcnow = dt_util.utcnow = self.now

    def time(self) -> float:
        return self._since_1970 + self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.time())


async def _live(directory: str, subject: str, time_between_update: float, seconds: int) -> Any:
    opened: list[asyncio.Protocol] = []

    async def connect(_: Any, factory: Any, *args: Any, **kwargs: Any) -> Any:
        protocol = factory()
        line = _Line(protocol)
        protocol.connection_made(line)
        opened.append(protocol)
        return line, protocol

    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(directory, skip_pip=True))
    assert hass is not None
    await hass.async_start()
    await hass.async_block_till_done()
    integration = await async_get_integration(hass, "dsmr")
    assert integration.pkg_path == PACKAGES[subject], integration.pkg_path
    if subject == "ours":
        from custom_components.dsmr import opening

        opening.create_serial_connection = connect
    else:
        built_in_reader.create_serial_connection = connect
    recorder = get_instance(hass)
    # From here on nothing happens by itself.
    clock = _Clock(hass.loop)
    await Home(hass).add(1, 1, {"time_between_update": time_between_update})
    while not opened:
        await asyncio.sleep(0)
    powers = await _feed(clock, hass, opened[-1], seconds)
    await recorder.async_block_till_done()
    found = _recorded(hass.config.path("home-assistant_v2.db"), powers)
    found["entities"] = len(await Home(hass).entities())
    return found


async def _feed(
    clock: _Clock, hass: HomeAssistant, protocol: asyncio.Protocol, seconds: int
) -> list[tuple[float, float]]:
    """Send a telegram for each second; return when each came, and its power."""
    powers = []
    for sent in islice(telegrams(MIDNIGHT), seconds):
        clock.seconds += 1
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        protocol.data_received(sent)
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        powers.append((clock.time(), power(sent)))
        if clock.seconds % 300 == 0:
            await get_instance(hass).async_block_till_done()
    return powers


def _recorded(database: str, powers: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the rows of the meter's states, the size, and how many steps are in the database."""
    with sqlite3.connect(database) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        rows = connection.execute(
            "select meta.entity_id, last_updated_ts, state"
            " from states join states_meta as meta using (metadata_id)"
            " where last_updated_ts >= ? and meta.entity_id like 'sensor.%_meter_%'",
            (powers[0][0],),
        ).fetchall()
    shown = {round(at): state for entity, at, state in rows if entity == _POWER}
    steps = [
        (at, after)
        for (_, before), (at, after) in pairwise(powers)
        if abs(after - before) > _STEP - 1e-9
    ]
    in_time = [at for at, after in steps if shown.get(round(at)) == str(after)]
    return {
        "rows": len(rows),
        "by entity": dict(Counter(entity for entity, _, _ in rows).most_common()),
        "steps": len(steps),
        "in time": len(in_time),
        "bytes": Path(database).stat().st_size,
    }


def main() -> None:
    """Live through the day and print what was recorded."""
    directory, subject, time_between_update, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=runner.create_event_loop) as loop:
        found = loop.run(_live(directory, subject, float(time_between_update), int(seconds)))
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
        # Home Assistant would wait for a clock that stands still.
        os._exit(0)


if __name__ == "__main__":
    main()
