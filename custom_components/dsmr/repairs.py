"""What does a person see who takes a meter of configuration.yaml over into the interface?"""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import SOURCE_IMPORT
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import probatio

from .const import DOMAIN
from .port import YAML_PORTS
from .takeover import as_entry


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the dialog of the one issue that can be fixed here."""
    return ImportFlow(str((data or {}).get("port_id")))


class ImportFlow(RepairsFlow):
    """Makes an entry of a meter of configuration.yaml, when a person says so."""

    def __init__(self, port_id: str) -> None:
        """Make the dialog.

        Args:
            port_id: what the port of configuration.yaml is known by.
        """
        self._port_id = port_id

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Ask, and make the entry."""
        p1_port = self.hass.data.get(YAML_PORTS, {}).get(self._port_id)
        entry: dict[str, Any] | None = as_entry(p1_port) if p1_port else None
        if p1_port is None or entry is None:
            return self.async_abort(reason="no_telegram")
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=probatio.Schema({}),
                description_placeholders={"port": p1_port.reader.connection.name},
            )
        result = await self.hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": SOURCE_IMPORT},
            data={"port_id": self._port_id, "entry": entry},
        )
        if result["type"] is FlowResultType.ABORT:
            return self.async_abort(reason=result["reason"])
        return self.async_create_entry(data={})
