"""Fixtures for every test, and the order of the test files."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.fetch.hub_fixtures import card as card
from tests.fetch.hub_fixtures import hub as hub
from tests.fetch.upload_fixtures import upload_hub as upload_hub
from tests.sharing import make_once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files whose slow tests may take longest first: in parallel, a long file that starts last runs alone."""
    allowed_s: Counter[Path] = Counter()
    for item in items:
        if item.get_closest_marker("slow"):
            timeout = item.get_closest_marker("timeout")
            allowed_s[item.path] += timeout.args[0] if timeout else int(item.config.getini("timeout"))
    items.sort(key=lambda item: -allowed_s[item.path])  # stable: tests of a file stay together and in order


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of all test processes, for `make_once`."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, weights and golden values, kept beside the repository."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("needs ../shared, the real images and weights that stay outside the repository")
    return folder


@pytest.fixture
def mini_weights(tmp_path: Path) -> Path:
    """A folder with the weights of our two small backbones under names of somebody's own."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("vit_mini", "resnet_mini"):
        embedded = Path(str(files("vitrail.backbones.weights") / "embedded" / f"{name}.safetensors"))
        shutil.copy(embedded, folder / f"my_{name}.safetensors")
    return folder


@pytest.fixture(scope="session")
def wheel(common: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip wheel` builds of this project."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; `make install` does not need it")

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, "."]
        subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True)

    (path,) = make_once(common, "built", build, tmp_path_factory.mktemp("wheel") / "built").glob("*.whl")
    return path


@pytest.fixture(autouse=True, scope="session")
def folders_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nor does what is made once for several tests, before `own_folders`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("VITRAIL_CONFIG", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True, scope="module")
def folders_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nor does a run of one module count as an earlier opening of the same images in another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("VITRAIL_CONFIG", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the caches or the locks of the person who runs it, or finds weights there."""
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
