"""What a person does in Home Assistant with a smart meter, click by click.

Each function waits for what it needs to see; one that does not appear is a `TimeoutError` of
Playwright.
"""

import asyncio
from pathlib import Path

from playwright.async_api import Locator, Page, expect

INTEGRATION = "DSMR Smart Meter"


async def choose_integration(page: Page) -> None:
    """Go from Home Assistant's first page to the form that asks for the port of a new meter."""
    await page.goto("/")
    await page.locator("ha-sidebar").get_by_text("Settings", exact=True).click()
    await page.get_by_text("Devices & services", exact=True).click()
    await page.get_by_role("button", name="Add integration").click()
    await page.get_by_placeholder("Search for a brand name").fill("dsmr")
    await page.get_by_text(INTEGRATION, exact=True).click()


async def enter_port(page: Page, port: str) -> None:
    """Type a port into the form that asks for one, and send it.

    The form has a list of adapters, or a field with the address that was known.
    """
    field = page.get_by_role("textbox", name="Port")
    adapters = page.locator("ha-selector-serial_port")
    await adapters.or_(field).first.wait_for()
    if await adapters.count():
        await adapters.click()
        await page.get_by_text("Enter manually", exact=True).click()
    await field.fill(port)
    await submit(page)


async def submit(page: Page) -> None:
    """Send the form that is open."""
    await page.get_by_role("button", name="Submit").click()


def progress(page: Page) -> Locator:
    """Return where the flow says what it is waiting for."""
    return page.locator("step-flow-progress")


async def detected(page: Page) -> dict[str, str]:
    """Return what the flow has read of the meter, by what it calls it."""
    await page.get_by_text("This is your meter", exact=True).wait_for()
    lines = await page.locator("step-flow-form").get_by_role("listitem").all_inner_texts()
    return dict(line.split(": ", 1) for line in lines)


async def finish(page: Page) -> None:
    """Add the meter that the flow has shown, and leave its devices without an area."""
    await submit(page)
    button = page.get_by_role("button", name="Skip and finish")
    await button.click()
    await button.wait_for(state="hidden")


async def open_integration(page: Page) -> None:
    """Open the page with the entry of the meter."""
    await page.goto("/config/integrations/dashboard")
    await page.get_by_text(INTEGRATION, exact=True).click()
    await _entry(page).wait_for()


async def open_device(page: Page, name: str) -> None:
    """Open the page of a device."""
    await open_integration(page)
    await page.get_by_text(name, exact=True).click()
    await page.get_by_role("button", name="Download diagnostics").wait_for()


def value(page: Page, name: str) -> Locator:
    """Return where the page of a device shows the value of the entity of that name."""
    named = page.get_by_text(name, exact=True)
    return page.locator("hui-generic-entity-row").filter(has=named)


async def download_diagnostics(page: Page) -> str:
    """Return what is in the file with the diagnostics of the device that is open."""
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download diagnostics").click()
    file = Path(await (await download.value).path())
    return await asyncio.to_thread(file.read_text, encoding="utf-8")


async def configure(page: Page) -> Locator:
    """Open the options of the meter, and return the field of the time between updates."""
    await open_integration(page)
    await _entry(page).get_by_role("button", name="Configure").first.click()
    return page.get_by_role("spinbutton", name="Time between updates")


async def save_options(page: Page) -> None:
    """Save the options that are open."""
    await submit(page)
    button = page.get_by_role("button", name="Finish")
    await button.click()
    await button.wait_for(state="hidden")


async def reconfigure(page: Page) -> None:
    """Open the form that asks where the meter is now."""
    await open_integration(page)
    await _entry(page).get_by_role("button", name="Menu").first.click()
    await page.get_by_role("menuitem", name="Reconfigure").click()
    await page.get_by_text("Where is your meter now?", exact=True).wait_for()


async def reconfigured(page: Page) -> None:
    """Wait until the flow says that the meter has another port now."""
    await page.get_by_text("Reconfiguration was successful").wait_for()


async def set_up_energy(page: Page) -> None:
    """Put both tariffs, the power, and the gas meter on the Energy dashboard."""
    await _add_grid(
        page, "Energy consumption (tarif 1)", "Energy production (tarif 1)", "Net power"
    )
    await _add_grid(page, "Energy consumption (tarif 2)", "Energy production (tarif 2)")
    await _add_gas(page, "Gas consumption", "Hourly gas consumption")


async def _add_grid(page: Page, imported: str, exported: str, power: str | None = None) -> None:
    """Add a connection to the grid, with the sensor of its net power if there is one."""
    await page.goto("/config/energy/electricity")
    await page.get_by_role("button", name="Add grid connection").click()
    dialog = page.locator("dialog-energy-grid-settings")
    await _pick(dialog, 0, imported)
    await _pick(dialog, 1, exported)
    if power:
        await dialog.get_by_text("Standard", exact=True).click()
        await _pick(dialog, 2, power)
    await _save(dialog)


async def _add_gas(page: Page, volume: str, flow: str) -> None:
    """Add a gas meter."""
    await page.goto("/config/energy/gas")
    await page.get_by_role("button", name="Add gas source").click()
    dialog = page.locator("dialog-energy-gas-settings")
    await _pick(dialog, 0, volume)
    await _pick(dialog, 1, flow)
    await _save(dialog)


async def _pick(dialog: Locator, number: int, name: str) -> None:
    """Choose a sensor in one of the fields of a dialog."""
    field = dialog.locator("ha-statistic-picker").nth(number)
    await field.click()
    await dialog.get_by_placeholder("Search").fill(name)
    await dialog.locator("ha-combo-box-item").filter(has_text=name).first.click()
    await expect(field).to_contain_text(name)


async def _save(dialog: Locator) -> None:
    button = dialog.get_by_role("button", name="Save")
    await button.click()
    await button.wait_for(state="hidden")


def _entry(page: Page) -> Locator:
    return page.locator("ha-config-entry-row")
