"""What does a sensor show of a reading?"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, override

from homeassistant.components.sensor import (
    DEVICE_CLASS_STATE_CLASSES,
    SensorDeviceClass,
    SensorEntity,
)
from homeassistant.core import State, callback
from homeassistant.helpers.entity import FLOAT_PRECISION

from .const import DEFAULT_PRECISION
from .descriptions import DSMRSensorDescription, Shows
from .dispatcher import DSMR, Unsubscribe
from .entity import Identity, PortEntity
from .models import ELECTRICITY, Entry, Reading, ReadingKey
from .roster import Slot
from .versions import Tariff

NO_METER = "no meter"
"""The `ReadingKey.meter` of a slot without a meter: no telegram has it."""

# By the unit of a reading, what is measured in it. Where a meter writes another unit than the
# sensor's row expects (a threshold in A, heat in kWh), the sensor follows the meter.
_DEVICE_CLASSES: Final = {
    "kW": SensorDeviceClass.POWER,
    "GJ": SensorDeviceClass.ENERGY,
    "kWh": SensorDeviceClass.ENERGY,
    "kVA": SensorDeviceClass.APPARENT_POWER,
    "A": SensorDeviceClass.CURRENT,
    "m³": SensorDeviceClass.VOLUME,
}
_UNITS: Final[Mapping[str | None, str]] = {
    device_class: unit for unit, device_class in _DEVICE_CLASSES.items()
}
# 0-0:96.3.10: 0 is off, 1 on, 2 to be switched on by hand (DLMS UA Blue Book, disconnect control);
# Hungarian meters write it out.
_SWITCH: Final = {
    "0": "disconnected",
    "1": "connected",
    "2": "ready_for_reconnection",
    "OFF": "disconnected",
    "ON": "connected",
}
_VALVE: Final = {"0": "closed", "1": "open"}
# Where Home Assistant has the contents of customize.yaml; another object once it was loaded anew.
_CUSTOMIZED: Final = "hass_customize"


class DSMRSensor(PortEntity, SensorEntity):
    """A sensor that shows one reading."""

    entity_description: DSMRSensorDescription
    _attr_available = False
    _attr_extra_state_attributes: dict[str, Any] = {}  # noqa: RUF012 (it is never changed)
    _unit: str | None = None
    _value: Any = None

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
        super().__init__(identity, description, slot)
        self._dsmr = dsmr
        self._key: ReadingKey | None = None
        self._is_added = False
        # As it was written last, and what customize.yaml said then.
        self._written: State | None = None
        self._customized: object = None
        # Whether Home Assistant shows another unit than the meter writes.
        self._is_converted = False
        self._unsubscribe: Unsubscribe | None = None

    @property
    def reading_key(self) -> ReadingKey:
        """Which reading it shows: of the meter that is in the slot now."""
        meter = self.slot.identity or NO_METER if self.slot else ELECTRICITY
        return ReadingKey(meter, self.entity_description.obis)

    @override
    @callback
    def _begin(self) -> None:
        self.async_on_remove(self._stop_listening)
        self._listen()
        self._is_added = True

    @override
    @callback
    def _end(self) -> None:
        self._is_added = False

    @property
    def was_dropped(self) -> bool:
        """Whether Home Assistant gave it up when it was about to be added: its state raised."""
        return self._is_added and self.hass is None

    @property
    def _is_there(self) -> bool:
        return self._is_added and not self.was_dropped

    @callback
    def follow(self) -> None:
        """Listen to the reading of the meter that is in the slot now."""
        if self._is_there and self.reading_key != self._key:
            self._stop_listening()
            self._listen()

    @callback
    def leave(self) -> None:
        """Leave Home Assistant, if it was added; its place in the registry stays."""
        if self._is_there:
            self.hass.async_create_task(self.async_remove())

    @callback
    def _listen(self) -> None:
        self._key = self.reading_key
        self._unsubscribe = self._dsmr.listen(self._key, self._told, self.entity_description.step)

    @callback
    def _stop_listening(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = self._key = None

    @callback
    def _told(self, reading: Reading | None) -> None:
        before = self._unit, self._attr_extra_state_attributes
        available = self._dsmr.telegram is not None
        # Each time that it is set, Home Assistant has to read it anew.
        if available is not self._attr_available:
            self._attr_available = available
        try:
            self.show(reading)
            is_same = before == (self._unit, self._attr_extra_state_attributes)
            self._write(is_number_alone=is_same and isinstance(self._value, float))
        except Exception:
            # Else the state would stay, which is an old one.
            self.show(None)
            self._write(is_number_alone=False)
            raise

    @callback
    def _write(self, *, is_number_alone: bool) -> None:
        """Write the state; its number alone, where the rest can't be another.

        To make the rest costs more than all else of a state. It is another when a person has
        changed something, and then Home Assistant writes the state by itself, but for
        customize.yaml. So it is taken from the last state, if that is the one that was left.

        Args:
            is_number_alone: whether a number is shown, and nothing else here can be another.
        """
        if not self._is_added:
            # Home Assistant writes it when it is added, and drops a sensor whose state raises then.
            _ = self.state
            return
        states, customized = self.hass.states, self.hass.data.get(_CUSTOMIZED)
        last = states.get(self.entity_id)
        if (
            is_number_alone
            and not self._is_converted
            and last is not None
            and last is self._written
            # Another program has none: it wrote this one while it was told, or before with the
            # same number.
            and last.state_info is not None
            and customized is self._customized
        ):
            number = f"{self.native_value:.{FLOAT_PRECISION}}"
            states.async_set(self.entity_id, number, last.attributes, state_info=last.state_info)
        else:
            self.async_write_ha_state()
            self._is_converted = self.unit_of_measurement != self.native_unit_of_measurement
        self._written, self._customized = states.get(self.entity_id), customized

    @property
    @override
    def native_value(self) -> Any:
        # Read once for each time that it is set: a cache, as `_attr_native_value` has, costs more.
        return self._value

    @property
    @override
    def suggested_display_precision(self) -> int | None:
        digits = self.entity_description.suggested_display_precision
        return digits if digits is None else min(digits, self._identity.precision)

    def show(self, reading: Reading | None) -> None:
        """Take over a reading; None where the telegram has none or none comes."""
        if reading is None:
            self._value = None
            self._attr_extra_state_attributes = {}
            return
        value, unit, time, entries = reading
        if unit != self._unit and not self._follows(unit):
            # What it would be in the unit that is shown, nobody knows.
            value = None
        shows = self.entity_description.shows
        if shows is Shows.VALUE:
            self._value = self._rounded(value)
            if isinstance(value, str) and not value.isdecimal() and self._is_number:
                # The meter writes a text in the place of a number: there is none.
                self._value = None
            if time is None and not entries and not self._attr_extra_state_attributes:
                return
        else:
            self._value = self._shown(shows, reading)
        self._attr_extra_state_attributes = dict(self._attributes(reading))

    def _shown(self, shows: Shows, reading: Reading) -> datetime | str | None:
        match shows:
            case Shows.TIME:
                return reading.time
            case Shows.TARIFF:
                return _tariff(self._identity.tariffs, reading)
            case Shows.SWITCH:
                return _SWITCH.get(str(reading.value))
            case _:
                return _VALVE.get(str(reading.value))

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            # A rounded -0.3 is 0.0 and not -0.0.
            return round(float(value), self._digits) + 0.0
        return value

    @cached_property
    def _digits(self) -> int:
        """How many digits after the decimal point are left, in the meter's unit.

        Where another unit is shown, Home Assistant converts what is left: 1 L/min is 0.06 m³/h.
        """
        if self.entity_description.suggested_unit_of_measurement:
            return max(self._identity.precision, DEFAULT_PRECISION)
        return self._identity.precision

    def _follows(self, unit: str | None) -> bool:
        """Show the unit that the meter writes, and return whether there is such a one."""
        if unit is not None and unit != (self.native_unit_of_measurement or unit):
            device_class = _DEVICE_CLASSES.get(unit)
            # No register is in kW: its h was lost on the way.
            if not device_class or self.state_class not in DEVICE_CLASS_STATE_CLASSES[device_class]:
                return False
            self._attr_native_unit_of_measurement = unit
            self._attr_device_class = device_class
        self._unit = unit
        return True

    def recall(self, device_class: str | None) -> None:
        """Have the unit that its meter wrote before the start, until it is known again.

        Else Home Assistant takes the unit that a person has chosen for one that it can't have.

        Args:
            device_class: with which it is registered.
        """
        if device_class != self.device_class:
            self._follows(_UNITS.get(device_class))

    def _attributes(self, reading: Reading) -> Iterator[tuple[str, Any]]:
        """Yield what a person may want to know beside the state."""
        shows = self.entity_description.shows
        if shows is Shows.TARIFF:
            yield "code", reading.value
        if shows is Shows.VALUE and reading.time is not None and self.slot is None:
            yield "time", reading.time
        if reading.entries and not (shows is Shows.VALUE and self._is_log):
            yield "entries", [self._entry(entry) for entry in reading.entries]

    @property
    def _is_number(self) -> bool:
        """Whether Home Assistant takes nothing but numbers for its value."""
        return bool(self.state_class or self.native_unit_of_measurement)

    @property
    def _is_log(self) -> bool:
        """Whether another sensor of the same line shows its entries."""
        return self.device_class is SensorDeviceClass.DURATION

    def _entry(self, entry: Entry) -> dict[str, datetime | float | int | str | None]:
        found: dict[str, Any] = {
            "time": entry.time,
            "value": self._rounded(entry.value),
            "unit": entry.unit,
            "occurred": entry.occurred,
        }
        return {name: value for name, value in found.items() if value is not None}


def _tariff(tariffs: Sequence[Tariff], reading: Reading) -> str | None:
    """Return the name of a tariff that is sent as `0002` or `TARIFF 2`."""
    number = str(reading.value).rpartition(" ")[2].lstrip("0")
    return tariffs[int(number) - 1] if number in {"1", "2", "3", "4"} else None
