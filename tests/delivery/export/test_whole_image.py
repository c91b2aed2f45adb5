"""Models that take whole images answer as the models of crops do, and are refused where they cannot."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.delivery.export.conftest import Finished
from vitrail.core.bounded import read_json
from vitrail.core.errors import UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.resources import Resources
from vitrail.delivery.export.certificate import WholeImage
from vitrail.delivery.export.export import ExportOptions, export_run
from vitrail.delivery.export.graphs import Target
from vitrail.delivery.export.layout import RUNTIME
from vitrail.delivery.export.network import Classifier
from vitrail.delivery.export.whole_image import check_whole_image, describe_whole_image, is_within, require_whole_image
from vitrail.delivery.model_folder import ModelFolder

CHECKED = WholeImage(
    model={}, bytes=1, images=9, beyond=0, largest_difference=1e-6, allowed_difference=1e-4, seconds=0.1
)

# Does what `python whole_image.py IMAGE...` does, and asks the same model about an image beyond its limits: the runtime
# takes long to open a model of whole images.
WHOLE_AND_BEYOND = """
import functools, runpy, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import classify
classify.open_model = functools.cache(classify.open_model)
sys.argv = [f"{sys.argv[1]}/whole_image.py", *sys.argv[2:]]
names = runpy.run_path(sys.argv[0], run_name="__main__")
model = classify.open_model(file=names["FILE"])
print([np.isnan(output).all() for output in model(np.zeros((65, 1, 3), np.uint8))])
"""


def run_lines(*arguments: str | Path) -> list[str]:
    """The lines that a Python program prints in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("export_format", ["onnx", "openvino"])
def test_whole_images_get_the_answers_of_their_crops(finished: Finished, tmp_path: Path, export_format: str):
    pytest.importorskip(RUNTIME[export_format])
    resources = Resources(offline=True)
    options = ExportOptions(format=export_format, whole_image=True)
    exported = export_run(finished.run.folder, tmp_path / "model", options, resources=resources)
    checked = exported.certificate.whole_image
    assert checked is not None
    assert (checked.images, checked.beyond) == (exported.certificate.fidelity.images, 0)
    assert checked.largest_difference < 2e-5
    assert checked.model == {name: sha256_file(exported.folder / name) for name in checked.model}
    facts = read_json(exported.folder / "model.json")["whole_image"]
    assert facts["file"] in checked.model
    ModelFolder.open(exported.folder, threads=1)  # the model of crops is what predict uses

    pictures = [str(path) for path in sorted(finished.data.rglob("*.png"))[::9]]
    *wholes, beyond = run_lines("-c", WHOLE_AND_BEYOND, exported.folder, *pictures)
    crops = run_lines(exported.folder / "classify.py", *pictures)
    assert wholes == crops
    assert beyond.count("True") == 2, "an image beyond the limits gets no number"


@pytest.mark.parametrize(
    "change",
    [
        {"resize_rule": "squash"},
        {"equalise": True},
        {"decode": "fast"},
        {"crop": 10**3},
        {"antialias": False},
        {"resize": 518},
    ],
    ids=str,
)
def test_a_network_that_needs_other_pixels_takes_crops_only(finished: Finished, change: dict[str, object]):
    classifier = finished.open("vit_mini")
    require_whole_image(classifier, Target(format="onnx"))
    changed = with_preprocessing(classifier, {"interpolation": "bilinear", **change})
    with pytest.raises(UsageError, match="takes crops only: leave out --whole-image"):
        require_whole_image(changed, Target(format="onnx"))


@pytest.mark.parametrize("target", [Target(format="torch"), Target(format="openvino", precision="bf16")])
def test_there_is_no_model_of_whole_images_for_torch_or_a_reduced_precision(finished: Finished, target: Target):
    with pytest.raises(UsageError, match=f"for {target.format} in {target.precision} takes crops only"):
        require_whole_image(finished.open("vit_mini"), target)


def with_preprocessing(classifier: Classifier, change: dict[str, object]) -> Classifier:
    card = classifier.backbone.card
    rules = replace(card.preprocessing, **change)  # type: ignore[arg-type]
    return replace(classifier, backbone=replace(classifier.backbone, card=replace(card, preprocessing=rules)))


def test_an_image_within_the_limits_must_be_answered(finished: Finished, tmp_path: Path):
    """A model that gives no number for an image is not excused as if the image were beyond its limits."""
    reference = finished.reference("vit_mini")
    limits = describe_whole_image(reference.classifier, Target(format="onnx"))
    (tmp_path / limits["file"]).write_bytes(b"model")
    classes = reference.torch.probability_NC.shape[1]
    shape = "import numpy as np\ndef decode_file(data): return np.zeros((40, 30, 3))\n"
    (tmp_path / "preprocess.py").write_text(shape)
    (tmp_path / "whole_image.py").write_text("FILE = ''\ndef to_whole(decoded): return decoded\n")
    (tmp_path / "classify.py").write_text(
        "import numpy as np\n"
        "def open_model(threads, file):\n"
        f"    return lambda pixels: (np.full((1, {classes}), np.nan), np.full(1, np.nan))\n"
    )
    checked = check_whole_image(tmp_path, limits, reference, resources=Resources(offline=True))
    assert (checked.beyond, checked.largest_difference) == (0, np.inf)
    shorter = limits | {"most_short_side": 29}
    assert check_whole_image(tmp_path, shorter, reference, resources=Resources(offline=True)).beyond == checked.images


def test_the_limits_are_those_of_the_shape():
    limits = {"most_pixels": 2**24, "most_short_side": 24 * 40, "most_long_over_short": 64}
    for shape, within in (((960, 17_476), True), ((961, 961), False), ((64, 1), True), ((1, 65), False)):
        assert is_within(limits, *shape) is within, shape
    assert not is_within(limits, 900, 2**24 // 900 + 1)


def test_other_answers_are_a_fault():
    assert CHECKED.fault() is None
    assert "differs by 0.1" in str(replace(CHECKED, largest_difference=0.1).fault())
    assert "differs by inf" in str(replace(CHECKED, largest_difference=np.inf).fault())
    assert "are larger than" in str(replace(CHECKED, beyond=9).fault())
