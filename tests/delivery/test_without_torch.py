"""A model folder predicts in an environment that has the wheel and the short list of packages, and no torch."""

import os
import subprocess
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.delivery.export.conftest import Finished

pytestmark = pytest.mark.slow
LIST = "vitrail/delivery/export/folder/requirements-serve.txt"


def names_in(lines: Iterable[str]) -> set[str]:
    return {Requirement(line).name for line in lines if line.strip() and not line.startswith("#")}


def with_dependencies(names: set[str]) -> set[str]:
    """These packages and all that they require, as pip would install them."""
    known, new = set(), set(names)
    while new:
        known |= new
        requirements = [Requirement(text) for name in new for text in distribution(name).requires or ()]
        new = {r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})} - known
    return known


def link_package(name: str, packages: Path) -> None:
    """Make an installed package importable in another environment, without a download."""
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(installed.locate_file(top))


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_model_folder_predicts_without_torch(
    finished: Finished, wheel: Path, tmp_path: Path, name: str, request: pytest.FixtureRequest
):
    folder: Path = request.getfixturevalue(f"{name}_folder")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (packages,) = home.glob("**/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    needed = names_in((packages / LIST).read_text().splitlines()) | names_in(
        (folder / "requirements.txt").read_text().splitlines()
    )
    for package in sorted(with_dependencies(needed)):
        link_package(package, packages)
    assert not (packages / "torch").exists()

    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [python, "-m", "vitrail", "predict", folder, finished.data, "--out", tmp_path / "out.csv", "-q"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("60 images: ")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 61
