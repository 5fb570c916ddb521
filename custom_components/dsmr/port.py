"""The tasks of one P1 port: configuration.yaml and the interface both end here."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_PROTOCOL
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .addresses import ESPHOME, SERVERS, socket_url
from .const import (
    CONF_AUTHENTICATION_KEY,
    CONF_ENCRYPTION_KEY,
    DOMAIN,
    RFXTRX_DSMR_PROTOCOL,
)
from .dispatcher import DSMR
from .issues import PortIssue
from .models import Cause, Connection, Counters, Disconnected, Event, Keys, Telegram
from .reader import QUEUE_SIZE, Reader
from .roster import Roster
from .telegram import Decoder
from .unforeseen import Unforeseen

type DsmrConfigEntry = ConfigEntry[P1Port]

_ESPHOME_PORT: Final = 6053

YAML_PORTS: Final[HassKey[dict[str, P1Port]]] = HassKey(f"{DOMAIN}_yaml")
"""The P1 ports that configuration.yaml set up, by what begins their unique ids."""
_PORTS: Final[HassKey[list[P1Port]]] = HassKey(f"{DOMAIN}_ports")
"""All that are read or are to be: of those at one endpoint, the first has it."""


def connection_of(entry_data: Mapping[str, Any], title: str = "") -> Connection:
    """Return how a config entry reaches its port; old ones of the built-in have host and port."""
    port = entry_data[CONF_PORT]
    key, authentication = (
        bytes.fromhex(entry_data.get(name) or "")
        for name in (CONF_ENCRYPTION_KEY, CONF_AUTHENTICATION_KEY)
    )
    return Connection(
        socket_url(entry_data[CONF_HOST], port) if CONF_HOST in entry_data else port,
        keys=Keys(key, authentication or None) if key else None,
        rfxtrx=entry_data.get(CONF_PROTOCOL) == RFXTRX_DSMR_PROTOCOL,
        title=title,
    )


async def endpoint_of(hass: HomeAssistant, url: str) -> str:
    """Return the endpoint of a port: it is the same for all names of the port."""
    parts = urlsplit(url)
    if parts.scheme in SERVERS:
        # Behind a TCP port is one serial line, whichever protocol it is spoken to in.
        return parts.netloc.rpartition("@")[2].lower()
    if parts.scheme == ESPHOME:
        # A port is known by its name, or by what is plugged in there.
        known = {name: value for name, value in parse_qsl(parts.query) if name.startswith("port_")}
        name = known.get("port_name") or unquote(parts.path.strip("/")) or sorted(known.items())
        return f"{ESPHOME} {parts.hostname} {parts.port or _ESPHOME_PORT} {name}"
    if parts.scheme:
        return url
    return str(await hass.async_add_executor_job(Path(url).resolve))


async def ports_at(
    hass: HomeAssistant, urls: Iterable[str], among: Iterable[P1Port]
) -> list[P1Port]:
    """Return those of some ports that are at the endpoint of one of the URLs.

    Where the names point now counts: adapters that are plugged in anew get others, and of a host
    that has been called the addresses are known.
    """
    ports = [*among]
    endpoints = {await endpoint_of(hass, url) for url in urls} if ports else set()
    return [
        port
        for port in ports
        if endpoints & {await endpoint_of(hass, url) for url in port.reader.opener.urls}
    ]


async def holder_of(hass: HomeAssistant, urls: Iterable[str], behind: P1Port | None = None) -> str:
    """Return what a person calls that which has a port here, or "" if nothing does.

    Args:
        hass: where it is looked for.
        urls: the port, with its host by name and by addresses.
        behind: who asks; what came after it has the port only where it has opened it already.
    """
    ports: list[P1Port] = hass.data.get(_PORTS, [])
    before = [*takewhile(lambda port: port is not behind, ports)]
    for port in await ports_at(hass, urls, ports):
        if port is behind or not (port in before or port.reader.opener.has_port):
            continue
        connection = port.reader.connection
        # A person may have taken the title away, and "" is nobody.
        return connection.title or connection.name
    return ""


class P1Port:
    """A P1 port: what reads it and what tells the entities.

    Attributes:
        reader: puts telegrams on the queue.
        dsmr: takes them off and tells the entities.
        roster: which meters are there, and what they send.
        probed: a telegram that came before it was set up, or None.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        connection: Connection,
        time_between_update: float,
        roster: Roster,
    ) -> None:
        """Prepare to read; `start` does it.

        Args:
            hass: in whose event loop the tasks run, and in whose time zone the meter stands.
            connection: where the port is.
            time_between_update: the most seconds that a changed reading waits.
            roster: what is known of the meters; of version `OTHERS` to find theirs out.
        """
        self.roster = roster
        if roster.port != connection.name:
            # Another gateway may send the telegrams of the same meter more rarely.
            roster.port, roster.patience = connection.name, 0.0
        self.probed: Telegram | None = None
        self._hass = hass
        self._tasks: list[asyncio.Task[None]] = []
        self._queue: deque[Event] = deque(maxlen=QUEUE_SIZE)
        counters = Counters()
        self._unforeseen = Unforeseen(counters, connection.without_secrets)
        self.dsmr = DSMR(self._queue, time_between_update, counters)
        zone = dt_util.get_default_time_zone()
        decoder = Decoder(roster.version, zone, counters, roster.owners())
        # Until ESPHome is set up, an `esphome-hass://` port raises Home Assistant's error for that.
        self.reader = Reader(
            connection, decoder, self._queue, self.dsmr.drain, not_ready=(HomeAssistantError,)
        )
        self.reader.opener.held_by = partial(holder_of, hass, behind=self)
        self.reader.serial = roster.serial
        self.reader.pauses.patience = roster.patience
        self._issue = PortIssue(hass, roster.port_id, self.reader, self.dsmr)

    def start(self) -> None:
        """Begin to read. When Home Assistant stops, all tasks stop too and the port is closed."""
        self._issue.begin()
        self.run("reader", self._read())

    def run(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin a task that ends with the reading at the latest.

        Args:
            what: its name, for the log.
            work: what it does.
        """
        task = self._hass.async_create_background_task(
            self._guarded(what, work), f"{DOMAIN} {what} {self.reader.connection.name}"
        )
        self._tasks.append(task)

    async def _guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a task, and say so if it ends by a mistake."""
        try:
            await work
        except Exception as error:
            self._unforeseen.note(what, f"in {what} {self.reader.connection.name}", error)

    async def remember(self) -> None:
        """Remember for the next start which meters are there, and how they send."""
        roster = self.roster
        roster.serial, roster.patience = self.reader.serial, self.reader.pauses.patience
        try:
            await roster.save(self._hass)
        except Exception as error:
            # What is not stored is learnt again at the next start.
            self._unforeseen.note("storing", "in storing what was learnt of the meter", error)

    async def stop(self) -> None:
        """End the tasks and return when the port is closed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._issue.end()

    async def give_way(self, holder: str) -> None:
        """Stop for something that reads the port from now on, and say so."""
        await self.stop()
        self.reader.opener.holder, self.reader.cause = holder, Cause.HELD
        self._queue.append(Disconnected())
        self.dsmr.drain()

    async def _read(self) -> None:
        ports = self._hass.data.setdefault(_PORTS, [])
        ports.append(self)
        # An entry comes before configuration.yaml, whichever has been there for longer.
        of_yaml = self._hass.data.get(YAML_PORTS, {}).values()
        ports.sort(key=lambda port: port in of_yaml)
        try:
            await self.reader.run()
        finally:
            self.dsmr.end()
            self._issue.rest()
            ports.remove(self)
