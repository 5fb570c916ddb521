"""What does a person see who takes a meter of configuration.yaml over into the interface?"""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_IMPORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .port import YAML_PORTS
from .takeover import as_entry


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog of the one issue that can be fixed here."""
    said = data or {}
    return ImportFlow(str(said.get("port_id")), str(said.get("name", "")))


class ImportFlow(RepairsFlow):
    """Makes an entry of a meter of configuration.yaml, when a person says so."""

    def __init__(self, port_id: str, name: str) -> None:
        """Make the dialog.

        Args:
            port_id: what the port of configuration.yaml is known by.
            name: what the meter is called there, or "".
        """
        self._port_id = port_id
        self._name = name

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Ask. What can be fixed has no button of Home Assistant's to ignore it."""
        return self.async_show_menu(step_id="init", menu_options=["confirm", "ignore"])

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Make the entry."""
        p1_port = self.hass.data.get(YAML_PORTS, {}).get(self._port_id)
        entry: dict[str, Any] | None = as_entry(p1_port, self._name) if p1_port else None
        if entry is None:
            return self.async_abort(reason="no_telegram")
        result = await self.hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": SOURCE_IMPORT},
            data={"port_id": self._port_id, "entry": entry},
        )
        if result["type"] is FlowResultType.ABORT:
            return self.async_abort(reason=result["reason"])
        return self.async_create_entry(data={})

    async def async_step_ignore(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Leave the meter where it is, and say nothing of it any more."""
        ir.async_ignore_issue(self.hass, DOMAIN, self.issue_id, ignore=True)
        return self.async_abort(reason="issue_ignored")
