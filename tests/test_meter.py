"""The simulated meter: the same by seed, plausible, and to be had over TCP and a serial line."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
import re
import sys

import pytest

from custom_components.dsmr.checksum import crc16
from custom_components.dsmr.models import Counters
from custom_components.dsmr.telegram import Decoder
from custom_components.dsmr.versions import VERSIONS

from .meter import MODELS, SimulatedMeter
from .meter.day import AMSTERDAM
from .parts import PATIENCE, TELEGRAMS, telegram_of

# What only counts up: energy, and the reading of a gas, water or heat meter.
_REGISTER = re.compile(
    rb"(\d-\d:\d+\.8\.\d)(?:\*255)?\((\d+(?:\.\d+)?)"
    rb"|(0-\d:24\.[23]\.\d)(?:\([^()]*\))*\r?\n?\((\d+\.\d+)"
)


def telegrams(
    model: str, count: int, *, seed: int = 1, start: datetime | None = None
) -> list[bytes]:
    """Return what a simulated meter sends first."""
    meter = SimulatedMeter(model, seed=seed, start=start)
    return [meter.next_telegram() for _ in range(count)]


def registers(telegram: bytes) -> dict[bytes, Decimal]:
    """Return the registers in a telegram."""
    found = ([group for group in match.groups() if group] for match in _REGISTER.finditer(telegram))
    return {name: Decimal(number.decode()) for name, number in found}


def group_of(reference: str, telegram: bytes) -> str:
    """Return what stands in the first parentheses of a line, without its unit."""
    match = re.search(rf"^{re.escape(reference)}\(([^)*]*)", telegram.decode(), re.MULTILINE)
    assert match
    return match[1]


def test_each_telegram_in_the_tests_belongs_to_a_model() -> None:
    assert {path.stem for path in TELEGRAMS.glob("*.txt")} == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_and_start_give_the_same_telegrams(model: str) -> None:
    first = telegrams(model, 50)
    assert telegrams(model, 50) == first
    assert telegrams(model, 50, seed=2) != first
    assert telegrams(model, 50, start=datetime(2026, 7, 1, 12, tzinfo=AMSTERDAM)) != first


@pytest.mark.parametrize("model", MODELS)
def test_checksums_are_right(model: str) -> None:
    for telegram in telegrams(model, 20):
        body, _, checksum = telegram.rpartition(b"!")
        has_checksum = telegram_of(model).rpartition(b"!")[2] != b"\r\n"
        assert checksum == (b"%04X\r\n" % crc16(body + b"!") if has_checksum else b"\r\n")


@pytest.mark.parametrize("model", [name for name in MODELS if MODELS[name].version in VERSIONS])
def test_each_telegram_is_read_to_its_last_line(model: str) -> None:
    counters = Counters()
    meter = SimulatedMeter(model)
    decoder = Decoder(VERSIONS[meter.version], AMSTERDAM, counters)
    header, _, *lines = telegram_of(model).decode().splitlines()
    for second in range(20):
        telegram = decoder.decode(meter.next_telegram(), second)
        assert telegram.header == header[1:]
        assert len(telegram.readings) > len(lines) // 2
    assert counters.unreadable_lines == 0


@pytest.mark.parametrize("model", MODELS)
def test_no_register_runs_back_in_an_hour_and_some_count(model: str) -> None:
    sent = telegrams(model, 3600 // MODELS[model].interval)
    read = [registers(telegram) for telegram in sent]
    assert read[0]
    for before, after in pairwise(read):
        assert before.keys() == after.keys()
        assert all(after[name] >= before[name] for name in before)
    assert any(read[-1][name] > read[0][name] for name in read[0])


def test_registers_count_what_the_power_says() -> None:
    watt_seconds = Decimal(0)
    first, *rest = telegrams("iskra-am550", 1800)
    for telegram in rest:
        watt_seconds += 1000 * Decimal(group_of("1-0:1.7.0", telegram))
    imported = [name for name in registers(first) if name.startswith(b"1-0:1.8")]
    counted = sum(registers(rest[-1])[name] - registers(first)[name] for name in imported)
    assert abs(1000 * counted - watt_seconds / 3600) <= 2


@pytest.mark.parametrize(("model", "interval"), [("iskra-me382", 10), ("iskra-am550", 1)])
def test_a_meter_talks_at_its_interval(model: str, interval: int) -> None:
    assert SimulatedMeter(model).interval == interval == VERSIONS[MODELS[model].version].interval


def test_the_clock_of_the_meter_goes_by_its_interval() -> None:
    start = datetime(2026, 10, 25, 2, 59, 58, tzinfo=AMSTERDAM)
    clock = [group_of("0-0:1.0.0", sent) for sent in telegrams("iskra-am550", 3, start=start)]
    # The hour in which summer ends comes twice.
    assert clock == ["261025025959S", "261025020000W", "261025020001W"]


def test_gas_goes_in_steps_of_five_minutes() -> None:
    start = datetime(2026, 11, 12, 6, 59, 59, tzinfo=AMSTERDAM)
    sent = telegrams("iskra-am550", 900, start=start)
    readings = [registers(telegram)[b"0-1:24.2.1"] for telegram in sent]
    steps = [second for second, (a, b) in enumerate(pairwise(readings), 1) if a != b]
    assert steps == [300, 600]


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="ferraris"):
        SimulatedMeter("ferraris")


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """Run `python -m tests.meter`; give the process and the line that it prints first."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.meter", *arguments),
        cwd=Path(__file__).parent.parent,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENCE):
            yield process, (await process.stdout.readline()).decode()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def read_telegram(reader: asyncio.StreamReader) -> bytes:
    """Return the next whole telegram."""
    await reader.readuntil(b"/")
    body = await reader.readuntil(b"!")
    return b"/" + body + await reader.readuntil(b"\r\n")


START = "2026-11-12T07:00:00+01:00"
AT = datetime.fromisoformat(START)


async def test_the_meter_is_to_be_had_over_tcp(socket_enabled: None) -> None:
    arguments = ("--tcp", "127.0.0.1:0", "--start", START, "--speed", "50", "--seed", "3")
    async with command(*arguments) as (process, line):
        host, port = re.findall(r"^Listening on (.*):(\d+)$", line)[0]
        expected = telegrams("iskra-am550", 1000, seed=3, start=AT)
        for _ in range(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            first, second = await read_telegram(reader), await read_telegram(reader)
            assert expected.index(second) == expected.index(first) + 1
            writer.close()
            await writer.wait_closed()
        process.terminate()
        assert await process.wait() == 0


def is_there(link: Path) -> bool:
    """Return whether there is a link, wherever it leads."""
    return link.is_symlink()


async def test_the_meter_is_to_be_had_over_a_pseudo_terminal(tmp_path: Path) -> None:
    link = tmp_path / "meter"
    arguments = ("--pty", str(link), "--dsmr-version", "2.2", "--start", START, "--speed", "100")
    async with command(*arguments) as (process, line):
        assert line == f"Pseudo-terminal at {link}\n"
        assert is_there(link)
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), link.open("rb", buffering=0)
        )
        try:
            assert await read_telegram(reader) in telegrams("iskra-me382", 1000, start=AT)
        finally:
            transport.close()
        process.terminate()
        assert await process.wait() == 0
    assert not is_there(link)


async def test_the_meter_says_what_is_wrong_with_its_command_line() -> None:
    async with command("--model", "ferraris", "--tcp", "0") as (process, line):
        _, error = await process.communicate()
        assert line == ""
        assert b"invalid choice: 'ferraris'" in error
        assert process.returncode == 2
