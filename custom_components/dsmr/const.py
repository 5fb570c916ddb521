"""The names that configurations and stored entries carry.

They are the strings of Home Assistant's built-in `dsmr`, so that what it stored keeps working here
and the other way round.
"""

import logging
from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "dsmr"
LOGGER: Final = logging.getLogger(__package__)
PLATFORMS: Final = [Platform.SENSOR]

CONF_AUTHENTICATION_KEY: Final = "authentication_key"
CONF_DSMR_VERSION: Final = "dsmr_version"
CONF_ENCRYPTION_KEY: Final = "encryption_key"
CONF_PRECISION: Final = "precision"
CONF_RECONNECT_INTERVAL: Final = "reconnect_interval"
CONF_SERIAL_ID: Final = "serial_id"
CONF_SERIAL_ID_GAS: Final = "serial_id_gas"
CONF_SWAP_TARIFFS: Final = "swap_tariffs"
CONF_TIME_BETWEEN_UPDATE: Final = "time_between_update"

DSMR_PROTOCOL: Final = "dsmr_protocol"
RFXTRX_DSMR_PROTOCOL: Final = "rfxtrx_dsmr_protocol"

AUTO: Final = "auto"
"""The `dsmr_version` that is found out from the telegrams."""

DEFAULT_DSMR_VERSION: Final = "2.2"
DEFAULT_PORT: Final = "/dev/ttyUSB0"
DEFAULT_TCP_PORT: Final = 2001
DEFAULT_PRECISION: Final = 3
DEFAULT_RECONNECT_INTERVAL: Final = 30
DEFAULT_TIME_BETWEEN_UPDATE: Final = 60
"""Seconds; half as often as the built-in. What matters does not wait, so that the state machine is
never 50 W behind the meter, and a day takes no more rows of the database."""
LONGEST_TIME_BETWEEN_UPDATE: Final = 86400.0
"""Seconds; the built-in has no longest, and what its entries say can be kept."""
