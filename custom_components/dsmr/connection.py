"""Do telegrams come from a P1 port, and why not? The one sensor that is never unavailable."""

from datetime import datetime, timedelta
from typing import Any, Final, override

from homeassistant.components.sensor import SensorDeviceClass, SensorEntity
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .descriptions import DSMRSensorDescription
from .entity import Identity, PortEntity
from .models import Cause
from .port import P1Port

RECEIVING: Final = "receiving"
CONNECTION: Final = DSMRSensorDescription(
    key="connection",
    translation_key="connection",
    obis="",
    yaml_name="Smart meter connection",
    device_class=SensorDeviceClass.ENUM,
    entity_category=EntityCategory.DIAGNOSTIC,
    options=[RECEIVING, *map(str, Cause)],
)


class ConnectionSensor(PortEntity, SensorEntity):
    """Says whether telegrams come, else why not and when the last one came."""

    entity_description: DSMRSensorDescription

    def __init__(self, p1_port: P1Port, identity: Identity) -> None:
        """Make the entity; it listens when it is added.

        Args:
            p1_port: the port that it is about.
            identity: what it has in common with the other entities of the port.
        """
        super().__init__(identity, CONNECTION)
        self._p1_port = p1_port
        self._last: datetime | None = None

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        dsmr = self._p1_port.dsmr
        self.async_on_remove(dsmr.listen_loss(self._changed))
        self.async_on_remove(dsmr.listen_contents(self._changed))

    @callback
    def _changed(self, _: Any) -> None:
        reader = self._p1_port.reader
        if self._p1_port.dsmr.telegram is not None:
            self._attr_native_value, self._last = RECEIVING, None
        else:
            self._attr_native_value = reader.cause
            if self._last is None and reader.telegram_at is not None:
                age = self.hass.loop.time() - reader.telegram_at
                self._last = dt_util.utcnow() - timedelta(seconds=age)
        # While telegrams come the last one is now, and writing that would fill the database.
        self._attr_extra_state_attributes = {"last_telegram": self._last} if self._last else {}
        self.async_write_ha_state()
