"""DINOv3's Vision Transformer computes what timm's and transformers' compute, and would not with a known trap in it."""

import pytest
import torch
from torch import Tensor, nn

from tests.nets.transformers_names import models
from tests.references import randomise, relative_gap, timm_net
from vitrail.nets import dinov3
from vitrail.nets.dinov3 import DINOV3_SIZES, DinoV3
from vitrail.nets.rotary import angles_of_grid
from vitrail.nets.rotary import turn as right_turn
from vitrail.nets.vit import LAYER_SCALE_START, VitSize

PARITY = 5e-6  # relative norm in float32
SIDES = [(32, 32), (40, 56), (72, 24)]  # square and not


def size(*, gated: bool) -> VitSize:
    return VitSize(48, 3, 3, mlp_width=96, gated_mlp=gated)


def small_dinov3(*, gated: bool = False) -> DinoV3:
    return DinoV3(size(gated=gated), patch=8).eval()


def small_timm(*, gated: bool = False, pooling: str = "token") -> nn.Module:
    name = "vit_small_plus_patch16_dinov3" if gated else "vit_small_patch16_dinov3"
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3, "mlp_ratio": 2.0}
    return timm_net(name, **sizes, num_classes=0, global_pool=pooling)


def noise(sides: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("gated", [False, True])
def test_features_are_timms(gated, pooling, sides):
    ours = small_dinov3(gated=gated)
    theirs = small_timm(gated=gated, pooling={"cls": "token", "mean": "avg"}[pooling])
    ours.load_state_dict(randomise(theirs), strict=True)
    image_BCHW = noise(sides)
    with torch.inference_mode():
        assert relative_gap(ours.forward_pooled(image_BCHW, (pooling,)), theirs(image_BCHW)) <= PARITY


def in_transformers_names(state: dict[str, Tensor], *, gated: bool) -> dict[str, Tensor]:
    parts = {
        "cls_token": "embeddings.cls_token",
        "reg_token": "embeddings.register_tokens",
        "patch_embed.proj": "embeddings.patch_embeddings",
        "blocks.": "model.layer.",
        "attn.proj": "attention.o_proj",
        "gamma_1": "layer_scale1.lambda1",
        "gamma_2": "layer_scale2.lambda1",
        "mlp.fc1_g": "mlp.gate_proj",
        "mlp.fc1_x": "mlp.up_proj",
        "mlp.fc1": "mlp.up_proj",
        "mlp.fc2": "mlp.down_proj",
    }
    renamed = {"embeddings.mask_token": torch.zeros(1, 1, 48)}
    for name, tensor in state.items():
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        if "attn.qkv" in name:
            packed = zip("qkv", tensor.chunk(3), strict=True)
            renamed |= {name.replace("attn.qkv", f"attention.{part}_proj"): rows for part, rows in packed}
        else:
            renamed[name] = tensor
    return renamed


@pytest.mark.parametrize("sides", [*SIDES, (35, 50)], ids=str)
@pytest.mark.parametrize("gated", [False, True])
def test_tokens_are_those_of_transformers(gated, sides):
    """Also where pixels are left over beyond the last patch."""
    config = models("dinov3_vit").DINOv3ViTConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=3,
        patch_size=8,
        image_size=32,
        intermediate_size=96,
        num_register_tokens=4,
        use_gated_mlp=gated,
        hidden_act="silu" if gated else "gelu",
        query_bias=False,
        value_bias=False,
    )
    theirs = models("dinov3_vit").DINOv3ViTModel(config).eval()
    ours = small_dinov3(gated=gated)
    theirs.load_state_dict(in_transformers_names(randomise(ours), gated=gated), strict=True)
    with torch.inference_mode():
        token_BLD = theirs(noise(sides)).last_hidden_state
        assert relative_gap(ours.forward_tokens(noise(sides)), token_BLD) <= PARITY


@pytest.mark.parametrize(
    ("size", "name"), [("S", "small"), ("S+", "small_plus"), ("B", "base"), ("L", "large")], ids=str
)
def test_every_size_has_timms_parameters(size, name):
    with torch.device("meta"):
        ours, theirs = DinoV3(DINOV3_SIZES[size]), timm_net(f"vit_{name}_patch16_dinov3", num_classes=0)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def columns_before_rows(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The axes swapped: the first half of the angles grows with the column."""
    right = net._angles
    net._angles = lambda image_BCHW: right(image_BCHW).roll(net.head_width // 4, dims=1)


def neighbours_in_pairs(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dinov3, "turn", lambda vector, angle, pairs: right_turn(vector, angle, "neighbours"))


def half_the_speed(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places from 0 to 1 in place of -1 to 1."""
    monkeypatch.setattr(dinov3, "turn", lambda vector, angle, pairs: right_turn(vector, angle * 0.5, pairs))


def corners_at_the_ends(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first patch at -1 and the last at 1, in place of their centres."""

    def angles(image_BCHW: Tensor) -> Tensor:
        row_H, column_W = (torch.linspace(-1, 1, side // 8) for side in image_BCHW.shape[2:])
        return angles_of_grid(row_H, column_W, speeds(net))

    net._angles = angles


def whole_numbers(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places counted in patches, as EVA-02 does."""

    def angles(image_BCHW: Tensor) -> Tensor:
        row_H, column_W = (torch.arange(side // 8) for side in image_BCHW.shape[2:])
        return angles_of_grid(row_H, column_W, speeds(net))

    net._angles = angles


def speeds(net: DinoV3) -> Tensor:
    count = net.head_width // 4
    return 2 * torch.pi / dinov3.LONGEST_PERIOD ** (torch.arange(count) / count)


def values_turned_too(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    attend = dinov3.scaled_dot_product_attention

    def turned(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attend(query, key, right_turn(value, net._angles(noise((40, 56))), "halves"))

    monkeypatch.setattr(dinov3, "scaled_dot_product_attention", turned)


def registers_dropped(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    net.reg_token = nn.Parameter(net.reg_token[:, :0])


def registers_in_the_mean(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dinov3, "REGISTERS", 0)


def silent_layer_scale(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in net.blocks:
        nn.init.constant_(block.gamma_1, LAYER_SCALE_START)
        nn.init.constant_(block.gamma_2, LAYER_SCALE_START)


def no_layer_scale(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in net.blocks:
        nn.init.ones_(block.gamma_1)
        nn.init.ones_(block.gamma_2)


def gate_for_value(net: DinoV3, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in net.blocks:
        block.mlp.fc1_g, block.mlp.fc1_x = block.mlp.fc1_x, block.mlp.fc1_g


@pytest.mark.parametrize(
    ("trap", "pooling", "gated"),
    [
        (columns_before_rows, "cls", False),
        (neighbours_in_pairs, "cls", False),
        (half_the_speed, "cls", False),
        (corners_at_the_ends, "cls", False),
        (whole_numbers, "cls", False),
        (values_turned_too, "cls", False),
        (registers_dropped, "cls", False),
        (registers_in_the_mean, "mean", False),
        (silent_layer_scale, "cls", False),
        (no_layer_scale, "cls", False),
        (gate_for_value, "cls", True),
    ],
)
def test_each_trap_would_break_the_parity(trap, pooling, gated, monkeypatch):
    ours = small_dinov3(gated=gated)
    theirs = small_timm(gated=gated, pooling={"cls": "token", "mean": "avg"}[pooling])
    state = randomise(theirs)
    for name in state:  # large enough for the products of queries and keys to matter
        if "qkv" in name:
            state[name] *= 3
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    image_BCHW = noise((40, 56))
    with torch.inference_mode():
        wanted_BD = theirs(image_BCHW)
        assert relative_gap(ours.forward_pooled(image_BCHW, (pooling,)), wanted_BD) <= PARITY
        trap(ours, monkeypatch)
        assert relative_gap(ours.forward_pooled(image_BCHW, (pooling,)), wanted_BD) > 1e-3


def test_the_eps_of_dinov2_would_show_on_small_values():
    ours, theirs = small_dinov3(), small_timm()
    state = randomise(theirs)
    state |= {name: 0.02 * state[name] for name in ("cls_token", "reg_token", "patch_embed.proj.bias")}
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    image_BCHW = 0.02 * noise((32, 32))
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY
        for module in ours.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-6
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) > 1e-4


def test_tokens_come_out_class_first_then_registers():
    net = small_dinov3()
    randomise(net)
    with torch.inference_mode():
        token_BLD = net.forward_tokens(noise((32, 32)))
        assert token_BLD.shape == (2, 1 + 4 + 16, 48)
        both_BD = net.forward_pooled(noise((32, 32)), ("cls", "mean"))
        assert torch.equal(both_BD[:, :48], token_BLD[:, 0])
        torch.testing.assert_close(both_BD[:, 48:], token_BLD[:, 5:].mean(dim=1))
