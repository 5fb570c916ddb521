"""The sensors of a P1 port."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, override

from homeassistant.components.sensor import (
    PLATFORM_SCHEMA as SENSOR_PLATFORM_SCHEMA,
    SensorEntity,
)
from homeassistant.const import CONF_HOST, CONF_NAME, CONF_PORT, CONF_UNIQUE_ID
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType, StateType
from homeassistant.util import slugify
import voluptuous as vol

from .const import (
    CONF_DSMR_VERSION,
    CONF_PRECISION,
    CONF_RECONNECT_INTERVAL,
    CONF_TIME_BETWEEN_UPDATE,
    DEFAULT_DSMR_VERSION,
    DEFAULT_PORT,
    DEFAULT_PRECISION,
    DEFAULT_RECONNECT_INTERVAL,
    DEFAULT_TCP_PORT,
    DEFAULT_TIME_BETWEEN_UPDATE,
    YAML_PORTS,
)
from .descriptions import HOURLY_GAS_KEY, SENSORS, TARIFF_KEY, DSMRSensorDescription
from .dispatcher import DSMR
from .entity import DSMREntity, Identity
from .models import Connection, Reading
from .port import P1Port
from .versions import VERSIONS

PARALLEL_UPDATES = 0


def _version(value: Any) -> str:
    """Validate a DSMR version: YAML reads 5 as an int and 2.2 as a float."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if text not in VERSIONS:
        raise vol.Invalid(f"expected one of {', '.join(VERSIONS)}")
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


def _where(config: ConfigType) -> ConfigType:
    """Validate the port: with a host the number of a TCP port, without a serial device or URL."""
    if not config[CONF_HOST]:
        return {CONF_PORT: DEFAULT_PORT, **config}
    try:
        port = _number(int, 1, 65535)(config.get(CONF_PORT, DEFAULT_TCP_PORT))
    except vol.Invalid as error:
        raise vol.Invalid(f"{error}, the TCP port of the host", path=[CONF_PORT]) from error
    return {**config, CONF_PORT: str(port)}


PLATFORM_SCHEMA = vol.All(
    SENSOR_PLATFORM_SCHEMA.extend(
        {
            vol.Optional(CONF_PORT): cv.string,
            vol.Optional(CONF_HOST, default=""): cv.string,
            vol.Optional(CONF_DSMR_VERSION, default=DEFAULT_DSMR_VERSION): _version,
            vol.Optional(CONF_PRECISION, default=DEFAULT_PRECISION): _number(int, 0, 9),
            vol.Optional(CONF_RECONNECT_INTERVAL, default=DEFAULT_RECONNECT_INTERVAL): _number(
                float, 0.1, 86400.0
            ),
            vol.Optional(CONF_TIME_BETWEEN_UPDATE, default=DEFAULT_TIME_BETWEEN_UPDATE): _number(
                float, 0.0, 86400.0
            ),
            vol.Optional(CONF_NAME, default=""): cv.string,
            vol.Optional(CONF_UNIQUE_ID): cv.string,
        }
    ),
    _where,
)


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Set up the sensors of one `- platform: dsmr` of configuration.yaml."""
    host, port = config[CONF_HOST], config[CONF_PORT]
    version = VERSIONS[config[CONF_DSMR_VERSION]]
    p1_port = P1Port(
        hass,
        Connection(
            f"socket://{host}:{port}" if host else port,
            longest_retry=config[CONF_RECONNECT_INTERVAL],
        ),
        version,
        config[CONF_TIME_BETWEEN_UPDATE],
    )
    identity = Identity(
        version,
        config.get(CONF_UNIQUE_ID) or _unique_id(hass, config[CONF_NAME], p1_port),
        config[CONF_NAME],
        config[CONF_PRECISION],
    )
    async_add_entities(sensors(p1_port.dsmr, identity))
    hass.data.setdefault(YAML_PORTS, {})[identity.unique_id] = p1_port
    p1_port.start()


def _unique_id(hass: HomeAssistant, name: str, p1_port: P1Port) -> str:
    """Return what begins the unique ids of a meter that was given none.

    It is there before the first telegram, and stays when the cable moves to another port: the name
    alone. Only a second meter of the same name is told apart by its port.
    """
    unique_id = slugify(f"yaml {name}")
    if unique_id in hass.data.get(YAML_PORTS, {}):
        return slugify(f"yaml {name} {p1_port.reader.connection.name}")
    return unique_id


def sensors(dsmr: DSMR, identity: Identity) -> list[DSMRSensor]:
    """Return a sensor for each OBIS reference that the version has."""
    return [
        _KINDS.get(description.key, DSMRSensor)(dsmr, identity, description)
        for description in SENSORS
        if description.obis
        in (identity.version.mbus_readings if description.mbus else identity.version.electricity)
    ]


class DSMRSensor(DSMREntity, SensorEntity):
    """A sensor that shows one reading."""

    entity_description: DSMRSensorDescription

    @override
    def show(self, reading: Reading | None) -> None:
        self._attr_native_value = None if reading is None else self.value(reading)

    def value(self, reading: Reading) -> StateType:
        """Return what the sensor shows for a reading."""
        value = reading.value
        if isinstance(value, Decimal):
            return round(float(value), self._identity.precision)
        return value if isinstance(value, (int, str)) else None


class TariffSensor(DSMRSensor):
    """The tariff that the meter counts now."""

    @override
    def value(self, reading: Reading) -> StateType:
        return self._identity.version.tariffs.get(str(reading.value))


class HourlyGasSensor(DSMRSensor):
    """Gas per hour between the last two readings, by the clock of the meter that took them."""

    _previous: Reading | None = None

    @override
    def value(self, reading: Reading) -> StateType:
        previous = self._previous
        if reading.time is None or not isinstance(reading.value, Decimal):
            return None
        if previous is not None and previous.time == reading.time:
            return self.native_value  # type: ignore[return-value]
        self._previous = reading
        if previous is None or previous.time is None or not isinstance(previous.value, Decimal):
            return None
        hours = (reading.time - previous.time).total_seconds() / 3600
        used = reading.value - previous.value
        # Backwards in time or count: another meter, of which this is the first reading.
        if hours <= 0 or used < 0:
            return None
        return round(float(used) / hours, self._identity.precision)


_KINDS: Final[dict[str, type[DSMRSensor]]] = {
    TARIFF_KEY: TariffSensor,
    HOURLY_GAS_KEY: HourlyGasSensor,
}
