"""What does a person see, from "Add integration" to the Energy dashboard?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
import json
from pathlib import Path
import re

from playwright.async_api import Page, expect
import pytest

from demo.home import Home

from .browser import pages
from .browser.chromium import PATIENCE, open_tab
from .browser.home import compile_statistics, home_without_meter
from .meter import SimulatedMeter
from .parts import SerialLine, complaints, during, installed, ser2net

# A gas meter is read every five minutes, and its flow is known from the second reading on.
SPEED = 10
NOON = datetime.fromisoformat("2026-06-21T12:55:00+02:00")
SHOWN = {
    "Net power": "kW",
    "Power consumption": "kW",
    "Energy consumption (tarif 1)": "kWh",
}
expect.set_options(timeout=PATIENCE)


@asynccontextmanager
async def sending(meter: SimulatedMeter, line: SerialLine) -> AsyncIterator[None]:
    """Let a meter send its telegrams on a line, and its day pass faster than others."""

    async def send() -> None:
        while True:
            line.send(meter.next_telegram())
            await asyncio.sleep(meter.interval / SPEED)

    async with during(send()):
        yield


def shown_in(unit: str) -> re.Pattern[str]:
    """Return how a value of a unit is shown."""
    return re.compile(rf"\d\.\d+\s{unit}(?!\S)")


@asynccontextmanager
async def gateway(device: Path) -> AsyncIterator[tuple[SerialLine, int]]:
    """Run ser2net on a serial line of its own; give the line and the TCP port."""
    line = SerialLine(device)
    try:
        async with ser2net(line.device, "115200n81") as port:
            yield line, port
    finally:
        line.unplug()


@pytest.mark.timeout(300)
async def test_a_meter_is_added_looked_at_moved_and_put_on_the_energy_dashboard_by_clicking(
    socket_enabled: None, tmp_path: Path
) -> None:
    chromium = installed("chromium")
    meter = SimulatedMeter("iskra-am550", start=NOON)
    async with (
        gateway(tmp_path / "ttyUSB0") as (first_line, first_port),
        gateway(tmp_path / "ttyUSB1") as (second_line, second_port),
        home_without_meter() as home,
        open_tab(chromium, home) as tab,
    ):
        page = tab.page

        # Add: the meter is silent until the flow has said that it waits for it.
        await pages.choose_integration(page)
        await pages.enter_port(page, f"127.0.0.1:{first_port}")
        await expect(pages.progress(page)).to_contain_text("Waiting for a telegram")
        async with sending(meter, first_line):
            seen = await pages.detected(page)
            assert seen["Meter"] == "Iskraemeco M550T-1013"
            assert seen["Version"] == "DSMR 5"
            assert seen["Power consumption"].endswith(" kW")
            assert seen["Gas"].endswith(" m³")
            serial = seen["Serial number"]
            await pages.finish(page)

            # Look at it.
            await pages.open_device(page, "Electricity Meter")
            for name, unit in SHOWN.items():
                await expect(pages.value(page, name)).to_contain_text(shown_in(unit))
            power = pages.value(page, "Net power")
            before = await power.text_content()
            assert before
            await expect(power).not_to_have_text(before)

            # Change an option.
            updates = await pages.configure(page)
            await expect(updates).to_have_value("60")
            await updates.fill("0")
            await pages.save_options(page)
            await expect(await pages.configure(page)).to_have_value("0")

        # Move it: again it is silent until the flow waits.
        await pages.reconfigure(page)
        await pages.enter_port(page, f"socket://127.0.0.1:{second_port}")
        await expect(pages.progress(page)).to_contain_text("Waiting for a telegram")
        async with sending(meter, second_line):
            await pages.reconfigured(page)

            # Show others what is known.
            await pages.open_device(page, "Electricity Meter")
            await expect(pages.value(page, "Net power")).to_contain_text(shown_in("kW"))
            text = await pages.download_diagnostics(page)
            diagnostics = json.loads(text)["data"]
            assert diagnostics["reading"]
            assert diagnostics["entry"]["options"]["time_between_update"] == 0
            assert serial not in text
            assert serial.encode().hex() not in text.lower()

            # Put it on the Energy dashboard.
            await pages.open_device(page, "Gas Meter")
            await expect(pages.value(page, "Hourly gas consumption")).to_contain_text(
                shown_in("m³/h")
            )
            await pages.set_up_energy(page)
            await compile_statistics(home)
            await no_complaint_of_energy(page, home)

        assert tab.errors == []
        assert complaints(home.log()) == []


async def no_complaint_of_energy(page: Page, home: Home) -> None:
    """See that Home Assistant finds nothing wrong with the sources, and that the page shows it."""
    found = await home.command("energy/validate")
    assert found["energy_sources"] == [[], [], []], json.dumps(found, indent=2)
    for kind, name in (("electricity", "Energy consumption (tarif 1)"), ("gas", "Gas consumption")):
        await page.goto(f"/config/energy/{kind}")
        await page.get_by_text(name).first.wait_for()
        await expect(page.locator("ha-alert[alert-type=warning]")).to_have_count(0)
