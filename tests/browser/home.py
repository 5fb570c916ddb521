"""The Home Assistant that is looked at: its own parts and no meter yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from demo.home import Home, running_home

_CONFIGURATION = """
frontend:
history:
energy:
recorder:
statistics_now:
logger:
  default: warning
"""
_STATISTICS_NOW = Path(__file__).parent / "statistics_now"


@asynccontextmanager
async def home_without_meter() -> AsyncIterator[Home]:
    """Run Home Assistant until the context ends; `compile_statistics` works there."""
    files = {
        f"custom_components/statistics_now/{file.name}": file.read_text(encoding="utf-8")
        for file in _STATISTICS_NOW.iterdir()
        if file.is_file()
    }
    async with running_home({"configuration.yaml": _CONFIGURATION, **files}) as home:
        yield home


async def compile_statistics(home: Home) -> None:
    """Let the recorder make now the statistics that it makes every five minutes."""
    await home.command("call_service", domain="statistics_now", service="compile")
