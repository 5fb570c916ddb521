"""The table at the end of a run."""

from collections.abc import Iterator

from .house import Outcome
from .record import Record

_MIB = 2**20


def report(outcome: Outcome) -> str:
    """Return what a run has shown, for a person."""
    return "\n".join(_lines(outcome))


def _lines(outcome: Outcome) -> Iterator[str]:
    days = outcome.simulated / 86400
    yield f"{days:.2f} days of {len(outcome.records)} meters, seed {outcome.seed}"
    yield ""
    yield from _table(outcome.records)
    yield ""
    begin, end = outcome.memory[0], outcome.memory[-1]
    yield f"Memory at the start  {begin.rss / _MIB:8.1f} MiB {begin.blocks:10,} blocks of the heap"
    yield f"Memory at the end    {end.rss / _MIB:8.1f} MiB {end.blocks:10,} blocks of the heap"
    yield f"Tasks and timers left {len(outcome.left):7}"
    yield from (f"  {what}" for what in outcome.left)
    yield f"What should not have happened {outcome.violations.count:4}"
    yield from (f"  {what}" for what in outcome.violations.told)
    yield ""
    yield f"The same again: scripts/soak --seed {outcome.seed} --days {days:g}"


def _table(records: list[Record]) -> Iterator[str]:
    causes = sorted({cause for record in records for cause, count in record.lost.items() if count})
    faults = sorted({fault for record in records for fault in record.faults})
    rows = [
        ("", [record.name for record in records]),
        ("telegrams sent", [f"{record.sent:,}" for record in records]),
        ("telegrams shown", [f"{record.shown:,}" for record in records]),
        *((f"  lost: {c}", [f"{record.lost[c]:,}" for record in records]) for c in causes),
        ("longest stale time (s)", [f"{record.stale:.1f}" for record in records]),
        ("  of at most (s)", [f"{record.bound:.1f}" for record in records]),
        ("longest outage (s)", [f"{record.outage:.1f}" for record in records]),
        ("longest way back (s)", [f"{record.back:.1f}" for record in records]),
        *((f"  fault: {f}", [str(record.faults[f]) for record in records]) for f in faults),
    ]
    for name, cells in rows:
        yield f"{name:30}" + "".join(f"{cell:>18}" for cell in cells)
