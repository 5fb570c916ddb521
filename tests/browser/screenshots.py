"""Makes the pictures of the README: `scripts/screenshots`."""

import asyncio
from datetime import datetime
from pathlib import Path
import shutil
import sys

from playwright.async_api import Locator, Page, expect

from demo.command import Meter, files
from demo.home import ADDRESS, REPOSITORY, Home, running_home
from demo.meter import DSMR_VERSION, running_meter

from . import pages
from .chromium import PATIENCE, open_tab
from .home import compile_statistics, home_without_meter

PICTURES = REPOSITORY / "docs" / "pictures"
# The flow of gas is known after two readings of the gas meter, five minutes apart.
SPEED = 10
# The sun shines, the heating rests.
START = datetime.fromisoformat("2026-04-21T12:50:00+02:00")


async def main(chromium: str) -> None:
    """Make all pictures."""
    expect.set_options(timeout=2 * PATIENCE)
    async with running_meter(speed=SPEED, start=START) as port:
        meter = Meter(host=ADDRESS, port=str(port), version=DSMR_VERSION)
        async with running_home(files(meter)) as home:
            # The dashboard comes last: until then its graph gets something to show.
            await _set_up(chromium, port)
            await _leave_repairs(home)
            async with open_tab(chromium, home, height=1000) as tab:
                await tab.page.goto("/smart-meter/meter")
                await expect(tab.page.get_by_text("m³/h")).to_be_visible()
                await _picture(tab.page, "dashboard")


async def _set_up(chromium: str, port: int) -> None:
    """Show a meter that is added, its device, and the Energy dashboard's configuration."""
    async with home_without_meter() as home, open_tab(chromium, home) as tab:
        page = tab.page
        await pages.choose_integration(page)
        await pages.enter_port(page, f"{ADDRESS}:{port}")
        await pages.detected(page)
        await page.mouse.move(0, 0)
        await _picture(page.get_by_role("dialog"), "add")
        await pages.finish(page)
        # So narrow that the sidebar is folded away.
        await page.set_viewport_size({"width": 860, "height": 900})
        await pages.open_device(page, "Electricity Meter")
        await expect(pages.value(page, "Net power")).to_contain_text("kW")
        for badge in await page.locator("state-badge").all():
            await badge.locator("path").first.wait_for(state="attached")
        await _picture(page, "device")
        await pages.open_device(page, "Gas Meter")
        await expect(pages.value(page, "Hourly gas consumption")).to_contain_text("m³/h")
        await pages.set_up_energy(page)
        await compile_statistics(home)
        await page.goto("/config/energy/electricity")
        await page.get_by_text("Energy consumption (tarif 1)").wait_for()
        await _picture(page, "energy")


async def _leave_repairs(home: Home) -> None:
    """Say no to what Home Assistant suggests, such as to move the meter out of its YAML."""
    for issue in (await home.command("repairs/list_issues"))["issues"]:
        await home.command(
            "repairs/ignore_issue", domain=issue["domain"], issue_id=issue["issue_id"], ignore=True
        )


async def _picture(of: Page | Locator, name: str) -> None:
    """Save what a page, or a part of one, looks like."""
    file: Path = PICTURES / f"{name}.png"
    await of.screenshot(path=file, animations="disabled")
    print(file.relative_to(REPOSITORY))  # noqa: T201


if __name__ == "__main__":
    program = shutil.which("chromium")
    if program is None:
        sys.exit("chromium is not installed: apt install chromium")
    asyncio.run(main(program))
