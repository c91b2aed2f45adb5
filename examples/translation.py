"""The networks of 2014 and 2017, trained from random weights to translate dates, on a laptop's processor.

Expect 0.999 of unseen dates exactly right, after 15 seconds (recurrent) or 40 seconds (transformer) on two cores:
`python -m benchmarks.dates` measures both.
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

from examples.dates import ALPHABET, Pair, draw_pairs
from vitrail.core.errors import UsageError
from vitrail.core.progress import Progress, Silent
from vitrail.nets import recurrent, transformer
from vitrail.nets.attention import watch_attention
from vitrail.nets.recurrent import RNNSearch
from vitrail.nets.transformer import END, PADDING, START, NormPlace, Transformer

MARKS = 3  # the tokens PADDING, START and END come before those of the characters
ANSWER_LENGTH = len("2026-07-04") + 1  # in tokens, with END
ADAM_BETAS, ADAM_EPS = (0.9, 0.98), 1e-9  # arXiv:1706.03762, section 5.3
GRADIENT_NORM = 1.0  # at most (arXiv:1409.0473, appendix B.2)
TRANSLATION_BATCH = 500  # dates translated together
TASK = "training"


@dataclass(frozen=True, kw_only=True, slots=True)
class TranslatorSettings:
    """How to build and train one of the two networks."""

    kind: Literal["recurrent", "transformer"]
    width: int  # of the recurrent network's states (its embeddings are half as wide); D of the Transformer
    depth: int = 1  # of the Transformer's encoder, and of its decoder
    heads: int = 1
    norm: NormPlace = "post"
    steps: int
    batch: int = 64
    learning_rate: float  # the highest
    warm_up: int  # steps in which the learning rate rises from 0; then it falls to 0 along a cosine


SETTINGS = {
    "recurrent": TranslatorSettings(kind="recurrent", width=64, steps=600, learning_rate=3e-3, warm_up=100),
    "transformer": TranslatorSettings(
        kind="transformer", width=64, depth=2, heads=4, steps=1500, learning_rate=2e-3, warm_up=200
    ),
}


@dataclass(frozen=True, slots=True)
class Translation:
    """An answer with its attention weights.

    `weights` is A x L x M: attention heads (the recurrent network has one; for the Transformer, those of the decoder's
    last layer), characters of the answer with END, characters of the source with END. Rows sum to 1.
    """

    written: str
    answer: str
    weights: NDArray[np.float32]


class Translator:
    """One of the two networks, from text to text."""

    def __init__(self, settings: TranslatorSettings, *, seed: int = 0) -> None:
        """Build the network with random weights; torch's global generator keeps its state."""
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = _build(settings)

    def logits(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores of the next character after each character of the target, B x L x V, from tokens B x M and B x L."""
        if isinstance(self.net, RNNSearch):
            logits: Tensor = self.net(source, target)[0]
        else:
            logits = self.net(source, target)
        return logits

    def translate(self, written: Sequence[str]) -> list[str]:
        """Translate dates by greedy decoding: one text per date, of at most ten characters."""
        self.net.eval()
        answers = []
        for first in range(0, len(written), TRANSLATION_BATCH):
            source = encode(written[first : first + TRANSLATION_BATCH])
            if isinstance(self.net, RNNSearch):
                answer, _ = recurrent.greedy(self.net, source, longest=ANSWER_LENGTH)
            else:
                answer = transformer.greedy(self.net, source, longest=ANSWER_LENGTH)
            answers += decode(answer)
        return answers

    def translate_with_weights(self, written: str) -> Translation:
        """Translate one date and return the attention weights with the answer."""
        self.net.eval()
        source = encode([written])
        if isinstance(self.net, RNNSearch):
            answer, weights_ALM = recurrent.greedy(self.net, source, longest=ANSWER_LENGTH)
            return Translation(written, decode(answer)[0], weights_ALM.numpy())
        answer = transformer.greedy(self.net, source, longest=ANSWER_LENGTH)
        start = torch.full_like(answer[:, :1], START)
        with watch_attention(self.net) as weights, torch.no_grad():
            self.net(source, torch.cat((start, answer[:, :-1]), dim=1))
        weights_BALM = weights[f"decoder.{self.settings.depth - 1}.cross_attention"]
        return Translation(written, decode(answer)[0], weights_BALM[0].numpy())


def train(
    translator: Translator, *, seed: int = 0, steps: int | None = None, progress: Progress | None = None
) -> list[float]:
    """Train a translator in place, on new dates in every step.

    Args:
        translator: changed in place.
        seed: draws the dates.
        steps: stop after this many steps; the settings' number by default. The learning rate follows the settings'
            number in either case.
        progress: receives the steps.

    Returns:
        The loss of each step, in nats per character.
    """
    settings, progress = translator.settings, progress or Silent()
    steps = settings.steps if steps is None else steps
    pairs = draw_pairs(steps * settings.batch, split="train", generator=np.random.default_rng(seed))
    optimiser = torch.optim.Adam(translator.net.parameters(), lr=settings.learning_rate, betas=ADAM_BETAS, eps=ADAM_EPS)
    losses = []
    translator.net.train()
    progress.start(TASK, total=steps, unit="steps")
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings)
        loss = _loss(translator, pairs[step * settings.batch : (step + 1) * settings.batch])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(translator.net.parameters(), GRADIENT_NORM)
        optimiser.step()
        losses.append(loss.item())
        progress.advance(TASK)
    progress.done(TASK)
    return losses


def exact_match(translator: Translator, pairs: Sequence[Pair]) -> float:
    """The fraction of dates translated without a wrong character."""
    answers = translator.translate([pair.written for pair in pairs])
    return sum(answer == pair.iso for answer, pair in zip(answers, pairs, strict=True)) / len(pairs)


def encode(texts: Sequence[str]) -> Tensor:
    """Texts as int64 tokens, B x M: END after each text, then padding.

    Raises:
        UsageError: a character does not belong to the task's alphabet.
    """
    unknown = sorted({character for text in texts for character in text} - set(ALPHABET))
    if unknown:
        raise UsageError(
            f"The dates contain {', '.join(map(repr, unknown))}, which no format of the task uses. "
            f"Write them with {ALPHABET!r} only."
        )
    longest = max(map(len, texts)) + 1
    tokens = torch.full((len(texts), longest), PADDING)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text) + 1] = torch.tensor([*(MARKS + ALPHABET.index(character) for character in text), END])
    return tokens


def decode(tokens: Tensor) -> list[str]:
    """Rows of tokens as texts, without PADDING, START and END."""
    return ["".join(ALPHABET[token - MARKS] for token in row if token >= MARKS) for row in tokens.tolist()]


def _build(settings: TranslatorSettings) -> RNNSearch | Transformer:
    vocabulary, width = MARKS + len(ALPHABET), settings.width
    if settings.kind == "recurrent":
        return RNNSearch(vocabulary, width=width // 2, state=width, readout=width)
    return Transformer(
        vocabulary,
        width=width,
        depth=settings.depth,
        heads=settings.heads,
        mlp_width=4 * width,
        dropout=0.0,  # no date comes often enough to be memorised
        norm=settings.norm,
    )


def _loss(translator: Translator, pairs: Sequence[Pair]) -> Tensor:
    source, answer = encode([pair.written for pair in pairs]), encode([pair.iso for pair in pairs])
    shifted = torch.cat((torch.full_like(answer[:, :1], START), answer[:, :-1]), dim=1)  # the answer, one place later
    return cross_entropy(translator.logits(source, shifted).flatten(0, 1), answer.flatten(), ignore_index=PADDING)


def _schedule(step: int, settings: TranslatorSettings) -> float:
    return min((step + 1) / settings.warm_up, 1.0) * (1 + math.cos(math.pi * step / settings.steps)) / 2
