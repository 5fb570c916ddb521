"""Reload, change, removal and stop, at every moment: they take no time and leave nothing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
import gc
from typing import Any
from unittest.mock import patch
import weakref

from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE, EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import DATA_DISPATCHER
from homeassistant.setup import async_setup_component
import pytest

from custom_components.dsmr.models import Cause
from custom_components.dsmr.pauses import GAPS
from custom_components.dsmr.port import YAML_PORTS, P1Port, holder_of
from custom_components.dsmr.reader import LONGEST_RETRY
from soak.line import Line, Lines

from .clock import passed, settled
from .meter import SimulatedMeter
from .parts import edited, telegram_of
from .test_entry import entry_for, set_up_entry
from .test_reload import our_timers, ours, reload

URL = "/dev/serial/by-id/usb-meter"
AM550 = telegram_of("iskra-am550")
# That no telegrams come, and that they come again.
OUTAGE = pytest.mark.logs(f"elegrams (come )?from {URL}")


class House:
    """A meter, the line to it, and what reads it: an entry, or configuration.yaml."""

    def __init__(self, hass: HomeAssistant, line: Line, *, yaml: bool) -> None:
        self.hass, self.line, self.yaml = hass, line, yaml
        self.entry, self.other = (entry_for("5", AM550, port=URL, serial_id=s) for s in "12")
        self.platforms: list[dict[str, Any]] = []
        self.before = self.now()

    def now(self) -> tuple[dict[Any, int], list[str], int]:
        """Return who listens to Home Assistant, the tasks, and how often the line is open."""
        signals = self.hass.data.get(DATA_DISPATCHER, {})
        listeners: dict[Any, int] = dict(self.hass.bus.async_listeners())
        listeners |= {str(signal): len(listening) for signal, listening in signals.items()}
        # What is stored later, or at the end if that comes first.
        listeners.pop(EVENT_HOMEASSISTANT_FINAL_WRITE, None)
        tasks = sorted(task.get_name() for task in asyncio.all_tasks())
        return listeners, tasks, len(self.line.transports)

    async def set_up(self, version: Any = 5) -> None:
        self.before = self.now()
        await self._read(self.entry, dsmr_version=version)

    async def set_up_other(self) -> None:
        """Have something else read the line."""
        await self._read(self.other, name="Other", dsmr_version=5)

    async def _read(self, entry: Any, **platform: Any) -> None:
        if self.yaml:
            self.platforms.append({"port": URL, **platform})
            await reload_of_the_file(self)
        else:
            await set_up_entry(self.hass, entry)
        await settled()

    @property
    def port(self) -> P1Port:
        """The port as it is set up now."""
        port: P1Port
        port = self.hass.data[YAML_PORTS]["yaml"] if self.yaml else self.entry.runtime_data
        return port

    def issues(self) -> list[Any]:
        """Return what a person is asked for: to mend the port, and the key of an entry."""
        keys = {Cause.NO_KEY, "config_entry_reauth"}
        issues = ir.async_get(self.hass).issues.values()
        return [issue for issue in issues if issue.translation_key in keys]

    async def sends(self, data: bytes, seconds: int = 1) -> None:
        """Have the meter send the same, once a second."""
        for _ in range(seconds):
            self.line.send(data)
            await passed(1)

    async def is_read(self) -> bool:
        """Return whether the line is open once, and the next telegram is shown."""
        self.line.send(edited(AM550, o1_0_1_7_0="(00.777*kW)"))
        await settled()
        shown = {state.state for state in self.hass.states.async_all()}
        return len(self.line.transports) == 1 and "0.777" in shown


async def before_the_port_is_opened(house: House) -> None:
    with patch("custom_components.dsmr.port.holder_of", lambda *_, **__: asyncio.Event().wait()):
        await house.set_up()


async def during_the_handshake(house: House) -> None:
    house.line.answers = False
    await house.set_up()


async def before_the_first_telegram(house: House) -> None:
    await house.set_up()


async def in_a_telegram(house: House) -> None:
    await house.set_up()
    await house.sends(AM550 + AM550[:300])


async def while_it_learns(house: House) -> None:
    await house.set_up()
    await house.sends(AM550, 30)


async def right_after_a_telegram(house: House) -> None:
    await house.set_up()
    house.line.send(AM550)


async def while_a_value_waits(house: House) -> None:
    await house.set_up()
    if not house.yaml:
        await change_of_an_option(house, 30)
        await settled()
    await house.sends(AM550)
    await house.sends(edited(AM550, o1_0_1_7_0="(00.462*kW)"))
    assert our_timers()


async def with_a_port_that_is_slow_to_close(house: House) -> None:
    # An ESPHome that is gone: serialx first takes leave of it.
    house.line.closing = 8
    await house.set_up()


async def while_a_slow_port_closes(house: House) -> None:
    house.line.closing = 8
    await house.set_up()
    house.line.lose()
    await settled()


async def in_a_pause(house: House) -> None:
    house.line.refusal = lambda: ConnectionRefusedError(111, "refused")
    await house.set_up()
    assert house.port.reader.cause is Cause.REFUSED


async def while_another_has_the_line(house: House) -> None:
    await house.set_up_other()
    await house.set_up()
    assert house.port.reader.cause is Cause.HELD


async def while_another_waits_for_the_line(house: House) -> None:
    await while_another_has_the_line(house)
    if house.yaml:
        house.platforms.reverse()
        await reload_of_the_file(house)
    else:
        await house.hass.config_entries.async_reload(house.other.entry_id)
    await passed(LONGEST_RETRY)
    assert house.port.reader.counters.connections == 1


async def while_the_version_is_searched(house: House) -> None:
    await house.set_up("auto")
    await house.sends(b"\xfe" * 100, 75)
    assert house.port.reader._search


async def with_an_issue_open(house: House) -> None:
    await house.set_up()
    await house.sends(SimulatedMeter("sagemcom-t210d-r", key=bytes(16)).next_telegram(), 330)
    assert len(house.issues()) == (1 if house.yaml else 2)


async def reload_of_the_entry(house: House) -> None:
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)


async def change_of_an_option(house: House, seconds: float = 5) -> None:
    options = house.hass.config_entries.options
    form = await options.async_init(house.entry.entry_id)
    await options.async_configure(form["flow_id"], {"time_between_update": seconds})
    await house.hass.async_block_till_done()


async def removal_of_the_entry(house: House) -> None:
    await house.hass.config_entries.async_remove(house.entry.entry_id)


async def reload_of_the_file(house: House) -> None:
    await reload(house.hass, *house.platforms)
    await house.hass.async_block_till_done()


async def removal_from_the_file(house: House) -> None:
    house.platforms = [platform for platform in house.platforms if "name" in platform]
    await reload_of_the_file(house)


async def stop(house: House) -> None:
    await house.hass.async_stop()


@pytest.fixture(autouse=True)
async def configure_event_loop() -> None:
    """Leave the loop its virtual clock, in place of which Home Assistant would put a real one."""


@pytest.fixture
async def line(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> Line:
    """What is opened in place of a serial line; what is made once in Home Assistant is there."""
    line, lines = Line(URL), Lines()
    lines.add(line)
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", lines.open)
    for component in ("sensor", "dsmr"):
        assert await async_setup_component(hass, component, {})
    await hass.async_block_till_done()
    return line


@pytest.mark.virtual
@pytest.mark.parametrize(
    "moment",
    [
        before_the_port_is_opened,
        during_the_handshake,
        before_the_first_telegram,
        in_a_telegram,
        while_it_learns,
        right_after_a_telegram,
        while_a_value_waits,
        with_a_port_that_is_slow_to_close,
        while_a_slow_port_closes,
        pytest.param(in_a_pause, marks=OUTAGE),
        pytest.param(while_another_has_the_line, marks=OUTAGE),
        pytest.param(while_another_waits_for_the_line, marks=OUTAGE),
        pytest.param(while_the_version_is_searched, marks=OUTAGE),
        pytest.param(with_an_issue_open, marks=OUTAGE),
    ],
)
@pytest.mark.parametrize(
    ("what", "yaml"),
    [
        (reload_of_the_entry, False),
        (change_of_an_option, False),
        (removal_of_the_entry, False),
        (stop, False),
        (reload_of_the_file, True),
        (removal_from_the_file, True),
        (stop, True),
    ],
)
async def test_a_meter_is_left_at_once_at_whatever_moment_and_nothing_of_it_stays(
    hass: HomeAssistant,
    line: Line,
    what: Callable[[House], Awaitable[None]],
    yaml: bool,
    moment: Callable[[House], Awaitable[None]],
) -> None:
    house = House(hass, line, yaml=yaml)
    await moment(house)
    old, (listeners, tasks, _) = weakref.ref(house.port), house.now()
    line.refusal, line.answers = None, True
    begun = hass.loop.time()
    await what(house)
    assert hass.loop.time() - begun <= 1
    line.closing = 0
    # Home Assistant does not wait for what it stops, nobody for a port to open, and who waits for
    # the line looks now and then.
    await passed(LONGEST_RETRY)
    assert not our_timers()
    if what is stop:
        assert (ours(), line.transports, await holder_of(hass, [URL])) == (set(), [], "")
    elif what in {removal_of_the_entry, removal_from_the_file}:
        assert house.now() == house.before
        if not line.transports:
            await house.set_up_other()
    else:
        listening, running, _ = house.now()
        assert listening == listeners
        # What was opening the port is gone, too.
        assert not Counter(running) - Counter(tasks)
    if what is not stop:
        assert await house.is_read()
        assert not house.issues()
        gc.collect()
        assert old() is None
    # Until a slow port has closed.
    await passed(8)


@pytest.mark.virtual
@pytest.mark.logs("Error setting up entry")
async def test_an_entry_of_which_the_set_up_fails_keeps_no_port(
    hass: HomeAssistant, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(hass, line, yaml=False)
    forward = hass.config_entries.async_forward_entry_setups

    async def fail(*args: Any) -> None:
        await forward(*args)
        raise OSError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(hass.config_entries, "async_forward_entry_setups", fail)
        house.entry.add_to_hass(hass)
        assert not await hass.config_entries.async_setup(house.entry.entry_id)
    assert (ours(), line.transports, await holder_of(hass, [URL])) == (set(), [], "")


@pytest.mark.virtual
@OUTAGE
@pytest.mark.parametrize(
    ("again", "yaml"), [(reload_of_the_entry, False), (reload_of_the_file, True)]
)
async def test_a_gateway_that_sends_once_a_minute_is_not_called_silent_after_the_next_start(
    hass: HomeAssistant,
    line: Line,
    again: Callable[[House], Awaitable[None]],
    yaml: bool,
) -> None:
    async def minutes(number: int) -> None:
        for _ in range(number):
            await passed(60)
            line.send(AM550)

    house = House(hass, line, yaml=yaml)
    await house.set_up()
    await minutes(1 + GAPS + 1)
    assert house.port.reader.counters.connections > 1
    for _ in range(2):
        await again(house)
        await minutes(5)
        counters = house.port.reader.counters
        assert (counters.telegrams, counters.connections) == (5, 1)
    await stop(house)


@pytest.mark.virtual
async def test_a_gateway_that_sends_once_a_minute_is_not_called_silent_after_it_was_added(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, lines = Line("socket://192.0.2.1:2001"), Lines()
    lines.add(line)
    monkeypatch.setattr("custom_components.dsmr.opening.create_serial_connection", lines.open)
    said: list[str] = []

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is not None and state.entity_id.endswith("_connection"):
            said.append(state.state)

    hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
    form = await hass.config_entries.flow.async_init("dsmr", context={"source": SOURCE_USER})
    configure = partial(hass.config_entries.flow.async_configure, form["flow_id"])
    await configure({"port": line.url, "dsmr_version": "auto"})
    await passed(60)
    line.send(AM550)
    await settled()
    # A person reads what was found.
    await configure()
    await passed(25)
    await configure({})
    await settled()
    await passed(35)
    for _ in range(5):
        line.send(AM550)
        await passed(60)
    assert set(said) == {"unknown", "receiving"}
    await hass.async_stop()
