"""What the documents say of the code is true."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_meters_is_what_the_tables_say() -> None:
    spec = importlib.util.spec_from_file_location("meters", ROOT / "scripts" / "meters.py")
    assert spec
    assert spec.loader
    meters = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(meters)
    assert (ROOT / meters.PAGE).read_text(encoding="utf-8") == meters.page(), (
        "run 'PYTHONPATH=. .venv/bin/python scripts/meters.py'"
    )
