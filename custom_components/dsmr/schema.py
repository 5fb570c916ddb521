"""What may configuration.yaml say?"""

from collections.abc import Callable
from typing import Any, Final

from homeassistant.components.sensor import PLATFORM_SCHEMA as SENSOR_PLATFORM_SCHEMA
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT, CONF_UNIQUE_ID
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType
from probatio import Invalid, Secret  # Home Assistant's engine; `voluptuous` keeps no secrets.
import voluptuous as vol

from .addresses import port_url, socket_url
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
from .prefixes import url_of
from .versions import VERSIONS

# DSMR 4.2 is what 4 is called on the meters themselves.
_VERSIONS: Final = {"4.2": "4"} | {version.lower(): version for version in (*VERSIONS, AUTO)}
_MARKS_OF_SECRETS: Final = frozenset("@?#&=")
"""One of them stands in each URL that has a user, a password or a query."""


def _written(value: Any) -> str:
    """Return a number or a version as text: YAML may read 5 as an int or a float."""
    return str(value).strip().removesuffix(".0")


def _version(value: Any) -> str:
    """Validate a DSMR version."""
    version = _VERSIONS.get(_written(value).lower())
    if version is None:
        raise vol.Invalid(f"expected one of {', '.join(VERSIONS)}, {AUTO}")
    return version


def _number[T: (int, float)](of: type[T], least: T, most: T) -> Callable[[Any], T]:
    """Return a validator for a number between two."""

    def validate(value: Any) -> T:
        try:
            number = of(_written(value))
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
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


def _refusal(expected: str, written: Any, key: str | None = None) -> Invalid:
    """Return the error of a host or a port, which is quoted only where it has no secrets."""
    error = Invalid(expected, path=[key] if key else None)
    error.secret = not _MARKS_OF_SECRETS.isdisjoint(str(written))
    return error


def _is_whole(text: str, url: str) -> bool:
    """Return whether the interface takes a text for the port with that URL."""
    try:
        return port_url(text) == url
    except ValueError:
        return False


def _host(value: Any) -> str:
    """Validate a host: a name or an address, an IPv6 address maybe in brackets."""
    host = str(value).strip()
    if value is None or (host and not _is_whole(host, socket_url(host, str(DEFAULT_TCP_PORT)))):
        raise _refusal(
            f"expected a name or an address alone; its TCP port is written as {CONF_PORT}", value
        )
    return host


def _where(config: ConfigType) -> ConfigType:
    """Validate the port: with a host the number of a TCP port, without a serial device or URL."""
    if not config[CONF_HOST]:
        url = url_of(config)
        # To what is not whole the interface adds what is missing, and takes it for a host.
        if not _is_whole(url, url):
            raise _refusal(
                f"expected a device such as {DEFAULT_PORT} or a URL such as "
                f"socket://192.168.1.13:{DEFAULT_TCP_PORT}; "
                f"a network gateway is written as {CONF_HOST} (and its TCP port as {CONF_PORT})",
                config[CONF_PORT],
                CONF_PORT,
            )
        return {**config, CONF_PORT: url}
    port = config.get(CONF_PORT, DEFAULT_TCP_PORT)
    try:
        number = _number(int, 1, 65535)(port)
    except vol.Invalid as error:
        raise _refusal(f"{error}, the TCP port of the host", port, CONF_PORT) from error
    return {**config, CONF_PORT: str(number)}


CONFIGURATION = vol.All(
    SENSOR_PLATFORM_SCHEMA.extend(
        {
            vol.Optional(CONF_PORT): object,
            vol.Optional(CONF_HOST, default=""): _host,
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
