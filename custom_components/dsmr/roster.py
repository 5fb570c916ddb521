"""Which of the sensors does this meter have? Learnt from its telegrams, and remembered."""

from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .derivation import derivable
from .descriptions import DIAGNOSTIC_LINES, SENSORS, DSMRSensorDescription
from .models import ELECTRICITY, Contents, MBusMeter, MBusType
from .obis import FLOW, MBUS_READING, MBUS_READINGS
from .versions import VERSIONS, Version

STORAGE_VERSION: Final = 1


@dataclass(slots=True)
class Slot:
    """A place for an M-Bus meter: the first gas meter, the second one, the first water meter.

    Attributes:
        type: what the meter there measures.
        number: the first is 1.
        identity: the meter that is there now, or "" before the first telegram.
    """

    type: MBusType
    number: int
    identity: str


@dataclass(slots=True)
class Roster:
    """What one P1 port's meters send.

    Attributes:
        lines: the value groups C.D.E of the electricity meter, and what follows from them.
        slots: the M-Bus meters behind it.
        learnt: whether this was read from telegrams, and is not only what the version may have.
    """

    lines: set[str]
    slots: list[Slot]
    learnt: bool = False
    _heard: set[str] = field(default_factory=set, repr=False)
    _store: Store[dict[str, Any]] | None = field(default=None, repr=False)

    @classmethod
    async def load(
        cls, hass: HomeAssistant, port_id: str, version: Version, *, presume: bool = True
    ) -> Roster:
        """Return what was remembered of a P1 port, or what its version may send.

        Args:
            hass: where it is stored.
            port_id: what begins the unique ids of the port's entities, or its entry's id.
            version: the kind of meter.
            presume: whether all that the version may send is presumed until telegrams have come;
                otherwise nothing is.
        """
        store = _store(hass, port_id)
        stored = await store.async_load()
        if stored is not None and stored["version"] == version.key:
            slots = [Slot(MBusType(type_), *rest) for type_, *rest in stored["slots"]]
            return cls(set(stored["lines"]), slots, learnt=True, _store=store)
        if not presume:
            return cls(set(), [], learnt=True, _store=store)
        lines = set(version.electricity)
        gas = any(reading in version.mbus for reading in MBUS_READINGS)
        slots = [Slot(MBusType.GAS, 1, "")] if gas else []
        return cls(lines | derivable(lines), slots, _store=store)

    @staticmethod
    async def version(hass: HomeAssistant, port_id: str) -> Version | None:
        """Return the version that a P1 port had when it was last remembered, or None."""
        stored = await _store(hass, port_id).async_load()
        return VERSIONS.get(stored["version"]) if stored else None

    @staticmethod
    async def forget(hass: HomeAssistant, port_id: str) -> None:
        """Remember a P1 port no longer."""
        await _store(hass, port_id).async_remove()

    async def save(self, version: Version) -> None:
        """Remember it for the next start."""
        if self._store is not None:
            await self._store.async_save(
                {
                    "version": version.key,
                    "lines": sorted(self.lines),
                    "slots": [[int(s.type), s.number, s.identity] for s in self.slots],
                }
            )

    def take(self, contents: Contents) -> bool:
        """Take in what a telegram holds, and return whether a line or a meter is new."""
        known = len(self.lines)
        self._heard |= {key.obis for key in contents.keys if key.meter == ELECTRICITY}
        self.lines |= self._heard
        present = {meter.identity for meter in contents.meters}
        placed = {slot.identity for slot in self.slots}
        new = [meter for meter in contents.meters if meter.identity not in placed]
        for meter in new:
            self._place(meter, present)
        return bool(new) or len(self.lines) > known

    def _place(self, meter: MBusMeter, present: set[str]) -> None:
        """Put a meter in the slot of one that is gone, which it replaces, or in a new one."""
        alike = [slot for slot in self.slots if _kind(slot.type) == _kind(meter.type)]
        for slot in alike:
            if slot.identity not in present:
                slot.type, slot.identity = meter.type, meter.identity
                return
        self.slots.append(Slot(meter.type, len(alike) + 1, meter.identity))

    def settle(self) -> None:
        """Forget what the version may send and this meter does not, now that it has been heard."""
        if not self.learnt:
            self.lines = self._heard.copy()
            self.slots = [slot for slot in self.slots if slot.identity]
            self.learnt = True

    def electricity(self) -> list[DSMRSensorDescription]:
        """Return the rows for the electricity meter."""
        return [d for d in SENSORS if not d.mbus and d.obis in self.lines]

    def unknown(self) -> set[str]:
        """Return the lines of the electricity meter for which there is no row."""
        rows = {description.obis for description in SENSORS if not description.mbus}
        return self.lines - rows - DIAGNOSTIC_LINES

    def of_slot(self, slot: Slot, contents: Contents | None) -> list[DSMRSensorDescription]:
        """Return the rows for an M-Bus meter: its reading, what follows, and what else it sends."""
        sent = {MBUS_READING, FLOW}
        if contents is not None:
            sent |= {key.obis for key in contents.keys if key.meter == slot.identity}
        return [d for d in SENSORS if slot.type in d.mbus and d.obis in sent]


def _store(hass: HomeAssistant, port_id: str) -> Store[dict[str, Any]]:
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{port_id}")


def _kind(type_: MBusType) -> tuple[MBusType, ...]:
    """Return the types that share their rows with a type: cold water and warm water are water."""
    return next((d.mbus for d in SENSORS if type_ in d.mbus), (type_,))
