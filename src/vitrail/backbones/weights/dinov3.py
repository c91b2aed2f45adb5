"""Names of DINOv3's Vision Transformers at Meta and in transformers; its ConvNeXts are in `convnext.py`.

Sources: facebookresearch/dinov3, dinov3/models/vision_transformer.py and dinov3/layers; transformers 5.23,
models/dinov3_vit/modeling_dinov3_vit.py. The biases of queries, keys and values ended up as zeros in the published
weights, and timm's network has none: a file where they are not is refused. Meta's file also holds the periods of the
turns, in bfloat16; timm and transformers compute them in float32, and so does our network.
"""

from vitrail.backbones.weights.renaming import Layout, Rename, both
from vitrail.backbones.weights.transformers import joined

META = Layout(
    library="Meta's DINOv3",
    mark="storage_tokens",
    table=(
        Rename("cls_token", "cls_token"),
        Rename("storage_tokens", "reg_token"),
        *both("patch_embed.proj", "patch_embed.proj"),
        *both("blocks.#.norm1", "blocks.#.norm1"),
        Rename("blocks.#.attn.qkv.weight", "blocks.#.attn.qkv.weight"),
        *both("blocks.#.attn.proj", "blocks.#.attn.proj"),
        Rename("blocks.#.ls1.gamma", "blocks.#.gamma_1"),
        *both("blocks.#.norm2", "blocks.#.norm2"),
        *both("blocks.#.mlp.fc1", "blocks.#.mlp.fc1"),
        *both("blocks.#.mlp.fc2", "blocks.#.mlp.fc2"),
        *both("blocks.#.mlp.w1", "blocks.#.mlp.fc1_g"),
        *both("blocks.#.mlp.w2", "blocks.#.mlp.fc1_x"),
        *both("blocks.#.mlp.w3", "blocks.#.mlp.fc2"),
        Rename("blocks.#.ls2.gamma", "blocks.#.gamma_2"),
        *both("norm", "norm"),
    ),
    left_out=(
        "mask_token",  # masks patches in training
        "rope_embed.periods",
        "blocks.#.attn.qkv.bias_mask",
        "local_cls_norm.weight",  # of small crops in training
        "local_cls_norm.bias",
    ),
    zeros=("blocks.#.attn.qkv.bias",),
)


def _transformers(mark: str, mlp: tuple[Rename, ...]) -> Layout:
    return Layout(
        library="transformers' DINOv3",
        mark=mark,
        prefixes=("", "model."),
        table=(
            Rename("embeddings.cls_token", "cls_token"),
            Rename("embeddings.register_tokens", "reg_token"),
            *both("embeddings.patch_embeddings", "patch_embed.proj"),
            *both("layer.#.norm1", "blocks.#.norm1"),
            Rename(
                tuple(f"layer.#.attention.{name}_proj.weight" for name in "qkv"), "blocks.#.attn.qkv.weight", joined
            ),
            *both("layer.#.attention.o_proj", "blocks.#.attn.proj"),
            Rename("layer.#.layer_scale1.lambda1", "blocks.#.gamma_1"),
            *both("layer.#.norm2", "blocks.#.norm2"),
            *mlp,
            *both("layer.#.mlp.down_proj", "blocks.#.mlp.fc2"),
            Rename("layer.#.layer_scale2.lambda1", "blocks.#.gamma_2"),
            *both("norm", "norm"),
        ),
        left_out=("embeddings.mask_token",),
        zeros=("layer.#.attention.q_proj.bias", "layer.#.attention.v_proj.bias"),
    )


GATED_TRANSFORMERS = _transformers(
    "layer.0.mlp.gate_proj.weight",
    (
        *both("layer.#.mlp.gate_proj", "blocks.#.mlp.fc1_g"),
        *both("layer.#.mlp.up_proj", "blocks.#.mlp.fc1_x"),
    ),
)
TRANSFORMERS = _transformers("layer.0.layer_scale1.lambda1", both("layer.#.mlp.up_proj", "blocks.#.mlp.fc1"))
