"""The import contracts hold, and the one about the opening of the test breaks on a forbidden import."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OPENING = "The test labels are opened between candidates and evaluation"
FORBIDDEN = "import vitrail.features\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the source with its import contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def check_imports(project: Path) -> tuple[bool, str]:
    """Whether every contract is kept, and the report as one line."""
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "src"), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, " ".join(done.stdout.split())


def verdict_on(contract: str, report: str) -> str:
    """KEPT or BROKEN, from the line of a report that begins with the contract."""
    return next(word for word in report[report.index(contract) :].split() if word in ("KEPT", "BROKEN"))


def test_the_contracts_hold(project: Path):
    kept, report = check_imports(project)
    assert kept, report
    assert verdict_on(OPENING, report) == "KEPT"


# The second and third are modules that evaluation imports.
@pytest.mark.parametrize("module", ["evaluation.pairs", "heads.head", "data.traces"])
def test_evaluation_may_not_reach_the_features_directly_or_through_another_module(project: Path, module: str):
    with (project / "src" / "vitrail" / f"{module.replace('.', '/')}.py").open("a", encoding="utf-8") as file:
        file.write(FORBIDDEN)
    kept, report = check_imports(project)
    assert not kept
    assert verdict_on(OPENING, report) == "BROKEN"
    broken = report[report.rindex(OPENING) :]
    assert "vitrail.evaluation is not allowed to import vitrail.features" in broken
    assert f"vitrail.{module} -> vitrail.features" in broken
