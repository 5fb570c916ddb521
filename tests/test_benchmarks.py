"""The benchmarks run; how long they take is for `scripts/bench` to say."""

import asyncio
from pathlib import Path
import sys


async def test_each_micro_benchmark_runs() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "benchmarks/micro.py", "--benchmark-disable", "-q"),
        cwd=Path(__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
