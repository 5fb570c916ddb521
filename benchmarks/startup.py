"""What importing and setting up takes."""

import asyncio
from itertools import islice
import json
from statistics import median
from typing import Final

from demo.home import PYTHON, REPOSITORY

from .feeder import feeder, telegrams
from .subject import running

# What Home Assistant has loaded before it loads an integration with sensors.
_IMPORT: Final = """
import importlib, json, pathlib, sys, time
import homeassistant.bootstrap, homeassistant.components.sensor, homeassistant.components.usb
def memory():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
before, began = memory(), time.perf_counter()
for module in ("", ".sensor"):
    importlib.import_module(sys.argv[1] + module)
print(json.dumps([time.perf_counter() - began, memory() - before]))
"""
_PACKAGES: Final = {"ours": "custom_components.dsmr", "built-in": "homeassistant.components.dsmr"}


async def measure_import(subject: str) -> tuple[float, float]:
    """Return the milliseconds and the mebibytes of importing an integration."""
    process = await asyncio.create_subprocess_exec(
        PYTHON, "-c", _IMPORT, _PACKAGES[subject], cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    seconds, memory = json.loads(output)
    return seconds * 1000, memory / 2**20


async def measure_set_up(subject: str, rounds: int) -> tuple[float, int]:
    """Return the milliseconds of setting up an entry that is known, and its entities."""
    meter = telegrams()
    seconds = []
    async with feeder() as gateway, running(subject) as home:
        # At other options the built-in shows its first value after a while.
        await home.ask("add", port=gateway.port, meters=1, options={"time_between_update": 0})
        for _ in range(rounds):
            await gateway.connected()
            await gateway.send(list(islice(meter, 40)), 20)
            seconds += await home.ask("reload", options={})
        await gateway.connected()
        await gateway.send(list(islice(meter, 40)), 20)
        entities = len(await home.ask("entities"))
    return 1000 * median(seconds), entities
