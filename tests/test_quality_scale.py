"""What quality_scale.yaml says of this integration, held to the code and the documents."""

import ast
import json
import re
import struct
from typing import Any

from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS
import pytest
import yaml

from custom_components.dsmr import config_flow
from custom_components.dsmr.connection import CONNECTION, LAST_TELEGRAM
from custom_components.dsmr.descriptions import SENSORS, DSMRSensorDescription, unknown_line

from .test_conformance import INTEGRATION, MODULES, ROOT

README = (ROOT / "README.md").read_text()
SAID: dict[str, Any] = yaml.safe_load((INTEGRATION / "quality_scale.yaml").read_text())["rules"]

# Home Assistant's integration quality scale as of 2026.11, tier by tier.
RULES = re.findall(
    r"\S+",
    """
    action-setup appropriate-polling brands common-modules config-flow config-flow-test-coverage
    dependency-transparency docs-actions docs-conditions docs-high-level-description
    docs-installation-instructions docs-removal-instructions docs-triggers entity-event-setup
    entity-unique-id has-entity-name runtime-data test-before-configure test-before-setup
    unique-config-entry

    action-exceptions config-entry-unloading docs-configuration-parameters
    docs-installation-parameters entity-unavailable integration-owner log-when-unavailable
    parallel-updates reauthentication-flow test-coverage

    devices diagnostics discovery discovery-update-info docs-data-update docs-examples
    docs-known-limitations docs-supported-devices docs-supported-functions docs-troubleshooting
    docs-use-cases dynamic-devices entity-category entity-device-class entity-disabled-by-default
    entity-translations exception-translations icon-translations reconfiguration-flow repair-issues
    stale-devices

    async-dependency inject-websession strict-typing
    """,
)
# Which heading of the README a rule asks for.
HEADINGS = {
    "docs-actions": "In configuration.yaml",
    "docs-configuration-parameters": "Configuration",
    "docs-data-update": "Data updates",
    "docs-examples": "Use cases and examples",
    "docs-high-level-description": "Description",
    "docs-installation-instructions": "Installation",
    "docs-installation-parameters": "In the interface",
    "docs-known-limitations": "Known limitations",
    "docs-removal-instructions": "Removal",
    "docs-supported-devices": "Supported devices",
    "docs-supported-functions": "Supported functions",
    "docs-troubleshooting": "Troubleshooting",
    "docs-use-cases": "Use cases and examples",
}
DESCRIPTIONS = (*SENSORS, unknown_line("1.2.3"), CONNECTION, LAST_TELEGRAM)


def names_in(module: str) -> set[str]:
    """Return the functions and classes of a module, and the methods of its classes."""
    return {
        node.name
        for node in ast.walk(MODULES[module])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }


def section(heading: str) -> str:
    """Return what stands under a heading of the README, up to the next one of its level."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", README, re.MULTILINE)
    assert found, f"the README has no section {heading!r}"
    rest = README[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def test_each_rule_is_judged_and_no_other() -> None:
    assert len(RULES) == len(set(RULES))
    assert sorted(SAID) == sorted(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_done_or_there_is_a_reason_why_not(rule: str) -> None:
    said = SAID[rule] if isinstance(SAID[rule], dict) else {"status": SAID[rule]}
    assert said["status"] in ("done", "exempt")
    if said["status"] == "exempt":
        assert said["comment"]


def test_the_readme_has_a_section_for_each_rule_that_asks_for_one() -> None:
    asked = {rule for rule in RULES if rule.startswith("docs-")}
    done = {rule for rule in asked if (SAID[rule] == "done")}
    assert done == HEADINGS.keys()
    for heading in HEADINGS.values():
        assert len(section(heading).split()) > 20


def test_the_readme_names_each_field_of_the_forms_and_each_option() -> None:
    texts = json.loads((INTEGRATION / "translations" / "en.json").read_text())
    forms = [texts["config"]["step"]["user"], texts["config"]["step"]["encryption_key"]]
    for form in (*forms, texts["options"]["step"]["init"]):
        for label in form["data"].values():
            assert f"| {label} |" in section("In the interface")


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda d: str(d.key))
def test_units_and_state_classes_are_those_of_the_device_class(
    description: DSMRSensorDescription,
) -> None:
    device_class, unit = description.device_class, description.native_unit_of_measurement
    if device_class in DEVICE_CLASS_UNITS:
        assert unit in DEVICE_CLASS_UNITS[device_class]
        suggested = description.suggested_unit_of_measurement
        assert suggested is None or suggested in DEVICE_CLASS_UNITS[device_class]
    if device_class is not None and description.state_class is not None:
        assert description.state_class in DEVICE_CLASS_STATE_CLASSES[device_class]
    if description.options:
        assert description.state_class is unit is None


def test_entities_listen_only_while_they_are_added() -> None:
    for module in ("entity", "connection", "sensor"):
        for node in ast.walk(MODULES[module]):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                assert ".listen" not in ast.unparse(node)


def test_the_flow_reconfigures_asks_for_keys_again_and_has_options() -> None:
    flow = vars(config_flow.DSMRConfigFlow)
    assert {"async_step_reconfigure", "async_step_reauth", "async_step_reauth_confirm"} <= set(flow)
    assert "async_get_options_flow" in flow
    # The built-in loads the same entries, and none of a higher version.
    assert config_flow.DSMRConfigFlow.VERSION == 1


def test_home_assistant_finds_what_it_looks_for() -> None:
    assert {"async_get_config_entry_diagnostics", "async_get_device_diagnostics"} <= names_in(
        "diagnostics"
    )
    assert {
        "async_setup_entry",
        "async_unload_entry",
        "async_remove_entry",
        "async_remove_config_entry_device",
    } <= names_in("__init__")
    assert "async_create_fix_flow" in names_in("repairs")
    assert "async_register" in names_in("system_health")


def test_exceptions_for_people_have_translated_texts() -> None:
    texts = json.loads((INTEGRATION / "translations" / "en.json").read_text())["exceptions"]
    for module in MODULES.values():
        for node in ast.walk(module):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                if name in ("ConfigEntryError", "ConfigEntryNotReady", "HomeAssistantError"):
                    [key] = [k.value for k in node.exc.keywords if k.arg == "translation_key"]
                    assert ast.literal_eval(key) in texts


@pytest.mark.parametrize(
    ("name", "sides"), [("icon.png", (256, 256)), ("icon@2x.png", (512, 512)), ("logo.png", None)]
)
def test_the_brand_has_pictures_of_the_sizes_that_are_shown(
    name: str, sides: tuple[int, int] | None
) -> None:
    head = (INTEGRATION / "brand" / name).read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:24])
    assert (width, height) == sides if sides else min(width, height) >= 128


def test_the_workflows_are_pinned_to_commits_and_may_do_no_more_than_they_must() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    used = ""
    for path in workflows:
        text = path.read_text()
        for action in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), f"{path.name}: {action}"
        assert yaml.safe_load(text)["permissions"] == {}
        used += text
    assert ".ci/run" in used
    assert "home-assistant/actions/hassfest@" in used
    assert "hacs/action@" in used
    assert "dsmr.zip" in used
