"""How does a meter of configuration.yaml become one of the interface?"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.const import CONF_PORT
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.util.hass_dict import HassKey

from .connection import CONNECTION, LAST_TELEGRAM
from .const import (
    CONF_TIME_BETWEEN_UPDATE,
    DOMAIN,
)
from .descriptions import DSMRSensorDescription
from .entity import EntryIdentity, YamlIdentity
from .migration import rename
from .models import Connection
from .port import YAML_PORTS, DsmrConfigEntry, P1Port, connection_of, endpoint_of, ports_at
from .prefixes import YAML_UNIQUE_IDS
from .probe import Found
from .roster import Roster, Slot, rows_of

IMPORTED: Final[HassKey[dict[str, str]]] = HassKey(f"{DOMAIN}_imported")
"""By the port of an entry that is about to be set up: the port id of configuration.yaml whose
entities it takes over."""

_SUGGESTION: Final = "import_yaml"
_LEFT_OUT: Final = "yaml_left_out"


@callback
def suggest(hass: HomeAssistant, p1_port: P1Port, name: str) -> None:
    """Offer to make an entry of a meter of configuration.yaml, once its first telegram is there."""

    @callback
    def offer(_: Any) -> None:
        ir.async_create_issue(
            hass,
            DOMAIN,
            f"{_SUGGESTION}_{p1_port.roster.port_id}",
            data={"port_id": p1_port.roster.port_id, "name": name},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=_SUGGESTION,
            translation_placeholders={"port": p1_port.reader.connection.name},
        )

    p1_port.dsmr.listen_contents(offer)


async def entry_at(hass: HomeAssistant, url: str) -> DsmrConfigEntry | None:
    """Return the config entry that reads a port, by whichever name, or None."""
    endpoint = await endpoint_of(hass, url)
    entries = hass.config_entries.async_entries(
        DOMAIN, include_ignore=False, include_disabled=False
    )
    for entry in entries:
        if await endpoint_of(hass, connection_of(entry.data).url) == endpoint:
            return entry
    return None


@callback
def leave_out(hass: HomeAssistant, port_id: str, port: str, entry: DsmrConfigEntry) -> None:
    """Say that a meter of configuration.yaml is not set up, because an entry reads it."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_LEFT_OUT}_{port_id}",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=_LEFT_OUT,
        translation_placeholders={"port": port, "entry": entry.title},
    )


@callback
def is_left_out(hass: HomeAssistant) -> bool:
    """Return whether a meter of configuration.yaml is not set up, because an entry reads it."""
    found = ir.async_get(hass).issues
    return any(domain == DOMAIN and issue.startswith(_LEFT_OUT) for domain, issue in found)


@callback
def forget_issues(hass: HomeAssistant) -> None:
    """Take away what was said of configuration.yaml before it was read anew and holds no more.

    What still holds stays, as a person may have chosen to ignore it.
    """
    read = hass.data.get(YAML_PORTS, {}).keys()
    left_out = hass.data.get(YAML_UNIQUE_IDS, set()) - read
    holds = {
        *(f"{_SUGGESTION}_{port_id}" for port_id in read),
        *(f"{_LEFT_OUT}_{port_id}" for port_id in left_out),
    }
    for domain, issue_id in list(ir.async_get(hass).issues):
        said = issue_id.startswith((f"{_SUGGESTION}_", f"{_LEFT_OUT}_"))
        if domain == DOMAIN and said and issue_id not in holds:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


@callback
def as_entry(p1_port: P1Port, name: str) -> dict[str, Any] | None:
    """Return the entry that a port of configuration.yaml makes, or None while no telegram comes.

    Args:
        p1_port: the port.
        name: what the meter is called there, or "".
    """
    reader, telegram = p1_port.reader, p1_port.dsmr.telegram
    if telegram is None:
        return None
    found = Found.by(reader, telegram)
    return {
        "title": name or found.title,
        "data": found.entry_data(reader.connection),
        "options": {CONF_TIME_BETWEEN_UPDATE: p1_port.dsmr.time_between_update},
    }


async def take_over(hass: HomeAssistant, entry: DsmrConfigEntry) -> None:
    """Let an entry that was made of configuration.yaml have the port and the entities from there.

    Entity ids, names, digits and history stay; what was learnt of the meters too.
    """
    port_id = hass.data.get(IMPORTED, {}).pop(entry.data[CONF_PORT], None)
    p1_port = hass.data.get(YAML_PORTS, {}).pop(port_id or "", None)
    if port_id is None or p1_port is None:
        return
    await p1_port.stop()
    # There are none while the file is read again.
    hass.data.get(YAML_UNIQUE_IDS, set()).discard(port_id)
    registry, roster = er.async_get(hass), p1_port.roster
    before, after = YamlIdentity(roster, ""), EntryIdentity(roster, hass, entry)
    # The unique ids of its M-Bus meters may be another entry's.
    after.meet(p1_port.dsmr.telegram, is_patient=False)
    platforms = [p for p in async_get_platforms(hass, DOMAIN) if p.config_entry is None]
    for description, slot in _all(roster):
        old = before.unique_id(description, slot)
        entity_id = registry.async_get_entity_id(SENSOR_DOMAIN, DOMAIN, old)
        if entity_id is None:
            continue
        for platform in platforms:
            if entity_id in platform.entities:
                await platform.async_remove_entity(entity_id)
        if roster.is_presumed(description, slot):
            registry.async_remove(entity_id)
        else:
            _keep_looks(registry, entity_id, description.suggested_display_precision)
            rename(registry, old, after.unique_id(description, slot))
    if roster.presumed:
        roster.forget_unheard()
    roster.port_id = entry.entry_id
    await p1_port.remember()
    await Roster.forget(hass, port_id)
    leave_out(hass, port_id, p1_port.reader.connection.name, entry)


@callback
def _keep_looks(registry: er.EntityRegistry, entity_id: str, digits: int | None) -> None:
    """Let an entity be called as before, and show no more digits after the decimal point.

    Args:
        registry: where it is.
        entity_id: the entity.
        digits: how many it would show from now on.
    """
    entity = registry.entities[entity_id]
    options: Mapping[str, Any] = entity.options.get(SENSOR_DOMAIN, {})
    shown = options.get("suggested_display_precision")
    registry.async_update_entity(entity_id, name=entity.name or entity.original_name)
    is_chosen = options.get("display_precision") is not None
    if shown is not None and digits is not None and shown < digits and not is_chosen:
        registry.async_update_entity_options(
            entity_id, SENSOR_DOMAIN, {**options, "display_precision": shown}
        )


async def push_out(hass: HomeAssistant, connection: Connection) -> bool:
    """Take an entry's port from configuration.yaml, and return whether that had it.

    An entry comes first, also one that was disabled when the file was read.
    """
    found = await ports_at(hass, [connection.url], hass.data.get(YAML_PORTS, {}).values())
    for p1_port in found:
        # What reads the file again may fail, and begins after the entry has asked for its port.
        await p1_port.give_way(connection.title or connection.name)
    return bool(found)


def _all(roster: Roster) -> Iterator[tuple[DSMRSensorDescription, Slot | None]]:
    """Yield all that may be an entity of a port."""
    yield CONNECTION, None
    yield LAST_TELEGRAM, None
    for slot in (None, *roster.slots):
        for row in (*rows_of(slot), *roster.unknown(slot)):
            yield row, slot
