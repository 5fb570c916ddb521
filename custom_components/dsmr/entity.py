"""How does Home Assistant see a reading?"""

from dataclasses import dataclass
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.entity import Entity

from .descriptions import DSMRSensorDescription
from .dispatcher import DSMR, Unsubscribe
from .models import ELECTRICITY, Reading, ReadingKey
from .roster import Slot
from .versions import Version

NO_METER = "no meter"
"""The `ReadingKey.meter` of a slot without a meter: no telegram has it."""


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

    def __init__(
        self,
        dsmr: DSMR,
        identity: Identity,
        description: DSMRSensorDescription,
        slot: Slot | None = None,
    ) -> None:
        """Make the entity; it listens when it is added.

        Args:
            dsmr: who tells it the readings.
            identity: what it has in common with the other entities of the port.
            description: what it shows.
            slot: the M-Bus meter that it belongs to, or None for electricity.
        """
        self.entity_description = description
        self.slot = slot
        self._dsmr = dsmr
        self._identity = identity
        self._key: ReadingKey | None = None
        self._is_added = False
        self._unsubscribe: Unsubscribe | None = None
        # The second gas meter's sensors have the first one's names and a number.
        number = slot.number if slot is not None and slot.number > 1 else None
        self._attr_unique_id = f"{identity.unique_id}_{description.key}"
        # Which of the two registers is the low one, the country says.
        tariff_1, tariff_2, *_ = identity.version.tariffs
        self._attr_name = description.yaml_name.format(tariff_1=tariff_1, tariff_2=tariff_2)
        if identity.name:
            self._attr_name = f"{identity.name} {self._attr_name}"
        if number:
            self._attr_unique_id += f"_{number}"
            self._attr_name += f" {number}"

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._is_added = True
        self.follow()

    @override
    async def async_will_remove_from_hass(self) -> None:
        self._is_added = False
        self._stop_listening()

    @callback
    def follow(self) -> None:
        """Listen to the reading of the meter that is in the slot now."""
        meter = self.slot.identity or NO_METER if self.slot else ELECTRICITY
        key = ReadingKey(meter, self.entity_description.obis)
        if self._is_added and key != self._key:
            self._stop_listening()
            self._key = key
            self._unsubscribe = self._dsmr.listen(key, self._told, self.entity_description.step)

    def show(self, reading: Reading | None) -> None:
        """Take over a reading; None where the telegram has none or none comes."""
        raise NotImplementedError

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
