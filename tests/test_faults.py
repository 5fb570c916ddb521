"""Faults within: what one mistake costs, what noise costs, and how long anything is remembered."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest

from custom_components.dsmr.derivation import Derivation
from custom_components.dsmr.lines import LineReader
from custom_components.dsmr.models import Cause, Counters
from custom_components.dsmr.reader import SHORTEST_SILENCE
from custom_components.dsmr.registers import Register
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .clock import passed, run
from .line import Line, Reading
from .meter import SimulatedMeter
from .parts import telegram_of

AM550 = telegram_of("iskra-am550")
LOST = "No telegrams from"


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    """What the reader finds in place of serialx."""
    line = Line()
    monkeypatch.setattr("custom_components.dsmr.reader.create_serial_connection", line.open)
    return line


def once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Let a method raise the first time that it is called."""
    method: Callable[..., Any] = getattr(owner, name)

    def raise_and_mend(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(owner, name, method)
        raise RuntimeError(f"a mistake in {name}")

    monkeypatch.setattr(owner, name, raise_and_mend)


@pytest.mark.logs("Unexpected error in a telegram from")
@pytest.mark.parametrize(
    ("owner", "name", "sent_before"),
    [
        (LineReader, "read", 0),
        (Register, "believe", 0),
        (Register, "believe", 2),
        (Derivation, "add", 0),
        (Derivation, "follow", 2),
    ],
)
def test_a_mistake_in_reading_costs_one_telegram(
    line: Line, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, sent_before: int
) -> None:
    async def test() -> None:
        meter = SimulatedMeter("iskra-am550")
        reference = Decoder(VERSIONS["5"], UTC, Counters())
        async with Reading() as reading:
            for _ in range(sent_before):
                line.send(meter.next_telegram())
                await passed(1)
            reading.events()
            once(monkeypatch, owner, name)
            for _ in range(3):
                sent = meter.next_telegram()
                line.send(sent)
                await passed(1)
            read = reading.telegrams()
            assert len(read) == 2
            assert read[-1].readings == reference.decode(sent, 0).readings

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.logs("Telegrams come from")
def test_noise_that_looks_like_a_telegram_is_none_where_there_is_no_checksum(line: Line) -> None:
    async def test() -> None:
        async with Reading("2.2") as reading:
            for _ in range(40):
                line.send(b"/(0)\r\n/!(\r\n!\r\n")
                await passed(1)
            assert reading.counters.telegrams == 0
            assert reading.counters.checksum_failures > 0
            # The watchdog is not content with it.
            assert reading.losses() >= 1
            line.send(telegram_of("iskra-me382"))
            assert reading.counters.telegrams == 1

    run(test())


@pytest.mark.logs(LOST)
@pytest.mark.parametrize(
    "passes",
    [
        pytest.param(7, id="before it is left"),
        pytest.param(20, id="after it was", marks=pytest.mark.logs("Telegrams come from")),
    ],
)
def test_a_line_that_damages_most_telegrams_teaches_no_patience(line: Line, passes: int) -> None:
    async def test() -> None:
        damaged = AM550.replace(b"(00.461*kW)", b"(00.462*kW)")
        async with Reading() as reading:
            for second in range(10 * passes):
                line.send(AM550 if second % passes == 0 else damaged)
                await passed(1)
            line.send(AM550)
            assert reading.cause() is None
            await passed(SHORTEST_SILENCE + 1)
            assert reading.cause() is Cause.SILENT

    run(test())
