"""What does a person see who adds a meter in the interface, or changes one?"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, override

from homeassistant.components.usb import async_scan_serial_ports, get_serial_by_id
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.const import CONF_HOST, CONF_PORT, CONF_PROTOCOL
from homeassistant.core import callback
from homeassistant.util import dt as dt_util
import probatio

from .addresses import port_url
from .const import (
    AUTO,
    CONF_AUTHENTICATION_KEY,
    CONF_DSMR_VERSION,
    CONF_ENCRYPTION_KEY,
    CONF_SERIAL_ID,
    CONF_SERIAL_ID_GAS,
    DOMAIN,
    DSMR_PROTOCOL,
    RFXTRX_DSMR_PROTOCOL,
)
from .decryption import read_key
from .forms import KEY_FORM, OPTIONS_FORM, port_form
from .migration import replace_meter
from .models import Cause, Connection
from .port import DsmrConfigEntry, connection_of, holder_of
from .probe import PROBED, Found, ProbeError, probe
from .takeover import IMPORTED
from .versions import VERSIONS

_FIRST_STEPS: Final[Mapping[str | None, str]] = {
    SOURCE_USER: "user",
    SOURCE_RECONFIGURE: "reconfigure",
    SOURCE_REAUTH: "reauth_confirm",
}
_KEYS: Final = (CONF_ENCRYPTION_KEY, CONF_AUTHENTICATION_KEY)
# What not each entry says.
_LEFT_OUT: Final = (CONF_HOST, *_KEYS)
_KEY_CAUSES: Final = (Cause.NO_KEY, Cause.WRONG_KEY)
_OTHER_PROTOCOL: Final = {
    DSMR_PROTOCOL: RFXTRX_DSMR_PROTOCOL,
    RFXTRX_DSMR_PROTOCOL: DSMR_PROTOCOL,
}
# Addresses stand in no translation.
_EXAMPLES: Final = {
    "example_host": "192.168.1.20",
    "example_url": "socket://192.168.1.20:2001",
    "example_proxy": "rfc2217://192.168.1.20:2217",
}


class DSMRConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds a meter, moves it to another port or asks for its key; always by a telegram."""

    # The built-in `dsmr` loads the same entries, and no higher version.
    VERSION = 1

    # What the probe found; no step that uses it comes before.
    _found: Found

    def __init__(self) -> None:
        """Start with nothing known of the port."""
        self._port: dict[str, Any] = {}
        self._keys: dict[str, str] = {}
        self._protocol = DSMR_PROTOCOL
        self._error = ""
        self._looks_like = ""
        self._holder = ""
        self._probing: asyncio.Task[Found] | None = None

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> DSMROptionsFlow:
        return DSMROptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the port of a new meter."""
        return await self._ask_port("user", user_input)

    async def async_step_import(self, import_data: dict[str, Any]) -> ConfigFlowResult:
        """Make an entry of a meter in configuration.yaml, which has been read all the time."""
        entry_data = import_data["entry"]["data"]
        if serial := entry_data[CONF_SERIAL_ID]:
            # A dialog that was left open for the meter is closed when the entry is made.
            await self.async_set_unique_id(serial, raise_on_progress=False)
            self._abort_if_unique_id_configured()
        self._async_abort_entries_match({CONF_PORT: entry_data[CONF_PORT]})
        imported = self.hass.data.setdefault(IMPORTED, {})
        imported[entry_data[CONF_PORT]] = import_data["port_id"]
        return self.async_create_entry(**import_data["entry"])

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port to which a meter has moved."""
        entry = self._entry
        if entry is None:
            return await self.async_step_gone()
        if not self._port:
            self._begin_with(entry.data)
            self._keys = {key: entry.data[key] for key in _KEYS if key in entry.data}
        return await self._ask_port("reconfigure", user_input)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """The key of a meter is wrong."""
        self._begin_with(entry_data)
        return await self.async_step_reauth_confirm()

    def _begin_with(self, entry_data: Mapping[str, Any]) -> None:
        """Know of the port what an entry says."""
        self._port = {
            CONF_PORT: connection_of(entry_data).url,
            CONF_DSMR_VERSION: entry_data[CONF_DSMR_VERSION],
        }
        self._protocol = entry_data.get(CONF_PROTOCOL, DSMR_PROTOCOL)

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the right key."""
        return await self._ask_key("reauth_confirm", user_input)

    async def async_step_encryption_key(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the key of a meter whose telegrams are encrypted."""
        return await self._ask_key("encryption_key", user_input)

    async def _ask_port(self, step_id: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        if user_input is not None:
            self._error = ""
            self._port = user_input
            try:
                url = port_url(user_input[CONF_PORT])
            except ValueError:
                self._error = "invalid_port"
            else:
                # /dev/ttyUSB0 is another adapter after the next start.
                url = await self.hass.async_add_executor_job(get_serial_by_id, url)
                self._port = {**user_input, CONF_PORT: url}
                if self.source == SOURCE_USER:
                    self._async_abort_entries_match({CONF_PORT: url})
                version = VERSIONS.get(user_input[CONF_DSMR_VERSION])
                if version is not None and version.encrypted and not self._keys:
                    return await self.async_step_encryption_key()
                return await self.async_step_probe()
        form = port_form(typed=await self._is_typed())
        schema = self.add_suggested_values_to_schema(form, self._port)
        return self._form(step_id, schema, CONF_PORT)

    async def _is_typed(self) -> bool:
        """Return whether the port is to be corrected: the list calls what is not in it unknown.

        Who has not failed yet may want another adapter than the one that was known.
        """
        port = self._port.get(CONF_PORT, "")
        if not self._error and "://" not in port:
            return False
        try:
            adapters = await async_scan_serial_ports(self.hass)
        except OSError:
            # Then the interface has no list either.
            return True
        return port not in {adapter.device for adapter in adapters}

    async def _ask_key(self, step_id: str, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        if user_input is not None:
            self._error = ""
            try:
                # As the built-in reads it: 32 digits, without what operators print between them.
                key = read_key(user_input[CONF_ENCRYPTION_KEY]).hex()
            except ValueError:
                self._error = "invalid_key"
            else:
                # The authentication key that was known beside the old one is of another meter.
                self._keys = {CONF_ENCRYPTION_KEY: key}
                return await self.async_step_probe()
        return self._form(step_id, KEY_FORM, CONF_ENCRYPTION_KEY)

    def _form(self, step_id: str, schema: probatio.Schema, field: str) -> ConfigFlowResult:
        """Show a form, with what went wrong the last time."""
        error = self._error
        about = field if error in ("invalid_port", "invalid_key", Cause.WRONG_KEY) else "base"
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
            errors={about: error} if error else {},
            description_placeholders={
                "port": self._name,
                "version": self._looks_like,
                "holder": self._holder,
                **_EXAMPLES,
            },
        )

    @property
    def _name(self) -> str:
        """The port, without user and password."""
        return connection_of({CONF_PORT: "", **self._port}).name

    async def async_step_probe(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Wait for a telegram, and say so."""
        begins = self._probing is None
        if self._probing is None:
            self._probing = self.hass.async_create_task(self._probe(), "dsmr probe")
        # Also where it is over at once: the step that asks would be given the same answer again.
        if begins or not self._probing.done():
            return self.async_show_progress(
                step_id="probe",
                progress_action="probe",
                progress_task=self._probing,
                description_placeholders={"port": self._name},
            )
        probing, self._probing = self._probing, None
        try:
            self._found, step = probing.result(), "found"
        except ProbeError as error:
            step = self._after(error)
        is_gone = self.source != SOURCE_USER and self._entry is None
        return self.async_show_progress_done(next_step_id="gone" if is_gone else step)

    def _after(self, error: ProbeError) -> str:
        """Return the step that asks for what was wrong."""
        self._error, self._holder = error.cause, error.holder
        if error.looks_like is not None:
            self._looks_like = error.looks_like.label
        if error.cause is Cause.NO_KEY:
            # Nothing is wrong yet: it has only turned out now that there must be one.
            self._error = ""
        is_of_key = error.cause in _KEY_CAUSES and self.source != SOURCE_REAUTH
        return "encryption_key" if is_of_key else _FIRST_STEPS[self.source]

    async def _probe(self) -> Found:
        """Read a telegram; an entry that has the port lets go of it for as long.

        Raises:
            ProbeError: none came, or none that can be read.
        """
        entry, entries = self._entry, self.hass.config_entries
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return await self._probe_either_way()
        # Who closes the window ends the probe, and neither of these by halves.
        leaving = self.hass.async_create_task(entries.async_unload(entry.entry_id))
        try:
            await asyncio.shield(leaving)
            return await self._probe_either_way()
        finally:
            await asyncio.shield(self.hass.async_create_task(self._take_back(entry, leaving)))

    async def _take_back(self, entry: DsmrConfigEntry, leaving: asyncio.Task[bool]) -> None:
        """Let an entry read its port again, if nothing else has done that or has removed it."""
        await asyncio.wait([leaving])
        entries = self.hass.config_entries
        if entries.async_get_entry(entry.entry_id) and entry.state is ConfigEntryState.NOT_LOADED:
            await entries.async_setup(entry.entry_id)

    async def _probe_either_way(self) -> Found:
        try:
            return await self._probe_as(self._protocol)
        except ProbeError as error:
            if error.cause not in (Cause.NO_TELEGRAM, Cause.CHECKSUM):
                raise
            # What comes may be the packets of an RFXtrx receiver, or none any more.
            other = _OTHER_PROTOCOL[self._protocol]
            try:
                found = await self._probe_as(other)
            except ProbeError as closer:
                # Whole telegrams came that way, and what is wrong with them can be mended.
                if closer.cause not in (*_KEY_CAUSES, Cause.WRONG_VERSION):
                    raise error from None
                self._protocol = other
                raise
            self._protocol = other
            return found

    async def _probe_as(self, protocol: str) -> Found:
        return await probe(
            self._connection(protocol),
            VERSIONS.get(self._port[CONF_DSMR_VERSION]),
            dt_util.get_default_time_zone(),
            partial(holder_of, self.hass),
        )

    @property
    def _entry(self) -> DsmrConfigEntry | None:
        """The entry that is changed, or None where one is added or that was removed."""
        if self.source == SOURCE_USER:
            return None
        return self.hass.config_entries.async_get_entry(self.context["entry_id"])

    async def async_step_gone(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """End where the entry that was to be changed is not there any more."""
        return self.async_abort(reason="entry_removed")

    async def async_step_found(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """A telegram has come: whose is it?"""
        entry, serial = self._entry, self._found.identifier
        if self._is_new_choice(entry) and (kind := self._found.other):
            self._error, self._looks_like = Cause.WRONG_VERSION, kind.label
            step = self.async_step_user if entry is None else self.async_step_reconfigure
            return await step()
        if serial:
            # A page that was closed leaves its dialog behind: the first that is done ends the rest.
            other = await self.async_set_unique_id(serial, raise_on_progress=False)
            if other is not None and other is not entry:
                return self.async_abort(reason="already_configured")
        if entry is None:
            return await self.async_step_confirm()
        before = entry.data.get(CONF_SERIAL_ID)
        if before and serial and before != serial:
            return await self.async_step_replace()
        return self._change(entry)

    def _is_new_choice(self, entry: DsmrConfigEntry | None) -> bool:
        """Return whether a person has said now of which kind the meter is that was found."""
        chosen = self._port[CONF_DSMR_VERSION]
        if chosen == AUTO or self.source == SOURCE_REAUTH:
            return False
        if entry is None or chosen != entry.data[CONF_DSMR_VERSION]:
            return True
        return self._found.identifier != entry.data.get(CONF_SERIAL_ID)

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show what was read of a new meter, and add it."""
        if user_input is None:
            return self._show_found("confirm")
        # Not every meter has an identifier by which it is known.
        self._async_abort_entries_match({CONF_PORT: self._port[CONF_PORT]})
        return self.async_create_entry(title=self._found.title, data=self._handed_over())

    async def async_step_replace(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask whether another meter stands in the place of the one that was known."""
        entry = self._entry
        if entry is None:
            return await self.async_step_gone()
        if user_input is None:
            return self._show_found("replace")
        return self._change(entry)

    def _show_found(self, step_id: str) -> ConfigFlowResult:
        """Show what was read of a meter, for a person to agree."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=probatio.Schema({}),
            description_placeholders=self._found.described(),
        )

    def _change(self, entry: DsmrConfigEntry) -> ConfigFlowResult:
        """Let an entry have what was found; its entities keep their ids and their history."""
        stored, gas = self._handed_over(), entry.data.get(CONF_SERIAL_ID_GAS)
        if gas and stored[CONF_DSMR_VERSION] == entry.data[CONF_DSMR_VERSION]:
            # What is known by it is still there, wherever it may be now.
            stored[CONF_SERIAL_ID_GAS] = gas
        replace_meter(self.hass, entry, stored)
        # What only a newer release knows stays.
        others = {key: said for key, said in entry.data.items() if key not in _LEFT_OUT}
        title = self._found.title if _is_made(entry) else entry.title
        return self.async_update_reload_and_abort(
            entry, unique_id=stored[CONF_SERIAL_ID], title=title, data=others | stored
        )

    def _handed_over(self) -> dict[str, Any]:
        """Return what the entry says; what was found is left to its next set-up."""
        connection = self._connection(self._protocol)
        self.hass.data.setdefault(PROBED, {})[connection.url] = self._found
        return self._found.entry_data(connection)

    def _connection(self, protocol: str) -> Connection:
        return connection_of({**self._port, **self._keys, CONF_PROTOCOL: protocol})


def _is_made(entry: DsmrConfigEntry) -> bool:
    """Return whether no person has given an entry its title: the built-in's is the port."""
    version = VERSIONS.get(entry.data[CONF_DSMR_VERSION])
    made = version is not None and entry.title.endswith(version.label)
    return made or entry.title == connection_of(entry.data).url.removeprefix("socket://")


class DSMROptionsFlow(OptionsFlowWithReload):
    """Changes how the sensors of a meter behave."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        if user_input is not None:
            return self.async_create_entry(data={**self.config_entry.options, **user_input})
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                OPTIONS_FORM, self.config_entry.options
            ),
        )
