import os
from pathlib import Path

import pytest

from vitrail.core import machine


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
