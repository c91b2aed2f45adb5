"""The networks of 2014 and 2017, trained from nothing to translate dates, on the cores of a laptop.

Expect 0.999 of unseen dates exactly right, after a quarter of a minute (recurrent) or forty seconds (transformer) on
two cores.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vitrail.core.errors import UsageError
from vitrail.core.progress import Progress, Silent
from vitrail.nets import recurrent, transformer
from vitrail.nets.attention import watch_attention
from vitrail.nets.recurrent import RNNSearch
from vitrail.nets.transformer import END, PADDING, START, NormPlace, Transformer
from vitrail.reproduce.dates import ALPHABET, Pair, draw_pairs

MARKS = 3  # PADDING, START and END, before the characters
LONGEST = len("2026-07-04") + 1  # tokens of an answer, with END
ADAM_BETAS, ADAM_EPS = (0.9, 0.98), 1e-9  # arXiv:1706.03762, section 5.3
GRADIENT_NORM = 1.0  # at most (arXiv:1409.0473, appendix B.2)
AT_ONCE = 500  # dates translated together
TASK = "training"


@dataclass(frozen=True, kw_only=True, slots=True)
class TranslationRecipe:
    """How one of the two networks is built and trained."""

    kind: Literal["recurrent", "transformer"]
    width: int  # states of the recurrent net, whose embeddings are half as wide; D of the Transformer
    depth: int = 1  # of the Transformer's encoder, and of its decoder
    heads: int = 1
    norm: NormPlace = "post"
    steps: int
    batch: int = 64
    learning_rate: float  # at its highest
    warm_up: int  # steps in which it rises from 0; from there it falls to 0 along a cosine


RECIPES = {
    "recurrent": TranslationRecipe(kind="recurrent", width=64, steps=600, learning_rate=3e-3, warm_up=100),
    "transformer": TranslationRecipe(
        kind="transformer", width=64, depth=2, heads=4, steps=1500, learning_rate=2e-3, warm_up=200
    ),
}


@dataclass(frozen=True, slots=True)
class Translation:
    """An answer, and where the network looked for each of its characters.

    `weights` is A x L x M: attention heads (one in the recurrent net; of the Transformer, those of the decoder's last
    layer), characters of the answer with its end mark, characters of the source with its end mark. Rows sum to 1.
    """

    written: str
    answer: str
    weights: NDArray[np.float32]


class Translator:
    """One of the two networks, with the characters it knows."""

    def __init__(self, recipe: TranslationRecipe, *, seed: int = 0) -> None:
        """Build it with random weights.

        Args:
            recipe: which network, and how large.
            seed: of the weights. torch's global generator is left as it was.
        """
        self.recipe = recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = _build(recipe)

    def logits(self, source: Tensor, target: Tensor) -> Tensor:
        """What should follow each character of the target, B x L x V, from tokens B x M and B x L."""
        if isinstance(self.net, RNNSearch):
            logits: Tensor = self.net(source, target)[0]
        else:
            logits = self.net(source, target)
        return logits

    def translate(self, written: Sequence[str]) -> list[str]:
        """The network's answers, by greedy decoding, in the order asked.

        Args:
            written: dates as people write them.

        Returns:
            One text a date, of at most ten characters; of a trained network, a date in ISO 8601.
        """
        self.net.eval()
        answers = []
        for first in range(0, len(written), AT_ONCE):
            source = encode(written[first : first + AT_ONCE])
            if isinstance(self.net, RNNSearch):
                answer, _ = recurrent.greedy(self.net, source, longest=LONGEST)
            else:
                answer = transformer.greedy(self.net, source, longest=LONGEST)
            answers += decode(answer)
        return answers

    def look(self, written: str) -> Translation:
        """Translate one date and keep where the network looked.

        Args:
            written: a date as people write it.

        Returns:
            The answer with its weights.
        """
        self.net.eval()
        source = encode([written])
        if isinstance(self.net, RNNSearch):
            answer, weights_each = recurrent.greedy(self.net, source, longest=LONGEST)
            return Translation(written, decode(answer)[0], weights_each.numpy())
        answer = transformer.greedy(self.net, source, longest=LONGEST)
        start = torch.full_like(answer[:, :1], START)
        with watch_attention(self.net) as weights, torch.no_grad():
            self.net(source, torch.cat((start, answer[:, :-1]), dim=1))
        last = weights[f"decoder.{self.recipe.depth - 1}.cross_attention"]
        return Translation(written, decode(answer)[0], last[0].numpy())


def train(
    translator: Translator, *, seed: int = 0, steps: int | None = None, progress: Progress | None = None
) -> list[float]:
    """Train a translator in place, on dates drawn anew for each step.

    Args:
        translator: the one to train.
        seed: of the dates.
        steps: stop after so many; all of the recipe's where it is None. The learning rate follows the recipe's length.
        progress: who is told of the steps.

    Returns:
        The loss of each step, in nats a character.
    """
    recipe, progress = translator.recipe, progress or Silent()
    steps = recipe.steps if steps is None else steps
    pairs = draw_pairs(steps * recipe.batch, part="train", generator=np.random.default_rng(seed))
    optimiser = torch.optim.Adam(translator.net.parameters(), lr=recipe.learning_rate, betas=ADAM_BETAS, eps=ADAM_EPS)
    losses = []
    translator.net.train()
    progress.start(TASK, total=steps, unit="steps")
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _share_of_rate(step, recipe)
        loss = _loss(translator, pairs[step * recipe.batch : (step + 1) * recipe.batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(translator.net.parameters(), GRADIENT_NORM)
        optimiser.step()
        losses.append(loss.item())
        progress.advance(TASK)
    progress.done(TASK)
    return losses


def exact_match(translator: Translator, pairs: Sequence[Pair]) -> float:
    """The fraction of dates whose every character is right."""
    answers = translator.translate([pair.written for pair in pairs])
    return sum(answer == pair.iso for answer, pair in zip(answers, pairs, strict=True)) / len(pairs)


def encode(texts: Sequence[str]) -> Tensor:
    """Texts as tokens, B x M, each with END behind it and padded at the end.

    Args:
        texts: what to encode.

    Returns:
        int64 tokens.

    Raises:
        UsageError: if a character is none of the task's.
    """
    strange = sorted({character for text in texts for character in text} - set(ALPHABET))
    if strange:
        raise UsageError(
            f"The dates hold {', '.join(map(repr, strange))}, which no format of the task has: "
            f"write them with {ALPHABET!r} only."
        )
    longest = max(map(len, texts)) + 1
    tokens = torch.full((len(texts), longest), PADDING)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text) + 1] = torch.tensor([*(MARKS + ALPHABET.index(character) for character in text), END])
    return tokens


def decode(tokens: Tensor) -> list[str]:
    """Rows of tokens as texts; marks are left out."""
    return ["".join(ALPHABET[token - MARKS] for token in row if token >= MARKS) for row in tokens.tolist()]


def _build(recipe: TranslationRecipe) -> RNNSearch | Transformer:
    vocabulary, width = MARKS + len(ALPHABET), recipe.width
    if recipe.kind == "recurrent":
        return RNNSearch(vocabulary, width=width // 2, state=width, readout=width)
    return Transformer(
        vocabulary,
        width=width,
        depth=recipe.depth,
        heads=recipe.heads,
        mlp_width=4 * width,
        dropout=0.0,  # no date is seen often enough to be learned by heart
        norm=recipe.norm,
    )


def _loss(translator: Translator, pairs: Sequence[Pair]) -> Tensor:
    source, answer = encode([pair.written for pair in pairs]), encode([pair.iso for pair in pairs])
    told = torch.cat((torch.full_like(answer[:, :1], START), answer[:, :-1]), dim=1)  # the answer, one place late
    return cross_entropy(translator.logits(source, told).flatten(0, 1), answer.flatten(), ignore_index=PADDING)


def _share_of_rate(step: int, recipe: TranslationRecipe) -> float:
    return min((step + 1) / recipe.warm_up, 1.0) * (1 + math.cos(math.pi * step / recipe.steps)) / 2
