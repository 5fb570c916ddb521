"""A meter, the line to it, and the integration's entry that reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final

from homeassistant.components.sensor import DOMAIN as SENSOR
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.entity_component import DATA_INSTANCES
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.dsmr.descriptions import Shows
from custom_components.dsmr.issues import PATIENCE
from custom_components.dsmr.models import Counters
from custom_components.dsmr.port import P1Port
from custom_components.dsmr.reading import DSMRSensor
from custom_components.dsmr.versions import VERSIONS
from tests.clock import now, passed
from tests.meter import SimulatedMeter
from tests.meter.day import AMSTERDAM

from .line import Line
from .record import LogWatch, Record, Violations

RETURN: Final = 3.0
"""Seconds within which a meter is read that is reachable again."""
START: Final = datetime(2026, 10, 24, 6, tzinfo=AMSTERDAM)
"""A day before the clocks are set back."""
KEY: Final = bytes(range(16))


@dataclass(frozen=True)
class Kind:
    """One kind of port.

    Attributes:
        model: of the meter.
        url: what the entry names as its port.
        time_between_update: the entry's option.
        interval: seconds between telegrams where a gateway passes on fewer than the meter sends.
        closing: seconds that the port takes to close.
    """

    model: str
    url: str
    time_between_update: int
    interval: int | None = None
    closing: float = 0.0


KINDS: Final = (
    Kind("iskra-am550", "socket://192.0.2.1:2001", 0),
    Kind("iskra-me382", "/dev/serial/by-id/usb-meter", 30),
    Kind("sagemcom-t210d-r", "rfc2217://192.0.2.2:2217", 0, closing=0.1),
    Kind("landisgyr-e360", "esphome://192.0.2.3/?port_name=p1", 30, closing=8.0),
    Kind("fluvius-t211", "socket://192.0.2.4:2001", 30, interval=60),
)


class Port:
    """One port of the house.

    Attributes:
        line: between the meter and the reader.
        record: what became of the telegrams.
        rng: all chance that there is on this port.
        damage: what is done to a telegram on its way, or None.
        silent: whether the meter says nothing.
        decoding_fails: whether reading a telegram raises.
        showing_fails: whether the sensor of the line `mistaken` raises.
        mistaken: the line of which the sensor may show an old value, or "".
        healthy_since: since when nothing is in the way, or None while something is.
    """

    def __init__(
        self, hass: HomeAssistant, kind: Kind, seed: int, violations: Violations, watch: LogWatch
    ) -> None:
        """Build the meter and the line; nothing reads them yet."""
        self._hass = hass
        self._watch = watch
        self.rng = Random(f"{seed} {kind.model}")
        self.line = Line(kind.url)
        self.line.closing = kind.closing
        version = VERSIONS[SimulatedMeter(kind.model).version]
        sealed = version.encrypted
        self.meter = SimulatedMeter(
            kind.model,
            seed=self.rng.randrange(1000),
            start=START,
            key=KEY if sealed else None,
            authentication_key=version.authentication_key or b"",
        )
        self.meter.interval = kind.interval or self.meter.interval
        # A few intervals, and what closing may take; DSMR 5: at most 15 s.
        bound = max(12.0, 3.5 * self.meter.interval) + RETURN
        window = kind.time_between_update + 3 * self.meter.interval + 1
        self.record = Record(kind.model, bound, window, violations)
        # Without a checksum a damaged telegram may say what the meter did not.
        self.is_checked = version.checksum
        self.damage: Callable[[bytes], bytes] | None = None
        self.silent = False
        self.decoding_fails = self.showing_fails = False
        self.mistaken = ""
        # States that are written while telegrams are sent: before these are noted.
        self._unseen: list[Event[EventStateChangedData]] | None = None
        self.healthy_since: float | None = None
        self._anew_at = 0.0
        self._sensors: dict[str, str] = {}
        self._power = ""
        self.entry = MockConfigEntry(
            domain="dsmr",
            entry_id=kind.model,
            title=kind.model,
            data={
                "port": kind.url,
                "dsmr_version": version.key,
                "protocol": "dsmr_protocol",
                "serial_id": f"4530{self.rng.randrange(10**12):012}",
                "serial_id_gas": f"4730{self.rng.randrange(10**12):012}",
                **({"encryption_key": KEY.hex()} if sealed else {}),
            },
            options={"time_between_update": kind.time_between_update},
        )

    async def set_up(self) -> None:
        """Set the entry up for the first time."""
        self.entry.add_to_hass(self._hass)
        await self._hass.config_entries.async_setup(self.entry.entry_id)
        self.is_healthy()

    @property
    def p1_port(self) -> P1Port | None:
        """What the entry has made, while it is loaded."""
        is_loaded = self.entry.state is ConfigEntryState.LOADED
        return self.entry.runtime_data if is_loaded else None

    def is_healthy(self) -> None:
        """Note that from now on nothing is in the way."""
        self.healthy_since = now()

    def is_anew(self) -> None:
        """Note that the entry is set up anew: what was said of it may be said again."""
        self._watch.forget(self.line.url)
        self._anew_at = now()

    @property
    def is_sending(self) -> bool:
        """Whether the reader is being sent something just now."""
        return self._unseen is not None

    async def live(self) -> None:
        """Send telegrams at the meter's own pace, until cancelled."""
        due = now()
        while True:
            due += self.meter.interval
            await passed(due - now())
            self._look()
            telegram = self.meter.next_telegram()
            if not self.silent:
                self._send(telegram)

    def send_intact(self, telegrams: list[bytes]) -> None:
        """Send telegrams in one piece; where a connection is, each of them must be read."""
        p1_port = self.p1_port
        if p1_port is None or not self.line.is_heard:
            self.record.lost["no connection"] += len(telegrams)
            return
        read = self._deliver(p1_port.reader.counters, b"".join(telegrams))
        if self.decoding_fails:
            self.record.lost["mistake in decoding"] += len(telegrams) - read
        elif read != len(telegrams):
            self.record.says(f"of {len(telegrams)} good telegrams {read} were read")

    def _send(self, telegram: bytes) -> None:
        self.record.sends(telegram)
        if self.line.is_heard and self.damage is not None:
            self._send_damaged(self.damage(telegram))
        else:
            self.send_intact([telegram])
        self.line.passes(telegram)
        self._see_that_it_is_opened()

    def _see_that_it_is_opened(self) -> None:
        if self.healthy_since is None or self.line.transports:
            return
        # A meter that is slow, which is not known yet, is called silent and opened anew.
        waited = now() - max(self.healthy_since, self.line.closed_at)
        if waited > RETURN:
            self.record.says(f"reachable for {waited:.1f} s, and not opened")

    def _send_damaged(self, data: bytes) -> None:
        assert self.p1_port
        # Some damage is where no telegram is; and versions without a checksum do not see it all.
        read = self._deliver(self.p1_port.reader.counters, data)
        if not read:
            self.record.lost["damaged on the way"] += 1
        # Now and then it makes two of one.
        self.record.sent += max(0, read - 1)

    def _deliver(self, counters: Counters, data: bytes) -> int:
        """Send bytes to the reader, and note what comes of them before looking at what is shown.

        Returns:
            How many telegrams were read.
        """
        read, dropped = counters.telegrams, counters.dropped
        states: list[Event[EventStateChangedData]] = []
        self._unseen = states
        self.line.send(data)
        read, dropped = counters.telegrams - read, counters.dropped - dropped
        self.record.lost["queue full"] += dropped
        if read:
            self.record.passes(read - dropped, self.healthy_since)
        self._unseen = None
        for event in states:
            self._see(event)
        return read

    def _look_up_sensors(self) -> None:
        """Find out which entities show which lines."""
        self._sensors = {
            entity.entity_id: entity.entity_description.obis
            for entity in self._hass.data[DATA_INSTANCES][SENSOR].entities
            if isinstance(entity, DSMRSensor)
            and entity.registry_entry
            and entity.registry_entry.config_entry_id == self.entry.entry_id
            and entity.entity_description.shows is Shows.VALUE
            and not entity.entity_description.mbus
        }
        self._power = next((id_ for id_, obis in self._sensors.items() if obis == "1.7.0"), "")

    @callback
    def state_changed(self, event: Event[EventStateChangedData]) -> None:
        """Look at a state that was written, when it is noted what was sent."""
        if self._unseen is None:
            self._see(event)
        else:
            self._unseen.append(event)

    def _see(self, event: Event[EventStateChangedData]) -> None:
        new, entity_id = event.data["new_state"], event.data["entity_id"]
        if new is None or event.data["old_state"] is None:
            self._look_up_sensors()
        if new is None or entity_id not in self._sensors:
            return
        if entity_id == self._power:
            self.record.comes_or_goes(available=new.state != STATE_UNAVAILABLE)
        self._look_at(self._sensors[entity_id], new.state)

    def _look(self) -> None:
        """Look at what is shown now, which may be too old."""
        for entity_id, obis in self._sensors.items():
            if (state := self._hass.states.get(entity_id)) is not None:
                self._look_at(obis, state.state)
        self._look_at_issue()

    def _look_at_issue(self) -> None:
        """See that there is a repair issue where there should be one, and nowhere else."""
        issues = ir.async_get(self._hass)
        issue = issues.async_get_issue("dsmr", f"no_telegrams_{self.entry.entry_id}")
        waited = now() - self.record.passed_at
        if issue and waited < PATIENCE:
            self.record.says(f"the issue {issue.translation_key}, and telegrams come")
        elif issue and self.entry.state is ConfigEntryState.NOT_LOADED:
            self.record.says("an issue though the entry is switched off")
        # Until the port counts as lost, and then until the next time that it does.
        due = PATIENCE + 2 * self.record.bound
        if not issue and self.p1_port and min(waited, now() - self._anew_at) > due:
            self.record.says(f"no telegram for {waited:.0f} s, and no issue")

    def _look_at(self, obis: str, state: str) -> None:
        is_value = state not in (STATE_UNAVAILABLE, STATE_UNKNOWN)
        if is_value and self.is_checked and obis != self.mistaken:
            self.record.shows(obis, float(state))
