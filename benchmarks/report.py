"""What was measured, as a page with a picture: docs/performance.md."""

from collections.abc import Iterable, Iterator
from itertools import product
import platform
from statistics import median, quantiles
from string import Template
from typing import Any, Final

from matplotlib.figure import Figure

from demo.home import REPOSITORY

from .processor import ALL, DEFAULT_OPTIONS, EVERY_CHANGE, SAME, SENSORS
from .subject import SUBJECTS

PAGE: Final = REPOSITORY / "docs" / "performance.md"
PICTURE: Final = REPOSITORY / "docs" / "pictures" / "scale.png"
_TEMPLATE: Final = REPOSITORY / "benchmarks" / "performance.md"


def text(found: dict[str, Any]) -> str:
    """Return the page with the figures in it."""
    sections = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "processor": _table(
            ("", "ours", "built-in", "built-in / ours, block by block"), _processor(found)
        ),
        "ours": str(found["processor"][ALL][0]["entities"]["ours"]),
        "same": str(found["processor"][SAME][0]["entities"]["ours"]),
        "latency": _table(("", "median", "99th percentile", "changes"), _latency(found)),
        "days": _table(
            (
                "",
                "`time_between_update`",
                "sensors",
                "rows",
                "steps of 50 W",
                "of them within a second",
            ),
            _days(found),
        ),
        "hours": str(found["hours"]),
        "start": _table(("", "import", "memory of that", "set-up of an entry"), _start(found)),
        "scale": _table(
            ("Meters", "processor", "memory", "longest callback of the loop"), _scale(found)
        ),
    }
    return Template(_TEMPLATE.read_text()).substitute(sections)


def write(found: dict[str, Any], page: str) -> None:
    """Write the page and its picture."""
    PAGE.write_text(page)
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    meters = [row["meters"] for row in found["scale"]]
    left.plot(meters, [100 * row["processor"] for row in found["scale"]], marker="o")
    left.set(xlabel="meters", ylabel="% of a processor", xlim=0, ylim=0)
    right.plot(meters, [row["memory"] / 2**20 for row in found["scale"]], marker="o")
    right.set(xlabel="meters", ylabel="MiB", xlim=0, ylim=0)
    figure.savefig(PICTURE, dpi=100)


def _processor(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for sensors, case in product(SENSORS, (EVERY_CHANGE, DEFAULT_OPTIONS)):
        rounds = [measured[case] for measured in found["processor"][sensors]]
        ours, theirs = ([cost for each in rounds for cost in each[s]] for s in SUBJECTS)
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        yield (
            f"{case}, {sensors}",
            _middle(ours, "ms"),
            _middle(theirs, "ms"),
            _middle(ratios, "times"),
        )


def _latency(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    named = {f"every change, {subject}": delays for subject, delays in found["latency"].items()} | {
        "steps of 1 kW at default options, ours": found["steps"]
    }
    for name, delays in named.items():
        yield (
            name,
            f"{median(delays):.2f} ms",
            f"{quantiles(delays, n=100)[98]:.2f} ms",
            str(len(delays)),
        )


def _days(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for subject, option, day in found["days"]:
        figures = (day["entities"], day["rows"], day["steps"], day["in time"])
        yield subject, f"{option} s", *(f"{figure:,}" for figure in figures)


def _start(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for subject in SUBJECTS:
        times, sizes = zip(*found["import"][subject], strict=True)
        set_up, entities = found["set up"][subject]
        yield (
            subject,
            _spread(times, "ms"),
            f"{median(sizes):.1f} MiB",
            f"{set_up:.0f} ms, {entities} entities" if entities else "not measured",
        )


def _scale(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for row in found["scale"]:
        longest = next((s for s, what in row["longest"] if "dsmr" in what), 0.0)
        yield (
            str(row["meters"]),
            f"{100 * row['processor']:.1f} %",
            f"{row['memory'] / 2**20:.1f} MiB",
            f"{1000 * longest:.1f} ms" if longest else "below 1 ms",
        )


def _middle(values: Iterable[float], unit: str) -> str:
    """Return the median and between what half of the values lie."""
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.3f} {unit} ({low:.3f} to {high:.3f})"


def _spread(values: Iterable[float], unit: str) -> str:
    """Return the median and what lies around it."""
    ordered = sorted(values)
    return f"{median(ordered):.2f} {unit} ({ordered[0]:.2f} to {ordered[-1]:.2f})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
