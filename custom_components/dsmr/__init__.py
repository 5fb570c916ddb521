"""DSMR Smart Meter: reads the P1 port of a smart meter."""

from homeassistant import config as conf_util
from homeassistant.const import SERVICE_RELOAD
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.reload import async_reload_integration_platforms
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN, PLATFORMS, YAML_PORTS

CONFIG_SCHEMA = cv.platform_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the action that reads configuration.yaml again."""

    async def reload(call: ServiceCall) -> None:
        # A file that can't be read raises here, and the meters go on as they are.
        await conf_util.async_hass_config_yaml(hass)
        ports = hass.data.pop(YAML_PORTS, {})
        for port in ports.values():
            await port.stop()
        await async_reload_integration_platforms(hass, DOMAIN, PLATFORMS)

    async_register_admin_service(hass, DOMAIN, SERVICE_RELOAD, reload)
    return True
