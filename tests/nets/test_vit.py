"""The ViT computes what timm's and transformers' compute, and would not if one of the known traps were in it."""

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn

from tests.nets.transformers_names import DINOV2, VIT, load, models
from tests.references import randomise, relative_gap, timm, timm_net
from vitrail.nets import vit
from vitrail.nets.vit import LAYER_SCALE_START, VIT_FORMS, VIT_SIZES, VisionTransformer, VitConfig, VitForm, VitSize

PARITY = 5e-6  # relative norm in float32; a wrong eps moves these features by 4e-5 at least
EXACT = 1e-10  # in float64


def small_vit(**options: object) -> VisionTransformer:
    given = {"image_size": 32, "patch": 8, "width": 48, "depth": 3, "heads": 3, "classes": 10} | options
    size = VitSize(**{field.name: given.pop(field.name) for field in fields(VitSize) if field.name in given})
    form = VitForm(**{field.name: given.pop(field.name) for field in fields(VitForm) if field.name in given})
    return VisionTransformer(VitConfig(size=size, form=form, **given)).eval()


def small_timm(**options: object) -> nn.Module:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3, "num_classes": 10}
    return timm_net("vit_tiny_patch16_224", **sizes | options)


@pytest.fixture
def image_BCHW() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def gaps(ours: nn.Module, theirs: nn.Module, image_BCHW: Tensor) -> tuple[float, float]:
    """How far features and logits are apart when both have the same random weights."""
    ours.load_state_dict(randomise(theirs), strict=True)
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        logit_BC = theirs(image_BCHW)
        return (
            relative_gap(ours.forward_features(image_BCHW), feature_BD),
            relative_gap(ours(image_BCHW), logit_BC),
        )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"patch": 4, "depth": 2}, {"patch_size": 4, "depth": 2}),
        ({"width": 40, "heads": 5}, {"embed_dim": 40, "num_heads": 5}),
        ({"mlp_width": 72}, {"mlp_ratio": 1.5}),
        ({"pooling": "mean"}, {"global_pool": "avg"}),
        ({"classes": 0}, {"num_classes": 0}),
    ],
)
def test_features_and_logits_are_timms(ours, theirs, image_BCHW):
    assert max(gaps(small_vit(**ours), small_timm(**theirs), image_BCHW)) <= PARITY


@pytest.mark.parametrize(
    ("size", "patch", "name"),
    [
        ("Ti", 16, "vit_tiny_patch16_224"),
        ("S", 32, "vit_small_patch32_224"),
        ("B", 16, "vit_base_patch16_224"),
        ("L", 16, "vit_large_patch16_224"),
        ("H", 14, "vit_huge_patch14_224"),
        ("S", 16, "deit_small_patch16_224"),
        ("S", 16, "deit3_small_patch16_224"),
        ("L", 16, "deit3_large_patch16_224"),
        ("B", 14, "vit_base_patch14_dinov2"),
        ("g", 14, "vit_giant_patch14_dinov2"),
        ("S", 14, "vit_small_patch14_reg4_dinov2"),
        ("g", 14, "vit_giant_patch14_reg4_dinov2"),
    ],
)
def test_every_named_size_has_timms_parameters(size, patch, name):
    with torch.device("meta"):
        theirs = timm_net(name, num_classes=1000)
        side = theirs.patch_embed.img_size[0]
        config = VitConfig(size=VIT_SIZES[size], form=VIT_FORMS[form_of(name)], patch=patch, image_size=side)
        ours = VisionTransformer(config)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


def test_a_whole_tiny_network_is_timms():
    image_BCHW = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    ours = VisionTransformer(VitConfig(size=VIT_SIZES["Ti"])).eval()
    assert max(gaps(ours, timm_net("vit_tiny_patch16_224"), image_BCHW)) <= PARITY


def form_of(name: str) -> str:
    if "dinov2" in name:
        return "DINOv2 with registers" if "reg4" in name else "DINOv2"
    return "DeiT-III" if name.startswith("deit3") else "ViT"


FORMS = {  # ours, timm's
    "ViT": ({}, {}),
    "DeiT-III": ({"layer_scale": True, "class_has_position": False}, {"init_values": 1e-6, "no_embed_class": True}),
    "DINOv2": ({"layer_scale": True}, {"init_values": 1e-5}),
    "DINOv2 with registers": (
        {"layer_scale": True, "registers": 4, "class_has_position": False},
        {"init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True},
    ),
}


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sides", [(32, 32), (40, 56), (72, 24)], ids=str)
def test_every_form_is_timms_at_any_size(form, sides, pooling):
    ours, theirs = FORMS[form]
    assert vars_of(VIT_FORMS[form]) == vars_of(VitForm()) | ours
    image_BCHW = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))
    reference = small_timm(dynamic_img_size=True, global_pool={"cls": "token", "mean": "avg"}[pooling], **theirs)
    assert max(gaps(small_vit(pooling=pooling, **ours), reference, image_BCHW)) <= PARITY


def vars_of(form: VitForm) -> dict[str, object]:
    return {name: getattr(form, name) for name in VitForm.__slots__}


def test_the_gated_mlp_is_timms(image_BCHW):
    packed = timm().layers.SwiGLUPacked
    theirs = small_timm(mlp_layer=packed, mlp_ratio=4.0, act_layer=nn.SiLU, init_values=1e-5)
    ours = small_vit(gated_mlp=True, mlp_width=96, layer_scale=True)
    assert max(gaps(ours, theirs, image_BCHW)) <= PARITY
    for block in ours.blocks:  # the trap: the other half is the gate
        for name in ("weight", "bias"):
            rows = getattr(block.mlp.fc1, name)
            setattr(block.mlp.fc1, name, nn.Parameter(torch.cat(rows.chunk(2)[::-1])))
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) > 1e-2


SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "patch_size": 8, "image_size": 32}
SIDES = [(32, 32), (40, 56), (72, 24), (35, 50)]  # square and not, even and odd


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_tokens_are_those_of_transformers_vit(sides):
    config = models("vit").ViTConfig(**SIZES, intermediate_size=192, layer_norm_eps=1e-6)
    theirs = models("vit").ViTModel(config, add_pooling_layer=False)
    ours = small_vit(classes=0, positions="bicubic")
    theirs = load(theirs, randomise(ours), VIT, extra={})
    image_BCHW = noise(sides)
    with torch.inference_mode():
        token_BLD = theirs(image_BCHW, interpolate_pos_encoding=True).last_hidden_state
        assert relative_gap(ours.double().forward_tokens(image_BCHW), token_BLD) <= EXACT


def test_features_equal_those_of_transformers_deit_without_its_distillation_token():
    config = models("deit").DeiTConfig(**SIZES, intermediate_size=192, layer_norm_eps=1e-6)
    theirs = models("deit").DeiTModel(config, add_pooling_layer=False)
    ours = small_vit(classes=0)
    state, generator = randomise(ours), torch.Generator().manual_seed(5)
    distilled = torch.randn(1, 1, 48, generator=generator)
    position_1LD = torch.cat((state["pos_embed"][:, :1], distilled, state["pos_embed"][:, 1:]), dim=1)
    extra = {"embeddings.distillation_token": distilled}
    theirs = load(theirs, state | {"pos_embed": position_1LD}, VIT, extra=extra)
    seen_BL = torch.ones(2, 18, dtype=torch.long)
    seen_BL[:, 1] = 0
    image_BCHW = noise((32, 32))
    with torch.inference_mode():
        token_BLD = theirs(image_BCHW, attention_mask=seen_BL).last_hidden_state
        assert relative_gap(ours.double().forward_features(image_BCHW), token_BLD[:, 0]) <= EXACT


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("registers", [0, 4])
def test_tokens_are_those_of_transformers_dinov2(registers, sides):
    """Its table gives the class token a position of its own; in timm's with registers that is in the token itself.

    It interpolates the table in float32, whatever it computes in.
    """
    if registers:
        dinov2 = models("dinov2_with_registers")
        config = dinov2.Dinov2WithRegistersConfig(**SIZES, mlp_ratio=4, num_register_tokens=4)
        theirs = dinov2.Dinov2WithRegistersModel(config)
    else:
        theirs = models("dinov2").Dinov2Model(models("dinov2").Dinov2Config(**SIZES, mlp_ratio=4))
    form = FORMS["DINOv2 with registers" if registers else "DINOv2"][0]
    ours = small_vit(classes=0, positions="bicubic-antialias" if registers else "bicubic", **form).double()
    given = state = {name: tensor.double() for name, tensor in randomise(ours).items()}
    if registers:
        own = torch.randn(1, 1, 48, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        given = state | {
            "cls_token": state["cls_token"] - own,
            "pos_embed": torch.cat((own, state["pos_embed"]), dim=1),
        }
    theirs = load(theirs.double(), given, DINOV2, extra={})
    image_BCHW = noise(sides)
    with torch.inference_mode():
        token_BLD = theirs(image_BCHW).last_hidden_state
        exact = sides == (32, 32)
        assert relative_gap(ours.forward_tokens(image_BCHW), token_BLD) <= (EXACT if exact else PARITY)


def noise(sides: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def wrong_eps(net: VisionTransformer) -> None:
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5


def tanh_gelu(net: VisionTransformer) -> None:
    for block in net.blocks:
        block.mlp.act = nn.GELU(approximate="tanh")


def quick_gelu(net: VisionTransformer) -> None:
    class Quick(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return value * torch.sigmoid(1.702 * value)

    for block in net.blocks:
        block.mlp.act = Quick()


def repacked_qkv(net: VisionTransformer) -> None:
    """Read the rows of the one matrix as (A, 3, E): the same shape, another meaning."""
    for block in net.blocks:
        for name in ("weight", "bias"):
            rows = getattr(block.attn.qkv, name)
            repacked = rows.unflatten(0, (block.attn.heads, 3, -1)).transpose(0, 1).flatten(0, 2)
            setattr(block.attn.qkv, name, nn.Parameter(repacked))


def norm_of_tokens_then_mean(net: VisionTransformer) -> None:
    net.norm, net.fc_norm = net.fc_norm, nn.Identity()


def class_token_in_the_mean(net: VisionTransformer) -> None:
    net.forward_features = lambda image_BCHW: net.fc_norm(net.forward_tokens(image_BCHW).mean(dim=1))


def silent_layer_scale(net: VisionTransformer) -> None:
    """As a file would leave it that was loaded without its gammas: the shapes fit, the blocks are silent."""
    for block in net.blocks:
        for scale in (block.ls1, block.ls2):
            nn.init.constant_(scale.gamma, LAYER_SCALE_START)


def positions_on_the_registers(net: VisionTransformer) -> None:
    """Register tokens joined before positions are added take the first patches' positions."""
    with torch.no_grad():
        net.reg_token += net.pos_embed[:, :4]


def registers_last(net: VisionTransformer) -> None:
    """Order matters to whoever counts patches from 1 + G on."""
    embed = net._embed
    net._embed = lambda patch_BLD, grid: embed(patch_BLD, grid).roll(-4, dims=1)


def dinos_positions(net: VisionTransformer) -> None:
    net.positions = "bicubic-offset"


def rows_for_columns(net: VisionTransformer) -> None:
    """DINO's trap: `B, nc, w, h = x.shape`, where w is the height."""
    net._grid_of = lambda image_BCHW: (image_BCHW.shape[3] // 8, image_BCHW.shape[2] // 8)


@pytest.mark.parametrize(
    ("trap", "pooling"),
    [
        (silent_layer_scale, "cls"),
        (positions_on_the_registers, "cls"),
        (registers_last, "mean"),
        (dinos_positions, "cls"),
        (rows_for_columns, "cls"),
    ],
)
def test_each_trap_of_registers_would_break_the_parity(trap, pooling):
    form, theirs = FORMS["DINOv2 with registers"]
    theirs = small_timm(dynamic_img_size=True, global_pool={"cls": "token", "mean": "avg"}[pooling], **theirs)
    ours, image_BCHW = small_vit(pooling=pooling, **form), noise((40, 56)).float()
    assert max(gaps(ours, theirs, image_BCHW)) <= PARITY
    trap(ours)
    with torch.inference_mode():
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) > 1e-3


def position_only_on_patches(net: VisionTransformer) -> None:
    """Add the position first and then join the class token, as DeiT-3 does."""
    net.pos_embed = nn.Parameter(torch.cat((torch.zeros_like(net.pos_embed[:, :1]), net.pos_embed[:, 1:]), dim=1))


@pytest.mark.parametrize(
    ("trap", "pooling", "moves_at_least"),
    [
        (wrong_eps, "cls", 3e-5),
        (tanh_gelu, "cls", 3e-5),
        (quick_gelu, "cls", 1e-3),
        (repacked_qkv, "cls", 1e-2),
        (position_only_on_patches, "cls", 1e-2),
        (norm_of_tokens_then_mean, "mean", 1e-2),
        (class_token_in_the_mean, "mean", 1e-2),
    ],
)
def test_each_trap_would_break_the_parity(
    trap: Callable[[VisionTransformer], None], pooling, moves_at_least, image_BCHW
):
    image_BCHW = image_BCHW * (0.05 if trap is wrong_eps else 1)  # an eps shows where the variance is small
    theirs = small_timm(global_pool={"cls": "token", "mean": "avg"}[pooling])
    ours = small_vit(pooling=pooling)
    state = randomise(theirs)
    if trap is wrong_eps:
        state |= {name: 0.05 * state[name] for name in ("cls_token", "pos_embed", "patch_embed.proj.bias")}
        theirs.load_state_dict(state)
    ours.load_state_dict(state)
    with torch.inference_mode():
        wanted_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) <= PARITY
        trap(ours)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) > moves_at_least


def test_attention_scales_by_the_width_of_one_head(monkeypatch, image_BCHW):
    """By E, not by D: with three heads the two differ by the root of three."""
    ours, theirs = small_vit(), small_timm()
    right = vit.scaled_dot_product_attention

    def by_the_whole_width(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return right(query, key, value, scale=48**-0.5)

    assert max(gaps(ours, theirs, image_BCHW)) <= PARITY
    monkeypatch.setattr(vit, "scaled_dot_product_attention", by_the_whole_width)
    assert min(gaps(ours, theirs, image_BCHW)) > 1e-4


def test_patches_that_move_with_their_positions_change_nothing(image_BCHW):
    net = small_vit()
    randomise(net)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    square_BCHW = image_BCHW.unflatten(3, (4, 8)).unflatten(2, (4, 8)).transpose(3, 4)  # rows, columns of patches
    moved = square_BCHW.flatten(2, 3)[:, :, order].unflatten(2, (4, 4)).transpose(3, 4).flatten(2, 3).flatten(3, 4)
    with torch.inference_mode():
        before_BD = net.forward_features(image_BCHW)
        assert relative_gap(net.forward_features(moved), before_BD) > 1e-3
        net.pos_embed.copy_(torch.cat((net.pos_embed[:, :1], net.pos_embed[:, 1:][:, order]), dim=1))
        assert relative_gap(net.forward_features(moved), before_BD) <= PARITY


def test_tokens_come_out_class_first_and_the_feature_is_that_one(image_BCHW):
    net = small_vit()
    with torch.inference_mode():
        token_BLD = net.forward_tokens(image_BCHW)
        assert token_BLD.shape == (3, 17, 48)
        assert torch.equal(net.forward_features(image_BCHW), token_BLD[:, 0])


def test_registers_stand_between_the_class_token_and_the_patches(image_BCHW):
    net = small_vit(**FORMS["DINOv2 with registers"][0])
    randomise(net)
    with torch.inference_mode():
        assert net.forward_tokens(image_BCHW).shape == (3, 1 + 4 + 16, 48)
        before_BLD = net._embed(net.patch_embed(image_BCHW), (4, 4))
        net.reg_token += 1
        changed_L = (net._embed(net.patch_embed(image_BCHW), (4, 4)) - before_BLD).abs().amax(dim=(0, 2)) > 0
    assert changed_L.nonzero().flatten().tolist() == [1, 2, 3, 4]


def test_without_classes_the_network_gives_its_feature(image_BCHW):
    net = small_vit(classes=0)
    with torch.inference_mode():
        assert torch.equal(net(image_BCHW), net.forward_features(image_BCHW))


@pytest.mark.parametrize("sizes", [{"image_size": 30}, {"heads": 5}])
def test_sizes_that_do_not_divide_are_refused(sizes):
    with pytest.raises(ValueError, match="multiple"):
        small_vit(**sizes)


def test_the_mini_size_is_small_enough_to_ship():
    net = VisionTransformer(VitConfig(size=VIT_SIZES["mini"], patch=4, image_size=32, classes=0))
    assert sum(parameter.numel() for parameter in net.parameters()) <= 1_900_000  # float16: at most 4 MB
    assert VIT_SIZES["mini"].width == net.norm.weight.numel()
