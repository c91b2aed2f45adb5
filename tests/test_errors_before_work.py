"""What can be refused without an image is refused before any image is read, in the command and in Python alike.

Every case fails if a file of the data set is opened, and must leave no run folder.
"""

import csv
import os
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from safetensors.torch import save_file

import vitrail
from tests.pictures import draw_folder
from vitrail.auditing import AuditOptions
from vitrail.backbones.build import build_net
from vitrail.backbones.catalogue import find_card
from vitrail.benchmark import compute_part
from vitrail.candidates import make_options
from vitrail.core.errors import RunError, UsageError, VitrailError, WeightsError
from vitrail.core.resources import Resources
from vitrail.data.sources.folder import FolderSource
from vitrail.data.sources.manifest import ManifestSource
from vitrail.features import parse_part
from vitrail.runs import Journal, enter_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("pictures"), per_class=20)


@pytest.fixture(autouse=True)
def _no_image_is_read(monkeypatch, tmp_path: Path):
    def refuse(*_):
        raise AssertionError("an image was read")

    for source in (FolderSource, ManifestSource):
        monkeypatch.setattr(source, "read", refuse)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manifest(data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "site.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "site"])
        for number, image in enumerate(sorted(data.rglob("*.png"))):
            rows.writerow([image, image.parent.name, "ab"[number % 2]])
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The weights of another network than that of vit_mini."""
    path = tmp_path / "resnet.safetensors"
    with torch.device("cpu"):
        save_file(build_net(find_card("resnet_mini")).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"engine": "torch", "precision": "int8"}, UsageError, "int8 needs the engine openvino"),
        ({"backbones": "vit_mimi"}, UsageError, "vit_mini"),
        ({"backbones": ["vit_mini", "vit_mini"]}, UsageError, "given twice"),
        ({"recipe": "fancy"}, UsageError, "--recipe"),
        ({"budget": "soon"}, UsageError, "--budget"),
        ({"choose_by": "luck"}, UsageError, "--choose-by"),
        ({"batch": 0}, UsageError, "--batch 0"),
        ({"slices": "sight"}, UsageError, "no column 'sight'"),
        ({"leave_out": "sight"}, UsageError, "no column 'sight'"),
    ],
)
def test_what_cannot_be_done_is_said_before_an_image_is_read(
    data: Path, tmp_path: Path, keywords: dict, error: type[VitrailError], message: str
):
    with pytest.raises(error, match=message) as raised:
        vitrail.bench(data, **{"backbones": "vit_mini", **keywords})
    assert "(kinds=" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_column_that_the_manifest_lacks_is_named_with_those_it_has(manifest: Path):
    with pytest.raises(UsageError, match=r"no column 'camera' \(it has site\)"):
        vitrail.bench(manifest, "vit_mini", slices=["site", "camera"])


def test_weights_of_another_network_are_refused(data: Path, weights: Path, tmp_path: Path):
    with pytest.raises(WeightsError, match=r"resnet\.safetensors do not fit their network"):
        vitrail.bench(data, ["resnet_mini", f"vit_mini={weights}"], out=tmp_path / "run")
    with pytest.raises(WeightsError, match="do not fit their network"):
        compute_part(data, [f"vit_mini={weights}"], parse_part("1/2"), options=make_options(), resources=Resources())
    assert not (tmp_path / "run").exists()


def test_a_judge_that_cannot_judge_is_refused_by_an_audit(data: Path, weights: Path):
    with pytest.raises(WeightsError, match="do not fit their network"):
        vitrail.audit(data, AuditOptions(backbone=f"vit_mini={weights}"))
    with pytest.raises(UsageError, match="vit_mimi"):
        vitrail.audit(data, AuditOptions(backbone="vit_mimi"))


def test_a_run_folder_that_cannot_be_used_is_refused(data: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("")
    with pytest.raises(RunError, match=r"file/run cannot be made or written \(.*file: it is a file\)"):
        vitrail.bench(data, "vit_mini", out=tmp_path / "file" / "run")
    with pytest.raises(UsageError, match="is not empty and does not hold a run"):
        vitrail.bench(data, "vit_mini", out=tmp_path / "notes")
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match="runs cannot be made or written"):
        vitrail.bench(data, "vit_mini")


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write everywhere")
def test_a_run_folder_without_the_right_to_write_is_refused(data: Path, tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(RunError, match="no right to write there"):
        vitrail.bench(data, "vit_mini", out=closed / "run")


def fail_in(folder: Path, error: BaseException, *, opened: bool = False) -> None:
    """Enter a run folder, store no more than its start, and fail."""
    with pytest.raises(type(error)), enter_folder(folder, "identity") as journal:
        _start_and_fail(journal, error, opened=opened)


def _start_and_fail(journal: Journal, error: BaseException, *, opened: bool) -> NoReturn:
    journal.start("identity")
    if opened:
        journal.record_opening("choices")
    raise error


def test_an_error_before_anything_is_stored_leaves_no_folder(tmp_path: Path):
    (tmp_path / "given").mkdir()
    fail_in(tmp_path / "new" / "run", WeightsError("too late"))
    fail_in(tmp_path / "given", WeightsError("too late"))
    assert not (tmp_path / "new").exists()
    assert not list((tmp_path / "given").iterdir())


def test_an_interrupted_run_and_one_that_stored_something_stay(tmp_path: Path):
    fail_in(tmp_path / "interrupted", KeyboardInterrupt())
    fail_in(tmp_path / "interrupted", WeightsError("in the second start"))
    fail_in(tmp_path / "opened", WeightsError("late"), opened=True)
    assert (tmp_path / "interrupted" / "log.jsonl").is_file()
    assert (tmp_path / "opened" / "log.jsonl").is_file()
