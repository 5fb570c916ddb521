"""Which of the sensors does this meter have? Learnt from its telegrams, and remembered."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN, LOGGER
from .derivation import derivable
from .descriptions import (
    DIAGNOSTIC_LINES,
    SENSORS,
    DSMRSensorDescription,
    unknown_line,
)
from .models import CHANNEL, ELECTRICITY, Contents, MBusMeter, MBusType
from .obis import FLOW, MBUS_READING, MBUS_READINGS
from .versions import OTHERS, VERSIONS, SerialSettings, Version

STORAGE_VERSION: Final = 1

MOST_UNKNOWN: Final = 30
"""Lines without a row that one meter may have. No known meter has any; but where there is no
checksum, damage makes one now and then, each time another."""

_UNREADABLE: Final[HassKey[set[str]]] = HassKey(f"{DOMAIN}_unreadable")
_SHOWN: Final = frozenset(row.obis for row in SENSORS)
_KINDS: Final = {type_: row.mbus for row in SENSORS for type_ in row.mbus}

type _KnownBy = tuple[tuple[MBusType, ...], str]


@dataclass(slots=True)
class Slot:
    """A place for an M-Bus meter: the first gas meter, the second one, the first water meter.

    Attributes:
        type: what the meter there measures.
        number: the first is 1.
        identity: the meter that is there now, or "" before the first telegram.
        lines: the value groups C.D.E that it sends, and what follows from them.
        keeps: what its unique ids are made of in place of its identity, where those that would be
            made of that are another entry's; else "".
        heard: those of the lines that have come since the start.
        waits: whether it is not known yet what its unique ids are made of.
    """

    type: MBusType
    number: int
    identity: str
    lines: set[str]
    keeps: str = ""
    heard: set[str] = field(default_factory=set, repr=False)
    waits: bool = field(default=False, repr=False)

    @property
    def identifier(self) -> str:
        """The identifier of the meter that is there now, or "" where it has none."""
        return "" if self.identity.startswith(CHANNEL) else self.identity

    @property
    def ids_of(self) -> str:
        """What its unique ids are made of."""
        return self.keeps or self.identity


@dataclass(slots=True)
class Roster:
    """What one P1 port's meters send.

    Attributes:
        port_id: what the port is known by: what begins the unique ids of its entities, or the id of
            its entry.
        version: the kind of meter.
        lines: the value groups C.D.E of the electricity meter, and what follows from them.
        slots: the M-Bus meters behind it.
        presumed: whether this is only what the version may send, and no telegram has said it.
        serial: how the serial line was set when telegrams came; until then as the version says.
        patience: for how many seconds the meters may be silent, or 0 where that is not known.
        port: what the port is called: `Connection.name`.
    """

    port_id: str
    version: Version
    lines: set[str]
    slots: list[Slot]
    serial: SerialSettings
    presumed: bool = False
    patience: float = 0.0
    port: str = ""
    _heard: set[str] = field(default_factory=set, repr=False)

    @classmethod
    async def load(
        cls, hass: HomeAssistant, port_id: str, version: Version | None, *, presume: bool = True
    ) -> Roster:
        """Return what was remembered of a P1 port, or what its version may send.

        Args:
            hass: where it is stored.
            port_id: what begins the unique ids of the port's entities, or its entry's id.
            version: the kind of meter; None for the one that was remembered, or else `OTHERS`.
            presume: whether all that the version may send is presumed until telegrams have come;
                otherwise nothing is.
        """
        remembered = await cls._remembered(hass, port_id)
        if remembered is not None and version in (None, remembered.version):
            return remembered
        version = version or OTHERS
        if not presume:
            return cls(port_id, version, set(), [], version.serial)
        lines = set(version.electricity)
        gas = any(reading in version.mbus for reading in MBUS_READINGS)
        slots = [Slot(MBusType.GAS, 1, "", {MBUS_READING, FLOW})] if gas else []
        lines |= derivable(lines)
        return cls(port_id, version, lines, slots, version.serial, presumed=True)

    @staticmethod
    async def port_of(hass: HomeAssistant, port_id: str) -> str | None:
        """Return what a P1 port was called when it was last remembered, or None."""
        remembered = await Roster._remembered(hass, port_id)
        return remembered.port if remembered else None

    @classmethod
    async def _remembered(cls, hass: HomeAssistant, port_id: str) -> Roster | None:
        """Return what was remembered of a P1 port, or None."""
        try:
            stored = await _store(hass, port_id).async_load()
            return cls._of(port_id, stored) if stored else None
        except Exception as error:
            # It is read several times at a start.
            told = hass.data.setdefault(_UNREADABLE, set())
            if port_id not in told:
                told.add(port_id)
                file = f".storage/{DOMAIN}.{port_id}"
                LOGGER.warning("What %s says can't be read, and is learnt again: %r", file, error)
            return None

    @classmethod
    def _of(cls, port_id: str, stored: Mapping[str, Any]) -> Roster:
        slots = [
            Slot(MBusType(type_), number, identity, set(lines), *keeps)
            for type_, number, identity, lines, *keeps in stored["slots"]
        ]
        return cls(
            port_id,
            VERSIONS[stored["version"]],
            set(stored["lines"]),
            slots,
            SerialSettings.of(stored["serial"]),
            patience=stored["patience"],
            port=stored.get("port", ""),
        )

    @staticmethod
    async def forget(hass: HomeAssistant, port_id: str) -> None:
        """Remember a P1 port no longer."""
        await _store(hass, port_id).async_remove()

    async def save(self, hass: HomeAssistant) -> None:
        """Remember it for the next start."""
        await _store(hass, self.port_id).async_save(
            {
                "version": self.version.key,
                "port": self.port,
                "serial": list(self.serial.stored),
                "patience": self.patience,
                "lines": sorted(self.lines),
                "slots": [
                    [int(s.type), s.number, s.identity, sorted(s.lines), s.keeps]
                    for s in self.slots
                ],
            }
        )

    def take(self, contents: Contents) -> bool:
        """Take in what a telegram holds, and return whether a line or a meter is new."""
        sent: defaultdict[str, set[str]] = defaultdict(set)
        for key in contents.keys:
            sent[key.meter].add(key.obis)
        is_new = _learn(self.lines, sent[ELECTRICITY])
        self._heard |= sent[ELECTRICITY] & self.lines
        known = {_known_by(slot) for slot in self.slots}
        present = {_known_by(meter) for meter in contents.meters}
        new = [meter for meter in contents.meters if _known_by(meter) not in known]
        self._place(new, present)
        slots = {_known_by(slot): slot for slot in self.slots}
        for meter in contents.meters:
            slot = slots[_known_by(meter)]
            slot.type = meter.type
            is_new |= _learn(slot.lines, sent[meter.identity])
            slot.heard |= sent[meter.identity] & slot.lines
        kinds = {identity: kind for kind, identity in present}
        self.slots = [slot for slot in self.slots if self._may_be(slot, kinds)]
        # What was there last stands last, also after the next start.
        before = self.slots.copy()
        self.slots.sort(key=lambda slot: _known_by(slot) in present)
        return is_new or bool(new) or self.slots != before

    def _may_be(self, slot: Slot, kinds: Mapping[str, tuple[MBusType, ...]]) -> bool:
        """Return whether a meter may be there, beside those of which the kinds are given."""
        if slot.identity or self.presumed:
            kind = _kind(slot.type)
            return kinds.get(slot.identity, kind) == kind
        # It was only recalled, and there are meters, none of which is that one.
        return not kinds

    def _place(self, new: list[MBusMeter], present: set[_KnownBy]) -> None:
        """Put each new meter in the slot of one that is gone, or in a new one.

        One whose unique ids a slot has kept is back in it. Of those that are gone the others
        replace the ones that were there last, in their order.
        """
        kept = {slot.keeps for slot in self.slots}
        new = sorted(new, key=lambda meter: meter.identity not in kept)
        for index, meter in enumerate(new):
            kind = _kind(meter.type)
            alike = [slot for slot in self.slots if _kind(slot.type) == kind]
            gone = [slot for slot in alike if _known_by(slot) not in present]
            at_once = sum(_kind(other.type) == kind for other in new[index:])
            if gone:
                back = [slot for slot in gone if slot.keeps == meter.identity]
                slot = (back or gone[-at_once:])[0]
                # Whether the unique ids pass to it too, is known where the entities are.
                slot.keeps = slot.ids_of
                slot.type, slot.identity = meter.type, meter.identity
            else:
                self.slots.append(Slot(meter.type, len(alike) + 1, meter.identity, set()))

    def forget_unheard(self) -> bool:
        """Forget what the meters do not send that have been heard by now.

        Returns:
            Whether the lines were only presumed from the version until now.
        """
        presumed, self.presumed = self.presumed, False
        self.lines = self._heard.copy()
        self.slots = [slot for slot in self.slots if slot.identity]
        for slot in self.slots:
            # One that is gone may be back, as it was.
            slot.lines = slot.heard.copy() or slot.lines
        return presumed

    def owners(self) -> dict[str, MBusType]:
        """Return by an identifier that meters of two types have whose it is.

        The other one is known by that and its type (`meters.py`).
        """
        return {
            slot.identity: slot.type
            for slot in self.slots
            if slot.identity
            and any(other.identity.startswith(f"{slot.identity} ") for other in self.slots)
        }

    def is_presumed(self, row: DSMRSensorDescription, slot: Slot | None) -> bool:
        """Return whether it is only from the version that a meter would send what a row shows."""
        heard = slot.identity if slot else row.obis in self._heard
        return self.presumed and bool(row.obis) and not heard

    def rows(self, slot: Slot | None) -> list[DSMRSensorDescription]:
        """Return the rows for what a meter sends; without a slot, the electricity meter."""
        lines = self.lines if slot is None else slot.lines
        return [row for row in rows_of(slot) if row.obis in lines]

    def unknown(self, slot: Slot | None) -> list[DSMRSensorDescription]:
        """Return rows for those of its lines that have none in the table."""
        lines = self.lines if slot is None else slot.lines
        unknown = lines - {row.obis for row in self.rows(slot)} - {FLOW}
        return [
            unknown_line(line, slot.type if slot else None)
            for line in sorted(unknown)
            if not _is_diagnostic(line)
        ]


def rows_of(slot: Slot | None) -> list[DSMRSensorDescription]:
    """Return all rows that a meter in a slot may have; without a slot, the electricity meter."""
    return [row for row in SENSORS if (slot.type in row.mbus if slot else not row.mbus)]


def is_known(obis: str) -> bool:
    """Return whether there is a row for a line of any meter, or it stands in the diagnostics."""
    return obis in _SHOWN or _is_diagnostic(obis)


def _is_diagnostic(obis: str) -> bool:
    """Return whether a line is in the diagnostics alone, also one of a meter without rows."""
    return obis.rpartition(":")[2] in DIAGNOSTIC_LINES


def _learn(lines: set[str], sent: set[str]) -> bool:
    """Add to the lines of a meter those that it sends, and return whether one is new."""
    new = sent - lines
    unknown = sorted(line for line in new if not is_known(line))
    room = MOST_UNKNOWN - sum(not is_known(line) for line in lines)
    new.difference_update(unknown[max(room, 0) :])
    lines |= new
    return bool(new)


def _store(hass: HomeAssistant, port_id: str) -> Store[dict[str, Any]]:
    return Store(hass, STORAGE_VERSION, f"{DOMAIN}.{port_id}")


def _known_by(meter: MBusMeter | Slot) -> _KnownBy:
    """Return what tells a meter from the others: what is known by one name may be two meters."""
    return _kind(meter.type), meter.identity


def _kind(type_: MBusType) -> tuple[MBusType, ...]:
    """Return the types that share their rows with a type: cold water and warm water are water."""
    return _KINDS[type_]
