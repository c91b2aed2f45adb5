"""Other names of ConvNeXt: the authors', those of transformers, and timm's networks with 1 x 1 convolutions.

Sources: facebookresearch/ConvNeXt-V2, models/convnextv2.py, and facebookresearch/dinov3, dinov3/models/convnext.py, for
Meta's names, which both versions and DINOv3 share; transformers 5.23, models/{convnext,convnextv2}/modeling_*.py and
models/dinov3_convnext/modeling_dinov3_convnext.py; timm 1.0.31, timm/models/convnext.py. timm builds the sizes atto to
nano with 1 x 1 convolutions in place of linear layers, with the same numbers.

transformers' default eps of the last norm is 1e-12, where Meta's code has 1e-6.
"""

from torch import Tensor

from vitrail.backbones.weights.renaming import Layout, Rename, both

BLOCK = "stages.#.blocks.#"
HALVING_STAGES = (1, 2, 3)  # the first stage has no layers that halve the map


def as_matrix(weight: Tensor) -> Tensor:
    """The matrix of a 1 x 1 convolution; of a linear layer the weights as they are."""
    return weight.flatten(1)


def as_vector(weight: Tensor) -> Tensor:
    """One number a channel, without the sides of length 1."""
    return weight.flatten()


def _mlp(theirs: str, first: str, second: str) -> tuple[Rename, ...]:
    return tuple(
        row
        for layer, ours in ((first, "fc1"), (second, "fc2"))
        for row in (
            Rename(f"{theirs}.{layer}.weight", f"{BLOCK}.mlp.{ours}.weight", as_matrix),
            Rename(f"{theirs}.{layer}.bias", f"{BLOCK}.mlp.{ours}.bias"),
        )
    )


def _response_norm(theirs: str, weight: str, bias: str) -> tuple[Rename, Rename]:
    return (
        Rename(f"{theirs}.{weight}", f"{BLOCK}.mlp.grn.weight", as_vector),
        Rename(f"{theirs}.{bias}", f"{BLOCK}.mlp.grn.bias", as_vector),
    )


META = Layout(
    library="Meta's ConvNeXt",
    mark="downsample_layers.0.0.weight",
    table=(
        *both("downsample_layers.0.0", "stem.0"),
        *both("downsample_layers.0.1", "stem.1"),
        *(
            row
            for stage in HALVING_STAGES
            for row in both(f"downsample_layers.{stage}.#", f"stages.{stage}.downsample.#")
        ),
        *both("stages.#.#.dwconv", f"{BLOCK}.conv_dw"),
        *both("stages.#.#.norm", f"{BLOCK}.norm"),
        *_mlp("stages.#.#", "pwconv1", "pwconv2"),
        *_response_norm("stages.#.#.grn", "gamma", "beta"),
        Rename("stages.#.#.gamma", f"{BLOCK}.gamma"),
        *both("norm", "head.norm"),
        *both("head", "head.fc"),
    ),
    left_out=("norms.3.weight", "norms.3.bias"),  # DINOv3's list of norms holds the last one a second time
)

TRANSFORMERS = Layout(
    library="transformers' ConvNeXt",
    mark="embeddings.layernorm.weight",
    prefixes=("", "convnext.", "convnextv2."),
    table=(
        *both("embeddings.patch_embeddings", "stem.0"),
        *both("embeddings.layernorm", "stem.1"),
        *both("encoder.stages.#.downsampling_layer.#", "stages.#.downsample.#"),
        *both("encoder.stages.#.layers.#.dwconv", f"{BLOCK}.conv_dw"),
        *both("encoder.stages.#.layers.#.layernorm", f"{BLOCK}.norm"),
        *_mlp("encoder.stages.#.layers.#", "pwconv1", "pwconv2"),
        *_response_norm("encoder.stages.#.layers.#.grn", "weight", "bias"),
        Rename("encoder.stages.#.layers.#.layer_scale_parameter", f"{BLOCK}.gamma"),
        *both("layernorm", "head.norm"),
        *both("classifier", "head.fc"),
    ),
)

DINOV3 = Layout(
    library="transformers' DINOv3 ConvNeXt",
    mark="stages.0.downsample_layers.0.weight",
    prefixes=("", "model."),
    table=(
        *both("stages.0.downsample_layers.0", "stem.0"),
        *both("stages.0.downsample_layers.1", "stem.1"),
        *(
            row
            for stage in HALVING_STAGES
            for row in both(f"stages.{stage}.downsample_layers.#", f"stages.{stage}.downsample.#")
        ),
        *both("stages.#.layers.#.depthwise_conv", f"{BLOCK}.conv_dw"),
        *both("stages.#.layers.#.layer_norm", f"{BLOCK}.norm"),
        *_mlp("stages.#.layers.#", "pointwise_conv1", "pointwise_conv2"),
        Rename("stages.#.layers.#.gamma", f"{BLOCK}.gamma"),
        *both("layer_norm", "head.norm"),
    ),
)

TIMM = Layout(
    library="timm's ConvNeXt",
    mark=f"{BLOCK.replace('#', '0')}.conv_dw.weight",
    table=(
        *both("stem.#", "stem.#"),
        *both("stages.#.downsample.#", "stages.#.downsample.#"),
        *both(f"{BLOCK}.conv_dw", f"{BLOCK}.conv_dw"),
        *both(f"{BLOCK}.norm", f"{BLOCK}.norm"),
        *_mlp(f"{BLOCK}.mlp", "fc1", "fc2"),
        *_response_norm(f"{BLOCK}.mlp.grn", "weight", "bias"),
        Rename(f"{BLOCK}.gamma", f"{BLOCK}.gamma"),
        *both("head.norm", "head.norm"),
        *both("head.fc", "head.fc"),
    ),
)
