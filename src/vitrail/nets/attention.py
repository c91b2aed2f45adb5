"""Attention: a query takes the mean of the values of all tokens, weighted by how well their keys fit the query.

Additive: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate",
arXiv:1409.0473 (section 3.1 and appendix A.1.2).
Dot-product and multi-head: Vaswani et al., "Attention Is All You Need", arXiv:1706.03762 (section 3.2, figure 2).

Letters: B batch, L tokens that attend, M tokens attended to, A attention heads, E width of one head,
D width of a token (D = A * E), F hidden units of the additive score.
A mask says which tokens may be attended to: `allowed_BLM` is boolean and True where token L may attend to token M; None
allows all, and any of its sides may be 1. (torch.nn.MultiheadAttention's mask says the opposite: which may not.)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as drop
from torch.nn.functional import scaled_dot_product_attention


def softmax_over_allowed(score_BLM: Tensor, allowed_BLM: Tensor | None) -> Tensor:
    """The weights: positive, 0 where attending is not allowed, and 1 in sum.

    A row in which nothing is allowed is 0 everywhere, so that its result is 0.
    """
    if allowed_BLM is None:
        return score_BLM.softmax(dim=-1)
    weight_BLM = score_BLM.masked_fill(~allowed_BLM, float("-inf")).softmax(dim=-1)
    return weight_BLM.masked_fill(~allowed_BLM, 0.0)  # a row of -inf alone is 0/0 after the softmax


class AdditiveAttention(nn.Module):
    """The attention of 2014: the fit of query s and annotation h is v_a . tanh(W_a s + U_a h)."""

    def __init__(self, query_width: int, memory_width: int, hidden: int) -> None:
        super().__init__()
        self.W_a = nn.Linear(query_width, hidden, bias=False)
        self.U_a = nn.Linear(memory_width, hidden, bias=False)
        self.v_a = nn.Linear(hidden, 1, bias=False)

    def keys(self, memory_BMD: Tensor) -> Tensor:
        """U_a h, `key_BMF`: it does not depend on the query, so it is computed once a sentence (A.1.2)."""
        key_BMF: Tensor = self.U_a(memory_BMD)
        return key_BMF

    def forward(
        self, query_BLD: Tensor, key_BMF: Tensor, memory_BMD: Tensor, *, allowed_BLM: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The context, `context_BLD` as wide as the memory, and the weights, `weight_BLM`.

        In a decoder `query_BLD` is its state before the next word, so L is 1. `key_BMF` is what `keys` gave for this
        memory.
        """
        hidden_BLMF = torch.tanh(self.W_a(query_BLD).unsqueeze(2) + key_BMF.unsqueeze(1))
        score_BLM = self.v_a(hidden_BLMF).squeeze(-1)
        weight_BLM = softmax_over_allowed(score_BLM, allowed_BLM)
        return weight_BLM @ memory_BMD, weight_BLM


def attend(
    query_BALE: Tensor,
    key_BAME: Tensor,
    value_BAME: Tensor,
    *,
    allowed_BALM: Tensor | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, written out: softmax(Q K^T / sqrt(d_k)) V (equation 1, arXiv:1706.03762).

    `dropout` is the share of weights set to zero, drawn by torch's own generator; the others grow to make up for it.
    Returns `mixed_BALE`, and the weights before dropout, `weight_BALM`.
    """
    width_of_one_head = query_BALE.shape[-1]
    score_BALM = query_BALE @ key_BAME.mT / width_of_one_head**0.5
    weight_BALM = softmax_over_allowed(score_BALM, allowed_BALM)
    mixed_BALE = drop(weight_BALM, dropout) @ value_BAME
    return mixed_BALE, weight_BALM


def attend_fused(
    query_BALE: Tensor,
    key_BAME: Tensor,
    value_BAME: Tensor,
    *,
    allowed_BALM: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The same `mixed_BALE` by torch's fused kernel, which never holds the weights in memory and cannot show them."""
    return scaled_dot_product_attention(
        query_BALE, key_BAME, value_BAME, attn_mask=allowed_BALM, dropout_p=dropout
    )  # divides by sqrt(E) as well


class MultiHeadAttention(nn.Module):
    """A heads attend side by side, each to what it projects from the tokens (section 3.2.2, figure 2 right)."""

    on_weights: Callable[[Tensor], None] | None = None  # receives `weight_BALM`; set by `watch_attention`

    def __init__(self, width: int, heads: int, *, dropout: float = 0.0) -> None:
        """Build the layer with random weights.

        `dropout` is the share of attention weights set to zero in training.

        Raises:
            ValueError: the heads do not divide the width.
        """
        super().__init__()
        if width % heads:
            raise ValueError(
                f"Attention needs a width that is a multiple of its heads; got width {width}, {heads} heads."
            )
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)  # W^Q of all heads, one below the other
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)  # W^O

    def forward(
        self, token_BLD: Tensor, memory_BMD: Tensor | None = None, *, allowed_BLM: Tensor | None = None
    ) -> Tensor:
        """The tokens after they attended to a memory (cross-attention) or, without one, to each other.

        `allowed_BLM` is the same for every head; None allows all.
        """
        memory_BMD = token_BLD if memory_BMD is None else memory_BMD
        query_BALE = self._split(self.query(token_BLD))
        key_BAME = self._split(self.key(memory_BMD))
        value_BAME = self._split(self.value(memory_BMD))
        allowed_BALM = None if allowed_BLM is None else allowed_BLM.unsqueeze(1)
        rate = self.dropout if self.training else 0.0
        if self.on_weights is None:
            mixed_BALE = attend_fused(query_BALE, key_BAME, value_BAME, allowed_BALM=allowed_BALM, dropout=rate)
        else:
            mixed_BALE, weight_BALM = attend(query_BALE, key_BAME, value_BAME, allowed_BALM=allowed_BALM, dropout=rate)
            self.on_weights(weight_BALM.detach())
        output_BLD: Tensor = self.output(mixed_BALE.transpose(1, 2).flatten(2))
        return output_BLD

    def _split(self, token_BLD: Tensor) -> Tensor:
        return torch.unflatten(token_BLD, -1, (self.heads, -1)).transpose(
            1, 2
        )  # D is (A, E), the heads one after the other


@contextmanager
def watch_attention(net: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the weights of every multi-head attention in a network, for figures.

    Inside the `with`, each pass writes its `weight_BALM` under the layer's name in the network, over those of the
    pass before, and runs the written-out path: the same numbers, but the weights are held in memory.

    Args:
        net: any network that holds MultiHeadAttention.

    Yields:
        dict[str, Tensor]: the weights of the latest pass, by layer.
    """
    weights: dict[str, Tensor] = {}
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, MultiHeadAttention)}
    for name, layer in layers.items():
        layer.on_weights = partial(weights.__setitem__, name)
    try:
        yield weights
    finally:
        for layer in layers.values():
            layer.on_weights = None


def past_and_present(length: int, *, device: torch.device | None = None) -> Tensor:
    """`allowed_1LL` of a decoder: each token may look at itself and at those before it (section 3.2.3)."""
    return torch.ones(1, length, length, dtype=torch.bool, device=device).tril()
