"""What `scripts/soak` runs."""

import argparse
import sys

import custom_components.dsmr  # noqa: F401 - before Home Assistant looks for custom components

from .fuzz import fuzz
from .house import soak
from .report import report


def main(arguments: list[str]) -> int:
    """Run what the command line asks for, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Days of meters' lives in simulated time, with every fault at random by seed. "
        "It ends with a table, and with an error if anything was shown, lost or left that should "
        "not have been.",
    )
    parser.add_argument("--minutes", type=float, default=60, help="of real time (60)")
    parser.add_argument("--days", type=float, help="of simulated time, in place of --minutes")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same faults (1)")
    parser.add_argument(
        "--fuzz",
        action="store_true",
        help="send damaged streams of telegrams to readers instead, a seed for each",
    )
    options = parser.parse_args(arguments)
    if options.fuzz:
        run = fuzz(options.seed, options.minutes)
        print(
            f"{run.streams:,} streams, {run.telegrams:,} damaged telegrams, {run.read:,} "
            f"telegrams read, seeds {options.seed} to {run.seed}"
        )
        if run.failure:
            print(f"{run.failure}\nThe same again: scripts/soak --fuzz --seed {run.seed}")
        return bool(run.failure)
    outcome = soak(options.seed, days=options.days, minutes=options.minutes)
    print(report(outcome))
    return bool(outcome.violations.count or outcome.left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
