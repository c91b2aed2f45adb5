"""The model that takes the pixels of one whole image, of any size: its files in a model folder, and their check.

    whole_image.onnx, or whole_image.xml and .bin    pixels of a decoded image in, probability and distance out
    whole_image.py                                   an example

It stands beside the model of crops, which takes many images at once. Its probabilities are not numbers for an image
beyond its limits, which are in model.json.

Letters: N test images.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.backbones.converted import trace
from vitrail.core.errors import UsageError
from vitrail.core.resources import Resources
from vitrail.delivery.export.answers import Reference, answer_with_folder
from vitrail.delivery.export.certificate import MOST_DIFFERENCE, WholeImage, largest
from vitrail.delivery.export.folder_files import TEMPLATES, count_bytes, digest_model, write_text
from vitrail.delivery.export.graphs import METADATA, Target, export_onnx, save_openvino, writing
from vitrail.delivery.export.layout import MODEL_FILE, OUTPUTS, PIXELS
from vitrail.delivery.export.network import Classifier, join_network

if TYPE_CHECKING:
    from torch import nn

STEM = "whole_image"
TRACED_ROWS, TRACED_COLUMNS = 300, 400
MOST_RESIZE = 512  # times the longest side it is 2^24, up to which float32 has every whole number


def require_whole_image(classifier: Classifier, target: Target) -> None:
    """Check that a model can take whole images.

    Raises:
        UsageError: there is none for this format or precision, or the pixels need more than a plain resize and crop.
    """
    if target.format not in WRITERS or target.precision != "fp32":
        raise UsageError(
            f"A model for {target.format} in {target.precision} takes crops only: leave out --whole-image, or choose "
            f"--format {' or '.join(WRITERS)} with --precision fp32."
        )
    rules = classifier.backbone.card.preprocessing
    if rules.resize > MOST_RESIZE:
        raise UsageError(
            f"{classifier.result.name} resizes images to {rules.resize} pixels, and a model of whole images can do so "
            f"up to {MOST_RESIZE}, so its model takes crops only: leave out --whole-image."
        )
    plain = rules.antialias and rules.resize_rule == "short side" and not rules.equalise
    if not plain or rules.crop > rules.resize:
        raise UsageError(
            f"{classifier.result.name} needs more than a resize with antialiasing and a centre crop, so its model "
            "takes crops only: leave out --whole-image."
        )
    if rules.decode != "exact":
        raise UsageError(
            "This run decoded large JPEGs at a fraction of their size, so its model takes crops only: leave out "
            "--whole-image."
        )


def describe_whole_image(classifier: Classifier, target: Target) -> dict[str, Any]:
    """What model.json says of the model under `whole_image`: its file, its input and its limits."""
    from vitrail.delivery.export.pillow_resize import LONGEST_STRIP, MOST_PIXELS, MOST_SCALE

    return {
        "file": STEM + Path(MODEL_FILE[target.format]).suffix,
        "input": {"name": PIXELS, "shape": ["rows", "columns", 3]},
        "most_pixels": MOST_PIXELS,
        "most_short_side": MOST_SCALE * classifier.backbone.card.preprocessing.resize,
        "most_long_over_short": LONGEST_STRIP,
    }


def write_whole_image(folder: Path, classifier: Classifier, target: Target, facts: Mapping[str, Any]) -> None:
    """Write the model and its example into a model folder.

    Raises:
        WeightsError: the network cannot be written.
        OSError: a file cannot be written.
    """
    file = facts["whole_image"]["file"]
    with writing(target):
        WRITERS[target.format](join_whole(classifier), json.dumps(facts, sort_keys=True), folder / file)
    example = (TEMPLATES / "whole_image.py.txt").read_text(encoding="utf-8")
    write_text(folder / f"{STEM}.py", example.replace("WHOLE_IMAGE", file))


def check_whole_image(
    folder: Path, limits: Mapping[str, Any], reference: Reference, *, resources: Resources
) -> WholeImage:
    """Compare what the model of a folder answers to whole images with what torch answered to their crops.

    Every image within the limits of `describe_whole_image` is compared, and every other one that gets an answer.
    """
    measured = answer_with_folder(folder, reference.test, resources=resources, whole_image=True)
    within_N = np.array([is_within(limits, *shape) for shape in measured.facts["shapes"]])
    compared_N = within_N | np.isfinite(measured.answers.distance_N)
    model = digest_model(folder, limits["file"])
    return WholeImage(
        model=model,
        bytes=count_bytes(folder, model),
        images=len(compared_N),
        beyond=int((~compared_N).sum()),
        largest_difference=max(
            largest(before[compared_N], after[compared_N]) if compared_N.any() else 0.0
            for before, after in (
                (reference.torch.probability_NC, measured.answers.probability_NC),
                (reference.torch.distance_N, measured.answers.distance_N),
            )
        ),
        allowed_difference=MOST_DIFFERENCE,
        seconds=measured.facts["seconds"],
    )


def is_within(limits: Mapping[str, Any], rows: int, columns: int) -> bool:
    """Whether the model answers an image of this shape."""
    short, long = sorted((rows, columns))
    return bool(
        rows * columns <= limits["most_pixels"]
        and short <= limits["most_short_side"]
        and long <= limits["most_long_over_short"] * short
    )


def join_whole(classifier: Classifier) -> "nn.Module":
    """8-bit `pixel_HWC` in; `probability_1C` and `distance_1` out, not numbers for an image beyond the limits."""
    import torch
    from torch import Tensor, nn

    from vitrail.delivery.export.pillow_resize import PillowResize

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.resize = PillowResize(classifier.backbone.card.preprocessing)
            self.network = join_network(classifier)

        def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
            pixel_1PPC, fits = self.resize(pixels)
            probability_1C, distance_1 = self.network(pixel_1PPC)
            return torch.where(fits, probability_1C, torch.nan), torch.where(fits, distance_1, torch.nan)

    return Whole().eval()


def _write_onnx(network: "nn.Module", facts: str, path: Path) -> None:
    import torch

    pixel_HWC = torch.zeros((TRACED_ROWS, TRACED_COLUMNS, 3), dtype=torch.uint8)
    program = export_onnx(network, pixel_HWC, PIXELS, OUTPUTS, free=("rows", "columns"))
    program.model.metadata_props[METADATA] = facts
    program.save(path)


def _write_openvino(network: "nn.Module", facts: str, path: Path) -> None:
    import torch

    model, owner = trace(network, torch.zeros((TRACED_ROWS, TRACED_COLUMNS, 3), dtype=torch.uint8))
    model.reshape([-1, -1, 3])
    save_openvino(model, facts, path, as_fp16=False)
    del owner  # its weights are shared with the model


WRITERS: dict[str, Callable[["nn.Module", str, Path], None]] = {"onnx": _write_onnx, "openvino": _write_openvino}
