"""Test labels change no choice: a given test whose labels are poisoned leaves every file of the search as it was."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pictures import COLOURS, draw_folder
from vitrail.benchmark import bench
from vitrail.candidates.options import BenchOptions
from vitrail.core.errors import SealError
from vitrail.data import SealedTest
from vitrail.runs import RunRecord
from vitrail.search import TuneOptions

FAST = BenchOptions(
    search=TuneOptions(kinds=("logistic",), strengths=(1e-2, 1.0), seeds=1, splits=0, label_curves=False)
)


def what_was_searched(run: RunRecord) -> dict[str, object]:
    """Every file that is written before the test is opened, but for the seconds of trials."""
    heads = {path.name: path.read_bytes() for path in (run.folder / "heads").iterdir()}
    trials = {path.name: pq.read_table(path).drop_columns(["seconds"]) for path in (run.folder / "search").iterdir()}
    assert heads
    assert trials
    return heads | trials


@pytest.fixture
def given(tmp_path: Path) -> Path:
    draw_folder(tmp_path / "given" / "train", per_class=20)
    draw_folder(tmp_path / "given" / "test", per_class=8, seed=1)
    return tmp_path / "given"


def poison(given: Path, to: Path, part: str = "test") -> Path:
    """The same images, with those of one part in the folder of the next class."""
    names = sorted(COLOURS)
    shutil.copytree(given, to, ignore=lambda folder, _: [part] if Path(folder) == given else [])
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        shutil.copytree(given / part / name, to / part / other)
    return to


def test_a_given_test_with_poisoned_labels_changes_not_one_bit_of_the_search(given: Path, tmp_path: Path):
    honest = bench(given, ["vit_mini"], out=tmp_path / "honest", options=FAST)
    lied_to = bench(poison(given, tmp_path / "poisoned"), ["vit_mini"], out=tmp_path / "lied", options=FAST)
    assert what_was_searched(honest) == what_was_searched(lied_to)
    right = [run.results.backbones[0].test.top1.value for run in (honest, lied_to)]
    assert right[0] > 0.9 > 0.1 > right[1]  # the twin: the poison was there, and the verdict saw it


def test_poisoned_labels_of_the_calibration_split_change_no_head_and_no_trial(given: Path, tmp_path: Path):
    """They set thresholds and nothing else."""
    draw_folder(given / "calibration", per_class=12, seed=2)
    honest = bench(given, ["vit_mini"], out=tmp_path / "honest", options=FAST)
    to = poison(given, tmp_path / "poisoned", "calibration")
    lied_to = bench(to, ["vit_mini"], out=tmp_path / "lied", options=FAST)
    said, other = what_was_searched(honest), what_was_searched(lied_to)
    thresholds = "vit_mini.refusal.safetensors"
    assert said.pop(thresholds) != other.pop(thresholds)  # the twin: the poison was there
    assert said == other
    assert honest.results.backbones[0].test == lied_to.results.backbones[0].test


def test_a_second_opening_in_a_process_raises():
    sealed = SealedTest({"a": 1})
    assert sealed.open("choices") == {"a": 1}
    with pytest.raises(SealError, match="opened already"):
        sealed.open("choices")
