"""Reading configuration.yaml again, and stopping: what ends, what goes on, and what is left."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
import threading
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.storage import Store
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import slugify
from homeassistant.util.async_ import get_scheduled_timer_handles
import pytest

from custom_components.dsmr import sensor
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.roster import Roster

from .parts import (
    PATIENCE,
    Gateway,
    SerialLine,
    edited,
    remembered,
    set_up,
    state_of,
    telegram_of,
    until,
    value_of,
)
from .test_entry import entry_for, set_up_entry

AM550 = telegram_of("iskra-am550")
POWER = "sensor.power_consumption"


def at(gateway: Gateway, **more: Any) -> dict[str, Any]:
    """Return the configuration of a DSMR 5 meter at a gateway."""
    return {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": 5, **more}


def drawing(watts: int) -> bytes:
    """Return a telegram of a meter at so many watts."""
    return edited(AM550, o1_0_1_7_0=f"({watts / 1000:06.3f}*kW)")


@contextmanager
def configuration(*platforms: dict[str, Any]) -> Iterator[None]:
    """Let configuration.yaml hold a `- platform: dsmr` for each."""
    written = {"sensor": [{"platform": "dsmr", **platform} for platform in platforms]}
    with patch(
        "homeassistant.config.load_yaml_config_file", side_effect=lambda *_: deepcopy(written)
    ):
        yield


async def reload(hass: HomeAssistant, *platforms: dict[str, Any], times: int = 1) -> None:
    """Call `dsmr.reload` with another configuration.yaml; several times at once."""
    with configuration(*platforms):
        async with asyncio.timeout(PATIENCE):
            calls = [
                hass.services.async_call("dsmr", "reload", blocking=True) for _ in range(times)
            ]
            await asyncio.gather(*calls)


def prefixes_by_url(hass: HomeAssistant) -> dict[str, str]:
    """Return what begins the unique ids of each meter, by its port."""
    return {port.reader.connection.url: prefix for prefix, port in hass.data[YAML_PORTS].items()}


def ours() -> set[str]:
    """Return the names of the tasks that read P1 ports."""
    names = {task.get_name() for task in asyncio.all_tasks()}
    return {name for name in names if name.startswith("dsmr ")}


def our_timers() -> list[asyncio.TimerHandle]:
    """Return the timers that would call this integration."""
    return [
        timer
        for timer in get_scheduled_timer_handles(asyncio.get_running_loop())
        if not timer.cancelled() and "custom_components.dsmr" in f"{_of(timer)}"
    ]


def _of(timer: asyncio.TimerHandle) -> object:
    callback: Callable[..., object] | None = timer._callback  # type: ignore[attr-defined]
    return getattr(callback, "__module__", callback)


async def test_after_a_reload_the_meter_is_read_where_it_is_now(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    entity_registry: er.EntityRegistry,
) -> None:
    await set_up(hass, at(gateway))
    await gateway.connected()
    gateway.send(drawing(1))
    await state_of(hass, POWER, "0.001")
    before = {entry.entity_id: entry.id for entry in entity_registry.entities.values()}
    await reload(hass, at(second_gateway))
    await gateway.disconnected()
    await second_gateway.connected()
    second_gateway.send(drawing(2))
    await state_of(hass, POWER, "0.002")
    assert {entry.entity_id: entry.id for entry in entity_registry.entities.values()} == before
    assert all(str(second_gateway.port) in name for name in ours())


async def test_after_a_reload_the_options_are_the_new_ones(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await reload(hass, at(gateway, precision=1))
    await gateway.connected()
    gateway.send(drawing(461))
    await state_of(hass, POWER, "0.5")


async def test_a_meter_taken_out_of_the_configuration_is_read_no_more(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up(hass, at(gateway), at(second_gateway, name="Garage"))
    await gateway.connected()
    await second_gateway.connected()
    second_gateway.send(drawing(2))
    await state_of(hass, "sensor.garage_power_consumption", "0.002")
    await reload(hass, at(gateway))
    await second_gateway.disconnected()
    garage = hass.states.get("sensor.garage_power_consumption")
    # What the registry remembers is shown so by Home Assistant until it starts again.
    assert garage is None or (garage.state, garage.attributes["restored"]) == ("unavailable", True)
    assert hass.data[YAML_PORTS].keys() == {"yaml"}
    await gateway.connected()
    gateway.send(drawing(1))
    await state_of(hass, POWER, "0.001")


async def test_a_meter_added_to_the_configuration_is_read(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    await reload(hass, at(gateway), at(second_gateway, name="Garage"))
    await second_gateway.connected()
    second_gateway.send(drawing(2))
    await state_of(hass, "sensor.garage_power_consumption", "0.002")


async def test_meters_without_a_name_keep_their_entities_in_a_reload(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    entity_registry: er.EntityRegistry,
) -> None:
    await set_up(hass, at(gateway))
    await reload(hass, at(gateway), at(second_gateway))
    before = {entry.unique_id: entry.entity_id for entry in entity_registry.entities.values()}
    await reload(hass, at(gateway), at(second_gateway))
    after = {entry.unique_id: entry.entity_id for entry in entity_registry.entities.values()}
    assert after == before
    await second_gateway.connected()
    second_gateway.send(drawing(2))
    await state_of(hass, f"{POWER}_2", "0.002")


async def test_meters_without_a_name_keep_their_entities_whichever_is_set_up_first(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platforms = [at(gateway), at(second_gateway)]
    other_is_set_up = asyncio.Event()

    set_up_platform = sensor.async_setup_platform

    async def set_up_after_the_other(
        hass: HomeAssistant, config: ConfigType, add_entities: AddEntitiesCallback, *_: object
    ) -> None:
        if config["port"] == str(gateway.port):
            await other_is_set_up.wait()
        await set_up_platform(hass, config, add_entities)
        other_is_set_up.set()

    # When Home Assistant starts it is now this one and now that one.
    with monkeypatch.context() as patched:
        patched.setattr(sensor, "async_setup_platform", set_up_after_the_other)
        await set_up(hass, *platforms)
    before = prefixes_by_url(hass)
    await reload(hass, *platforms)
    assert prefixes_by_url(hass) == before


async def test_a_second_meter_without_a_name_keeps_its_own_when_the_first_is_taken_out(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    entity_registry: er.EntityRegistry,
) -> None:
    await set_up(hass, at(gateway), at(second_gateway))
    before = prefixes_by_url(hass)
    # It is one of heat alone.
    entity_registry.async_remove(f"{POWER}_2")
    await reload(hass, at(second_gateway))
    [(url, prefix)] = prefixes_by_url(hass).items()
    assert prefix == before[url]


async def test_a_second_meter_without_a_name_never_takes_what_the_first_one_has(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway, hass_storage: dict[str, Any]
) -> None:
    await set_up(hass, at(gateway))
    async with gateway.sending(AM550):
        await state_of(hass, POWER, "0.461")
    await hass.data[YAML_PORTS]["yaml"].remember()
    # It is written above the first one; and which is set up first is another thing.
    await reload(hass, at(second_gateway), at(gateway))
    first = f"socket://127.0.0.1:{gateway.port}"
    assert prefixes_by_url(hass)[first] == "yaml"
    await reload(hass, at(second_gateway))
    assert "yaml" not in prefixes_by_url(hass).values()


@pytest.mark.logs("A meter is in configuration.yaml twice, and left out the second time")
async def test_a_meter_whose_lines_were_in_the_file_twice_keeps_its_entities(
    hass: HomeAssistant, gateway: Gateway
) -> None:
    await set_up(hass, at(gateway))
    async with gateway.sending(AM550):
        await state_of(hass, POWER, "0.461")
        await hass.data[YAML_PORTS]["yaml"].remember()
        await reload(hass, at(gateway), at(gateway))
        await state_of(hass, POWER, "0.461")
        await reload(hass, at(gateway))
        await state_of(hass, POWER, "0.461")
    assert hass.data[YAML_PORTS].keys() == {"yaml"}


@pytest.mark.logs("A meter is in configuration.yaml twice, and left out the second time")
async def test_a_meter_whose_lines_were_in_the_file_twice_at_once_keeps_its_entities(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    # No minute of telegrams has come, and so nothing is remembered of it.
    await set_up(hass, at(gateway), at(gateway))
    await reload(hass, at(gateway))
    assert hass.data[YAML_PORTS].keys() == {"yaml"}
    # They were to be those of another meter.
    await reload(hass, at(gateway), at(gateway))
    await reload(hass, at(gateway), at(second_gateway))
    assert prefixes_by_url(hass)[f"socket://127.0.0.1:{gateway.port}"] == "yaml"
    async with gateway.sending(AM550):
        await state_of(hass, POWER, "0.461")


async def test_a_meter_that_its_port_made_known_once_too_keeps_its_name(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    entity_registry: er.EntityRegistry,
) -> None:
    by_port = slugify(f"yaml socket://127.0.0.1:{gateway.port}_connection")
    entity_registry.async_get_or_create("sensor", "dsmr", by_port)
    stored = remembered("5", ["1.7.0"], [])
    stored["data"]["port"] = f"socket://127.0.0.1:{gateway.port}"
    hass_storage["dsmr.yaml"] = stored
    await set_up(hass, at(gateway))
    assert hass.data[YAML_PORTS].keys() == {"yaml"}


async def test_a_meter_whose_version_is_found_out_keeps_its_entities_beside_a_second_one(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    first, second = (at(its, dsmr_version="auto") for its in (gateway, second_gateway))
    await set_up(hass, first)
    async with gateway.sending(AM550):
        await until(lambda: hass.states.get(POWER) is not None)
        await state_of(hass, POWER, "0.461")
        await hass.data[YAML_PORTS]["yaml"].remember()
    await reload(hass, second, first)
    assert prefixes_by_url(hass)[f"socket://127.0.0.1:{gateway.port}"] == "yaml"


async def test_meters_without_a_name_are_two_though_they_are_set_up_at_once(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = Store.async_load

    async def load_from_a_disk(store: Store[Any]) -> Any:
        for _ in range(10):
            await asyncio.sleep(0)
        return await load(store)

    monkeypatch.setattr(Store, "async_load", load_from_a_disk)
    await set_up(hass, at(gateway), at(second_gateway))
    assert len(hass.data[YAML_PORTS]) == 2
    assert hass.states.get(f"{POWER}_2")


@pytest.mark.parametrize("error", [HomeAssistantError("line 3: no"), FileNotFoundError("no file")])
async def test_a_file_that_cannot_be_read_is_said_and_the_meter_goes_on(
    hass: HomeAssistant, gateway: Gateway, error: Exception
) -> None:
    await set_up(hass, at(gateway))
    await gateway.connected()
    gateway.send(drawing(1))
    await state_of(hass, POWER, "0.001")
    with (
        patch("homeassistant.config.load_yaml_config_file", side_effect=error),
        pytest.raises(type(error), match=str(error)),
    ):
        await hass.services.async_call("dsmr", "reload", blocking=True)
    assert value_of(hass, POWER) == "0.001"
    gateway.send(drawing(900))
    await state_of(hass, POWER, "0.9")
    assert gateway.connections == 1


@pytest.mark.logs("Invalid config for .*'precision'")
async def test_a_meter_that_is_now_configured_wrongly_costs_no_other_meter(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    await set_up(hass, at(gateway), at(second_gateway, name="Garage"))
    await gateway.connected()
    await reload(hass, at(gateway), at(second_gateway, name="Garage", precision="many"))
    await gateway.connected()
    gateway.send(drawing(1))
    await state_of(hass, POWER, "0.001")
    assert hass.data[YAML_PORTS].keys() == {"yaml"}


async def test_two_meters_of_which_one_has_a_scan_interval_are_both_reloaded(
    hass: HomeAssistant,
    gateway: Gateway,
    second_gateway: Gateway,
    caplog: pytest.LogCaptureFixture,
) -> None:
    platforms = [at(gateway), at(second_gateway, name="Garage", scan_interval=10)]
    await set_up(hass, *platforms)
    await reload(hass, *platforms)
    assert "does not generate unique IDs" not in caplog.text
    await gateway.connected()
    await second_gateway.connected()
    gateway.send(drawing(1))
    second_gateway.send(drawing(2))
    await state_of(hass, POWER, "0.001")
    await state_of(hass, "sensor.garage_power_consumption", "0.002")


async def test_two_reloads_at_once_leave_one_reader(hass: HomeAssistant, gateway: Gateway) -> None:
    await set_up(hass, at(gateway))
    await gateway.connected()
    before = ours()
    await reload(hass, at(gateway), times=2)
    assert ours() == before
    assert len(hass.data[YAML_PORTS]) == 1
    assert len([task for task in asyncio.all_tasks() if task.get_name() in before]) == len(before)
    await gateway.connected()
    gateway.send(drawing(1))
    await state_of(hass, POWER, "0.001")


async def test_a_reload_while_a_meter_is_being_set_up_leaves_one_reader(
    hass: HomeAssistant, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, begun, goes_on = Roster.load, asyncio.Semaphore(0), asyncio.Event()

    async def load_from_a_slow_disk(*args: Any) -> Roster:
        begun.release()
        await goes_on.wait()
        return await load(*args)

    monkeypatch.setattr(Roster, "load", load_from_a_slow_disk)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as both:
        both.create_task(set_up(hass, at(gateway)))
        await begun.acquire()
        both.create_task(reload(hass, at(gateway)))
        await begun.acquire()
        goes_on.set()
    assert len([task for task in asyncio.all_tasks() if "dsmr reader" in task.get_name()]) == 1
    await gateway.connected()
    gateway.send(drawing(1))
    await state_of(hass, POWER, "0.001")
    assert gateway.connections == 1


async def test_time_stamps_are_read_in_the_time_zone_that_home_assistant_has_now(
    hass: HomeAssistant, gateway: Gateway, second_gateway: Gateway
) -> None:
    entry = entry_for("5", AM550, port=f"socket://127.0.0.1:{second_gateway.port}")
    await set_up_entry(hass, entry)
    await reload(hass, at(gateway))
    with configuration(at(gateway)):
        async with gateway.sending(AM550), second_gateway.sending(AM550):
            failed = ("sensor.last_power_failure", "sensor.electricity_meter_last_power_failure")
            for entity_id in failed:
                await state_of(hass, entity_id, "2025-02-06T22:30:09+00:00")
            # What else a person sets interrupts nothing.
            await hass.config.async_update(time_zone=hass.config.time_zone, elevation=3)
            await hass.async_block_till_done()
            assert (gateway.connections, second_gateway.connections) == (1, 1)
            await hass.config.async_update(time_zone="Europe/Amsterdam")
            for entity_id in failed:
                await state_of(hass, entity_id, "2025-02-06T13:30:09+00:00")


async def test_stopping_home_assistant_closes_the_serial_line_and_leaves_nothing(
    hass: HomeAssistant, serial_line: SerialLine
) -> None:
    threads = set(threading.enumerate())
    await set_up(hass, {"port": str(serial_line.device), "dsmr_version": 5})
    async with serial_line.sending(drawing(100)):
        await state_of(hass, POWER, "0.1")
    assert serial_line.is_locked()
    await hass.async_stop()
    # Home Assistant does not wait for it.
    await until(lambda: not serial_line.is_locked() and not ours())
    assert not our_timers()
    assert _others(threads) == set()


def _others(threads: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads that are new, without those of Home Assistant's executor."""
    new = set(threading.enumerate()) - threads
    return {thread for thread in new if not thread.name.startswith(("asyncio_", "SyncWorker_"))}


async def test_the_unit_that_a_person_chose_stays_where_the_meter_writes_another_than_most(
    hass: HomeAssistant, gateway: Gateway, entity_registry: er.EntityRegistry
) -> None:
    # Its threshold is in A, where others have one in kW.
    kamstrup = telegram_of("kamstrup-382")
    meter = at(gateway, dsmr_version="2.2")
    await set_up(hass, meter)
    async with gateway.sending(kamstrup):
        await state_of(hass, "sensor.power_threshold", "999.0")
        entity_registry.async_update_entity_options(
            "sensor.power_threshold", "sensor", {"unit_of_measurement": "mA"}
        )
        await state_of(hass, "sensor.power_threshold", "999000.0")
    await reload(hass, meter)
    await gateway.connected()
    state = hass.states.get("sensor.power_threshold")
    assert state
    assert (state.state, state.attributes["unit_of_measurement"]) == ("unavailable", "mA")
    async with gateway.sending(kamstrup):
        await state_of(hass, "sensor.power_threshold", "999000.0")
