"""A small finished run whose test images are larger than its network's, so that a wrong resize shows."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from tests.sharing import make_once
from vitrail.benchmark import bench
from vitrail.candidates.options import BenchOptions
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import Reference
from vitrail.delivery.export.network import Classifier
from vitrail.runs import RunRecord, load_run
from vitrail.search import TuneOptions


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run and where its images are."""

    run: RunRecord
    data: Path

    def open(self, name: str) -> Classifier:
        return Classifier.open(self.run, name, offline=True, progress=Silent())

    def reference(self, name: str) -> Reference:
        return Reference.answer(self.run, self.open(name), str(self.data), Resources(offline=True))


@pytest.fixture(scope="session")
def finished(common: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = make_once(common, "small-run", make_run, tmp_path_factory.mktemp("export") / "small-run")
    return Finished(run=load_run(folder / "run"), data=folder / "pictures")


def make_run(folder: Path) -> None:
    data = draw_folder(folder / "pictures", per_class=20, side=72)
    options = BenchOptions(engine="torch", precision="fp32", search=TuneOptions(trials=1), near_duplicates=False)
    bench(
        data,
        ["resnet_mini", "vit_mini"],
        out=folder / "run",
        options=options,
        command=f"vitrail bench {data}",
    )
