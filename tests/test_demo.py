"""What `scripts/demo --check` waits for."""

import itertools
from typing import Any, cast

import pytest

from demo.check import POWER, SIMULATED, check
from demo.home import Home

from .clock import now, run

FLOW = "sensor.hourly_gas_consumption"


class Shown:
    """A Home Assistant that shows a value of each entity, but for some; the power changes."""

    def __init__(self, *unknown: str) -> None:
        self._unknown = unknown
        self._watts = itertools.count()

    async def states(self) -> list[dict[str, Any]]:
        watts = str(next(self._watts))
        return [
            {
                "entity_id": name,
                "state": "unknown" if name in self._unknown else watts if name in POWER else "1",
                "attributes": {"device_class": "volume_flow_rate"} if name == FLOW else {},
            }
            for name in SIMULATED
        ]

    async def command(self, _: str) -> list[dict[str, Any]]:
        return [{"entity_id": name, "platform": "dsmr", "disabled_by": None} for name in SIMULATED]


@pytest.mark.parametrize(
    ("expected", "unknown", "is_well", "seconds"),
    [
        pytest.param((), [], True, 1, id="a real meter"),
        pytest.param((), [FLOW], True, 1, id="a real meter whose gas has not been read again"),
        pytest.param((), ["sensor.gas_consumption"], False, 121, id="a real meter without gas"),
        pytest.param(SIMULATED, [], True, 1, id="the simulated one"),
        pytest.param(SIMULATED, [FLOW], False, 121, id="the simulated one, of which all is known"),
    ],
)
def test_the_flow_of_the_simulated_meter_alone_is_waited_for(
    capsys: pytest.CaptureFixture[str],
    expected: tuple[str, ...],
    unknown: list[str],
    is_well: bool,
    seconds: float,
) -> None:
    async def until_checked() -> bool:
        result = await check(cast("Home", Shown(*unknown)), expected)
        assert now() == seconds
        return result

    assert run(until_checked()) is is_well
    said = capsys.readouterr().out
    assert ("entities had a value after 1 seconds." in said) is is_well
    # It is shown all the same.
    assert f"{FLOW} " in said
    if not is_well:
        assert f"still missing: {unknown[0]}." in said
