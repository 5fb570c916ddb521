"""Do telegrams come from a P1 port, why not, and when did the last one?

The sensors that are never unavailable.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.event import async_track_time_interval

from .descriptions import DSMRSensorDescription
from .entity import Identity, PortEntity
from .models import Cause
from .port import P1Port

RECEIVING: Final = "receiving"
SHORTEST_INTERVAL: Final = 1.0
"""Seconds between two times that are shown, at least: no meter sends more often."""
CONNECTION: Final = DSMRSensorDescription(
    key="connection",
    translation_key="connection",
    obis="",
    yaml_name="Smart meter connection",
    device_class=SensorDeviceClass.ENUM,
    entity_category=EntityCategory.DIAGNOSTIC,
    options=[RECEIVING, *map(str, Cause)],
)
LAST_TELEGRAM: Final = DSMRSensorDescription(
    key="last_telegram",
    translation_key="last_telegram",
    obis="",
    yaml_name="Smart meter last telegram",
    device_class=SensorDeviceClass.TIMESTAMP,
    entity_category=EntityCategory.DIAGNOSTIC,
    # It is another one each time: that would fill the database of those who do not look at it.
    entity_registry_enabled_default=False,
)


class PortSensor(PortEntity, SensorEntity):
    """A sensor that is about the port, and not about what telegrams say."""

    entity_description: DSMRSensorDescription

    def __init__(
        self, p1_port: P1Port, identity: Identity, description: DSMRSensorDescription
    ) -> None:
        """Make the entity; it listens when it is added.

        Args:
            p1_port: the port that it is about.
            identity: what it has in common with the other entities of the port.
            description: what it shows.
        """
        super().__init__(identity, description)
        self._p1_port = p1_port

    @override
    @callback
    def _begin(self) -> None:
        dsmr = self._p1_port.dsmr
        self.async_on_remove(dsmr.listen_loss(self._changed))
        self.async_on_remove(dsmr.listen_contents(self._changed))

    @callback
    def _changed(self, _: Any) -> None:
        raise NotImplementedError


class ConnectionSensor(PortSensor):
    """Says whether telegrams come, else why not and when the last one came."""

    @override
    @callback
    def _changed(self, _: Any) -> None:
        reader, last = self._p1_port.reader, None
        if self._p1_port.dsmr.telegram is not None:
            self._attr_native_value = RECEIVING
        else:
            self._attr_native_value, last = reader.cause, reader.telegram_time
        # While telegrams come the last one is now, and writing that would fill the database.
        self._attr_extra_state_attributes = {"last_telegram": last} if last else {}
        self.async_write_ha_state()


class LastTelegramSensor(PortSensor):
    """Says when the last telegram came, as late as any changed value may be shown."""

    @override
    @callback
    def _begin(self) -> None:
        super()._begin()
        every = timedelta(seconds=max(self._p1_port.dsmr.time_between_update, SHORTEST_INTERVAL))
        self.async_on_remove(
            async_track_time_interval(self.hass, self._changed, every, cancel_on_shutdown=True)
        )

    @override
    @callback
    def _changed(self, _: Any) -> None:
        self._attr_native_value = self._p1_port.reader.telegram_time
        self.async_write_ha_state()


def port_sensors(p1_port: P1Port, identity: Identity) -> Iterator[PortSensor]:
    """Make the sensors that there are of each port, whatever meter it has."""
    yield ConnectionSensor(p1_port, identity, CONNECTION)
    yield LastTelegramSensor(p1_port, identity, LAST_TELEGRAM)
