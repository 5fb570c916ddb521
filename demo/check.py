"""`scripts/demo --check`: does every entity of the integration get a value?"""

import asyncio
from collections.abc import Collection, Mapping

from .home import Home, State

SECONDS = 120
NO_VALUE = {"unknown", "unavailable"}
POWER = ("sensor.power_consumption", "sensor.power_production")
_PHASES = ("l1", "l2", "l3")
_PER_PHASE = (
    "power_consumption",
    "power_production",
    "voltage",
    "current",
    "voltage_sags",
    "voltage_swells",
)
# What must exist where the simulated meter is read.
SIMULATED = (
    "sensor.power_consumption",
    "sensor.power_production",
    "sensor.power_tariff",
    "sensor.power_consumption_low",
    "sensor.power_consumption_normal",
    "sensor.power_production_low",
    "sensor.power_production_normal",
    "sensor.gas_consumption",
    "sensor.hourly_gas_consumption",
    "sensor.short_power_failure_count",
    "sensor.long_power_failure_count",
    *(f"sensor.{name}_phase_{phase}" for name in _PER_PHASE for phase in _PHASES),
)


async def check(home: Home, expected: Collection[str]) -> bool:
    """Wait until every entity has a value and the power has changed, and print the values.

    Args:
        home: Home Assistant, just started.
        expected: Entities that must exist; what else the integration registered is waited for too,
            but for a flow: until a meter has been read again behind the electricity meter, which
            may take two hours, it is unknown.

    Returns:
        Whether that happened in time.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    powers: dict[str, set[str]] = {name: set() for name in POWER}
    while True:
        states = {state["entity_id"]: state for state in await home.states()}
        for name, seen in powers.items():
            if _has_value(states, name):
                seen.add(states[name]["state"])
        entities = {*expected, *await _registered(home)}
        awaited = {name for name in entities if name in expected or not _is_flow(states, name)}
        missing = [name for name in sorted(awaited) if not _has_value(states, name)]
        seconds = loop.time() - began
        if not entities:
            missing.append("any entity of the integration")
        if all(len(seen) < 2 for seen in powers.values()):
            missing.append("a change of the power")
        if not missing or seconds > SECONDS:
            break
        await asyncio.sleep(1)
    _print_table(states, entities)
    if missing:
        print(f"After {seconds:.0f} seconds, still missing: {', '.join(missing)}.")
    else:
        print(f"All {len(awaited)} entities had a value after {seconds:.0f} seconds.")
    return not missing


async def _registered(home: Home) -> list[str]:
    """Return the entities that the integration has registered and the user has not disabled."""
    return [
        entry["entity_id"]
        for entry in await home.command("config/entity_registry/list")
        if entry["platform"] == "dsmr" and entry["disabled_by"] is None
    ]


def _has_value(states: Mapping[str, State], name: str) -> bool:
    return name in states and states[name]["state"] not in NO_VALUE


def _is_flow(states: Mapping[str, State], name: str) -> bool:
    return name in states and states[name]["attributes"].get("device_class") == "volume_flow_rate"


def _print_table(states: Mapping[str, State], entities: Collection[str]) -> None:
    width = max(map(len, entities), default=0)
    for name in sorted(entities):
        if name not in states:
            value = "does not exist"
        else:
            unit = states[name]["attributes"].get("unit_of_measurement", "")
            value = f"{states[name]['state']} {unit}"
        print(f"{name:<{width}}  {value}".rstrip())
