"""What every test has at hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
import logging
from pathlib import Path
import re
from unittest.mock import patch

from aiohttp import ThreadedResolver
import pytest
import pytest_asyncio

# Before anything else looks for custom components: the loader would take another folder of that
# name, find no `dsmr` there, and fall back to Home Assistant's own without a word.
import custom_components.dsmr

from .clock import HomeLoop
from .parts import Gateway, SerialLine

assert custom_components.dsmr.__file__

# Home Assistant says the first of every custom integration, asyncio the second of a busy machine,
# and Home Assistant's web server, which comes with its list of serial ports, the third.
_ALWAYS = r"We found a custom integration dsmr|^Executing <.* took \d|^zlib_ng and isal"


REPORT = pytest.StashKey[list[str]]()
"""What the tests have found in real telegrams, a line for each; printed at the end of the run."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs(pattern): a warning or worse that this test expects")
    config.addinivalue_line("markers", "virtual: Home Assistant itself lives on virtual time")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    is_virtual = item.get_closest_marker("virtual")
    return {"virtual": HomeLoop} if is_virtual else {"real": asyncio.new_event_loop}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash.get(REPORT, [])
    if lines:
        terminalreporter.section("what became of the lines of real telegrams")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find this project's integration."""


@pytest_asyncio.fixture(autouse=True, scope="session", loop_scope="session")
async def mock_zeroconf_resolver() -> AsyncIterator[object]:
    """Resolve names in threads: the plugin's resolver leaves four files open for each loop."""
    with patch(
        "homeassistant.helpers.aiohttp_client._async_make_resolver",
        return_value=ThreadedResolver(),
    ) as resolver:
        yield resolver


@pytest.fixture(autouse=True)
def _clean_log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that logs a warning or worse which it did not announce, or not what it did."""
    yield
    announced = [mark.args[0] for mark in request.node.iter_markers("logs")]
    messages = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING and not re.search(_ALWAYS, record.getMessage())
    ]
    for message in messages:
        if not any(re.search(pattern, message) for pattern in announced):
            pytest.fail(f"the log has: {message}")
    for pattern in announced:
        if not any(re.search(pattern, message) for message in messages):
            pytest.fail(f"the log lacks: {pattern}")


@pytest.fixture
async def gateway(socket_enabled: None) -> AsyncIterator[Gateway]:
    """A network gateway at a meter, on a TCP port of this machine."""
    async with Gateway() as gateway:
        yield gateway


@pytest.fixture
async def second_gateway(socket_enabled: None) -> AsyncIterator[Gateway]:
    """A gateway at another meter."""
    async with Gateway() as gateway:
        yield gateway


@pytest.fixture
def serial_line(tmp_path: Path) -> Iterator[SerialLine]:
    """A serial device with a meter at its other end."""
    line = SerialLine(tmp_path / "ttyUSB0")
    yield line
    line.unplug()
