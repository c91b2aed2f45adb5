"""Names of EVA-02 at its authors and in timm, where layers are packed that our network has apart.

Sources: baaivision/EVA, EVA-02/asuka/modeling_finetune.py and modeling_pretrain.py; timm 1.0.31, timm/models/eva.py,
checkpoint_filter_fn. The sizes Ti and S pack query, key and value in one layer, and gate and value of the MLP in
another; size B has them apart, as our network does, and timm's file of it is read as it is. A file of masked
pretraining alone has its last norm before the mean of the patches, and timm moves it behind.
"""

from torch import Tensor

from vitrail.backbones.weights.renaming import Layout, Rename, both


def first_third(packed: Tensor) -> Tensor:
    """The query of query, key and value."""
    return packed.chunk(3)[0]


def second_third(packed: Tensor) -> Tensor:
    """The key."""
    return packed.chunk(3)[1]


def last_third(packed: Tensor) -> Tensor:
    """The value."""
    return packed.chunk(3)[2]


def first_half(packed: Tensor) -> Tensor:
    """The gate of gate and value."""
    return packed.chunk(2)[0]


def last_half(packed: Tensor) -> Tensor:
    """The value."""
    return packed.chunk(2)[1]


EVA02 = Layout(
    library="EVA-02",
    mark="blocks.0.attn.q_bias",
    table=(
        Rename("cls_token", "cls_token"),
        Rename("pos_embed", "pos_embed"),
        *both("patch_embed.proj", "patch_embed.proj"),
        *both("blocks.#.norm1", "blocks.#.norm1"),
        Rename("blocks.#.attn.qkv.weight", "blocks.#.attn.q_proj.weight", first_third),
        Rename("blocks.#.attn.qkv.weight", "blocks.#.attn.k_proj.weight", second_third),
        Rename("blocks.#.attn.qkv.weight", "blocks.#.attn.v_proj.weight", last_third),
        *(Rename(f"blocks.#.attn.{name}_proj.weight", f"blocks.#.attn.{name}_proj.weight") for name in "qkv"),
        Rename("blocks.#.attn.q_bias", "blocks.#.attn.q_proj.bias"),
        Rename("blocks.#.attn.v_bias", "blocks.#.attn.v_proj.bias"),
        *both("blocks.#.attn.proj", "blocks.#.attn.proj"),
        *both("blocks.#.norm2", "blocks.#.norm2"),
        *(
            Rename(f"blocks.#.mlp.{packed}.{part}", f"blocks.#.mlp.{ours}.{part}", half)
            for packed in ("fc1", "w12")
            for ours, half in (("fc1_g", first_half), ("fc1_x", last_half))
            for part in ("weight", "bias")
        ),
        *both("blocks.#.mlp.w1", "blocks.#.mlp.fc1_g"),
        *both("blocks.#.mlp.w2", "blocks.#.mlp.fc1_x"),
        *both("blocks.#.mlp.ffn_ln", "blocks.#.mlp.norm"),
        *both("blocks.#.mlp.w3", "blocks.#.mlp.fc2"),
        *both("blocks.#.mlp.fc2", "blocks.#.mlp.fc2"),
        *both("norm", "fc_norm"),
        *both("fc_norm", "fc_norm"),
        *both("head", "head"),
    ),
    left_out=(
        "mask_token",  # masks patches in pretraining
        "lm_head.weight",  # what pretraining predicts
        "lm_head.bias",
        "rope.freqs_cos",
        "rope.freqs_sin",
        "blocks.#.attn.rope.freqs_cos",
        "blocks.#.attn.rope.freqs_sin",
    ),
)
