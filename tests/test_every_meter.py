"""Every meter, every value: all sensors of each model, as a snapshot to be read by a person."""

from datetime import UTC, datetime
from typing import Any, Final
from unittest.mock import Mock

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
import pytest
from syrupy.assertion import SnapshotAssertion

from custom_components.dsmr import reader
from custom_components.dsmr.port import YAML_PORTS
from custom_components.dsmr.versions import VERSIONS

from .meter import MODELS
from .meter.wire import encrypted
from .parts import Gateway, set_up, telegram_of, until
from .test_learning import learn

KEY: Final = "3c9f41e07ab25d18f6c3904be27d5a61"
METERS: Final = [
    *((model, MODELS[model].version) for model in MODELS),
    ("iskra-me382", "3"),
    ("smarty-t210d", "MSn"),
]


def test_there_is_a_meter_of_each_version() -> None:
    assert {version for _, version in METERS} == VERSIONS.keys()


@pytest.fixture
def disabled(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The unique ids of the entities that are disabled by default, which are enabled here."""
    unique_ids = set()

    def is_enabled(entity: Entity) -> bool:
        if not entity.entity_description.entity_registry_enabled_default:
            unique_ids.add(str(entity.unique_id))
        return True

    monkeypatch.setattr(Entity, "entity_registry_enabled_default", property(is_enabled))
    return unique_ids


@pytest.mark.parametrize(("model", "version"), METERS)
async def test_all_that_a_meter_says_is_shown(
    hass: HomeAssistant,
    gateway: Gateway,
    hass_storage: dict[str, Any],
    entity_registry: er.EntityRegistry,
    disabled: set[str],
    monkeypatch: pytest.MonkeyPatch,
    snapshot: SnapshotAssertion,
    model: str,
    version: str,
) -> None:
    received = datetime(2026, 11, 26, 12, tzinfo=UTC)
    monkeypatch.setattr(reader, "datetime", Mock(now=Mock(return_value=received)))
    at: dict[str, Any] = {"host": "127.0.0.1", "port": gateway.port, "dsmr_version": version}
    telegram = telegram_of(model)
    if VERSIONS[version].encrypted:
        at["encryption_key"] = KEY
        telegram = encrypted(telegram, bytes.fromhex(KEY))
    await set_up(hass, at)
    port = hass.data[YAML_PORTS]["yaml"]
    await gateway.connected()
    gateway.send(telegram)
    await until(lambda: port.dsmr.telegram is not None)
    await learn(hass, hass_storage)
    assert port.reader.counters.unreadable_lines == 0
    shown = {}
    for entry in sorted(entity_registry.entities.values(), key=lambda entry: entry.entity_id):
        state = hass.states.get(entry.entity_id)
        assert state
        shown[entry.entity_id] = {
            "state": state.state,
            **{
                str(name): str(value)
                for name, value in state.attributes.items()
                if name not in ("friendly_name", "options")
            },
            "category": str(entry.entity_category) if entry.entity_category else None,
            "enabled": entry.unique_id not in disabled,
        }
    assert shown == snapshot
