"""The package as others install it, and on machines without what only POSIX has."""

import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Windows has none of these modules and functions. What is imported before (psutil has its own way there) keeps them.
WITHOUT_POSIX = """
import asyncio, multiprocessing, os, psutil, subprocess, sys, tempfile, threading
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "grp", "pwd", "resource", "termios"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules.pop(name, None)
for name in ("fork", "posix_fadvise", "pread", "sched_getaffinity", "sysconf"):
    vars(os).pop(name, None)
from vitrail.cli.main import main
main()
"""


def test_the_digits_run_without_what_only_posix_has(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_POSIX, "bench", "-b", "vit_mini", "--recipe", "deck", "--trials", "2"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run"), "--quiet"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
def test_the_wheel_runs_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment; the project itself comes from the wheel alone."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    (packages,) = home.glob("**/site-packages")
    (packages / "dependencies.pth").write_text(str(Path(numpy.__file__).parents[1]))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [scripts / "python", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    where = run("-c", "import vitrail; print(vitrail.__file__)").strip()
    assert Path(where).is_relative_to(packages)
    run("-m", "vitrail", "bench", "-b", "vit_mini", "--recipe", "deck", "--trials", "2", "--out", "run", "--quiet")
    assert (tmp_path / "run" / "report.html").is_file()
    assert "values" in run("-m", "vitrail", "verify", "run")


def test_dependencies_are_ranges_and_the_versions_that_are_tested_are_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        asked += [Requirement(text) for text in extra]
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().split()
        if "==" in line
    )
    for requirement in asked:
        assert not any(part.operator in ("==", "<", "<=", "~=") for part in requirement.specifier), requirement
        assert pinned[requirement.name.lower()] in requirement.specifier, requirement
