"""Every meter, every value: all sensors of each model, as a snapshot to be read by a person."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from syrupy.assertion import SnapshotAssertion

from custom_components.dsmr.const import YAML_PORTS

from .meter import MODELS
from .parts import Gateway, set_up, telegram_of, until

# The encrypted one is decrypted first: test_encryption shows its values.
PLAIN = [model for model in MODELS if MODELS[model].version != "SAGEMCOM_T210_D_R"]


@pytest.mark.parametrize("model", PLAIN)
async def test_all_that_a_meter_says_is_shown(
    hass: HomeAssistant,
    gateway: Gateway,
    entity_registry: er.EntityRegistry,
    snapshot: SnapshotAssertion,
    model: str,
) -> None:
    await set_up(
        hass,
        {
            "host": "127.0.0.1",
            "port": gateway.port,
            "dsmr_version": MODELS[model].version,
        },
    )
    port = hass.data[YAML_PORTS]["yaml"]
    await gateway.connected()
    gateway.send(telegram_of(model))
    await until(lambda: port.dsmr.telegram is not None)
    await hass.async_block_till_done()
    assert port.reader.counters.unreadable_lines == 0
    shown = {}
    for entry in sorted(entity_registry.entities.values(), key=lambda entry: entry.entity_id):
        state = hass.states.get(entry.entity_id)
        if state is not None and state.state == "unknown" and not state.attributes.get("entries"):
            # What the version may have and this meter does not, which goes when it is learnt.
            continue
        shown[entry.entity_id] = (
            "disabled"
            if state is None
            else {
                "state": state.state,
                **{
                    name: str(value)
                    for name, value in state.attributes.items()
                    if name not in ("friendly_name", "options")
                },
                **({"category": str(entry.entity_category)} if entry.entity_category else {}),
            }
        )
    assert shown == snapshot
