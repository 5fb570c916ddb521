"""How often Home Assistant is told something, and so how large its database grows."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

from custom_components.dsmr.descriptions import SENSORS
from custom_components.dsmr.models import (
    ELECTRICITY,
    Counters,
    Reading,
    ReadingKey,
    Telegram,
    TelegramReceived,
)
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .clock import now, passed, run, settled
from .meter import SimulatedMeter
from .test_dispatcher import POWER, STEP, Dispatching

# What the built-in `dsmr` enables by default, and how often it lets a telegram pass: its throttle
# waits for more than 30 s, and they come every second.
_BUILT_IN = [
    ReadingKey(ELECTRICITY, obis)
    for obis in ("1.7.0", "2.7.0", "96.14.0", "1.8.1", "1.8.2", "2.8.1", "2.8.2")
]
_PASSED = 31


def hour(start: datetime) -> list[Telegram]:
    """Return what a meter says in an hour."""
    meter = SimulatedMeter("iskra-am550", start=start)
    decoder = Decoder(VERSIONS["5"], UTC, Counters())
    return [decoder.decode(meter.next_telegram(), second) for second in range(3600)]


def test_all_sensors_of_a_quiet_night_are_told_no_oftener_than_the_built_ins_few() -> None:
    telegrams = hour(datetime(2026, 11, 12, 3, tzinfo=UTC))
    told: list[Reading | None] = []

    async def test() -> None:
        async with Dispatching() as port:
            for row in SENSORS:
                if row.entity_registry_enabled_default and not row.mbus:
                    key = ReadingKey(ELECTRICITY, row.obis)
                    if key in telegrams[0].readings:
                        port.dsmr.listen(key, told.append, row.step, row.patience)
            for telegram in telegrams:
                port._queue.put_nowait(TelegramReceived(telegram))
                await passed(1)

    run(test())
    shown = telegrams[::_PASSED]
    changes = sum(
        before.readings[key] != after.readings[key]
        for key in _BUILT_IN
        for before, after in pairwise(shown)
    )
    assert len(told) <= changes + len(telegrams[0].readings)


def test_each_step_of_50_w_of_an_evening_is_told_with_its_telegram() -> None:
    telegrams = hour(datetime(2026, 11, 12, 17, 15, tzinfo=UTC))
    told: dict[float, Decimal] = {}

    def note(reading: Reading | None) -> None:
        assert reading
        assert isinstance(reading.value, Decimal)
        told[now()] = reading.value

    async def test() -> None:
        async with Dispatching() as port:
            port.dsmr.listen(POWER, note, STEP)
            for telegram in telegrams:
                port._queue.put_nowait(TelegramReceived(telegram))
                await settled()
                await passed(1)

    run(test())
    steps = 0
    for second, (before, after) in enumerate(pairwise(telegrams), 1):
        earlier, power = (of.readings[POWER].value for of in (before, after))
        assert isinstance(earlier, Decimal)
        assert isinstance(power, Decimal)
        if abs(power - earlier) >= Decimal(str(STEP)):
            steps += 1
            assert told[second] == power
    assert steps > 10
