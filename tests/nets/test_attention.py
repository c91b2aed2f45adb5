"""Attention is torch's MultiheadAttention and the papers' formulas, and would not be if a known trap were in it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.references import randomise, relative_gap
from vitrail.nets import attention
from vitrail.nets.attention import (
    AdditiveAttention,
    MultiHeadAttention,
    attend,
    attend_fused,
    past_and_present,
    watch_attention,
)

PARITY = 1e-10  # relative norm in float64
B, L, M, A, E = 3, 5, 7, 4, 6
D = A * E


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def padding_mask() -> Tensor:
    """`allowed_B1M`: the three memories end after 7, 4 and 1 tokens."""
    return (torch.arange(M) < torch.tensor([[7], [4], [1]])).unsqueeze(1)


def with_torchs_weights(theirs: nn.MultiheadAttention) -> MultiHeadAttention:
    """Ours with the weights of theirs, which keep query, key and value in one matrix."""
    ours = MultiHeadAttention(D, A).double().eval()
    names = ("query", "key", "value")
    state = {f"{name}.weight": part for name, part in zip(names, theirs.in_proj_weight.chunk(3), strict=True)}
    state |= {f"{name}.bias": part for name, part in zip(names, theirs.in_proj_bias.chunk(3), strict=True)}
    state |= {f"output.{name}": value for name, value in theirs.out_proj.state_dict().items()}
    ours.load_state_dict(state, strict=True)
    return ours


@pytest.fixture
def theirs() -> nn.MultiheadAttention:
    net = nn.MultiheadAttention(D, A, batch_first=True, dtype=torch.float64).eval()
    randomise(net)
    return net.double()


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_and_its_weights_are_torchs(theirs, masked, watched):
    ours = with_torchs_weights(theirs)
    token_BLD, memory_BMD, allowed_B1M = noise(B, L, D), noise(B, M, D, seed=2), padding_mask() if masked else None
    forbidden_BM = ~allowed_B1M[:, 0] if masked else None
    with torch.no_grad():
        wanted_BLD, wanted_BALM = theirs(
            token_BLD, memory_BMD, memory_BMD, key_padding_mask=forbidden_BM, average_attn_weights=False
        )
        if watched:
            with watch_attention(ours) as weights:
                heard_BLD = ours(token_BLD, memory_BMD, allowed_BLM=allowed_B1M)
            assert relative_gap(weights[""], wanted_BALM) <= PARITY
        else:
            heard_BLD = ours(token_BLD, memory_BMD, allowed_BLM=allowed_B1M)
    assert relative_gap(heard_BLD, wanted_BLD) <= PARITY


def test_causal_self_attention_is_torchs(theirs):
    ours, token_BLD = with_torchs_weights(theirs), noise(B, L, D)
    with torch.no_grad():
        forbidden_LL = nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64)
        wanted_BLD, _ = theirs(token_BLD, token_BLD, token_BLD, attn_mask=forbidden_LL)
        assert relative_gap(ours(token_BLD, allowed_BLM=past_and_present(L)), wanted_BLD) <= PARITY


def heads_inside(net: MultiHeadAttention, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split the width as (E, A): the same shapes, another function."""
    monkeypatch.setattr(net, "_split", lambda token: token.unflatten(-1, (-1, A)).permute(0, 3, 1, 2))


def repacked(net: MultiHeadAttention, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the one matrix of query, key and value as (A, 3, E) and not as (3, A, E)."""
    for name in ("weight", "bias"):
        parts = [getattr(part, name) for part in (net.query, net.key, net.value)]
        rows = torch.cat(parts).unflatten(0, (A, 3, E)).transpose(0, 1)
        for part, row in zip((net.query, net.key, net.value), rows, strict=True):
            monkeypatch.setattr(part, name, nn.Parameter(row.flatten(0, 1)))


def scaled_by_the_whole_width(net: MultiHeadAttention, monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.scaled_dot_product_attention
    monkeypatch.setattr(
        attention, "scaled_dot_product_attention", lambda *tensors, **options: right(*tensors, scale=D**-0.5, **options)
    )


def mask_of_torch(net: MultiHeadAttention, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.nn.MultiheadAttention's masks are True where nobody may look."""
    right = attention.scaled_dot_product_attention
    monkeypatch.setattr(
        attention,
        "scaled_dot_product_attention",
        lambda *tensors, attn_mask, **options: right(*tensors, attn_mask=~attn_mask, **options),
    )


@pytest.mark.parametrize("trap", [heads_inside, repacked, scaled_by_the_whole_width, mask_of_torch])
def test_each_trap_would_break_the_parity(trap, theirs, monkeypatch):
    ours, token_BLD, memory_BMD = with_torchs_weights(theirs), noise(B, L, D), noise(B, M, D, seed=2)
    allowed_B1M = padding_mask()
    with torch.no_grad():
        wanted_BLD, _ = theirs(token_BLD, memory_BMD, memory_BMD, key_padding_mask=~allowed_B1M[:, 0])
        trap(ours, monkeypatch)
        assert relative_gap(ours(token_BLD, memory_BMD, allowed_BLM=allowed_B1M), wanted_BLD) > 1e-2


def test_the_scale_is_the_root_of_one_heads_width():
    """By hand: two heads of width 1 divide by 1; one head of width 2 divides by the root of 2."""
    query, key, value = (
        torch.tensor(rows, dtype=torch.float64) for rows in ([[1, 1]], [[1, 0], [0, 3]], [[1, 2], [3, 5]])
    )
    wide, _ = attend(query[None, None], key[None, None], value[None, None])
    first = 1 / (1 + np.exp((3 - 1) / np.sqrt(2)))
    assert wide.flatten().tolist() == pytest.approx([first * 1 + (1 - first) * 3, first * 2 + (1 - first) * 5])
    narrow, _ = attend(query.T[None, :, :, None], key.T[None, :, :, None], value.T[None, :, :, None])
    left, right = 1 / (1 + np.exp(0 - 1)), 1 / (1 + np.exp(3 - 0))
    assert narrow.flatten().tolist() == pytest.approx([left * 1 + (1 - left) * 3, right * 2 + (1 - right) * 5])


@pytest.mark.parametrize("mask", ["none", "padding", "causal", "nobody"])
def test_the_fused_path_gives_the_same_numbers_and_gradients(mask):
    M_here = L if mask == "causal" else M
    allowed = {
        "none": None,
        "padding": padding_mask().unsqueeze(1),
        "causal": past_and_present(L).unsqueeze(1),
        "nobody": (padding_mask() & torch.tensor([True, False, True])[:, None, None]).unsqueeze(1),
    }[mask]
    results = []
    for path in (lambda *tensors, **options: attend(*tensors, **options)[0], attend_fused):
        tensors = [noise(B, A, rows, E, seed=rows).requires_grad_() for rows in (L, M_here, M_here)]
        mixed_BALE = path(*tensors, allowed_BALM=allowed)
        results.append([mixed_BALE, *torch.autograd.grad(mixed_BALE.square().sum(), tensors)])
    for written, fused in zip(*results, strict=True):
        assert torch.isfinite(written).all()
        assert (written - fused).norm() <= PARITY * fused.norm()


def test_a_token_that_may_attend_to_nothing_gets_zeros():
    nobody_BALM = torch.zeros(1, 1, 1, M, dtype=torch.bool)
    mixed_BALE, weight_BALM = attend(noise(B, A, L, E), noise(B, A, M, E), noise(B, A, M, E), allowed_BALM=nobody_BALM)
    assert not mixed_BALE.any()
    assert not weight_BALM.any()


@pytest.mark.parametrize("path", [lambda *tensors, **options: attend(*tensors, **options)[0], attend_fused])
def test_dropout_silences_a_share_of_the_weights_and_raises_the_others(path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        query, key = torch.zeros(40, 1, 20, 4), torch.zeros(40, 1, 25, 4)  # every weight is 1/25
        value = torch.eye(25).expand(40, 1, 25, 25)  # so what is heard are the weights themselves
        heard = path(query, key, value, dropout=0.2)
    assert set(heard.mul(25).round(decimals=4).unique().tolist()) == {0.0, 1.25}
    assert (heard == 0).float().mean() == pytest.approx(0.2, abs=0.02)  # 20,000 weights: 0.003 a standard error


def test_dropout_is_for_training_alone_and_pictures_show_the_weights_before_it():
    net = MultiHeadAttention(D, A, dropout=0.5).double()
    randomise(net)
    token_BLD = noise(B, L, D)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        assert torch.equal(net.eval()(token_BLD), net(token_BLD))
        net.train()
        assert not torch.equal(net(token_BLD), net(token_BLD))
        with watch_attention(net) as weights:
            net(token_BLD)
    assert weights[""].sum(dim=-1).allclose(torch.ones(B, A, L, dtype=torch.float64))


def test_watching_names_every_layer_keeps_the_latest_pass_and_ends():
    net = nn.Sequential(MultiHeadAttention(D, A), nn.Sequential(MultiHeadAttention(D, 2))).double()
    with torch.no_grad():
        unwatched_BLD = net(noise(B, L, D))
        with watch_attention(net) as weights:
            net(noise(1, M, D))
            watched_BLD = net(noise(B, L, D))
        before = weights["0"].clone()
        net(noise(B, L, D, seed=3))
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == {"0": (B, A, L, L), "1.0": (B, 2, L, L)}
    assert relative_gap(watched_BLD, unwatched_BLD) <= PARITY
    assert torch.equal(weights["0"], before)


def test_watching_ends_with_an_error_too():
    net = MultiHeadAttention(D, A)
    with pytest.raises(RuntimeError, match="stop"), watch_attention(net):
        raise RuntimeError("stop")
    assert net.on_weights is None


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="multiple of its heads; got width 10, 4 heads"):
        MultiHeadAttention(10, 4)


def test_additive_attention_is_the_formula_of_2014():
    """Written again in numpy, one pair of words at a time."""
    net = AdditiveAttention(4, 6, 5).double()
    randomise(net)
    query_BLD, memory_BMD = noise(2, 3, 4), noise(2, 7, 6, seed=2)
    allowed_B1M = padding_mask()[:2]
    with torch.no_grad():
        context_BLD, weight_BLM = net(query_BLD, net.keys(memory_BMD), memory_BMD, allowed_BLM=allowed_B1M)
        W_a, U_a, v_a = (matrix.weight.numpy() for matrix in (net.W_a, net.U_a, net.v_a))
    for sentence, length in enumerate((7, 4)):
        for asker, s in enumerate(query_BLD[sentence].numpy()):
            fits = [(v_a @ np.tanh(W_a @ s + U_a @ h)).item() for h in memory_BMD[sentence, :length].numpy()]
            alpha = np.exp(fits) / np.exp(fits).sum()
            assert weight_BLM[sentence, asker].tolist() == pytest.approx([*alpha, *[0.0] * (7 - length)], rel=1e-10)
            context = sum(share * h for share, h in zip(alpha, memory_BMD[sentence].numpy(), strict=False))
            assert context_BLD[sentence, asker].numpy() == pytest.approx(context, rel=1e-10)


def test_additive_attention_would_not_be_the_formula_with_the_sum_outside_the_tanh():
    """The negative twin: v . (tanh(W s) + tanh(U h)) no longer depends on who asks, once it is normalised."""
    net = AdditiveAttention(4, 6, 5).double()
    randomise(net)
    memory_BMD = noise(1, 7, 6)
    with torch.no_grad():
        _, weight_BLM = net(noise(1, 2, 4, seed=2), net.keys(memory_BMD), memory_BMD)
        outside_BM = net.v_a(net.keys(memory_BMD).tanh()).squeeze(-1).softmax(dim=-1)
    assert (weight_BLM[0, 0] - weight_BLM[0, 1]).abs().max() > 1e-3
    assert (weight_BLM[0] - outside_BM).abs().max() > 1e-3
