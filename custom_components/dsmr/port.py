"""The tasks of one P1 port: configuration.yaml and the interface both end here."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .dispatcher import DSMR
from .models import Connection, Counters, Event
from .reader import QUEUE_SIZE, Reader
from .telegram import Decoder
from .versions import Version


class P1Port:
    """A P1 port: what reads it and what tells the entities.

    Attributes:
        reader: puts telegrams on the queue.
        dsmr: takes them off and tells the entities.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        connection: Connection,
        version: Version,
        time_between_update: float,
    ) -> None:
        """Prepare to read; `start` does it.

        Args:
            hass: in whose event loop the tasks run, and in whose time zone the meter stands.
            connection: where the port is.
            version: the kind of meter.
            time_between_update: the most seconds that a changed reading waits.
        """
        self._hass = hass
        self._tasks: list[asyncio.Task[None]] = []
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_SIZE)
        decoder = Decoder(version, dt_util.get_default_time_zone(), Counters())
        self.reader = Reader(connection, version, decoder, queue)
        self.dsmr = DSMR(queue, time_between_update)

    def start(self, beside: Coroutine[Any, Any, None]) -> None:
        """Begin to read. When Home Assistant stops, the tasks stop too and the port is closed.

        Args:
            beside: what else runs for as long as the port is read.
        """
        name = self.reader.connection.name
        for what, run in (
            ("dispatcher", self.dsmr.run()),
            ("learning", beside),
            ("reader", self.reader.run()),
        ):
            task = self._hass.async_create_background_task(run, f"{DOMAIN} {what} {name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """End the tasks and return when the port is closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
