"""The Transformer's layers are torch's, its decoding is exhaustive search where that can be done."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.references import randomise, relative_gap
from vitrail.nets import transformer
from vitrail.nets.attention import watch_attention
from vitrail.nets.transformer import END, PADDING, START, Transformer, beam_search, greedy, readable, sinusoids

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # torch's, of a shortcut not taken

PARITY = 1e-10  # relative norm in float64
V, D, A, F, DEPTH = 11, 24, 4, 40, 2
SOURCE_BM = torch.tensor([[4, 5, 6, 7, END], [8, 9, END, PADDING, PADDING], [3, END, PADDING, PADDING, PADDING]])
TARGET_BL = torch.tensor([[START, 5, 6, 7], [START, 9, 4, 4], [START, 3, 10, 8]])


def small(norm: str = "post", **options: object) -> Transformer:
    sizes = {"width": D, "depth": DEPTH, "heads": A, "mlp_width": F, "dropout": 0.0}
    net = Transformer(V, norm=norm, **sizes | options).double().eval()
    randomise(net)
    return net


def in_torchs_names(net: Transformer, norm: str) -> nn.Transformer:
    """torch's own encoder and decoder with our weights. In training mode: nothing takes a shortcut, dropout is 0."""
    pre = norm == "pre"
    options = {"dropout": 0.0, "batch_first": True, "norm_first": pre, "dtype": torch.float64}
    theirs = nn.Transformer(D, A, DEPTH, DEPTH, F, **options)
    if not pre:  # torch normalises once more at the end of each stack, which the paper does not
        theirs.encoder.norm = theirs.decoder.norm = None
    state = {}
    for side in ("encoder", "decoder"):
        for place, layer in enumerate(getattr(net, side)):
            state |= {f"{side}.layers.{place}.{name}": value for name, value in layer_in_torchs_names(layer).items()}
        if pre:
            last = getattr(net, f"{side}_norm")
            state |= {f"{side}.norm.{name}": value for name, value in last.state_dict().items()}
    theirs.load_state_dict(state, strict=True)
    return theirs


def layer_in_torchs_names(layer: nn.Module) -> dict[str, Tensor]:
    ours, state = layer.state_dict(), {}
    for name, theirs in (("self_attention", "self_attn"), ("cross_attention", "multihead_attn")):
        if hasattr(layer, name):
            for kind in ("weight", "bias"):
                parts = [ours[f"{name}.{part}.{kind}"] for part in ("query", "key", "value")]
                state[f"{theirs}.in_proj_{kind}"] = torch.cat(parts)
                state[f"{theirs}.out_proj.{kind}"] = ours[f"{name}.output.{kind}"]
    for kind in ("weight", "bias"):
        state |= {f"linear1.{kind}": ours[f"mlp.inner.{kind}"], f"linear2.{kind}": ours[f"mlp.outer.{kind}"]}
        for place in range(len(layer.residuals)):
            state[f"norm{place + 1}.{kind}"] = ours[f"residuals.{place}.norm.{kind}"]
    return state


def gap_to_torch(net: Transformer, theirs: nn.Transformer) -> float:
    """How far our logits are from those of torch's stacks between the same embedding and the same last projection."""
    L = TARGET_BL.shape[1]
    with torch.no_grad():
        vectors = []
        for tokens in (SOURCE_BM, TARGET_BL):
            place, pair = np.arange(tokens.shape[1])[:, None], np.arange(D // 2)[None]
            angle = place / 10000 ** (2 * pair / D)
            position = np.empty((tokens.shape[1], D))
            position[:, 0::2], position[:, 1::2] = np.sin(angle), np.cos(angle)
            vectors.append(net.embedding.weight[tokens] * math.sqrt(D) + torch.from_numpy(position))
        padded_BM = SOURCE_BM == PADDING
        decoded_BLD = theirs(
            *vectors,
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64),
            src_key_padding_mask=padded_BM,
            memory_key_padding_mask=padded_BM,
        )
        wanted_BLV = nn.functional.linear(decoded_BLD, net.embedding.weight)
        return relative_gap(net(SOURCE_BM, TARGET_BL), wanted_BLV)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_both_forms_are_torchs(norm):
    net = small(norm)
    assert gap_to_torch(net, in_torchs_names(net, norm)) <= PARITY


@pytest.mark.parametrize(
    ("trap", "norm"),
    [
        ("eps", "post"),
        ("eps", "pre"),
        ("scale of the embedding", "post"),
        ("halves instead of turns", "post"),
        ("no look at the padding", "post"),
        ("a look at what comes", "post"),
        ("the other norm", "post"),
        ("no last norm", "pre"),
    ],
)
def test_each_trap_would_break_the_parity(trap, norm, monkeypatch):
    net = small(norm)
    theirs = in_torchs_names(net, norm)
    assert gap_to_torch(net, theirs) <= PARITY
    if trap == "eps":
        for module in net.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-6
    elif trap == "scale of the embedding":
        monkeypatch.setattr(net.embedding, "embedding_dim", 1)
    elif trap == "halves instead of turns":  # sines first and then cosines, as tensor2tensor's code had it
        monkeypatch.setattr(
            transformer,
            "sinusoids",
            lambda L, D, *, like: sinusoids(L, D, like=like).unflatten(1, (-1, 2)).mT.flatten(1),
        )
    elif trap == "no look at the padding":
        monkeypatch.setattr(transformer, "readable", lambda source: torch.ones_like(source, dtype=torch.bool)[:, None])
    elif trap == "a look at what comes":
        everything = torch.ones(1, 4, 4, dtype=torch.bool)
        monkeypatch.setattr(transformer, "past_and_present", lambda length, device: everything)
    elif trap == "the other norm":
        other = small("pre")
        other.load_state_dict(net.state_dict(), strict=False)
        net = other
    else:
        net.decoder_norm = nn.Identity()
    assert gap_to_torch(net, theirs) > 1e-8


def test_positions_are_the_papers():
    """PE(pos, 2i) = sin(pos / 10000^(2i/D)) and PE(pos, 2i+1) the cosine: two places by hand."""
    position_LD = sinusoids(50, 6, like=torch.zeros(1, dtype=torch.float64))
    assert position_LD[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert position_LD[49, 2:4].tolist() == pytest.approx(
        [math.sin(49 / 10000 ** (2 / 6)), math.cos(49 / 10000 ** (2 / 6))]
    )


def test_a_step_to_the_right_is_one_rotation_everywhere():
    """Why the paper chose sinusoids: PE(pos + k) is a linear function of PE(pos), the same for every pos."""
    position_LD = sinusoids(40, 8, like=torch.zeros(1, dtype=torch.float64))
    step = torch.linalg.lstsq(position_LD[:-3], position_LD[3:]).solution
    assert (position_LD[:-3] @ step).allclose(position_LD[3:])


def test_no_token_sees_a_later_one():
    net, changed_BL = small(), TARGET_BL.clone()
    changed_BL[:, 2:] = 9
    with torch.no_grad():
        assert relative_gap(net(SOURCE_BM, changed_BL)[:, :2], net(SOURCE_BM, TARGET_BL)[:, :2]) <= PARITY
        assert relative_gap(net(SOURCE_BM, changed_BL)[:, 2:], net(SOURCE_BM, TARGET_BL)[:, 2:]) > 1e-3


def test_padding_changes_nothing():
    net = small()
    longer_BM = torch.cat((SOURCE_BM, torch.full((3, 4), PADDING)), dim=1)
    with torch.no_grad():
        assert relative_gap(net(longer_BM, TARGET_BL), net(SOURCE_BM, TARGET_BL)) <= PARITY
        assert relative_gap(net(SOURCE_BM[1:2, :3], TARGET_BL[1:2]), net(SOURCE_BM, TARGET_BL)[1:2]) <= PARITY


def test_the_source_is_a_sequence_and_not_a_set():
    net = small()
    with torch.no_grad():
        assert relative_gap(net(SOURCE_BM[:1].flip(1), TARGET_BL[:1]), net(SOURCE_BM[:1], TARGET_BL[:1])) > 1e-3


def test_the_base_model_has_the_papers_65_million_parameters():
    with torch.device("meta"):
        net = Transformer(37_000)  # the shared vocabulary of section 5.1
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == 37_000 * 512 + 6 * (4 * 262_656 + 2_099_712 + 2 * 1_024) + 6 * (8 * 262_656 + 2_099_712 + 3 * 1_024)
    assert count == pytest.approx(65e6, rel=0.04)  # table 3


def test_all_attention_can_be_watched():
    net = small()
    with torch.no_grad(), watch_attention(net) as weights:
        net(SOURCE_BM, TARGET_BL)
    assert set(weights) == {
        f"{side}.{place}.{kind}_attention"
        for side, kinds in (("encoder", ("self",)), ("decoder", ("self", "cross")))
        for place in range(DEPTH)
        for kind in kinds
    }
    assert weights["decoder.1.cross_attention"].shape == (3, A, 4, 5)
    assert not weights["decoder.1.cross_attention"][1, :, :, 3:].any()  # the padding


def test_greedy_decoding_is_one_argmax_after_the_other():
    net = small()
    written_BL = greedy(net, SOURCE_BM, longest=6)
    for source_M, written_L in zip(SOURCE_BM, written_BL, strict=True):
        told = [START]
        while len(told) <= 6 and told[-1] != END:
            with torch.no_grad():
                logit_V = net(source_M[source_M != PADDING][None], torch.tensor([told]))[0, -1]
            told.append(max(range(END, V), key=lambda token: logit_V[token].item()))
        answer = written_L[written_L != PADDING].tolist()
        assert answer == told[1:]


def likely(net: Transformer, source_1M: Tensor, answer: tuple[int, ...]) -> float:
    """The log-probability of an answer among those without PADDING and START."""
    with torch.no_grad():
        logit_LV = net(source_1M, torch.tensor([[START, *answer[:-1]]]))[0]
    logit_LV[:, [PADDING, START]] = -torch.inf
    return logit_LV.log_softmax(dim=-1)[range(len(answer)), list(answer)].sum().item()


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all_answers(length_penalty):
    """Three words, at most three long: all 1 + 3 + 9 + 27 answers are tried."""
    net = Transformer(6, width=8, depth=1, heads=2, mlp_width=8, dropout=0.0).double().eval()
    source_BM = torch.tensor([[3, 4, END, PADDING], [5, 5, 3, END]])
    words, found_lengths = (3, 4, 5), set()
    for seed in range(4):
        randomise(net, seed=seed)
        found_BL = beam_search(net, source_BM, longest=3, beams=40, length_penalty=length_penalty)
        for source_M, found_L in zip(source_BM, found_BL, strict=True):
            ended = [(*head, END) for length in range(3) for head in itertools.product(words, repeat=length)]
            answers = ended + list(itertools.product(words, repeat=3))
            source_1M = source_M[source_M != PADDING][None]
            best = max(
                answers, key=lambda answer: likely(net, source_1M, answer) / ((5 + len(answer)) / 6) ** length_penalty
            )
            assert tuple(found_L[found_L != PADDING].tolist()) == best
            found_lengths.add(len(best))
    assert len(found_lengths) > 1  # the test has seen answers that end at different places


def test_a_beam_of_one_is_greedy_and_a_wider_one_finds_likelier_answers():
    better = 0
    for seed in range(5):
        net = small()
        randomise(net, seed=seed)
        assert torch.equal(beam_search(net, SOURCE_BM, longest=6, beams=1), greedy(net, SOURCE_BM, longest=6))
        wide_BL = beam_search(net, SOURCE_BM, longest=6, beams=8, length_penalty=0.0)
        for place, narrow_L in enumerate(greedy(net, SOURCE_BM, longest=6)):
            source_1M = SOURCE_BM[place][SOURCE_BM[place] != PADDING][None]
            pair = [tuple(row[row != PADDING].tolist()) for row in (wide_BL[place], narrow_L)]
            wide, narrow = (likely(net, source_1M, answer) for answer in pair)
            better += wide > narrow + 1e-9
    assert better > 0


def test_a_length_penalty_prefers_longer_answers():
    """It chooses among the same hypotheses, so no answer gets shorter."""
    gained = 0
    for seed in range(5):
        net = small()
        randomise(net, seed=seed)
        short_B, long_B = (
            (beam_search(net, SOURCE_BM, longest=8, beams=8, length_penalty=alpha) != PADDING).sum(dim=1)
            for alpha in (0.0, 5.0)
        )
        assert (short_B <= long_B).all()
        gained += (long_B - short_B).sum().item()
    assert gained > 0


def test_a_few_steps_of_training_lower_the_loss_and_reach_every_parameter():
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    net = Transformer(V, width=D, depth=1, heads=A, mlp_width=F, dropout=0.1)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    answer_BL = torch.cat((TARGET_BL[:, 1:], torch.full((3, 1), END)), dim=1)
    losses = []
    for _ in range(60):
        loss = cross_entropy(net(SOURCE_BM, TARGET_BL).flatten(0, 1), answer_BL.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    torch.random.set_rng_state(torch_state)
    assert losses[-1] < losses[0] / 2
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


def test_only_tokens_that_are_not_padding_are_readable():
    assert readable(SOURCE_BM)[1].tolist() == [[True, True, True, False, False]]
