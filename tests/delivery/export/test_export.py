"""Model folders from a real run: what is in them, what they answer, and which wrong ones are refused."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.exports import CHANGES, certify_folder

from tests.delivery.export.conftest import Finished
from tests.delivery.test_predict import Notes
from tests.pictures import draw_folder
from vitrail.backbones.engines import Precision
from vitrail.backbones.openvino_package import import_openvino, openvino_capabilities
from vitrail.cli.main import _run
from vitrail.core.errors import DataError, RunError, UsageError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.core.resources import Resources
from vitrail.delivery.export import export as export_module
from vitrail.delivery.export.answers import answer_with_folder, open_test_files
from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.export.export import ExportOptions, export_run
from vitrail.delivery.export.folder_files import filled_folder
from vitrail.delivery.export.graphs import FORMATS, ExportFormat, Target
from vitrail.delivery.export.int8 import join_openvino, write_int8
from vitrail.delivery.export.layout import RUNTIME
from vitrail.delivery.export.network import Classifier
from vitrail.delivery.predict import Predictor
from vitrail.features.int8_ranges import attach_ranges
from vitrail.heads import probabilities
from vitrail.heads.bank import neighbour_distance

NAMES = ("resnet_mini", "vit_mini")


def require(export_format: str) -> None:
    if find_spec(RUNTIME[export_format]) is None:
        pytest.skip(f"needs {RUNTIME[export_format]}")


def certify_changed(
    finished: Finished, folder: Path, name: str, export_format: ExportFormat, change: str | None
) -> Certificate:
    """The certificate of a folder that is written from a changed classifier and compared with the right one."""
    reference = finished.reference(name)
    written = CHANGES[change](reference.classifier) if change else reference.classifier
    return certify_folder(reference, written, target=Target(format=export_format), folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("export_format", FORMATS)
def test_a_faithful_export_is_certified(finished: Finished, tmp_path: Path, export_format: ExportFormat, name: str):
    require(export_format)
    certificate = certify_changed(finished, tmp_path, name, export_format, None)
    assert certificate.faults() == ()
    assert certificate.fidelity.largest_difference < 2e-5
    assert certificate.fidelity.images == certificate.fidelity.reduced == len(finished.run.predictions(name).ids)
    assert {"numpy", "PIL", RUNTIME[export_format]} <= set(certificate.imported)
    assert certificate.shift.largest_difference < 1e-3, "the run is in float32 too; the store rounds features"
    assert certificate.shift.promises.sets[0].coverage.n == certificate.fidelity.images
    assert certificate.speed.best.images_per_s >= certificate.speed.alone.images_per_s > 0
    assert certificate.bytes > 1e6


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_export_is_refused(finished: Finished, tmp_path: Path, change: str):
    require("openvino")
    name = "vit_mini" if change == "wrong pooling" else "resnet_mini"  # only the first has two
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
    options = ExportOptions(format=export_format)
    result = export_run(finished.run.folder, out, options, resources=Resources(offline=True))
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
    predictor = Predictor.open(finished.run.folder, resources=Resources(offline=True))
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
    if export_format == "torch":
        import torch

        facts = {"vitrail": ""}
        torch.export.load(folder / "model.pt2", extra_files=facts)
        return json.loads(facts["vitrail"])
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
        export_run(
            finished.run.folder, tmp_path / "model", ExportOptions(format="openvino"), resources=Resources(offline=True)
        )
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
            export_run(finished.run.folder, tmp_path / "model", ExportOptions(format="openvino"), data=str(folder))
    assert not (tmp_path / "model").exists()


def test_a_model_that_cannot_answer_ends_the_export_with_its_words(finished: Finished, tmp_path: Path):
    (tmp_path / "preprocess.py").write_text("")
    (tmp_path / "classify.py").write_text("raise SystemExit('the model is damaged')")
    with pytest.raises(RunError, match=r"nothing was exported\. It ended with: the model is damaged"):
        answer_with_folder(tmp_path, finished.reference("vit_mini").test, resources=Resources(offline=True))


def test_a_folder_that_is_there_is_not_replaced(finished: Finished, tmp_path: Path):
    require("openvino")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="already there"):
        export_run(finished.run.folder, tmp_path, ExportOptions(format="openvino"))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_where_no_folder_can_be_made_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for out in (Path(), Path("a/..")):
        with pytest.raises(UsageError, match="does not end in the name of a folder"):
            export_run(tmp_path / "no run", out, ExportOptions(format="torch"))
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be made in .*file"):
        export_run(tmp_path / "no run", tmp_path / "file" / "model", ExportOptions(format="torch"))


@pytest.mark.parametrize("error", [RunError("refused"), KeyboardInterrupt()])
def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path: Path, error: BaseException):
    def fill(out: Path) -> None:
        with filled_folder(out) as folder:
            (folder / "model.json").write_text("{}")
            raise error

    with pytest.raises(type(error)):
        fill(tmp_path / "models" / "new" / "digits")
    assert list(tmp_path.iterdir()) == []
    with filled_folder(tmp_path / "models" / "digits") as folder:
        (folder / "model.json").write_text("{}")
    assert (tmp_path / "models" / "digits" / "model.json").read_text() == "{}"


def test_an_error_ends_the_process_that_answers(finished: Finished, tmp_path: Path):
    """It would wait for the rest of the images, or measure its speed with those that it has."""
    (tmp_path / "preprocess.py").write_text("")
    (tmp_path / "classify.py").write_text("import time; time.sleep(600)")
    test = finished.reference("vit_mini").test
    changed = replace(test, paths=dict.fromkeys(test.ids, "gone.png"))
    with pytest.raises(DataError, match=r"gone\.png"):
        answer_with_folder(tmp_path, changed, resources=Resources(offline=True))


def test_an_unknown_format_is_refused(finished: Finished, tmp_path: Path):
    with pytest.raises(UsageError, match="choose onnx, openvino, torch"):
        export_run(finished.run.folder, tmp_path / "model", ExportOptions(format="coreml"))


def test_images_are_not_downloaded_because_a_run_says_so(finished: Finished, tmp_path: Path):
    for command in ("vitrail bench https://example.org/images.zip", "vitrail bench /no/such/folder", "vitrail.bench"):
        run = replace(finished.run, results=replace(finished.run.results, command=command))
        with pytest.raises(UsageError, match="say with --data"):
            open_test_files(run, (), None, Resources())


def test_a_folder_of_the_name_of_the_digits_is_not_the_digits(finished: Finished):
    results = finished.run.results
    named = replace(results, command="vitrail.bench", data=replace(results.data, name="digits"))
    ids = finished.run.predictions("vit_mini").ids
    with pytest.raises(UsageError, match="say with --data"):
        open_test_files(replace(finished.run, results=named), ids, None, Resources())


@pytest.mark.slow
def test_the_command_prints_what_was_checked(finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    require("openvino")
    out = tmp_path / "model"
    arguments = ["export", str(finished.run.folder), "--format", "openvino", "--out", str(out), "--offline", "-q"]
    assert _run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Model", "Fidelity", "Run", "Speed", "Next"]
    assert "12 test images" in lines[1]
    assert lines[-1] == f"Next      python {out / 'classify.py'} IMAGE"
    assert count_openvino_calls(out) == 1, "for the two outputs of a batch"
    assert _run(arguments) == 2
    assert "already there" in capsys.readouterr().err


def count_openvino_calls(folder: Path) -> int:
    """How often a batch runs the model of a folder."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import classify, numpy, openvino\n"
        "calls, call = [], openvino.CompiledModel.__call__\n"
        "openvino.CompiledModel.__call__ = lambda *given: calls.append(1) or call(*given)\n"
        "run = classify.open_model(threads=1)\n"
        "crop = int(sys.argv[2])\n"
        "run(numpy.zeros((2, crop, crop, 3), numpy.uint8))\n"
        "print(len(calls))"
    )
    crop = json.loads((folder / "model.json").read_text())["preprocessing"]["crop"]
    command = [sys.executable, "-c", program, str(folder), str(crop)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_there_is_no_loss_to_accept_in_fp32(finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["export", str(finished.run.folder), "--accept-loss", "--format", "torch"]
    assert _run([*arguments, "--out", str(tmp_path / "model"), "-q"]) == 2
    assert "fp32 has no loss to accept" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("export_format", "precision"),
    [("openvino", "bf16"), ("openvino", "fp16"), ("openvino", "int8"), ("onnx", "fp16")],
)
def test_a_reduced_precision_on_a_small_test_is_exported_only_if_its_loss_is_accepted(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], export_format: str, precision: Precision
):
    require(export_format)
    if precision == "bf16" and "BF16" not in openvino_capabilities():
        pytest.skip("needs a processor with bfloat16 units")
    if precision == "int8" and find_spec("nncf") is None:
        pytest.skip("needs nncf")
    out = tmp_path / "model"
    arguments = ["export", str(finished.run.folder), "-b", "vit_mini", "--format", export_format]
    arguments += ["--precision", precision, "--out", str(out), "--offline", "-q"]
    assert _run(arguments) == 1
    refusal = capsys.readouterr().err
    assert "is undecided (export less run:" in refusal
    assert "a test of 12 images cannot exclude it, even if no answer differs; that takes 1,277" in refusal
    assert "give --accept-loss" in refusal
    assert list(tmp_path.iterdir()) == []

    assert _run([*arguments, "--accept-loss"]) == 0
    assert "(accepted with --accept-loss); " in capsys.readouterr().out
    certificate = json.loads((out / "certificate.json").read_text())
    assert (certificate["precision"], certificate["loss"]["outcome"]) == (precision, "undecided")
    assert certificate["loss"]["accepted"] is True
    assert 0 < certificate["fidelity"]["largest_difference"] < 0.2
    assert json.loads((out / "model.json").read_text())["precision"] == precision


@pytest.mark.slow
def test_a_precision_that_is_refused_is_followed_by_fp32(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require("openvino")
    if "BF16" not in openvino_capabilities():
        pytest.skip("needs a processor with bf16 units")
    monkeypatch.setattr("vitrail.backbones.engines._processor", lambda: {"amx_bf16": True})
    notes = Notes()
    resources = Resources(offline=True, progress=notes)
    options = ExportOptions(format="openvino", precision="auto")
    exported = export_run(finished.run.folder, tmp_path / "model", options, resources=resources)
    assert exported.certificate.precision == "fp32"
    (note,) = [note for note in notes.notes if note.startswith("Not in bf16: ")]
    assert note.endswith("Exporting in fp32.")
    assert "that takes 1,277" in note


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_only_the_network_of_an_int8_export_is_quantised(finished: Finished, name: str):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    reference = finished.reference(name)
    classifier, train = reference.classifier, reference.train
    backbone = attach_ranges(classifier.backbone, train.ids, train.read, max_pixels=10**8)
    model, owner = join_openvino(classifier, backbone)
    quantised = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
    assert quantised
    assert not any(part in op for op in quantised for part in ("head", "strangeness", "patch_embed"))

    openvino, (_, network) = import_openvino(), owner
    feature = openvino.opset13.result(network.output(0).get_node().input_value(0))
    model = openvino.Model([*model.get_results(), feature], model.get_parameters(), "with its features")
    crop = backbone.card.preprocessing.crop
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (3, crop, crop, 3), dtype=np.uint8)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    probability_BC, distance_B, feature_BD = compiled(pixel_BHWC).values()
    refusal = classifier.refusal
    wanted_B = neighbour_distance(feature_BD, refusal.bank_BD, refusal.neighbours)
    np.testing.assert_allclose(probability_BC, probabilities(classifier.head, feature_BD), atol=1e-5)
    np.testing.assert_allclose(distance_B, wanted_B, atol=1e-5)


@pytest.mark.slow
def test_only_the_network_of_an_int8_export_for_onnx_is_quantised(finished: Finished, tmp_path: Path):
    pytest.importorskip("nncf")
    onnxruntime = pytest.importorskip("onnxruntime")
    import onnx

    reference = finished.reference("vit_mini")
    classifier, train = reference.classifier, reference.train
    backbone = attach_ranges(classifier.backbone, train.ids[:4], train.read, max_pixels=10**8)
    write_int8(Target(format="onnx", precision="int8"), classifier, backbone, facts={"run": "facts"}, folder=tmp_path)
    assert read_metadata(tmp_path, "onnx") == {"run": "facts"}
    model = onnx.load(tmp_path / "model.onnx")
    quantised = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert quantised
    assert not any(node.name.startswith("answer_") for node in quantised)

    width = len(classifier.head.scaling.mean_D)
    model.graph.output.append(onnx.helper.make_tensor_value_info("feature", onnx.TensorProto.FLOAT, [None, width]))
    crop = backbone.card.preprocessing.crop
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (3, crop, crop, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    probability_BC, distance_B, feature_BD = session.run(["probability", "distance", "feature"], {"pixels": pixel_BHWC})
    refusal = classifier.refusal
    wanted_B = neighbour_distance(feature_BD, refusal.bank_BD, refusal.neighbours)
    np.testing.assert_allclose(probability_BC, probabilities(classifier.head, feature_BD), atol=1e-5)
    np.testing.assert_allclose(distance_B, wanted_B, atol=1e-5)


def test_changed_train_images_end_an_int8_export(finished: Finished, tmp_path: Path):
    train = finished.reference("vit_mini").train
    others = draw_folder(tmp_path / "others", per_class=20, side=71)
    changed = replace(train, source=open_test_files(finished.run, train.ids, str(others), Resources()).source)
    with pytest.raises(DataError, match=r"cannot be read|changed"):
        changed.read(train.ids[0])
