"""`vitrail predict` with a model folder: the answers of the run and of the folder's own example, without torch."""

import csv
import json
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.delivery.export.conftest import Finished
from vitrail.cli.main import _run
from vitrail.core.resources import Resources
from vitrail.data.sources.digits import DigitsSource
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.predict_folder import FolderPredictor

pytestmark = pytest.mark.slow


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_answers_of_digits_are_those_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("openvino")
    run, model, tables = tmp_path / "run", tmp_path / "model", [tmp_path / "run.csv", tmp_path / "model.csv"]
    source, data = DigitsSource(), tmp_path / "digits"
    for file in islice(source.list_files(), 0, None, 3):  # 599 digits
        (data / file.path).parent.mkdir(parents=True, exist_ok=True)
        (data / file.path).write_bytes(source.read(file.path))
    options = ["-b", "vit_mini", "--trials", "1", "--engine", "torch", "--precision", "fp32"]
    assert _run(["bench", str(data), *options, "--out", str(run), "-q"]) == 0
    assert _run(["export", str(run), "--format", "openvino", "--out", str(model), "-q"]) == 0
    for folder, table in zip((run, model), tables, strict=True):
        assert _run(["predict", str(folder), str(data), "--sets", "adaptive", "--out", str(table), "-q"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("among the run's test images") == 1
    assert printed.count("A model folder does not list the images of its run") == 1
    of_run, of_model = map(rows_of, tables)
    assert len(of_run) == len(of_model) == 599
    allowed = ModelFolder.open(model, threads=1).certificate.fidelity.allowed_difference
    for ours, theirs in zip(of_model, of_run, strict=True):
        assert ours.keys() == theirs.keys()
        assert [ours[name] for name in ("file", "id", "true_label")] == [
            theirs[name] for name in ("file", "id", "true_label")
        ]
        assert abs(float(ours["probability_1"]) - float(theirs["probability_1"])) <= allowed
        assert ours["run_split"] == ""
    different = [ours["file"] for ours, theirs in zip(of_model, of_run, strict=True) if ours["why"] != theirs["why"]]
    assert len(different) <= 2, "only an image at a threshold may fall on its other side"


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_the_answers_are_those_of_the_example_in_the_folder(
    finished: Finished, name: str, request: pytest.FixtureRequest
):
    folder: Path = request.getfixturevalue(f"{name}_folder")
    paths = sorted(finished.data.rglob("*.png"))
    example = [sys.executable, str(folder / "classify.py"), *map(str, paths)]
    printed = subprocess.run(example, capture_output=True, text=True, check=True).stdout.splitlines()
    predictor = FolderPredictor.open(folder, resources=Resources(cores=2))
    for line, prediction in zip(printed, predictor.stream(paths), strict=True):
        path, answer, probability, likely = line.split("\t")
        assert path == prediction.path
        assert answer == prediction.label if prediction.doubt is None else "I do not know" in answer
        assert probability == f"{prediction.probability:.1%}"
        assert tuple(re.findall(r"'(\w+)'", likely)) == prediction.set


def test_every_form_of_image_is_predicted(finished: Finished, onnx_folder: Path, tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    first = sorted(finished.data.rglob("*.png"))[0]
    predictor = FolderPredictor.open(onnx_folder)
    whole, broken, in_memory = predictor.stream([first, tmp_path / "broken.png", first.read_bytes()])
    assert broken.reason is not None
    assert broken.reason.startswith("not an image")
    assert (whole.top, whole.id) == (in_memory.top, in_memory.id)
    assert in_memory.path == "images[2]"


def test_a_backbone_cannot_be_chosen_in_a_model_folder(onnx_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert _run(["predict", str(onnx_folder), "x.png", "-b", "vit_mini"]) == 2
    assert "is a model folder" in capsys.readouterr().err


def test_an_unknown_rule_is_refused(onnx_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert _run(["predict", str(onnx_folder), "x.png", "--sets", "largest"]) == 2
    assert "There is no rule" in capsys.readouterr().err


def test_torch_is_not_imported(finished: Finished, onnx_folder: Path):
    program = (
        "import sys; from vitrail.cli.main import _run\n"
        "code = _run(sys.argv[1:]); print({'torch'} & set(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "predict", str(onnx_folder), str(finished.data), "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "set()"
    assert len(json.loads(done.stdout)) == 60
