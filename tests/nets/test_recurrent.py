"""The recurrent net is the appendix of the paper, written again in numpy, and torch's GRU where the two agree."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.references import randomise, relative_gap
from vitrail.nets import recurrent
from vitrail.nets.recurrent import END, PADDING, START, GatedUnit, RNNSearch, greedy

PARITY = 1e-10  # relative norm in float64
V, D, S = 11, 6, 8
LENGTHS = [5, 3, 2]
SOURCE_BM = torch.tensor([[4, 5, 6, 7, END], [8, 9, END, PADDING, PADDING], [3, END, PADDING, PADDING, PADDING]])
TARGET_BL = torch.tensor([[START, 5, 6, 7], [START, 9, 4, 4], [START, 3, 10, 8]])

Rows = NDArray[np.float64]


def small(*, seed: int = 0) -> RNNSearch:
    net = RNNSearch(V, width=D, state=S, readout=7).double().eval()
    randomise(net, seed=seed)
    return net


def sigmoid(x: Rows) -> Rows:
    return 1 / (1 + np.exp(-x))


def gated(net: GatedUnit, x: Rows, s: Rows) -> Rows:
    """Appendix A.1.1 for one sentence, with one small matrix a letter."""
    W, W_z, W_r = np.split(net.W.weight.numpy(), 3)
    b, b_z, b_r = np.split(net.W.bias.numpy(), 3)
    U_z, U_r = np.split(net.U_gates.weight.numpy(), 2)
    z = sigmoid(W_z @ x + b_z + U_z @ s)
    r = sigmoid(W_r @ x + b_r + U_r @ s)
    return (1 - z) * s + z * np.tanh(W @ x + b + net.U.weight.numpy() @ (r * s))


def by_the_paper(net: RNNSearch, source: list[int], target: list[int]) -> tuple[Rows, Rows]:
    """Logits and weights of one sentence without padding, one word at a time."""
    E = net.embedding.weight.detach().numpy()
    W_a, U_a, v_a = (getattr(net.attention, name).weight.numpy() for name in ("W_a", "U_a", "v_a"))
    rightwards, leftwards = [np.zeros(S)], [np.zeros(S)]
    for word in source:
        rightwards.append(gated(net.rightwards, E[word], rightwards[-1]))
    for word in reversed(source):
        leftwards.append(gated(net.leftwards, E[word], leftwards[-1]))
    h = [np.concatenate(both) for both in zip(rightwards[1:], reversed(leftwards[1:]), strict=True)]
    s = np.tanh(net.first_state.weight.numpy() @ leftwards[-1] + net.first_state.bias.numpy())
    logits, weights = [], []
    for word in target:
        e = np.array([(v_a @ np.tanh(W_a @ s + U_a @ h_j)).item() for h_j in h])
        alpha = np.exp(e) / np.exp(e).sum()
        c = sum(share * h_j for share, h_j in zip(alpha, h, strict=True))
        t = net.maxout.weight.numpy() @ np.concatenate((s, E[word], c)) + net.maxout.bias.numpy()
        t = np.array([max(t[place], t[place + 1]) for place in range(0, len(t), 2)])
        logits.append(net.logits.weight.numpy() @ t + net.logits.bias.numpy())
        weights.append(alpha)
        s = gated(net.decoder, np.concatenate((E[word], c)), s)
    return np.array(logits), np.array(weights)


def gaps_to_the_paper(net: RNNSearch) -> tuple[float, float]:
    """The largest relative gap of logits and of weights, over sentences of three lengths in one padded batch."""
    with torch.no_grad():
        logit_BLV, weight_BLM = net(SOURCE_BM, TARGET_BL)
        gaps = []
        for place, length in enumerate(LENGTHS):
            wanted = by_the_paper(net, SOURCE_BM[place, :length].tolist(), TARGET_BL[place].tolist())
            ours = (logit_BLV[place], weight_BLM[place, :, :length])
            gaps.append([relative_gap(one, torch.from_numpy(two)) for one, two in zip(ours, wanted, strict=True)])
            assert not weight_BLM[place, :, length:].any()
    logit_gap, weight_gap = np.max(gaps, axis=0)
    return float(logit_gap), float(weight_gap)


def test_logits_and_weights_are_the_papers():
    assert max(gaps_to_the_paper(small())) <= PARITY


def reset_after_the_product(unit: GatedUnit) -> None:
    """torch.nn.GRU's order, which is cuDNN's: r * (U s) instead of U (r * s)."""

    def forward(projected_B3S: Tensor, state_BS: Tensor) -> Tensor:
        new, update, reset = projected_B3S.chunk(3, dim=-1)
        from_update, from_reset = unit.U_gates(state_BS).chunk(2, dim=-1)
        z, r = torch.sigmoid(update + from_update), torch.sigmoid(reset + from_reset)
        return (1 - z) * state_BS + z * torch.tanh(new + r * unit.U(state_BS))

    unit.forward = forward


def update_gate_of_torch(unit: GatedUnit) -> None:
    """torch.nn.GRU keeps the old state where z is 1."""
    right = unit.forward

    def forward(projected_B3S: Tensor, state_BS: Tensor) -> Tensor:
        new, update, reset = projected_B3S.chunk(3, dim=-1)
        unit.U_gates.weight[:S].neg_()
        state_BS = right(torch.cat((new, -update, reset), dim=-1), state_BS)
        unit.U_gates.weight[:S].neg_()
        return state_BS

    unit.forward = forward


@pytest.mark.parametrize("trap", [reset_after_the_product, update_gate_of_torch])
@pytest.mark.parametrize("name", ["rightwards", "leftwards", "decoder"])
def test_each_trap_of_the_gates_would_break_the_parity(trap, name):
    net = small()
    trap(getattr(net, name))
    assert min(gaps_to_the_paper(net)) > 1e-4


def padding_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the encoder read the padding: the leftwards half begins with it."""
    right = recurrent.read
    monkeypatch.setattr(recurrent, "read", lambda unit, words, ok: right(unit, words, torch.ones_like(ok)))


def leftwards_half_not_turned_back(monkeypatch: pytest.MonkeyPatch) -> None:
    right, calls = recurrent.read, []

    def read(unit: GatedUnit, words: Tensor, ok: Tensor) -> Tensor:
        calls.append(unit)
        state_BMS = right(unit, words, ok)
        return state_BMS.flip(1) if len(calls) == 2 else state_BMS

    monkeypatch.setattr(recurrent, "read", read)


@pytest.mark.parametrize("trap", [padding_read, leftwards_half_not_turned_back])
def test_each_trap_of_the_encoder_would_break_the_parity(trap, monkeypatch):
    trap(monkeypatch)
    assert min(gaps_to_the_paper(small())) > 1e-3


def test_the_encoder_is_torchs_where_the_two_forms_agree():
    """With U = 0 the reset gate has no say, and torch's GRU differs by the sign of its update gate alone."""
    net = small()
    theirs = nn.GRU(D, S, bidirectional=True, batch_first=True, dtype=torch.float64)
    for unit, ending in ((net.rightwards, "l0"), (net.leftwards, "l0_reverse")):
        nn.init.zeros_(unit.U.weight)
        new, update, reset = (torch.cat((part, bias[:, None]), dim=1) for part, bias in chunks(unit.W))
        update_state, reset_state = unit.U_gates.weight.chunk(2)
        state = {
            f"weight_ih_{ending}": torch.cat((reset, -update, new))[:, :-1],
            f"bias_ih_{ending}": torch.cat((reset, -update, new))[:, -1],
            f"weight_hh_{ending}": torch.cat((reset_state, -update_state, torch.zeros(S, S))),
            f"bias_hh_{ending}": torch.zeros(3 * S),
        }
        theirs.load_state_dict(state, strict=False)
    with torch.no_grad():
        packed = pack_padded_sequence(net.embedding(SOURCE_BM), LENGTHS, batch_first=True)
        wanted_BMT, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
        annotation_BMT = net.encode(SOURCE_BM).annotation
    for ours_MT, wanted_MT, length in zip(annotation_BMT, wanted_BMT, LENGTHS, strict=True):
        assert relative_gap(ours_MT[:length], wanted_MT[:length]) <= PARITY


def chunks(linear: nn.Linear) -> list[tuple[Tensor, Tensor]]:
    return list(zip(linear.weight.chunk(3), linear.bias.chunk(3), strict=True))


def test_greedy_decoding_is_one_argmax_after_the_other_and_shows_where_it_looked():
    net = small()
    written_BL, weight_BLM = greedy(net, SOURCE_BM, longest=6)
    for place, length in enumerate(LENGTHS):
        told: list[int] = [START]
        while len(told) <= 6 and told[-1] != END:
            with torch.no_grad():
                logits, weights = by_the_paper(net, SOURCE_BM[place, :length].tolist(), told)
            told.append(max(range(END, V), key=lambda token, row=logits[-1]: row[token]))
        answer = written_BL[place][written_BL[place] != PADDING].tolist()
        assert answer == told[1:]
        assert weight_BLM[place, : len(weights), :length].numpy() == pytest.approx(weights, rel=1e-9)


def test_the_papers_sizes_are_the_defaults():
    with torch.device("meta"):
        net = RNNSearch(30_000)
    shapes = {name: tuple(parameter.shape) for name, parameter in net.named_parameters()}
    assert shapes["embedding.weight"] == (30_000, 620)
    assert shapes["attention.U_a.weight"] == (1000, 2000)
    assert shapes["maxout.weight"] == (1000, 1000 + 620 + 2000)  # 2l rows, l = 500
    assert shapes["logits.weight"] == (30_000, 500)


def test_a_few_steps_of_training_lower_the_loss_and_reach_every_parameter():
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    net = RNNSearch(V, width=D, state=S, readout=S)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    answer_BL = torch.cat((TARGET_BL[:, 1:], torch.full((3, 1), END)), dim=1)
    losses = []
    for _ in range(60):
        loss = cross_entropy(net(SOURCE_BM, TARGET_BL)[0].flatten(0, 1), answer_BL.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    torch.random.set_rng_state(torch_state)
    assert losses[-1] < losses[0] / 2
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
