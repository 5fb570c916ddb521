"""A headless Chromium in which Home Assistant is open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
import time

from playwright.async_api import ConsoleMessage, Page, Route, async_playwright

from demo.home import Home

PATIENCE = 30_000
"""Milliseconds after which what should be on the page is missing."""

# Nothing of its own: no sandbox (it needs rights that a container lacks), no graphics card, no
# requests for updates.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The logos of other integrations come from the internet.
_NO_LOGO = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@dataclass
class Tab:
    """A tab of the browser.

    Attributes:
        page: what is open in it.
        errors: what has gone wrong in its scripts or could not be loaded.
    """

    page: Page
    errors: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        """Keep an error of the console; not that this machine's network interfaces have changed."""
        if message.type == "error" and "ERR_NETWORK_CHANGED" not in message.text:
            self.errors.append(f"{message.text} ({message.location['url']})")


@asynccontextmanager
async def open_tab(
    chromium: str, home: Home, *, width: int = 1280, height: int = 900
) -> AsyncIterator[Tab]:
    """Open a tab whose owner is signed in at Home Assistant; nothing is loaded yet.

    Args:
        chromium: the program.
        home: Home Assistant.
        width: of the page, in pixels.
        height: of the page, in pixels.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, headless=True, args=_ARGUMENTS
        )
        context = await browser.new_context(
            base_url=home.url,
            locale="en-GB",
            timezone_id="Europe/Amsterdam",
            reduced_motion="reduce",
            viewport={"width": width, "height": height},
        )
        context.set_default_timeout(PATIENCE)
        await context.add_init_script(f"localStorage.hassTokens = {json.dumps(_signed_in(home))}")
        await context.route(lambda url: not url.startswith(home.url), _abort)
        await context.route("**/api/brands/**", _logo)
        tab = Tab(await context.new_page())
        tab.page.on("console", tab.note)
        tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
        try:
            yield tab
        finally:
            await browser.close()


def _signed_in(home: Home) -> str:
    """Return what the frontend stores when somebody has signed in."""
    return json.dumps(
        {
            "hassUrl": home.url,
            "clientId": f"{home.url}/",
            "access_token": home.token,
            "refresh_token": "",
            "token_type": "Bearer",
            "expires_in": 86400,
            "expires": (time.time() + 86400) * 1000,
        }
    )


async def _abort(route: Route) -> None:
    await route.abort()


async def _logo(route: Route) -> None:
    if "/dsmr/" in route.request.url:
        await route.continue_()
    else:
        await route.fulfill(body=_NO_LOGO, content_type="image/svg+xml")
