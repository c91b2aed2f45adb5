"""The network of a run in int8, with its head behind it in float32, as one model.

The network is quantised alone, so that nothing of the head and of the distance is in int8: small errors of many
features add up there, and in float32 both cost next to nothing. Ranges come from train images of the run.

Letters: B images, D features.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.backbones import Backbone
from vitrail.backbones.backbone import is_transformer, make_openvino_model
from vitrail.backbones.converted import TRACED_BATCH, empty_pixels, normalising, quantise_model, trace
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.kept_models import import_openvino
from vitrail.delivery.export.graphs import METADATA, Target, export_onnx, save_openvino, writing
from vitrail.delivery.export.layout import MODEL_FILE, OUTPUTS, PIXELS
from vitrail.delivery.export.network import Classifier

if TYPE_CHECKING:
    from torch import Tensor, nn

FEATURE = "feature"  # between the two parts


def write_int8(
    target: Target, classifier: Classifier, backbone: Backbone, *, facts: Mapping[str, object], folder: Path
) -> None:
    """Write the model into a folder, with `facts` in its metadata.

    Args:
        target: its format.
        classifier: the backbone of a run with its head and thresholds.
        backbone: the same with the images for its ranges.
        facts: what is known of the model.
        folder: where.

    Raises:
        WeightsError: an operation of this network cannot be written in the format.
        DataError: an image for the ranges has changed or cannot be read.
        OSError: the file cannot be written.
    """
    text, path = json.dumps(facts, sort_keys=True), folder / MODEL_FILE[target.format]
    with writing(target):
        if target.format == "openvino":
            model, owner = join_openvino(classifier, backbone)
            save_openvino(model, text, path, as_fp16=False)
            del owner  # its weights are shared with the model
        else:
            import onnx

            joined = join_onnx(classifier, backbone)
            onnx.helper.set_model_props(joined, {METADATA: text})
            onnx.save(joined, path)


def join_openvino(classifier: Classifier, backbone: Backbone) -> tuple[Any, object]:
    """The openvino.Model, and what shares its weights.

    The network is that of the engine, which the cache keeps.
    """
    on_int8 = replace(backbone, engine=replace(choose_engine("openvino", "int8"), ranges=backbone.engine.ranges))
    network = make_openvino_model(on_int8, classifier.other_pooling)
    head, feature_BD = _make_head(classifier, network.output(0).partial_shape[1].get_length())
    answer, owner = trace(head, feature_BD)
    answer.reshape([-1, feature_BD.shape[1]])
    network.reshape([-1, *list(network.input(0).partial_shape)[1:]])
    answer.get_parameters()[0].output(0).replace(network.output(0).get_node().input_value(0))
    joined = import_openvino().Model(answer.get_results(), network.get_parameters(), "vitrail")
    return joined, (owner, network)


def join_onnx(classifier: Classifier, backbone: Backbone) -> Any:
    """The onnx.ModelProto."""
    import onnx.compose

    assert backbone.read_range_images is not None, "the caller has attached them"
    pixel_BHWC, card = backbone.read_range_images(), backbone.card
    module = normalising(backbone.load_net(), card.preprocessing, classifier.other_pooling)
    network = export_onnx(module, empty_pixels(card.preprocessing.crop), PIXELS, [FEATURE]).model_proto
    first = next(node for node in network.graph.node if node.op_type in ("Conv", "MatMul", "Gemm"))
    quantised = quantise_model(
        network,
        [{PIXELS: pixel_BHWC[place : place + 1]} for place in range(len(pixel_BHWC))],
        first_layer=first.name,
        transformer=is_transformer(card),
    )
    head, feature_BD = _make_head(classifier, network.graph.output[0].type.tensor_type.shape.dim[1].dim_value)
    answer = export_onnx(head, feature_BD, FEATURE, OUTPUTS).model_proto
    answer = onnx.compose.add_prefix(answer, "answer_", rename_inputs=False, rename_outputs=False)
    return onnx.compose.merge_models(quantised, answer, io_map=[(FEATURE, FEATURE)])


def _make_head(classifier: Classifier, width: int) -> "tuple[nn.Module, Tensor]":
    """From features to probabilities and distances, and features to trace it with."""
    import torch

    from vitrail.heads.module import AnswerModule

    return AnswerModule(classifier.head, classifier.refusal).eval(), torch.zeros((TRACED_BATCH, width))
