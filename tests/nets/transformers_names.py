"""transformers as a reference: its networks with our weights, under the names it gives them in memory."""

import importlib
import re
from typing import Any

from torch import Tensor, nn

from tests.references import torchvision

VIT = {
    "cls_token": "embeddings.cls_token",
    "reg_token": "embeddings.register_tokens",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "blocks": "layers",
    "norm": "layernorm",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.qkv": "attention.{}_proj",
    "attn.proj": "attention.o_proj",
}
DINOV2 = VIT | {
    "blocks": "encoder.layer",
    "norm1": "norm1",
    "norm2": "norm2",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
}
CLIP = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding.weight",
    "patch_embed.proj": "embeddings.patch_embedding",
    "norm_pre": "pre_layrnorm",
    "blocks": "encoder.layers",
    "norm": "post_layernorm",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.{}_proj",
    "attn.proj": "self_attn.out_proj",
}
NOT_USED = {"embeddings.mask_token"}  # masks patches in training


def models(family: str) -> Any:
    """A module of transformers.models."""
    torchvision()  # transformers imports it, and fails as it does
    return importlib.import_module(f"transformers.models.{family}")


def load(theirs: nn.Module, state: dict[str, Tensor], names: dict[str, str], *, extra: dict[str, Tensor]) -> nn.Module:
    """Give transformers' network our weights, all of them, in float64.

    `state` has our names, `names` says how a part of a name is called there, `extra` has what only they have.
    """
    renamed = dict(extra)
    for name, tensor in state.items():
        renamed |= _renamed(name, tensor, names)
    missing, unexpected = theirs.load_state_dict(renamed, strict=False)
    assert (set(missing) - NOT_USED, unexpected) == (set(), [])
    return theirs.double().eval()


def _renamed(name: str, tensor: Tensor, names: dict[str, str]) -> dict[str, Tensor]:
    for ours in sorted(names, key=len, reverse=True):
        name = re.sub(rf"(^|\.){re.escape(ours)}(\.|$)", rf"\g<1>{names[ours]}\g<2>", name)
    if "{}" not in name:
        return {name: tensor}
    parts = tensor.chunk(3)
    return {name.format(part): rows for part, rows in zip("qkv", parts, strict=True)}
