"""Model folders from a real run: what is in them, what they answer, and which wrong ones are refused."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.export.conftest import Finished
from tests.pictures import draw_folder
from vitrail.backbones.poolings import components_of
from vitrail.core.errors import DataError, RunError, UsageError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.core.resources import Resources
from vitrail.delivery.export import export as export_module
from vitrail.delivery.export.answers import answer_with_folder, answer_with_torch
from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.export.export import certify, export_run, write_model
from vitrail.delivery.export.graphs import FORMATS, RUNTIME, ExportFormat
from vitrail.delivery.export.network import Classifier
from vitrail.delivery.predict import Predictor

NAMES = ("resnet_mini", "vit_mini")
LIMIT = 10**8
RUN_DIGEST = "0" * 64


def require(export_format: str) -> None:
    if find_spec(RUNTIME[export_format]) is None:
        pytest.skip(f"needs {RUNTIME[export_format]}")


def certify_changed(
    finished: Finished,
    tmp_path: Path,
    name: str,
    export_format: ExportFormat,
    change: Callable[[Classifier], Classifier],
) -> Certificate:
    """The certificate of a folder that is written from a changed classifier and compared with the right one."""
    classifier, files, resources = finished.open(name), finished.test_files(name), Resources(cores=1, offline=True)
    torch = answer_with_torch(classifier, files, max_pixels=LIMIT, resources=resources)
    write_model(tmp_path, change(classifier), RUN_DIGEST, export_format, max_pixels=LIMIT)
    measured = answer_with_folder(tmp_path, files, resources=resources)
    return certify(finished.run, classifier, torch, measured, folder=tmp_path, export_format=export_format)


def change_preprocessing(classifier: Classifier, **changes: Any) -> Classifier:
    card = classifier.backbone.card
    changed = replace(card, preprocessing=replace(card.preprocessing, **changes))
    return replace(classifier, backbone=replace(classifier.backbone, card=changed))


def reverse_pooling(classifier: Classifier) -> Classifier:
    """Another pooling of the same width: the other component, or the same ones in another order."""
    parts = components_of(classifier.pooling)
    wrong = "+".join(reversed(parts)) if len(parts) > 1 else {"cls": "mean", "mean": "cls"}[classifier.pooling]
    return replace(classifier, pooling=wrong)


TWINS: dict[str, tuple[str, Callable[[Classifier], Classifier]]] = {
    "BGR": ("resnet_mini", lambda classifier: change_preprocessing(classifier, channels="BGR")),
    "wrong pooling": ("vit_mini", reverse_pooling),
    "no temperature": (
        "resnet_mini",
        lambda classifier: replace(classifier, head=replace(classifier.head, temperature=1.0)),
    ),
    "no antialiasing": (
        "resnet_mini",
        lambda classifier: change_preprocessing(classifier, interpolation="bilinear", antialias=False),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("export_format", FORMATS)
def test_a_faithful_export_is_certified(finished: Finished, tmp_path: Path, export_format: ExportFormat, name: str):
    require(export_format)
    certificate = certify_changed(finished, tmp_path, name, export_format, lambda classifier: classifier)
    assert certificate.faults() == ()
    assert certificate.fidelity.largest_difference < 2e-5
    assert certificate.fidelity.images == certificate.fidelity.reduced == len(finished.test_files(name).ids)
    assert {"numpy", "PIL", RUNTIME[export_format]} <= set(certificate.imported)
    assert certificate.shift.largest_difference < 2e-5, "the run is in float32 too"
    assert certificate.shift.promises.sets[0].coverage.n == certificate.fidelity.images
    assert certificate.speed.best.images_per_s >= certificate.speed.alone.images_per_s > 0
    assert certificate.bytes > 1e6


@pytest.mark.slow
@pytest.mark.parametrize("twin", TWINS)
def test_a_wrong_export_is_refused(finished: Finished, tmp_path: Path, twin: str):
    require("openvino")
    name, change = TWINS[twin]
    certificate = certify_changed(finished, tmp_path, name, "openvino", change)
    assert certificate.fidelity.largest_difference > 1e-4
    assert any("from the same network's on torch" in fault for fault in certificate.faults())


@pytest.mark.slow
@pytest.mark.parametrize("export_format", FORMATS)
def test_a_model_folder_is_whole_and_answers_as_predict_does(
    finished: Finished, tmp_path: Path, export_format: ExportFormat
):
    require(export_format)
    out, before = tmp_path / "model", digest_folder(finished.run.folder)
    result = export_run(finished.run.folder, out, export_format=export_format, resources=Resources(offline=True))
    assert digest_folder(finished.run.folder) == before, "a finished run never changes"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert result.certificate.faults() == ()

    receipt = json.loads((out / "receipt.json").read_text())
    assert receipt["files"] == {
        path.name: sha256_file(path) for path in sorted(out.iterdir()) if path.name != "receipt.json"
    }
    assert receipt.pop("digest") == fingerprint(receipt)
    facts = json.loads((out / "model.json").read_text())
    run_digest = json.loads((finished.run.folder / "receipt.json").read_text())["digest"]
    assert facts["run"] == receipt["run"] == result.certificate.run == run_digest
    assert facts["weights"]["licence"] == "Apache-2.0"
    assert "training images" in facts["training_images"]
    assert read_metadata(out, export_format) == facts

    pictures = sorted(finished.data.rglob("*.png"))[::9]
    done = subprocess.run(
        [sys.executable, str(out / "classify.py"), *map(str, pictures)], capture_output=True, text=True, check=True
    )
    predictor = Predictor.open(finished.run.folder, offline=True)
    for line, prediction in zip(done.stdout.splitlines(), predictor.predict(pictures), strict=True):
        path, answer, probability, likely = line.split("\t")
        assert path == prediction.path
        assert answer == prediction.label or (prediction.doubt and "I do not know" in answer)
        assert abs(float(probability.rstrip("%")) - 100 * prediction.probability) < 0.06
        assert tuple(re.findall(r"'(\w+)'", likely)) == prediction.set


def digest_folder(folder: Path) -> dict[str, str]:
    return {str(path): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def read_metadata(folder: Path, export_format: ExportFormat) -> Any:
    if export_format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "model.onnx")
        return json.loads(session.get_modelmeta().custom_metadata_map["vitrail"])
    import openvino

    return json.loads(openvino.Core().read_model(folder / "model.xml").get_rt_info(["vitrail"]).astype(str))


@pytest.mark.slow
def test_a_refused_export_leaves_nothing(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    require("openvino")
    join = export_module.join_network

    def join_untempered(classifier: Classifier) -> Any:
        return join(replace(classifier, head=replace(classifier.head, temperature=9.0)))

    monkeypatch.setattr(export_module, "join_network", join_untempered)
    with pytest.raises(RunError, match="does not answer the test images as the run did") as error:
        export_run(finished.run.folder, tmp_path / "model", export_format="openvino", resources=Resources(offline=True))
    assert "a probability differs by" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_other_images_end_an_export(finished: Finished, tmp_path: Path):
    require("openvino")
    for folder, error, message in (
        (draw_folder(tmp_path / "others", per_class=20, side=71), DataError, "cannot be read|changed"),
        (tmp_path / "gone", UsageError, "There is nothing at"),
    ):
        with pytest.raises(error, match=message):
            export_run(finished.run.folder, tmp_path / "model", export_format="openvino", data=str(folder))
    assert not (tmp_path / "model").exists()


def test_a_folder_that_is_there_is_not_replaced(finished: Finished, tmp_path: Path):
    require("openvino")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="already there"):
        export_run(finished.run.folder, tmp_path, export_format="openvino")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_an_unknown_format_is_refused(finished: Finished, tmp_path: Path):
    with pytest.raises(UsageError, match="choose onnx or openvino"):
        export_run(finished.run.folder, tmp_path / "model", export_format="coreml")


def test_images_are_not_downloaded_because_a_run_says_so(finished: Finished, tmp_path: Path):
    from vitrail.delivery.export.answers import open_test_files

    results = replace(finished.run.results, command="vitrail bench https://example.org/images.zip")
    run = replace(finished.run, results=results)
    with pytest.raises(UsageError, match="say with --data"):
        open_test_files(run, (), None, Resources())
