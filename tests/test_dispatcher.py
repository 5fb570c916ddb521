"""Class DSMR with a queue and nothing else, on virtual time."""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from gc import collect
from typing import Any, Self
from weakref import ref

import pytest

from custom_components.dsmr.dispatcher import DSMR, TOGETHER, Unsubscribe
from custom_components.dsmr.models import (
    ELECTRICITY,
    Contents,
    Counters,
    Disconnected,
    Event,
    MBusMeter,
    MBusType,
    Reading,
    ReadingKey,
    Telegram,
    Value,
)

from .clock import now, passed, run, settled

POWER = ReadingKey(ELECTRICITY, "1.7.0")
ENERGY = ReadingKey(ELECTRICITY, "1.8.1")
TARIFF = ReadingKey(ELECTRICITY, "96.14.0")
GAS = MBusMeter(MBusType.GAS, "4730303839", 1)
OTHER_GAS = MBusMeter(MBusType.GAS, "4730303840", 2)
GAS_READING = ReadingKey(GAS.identity, "24.2.1")
STEP = 0.05

type Told = tuple[float, Value | None]


class Dispatching:
    """A dispatcher at work, and the P1 port from which it hears."""

    def __init__(self, time_between_update: float = 30) -> None:
        self.queue: deque[Event] = deque()
        self.counters = Counters()
        self.dsmr = DSMR(self.queue, time_between_update, self.counters)
        self._contents = Contents(frozenset(), ())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.dsmr.end()

    async def happens(self, event: Event) -> None:
        self.queue.append(event)
        self.dsmr.drain()
        await settled()

    async def disconnect(self) -> None:
        await self.happens(Disconnected())

    async def send(
        self,
        readings: dict[ReadingKey, str | None],
        meters: tuple[MBusMeter, ...] = (),
    ) -> None:
        """Send a telegram."""
        contents = Contents(frozenset(readings), meters)
        if contents != self._contents:
            self._contents = contents
        telegram = Telegram(
            "ISK5\\2M550T-1013",
            {key: Reading(None if v is None else Decimal(v)) for key, v in readings.items()},
            self._contents,
        )
        await self.happens(telegram)

    def listen(self, key: ReadingKey, step: float | None = None) -> list[Told]:
        """Listen; return a list to which comes when what was told."""
        told: list[Told] = []
        self.dsmr.listen(key, _note(told), step)
        return told


def _note(told: list[Told]) -> Callable[[Reading | None], None]:
    return lambda reading: told.append((now(), reading.value if reading else None))


def test_the_first_telegram_is_told_at_once() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            power, energy = port.listen(POWER, STEP), port.listen(ENERGY)
            assert power == []
            await passed(7)
            await port.send({POWER: "0.461", ENERGY: "4281.573"})
            assert power == [(7, Decimal("0.461"))]
            assert energy == [(7, Decimal("4281.573"))]

    run(test())


def test_who_comes_later_is_told_the_latest_at_once() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            await port.send({POWER: "0.461"})
            await passed(1)
            await port.send({POWER: "0.462"})
            assert port.listen(POWER) == [(1, Decimal("0.462"))]
            assert port.listen(ENERGY) == [(1, None)]

    run(test())


def test_a_changed_reading_waits_and_is_told_with_its_latest_value() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(ENERGY)
            await port.send({ENERGY: "0"})
            for watt_hours in range(1, 100):
                await passed(1)
                await port.send({ENERGY: str(watt_hours)})
            assert told == [
                (0, Decimal(0)),
                (30, Decimal(29)),
                (60, Decimal(59)),
                (90, Decimal(89)),
            ]

    run(test())


def test_a_changed_reading_does_not_wait_longer_than_the_last_update_is_old() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(ENERGY)
            await port.send({ENERGY: "1"})
            await passed(29)
            await port.send({ENERGY: "2"})
            assert len(told) == 1
            await passed(1)
            assert told[1:] == [(30, Decimal(2))]
            await passed(100)
            await port.send({ENERGY: "3"})
            assert told[2:] == [(130, Decimal(3))]

    run(test())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.461", "0.411"),
        ("0.000", "2.300"),
        # As floats these differ by less than 0.05.
        ("0.461", "0.511"),
        ("0.250", "0.300"),
    ],
)
def test_a_step_of_50_w_does_not_wait(before: str, after: str) -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(POWER, STEP)
            await port.send({POWER: before})
            await passed(1)
            await port.send({POWER: after})
            assert told[1:] == [(1, Decimal(after))]

    run(test())


def test_a_step_is_counted_from_what_was_told() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(POWER, STEP)
            await port.send({POWER: "0.000"})
            for watts in (20, 40, 60, 80, 100, 120):
                await passed(1)
                await port.send({POWER: str(watts / 1000)})
            assert told[1:] == [(3, Decimal("0.06")), (6, Decimal("0.12"))]

    run(test())


def test_after_a_step_less_than_a_step_waits_as_long_as_ever() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(POWER, STEP)
            await port.send({POWER: "0.000"})
            await passed(20)
            await port.send({POWER: "2.000"})
            await passed(1)
            await port.send({POWER: "2.001"})
            await passed(28)
            assert told[1:] == [(20, Decimal(2))]
            await passed(1)
            assert told[2:] == [(50, Decimal("2.001"))]

    run(test())


def test_telegrams_that_were_dropped_between_two_hide_no_change() -> None:
    async def test() -> None:
        async with Dispatching(0) as port:
            power, energy = port.listen(POWER), port.listen(ENERGY)
            await port.send({POWER: "1", ENERGY: "1"})
            readings = {key: Reading(Decimal(2)) for key in (POWER, ENERGY)}
            dropped = {**readings, ENERGY: Reading(Decimal(1))}
            contents = Contents(frozenset(readings), ())
            last = Telegram("", readings, contents, earlier=dropped, changed={ENERGY})
            await port.happens(last)
            assert power[1:] == energy[1:] == [(0, Decimal(2))]

    run(test())


def test_less_than_a_step_waits() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(POWER, STEP)
            await port.send({POWER: "0.461"})
            await passed(1)
            await port.send({POWER: "0.510"})
            await passed(28)
            assert len(told) == 1
            await passed(1)
            assert told[1:] == [(30, Decimal("0.510"))]

    run(test())


def test_a_tariff_does_not_wait() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(TARIFF, 0)
            await port.send({TARIFF: "1"})
            await passed(1)
            await port.send({TARIFF: "2"})
            assert told[1:] == [(1, Decimal(2))]

    run(test())


def test_what_does_not_wait_takes_nobody_along() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            tariff, energy = port.listen(TARIFF, 0), port.listen(ENERGY)
            await port.send({TARIFF: "1", ENERGY: "1"})
            await passed(1)
            await port.send({TARIFF: "2", ENERGY: "2"})
            assert len(tariff) == 2
            assert len(energy) == 1
            await passed(29)
            assert energy[1:] == [(30, Decimal(2))]
            assert len(tariff) == 2

    run(test())


@pytest.mark.parametrize("after", [None, "missing"])
def test_a_reading_that_ends_does_not_wait_nor_does_its_return(after: str | None) -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(ENERGY)
            await port.send({ENERGY: "1"})
            await passed(1)
            await port.send({} if after else {ENERGY: None})
            assert told[1:] == [(1, None)]
            await passed(1)
            await port.send({ENERGY: "1"})
            assert told[2:] == [(2, Decimal(1))]

    run(test())


def test_with_no_time_between_updates_each_change_is_told_at_once() -> None:
    async def test() -> None:
        async with Dispatching(time_between_update=0) as port:
            told = port.listen(ENERGY)
            for second in range(5):
                await port.send({ENERGY: str(second)})
                await passed(1)
            assert told == [(second, Decimal(second)) for second in range(5)]

    run(test())


@pytest.mark.parametrize("time_between_update", [0, 30])
@pytest.mark.parametrize("step", [None, 0, STEP])
def test_a_reading_that_stays_is_told_once(time_between_update: float, step: float | None) -> None:
    async def test() -> None:
        async with Dispatching(time_between_update) as port:
            told, other = port.listen(ENERGY, step), port.listen(POWER)
            for second in range(100):
                await port.send({ENERGY: "4281.573", POWER: str(second)})
                await passed(1)
            assert told == [(0, Decimal("4281.573"))]
            assert len(other) > 1

    run(test())


def test_a_reading_that_came_back_in_time_is_not_told() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(POWER, STEP)
            await port.send({POWER: "0.461"})
            await passed(1)
            await port.send({POWER: "0.470"})
            await passed(1)
            await port.send({POWER: "0.461"})
            await passed(60)
            assert told == [(0, Decimal("0.461"))]

    run(test())


def test_a_disconnection_is_told_to_all_at_once_and_what_waits_is_forgotten() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            waiting, quiet = port.listen(ENERGY), port.listen(TARIFF, 0)
            await port.send({ENERGY: "1", TARIFF: "1"})
            await passed(10)
            await port.send({ENERGY: "2", TARIFF: "1"})
            await passed(5)
            await port.disconnect()
            assert port.dsmr.telegram is None
            assert waiting[1:] == quiet[1:] == [(15, None)]
            await passed(100)
            assert len(waiting) == len(quiet) == 2

    run(test())


def test_what_waited_before_a_disconnection_does_not_hurry_what_waits_after_it() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(ENERGY)
            await port.send({ENERGY: "1"})
            await passed(10)
            await port.send({ENERGY: "2"})
            await port.disconnect()
            await port.send({ENERGY: "2"})
            await passed(10)
            await port.send({ENERGY: "3"})
            await passed(60)
            assert told[1:] == [(10, None), (10, Decimal(2)), (40, Decimal(3))]

    run(test())


def test_attempts_that_fail_after_a_disconnection_are_not_told() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told = port.listen(ENERGY)
            await port.disconnect()
            assert told == []
            await port.send({ENERGY: "1"})
            for _ in range(5):
                await port.disconnect()
            assert [value for _, value in told] == [Decimal(1), None]

    run(test())


def test_the_first_telegram_after_a_reconnection_is_told_at_once_and_completely() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            power, energy = port.listen(POWER, STEP), port.listen(ENERGY)
            await port.send({POWER: "0.461", ENERGY: "1"})
            await passed(1)
            await port.disconnect()
            await passed(1)
            assert len(power) == 2
            await port.send({POWER: "0.461", ENERGY: "2"})
            assert power[2:] == [(2, Decimal("0.461"))]
            assert energy[2:] == [(2, Decimal(2))]
            # From here on it waits again.
            await passed(1)
            await port.send({POWER: "0.461", ENERGY: "3"})
            await passed(28)
            assert len(energy) == 3
            await passed(1)
            assert energy[3:] == [(32, Decimal(3))]

    run(test())


def test_what_is_due_soon_is_told_with_what_is_due_now() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            power, energy, tariff = (port.listen(key) for key in (POWER, ENERGY, TARIFF))
            await port.send({POWER: "0.461", ENERGY: None, TARIFF: None})
            await passed(30 * TOGETHER)
            await port.send({POWER: "0.461", ENERGY: "1", TARIFF: None})
            await passed(1)
            await port.send({POWER: "0.461", ENERGY: "1", TARIFF: "1"})
            await passed(1)
            await port.send({POWER: "0.462", ENERGY: "2", TARIFF: "2"})
            await passed(30)
            assert [told[-1][0] for told in (power, energy, tariff)] == [30, 30, 34]

    run(test())


@pytest.mark.logs("Unexpected error in ")
def test_each_loss_is_told_to_who_asks_for_losses() -> None:
    def stumble(_: None) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with Dispatching() as port:
            losses: list[None] = []
            port.dsmr.listen_loss(stumble)
            unsubscribe = port.dsmr.listen_loss(losses.append)
            told = port.listen(ENERGY)
            await port.disconnect()
            await port.send({ENERGY: "1"})
            await port.disconnect()
            await port.disconnect()
            assert len(losses) == 3
            assert len(told) == 2
            unsubscribe()
            await port.disconnect()
            assert len(losses) == 3

    run(test())


@pytest.mark.logs("Unexpected error in ")
def test_a_listener_that_raises_costs_nobody_else_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stumble(_: object) -> None:
        raise ZeroDivisionError

    async def test() -> None:
        async with Dispatching() as port:
            port.dsmr.listen_contents(stumble)
            port.dsmr.listen(POWER, stumble, STEP)
            power, energy = port.listen(POWER, STEP), port.listen(ENERGY)
            contents: list[Contents] = []
            port.dsmr.listen_contents(contents.append)
            await port.send({POWER: "0.461", ENERGY: "1"})
            assert len(contents) == 1
            assert len(power) == len(energy) == 1
            assert port.counters.errors == 2
            await passed(1)
            await port.send({POWER: "0.600", ENERGY: "2"})
            # Both are told again, and they alone.
            assert port.counters.errors == 4
            assert len(contents) == 1
            assert len(power) == 2
            await passed(1)
            await port.send({POWER: "0.601", ENERGY: "2"})
            await passed(29)
            assert power[2:] == [(30, Decimal("0.601"))]
            assert port.counters.errors >= 2
            assert energy[1:] == [(30, Decimal(2))]
            await port.disconnect()
            assert power[3:] == energy[2:] == [(31, None)]
        assert caplog.text.count("raise ZeroDivisionError") == 1

    run(test())


def stumbling(heard: list[object]) -> Callable[[object], None]:
    """Return a callback that notes what it is told, and raises the first time."""

    def callback(reading: object) -> None:
        heard.append(reading)
        if len(heard) == 1:
            raise ZeroDivisionError

    return callback


@pytest.mark.logs("Unexpected error in")
def test_a_listener_that_raised_is_told_again_with_the_next_telegram() -> None:
    heard: list[object] = []

    async def test() -> None:
        async with Dispatching(0) as port:
            port.dsmr.listen(POWER, stumbling(heard), STEP)
            await port.send({POWER: "0.461"})
            assert len(heard) == 1
            await passed(1)
            await port.send({POWER: "0.461"})
            assert len(heard) == 2
            await passed(1)
            await port.send({POWER: "0.461"})
            assert len(heard) == 2

    run(test())


@pytest.mark.logs("Unexpected error in")
def test_a_listener_that_raised_is_told_again_though_nothing_changed() -> None:
    heard: list[object] = []

    async def test() -> None:
        async with Dispatching() as port:
            port.dsmr.listen(POWER, stumbling(heard), STEP)
            contents = Contents(frozenset({POWER}), ())
            first = Telegram("", {POWER: Reading("0.461")}, contents)
            second = Telegram("", first.readings, contents, first.readings, frozenset())
            for telegram in (first, second, second):
                await port.happens(telegram)
            assert heard == [Reading("0.461")] * 2

    run(test())


def test_a_number_that_turns_into_text_does_not_end_the_telling() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told: list[object] = []
            port.dsmr.listen(POWER, told.append, STEP)
            energy = port.listen(ENERGY, 0)
            await port.send({POWER: "0.461", ENERGY: "1"})
            text = Telegram("", {POWER: Reading("see letter")}, Contents(frozenset({POWER}), ()))
            await port.happens(text)
            assert told[1:] == [Reading("see letter")]
            await port.send({POWER: "0.461", ENERGY: "2"})
            assert energy[-1] == (0, Decimal(2))

    run(test())


def test_who_stops_listening_is_not_told() -> None:
    async def test() -> None:
        async with Dispatching(0) as port:
            told: list[Told] = []
            unsubscribe = port.dsmr.listen(ENERGY, _note(told), None)
            other = port.listen(ENERGY)
            await port.send({ENERGY: "1"})
            unsubscribe()
            await port.send({ENERGY: "2"})
            await port.disconnect()
            assert told == [(0, Decimal(1))]
            assert len(other) == 3

    run(test())


@pytest.mark.parametrize(
    "make",
    [_note, pytest.param(stumbling, marks=pytest.mark.logs("Unexpected error in"))],
    ids=["well", "raised"],
)
def test_who_stops_listening_is_forgotten(make: Callable[[Any], Callable[[Any], None]]) -> None:
    async def test() -> None:
        async with Dispatching() as port:
            listener = make([])
            memory = ref(listener)
            unsubscribe = port.dsmr.listen(ENERGY, listener, None)
            await port.send({ENERGY: "1"})
            unsubscribe()
            del listener, unsubscribe
            collect()
            assert memory() is None

    run(test())


@pytest.mark.parametrize("told_by", ["step", "timer", "disconnection"])
def test_who_stops_listening_while_being_told_costs_nobody_else_anything(told_by: str) -> None:
    async def test() -> None:
        async with Dispatching() as port:
            step = 0 if told_by == "step" else None
            once: list[Reading | None] = []
            before = port.listen(ENERGY, step)

            def leave(reading: Reading | None) -> None:
                once.append(reading)
                if len(once) == 2:
                    unsubscribe()

            unsubscribe = port.dsmr.listen(ENERGY, leave, step)
            after = port.listen(ENERGY, step)
            await port.send({ENERGY: "1"})
            await passed(1)
            if told_by == "disconnection":
                await port.disconnect()
                await port.disconnect()
            else:
                await port.send({ENERGY: "2"})
                await passed(30)
            assert len(once) == len(before) == len(after) == 2
            await port.send({ENERGY: "3"})
            await passed(30)
            assert len(once) == 2
            assert len(before) == len(after) == 3

    run(test())


@pytest.mark.parametrize(
    ("told_by", "step_of_other", "step"),
    [
        ("telegram", 0, 0),
        # It would have waited.
        ("telegram", 0, None),
        ("timer", None, None),
        ("disconnection", None, None),
    ],
)
def test_who_was_unsubscribed_by_another_while_being_told_hears_no_more(
    told_by: str, step_of_other: float | None, step: float | None
) -> None:
    async def test() -> None:
        async with Dispatching() as port:
            leavers: list[Unsubscribe] = []

            def drop(reading: Reading | None) -> None:
                while reading != Reading(Decimal(1)) and leavers:
                    leavers.pop()()

            port.dsmr.listen(ENERGY, drop, step_of_other)
            told: list[Told] = []
            leavers.append(port.dsmr.listen(ENERGY, _note(told), step))
            await port.send({ENERGY: "1"})
            if told_by == "disconnection":
                await port.disconnect()
            else:
                await port.send({ENERGY: "2"})
                await passed(30)
            assert leavers == []
            assert told == [(0, Decimal(1))]

    run(test())


def test_who_stops_asking_while_being_told_costs_nobody_else_anything() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            contents: list[Contents] = []
            losses: list[None] = []
            leave_contents = port.dsmr.listen_contents(lambda _: leave_contents())
            leave_losses = port.dsmr.listen_loss(lambda _: leave_losses())
            port.dsmr.listen_contents(contents.append)
            port.dsmr.listen_loss(losses.append)
            await port.send({ENERGY: "1"})
            await port.disconnect()
            assert (len(contents), len(losses)) == (1, 1)

    run(test())


def test_who_begins_to_listen_while_another_is_told_hears_at_once() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            later: list[list[Told]] = []
            port.dsmr.listen(ENERGY, lambda _: later.append(port.listen(POWER)), None)
            await port.send({ENERGY: "1", POWER: "0.461"})
            assert later[0][0] == (0, Decimal("0.461"))

    run(test())


def test_m_bus_meters_are_told_when_they_come_change_and_go() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told: list[tuple[MBusMeter, ...]] = []
            unsubscribe = port.dsmr.listen_contents(lambda contents: told.append(contents.meters))
            assert told == []
            await port.send({ENERGY: "1"})
            await port.send({ENERGY: "2"})
            assert told == [()]
            await port.send({ENERGY: "2", GAS_READING: "1"}, (GAS,))
            await port.send({ENERGY: "3", GAS_READING: "2"}, (GAS,))
            assert told[1:] == [(GAS,)]
            await port.send({ENERGY: "3"}, (OTHER_GAS,))
            await port.send({ENERGY: "3"})
            assert told[2:] == [(OTHER_GAS,), ()]
            unsubscribe()
            await port.send({ENERGY: "3", GAS_READING: "2"}, (GAS,))
            assert len(told) == 4

    run(test())


def test_who_asks_later_for_m_bus_meters_is_told_them_at_once() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            await port.send({GAS_READING: "1"}, (GAS,))
            told: list[tuple[MBusMeter, ...]] = []
            port.dsmr.listen_contents(lambda contents: told.append(contents.meters))
            assert told == [(GAS,)]

    run(test())


def test_who_follows_an_m_bus_meter_hears_its_first_reading_once() -> None:
    async def test() -> None:
        async with Dispatching() as port:
            told: list[Told] = []

            def follow(contents: Contents) -> None:
                for meter in contents.meters:
                    port.dsmr.listen(ReadingKey(meter.identity, "24.2.1"), _note(told), 0)

            port.dsmr.listen_contents(follow)
            await port.send({GAS_READING: "1"}, (GAS,))
            assert told == [(0, Decimal(1))]

    run(test())
