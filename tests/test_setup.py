"""Does scripts/setup take the Python that a machine has?"""

import os
from pathlib import Path
import shutil
import subprocess
import sys

_ROOT = Path(__file__).parent.parent


def test_of_several_pythons_the_one_that_home_assistant_asks_for_is_taken(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(_ROOT / "scripts/setup", tmp_path / "scripts")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/homeassistant.txt").touch()
    tools = {tool.name: tool for tool in (_ROOT / ".tools").glob("uv-*")}
    (tmp_path / ".tools").mkdir()
    for name, tool in tools.items():
        (tmp_path / ".tools" / name).symlink_to(tool)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3.14").symlink_to(os.path.realpath(sys.executable))

    subprocess.run(
        [tmp_path / "scripts/setup", "demo"],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:{tmp_path}/bin"},
        check=True,
        capture_output=True,
    )

    made = subprocess.run(
        [tmp_path / ".venv-ha/bin/python", "--version"], check=True, capture_output=True, text=True
    )
    assert made.stdout.startswith("Python 3.14.")
    assert {tool.name for tool in (tmp_path / ".tools").iterdir()} <= {*tools, "python"}
