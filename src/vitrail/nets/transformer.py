"""The Transformer of 2017, which translates one sequence of tokens into another.

Vaswani et al., "Attention Is All You Need", arXiv:1706.03762 (figure 1, sections 3, 5.4 and 6.1).
The paper normalises after each residual sum. `norm="pre"` normalises before each sublayer and once at the end of each
stack (Xiong et al., "On Layer Normalization in the Transformer Architecture", arXiv:2002.04745, figure 1).

Letters: B batch, M tokens of the source, L tokens of the target, D width, F width of the MLP, V vocabulary,
K hypotheses of a beam.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from vitrail.nets.attention import MultiHeadAttention, past_and_present

NormPlace = Literal["post", "pre"]

PADDING, START, END = 0, 1, 2  # the first three tokens of the vocabulary
LAYER_NORM_EPS = 1e-5  # torch's; the paper names none
SLOWEST_WAVE = 10_000.0  # of the positions, in units of 2 pi (section 3.5)
BEAMS, LENGTH_PENALTY = 4, 0.6  # section 6.1


def sinusoids(length: int, width: int, *, like: Tensor) -> Tensor:
    """The encoding of positions, `position_LD`: sine and cosine in turn, of slower and slower waves (section 3.5)."""
    place_L1 = torch.arange(length, dtype=torch.float64, device=like.device).unsqueeze(1)
    step = torch.arange(0, width, 2, dtype=torch.float64, device=like.device) / width
    angle_LE = place_L1 / SLOWEST_WAVE**step
    return torch.stack((angle_LE.sin(), angle_LE.cos()), dim=-1).flatten(1).to(like.dtype)


class PostNorm(nn.Module):
    """LayerNorm(x + Sublayer(x)), as in the paper (section 3.1)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, token_BLD: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """The tokens after this sublayer."""
        output_BLD: Tensor = self.norm(token_BLD + self.dropout(sublayer(token_BLD)))
        return output_BLD


class PreNorm(nn.Module):
    """x + Sublayer(LayerNorm(x)), which leaves a path from end to end that nothing normalises."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, token_BLD: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """The tokens after this sublayer."""
        output_BLD: Tensor = token_BLD + self.dropout(sublayer(self.norm(token_BLD)))
        return output_BLD


RESIDUAL = {"post": PostNorm, "pre": PreNorm}


class Mlp(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2, for each token alone (equation 2)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)

    def forward(self, token_BLD: Tensor) -> Tensor:
        """The new tokens."""
        output_BLD: Tensor = self.outer(torch.relu(self.inner(token_BLD)))
        return output_BLD


class EncoderLayer(nn.Module):
    """The source looks at itself; then an MLP (figure 1, left)."""

    def __init__(self, width: int, heads: int, mlp_width: int, *, dropout: float, norm: NormPlace) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads)
        self.mlp = Mlp(width, mlp_width)
        self.residuals = nn.ModuleList(RESIDUAL[norm](width, dropout) for _ in range(2))

    def forward(self, token_BMD: Tensor, *, readable_B1M: Tensor) -> Tensor:
        """The tokens after this layer; nobody looks at what is not readable."""
        around_attention, around_mlp = self.residuals
        token_BMD = around_attention(token_BMD, lambda seen: self.self_attention(seen, allowed_BLM=readable_B1M))
        output_BMD: Tensor = around_mlp(token_BMD, self.mlp)
        return output_BMD


class DecoderLayer(nn.Module):
    """The target looks at its own past, then at the source; then an MLP (figure 1, right)."""

    def __init__(self, width: int, heads: int, mlp_width: int, *, dropout: float, norm: NormPlace) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(width, heads)
        self.cross_attention = MultiHeadAttention(width, heads)
        self.mlp = Mlp(width, mlp_width)
        self.residuals = nn.ModuleList(RESIDUAL[norm](width, dropout) for _ in range(3))

    def forward(self, token_BLD: Tensor, memory_BMD: Tensor, *, past_1LL: Tensor, readable_B1M: Tensor) -> Tensor:
        """The tokens after this layer."""
        around_self, around_cross, around_mlp = self.residuals
        token_BLD = around_self(token_BLD, lambda seen: self.self_attention(seen, allowed_BLM=past_1LL))
        token_BLD = around_cross(
            token_BLD, lambda seen: self.cross_attention(seen, memory_BMD, allowed_BLM=readable_B1M)
        )
        output_BLD: Tensor = around_mlp(token_BLD, self.mlp)
        return output_BLD


class Transformer(nn.Module):
    """An encoder that reads the source once, and a decoder that writes the target token by token.

    One matrix holds the embedding of source and target and the last projection (section 3.4), so both share a
    vocabulary whose first tokens are PADDING, START and END.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        width: int = 512,
        depth: int = 6,
        heads: int = 8,
        mlp_width: int = 2048,
        dropout: float = 0.1,
        norm: NormPlace = "post",
    ) -> None:
        """Build the network with random weights; the defaults are the paper's base model.

        `vocabulary` counts the three marks; the width is even. `dropout` is the share of values set to zero in
        training, after each sublayer and after the embedding (5.4). The norm is "post" in the paper, "pre" in most
        networks since.
        """
        super().__init__()
        sizes = (width, heads, mlp_width)
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes, dropout=dropout, norm=norm) for _ in range(depth))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes, dropout=dropout, norm=norm) for _ in range(depth))
        pre = norm == "pre"
        self.encoder_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS) if pre else nn.Identity()
        self.decoder_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS) if pre else nn.Identity()
        self._initialise()

    def forward(self, source_BM: Tensor, target_BL: Tensor) -> Tensor:
        """What should follow each token of the target, as logits.

        Both are padded at the end; the target begins with START. No token sees a later one, so its padding is harmless.
        Returns `logit_BLV`; those at place L are for the token after it.
        """
        return self.decode(target_BL, self.encode(source_BM), readable_B1M=readable(source_BM))

    def encode(self, source_BM: Tensor) -> Tensor:
        """What the encoder makes of the source, `memory_BMD`."""
        readable_B1M = readable(source_BM)
        token_BMD = self._embed(source_BM)
        for layer in self.encoder:
            token_BMD = layer(token_BMD, readable_B1M=readable_B1M)
        memory_BMD: Tensor = self.encoder_norm(token_BMD)
        return memory_BMD

    def decode(self, target_BL: Tensor, memory_BMD: Tensor, *, readable_B1M: Tensor) -> Tensor:
        """The logits of the token after each token of the target, `logit_BLV`; padding of the memory is ignored."""
        past_1LL = past_and_present(target_BL.shape[1], device=target_BL.device)
        token_BLD = self._embed(target_BL)
        for layer in self.decoder:
            token_BLD = layer(token_BLD, memory_BMD, past_1LL=past_1LL, readable_B1M=readable_B1M)
        normed_BLD: Tensor = self.decoder_norm(token_BLD)
        return normed_BLD @ self.embedding.weight.T  # the same matrix as the embedding (section 3.4)

    def next_token(self, target_BL: Tensor, memory_BMD: Tensor, *, readable_B1M: Tensor) -> Tensor:
        """Log-probabilities of the one token that follows, `chance_BV`; PADDING and START never do."""
        logit_BV = self.decode(target_BL, memory_BMD, readable_B1M=readable_B1M)[:, -1]
        logit_BV[:, [PADDING, START]] = float("-inf")
        return logit_BV.log_softmax(dim=-1)

    def _embed(self, token_BL: Tensor) -> Tensor:
        vector_BLD: Tensor = self.embedding(token_BL) * self.embedding.embedding_dim**0.5  # section 3.4
        _, L, D = vector_BLD.shape
        placed_BLD: Tensor = self.dropout(vector_BLD + sinusoids(L, D, like=vector_BLD))
        return placed_BLD

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        # Times sqrt(D) on the way in it has unit variance, and on the way out logits of unit variance.
        nn.init.normal_(self.embedding.weight, std=self.embedding.embedding_dim**-0.5)


def readable(source_BM: Tensor) -> Tensor:
    """`readable_B1M`: true except for padding of the source."""
    return (source_BM != PADDING).unsqueeze(1)


@torch.no_grad()
def greedy(net: Transformer, source_BM: Tensor, *, longest: int) -> Tensor:
    """Write the likeliest token, again and again.

    The network is in evaluation mode. At most `longest` tokens are written, END included. Returns `token_BL` without
    START, padded after END.
    """
    memory_BMD, readable_B1M = net.encode(source_BM), readable(source_BM)
    written_BL = torch.full_like(source_BM[:, :1], START)
    for _ in range(longest):
        next_B1 = net.next_token(written_BL, memory_BMD, readable_B1M=readable_B1M).argmax(dim=-1, keepdim=True)
        ended_B1 = (written_BL == END).any(dim=1, keepdim=True)
        written_BL = torch.cat((written_BL, next_B1.masked_fill(ended_B1, PADDING)), dim=1)
        if (written_BL == END).any(dim=1).all():
            break
    return written_BL[:, 1:]


@torch.no_grad()
def beam_search(
    net: Transformer,
    source_BM: Tensor,
    *,
    longest: int,
    beams: int = BEAMS,
    length_penalty: float = LENGTH_PENALTY,
) -> Tensor:
    """Keep the K likeliest beginnings at each step, and of the K ends the best for its length (section 6.1).

    The network is in evaluation mode. At most `longest` tokens are written, END included. `beams` is K; 1 is `greedy`.
    `length_penalty` is alpha of arXiv:1609.08144, equation 14: a log-probability counts divided by ((5 + length) / 6)
    ** alpha; 0 prefers short outputs. Returns `token_BL` without START, padded after END.
    """
    B, _ = source_BM.shape
    memory_NMD = net.encode(source_BM).repeat_interleave(beams, dim=0)  # N = B * K: the hypotheses side by side
    readable_N1M = readable(source_BM).repeat_interleave(beams, dim=0)
    written_BKL = torch.full((B, beams, 1), START, device=source_BM.device)
    score_BK = memory_NMD.new_full((B, beams), float("-inf"))
    score_BK[:, 0] = 0.0  # all K begin alike: only one of them may be continued
    for _ in range(longest):
        chance_NV = net.next_token(written_BKL.flatten(0, 1), memory_NMD, readable_B1M=readable_N1M)
        chance_BKV = chance_NV.view(B, beams, -1)
        ended_BK1 = (written_BKL == END).any(dim=-1, keepdim=True)
        chance_BKV = chance_BKV.masked_fill(ended_BK1, float("-inf"))
        chance_BKV[..., PADDING].masked_fill_(ended_BK1.squeeze(-1), 0.0)  # no effect after the end
        score_BK, choice_BK = (score_BK.unsqueeze(-1) + chance_BKV).flatten(1).topk(beams)
        choice_BK1, V = choice_BK.unsqueeze(-1), chance_BKV.shape[-1]
        parent_BKL = written_BKL.take_along_dim(choice_BK1 // V, dim=1)
        written_BKL = torch.cat((parent_BKL, choice_BK1 % V), dim=-1)
        if (written_BKL == END).any(dim=-1).all():
            break
    length_BK = (written_BKL != PADDING).sum(dim=-1) - 1
    best_B11 = (score_BK / ((5 + length_BK) / 6) ** length_penalty).argmax(dim=1)[:, None, None]
    return written_BKL.take_along_dim(best_B11, dim=1)[:, 0, 1:]
