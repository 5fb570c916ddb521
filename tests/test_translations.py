"""Every text that is shown is there in each language, and no other."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass
import pytest

from custom_components.dsmr import config_flow, forms, system_health
from custom_components.dsmr.connection import CONNECTION, LAST_TELEGRAM
from custom_components.dsmr.const import AUTO
from custom_components.dsmr.descriptions import SENSORS, unknown_line
from custom_components.dsmr.entity import BELGIAN, DEVICES
from custom_components.dsmr.models import Cause

INTEGRATION = Path(__file__).parent.parent / "custom_components" / "dsmr"
LANGUAGES = ("de", "en", "fr", "hu", "lb", "lt", "nl", "sv")
# What the built-in calls its sensors; one that has no name there has that of its device class.
BUILT_IN = {
    "current_electricity_usage": "Power consumption",
    "current_electricity_delivery": "Power production",
    "electricity_active_tariff": "Active tariff",
    "electricity_used_tariff_1": "Energy consumption (tarif 1)",
    "electricity_delivered_tariff_4": "Energy production (tarif 4)",
    "instantaneous_active_power_phase_positive": "Power consumption phase {phase}",
    "heat_reading": "Energy",
    "timestamp": "Timestamp",
}
DESCRIPTIONS = (*SENSORS, unknown_line("1.2.3"), CONNECTION, LAST_TELEGRAM)


def texts(language: str) -> Any:
    return json.loads((INTEGRATION / "translations" / f"{language}.json").read_text())


def leaves(value: Any, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Return all texts with where they stand."""
    if isinstance(value, str):
        yield path, value
        return
    for key, below in value.items():
        yield from leaves(below, *path, key)


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


ENGLISH = texts("en")
ENGLISH_LEAVES = dict(leaves(ENGLISH))


def test_there_are_these_languages() -> None:
    found = {path.stem for path in (INTEGRATION / "translations").iterdir()}
    assert found == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_says_all_with_the_same_placeholders(language: str) -> None:
    found = dict(leaves(texts(language)))
    assert found.keys() == ENGLISH_LEAVES.keys()
    for path, text in found.items():
        assert placeholders(text) == placeholders(ENGLISH_LEAVES[path]), path
        assert text == text.strip() != ""
        assert not re.search(r"https?://|<[a-z]|'\{|\[%key", text), path


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_a_language_is_not_english(language: str) -> None:
    found = dict(leaves(texts(language)))
    same = [path for path, text in found.items() if text == ENGLISH_LEAVES[path]]
    # Some words are the same in both.
    assert len(same) < len(found) / 5


def test_each_sensor_has_a_name_and_its_states_and_there_are_no_others() -> None:
    found = ENGLISH["entity"]["sensor"]
    assert found.keys() == {d.translation_key for d in DESCRIPTIONS} | set(BELGIAN.values())
    for description in DESCRIPTIONS:
        sensor = found[description.translation_key]
        assert placeholders(sensor["name"]) == set(description.translation_placeholders or ())
        assert sensor.get("state", {}).keys() == set(description.options or ())
    for key, name in BUILT_IN.items():
        assert found[key]["name"] == name


def test_each_kind_of_meter_has_a_name() -> None:
    assert ENGLISH["device"].keys() == {"electricity_meter", *DEVICES.values()}


def test_what_has_no_icon_by_its_device_class_has_one_of_its_own_and_nothing_else() -> None:
    icons = json.loads((INTEGRATION / "icons.json").read_text())["entity"]["sensor"]
    without = {
        str(description.translation_key): description.options or []
        for description in DESCRIPTIONS
        if description.device_class in (None, SensorDeviceClass.ENUM)
    }
    assert icons.keys() == without.keys()
    for key, icon in icons.items():
        assert icon["default"].startswith("mdi:")
        assert icon.get("state", {}).keys() <= set(without[key])
        assert icon["default"] not in icon.get("state", {}).values()


def strings(module: str) -> set[str]:
    """Return the strings in a module's code."""
    tree = ast.parse((INTEGRATION / f"{module}.py").read_text())
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_the_flow_has_a_text_for_each_form_and_error_and_no_other() -> None:
    config = ENGLISH["config"]
    steps = {name.removeprefix("async_step_") for name in vars(config_flow.DSMRConfigFlow)}
    # These show no form: they wait, look, end, or lead to a confirmation.
    shown = steps & strings("config_flow") - {"probe", "found", "gone", "reauth"}
    assert config["step"].keys() == shown
    assert config["progress"].keys() == {"probe"}
    assert config["abort"].keys() == {"already_configured", "entry_removed"}
    # Encrypted telegrams and no key is no error: it is asked for then.
    errors = {str(cause) for cause in Cause if cause is not Cause.NO_KEY}
    assert config["error"].keys() == errors | {"invalid_port", "invalid_key"}


def test_there_is_an_issue_for_each_cause_and_for_what_the_file_and_the_interface_share() -> None:
    issues = ENGLISH["issues"]
    assert issues.keys() == {*map(str, Cause), "import_yaml", "yaml_left_out"}
    for issue in issues.values():
        assert issue["title"]
        assert ("description" in issue) is not ("fix_flow" in issue)
    flow = issues["import_yaml"]["fix_flow"]
    assert flow["abort"].keys() == {"no_telegram", "already_configured", "issue_ignored"}
    assert flow["step"].keys() == {"init"}
    assert flow["step"]["init"]["menu_options"].keys() == {"confirm", "ignore"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_title_of_the_dialog_that_moves_a_meter_is_one_line(language: str) -> None:
    # Home Assistant writes the next line over the second one of a title.
    title = texts(language)["issues"]["import_yaml"]["fix_flow"]["step"]["init"]["title"]
    assert len(title) < 30
    assert not placeholders(title)


def test_each_field_of_a_form_has_a_label_and_a_description() -> None:
    fields = {
        "user": forms.port_form(),
        "reconfigure": forms.port_form(),
        "encryption_key": forms.KEY_FORM,
        "reauth_confirm": forms.KEY_FORM,
    }
    for step, text in ENGLISH["config"]["step"].items():
        names = {str(field) for field in fields[step].schema} if step in fields else set()
        assert text.get("data", {}).keys() == text.get("data_description", {}).keys() == names
    init = ENGLISH["options"]["step"]["init"]
    names = {str(field) for field in forms.OPTIONS_FORM.schema}
    assert init["data"].keys() == init["data_description"].keys() == names
    assert ENGLISH["selector"]["dsmr_version"]["options"].keys() == {AUTO}


def test_each_exception_that_is_raised_has_a_text() -> None:
    used = set().union(*(strings(path.stem) for path in INTEGRATION.glob("*.py")))
    assert ENGLISH["exceptions"].keys() <= used
    assert "unknown_version" in ENGLISH["exceptions"]


def test_each_value_of_the_system_health_has_a_name() -> None:
    assert ENGLISH["system_health"]["info"].keys() == system_health.summary([]).keys()
