"""K heads trained together, epoch by epoch; one tensor holds each parameter of all heads.

Head k of a batch of K is the same head as k trained alone: nothing in a head's arithmetic reads another head, and the
random draws do not depend on the number of heads (`dropout.py`).

How it is fast. Heads with the same dropout see the same rows, and their weights lie one below the other: one matrix
product scores all of them, one gives all their gradients. The bottleneck is then the optimiser, which reads and writes
weights and memory at every step for little arithmetic. So heads go through an epoch block by block; a block is as many
heads as stay in the last-level cache from step to step. Each core has its own blocks and one thread: an operation takes
some twenty microseconds, so threads that share one would wait for each other longer than they work.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.dropout import DROPOUT, ORDER, Draws, drop, kept_scale, threshold
from vitrail.heads.optimisers import OPTIMISERS, TABLE, OptimiserName
from vitrail.heads.scaling import ScalingKind
from vitrail.heads.stacks import Stack, Update, losses
from vitrail.heads.threads import side_by_side

# Letters: N examples, B examples of a minibatch, D features, C classes, K heads trained together, G of them in a group.

BLOCK_BYTES = 8 << 20  # of weights and memory; the minibatch and its gradients need a place in the cache too
BYTES_A_DRAW = 160  # a block is made larger until drawing for it costs less than reading it
TENSOR_BLOCK = 1 << 20  # numbers that are updated at once: fewer, and threads wait for the interpreter's lock
SCORED_AT_ONCE = 1024  # rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What differs from head to head.

    `dropout` is the fraction of features dropped, in [0, 1); `weight_decay` is decoupled: see `optimisers.py`. `hidden`
    counts the units of a perceptron's hidden layer; 0 makes the head one softmax layer.
    """

    learning_rate: float
    dropout: float
    optimiser: OptimiserName = "rmsprop"
    weight_decay: float = 0.0
    hidden: int = 0

    def __post_init__(self) -> None:
        rules = {
            "the learning rate must be above 0": self.learning_rate > 0,
            "dropout must lie in [0, 1)": 0 <= self.dropout < 1,
            f"the optimiser must be one of {', '.join(OPTIMISERS)}": self.optimiser in OPTIMISERS,
            "weight decay must lie in [0, 1 / learning rate)": 0 <= self.weight_decay * self.learning_rate < 1,
            "hidden units must not be fewer than 0": self.hidden >= 0,
        }
        for rule, holds in rules.items():
            if not holds:
                raise UsageError(f"A head cannot be trained with this setting: {rule}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """What all heads of a training share. `batch` counts examples; `epochs` is the most that a head trains.

    `precision` is that of training's products and of their results, a minibatch's scores and gradients: "bfloat16"
    keeps weights, the optimiser's memory and the val figures in float32. It is worth it for minibatches of some hundred
    examples, on processors that have it.
    """

    epochs: int = 100
    batch: int = 128
    patience: int = 5
    seed: int = 0
    scaling: ScalingKind = "standardise"
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, slots=True)
class _Group:
    """Heads with one dropout and one optimiser, side by side in every tensor."""

    heads: slice
    below: int
    optimiser: OptimiserName


@dataclass(frozen=True, slots=True)
class _TensorBlock:
    """Some heads of a group, some rows of each: weights and memory as views, rates, and the factor of weight decay."""

    heads: slice
    rows: slice
    weight: Tensor
    memory: list[Tensor]
    rate: Tensor
    kept: Tensor | None


class Batch:
    """The heads that are still trained. `heads` are their numbers among the settings, in the order of the tensors."""

    def __init__(
        self,
        stack: Stack,
        settings: Sequence[Setting],
        train: tuple[Tensor, Tensor],
        options: TrainOptions,
        class_weight_C: Tensor | None,
    ) -> None:
        self.heads = list(range(len(settings)))
        self._stack, self._settings, self._options = stack, settings, options
        self._train, self._class_weight_C = train, class_weight_C
        self._steps = 0
        most = max(TABLE[setting.optimiser][1] for setting in settings)
        self._memory = [[torch.zeros_like(tensor) for _ in range(most)] for tensor in stack.parameters]
        self._arrange(sorted(self.heads, key=lambda k: (threshold(settings[k].dropout), settings[k].optimiser)))

    def keep(self, heads: Collection[int]) -> None:
        """Drop all other heads."""
        self._arrange([k for k in self.heads if k in heads])

    def train_epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        """One pass over the examples; mean loss and accuracy over its minibatches, for each head."""
        N = len(self._train[0])
        loss_K, correct_K = torch.zeros(len(self.heads)), torch.zeros(len(self.heads))
        rows = torch.split(Draws(self._options.seed, epoch, ORDER).order(N), self._options.batch)
        train = partial(self._train_block, epoch=epoch, rows=rows, loss_K=loss_K, correct_K=correct_K)
        side_by_side(train, self._blocks, at_once=torch.get_num_threads())
        self._steps += len(rows)
        return loss_K / N, correct_K / N

    def score(self, feature_ND: Tensor, label_N: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss, with the class weights of training, and accuracy without dropout, for each head."""
        loss_K = torch.zeros(len(self.heads), dtype=torch.float64)
        weight_N = None if self._class_weight_C is None else self._class_weight_C[label_N]
        total = float(len(label_N) if weight_N is None else weight_N.sum())
        correct_K = torch.zeros_like(loss_K)
        every_head = slice(0, len(self.heads))
        for start in range(0, len(label_N), SCORED_AT_ONCE):
            block = slice(start, start + SCORED_AT_ONCE)
            weight_B = None if weight_N is None else weight_N[block]
            score_KCB = self._stack.score(every_head, feature_ND[block], 1.0)
            loss, correct, _ = losses(score_KCB, label_N[block], weight_B)
            loss_K += loss
            correct_K += correct
        return loss_K / total, correct_K / len(label_N)

    def _arrange(self, heads: list[int]) -> None:
        """Put the heads of the tensors in this order, leave out the others, and make groups and blocks again."""
        if heads != self.heads:
            places = torch.tensor([self.heads.index(k) for k in heads], dtype=torch.int64)
            self._stack.parameters[:] = [tensor[places] for tensor in self._stack.parameters]
            self._memory = [[tensor[places] for tensor in memory] for memory in self._memory]
            self.heads = heads
        settings = [self._settings[k] for k in heads]
        dtype = self._stack.parameters[0].dtype
        self._rate_K = torch.tensor([setting.learning_rate for setting in settings], dtype=dtype)
        self._kept_K = torch.tensor(
            [1 - setting.learning_rate * setting.weight_decay for setting in settings], dtype=dtype
        )
        self._blocks = self._find_blocks(settings)
        self._cut: dict[tuple[int, int], list[_TensorBlock]] = {}

    def _find_blocks(self, settings: Sequence[Setting]) -> list[list[_Group]]:
        """Groups of neighbours that are alike; as many together as a block holds, and a block for every core."""
        N, D = self._train[0].shape
        tensors = zip(self._stack.parameters, self._memory, strict=True)
        a_head = sum(tensor[0].nbytes * (1 + len(memory)) for tensor, memory in tensors) if settings else 1
        size = max(BLOCK_BYTES, BYTES_A_DRAW * min(N, self._options.batch) * D) // a_head
        size = max(1, min(size, math.ceil(len(settings) / torch.get_num_threads())))
        blocks: list[list[_Group]] = []
        room, place = 0, 0
        for (below, optimiser), alike in groupby(settings, key=lambda s: (threshold(s.dropout), s.optimiser)):
            left = len(list(alike))
            while left:
                if not room:
                    blocks.append([])
                    room = size
                count = min(left, room)
                blocks[-1].append(_Group(slice(place, place + count), below, optimiser))
                place, left, room = place + count, left - count, room - count
        return blocks

    def _train_block(
        self, block: Sequence[_Group], *, epoch: int, rows: Sequence[Tensor], loss_K: Tensor, correct_K: Tensor
    ) -> None:
        """One pass over the examples for some heads; adds to their figures."""
        feature_ND, label_N = self._train
        draws = Draws(self._options.seed, epoch, DROPOUT)
        for step, row_B in enumerate(rows, start=self._steps + 1):
            level_BD = draws.levels(len(row_B), feature_ND.shape[1])
            feature_BD, label_B = feature_ND[row_B], label_N[row_B]
            for group in block:
                loss_G, correct_G = self._step(group, drop(feature_BD, level_BD, group.below), label_B, step)
                loss_K[group.heads] += loss_G
                correct_K[group.heads] += correct_G

    def _step(self, group: _Group, feature_BD: Tensor, label_B: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """One minibatch; its summed loss, and how many rows were right."""
        scale = kept_scale(group.below)
        score_GCB = self._stack.score(group.heads, feature_BD, scale)
        weight_B = None if self._class_weight_C is None else self._class_weight_C[label_B]
        loss_G, correct_G, error_GCB = losses(score_GCB, label_B, weight_B)
        for update in self._stack.gradients(group.heads, feature_BD, error_GCB, scale):
            self._apply(group, update, step)
        return loss_G, correct_G

    def _apply(self, group: _Group, update: Update, step: int) -> None:
        move, _ = TABLE[group.optimiser]
        for block in self._tensor_blocks(group, update.number):
            gradient = update.gradient[block.heads, block.rows]
            if update.decays and block.kept is not None:
                block.weight.mul_(block.kept)
            move(block.weight, gradient.to(block.weight.dtype), update.factor, block.memory, block.rate, step)

    def _tensor_blocks(self, group: _Group, number: int) -> list[_TensorBlock]:
        """The blocks of a parameter; cut once for all steps, since cutting costs as much as a small operation."""
        key = group.heads.start, number
        if key not in self._cut:
            weight, memory = self._stack.parameters[number], self._memory[number][: TABLE[group.optimiser][1]]
            rates_G, kept_G = (
                tensor_K[group.heads].view(-1, *[1] * (weight.dim() - 1)) for tensor_K in (self._rate_K, self._kept_K)
            )
            self._cut[key] = [
                _TensorBlock(
                    heads,
                    rows,
                    weight[group.heads][heads, rows],
                    [tensor[group.heads][heads, rows] for tensor in memory],
                    rates_G[heads],
                    kept_G[heads] if bool((kept_G[heads] < 1).any()) else None,
                )
                for heads, rows in _cut(weight[group.heads])
            ]
        return self._cut[key]


def _cut(tensor: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cuts of the first two axes into blocks that are updated at once: of several heads, or of one head's rows."""
    G, C = tensor.shape[:2]
    a_row = tensor[0, 0].numel()
    rows, heads = max(1, TENSOR_BLOCK // a_row), max(1, TENSOR_BLOCK // (C * a_row))
    for head in range(0, G, heads):
        for row in range(0, C, rows):
            yield slice(head, head + heads), slice(row, row + rows)
