"""How does Home Assistant see a reading?"""

from dataclasses import dataclass
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.entity import Entity

from .descriptions import DSMRSensorDescription
from .dispatcher import DSMR, Unsubscribe
from .models import ELECTRICITY, MBusMeter, Reading, ReadingKey
from .versions import Version


@dataclass(frozen=True, slots=True)
class Identity:
    """What the entities of one P1 port have in common.

    Attributes:
        version: the kind of meter.
        unique_id: what begins their unique ids.
        name: what begins their names, or "".
        precision: digits after the decimal point of every numeric value.
    """

    version: Version
    unique_id: str
    name: str
    precision: int


class DSMREntity(Entity):
    """An entity that shows one reading."""

    _attr_should_poll = False
    _attr_available = False
    entity_description: DSMRSensorDescription

    def __init__(self, dsmr: DSMR, identity: Identity, description: DSMRSensorDescription) -> None:
        """Make the entity; it listens when it is added."""
        self.entity_description = description
        self._dsmr = dsmr
        self._identity = identity
        self._unsubscribe: Unsubscribe | None = None
        self._attr_unique_id = f"{identity.unique_id}_{description.key}"
        # Which of the two registers is the low one, the country says.
        tariffs = identity.version.tariffs
        name = description.yaml_name.format(tariff_1=tariffs["0001"], tariff_2=tariffs["0002"])
        self._attr_name = f"{identity.name} {name}" if identity.name else name

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        if self.entity_description.mbus is None:
            self._listen(ReadingKey(ELECTRICITY, self.entity_description.obis))
        else:
            self.async_on_remove(self._dsmr.listen_meters(self._meters_changed))
        self.async_on_remove(self._stop_listening)

    def show(self, reading: Reading | None) -> None:
        """Take over a reading; None where the telegram has none or none comes."""
        raise NotImplementedError

    @callback
    def _meters_changed(self, meters: tuple[MBusMeter, ...]) -> None:
        """Follow the first meter of this type wherever it is now."""
        meter = next((m for m in meters if m.type == self.entity_description.mbus), None)
        self._stop_listening()
        self._listen(ReadingKey(meter.identity if meter else "", self.entity_description.obis))

    def _listen(self, key: ReadingKey) -> None:
        self._unsubscribe = self._dsmr.listen(key, self._told, self.entity_description.step)

    @callback
    def _stop_listening(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    @callback
    def _told(self, reading: Reading | None) -> None:
        self._attr_available = self._dsmr.telegram is not None
        self.show(reading)
        self.async_write_ha_state()
