"""torchvision's names of ViT: torchvision 0.28, models/vision_transformer.py. Its ResNets have our names as they are.

Its published files have the older names of the two layers of the MLP, which it renames itself when it loads them
(`MLPBlock._load_from_state_dict`); both are here.
"""

from vitrail.backbones.weights.renaming import Layout, Rename, both

BLOCK = "encoder.layers.encoder_layer_#"


VIT = Layout(
    library="torchvision's ViT",
    mark="encoder.pos_embedding",
    table=(
        Rename("class_token", "cls_token"),
        Rename("encoder.pos_embedding", "pos_embed"),
        *both("conv_proj", "patch_embed.proj"),
        *both(f"{BLOCK}.ln_1", "blocks.#.norm1"),
        Rename(f"{BLOCK}.self_attention.in_proj_weight", "blocks.#.attn.qkv.weight"),
        Rename(f"{BLOCK}.self_attention.in_proj_bias", "blocks.#.attn.qkv.bias"),
        *both(f"{BLOCK}.self_attention.out_proj", "blocks.#.attn.proj"),
        *both(f"{BLOCK}.ln_2", "blocks.#.norm2"),
        *both(f"{BLOCK}.mlp.linear_1", "blocks.#.mlp.fc1"),
        *both(f"{BLOCK}.mlp.linear_2", "blocks.#.mlp.fc2"),
        *both(f"{BLOCK}.mlp.0", "blocks.#.mlp.fc1"),
        *both(f"{BLOCK}.mlp.3", "blocks.#.mlp.fc2"),
        *both("encoder.ln", "norm"),
        *both("heads.head", "head"),
    ),
)
