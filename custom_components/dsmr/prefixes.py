"""What begins the unique ids of a meter in configuration.yaml?"""

from collections import defaultdict
from typing import Final

from homeassistant import config as conf_util
from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT, CONF_UNIQUE_ID
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import slugify
from homeassistant.util.hass_dict import HassKey

from .addresses import socket_url
from .connection import CONNECTION
from .const import DEFAULT_PORT, DEFAULT_TCP_PORT, DOMAIN
from .models import Connection
from .roster import Roster

YAML_UNIQUE_IDS: Final[HassKey[set[str]]] = HassKey(f"{DOMAIN}_yaml_unique_ids")
"""What begins the unique ids of meters in configuration.yaml, from the start of their set-up."""
_OWNERS: Final[HassKey[dict[str, str]]] = HassKey(f"{DOMAIN}_yaml_owners")
"""By what the name of a meter makes: the port of the one whose unique ids begin with that alone."""


def url_of(config: ConfigType) -> str:
    """Return the port of a meter, of what is written of it, also where that is not checked yet."""
    host = str(config.get(CONF_HOST, "")).strip()
    port = str(config.get(CONF_PORT, DEFAULT_TCP_PORT if host else DEFAULT_PORT)).strip()
    if not host:
        return port
    return socket_url(host, str(int(port)) if port.isdecimal() else port)


async def share_names(hass: HomeAssistant, config: ConfigType) -> None:
    """Settle which of several meters with one name has it alone, before any of them is set up.

    That is the one that had it; which of them is set up first changes from start to start.

    Args:
        hass: where the meters are.
        config: all that is in configuration.yaml.
    """
    ports: defaultdict[str, list[str]] = defaultdict(list)
    before: dict[str, str | None] = {}
    for platform, written in conf_util.config_per_platform(config, SENSOR_DOMAIN):
        if platform == DOMAIN and not written.get(CONF_UNIQUE_ID):
            port, by_name, by_port = _candidates(written)
            if by_name not in before:
                before[by_name] = await Roster.port_of(hass, by_name)
            # Lines that were in the file twice for a while made it known by its port too.
            if before[by_name] == port or not _is_known(hass, by_port):
                ports[by_name].append(port)
    owners = hass.data[_OWNERS] = {}
    for by_name, among in ports.items():
        had_it = before[by_name]
        owners[by_name] = had_it if had_it in among else among[0]


def prefix_of(hass: HomeAssistant, config: ConfigType) -> str:
    """Return what begins the unique ids of a meter.

    Where it was given nothing it is there before the first telegram, and stays when the cable moves
    to another port: the name alone. Only a second meter of the same name is told apart by its port,
    and from then on always.

    Args:
        hass: where the meter is.
        config: what is written of the meter.
    """
    if unique_id := config.get(CONF_UNIQUE_ID):
        return str(unique_id)
    port, by_name, by_port = _candidates(config)
    return by_name if hass.data[_OWNERS].get(by_name) == port else by_port


def _candidates(config: ConfigType) -> tuple[str, str, str]:
    """Return the name of the port, the prefix of the meter's name alone, and that of both."""
    port = Connection(url_of(config)).name
    name = config.get(CONF_NAME) or ""
    return port, slugify(f"yaml {name}"), slugify(f"yaml {name} {port}")


def _is_known(hass: HomeAssistant, prefix: str) -> bool:
    """Return whether a meter has been set up with that before."""
    unique_id = f"{prefix}_{CONNECTION.key}"
    return bool(er.async_get(hass).async_get_entity_id(SENSOR_DOMAIN, DOMAIN, unique_id))
