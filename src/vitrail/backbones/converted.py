"""A torch network as an OpenVINO model, in float32, or in int8 with ranges taken from images.

`openvino.convert_model` reports its use over the network, so its front end is called directly.

Letters: B images, H rows, W columns, C channels, D features.
"""

import io
import logging
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.kept_models import kept_model
from vitrail.backbones.openvino_package import without_telemetry
from vitrail.backbones.poolings import components_of

if TYPE_CHECKING:
    from torch import Tensor, nn

TRACED_BATCH = 2  # with 1, what depends on the batch could be taken for a constant; any batch can be set afterwards


def convert(
    load_net: "Callable[[], nn.Module]",
    preprocessing: Preprocessing,
    *,
    pooling: str | None,
    facts: Mapping[str, object],
    cache: Path,
) -> Any:
    """The OpenVINO model of a network: 8-bit `pixel_BHWC` in, `feature_BD` out, any B by `reshape`.

    Args:
        load_net: gives the network with its weights, in evaluation mode; called only if the cache has no model yet.
        preprocessing: pixels are normalised inside the model.
        pooling: which features come out; None is the network's own.
        facts: everything of the network that the model depends on, for its key.
        cache: the cache folder; if it cannot be written, nothing is stored.

    Returns:
        An openvino.Model.
    """
    import torch

    def make() -> tuple[Any, object]:
        # A module's weights are shared with what is converted from it, so it stays alive until the model is written.
        return trace(normalising(load_net(), preprocessing, pooling), empty_pixels(preprocessing.crop))

    return kept_model({**facts, "pooling": pooling, "torch": torch.__version__}, make, cache=cache)


def quantise(
    model: Any,
    read_range_images: Callable[[], NDArray[np.uint8]],
    *,
    transformer: bool,
    facts: Mapping[str, object],
    cache: Path,
) -> Any:
    """The model with 8-bit weights and activations, their ranges taken from images (NNCF post-training quantisation).

    Args:
        model: as `convert` made it.
        read_range_images: gives `pixel_BHWC` of the user's train images; called only if the cache has no model yet.
        transformer: NNCF's scheme for transformers: SmoothQuant, and no quantised softmax or layer norm.
        facts: everything that the model depends on, with the digest of the images and the quantiser's release.
        cache: the cache folder; if it cannot be written, nothing is stored.

    Returns:
        An openvino.Model.
    """

    def make() -> tuple[Any, object]:
        pixel_BHWC = read_range_images()
        model.reshape([1, *pixel_BHWC.shape[1:]])
        first = next(op for op in model.get_ordered_ops() if op.get_type_name() in ("Convolution", "MatMul"))
        images = [pixel_BHWC[place : place + 1] for place in range(len(pixel_BHWC))]
        return quantise_model(model, images, first_layer=first.get_friendly_name(), transformer=transformer), model

    return kept_model(facts, make, cache=cache)


def quantise_model(model: Any, inputs: Sequence[object], *, first_layer: str, transformer: bool) -> Any:
    """NNCF's quantisation of an openvino.Model or an onnx.ModelProto, with ranges from `inputs`, one image each.

    The first layer stays in float: it is cheap, and its errors are in all others.
    """
    nncf = _import_nncf()
    with redirect_stdout(io.StringIO()):  # where its bars would go, and where results belong
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,  # costs no time here, and keeps ResNet50 nearer to fp32
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(names=[first_layer]),
        )


def normalising(net: "nn.Module", preprocessing: Preprocessing, pooling: str | None) -> "nn.Module":
    """The network with its normalisation in front: 8-bit `pixel_BHWC` in, `feature_BD` out.

    `pooling` says which features come out; None is the network's own. The module is in evaluation mode.
    """
    from torch import Tensor, nn

    from vitrail.backbones.preprocess import normalise

    class Normalising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixel_BHWC: Tensor) -> Tensor:
            image_BCHW = normalise(pixel_BHWC, preprocessing)
            if pooling is None:
                feature_BD: Tensor = net.forward_features(image_BCHW)  # type: ignore[operator]
                return feature_BD
            pooled_BD: Tensor = net.forward_pooled(image_BCHW, components_of(pooling))  # type: ignore[operator]
            return pooled_BD

    return Normalising().eval()


def empty_pixels(crop: int) -> "Tensor":
    """Black `pixel_BHWC` to trace a network with."""
    import torch

    return torch.zeros((TRACED_BATCH, crop, crop, 3), dtype=torch.uint8)


def trace(module: "nn.Module", example: "Tensor") -> tuple[Any, object]:
    """The OpenVINO model of a module that takes one tensor like `example`, and what its weights belong to."""
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.inference_mode(), warnings.catch_warnings():
        # torch.jit.trace is deprecated, but what torch.export makes is converted only by way of decompositions that
        # log errors of their own. Tracing also warns of sizes that become constants: here all but the batch are.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced)
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(decoder))
    model.reshape(list(example.shape))
    return model, (module, decoder)


def _import_nncf() -> Any:
    if "nncf" not in sys.modules:
        with without_telemetry(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nncf
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf
