"""K heads trained together, epoch by epoch, each parameter of all of them one tensor.

Head k of a batch of K is the same head as k trained alone: nothing in a head's arithmetic reads another head, and what
is drawn at random does not depend on how many heads there are (`dropout.py`).

How it is fast. Heads of the same dropout see the same rows, and their weights lie one below the other: one matrix
product scores all of them, one gives all their gradients. What then binds is the optimiser, which reads and writes
weights and memory at every step for little arithmetic. So heads go through an epoch block by block, a block being what
stays in the last-level cache from step to step. Every core has blocks of its own, each by one thread: at some twenty
microseconds an operation, threads that share one would wait for each other longer than they work.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitrail.core.errors import UsageError
from vitrail.heads.dropout import Draws, drop, kept_scale, threshold
from vitrail.heads.early_stopping import CurvePoint, EarlyStopping
from vitrail.heads.losses import losses
from vitrail.heads.optimisers import OPTIMISERS, TABLE, OptimiserName
from vitrail.heads.scaling import ScalingKind
from vitrail.heads.scores import Linear, Mlp
from vitrail.heads.threads import side_by_side

# Letters: N examples, B examples of a minibatch, D features, C classes, K heads trained together, G of them in a group.

BLOCK_BYTES = 8 << 20  # of weights and memory; beside them the minibatch and its gradients need a place in the cache
BYTES_A_DRAW = 160  # a block is made larger until drawing for it costs less than reading it
PART = 1 << 20  # numbers that are updated at once: fewer, and threads wait for the interpreter's lock
SCORED_AT_ONCE = 1024  # rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What differs from head to head.

    `dropout` is the fraction of features dropped, in [0, 1); `weight_decay` is decoupled: see `optimisers.py`. `hidden`
    counts the units of a perceptron's hidden layer; with 0 there is none, and the head is one softmax layer.
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
                raise UsageError(f"A head cannot be trained with {self}: {rule}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """What all heads of a batch share. `batch` counts examples; `epochs` is the most a head trains.

    `precision` is that of training's products and of what they give, a minibatch's scores and gradients: "bfloat16"
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
class Group:
    """Heads of one dropout and one optimiser, side by side in every tensor."""

    heads: slice
    below: int
    optimiser: OptimiserName


@dataclass(frozen=True, slots=True)
class Update:
    """`factor` x `gradient` is the gradient of parameter `number` of a group. Only weights decay, biases do not."""

    number: int
    gradient: Tensor
    factor: float
    decays: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Some heads of a group, some rows of each: weights and memory as views, rates, and what decay leaves, if any."""

    heads: slice
    rows: slice
    weight: Tensor
    memory: list[Tensor]
    rate: Tensor
    kept: Tensor | None


class Stack(Protocol):
    """K heads of one kind. `parameters` are tensors whose first axis is K. Threads work at different heads."""

    parameters: list[Tensor]

    def score(self, heads: slice, feature_BD: Tensor, scale: float) -> Tensor:
        """Scores of some heads on rows times `scale`, G x C x B; products in the precision of the rows."""

    def gradients(self, heads: slice, feature_BD: Tensor, error_GCB: Tensor, scale: float) -> Iterable[Update]:
        """From B times the gradient of the scores just given. Weights are read before the first update, not after."""

    def scores(self, parameters: Sequence[NDArray[np.float64]]) -> Linear | Mlp:
        """What a `Head` keeps of one head's parameters."""


class Training:
    """K heads on their way: `advance` them, `keep` some of them, take their parameters when they are far enough."""

    def __init__(
        self,
        stack: Stack,
        settings: Sequence[Setting],
        train: tuple[Tensor, Tensor],
        val: tuple[Tensor, Tensor] | None,
        options: TrainOptions,
        class_weight_C: Tensor | None = None,
    ) -> None:
        self.curves: list[list[CurvePoint]] = [[] for _ in settings]
        self.stops = [EarlyStopping(patience=options.patience) for _ in settings]
        self.epoch = 0
        self._settings, self._options = settings, options
        self._train, self._val = train, val
        self._class_weight_C = class_weight_C
        self._stack = stack
        self._steps = 0
        self._best = [
            tensor.clone() for tensor in stack.parameters
        ]  # by the heads' own places, as long as all are told
        most = max(TABLE[setting.optimiser][1] for setting in settings)
        self._memory = [[torch.zeros_like(tensor) for _ in range(most)] for tensor in stack.parameters]
        self._which = list(range(len(settings)))  # the heads still going, in the order of the tensors
        self._arrange(sorted(self._which, key=lambda k: (threshold(settings[k].dropout), settings[k].optimiser)))

    @property
    def going(self) -> list[int]:
        """The heads that have not stopped and were kept."""
        return sorted(self._which)

    def advance(self, epochs: int) -> None:
        """Train on, until every head has stopped by itself or this many epochs have passed."""
        for _ in range(epochs):
            if not self._which:
                return
            self.epoch += 1
            loss_K, accuracy_K = self._train_epoch()
            if self._val is None:
                continue
            val_loss_K, val_accuracy_K = self._score(*self._val)
            columns = [figure_K.tolist() for figure_K in (loss_K, val_loss_K, accuracy_K, val_accuracy_K)]
            for place, (k, train, held_out, right, held_out_right) in enumerate(
                zip(self._which, *columns, strict=True)
            ):
                point = CurvePoint(
                    epoch=self.epoch,
                    train_loss=train,
                    val_loss=held_out,
                    train_accuracy=right,
                    val_accuracy=held_out_right,
                )
                self._judge(k, place, point)
            self.keep([k for k in self._which if not self.stops[k].exhausted(self.epoch)])

    def keep(self, heads: Sequence[int]) -> None:
        """Go on with these alone; what the others have come to stays as it is."""
        wanted = set(heads)
        if self._val is None:
            self._remember([k for k in self._which if k not in wanted])
        self._arrange([k for k in self._which if k in wanted])

    def parameters(self) -> list[Tensor]:
        """Of every head: at its best epoch on val, or where there is no val, as they are now."""
        if self._val is None:
            self._remember(self._which)
        return self._best

    def epochs_of(self, head: int) -> int:
        """How many epochs the parameters of a head have seen."""
        return self.epoch if self._val is None else self.stops[head].best_epoch

    def _judge(self, k: int, place: int, point: CurvePoint) -> None:
        self.curves[k].append(point)
        if self.stops[k].improved(self.epoch, point.val_loss):
            for best, tensor in zip(self._best, self._stack.parameters, strict=True):
                best[k] = tensor[place]

    def _remember(self, heads: Iterable[int]) -> None:
        for k in heads:
            for best, tensor in zip(self._best, self._stack.parameters, strict=True):
                best[k] = tensor[self._which.index(k)]

    def _arrange(self, heads: list[int]) -> None:
        """Put the heads of the tensors in this order, leave out the others, and find groups and blocks anew."""
        if heads != self._which:
            places = torch.tensor([self._which.index(k) for k in heads], dtype=torch.int64)
            self._stack.parameters[:] = [tensor[places] for tensor in self._stack.parameters]
            self._memory = [[tensor[places] for tensor in memory] for memory in self._memory]
            self._which = heads
        settings = [self._settings[k] for k in heads]
        dtype = self._stack.parameters[0].dtype
        self._rate_K = torch.tensor([setting.learning_rate for setting in settings], dtype=dtype)
        self._kept_K = torch.tensor(
            [1 - setting.learning_rate * setting.weight_decay for setting in settings], dtype=dtype
        )
        self._blocks = self._find_blocks(settings)
        self._cut: dict[tuple[int, int], list[_Part]] = {}

    def _find_blocks(self, settings: Sequence[Setting]) -> list[list[Group]]:
        """Groups of neighbours that are alike; as many together as a block holds, and a block for every core."""
        N, D = self._train[0].shape
        a_head = sum(tensor[0].nbytes * (1 + len(memory)) for tensor, memory in self._tensors()) if settings else 1
        size = max(BLOCK_BYTES, BYTES_A_DRAW * min(N, self._options.batch) * D) // a_head
        size = max(1, min(size, math.ceil(len(settings) / torch.get_num_threads())))
        blocks: list[list[Group]] = []
        room, place = 0, 0
        for (below, optimiser), alike in groupby(settings, key=lambda s: (threshold(s.dropout), s.optimiser)):
            left = len(list(alike))
            while left:
                if not room:
                    blocks.append([])
                    room = size
                taken = min(left, room)
                blocks[-1].append(Group(slice(place, place + taken), below, optimiser))
                place, left, room = place + taken, left - taken, room - taken
        return blocks

    def _tensors(self) -> Iterator[tuple[Tensor, list[Tensor]]]:
        return zip(self._stack.parameters, self._memory, strict=True)

    def _train_epoch(self) -> tuple[Tensor, Tensor]:
        """One pass over the examples; mean loss and accuracy over its minibatches, for each head."""
        N = len(self._train[0])
        loss_K, correct_K = torch.zeros(len(self._which)), torch.zeros(len(self._which))
        rows = torch.split(Draws(self._options.seed, self.epoch, 0).order(N), self._options.batch)
        train = partial(self._train_block, rows=rows, loss_K=loss_K, correct_K=correct_K)
        side_by_side(train, self._blocks, at_once=torch.get_num_threads())
        self._steps += len(rows)
        return loss_K / N, correct_K / N

    def _train_block(
        self, block: Sequence[Group], *, rows: Sequence[Tensor], loss_K: Tensor, correct_K: Tensor
    ) -> None:
        """One pass over the examples for some heads, whose figures are added to."""
        feature_ND, label_N = self._train
        draws = Draws(self._options.seed, self.epoch, 1)
        for step, row_B in enumerate(rows, start=self._steps + 1):
            level_BD = draws.levels(len(row_B), feature_ND.shape[1])
            feature_BD, label_B = feature_ND[row_B], label_N[row_B]
            for group in block:
                loss_G, correct_G = self._step(group, drop(feature_BD, level_BD, group.below), label_B, step)
                loss_K[group.heads] += loss_G
                correct_K[group.heads] += correct_G

    def _step(self, group: Group, feature_BD: Tensor, label_B: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """One minibatch; its summed loss, and how many were right."""
        scale = kept_scale(group.below)
        score_GCB = self._stack.score(group.heads, feature_BD, scale)
        weight_B = None if self._class_weight_C is None else self._class_weight_C[label_B]
        loss_G, correct_G, error_GCB = losses(score_GCB, label_B, weight_B)
        for update in self._stack.gradients(group.heads, feature_BD, error_GCB, scale):
            self._apply(group, update, step)
        return loss_G, correct_G

    def _apply(self, group: Group, update: Update, step: int) -> None:
        move, _ = TABLE[group.optimiser]
        for part in self._parts_of(group, update.number):
            gradient = update.gradient[part.heads, part.rows]
            if update.decays and part.kept is not None:
                part.weight.mul_(part.kept)
            move(part.weight, gradient.to(part.weight.dtype), update.factor, part.memory, part.rate, step)

    def _parts_of(self, group: Group, number: int) -> "list[_Part]":
        """What is updated at once; cut once for all steps, since cutting costs as much as a small operation."""
        key = group.heads.start, number
        if key not in self._cut:
            weight, memory = self._stack.parameters[number], self._memory[number][: TABLE[group.optimiser][1]]
            rates_G, kept_G = (
                one_K[group.heads].view(-1, *[1] * (weight.dim() - 1)) for one_K in (self._rate_K, self._kept_K)
            )
            self._cut[key] = [
                _Part(
                    heads,
                    rows,
                    weight[group.heads][heads, rows],
                    [one[group.heads][heads, rows] for one in memory],
                    rates_G[heads],
                    kept_G[heads] if bool((kept_G[heads] < 1).any()) else None,
                )
                for heads, rows in _parts(weight[group.heads])
            ]
        return self._cut[key]

    def _score(self, feature_ND: Tensor, label_N: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy without dropout, for each head."""
        loss_K = torch.zeros(len(self._which), dtype=torch.float64)
        correct_K = torch.zeros_like(loss_K)
        everyone = slice(0, len(self._which))
        parts = zip(torch.split(feature_ND, SCORED_AT_ONCE), torch.split(label_N, SCORED_AT_ONCE), strict=True)
        for feature_BD, label_B in parts:
            loss, correct, _ = losses(self._stack.score(everyone, feature_BD, 1.0), label_B, None)
            loss_K += loss
            correct_K += correct
        return loss_K / len(label_N), correct_K / len(label_N)


def _parts(tensor: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cuts of the first two axes into parts that are updated at once: of several heads, or of one head's rows."""
    G, C = tensor.shape[:2]
    a_row = tensor[0, 0].numel()
    rows, heads = max(1, PART // a_row), max(1, PART // (C * a_row))
    for head in range(0, G, heads):
        for row in range(0, C, rows):
            yield slice(head, head + heads), slice(row, row + rows)
