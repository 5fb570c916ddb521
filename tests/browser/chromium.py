"""A headless Chromium in which Home Assistant is open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
import re
import time

from playwright.async_api import ConsoleMessage, Page, async_playwright

from demo.home import Home

PATIENCE = 30_000
"""Milliseconds after which what should be on the page is missing."""

# Nothing of its own: no sandbox (it needs rights that a container lacks), no graphics card, no
# requests for updates, no host but this machine.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Home Assistant fetches the logos of other integrations from the internet.
_LOGOS = "/api/brands/integration/"
_LOGO_RULES = (
    {"urlPattern": f"http://*:*{_LOGOS}dsmr/*", "block": False},
    {"urlPattern": f"http://*:*{_LOGOS}*", "block": True},
)
# The browser drops a request while a network interface of this machine comes or goes.
_NO_ERRORS = re.compile(r"ERR_NETWORK_CHANGED|ERR_BLOCKED_BY_CLIENT")


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
        """Keep an error of the console, unless it is of this machine's making."""
        if message.type == "error" and not _NO_ERRORS.search(message.text):
            self.errors.append(f"{message.text} ({message.location['url']})")


@asynccontextmanager
async def open_tab(chromium: str, home: Home, *, height: int = 900) -> AsyncIterator[Tab]:
    """Open a tab whose owner is signed in at Home Assistant; nothing is loaded yet.

    Args:
        chromium: the program.
        home: Home Assistant.
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
            service_workers="block",
            viewport={"width": 1280, "height": height},
        )
        context.set_default_timeout(PATIENCE)
        await context.add_init_script(f"localStorage.hassTokens = {json.dumps(_signed_in(home))}")
        tab = Tab(await context.new_page())
        # Not with Playwright's routes: they switch the browser's cache off.
        browser_tools = await context.new_cdp_session(tab.page)
        await browser_tools.send("Network.enable")
        await browser_tools.send("Network.setBlockedURLs", {"urlPatterns": _LOGO_RULES})
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
