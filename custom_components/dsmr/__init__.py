"""DSMR Smart Meter: reads the P1 port of a smart meter."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from homeassistant import config as conf_util
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    SOURCE_REAUTH,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE, SERVICE_RELOAD
from homeassistant.core import Event, HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.reload import async_reload_integration_platforms
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.helpers.typing import ConfigType

from .const import (
    CONF_DSMR_VERSION,
    CONF_TIME_BETWEEN_UPDATE,
    DEFAULT_TIME_BETWEEN_UPDATE,
    DOMAIN,
    PLATFORMS,
)
from .entity import EntryIdentity
from .migration import migrated
from .models import Cause, Contents
from .port import YAML_PORTS, DsmrConfigEntry, P1Port, connection_of
from .prefixes import YAML_UNIQUE_IDS, share_names
from .probe import PROBED
from .roster import Roster
from .takeover import forget_issues, is_left_out, push_out, take_over
from .versions import OTHERS, VERSIONS

CONFIG_SCHEMA = cv.platform_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the action that reads configuration.yaml again, and take it when it must be."""
    await share_names(hass, config)
    reloading = asyncio.Lock()

    async def reload(call: ServiceCall) -> None:
        # A file that can't be read raises here, and the meters go on as they are.
        written = await conf_util.async_hass_config_yaml(hass)
        async with reloading:
            ports = hass.data.pop(YAML_PORTS, {})
            hass.data.pop(YAML_UNIQUE_IDS, None)
            for port in ports.values():
                await port.stop()
            # Home Assistant resets one platform; each scan_interval makes one of its own.
            for platform in async_get_platforms(hass, DOMAIN):
                if platform.config_entry is None:
                    await platform.async_reset()
            await share_names(hass, written)
            await async_reload_integration_platforms(hass, DOMAIN, PLATFORMS)
            forget_issues(hass)

    @callback
    def changed(change: ConfigEntryChange, entry: ConfigEntry) -> None:
        """Let configuration.yaml have a meter that no entry reads any more."""
        is_off = entry.disabled_by is not None and entry.state is ConfigEntryState.NOT_LOADED
        if entry.domain == DOMAIN and (change is ConfigEntryChange.REMOVED or is_off):
            _give_back(hass)

    async_register_admin_service(hass, DOMAIN, SERVICE_RELOAD, reload)
    _follow_time_zone(hass)
    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: DsmrConfigEntry) -> bool:
    """Set up the P1 port of a config entry.

    Raises:
        ConfigEntryError: its version is none that this release knows.
    """
    key = entry.data[CONF_DSMR_VERSION]
    if key not in VERSIONS:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="unknown_version",
            translation_placeholders={"version": str(key)},
        )
    await take_over(hass, entry)
    migrating = partial(migrated, er.async_get(hass), key)
    await er.async_migrate_entries(hass, entry.entry_id, migrating)
    roster = await Roster.load(hass, entry.entry_id, VERSIONS[key], presume=False)
    connection = connection_of(entry.data, entry.title)
    found = hass.data.get(PROBED, {}).pop(connection.url, None)
    if not roster.lines:
        EntryIdentity(roster, hass, entry).recall()
    if found is not None:
        roster.serial = found.serial
        if not roster.lines:
            roster.take(found.telegram.contents)
    if await push_out(hass, connection):
        _read_file_again(hass)
    entry.runtime_data = P1Port(
        hass,
        connection,
        entry.options.get(CONF_TIME_BETWEEN_UPDATE, DEFAULT_TIME_BETWEEN_UPDATE),
        roster,
    )
    if found is not None:
        entry.runtime_data.probed = found.telegram
        entry.runtime_data.reader.pauses.resume()
    entry.runtime_data.dsmr.listen_loss(partial(_lost, hass, entry))
    entry.runtime_data.dsmr.listen_contents(partial(_read, hass, entry))
    try:
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except BaseException:
        # Nobody else would close the port: as long as it is open, no later set-up has it.
        await entry.runtime_data.stop()
        raise
    return True


@callback
def _follow_time_zone(hass: HomeAssistant) -> None:
    """Have time stamps read in the time zone that Home Assistant has now, from its change on."""
    zone = hass.config.time_zone

    @callback
    def settings_changed(_: Event[Mapping[str, Any]]) -> None:
        nonlocal zone
        before, zone = zone, hass.config.time_zone
        if zone == before:
            return
        for entry in hass.config_entries.async_loaded_entries(DOMAIN):
            hass.config_entries.async_schedule_reload(entry.entry_id)
        if hass.data.get(YAML_PORTS):
            _read_file_again(hass)

    hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, settings_changed)


@callback
def _give_back(hass: HomeAssistant) -> None:
    """Let configuration.yaml have the meter that an entry has left."""
    if is_left_out(hass):
        _read_file_again(hass)


@callback
def _read_file_again(hass: HomeAssistant) -> None:
    """Let configuration.yaml have the meters that no entry reads, and no others."""
    hass.async_create_task(hass.services.async_call(DOMAIN, SERVICE_RELOAD))


@callback
def _lost(hass: HomeAssistant, entry: DsmrConfigEntry, _: None) -> None:
    """Ask for the key where it is that for which no telegrams come."""
    if entry.runtime_data.reader.cause in (Cause.NO_KEY, Cause.WRONG_KEY):
        entry.async_start_reauth(hass)


@callback
def _read(hass: HomeAssistant, entry: DsmrConfigEntry, _: Contents) -> None:
    """Take the question for the key back: telegrams can be read without it."""
    for flow in entry.async_get_active_flows(hass, {SOURCE_REAUTH}):
        hass.config_entries.flow.async_abort(flow["flow_id"])


async def async_unload_entry(hass: HomeAssistant, entry: DsmrConfigEntry) -> bool:
    """Close the P1 port and take its entities away."""
    p1_port = entry.runtime_data
    await p1_port.stop()
    if p1_port.reader.connection.url != connection_of(entry.data).url:
        # It will read another one.
        _give_back(hass)
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: DsmrConfigEntry) -> None:
    """Forget what was learnt of the meters."""
    await Roster.forget(hass, entry.entry_id)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: DsmrConfigEntry, device: DeviceEntry
) -> bool:
    """Let a person remove the device of a meter that is not there any more."""
    if entry.state is ConfigEntryState.LOADED:
        telegram, roster = entry.runtime_data.dsmr.telegram, entry.runtime_data.roster
    else:
        version = VERSIONS.get(entry.data[CONF_DSMR_VERSION], OTHERS)
        telegram, roster = None, await Roster.load(hass, entry.entry_id, version, presume=False)
    identity = EntryIdentity(roster, hass, entry)
    if not identity.forget(device.identifiers, telegram):
        return False
    await roster.save(hass)
    return True
