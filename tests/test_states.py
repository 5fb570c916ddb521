"""What is written of a sensor of which the number alone is another."""

from datetime import datetime

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.event import async_track_state_change_event
import pytest

from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.reading import DSMRSensor

from .meter import SimulatedMeter
from .parts import Gateway, edited, set_up, state_of, telegram_of, until
from .test_reload import at, drawing

POWER = "sensor.power_consumption"


async def shows(hass: HomeAssistant, gateway: Gateway, *watts: int, unit: str = "kW") -> None:
    """Have the meter send powers one after the other, and see each."""
    for sent in watts:
        gateway.send(drawing(sent))
        await state_of(hass, POWER, f"{sent / 1000}" if unit == "kW" else f"{sent}.0")


@pytest.fixture
async def shown(hass: HomeAssistant, gateway: Gateway) -> None:
    """Let a meter's power have changed once."""
    await set_up(hass, at(gateway, time_between_update=0))
    await gateway.connected()
    await shows(hass, gateway, 100, 101)


def attributes_of(hass: HomeAssistant, entity_id: str) -> dict[str, object]:
    state = hass.states.get(entity_id)
    assert state
    return dict(state.attributes)


@pytest.mark.parametrize(
    "model", ["iskra-me382", "iskra-am550", "fluvius-water-gas", "aidon-6534", "sagemcom-hungary"]
)
async def test_each_state_is_the_one_that_home_assistant_would_write(
    hass: HomeAssistant, gateway: Gateway, model: str
) -> None:
    meter = SimulatedMeter(model)
    await set_up(hass, at(gateway, dsmr_version=meter.version, time_between_update=0))
    await gateway.connected()
    counters = hass.data[YAML_PORTS]["yaml"].reader.counters
    states = set()
    for number in range(1, 8):
        gateway.send(meter.next_telegram())
        await until(lambda number=number: counters.telegrams == number)  # type: ignore[misc]
        (platform,) = async_get_platforms(hass, "dsmr")
        for sensor in platform.entities.values():
            if isinstance(sensor, DSMRSensor):
                written = hass.states.get(sensor.entity_id)
                assert written
                # The recorder leaves out what this says.
                assert written.state_info is sensor._state_info
                sensor.async_write_ha_state()
                assert hass.states.get(sensor.entity_id) is written
                states.add(written)
    # Some have changed with most of the telegrams.
    assert len(states) > len(platform.entities) + 6


@pytest.mark.usefixtures("shown")
async def test_what_a_person_changes_of_a_sensor_stays_with_the_next_values(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    entity_registry.async_update_entity(POWER, name="What the house takes", icon="mdi:house")
    entity_registry.async_update_entity_options(POWER, "sensor", {"unit_of_measurement": "W"})
    for watts in (102, 103, 104):
        await shows(hass, gateway, watts, unit="W")
        assert attributes_of(hass, POWER).items() >= {
            ("friendly_name", "What the house takes"),
            ("icon", "mdi:house"),
            ("unit_of_measurement", "W"),
        }


async def test_a_peak_has_the_time_at_which_it_was(hass: HomeAssistant, gateway: Gateway) -> None:
    fluvius = telegram_of("fluvius-t211")
    peak = "sensor.peak_demand_this_month"
    await set_up(hass, at(gateway, dsmr_version="5B", time_between_update=0))
    await gateway.connected()
    for second in (15, 31, 47):
        gateway.send(edited(fluvius, o1_0_1_6_0=f"(2611031900{second}W)(04.0{second}*kW)"))
        await state_of(hass, peak, f"4.0{second}")
        time = attributes_of(hass, peak)["time"]
        assert isinstance(time, datetime)
        assert time.second == second


async def test_a_number_has_the_unit_in_which_the_meter_writes_it(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    me382, threshold = telegram_of("iskra-me382"), "sensor.power_threshold"
    await set_up(hass, at(gateway, dsmr_version="2.2", time_between_update=0))
    await gateway.connected()
    for number, unit, kind in ((25, "A", "current"), (35, "A", "current"), (17, "kW", "power")):
        # Without a checksum, a line of a new shape counts when it comes again.
        for _ in range(2):
            gateway.send(edited(me382, o0_0_17_0_0=f"(00{number}.00*{unit})"))
        await state_of(hass, threshold, f"{number}.0")
        attributes = attributes_of(hass, threshold)
        assert (attributes["unit_of_measurement"], attributes["device_class"]) == (unit, kind)


@pytest.mark.usefixtures("shown")
async def test_what_customize_yaml_says_anew_is_there_with_the_next_value(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await async_process_ha_core_config(hass, {"customize": {POWER: {"icon": "mdi:house"}}})
    for watts in (103, 104):
        await shows(hass, gateway, watts)
        assert attributes_of(hass, POWER)["icon"] == "mdi:house"


@pytest.mark.usefixtures("shown")
async def test_what_somebody_else_writes_of_a_sensor_goes_with_the_next_value(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    before = attributes_of(hass, POWER)
    hass.states.async_set(POWER, "7", {"unit_of_measurement": "kW"})
    await shows(hass, gateway, 102)
    assert attributes_of(hass, POWER) == before


@pytest.mark.usefixtures("shown")
async def test_what_somebody_else_writes_while_a_sensor_is_told_goes_with_the_next_value(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    @callback
    def write(event: Event[EventStateChangedData]) -> None:
        stop()
        hass.states.async_set(POWER, "0.102", {"note": "above 0.1 kW"})

    before = attributes_of(hass, POWER)
    stop = async_track_state_change_event(hass, POWER, write)
    await shows(hass, gateway, 102)
    assert attributes_of(hass, POWER) == {"note": "above 0.1 kW"}
    await shows(hass, gateway, 103)
    assert attributes_of(hass, POWER) == before


@pytest.mark.usefixtures("shown")
async def test_what_somebody_else_wrote_before_with_the_same_number_is_not_kept(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    before = hass.states.get(POWER)
    assert before
    hass.states.async_set(POWER, "0.102", before.attributes)
    gateway.send(drawing(102))
    await shows(hass, gateway, 103, 104)
    after = hass.states.get(POWER)
    assert after
    assert after.state_info is before.state_info is not None


@pytest.mark.usefixtures("shown")
async def test_a_unit_that_customize_yaml_names_is_not_what_is_shown(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    customized = {"customize": {POWER: {"unit_of_measurement": "kW"}}}
    await async_process_ha_core_config(hass, customized)
    entity_registry.async_update_entity_options(POWER, "sensor", {"unit_of_measurement": "W"})
    await shows(hass, gateway, 102, 103, unit="W")


@pytest.mark.usefixtures("shown")
@pytest.mark.logs("No telegrams from")
@pytest.mark.logs("Telegrams come from")
async def test_a_sensor_has_all_its_attributes_again_after_an_outage(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    before = attributes_of(hass, POWER)
    gateway.drop()
    await state_of(hass, POWER, "unavailable")
    await gateway.connected()
    for watts in (102, 103):
        await shows(hass, gateway, watts)
        assert attributes_of(hass, POWER) == before
