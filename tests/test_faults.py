"""The short versions of `benchmarks/faults.py` and `benchmarks/bit_flips.py`."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="counts calls in C, on Linux")
@pytest.mark.parametrize(("work", "every"), [("bench", 40), ("pretrain", 3)])
def test_after_a_call_that_failed_the_next_run_is_as_if_none_had(work: str, every: int) -> None:
    run_benchmark("faults", "--first", "--every", str(every), "--only", work)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_flipped_bit_is_noticed_or_changes_nothing() -> None:
    run_benchmark("bit_flips", "--flips", "12", "--runs", "0")


def run_benchmark(name: str, *arguments: str) -> None:
    """In a process of its own: it forks, which loses threads that other tests have started."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
