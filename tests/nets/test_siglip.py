"""The SigLIP tower computes what timm's and transformers' compute, and would not if a known trap were in it."""

import pytest
import torch
from torch import Tensor, nn

from tests.nets.transformers_names import CLIP, load, models
from tests.references import randomise, relative_gap, timm_net
from vitrail.nets.positions import PositionRule
from vitrail.nets.siglip import SIGLIP_SIZES, AttentionPool, SiglipConfig, SiglipImageTower
from vitrail.nets.vit import Activation, VitSize

PARITY = 5e-6  # relative norm in float32
EXACT = 1e-10  # in float64
WHOLE = [(32, 32), (40, 56), (72, 24)]  # timm wants whole patches
SIDES = [*WHOLE, (35, 50)]  # square and not, even and odd


def small_siglip(*, positions: PositionRule = "bicubic-antialias", activation: Activation = "gelu") -> SiglipImageTower:
    size = VitSize(48, 3, 3, mlp_width=180)
    config = SiglipConfig(size=size, image_size=32, patch=8, positions=positions, activation=activation)
    return SiglipImageTower(config).eval()


def small_timm() -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3, "mlp_ratio": 3.75}
    return timm_net("vit_base_patch16_siglip_224", **sizes, num_classes=0, dynamic_img_size=True)


def noise(sides: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sides", WHOLE, ids=str)
def test_features_are_timms(sides):
    ours, theirs, image_BCHW = small_siglip(), small_timm(), noise(sides)
    ours.load_state_dict(randomise(theirs), strict=True)
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_features_are_transformers(sides):
    """Which runs them with JAX's form of the GELU."""
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "patch_size": 8, "image_size": 32}
    theirs = models("siglip").SiglipVisionModel(models("siglip").SiglipVisionConfig(**sizes, intermediate_size=180))
    ours = small_siglip(positions="bicubic", activation="gelu_tanh")
    state = randomise(ours)
    head = {name: state.pop(name) for name in list(state) if name.startswith("attn_pool.")}
    state["pos_embed"] = state["pos_embed"][0]
    theirs = load(theirs, state, CLIP, extra=in_torchs_attention(head))
    ours, image_BCHW = ours.double(), noise(sides).double()
    with torch.inference_mode():
        feature_BD = theirs(image_BCHW, interpolate_pos_encoding=True).pooler_output
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= EXACT


def in_torchs_attention(head: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' pooling is torch's own MultiheadAttention, with query, key and value in one matrix."""
    renamed = {"head.probe": head["attn_pool.latent"]}
    names = {"proj": "attention.out_proj", "norm": "layernorm", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
    for part in ("weight", "bias"):
        packed = torch.cat((head[f"attn_pool.q.{part}"], head[f"attn_pool.kv.{part}"]))
        renamed[f"head.attention.in_proj_{part}"] = packed
        renamed |= {f"head.{theirs}.{part}": head[f"attn_pool.{ours}.{part}"] for ours, theirs in names.items()}
    return renamed


@pytest.mark.parametrize(
    ("size", "patch", "name"),
    [
        ("B", 16, "vit_base_patch16_siglip_224"),
        ("L", 16, "vit_large_patch16_siglip_256"),
        ("so400m", 14, "vit_so400m_patch14_siglip_224"),
    ],
)
def test_every_size_has_timms_parameters(size, patch, name):
    with torch.device("meta"):
        theirs = timm_net(name, num_classes=0)
        side = theirs.patch_embed.img_size[0]
        ours = SiglipImageTower(SiglipConfig(size=SIGLIP_SIZES[size], patch=patch, image_size=side))
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def mean_of_the_patches(net: SiglipImageTower) -> None:
    net.forward_features = lambda image_BCHW: net.forward_tokens(image_BCHW).mean(dim=1)


def latent_added(net: SiglipImageTower) -> None:
    """A residual from the question, as a block of a decoder would have it."""
    pool = net.attn_pool
    net.attn_pool.proj.register_forward_hook(lambda _, __, heard_B1D: heard_B1D + pool.latent)


def keys_for_values(net: SiglipImageTower) -> None:
    for name in ("weight", "bias"):
        rows = getattr(net.attn_pool.kv, name)
        setattr(net.attn_pool.kv, name, nn.Parameter(torch.cat(rows.chunk(2)[::-1])))


@pytest.mark.parametrize("trap", [mean_of_the_patches, latent_added, keys_for_values])
def test_each_trap_would_break_the_parity(trap):
    ours, theirs, image_BCHW = small_siglip(), small_timm(), noise((32, 32))
    ours.load_state_dict(randomise(theirs), strict=True)
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY
        trap(ours)
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) > 1e-2


def test_the_pool_does_not_care_for_the_order_of_the_tokens():
    pool = AttentionPool(48, 3, 96, activation="gelu", norm_eps=1e-6).eval()
    randomise(pool)
    token_BLD = torch.randn(2, 7, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert relative_gap(pool(token_BLD.flip(1)), pool(token_BLD)) <= PARITY
