"""The short versions of `benchmarks/faults.py` and `benchmarks/bit_flips.py`."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.faults import KINDS, choose_trials

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="counts calls in C, on Linux")
@pytest.mark.parametrize(("work", "sample"), [("bench", 0), ("pretrain", 2)])
def test_after_a_call_that_failed_the_next_run_is_as_if_none_had(work: str, sample: int) -> None:
    """One call of each function that changes files, with one kind of fault; the benchmark tries every call and fault.

    The samples differ, so that a function that both commands call gets two kinds of fault.
    """
    run_benchmark("faults", "--first", "--sample", str(sample), "--only", work)


def test_a_sample_has_each_function_and_three_samples_have_each_with_each_fault() -> None:
    calls = ["open a", "write a", "write a", "rename a", "open b", "write b", "rename b", "delete a"]
    trials = [choose_trials(calls, sample=sample, first=True) for sample in range(3)]
    for chosen in trials:
        assert [calls[point - 1] for point, _ in chosen] == ["open b", "write b", "rename b", "delete a"]
    together = {(calls[point - 1].split()[0], fault) for chosen in trials for point, fault in chosen}
    assert len(together) == 4 * len(KINDS)
    everything = choose_trials(calls, sample=None, first=True)
    assert {point for point, _ in everything} == {1, 2, 4, 5, 6, 7, 8}
    assert len(everything) == 7 * len(KINDS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_flipped_bit_is_noticed_or_changes_nothing() -> None:
    run_benchmark("bit_flips", "--flips", "12", "--runs", "0")


def run_benchmark(name: str, *arguments: str) -> None:
    """In a process of its own: it forks, which loses threads that other tests have started."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
