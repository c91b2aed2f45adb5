import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitrail.core import machine
from vitrail.core.resources import Resources


def test_a_cgroup_quota_limits_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "CGROUP_CPU_MAX", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert machine.usable_cores() == 8
    quota.write_text("max 100000\n")
    assert machine.usable_cores() == 8
    quota.write_text("250000 100000\n")
    assert machine.usable_cores() == 2
    quota.write_text("50000 100000\n")
    assert machine.usable_cores() == 1


def test_the_folders_follow_their_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path / "b"))
    assert machine.cache_folder() == tmp_path / "a" / "v1"
    assert machine.config_folder() == tmp_path / "b"


def test_the_machine_is_described_without_importing_torch() -> None:
    described = machine.describe_machine()
    assert described.cores >= 1
    assert described.memory > 0
    assert "torch" in described.versions
    assert machine.peak_rss_bytes() > 1 << 20


@pytest.mark.parametrize(
    "start",
    ["import vitrail; vitrail.bench", "from vitrail.cli.main import main\ntry: main()\nexcept SystemExit: pass"],
)
def test_waiting_threads_are_set_to_sleep_before_any_library_reads_the_setting(start: str) -> None:
    """Both the command and Python set the variables, as long as the user has not, and before numpy is imported."""
    code = (
        "import builtins, os, sys\n"
        "real, seen = builtins.__import__, []\n"
        "def watch(name, *rest):\n"
        "    if name in ('numpy', 'torch') and not seen:\n"
        "        seen.append([os.environ.get(n) for n in ('OMP_WAIT_POLICY', 'OPENBLAS_THREAD_TIMEOUT')])\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = watch\n"
        "sys.argv = ['vitrail', 'bench', '/nowhere', '-b', 'vit_mini']\n"
        f"{start}\n"
        "print(seen[0])\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "OPENBLAS_"))}
    for given, expected in (({}, "['PASSIVE', '20']"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "['ACTIVE', '20']")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == expected


@pytest.mark.parametrize(("cores", "threads"), [(1, 4), (2, 8), (12, 32), (64, 64)])
def test_more_threads_than_cores_wait_for_a_disk(cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    assert machine.count_disk_threads() == threads == Resources().reading_threads
    assert Resources(cores=3).reading_threads == 3
