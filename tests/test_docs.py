"""What the documents say of the code is true."""

import importlib.util
from pathlib import Path
import re

from custom_components.dsmr.obis import MBUS_READINGS
from custom_components.dsmr.versions import VERSIONS

ROOT = Path(__file__).parent.parent


def test_the_page_of_meters_is_what_the_tables_say() -> None:
    spec = importlib.util.spec_from_file_location("meters", ROOT / "scripts" / "meters.py")
    assert spec
    assert spec.loader
    meters = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(meters)
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
