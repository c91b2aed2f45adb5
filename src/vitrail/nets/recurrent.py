"""The recurrent encoder-decoder of 2014, which learned where to look ("RNNsearch").

Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", arXiv:1409.0473
(section 3 and appendix A). Its gated unit takes the reset gate before the product with U, and its update gate opens
towards the new state; torch.nn.GRU does both the other way round.

Letters: B batch, M tokens of the source, L tokens of the target, D width of an embedding, S width of a state,
T = 2 * S width of an annotation, F hidden units of the alignment, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vitrail.nets.attention import AdditiveAttention

PADDING, START, END = 0, 1, 2  # the first three tokens of the vocabulary


class GatedUnit(nn.Module):
    """One step of a gated recurrent unit (appendix A.1.1)."""

    def __init__(self, input_width: int, state_width: int) -> None:
        super().__init__()
        self.state_width = state_width
        self.W = nn.Linear(input_width, 3 * state_width)  # W, W_z and W_r; and C, C_z, C_r where a context comes in
        self.U_gates = nn.Linear(state_width, 2 * state_width, bias=False)  # U_z and U_r
        self.U = nn.Linear(state_width, state_width, bias=False)
        for part_SS in (self.U.weight, *self.U_gates.weight.chunk(2)):
            nn.init.orthogonal_(part_SS)  # appendix B.1; its other weights, of std 0.01, train more slowly than torch's

    def forward(self, projected_B3S: Tensor, state_BS: Tensor) -> Tensor:
        """The next state, from W applied to the input and the state before."""
        new_BS, update_BS, reset_BS = projected_B3S.chunk(3, dim=-1)
        from_update_BS, from_reset_BS = self.U_gates(state_BS).chunk(2, dim=-1)
        z_BS = torch.sigmoid(update_BS + from_update_BS)
        r_BS = torch.sigmoid(reset_BS + from_reset_BS)
        proposal_BS = torch.tanh(new_BS + self.U(r_BS * state_BS))
        return (1 - z_BS) * state_BS + z_BS * proposal_BS


class Memory(NamedTuple):
    """A source that has been read."""

    annotation: Tensor  # BMT, what each token is about
    key: Tensor  # BMF, its part of the alignment score
    readable: Tensor  # B1M, true except for padding


class RNNSearch(nn.Module):
    """A bidirectional encoder, and a decoder that searches the source before each token it writes (figure 1).

    Source and target share a vocabulary whose first tokens are PADDING, START and END, and its embedding.
    """

    def __init__(self, vocabulary: int, *, width: int = 620, state: int = 1000, readout: int = 500) -> None:
        """Build the network with random weights; the defaults are the paper's (appendix A.2.3).

        `vocabulary` counts the three marks. `state` is also the number of hidden units F of the alignment, and
        `readout` the width of the maxout layer before the logits.
        """
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.rightwards = GatedUnit(width, state)
        self.leftwards = GatedUnit(width, state)
        self.first_state = nn.Linear(state, state)  # W_s
        self.attention = AdditiveAttention(state, 2 * state, state)
        self.decoder = GatedUnit(width + 2 * state, state)
        self.maxout = nn.Linear(state + width + 2 * state, 2 * readout)  # U_o, V_o and C_o side by side
        self.logits = nn.Linear(readout, vocabulary)  # W_o

    def forward(self, source_BM: Tensor, target_BL: Tensor) -> tuple[Tensor, Tensor]:
        """What should follow each token of the target.

        Both are padded at the end; the target begins with START. No token sees a later one, so its padding is harmless.
        Returns `logit_BLV`, those at place L for the token after it, and where the network looked, `weight_BLM`.
        """
        memory = self.encode(source_BM)
        embedded_BLD: Tensor = self.embedding(target_BL)
        state_BS = self.begin(memory)
        states, contexts, weights = [], [], []
        for embedded_BD in embedded_BLD.unbind(dim=1):
            context_BT, weight_BM = self.look(state_BS, memory)
            states.append(state_BS)
            contexts.append(context_BT)
            weights.append(weight_BM)
            state_BS = self.advance(embedded_BD, state_BS, context_BT)
        logit_BLV = self.read_out(torch.stack(states, dim=1), embedded_BLD, torch.stack(contexts, dim=1))
        return logit_BLV, torch.stack(weights, dim=1)

    def encode(self, source_BM: Tensor) -> Memory:
        """Read the source both ways; the annotation of a token is what both have read when they stand on it (3.2)."""
        readable_BM = source_BM != PADDING
        embedded_BMD: Tensor = self.embedding(source_BM)
        right_BMS = read(self.rightwards, embedded_BMD, readable_BM)
        left_BMS = read(self.leftwards, embedded_BMD.flip(1), readable_BM.flip(1)).flip(1)
        annotation_BMT = torch.cat((right_BMS, left_BMS), dim=-1)
        return Memory(annotation_BMT, self.attention.keys(annotation_BMT), readable_BM.unsqueeze(1))

    def begin(self, memory: Memory) -> Tensor:
        """s_0 = tanh(W_s h), h the leftwards state on the first token, which has read the whole source (A.2.2)."""
        _, left_BS = memory.annotation[:, 0].chunk(2, dim=-1)
        return torch.tanh(self.first_state(left_BS))

    def look(self, state_BS: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Where to look before the next token: the context c_i, `context_BT`, and alpha_i, `weight_BM` (3.1)."""
        context_B1T, weight_B1M = self.attention(
            state_BS.unsqueeze(1), memory.key, memory.annotation, allowed_BLM=memory.readable
        )
        return context_B1T.squeeze(1), weight_B1M.squeeze(1)

    def advance(self, embedded_BD: Tensor, state_BS: Tensor, context_BT: Tensor) -> Tensor:
        """s_i, from the token before, the state before and the context."""
        next_BS: Tensor = self.decoder(self.decoder.W(torch.cat((embedded_BD, context_BT), dim=-1)), state_BS)
        return next_BS

    def read_out(self, state_BLS: Tensor, embedded_BLD: Tensor, context_BLT: Tensor) -> Tensor:
        """`logit_BLV` by one maxout layer, from the state before, the token before and the context (A.2.2)."""
        pairs: Tensor = self.maxout(torch.cat((state_BLS, embedded_BLD, context_BLT), dim=-1)).unflatten(-1, (-1, 2))
        logit_BLV: Tensor = self.logits(pairs.amax(dim=-1))
        return logit_BLV


def read(unit: GatedUnit, embedded_BMD: Tensor, readable_BM: Tensor) -> Tensor:
    """Every state of a unit as it reads from left to right, `state_BMS`; padding leaves it where it was."""
    projected_BM3S: Tensor = unit.W(embedded_BMD)
    state_BS = embedded_BMD.new_zeros(len(embedded_BMD), unit.state_width)
    states = []
    for projected_B3S, readable_B in zip(projected_BM3S.unbind(dim=1), readable_BM.unbind(dim=1), strict=True):
        state_BS = torch.where(readable_B.unsqueeze(-1), unit(projected_B3S, state_BS), state_BS)
        states.append(state_BS)
    return torch.stack(states, dim=1)


@torch.no_grad()
def greedy(net: RNNSearch, source_BM: Tensor, *, longest: int) -> tuple[Tensor, Tensor]:
    """Write the likeliest token, again and again.

    At most `longest` tokens are written, END included. Returns `token_BL` without START, padded after END, and where
    the network looked for each of them, `weight_BLM`.
    """
    memory = net.encode(source_BM)
    state_BS, token_B = net.begin(memory), torch.full_like(source_BM[:, 0], START)
    ended_B = torch.zeros_like(token_B, dtype=torch.bool)
    tokens, weights = [], []
    for _ in range(longest):
        embedded_BD = net.embedding(token_B)
        context_BT, weight_BM = net.look(state_BS, memory)
        logit_BV = net.read_out(state_BS, embedded_BD, context_BT)
        logit_BV[:, [PADDING, START]] = float("-inf")  # nothing that could be written
        token_B = logit_BV.argmax(dim=-1).masked_fill(ended_B, PADDING)
        state_BS = net.advance(embedded_BD, state_BS, context_BT)
        tokens.append(token_B)
        weights.append(weight_BM)
        ended_B = ended_B | (token_B == END)
        if ended_B.all():
            break
    return torch.stack(tokens, dim=1), torch.stack(weights, dim=1)
