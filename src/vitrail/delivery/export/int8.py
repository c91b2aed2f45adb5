"""The network of a run in int8, with its head behind it, as one OpenVINO model.

Letters: B images, D features.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vitrail.backbones.engines import choose_engine
from vitrail.backbones.kept_models import import_openvino
from vitrail.delivery.export.answers import ImageFiles
from vitrail.delivery.export.graphs import MODEL_FILE, save_openvino
from vitrail.delivery.export.network import Classifier
from vitrail.features.int8_ranges import attach_ranges


def write_int8(
    classifier: Classifier, train: ImageFiles, *, facts: Mapping[str, object], folder: Path, max_pixels: int
) -> None:
    """Write the model into a folder, with `facts` in its metadata; the rest is as in `join_int8`."""
    model, owner = join_int8(classifier, train, max_pixels=max_pixels)
    save_openvino(model, json.dumps(facts, sort_keys=True), folder / MODEL_FILE["openvino"], as_fp16=False)
    del owner  # its weights are shared with the model


def join_int8(classifier: Classifier, train: ImageFiles, *, max_pixels: int) -> tuple[Any, object]:
    """The network in int8 with its head in float32 behind it, as an OpenVINO model with the same input and outputs.

    It is quantised as the engine's features are, and the cache keeps it. The head and the distance, in which small
    errors of many features add up, cost next to nothing in float32.

    Args:
        classifier: the backbone of a run with its head and thresholds.
        train: the train images of the run, from which int8 takes its ranges.
        max_pixels: larger images are left out of the ranges.

    Returns:
        The model, and what the weights of its head belong to.

    Raises:
        UsageError: NNCF is not installed.
        DataError: a train image has changed or cannot be read.
    """
    import torch

    from vitrail.backbones.backbone import make_openvino_model
    from vitrail.backbones.converted import TRACED_BATCH, trace
    from vitrail.heads.module import AnswerModule

    on_int8 = replace(classifier.backbone, engine=choose_engine("openvino", "int8"))
    features = make_openvino_model(
        attach_ranges(on_int8, train.ids, train.read, max_pixels=max_pixels), classifier.other_pooling
    )
    width = features.output(0).partial_shape[1].get_length()
    answer, owner = trace(AnswerModule(classifier.head, classifier.refusal).eval(), torch.zeros((TRACED_BATCH, width)))
    answer.reshape([-1, width])
    features.reshape([-1, *list(features.input(0).partial_shape)[1:]])
    answer.get_parameters()[0].output(0).replace(features.output(0).get_node().input_value(0))
    joined = import_openvino().Model(answer.get_results(), features.get_parameters(), "vitrail")
    return joined, (owner, features)
