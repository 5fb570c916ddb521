"""Fails where a module of the integration is covered by tests to 95 % or less.

Usage: python scripts/coverage_per_module.py COVERAGE.json
"""

import json
from pathlib import Path
import sys

LEAST = 95.0
"""Per cent of lines and branches; a module has to be above."""

files = json.loads(Path(sys.argv[1]).read_text())["files"]
low = {
    name: file["summary"]["percent_covered"]
    for name, file in files.items()
    if file["summary"]["percent_covered"] <= LEAST
}
for name, covered in low.items():
    print(f"{name}: {covered:.1f} % covered, {LEAST} % is not enough", file=sys.stderr)
sys.exit(bool(low))
