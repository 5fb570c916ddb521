"""The Home Assistant that is measured: `python -m benchmarks.home DIRECTORY ours|built-in`.

It runs on the interpreter of `.venv-ha` and is set up as `hass` sets itself up. It takes commands
as lines of JSON and answers each with one; between commands nothing of the benchmark runs in it.
"""

import asyncio
from asyncio import events
from collections import defaultdict
from collections.abc import Mapping
import gc
import json
from pathlib import Path
import sys
import time
from types import MappingProxyType
from typing import Any, Final

from homeassistant import bootstrap, config_entries, runner
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.loader import async_get_integration

DOMAIN: Final = "dsmr"
PACKAGES: Final = {"ours": "custom_components.dsmr", "built-in": "homeassistant.components.dsmr"}


class Home:
    """Home Assistant, and what is asked of it."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Measure a Home Assistant that has started."""
        self._hass = hass
        self._changes: list[tuple[float, str, str]] = []
        self._blocks: defaultdict[str, float] = defaultdict(float)
        self._times_callbacks = False

    async def add(self, port: int, meters: int, options: dict[str, Any], first: int = 0) -> None:
        """Add so many P1 ports, one after the other.

        Args:
            port: the TCP port to which all of them connect.
            meters: how many.
            options: of the entries.
            first: the number of the first.
        """
        for number in range(first, first + meters):
            serial = f"45303035343030313233343530{1 + number:06}"
            entry = ConfigEntry(
                data={
                    "port": f"socket://127.0.0.{1 + number}:{port}",
                    "dsmr_version": "5",
                    "protocol": "dsmr_protocol",
                    "serial_id": serial,
                    "serial_id_gas": f"47303038393030313233343530{1 + number:06}",
                },
                discovery_keys=MappingProxyType({}),
                domain=DOMAIN,
                minor_version=1,
                options=options,
                source=SOURCE_USER,
                subentries_data=(),
                title=f"meter {number}",
                unique_id=serial,
                version=1,
            )
            await self._hass.config_entries.async_add(entry)

    async def enable(self) -> None:
        """Enable every entity."""
        registry = er.async_get(self._hass)
        for entity in self._of_meters():
            if entity.disabled_by is not None:
                registry.async_update_entity(entity.entity_id, disabled_by=None)
        # Home Assistant sets the entry up anew a while after that.
        await asyncio.sleep(2 * config_entries.RELOAD_AFTER_UPDATE_DELAY)
        await self._hass.async_block_till_done()

    async def unique_ids(self) -> list[str]:
        """Return the unique ids of the entities that are enabled."""
        return [e.unique_id for e in self._of_meters() if e.disabled_by is None]

    async def keep(self, unique_ids: list[str]) -> None:
        """Disable every entity but these."""
        registry = er.async_get(self._hass)
        for entity in self._of_meters():
            if entity.unique_id not in unique_ids:
                registry.async_update_entity(
                    entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER
                )
        await self._hass.async_block_till_done()

    def _of_meters(self) -> list[er.RegistryEntry]:
        entities = er.async_get(self._hass).entities.values()
        return [entity for entity in entities if entity.platform == DOMAIN]

    async def reload(self, options: dict[str, Any]) -> list[float]:
        """Set the options and set up anew; return the seconds that each set-up took."""
        seconds = []
        for entry in self._hass.config_entries.async_entries(DOMAIN):
            await self._hass.config_entries.async_unload(entry.entry_id)
            self._hass.config_entries.async_update_entry(
                entry, options={**entry.options, **options}
            )
            await self._hass.async_block_till_done()
            began = time.perf_counter()
            await self._hass.config_entries.async_setup(entry.entry_id)
            seconds.append(time.perf_counter() - began)
        return seconds

    async def entities(self) -> list[str]:
        """Return the entities that have a state, and are available."""
        platforms = er.async_get(self._hass).entities
        return [
            state.entity_id
            for state in self._hass.states.async_all("sensor")
            if state.entity_id in platforms
            and platforms[state.entity_id].platform == DOMAIN
            and state.state != "unavailable"
        ]

    async def watch(self) -> None:
        """Note each state of the meters from now on, and when it was there."""

        @callback
        def note(event: Event[EventStateChangedData]) -> None:
            now = time.monotonic()
            if (state := event.data["new_state"]) is not None and state.domain == "sensor":
                self._changes.append((now, state.entity_id, state.state))

        self._hass.bus.async_listen("state_changed", note)

    async def changes(self) -> list[tuple[float, str, str]]:
        """Return the states since the last call: monotonic seconds, entity and state."""
        changes, self._changes = self._changes, []
        return changes

    async def time_callbacks(self) -> None:
        """Take the time of each callback of the event loop from now on."""
        if self._times_callbacks:
            return
        self._times_callbacks = True
        run, blocks = events.Handle._run, self._blocks

        def timed(handle: events.Handle) -> None:
            began = time.perf_counter()
            run(handle)
            seconds = time.perf_counter() - began
            if seconds > 0.001:
                what = repr(handle)
                blocks[what] = max(blocks[what], seconds)

        events.Handle._run = timed  # type: ignore[method-assign]

    async def longest_callbacks(self) -> list[tuple[float, str]]:
        """Return the seconds of the longest callbacks, and what they were, longest first."""
        found = sorted(((seconds, what) for what, seconds in self._blocks.items()), reverse=True)
        self._blocks.clear()
        return found[:5]

    async def memory(self) -> int:
        """Return the bytes that the process has in memory, after a collection."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096


async def _serve(directory: str, subject: str) -> None:
    config_entries.RELOAD_AFTER_UPDATE_DELAY = 1
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(directory, skip_pip=True))
    assert hass is not None
    await hass.async_start()
    await hass.async_block_till_done()
    integration = await async_get_integration(hass, DOMAIN)
    assert integration.pkg_path == PACKAGES[subject], integration.pkg_path
    home = Home(hass)
    commands = asyncio.StreamReader(limit=1 << 20)
    await hass.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    _answer("started")
    while line := await commands.readline():
        name, arguments = json.loads(line)
        _answer(await getattr(home, name)(**arguments))
    await hass.async_stop(force=True)


def _answer(answer: Mapping[str, Any] | object) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


def main() -> None:
    """Run until standard input ends."""
    with asyncio.Runner(loop_factory=runner.create_event_loop) as loop:
        loop.run(_serve(*sys.argv[1:]))


if __name__ == "__main__":
    main()
