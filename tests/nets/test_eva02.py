"""EVA-02 computes what timm's computes, and would not if a known trap were in it."""

import pytest
import torch
from torch import Tensor, nn

from tests.references import randomise, relative_gap, timm_net
from vitrail.backbones.weights import give_our_names
from vitrail.nets import eva02
from vitrail.nets.eva02 import EVA02_SIZES, Eva02, EvaConfig, EvaSize
from vitrail.nets.rotary import Pairs, angles_of_grid
from vitrail.nets.rotary import turn as right_turn

PARITY = 5e-6  # relative norm in float32
SIDES = [(128, 128), (144, 96), (64, 160)]  # square and not; at 8 pixels a patch the first is the grid of pretraining


def small_eva02(*, sub_norm: bool, classes: int = 10) -> Eva02:
    size = EvaSize(48, 3, 3, 128, sub_norm=sub_norm)
    return Eva02(EvaConfig(size=size, patch=8, image_size=128, classes=classes)).eval()


def small_timm(*, sub_norm: bool) -> nn.Module:
    """The sizes with sub-LN have apart what the others pack."""
    name = "eva02_base_patch14_224" if sub_norm else "eva02_small_patch14_224"
    sizes = {"img_size": 128, "patch_size": 8, "embed_dim": 48, "depth": 3, "num_heads": 3}
    return timm_net(name, **sizes, num_classes=10, dynamic_img_size=True)


def both(tmp_path, *, sub_norm: bool) -> tuple[Eva02, nn.Module]:
    """Ours and timm's with the same random weights, large enough for the products of queries and keys to matter."""
    ours, theirs = small_eva02(sub_norm=sub_norm), small_timm(sub_norm=sub_norm)
    state = randomise(theirs)
    for name in state:
        if any(part in name for part in ("qkv.weight", "q_proj.weight", "k_proj.weight")):
            state[name] *= 3
    theirs.load_state_dict(state)
    ours.load_state_dict(give_our_names(state, tmp_path), strict=True)
    return ours, theirs


def noise(sides: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("sub_norm", [False, True])
def test_features_and_logits_are_timms(sub_norm, sides, tmp_path):
    (ours, theirs), image_BCHW = both(tmp_path, sub_norm=sub_norm), noise(sides)
    with torch.inference_mode():
        feature_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), feature_BD) <= PARITY
        assert relative_gap(ours(image_BCHW), theirs(image_BCHW)) <= PARITY


def test_the_class_token_is_normed_as_the_mean_is(tmp_path):
    (ours, theirs), image_BCHW = both(tmp_path, sub_norm=True), noise(SIDES[1])
    with torch.inference_mode():
        wanted_BD = theirs.fc_norm(theirs.forward_features(image_BCHW)[:, 0])
        pooled_BD = ours.forward_pooled(image_BCHW, ("mean", "cls"))
        assert relative_gap(pooled_BD[:, 48:], wanted_BD) <= PARITY
        assert relative_gap(pooled_BD[:, :48], ours.forward_features(image_BCHW)) <= PARITY


@pytest.mark.parametrize(("size", "name"), [("Ti", "tiny"), ("S", "small"), ("B", "base")])
def test_every_size_has_timms_parameters(size, name, tmp_path):
    with torch.device("meta"):
        ours = Eva02(EvaConfig(size=EVA02_SIZES[size], classes=10))
        theirs = timm_net(f"eva02_{name}_patch14_224", num_classes=10)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in give_our_names(theirs.state_dict(), tmp_path).items()
    }


def columns_before_rows(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    right = net._angles
    net._angles = lambda grid, device: right(grid, device).roll(net.head_width // 4, dims=1)


def halves_in_pairs(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eva02, "turn", lambda vector, angle, pairs: right_turn(vector, angle, "halves"))


def places_not_squeezed(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another grid than that of pretraining counts in whole patches."""
    speed_S = 1 / eva02.SLOWEST_TURN ** (torch.arange(4) / 4)
    net._angles = lambda grid, device: angles_of_grid(torch.arange(grid[0]), torch.arange(grid[1]), speed_S)


def class_token_turned(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    """The class token as the patch before the first."""

    def turn_all(vector: Tensor, angle_LR: Tensor, pairs: Pairs) -> Tensor:
        return right_turn(vector, torch.cat((-angle_LR[1:2], angle_LR)), pairs)

    monkeypatch.setattr(eva02, "turn", turn_all)


def gate_for_value(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in net.blocks:
        block.mlp.fc1_g, block.mlp.fc1_x = block.mlp.fc1_x, block.mlp.fc1_g


def no_sub_norm(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in net.blocks:
        block.mlp.norm = nn.Identity()


def norm_of_tokens_then_mean(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    net.forward_pooled = lambda image_BCHW, poolings: net.fc_norm(net.forward_tokens(image_BCHW))[:, 1:].mean(dim=1)


def class_token_in_the_mean(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    net.forward_pooled = lambda image_BCHW, poolings: net.fc_norm(net.forward_tokens(image_BCHW).mean(dim=1))


def no_table_of_positions(net: Eva02, monkeypatch: pytest.MonkeyPatch) -> None:
    nn.init.zeros_(net.pos_embed)


@pytest.mark.parametrize(
    ("trap", "sub_norm"),
    [
        (columns_before_rows, True),
        (halves_in_pairs, True),
        (places_not_squeezed, True),
        (class_token_turned, True),
        (gate_for_value, False),
        (gate_for_value, True),
        (no_sub_norm, True),
        (norm_of_tokens_then_mean, True),
        (class_token_in_the_mean, True),
        (no_table_of_positions, False),
    ],
)
def test_each_trap_would_break_the_parity(trap, sub_norm, tmp_path, monkeypatch):
    (ours, theirs), image_BCHW = both(tmp_path, sub_norm=sub_norm), noise((144, 96))
    with torch.inference_mode():
        wanted_BD = theirs.forward_head(theirs.forward_features(image_BCHW), pre_logits=True)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) <= PARITY
        trap(ours, monkeypatch)
        assert relative_gap(ours.forward_features(image_BCHW), wanted_BD) > 1e-4


def test_without_classes_the_network_gives_its_feature():
    net = small_eva02(sub_norm=False, classes=0)
    with torch.inference_mode():
        assert torch.equal(net(noise((64, 64))), net.forward_features(noise((64, 64))))
