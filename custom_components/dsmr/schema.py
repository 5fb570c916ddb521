"""What may configuration.yaml say?"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from homeassistant.components.sensor import PLATFORM_SCHEMA as SENSOR_PLATFORM_SCHEMA
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT, CONF_UNIQUE_ID
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.network import is_ipv6_address
from probatio import Secret  # Home Assistant's engine; as `voluptuous` it does not have this.
import voluptuous as vol

from .const import (
    AUTO,
    CONF_AUTHENTICATION_KEY,
    CONF_DSMR_VERSION,
    CONF_ENCRYPTION_KEY,
    CONF_PRECISION,
    CONF_RECONNECT_INTERVAL,
    CONF_TIME_BETWEEN_UPDATE,
    DEFAULT_DSMR_VERSION,
    DEFAULT_PORT,
    DEFAULT_PRECISION,
    DEFAULT_RECONNECT_INTERVAL,
    DEFAULT_TCP_PORT,
    DEFAULT_TIME_BETWEEN_UPDATE,
    LONGEST_TIME_BETWEEN_UPDATE,
)
from .decryption import read_key
from .versions import VERSIONS


def _version(value: Any) -> str:
    """Validate a DSMR version: YAML reads 5 as an int and 2.2 as a float."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if text not in VERSIONS and text != AUTO:
        raise vol.Invalid(f"expected one of {', '.join(VERSIONS)}, {AUTO}")
    return text


def _number[T: (int, float)](of: type[T], least: T, most: T) -> Callable[[Any], T]:
    """Return a validator for a number between two."""

    def validate(value: Any) -> T:
        try:
            number = of(value)
        except TypeError, ValueError:
            number = None
        if number is None or isinstance(value, bool) or not least <= number <= most:
            kind = "a whole number" if of is int else "a number"
            raise vol.Invalid(f"expected {kind} from {least} to {most}")
        return number

    return validate


def _key(value: Any) -> bytes:
    """Validate a key. What was written instead does not stand in the error."""
    # Digits alone are a number in YAML, and of that the zeros at the beginning are lost.
    if not isinstance(value, str):
        raise vol.Invalid("expected 32 hexadecimal digits in quotes")
    try:
        return read_key(value)
    except ValueError as error:
        raise vol.Invalid(str(error)) from None


def _keys(config: ConfigType) -> ConfigType:
    """Validate that there is a key where there must be one."""
    version = config[CONF_DSMR_VERSION]
    # Any other may come encrypted too: it is the meter that says so.
    is_encrypted = version != AUTO and VERSIONS[version].encrypted
    if CONF_ENCRYPTION_KEY not in config and (is_encrypted or CONF_AUTHENTICATION_KEY in config):
        raise vol.RequiredFieldInvalid("required key not provided", path=[CONF_ENCRYPTION_KEY])
    return config


def _is_host(text: str) -> bool:
    """Return whether a host stands alone: only an IPv6 address has colons, maybe in brackets."""
    if text.startswith("[") and text.endswith("]"):
        return is_ipv6_address(text[1:-1])
    return ":" not in text or is_ipv6_address(text)


def _where(config: ConfigType) -> ConfigType:
    """Validate the port: with a host the number of a TCP port, without a serial device or URL."""
    if not config[CONF_HOST]:
        try:
            urlsplit(config.get(CONF_PORT, DEFAULT_PORT))
        except ValueError as error:
            raise vol.Invalid(f"expected a device or a URL: {error}", path=[CONF_PORT]) from error
        return {CONF_PORT: DEFAULT_PORT, **config}
    if not _is_host(config[CONF_HOST]):
        raise vol.Invalid(
            f"expected a name or an address alone; its TCP port is written as {CONF_PORT}",
            path=[CONF_HOST],
        )
    try:
        port = _number(int, 1, 65535)(config.get(CONF_PORT, DEFAULT_TCP_PORT))
    except vol.Invalid as error:
        raise vol.Invalid(f"{error}, the TCP port of the host", path=[CONF_PORT]) from error
    return {**config, CONF_PORT: str(port)}


CONFIGURATION = vol.All(
    SENSOR_PLATFORM_SCHEMA.extend(
        {
            vol.Optional(CONF_PORT): cv.string,
            vol.Optional(CONF_HOST, default=""): cv.string,
            vol.Optional(CONF_DSMR_VERSION, default=DEFAULT_DSMR_VERSION): _version,
            vol.Optional(Secret(CONF_ENCRYPTION_KEY)): _key,
            vol.Optional(Secret(CONF_AUTHENTICATION_KEY)): _key,
            vol.Optional(CONF_PRECISION, default=DEFAULT_PRECISION): _number(int, 0, 9),
            vol.Optional(CONF_RECONNECT_INTERVAL, default=DEFAULT_RECONNECT_INTERVAL): _number(
                float, 0.1, 86400.0
            ),
            vol.Optional(CONF_TIME_BETWEEN_UPDATE, default=DEFAULT_TIME_BETWEEN_UPDATE): _number(
                float, 0.0, LONGEST_TIME_BETWEEN_UPDATE
            ),
            vol.Optional(CONF_NAME, default=""): cv.string,
            vol.Optional(CONF_UNIQUE_ID): cv.string,
        }
    ),
    _keys,
    _where,
)
