"""What the documents say of the code is true."""

from collections.abc import Iterator
import importlib.util
from pathlib import Path
import re
from types import ModuleType

from homeassistant.util import slugify

from custom_components.dsmr.descriptions import SENSORS
from custom_components.dsmr.obis import MBUS_READINGS
from custom_components.dsmr.versions import VERSIONS

ROOT = Path(__file__).parent.parent


def page_of_meters() -> ModuleType:
    """Return the script that writes the page."""
    spec = importlib.util.spec_from_file_location("meters", ROOT / "scripts" / "meters.py")
    assert spec
    assert spec.loader
    meters = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(meters)
    return meters


def tables() -> Iterator[tuple[list[str], list[str]]]:
    """Yield the rows of the README's tables, each with the heading above it."""
    heading: list[str] = []
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else []
        if cells and heading:
            yield heading, cells
        else:
            heading = cells


def test_the_page_of_meters_is_what_the_tables_say() -> None:
    meters = page_of_meters()
    assert (ROOT / meters.PAGE).read_text(encoding="utf-8") == meters.page(), "run scripts/meters"


def test_the_readme_says_which_versions_have_a_sensor() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[-2:] for line in readme.splitlines() if "| `sensor." in line]
    assert rows
    for references, said in rows:
        named = set(re.findall(r"`(\w[\w.]*)`", said))
        versions = VERSIONS.keys() - named if said.startswith("all") else named
        for obis in re.findall(r"`(?:\d-[\dn]:)?([\d.]+)`", references):
            lines = set(MBUS_READINGS if obis in MBUS_READINGS else [obis])
            has = {
                v.key for v in VERSIONS.values() if lines & (v.electricity.keys() | v.mbus.keys())
            }
            assert versions == has, obis


def test_the_readme_says_what_a_sensor_is_called_in_the_interface() -> None:
    meters = page_of_meters()
    sensors = {f"sensor.{slugify(meters.in_yaml(sensor))}": sensor for sensor in SENSORS}
    said = 0
    for heading, cells in tables():
        for place, cell in enumerate(cells):
            if entity := re.match(r"`(sensor\.\w+)`", cell):
                name = cells[heading.index("In the interface", place)]
                expected = meters.in_interface(sensors[entity[1]])
                assert name in {expected, f"{expected}, L2, L3"}
                said += 1
    assert said
