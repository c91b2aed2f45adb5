"""transformers' names of ViT, DeiT and DINOv2.

Sources: transformers 5.23, models/{vit,deit,dinov2,dinov2_with_registers}/modeling_*.py for what its networks call them
since version 5, conversion_mapping.py for the older names, which its files have to this day. Both are in one table: of
two rows for one tensor of ours, a file has one.

The feature is the class token after the last norm. Their pooler is one more layer on top of it, drawn at random where a
file lacks it, and their DINOv2 classifier reads the patches too: both are left out.

Letters: L tokens, D width.
"""

import torch
from torch import Tensor

from vitrail.backbones.weights.renaming import Layout, Rename, both

OLD, CURRENT = "encoder.layer.#", "layers.#"  # of ViT and DeiT; DINOv2 keeps the old


def joined(*query_key_value: Tensor) -> Tensor:
    """Query, key and value in one, in this order."""
    return torch.cat(query_key_value)


def _attention(block: str, query: str, key: str, value: str, out: str) -> tuple[Rename, ...]:
    return (
        *(
            Rename(tuple(f"{block}.{name}.{kind}" for name in (query, key, value)), f"blocks.#.attn.qkv.{kind}", joined)
            for kind in ("weight", "bias")
        ),
        *both(f"{block}.{out}", "blocks.#.attn.proj"),
    )


def _old_attention(block: str) -> tuple[Rename, ...]:
    inner = "attention.attention"
    return _attention(block, f"{inner}.query", f"{inner}.key", f"{inner}.value", "attention.output.dense")


def _current_attention(block: str) -> tuple[Rename, ...]:
    return _attention(block, "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj")


VIT_BLOCKS = (
    *_old_attention(OLD),
    *both(f"{OLD}.intermediate.dense", "blocks.#.mlp.fc1"),
    *both(f"{OLD}.output.dense", "blocks.#.mlp.fc2"),
    *_current_attention(CURRENT),
    *both(f"{CURRENT}.mlp.fc1", "blocks.#.mlp.fc1"),
    *both(f"{CURRENT}.mlp.fc2", "blocks.#.mlp.fc2"),
    *(
        row
        for block in (OLD, CURRENT)
        for theirs, ours in (("layernorm_before", "norm1"), ("layernorm_after", "norm2"))
        for row in both(f"{block}.{theirs}", f"blocks.#.{ours}")
    ),
)

DINOV2_BLOCKS = (
    *_old_attention(OLD),
    *_current_attention(OLD),
    *both(f"{OLD}.norm1", "blocks.#.norm1"),
    *both(f"{OLD}.norm2", "blocks.#.norm2"),
    Rename(f"{OLD}.layer_scale1.lambda1", "blocks.#.ls1.gamma"),
    Rename(f"{OLD}.layer_scale2.lambda1", "blocks.#.ls2.gamma"),
    *both(f"{OLD}.mlp.fc1", "blocks.#.mlp.fc1"),
    *both(f"{OLD}.mlp.fc2", "blocks.#.mlp.fc2"),
    # SwiGLU, of the largest: the gate and what it opens are the halves of one layer.
    *both(f"{OLD}.mlp.weights_in", "blocks.#.mlp.fc1"),
    *(
        Rename((f"{OLD}.mlp.gate_proj.{kind}", f"{OLD}.mlp.up_proj.{kind}"), f"blocks.#.mlp.fc1.{kind}", joined)
        for kind in ("weight", "bias")
    ),
    *both(f"{OLD}.mlp.weights_out", "blocks.#.mlp.fc2"),
    *both(f"{OLD}.mlp.down_proj", "blocks.#.mlp.fc2"),
)


def class_with_position(token_11D: Tensor, position_1LD: Tensor) -> Tensor:
    """The class token with its own position, for a network that adds positions to the patches alone."""
    return token_11D + position_1LD[:, :1]


def second_with_position(token_11D: Tensor, position_1LD: Tensor) -> Tensor:
    """DeiT's distillation token with its own position, which makes it a register like any other."""
    return token_11D + position_1LD[:, 1:2]


def after_class(position_1LD: Tensor) -> Tensor:
    """The positions of the patches."""
    return position_1LD[:, 1:]


def after_second(position_1LD: Tensor) -> Tensor:
    """The positions of the patches, where DeiT's distillation token has one too."""
    return position_1LD[:, 2:]


CLASS, DISTILLATION, POSITIONS, REGISTERS = (
    "embeddings.cls_token",
    "embeddings.distillation_token",
    "embeddings.position_embeddings",
    "embeddings.register_tokens",
)
NOT_A_FEATURE = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.mask_token")
PATCHES_AND_NORM = (
    *both("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    *both("layernorm", "norm"),
)

DEIT = Layout(
    library="transformers' DeiT",
    mark=DISTILLATION,
    prefixes=("", "deit."),
    table=(
        Rename((CLASS, POSITIONS), "cls_token", class_with_position),
        Rename((DISTILLATION, POSITIONS), "reg_token", second_with_position),
        Rename(POSITIONS, "pos_embed", after_second),
        *PATCHES_AND_NORM,
        *VIT_BLOCKS,
        *both("classifier", "head"),
        *both("cls_classifier", "head"),
    ),
    left_out=(*NOT_A_FEATURE, "distillation_classifier.weight", "distillation_classifier.bias"),
)

DINOV2_WITH_REGISTERS = Layout(
    library="transformers' DINOv2 with registers",
    mark=REGISTERS,
    prefixes=("", "dinov2_with_registers."),
    table=(
        Rename((CLASS, POSITIONS), "cls_token", class_with_position),
        Rename(REGISTERS, "reg_token"),
        Rename(POSITIONS, "pos_embed", after_class),
        *PATCHES_AND_NORM,
        *DINOV2_BLOCKS,
    ),
    left_out=(*NOT_A_FEATURE, "classifier.weight", "classifier.bias"),
)

DINOV2 = Layout(
    library="transformers' DINOv2",
    mark="encoder.layer.0.layer_scale1.lambda1",
    prefixes=("", "dinov2."),
    table=(Rename(CLASS, "cls_token"), Rename(POSITIONS, "pos_embed"), *PATCHES_AND_NORM, *DINOV2_BLOCKS),
    left_out=(*NOT_A_FEATURE, "classifier.weight", "classifier.bias"),
)

VIT = Layout(
    library="transformers' ViT",
    mark=CLASS,
    prefixes=("", "vit."),
    table=(
        Rename(CLASS, "cls_token"),
        Rename(POSITIONS, "pos_embed"),
        *PATCHES_AND_NORM,
        *VIT_BLOCKS,
        *both("classifier", "head"),
    ),
    left_out=NOT_A_FEATURE,
)
