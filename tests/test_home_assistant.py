"""The newest Home Assistant as a user runs it, at a simulated meter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import sys

import pytest

from demo.home import Home, running_home

from .parts import complaints

ROOT = Path(__file__).parent.parent

CONFIGURATION = """
homeassistant:
  time_zone: Europe/Amsterdam
frontend:
history:
energy:
logger:
recorder:
sensor:
  - platform: dsmr
    port: {port}
    host: 127.0.0.1
    dsmr_version: 5
    precision: 3
    reconnect_interval: 30
    time_between_update: 30
group:
  meter_readings:
    entities:
      - sensor.power_consumption_low
      - sensor.power_consumption_normal
      - sensor.power_production_low
      - sensor.power_production_normal
      - sensor.gas_consumption
"""


@asynccontextmanager
async def simulated_meter() -> AsyncIterator[int]:
    """Run the simulated meter as a process; give its TCP port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.meter", "--dsmr-version", "5", "--tcp", "127.0.0.1:0"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        line = await process.stdout.readline()
        yield int(line.decode().rpartition(":")[2])
    finally:
        process.terminate()
        await process.wait()


async def values(home: Home) -> dict[str, str]:
    """Return the state of each sensor of the meter."""
    return {state["entity_id"]: state["state"] for state in await home.states()}


async def first_value(home: Home) -> None:
    """Ask until the first telegram is shown."""
    for _ in range(300):
        shown = (await values(home)).get("sensor.power_consumption_low")
        if shown not in (None, "unavailable", "unknown"):
            return
        await asyncio.sleep(0.2)
    raise home.error("has shown no telegram for a minute")


@pytest.mark.timeout(300)
async def test_three_lines_of_yaml_make_the_sensors_of_a_meter(socket_enabled: None) -> None:
    async with (
        simulated_meter() as port,
        running_home({"configuration.yaml": CONFIGURATION.format(port=port)}) as home,
    ):
        await first_value(home)
        found = await values(home)
        for entity_id in (
            "sensor.power_consumption_low",
            "sensor.power_consumption_normal",
            "sensor.power_production_low",
            "sensor.power_production_normal",
            "sensor.gas_consumption",
        ):
            assert float(found[entity_id]) > 0, entity_id
        assert found["sensor.power_tariff"] in ("low", "normal")
        assert found["sensor.voltage_phase_l3"] != "unknown"

        names = {"entity_id": "sensor.power_tariff", "new_entity_id": "sensor.tariff"}
        await home.command("config/entity_registry/update", **names)
        renamed = await values(home)
        assert renamed["sensor.tariff"] in ("low", "normal")
        assert "sensor.power_tariff" not in renamed

        # What the browser asks first: an import that fails here is a page that never opens.
        assert "dsmr" in await home.command("get_services")
        issues = await home.command("repairs/list_issues")
        keys = [issue["translation_key"] for issue in issues["issues"] if issue["domain"] == "dsmr"]
        assert keys == ["import_yaml"]  # That the meter may move into the interface.
        assert complaints(home.log()) == []
