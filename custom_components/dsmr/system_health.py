"""What does the page about the system say of the meters?"""

from collections.abc import Sequence
from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .port import YAML_PORTS, DsmrConfigEntry, P1Port


@callback
def async_register(hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Say where the numbers come from."""

    async def info(hass: HomeAssistant) -> dict[str, Any]:
        entries: list[DsmrConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
        ports = [entry.runtime_data for entry in entries]
        return summary([*ports, *hass.data.get(YAML_PORTS, {}).values()])

    register.async_register_info(info)


def summary(ports: Sequence[P1Port]) -> dict[str, Any]:
    """Return what is said of P1 ports, of configuration.yaml as of the interface."""
    counters = [port.reader.counters for port in ports]
    return {
        "ports": len(ports),
        "reading": sum(port.dsmr.telegram is not None for port in ports),
        "telegrams": sum(of.telegrams for of in counters),
        "damaged": sum(of.checksum_failures + of.decryption_failures for of in counters),
    }
