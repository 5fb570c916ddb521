"""The tasks of one P1 port: configuration.yaml and the interface both end here."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_PROTOCOL
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .const import (
    CONF_ENCRYPTION_KEY,
    DEFAULT_RECONNECT_INTERVAL,
    DOMAIN,
    RFXTRX_DSMR_PROTOCOL,
)
from .dispatcher import DSMR
from .models import Connection, Counters, Event, Keys
from .reader import QUEUE_SIZE, Reader
from .roster import Roster
from .telegram import Decoder
from .versions import Version

type DsmrConfigEntry = ConfigEntry[P1Port]


def connection_of(entry_data: Mapping[str, Any]) -> Connection:
    """Return how a config entry reaches its port; old ones of the built-in have host and port."""
    port, key = entry_data[CONF_PORT], entry_data.get(CONF_ENCRYPTION_KEY)
    return Connection(
        f"socket://{entry_data[CONF_HOST]}:{port}" if CONF_HOST in entry_data else port,
        DEFAULT_RECONNECT_INTERVAL,
        Keys(bytes.fromhex(key)) if key else None,
        rfxtrx=entry_data.get(CONF_PROTOCOL) == RFXTRX_DSMR_PROTOCOL,
    )


class P1Port:
    """A P1 port: what reads it and what tells the entities.

    Attributes:
        reader: puts telegrams on the queue.
        dsmr: takes them off and tells the entities.
        roster: which meters are there, and what they send.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        connection: Connection,
        version: Version,
        time_between_update: float,
        roster: Roster,
    ) -> None:
        """Prepare to read; `start` does it.

        Args:
            hass: in whose event loop the tasks run, and in whose time zone the meter stands.
            connection: where the port is.
            version: the kind of meter, or `OTHERS` to find it out.
            time_between_update: the most seconds that a changed reading waits.
            roster: what is known of the meters.
        """
        self.roster = roster
        self._hass = hass
        self._tasks: list[asyncio.Task[None]] = []
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE_SIZE)
        decoder = Decoder(version, dt_util.get_default_time_zone(), Counters())
        # Until ESPHome is set up, an `esphome-hass://` port raises Home Assistant's error for that.
        self.reader = Reader(connection, version, decoder, queue, not_ready=(HomeAssistantError,))
        self.reader.serial = roster.serial or version.serial
        self.dsmr = DSMR(queue, time_between_update)

    def start(self, beside: Coroutine[Any, Any, None]) -> None:
        """Begin to read. When Home Assistant stops, the tasks stop too and the port is closed.

        Args:
            beside: what else runs for as long as the port is read. If it is read already, this
                begins to run beside it.
        """
        name = self.reader.connection.name
        runs = [("learning", beside)]
        if not self._tasks:
            runs = [("dispatcher", self.dsmr.run()), *runs, ("reader", self.reader.run())]
        for what, run in runs:
            task = self._hass.async_create_background_task(run, f"{DOMAIN} {what} {name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """End the tasks and return when the port is closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
