"""Fails where a module of the integration is not covered by tests as far as it must be.

Usage: python scripts/coverage_per_module.py COVERAGE.json
"""

import json
from pathlib import Path
import sys

LEAST = 95.0
"""Per cent of lines and branches; a module has to be above."""
WHOLE = ("config_flow.py",)
"""What a person goes through step by step, where every line is covered (Home Assistant's quality
scale, config-flow-test-coverage)."""

failed = False
for name, file in json.loads(Path(sys.argv[1]).read_text())["files"].items():
    summary = file["summary"]
    if name.endswith(WHOLE) and summary["missing_lines"]:
        print(f"{name}: lines {file['missing_lines']} are not covered", file=sys.stderr)
        failed = True
    if summary["percent_covered"] <= LEAST:
        print(f"{name}: {summary['percent_covered']:.1f} % is not enough", file=sys.stderr)
        failed = True
sys.exit(failed)
