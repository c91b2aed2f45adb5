"""Google's own names of ViT (with AugReg) and of BiT, as their .npz files have them.

Sources: google-research/vision_transformer, vit_jax/models_vit.py and checkpoint.py; google-research/big_transfer,
bit_pytorch/models.py, `load_from`. flax and TensorFlow keep a dense kernel as inputs x outputs, a convolution's as
HWIO, and the projections of attention with their heads apart: query, key and value D x A x E, out A x E x D.

Letters: D width, A attention heads, E width of one head; H rows, W columns, I inputs, O outputs.
"""

import torch
from torch import Tensor

from vitrail.backbones.weights.renaming import Layout, Rename


def dense(kernel_IO: Tensor) -> Tensor:
    """A linear layer's weight, outputs x inputs."""
    return kernel_IO.transpose(0, 1)


def convolution(kernel_HWIO: Tensor) -> Tensor:
    """A convolution's weight, OIHW."""
    return kernel_HWIO.permute(3, 2, 0, 1)


def projections(*kernel_DAE: Tensor) -> Tensor:
    """Query, key and value in one weight, (3 A E) x D, in this order."""
    return torch.cat([kernel.flatten(1).transpose(0, 1) for kernel in kernel_DAE])


def projection_biases(*bias_AE: Tensor) -> Tensor:
    """Query, key and value in one bias, 3 A E, in this order."""
    return torch.cat([bias.flatten() for bias in bias_AE])


def out_projection(kernel_AED: Tensor) -> Tensor:
    """The weight of attention's last layer, D x (A E)."""
    return kernel_AED.flatten(0, 1).transpose(0, 1)


def _norm(theirs: str, ours: str) -> tuple[Rename, Rename]:
    return Rename(f"{theirs}/scale", f"{ours}.weight"), Rename(f"{theirs}/bias", f"{ours}.bias")


def _dense(theirs: str, ours: str) -> tuple[Rename, Rename]:
    return Rename(f"{theirs}/kernel", f"{ours}.weight", dense), Rename(f"{theirs}/bias", f"{ours}.bias")


BLOCK = "Transformer/encoderblock_#"
ATTENTION = f"{BLOCK}/MultiHeadDotProductAttention_1"

VIT = Layout(
    library="Google's ViT",
    mark="Transformer/encoder_norm/scale",
    table=(
        Rename("cls", "cls_token"),
        Rename("embedding/kernel", "patch_embed.proj.weight", convolution),
        Rename("embedding/bias", "patch_embed.proj.bias"),
        Rename("Transformer/posembed_input/pos_embedding", "pos_embed"),
        *_norm(f"{BLOCK}/LayerNorm_0", "blocks.#.norm1"),
        Rename(
            (f"{ATTENTION}/query/kernel", f"{ATTENTION}/key/kernel", f"{ATTENTION}/value/kernel"),
            "blocks.#.attn.qkv.weight",
            projections,
        ),
        Rename(
            (f"{ATTENTION}/query/bias", f"{ATTENTION}/key/bias", f"{ATTENTION}/value/bias"),
            "blocks.#.attn.qkv.bias",
            projection_biases,
        ),
        Rename(f"{ATTENTION}/out/kernel", "blocks.#.attn.proj.weight", out_projection),
        Rename(f"{ATTENTION}/out/bias", "blocks.#.attn.proj.bias"),
        *_norm(f"{BLOCK}/LayerNorm_2", "blocks.#.norm2"),
        *_dense(f"{BLOCK}/MlpBlock_3/Dense_0", "blocks.#.mlp.fc1"),
        *_dense(f"{BLOCK}/MlpBlock_3/Dense_1", "blocks.#.mlp.fc2"),
        *_norm("Transformer/encoder_norm", "norm"),
        *_dense("head", "head"),
    ),
)

# The first files for ImageNet-21k have one more layer between the class token and the classifier, linear and tanh. The
# feature is the class token before it (timm drops it too), and their classifier means nothing without it.
VIT_WITH_REPRESENTATION = Layout(
    library=VIT.library,
    mark="pre_logits/kernel",
    table=tuple(row for row in VIT.table if not row.ours.startswith("head.")),
    left_out=("pre_logits/kernel", "pre_logits/bias", "head/kernel", "head/bias"),
)

UNIT = "resnet/block#/unit#"


def _norm_and_convolution(theirs: str, number: int) -> tuple[Rename, Rename, Rename]:
    block = "stages.#.blocks.#"
    return (
        Rename(f"{UNIT}/{theirs}/group_norm/gamma", f"{block}.norm{number}.weight"),
        Rename(f"{UNIT}/{theirs}/group_norm/beta", f"{block}.norm{number}.bias"),
        Rename(f"{UNIT}/{theirs}/standardized_conv2d/kernel", f"{block}.conv{number}.weight", convolution),
    )


BIT = Layout(
    library="Google's BiT",
    mark="resnet/root_block/standardized_conv2d/kernel",
    table=(
        Rename("resnet/root_block/standardized_conv2d/kernel", "stem.conv.weight", convolution),
        *_norm_and_convolution("a", 1),
        *_norm_and_convolution("b", 2),
        *_norm_and_convolution("c", 3),
        Rename(f"{UNIT}/a/proj/standardized_conv2d/kernel", "stages.#.blocks.#.downsample.conv.weight", convolution),
        Rename("resnet/group_norm/gamma", "norm.weight"),
        Rename("resnet/group_norm/beta", "norm.bias"),
        Rename("resnet/head/conv2d/kernel", "head.fc.weight", convolution),  # already 1 x 1 x D x C
        Rename("resnet/head/conv2d/bias", "head.fc.bias"),
    ),
    shift=(-1, -1),
)
