"""A short supervised training loop that resumes after a Ctrl-C or a crash.

AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), a linear warm-up and then half a cosine
down to zero (arXiv:1608.03983), label smoothing (arXiv:1512.00567), and light augmentation: a shift by a few pixels and
a change of contrast and brightness.

A step depends on nothing but the options, the images and the step's number: the order of an epoch and the
augmentation of a batch have generators of their own, made from the seed and that number. So a checkpoint holds no
generator, and a run that was interrupted and resumed ends in the same bytes as one that was not, on the same machine
and with the same number of threads. The network must not draw random numbers itself (no dropout).

The checkpoint is one safetensors file, so that it is there whole or not at all: the network, the two averages of AdamW
for each parameter, and in its metadata, as JSON, the step, the sums of the open epoch and the points of those before.

Letters: N examples, B batch, C channels, H rows, W columns.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, pad

from vitrail.core.bounded import is_there, open_regular
from vitrail.core.errors import RunError, UsageError
from vitrail.core.hashing import fingerprint, sha256_bytes
from vitrail.core.progress import Progress, running
from vitrail.core.reasons import say_reason
from vitrail.core.whole_files import write_whole

CHECKPOINT_VERSION = "2"
AVERAGES = ("exp_avg", "exp_avg_sq")  # what torch's AdamW calls them
BETAS = (0.9, 0.999)
ADAM_EPS = 1e-8
MAX_GRADIENT_NORM = 1.0  # only ever met in the first steps; without it a ViT may fall asleep there
SAVE_EVERY_S = 30.0  # the most that a Ctrl-C can cost
TASK = "training"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopOptions:
    """How to train. `warmup` is a fraction of all steps, `max_shift` is in pixels, `max_contrast` a fraction."""

    epochs: int = 10
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    max_shift: int = 2
    max_contrast: float = 0.3
    bf16: bool = False  # matrix products and convolutions in bfloat16; weights and AdamW stay in float32
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: a number is out of its range.
        """
        for name, low in (("epochs", 1), ("batch", 2), ("max_shift", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"Training needs {name} of at least {low}, got {getattr(self, name)}.")
        if not self.learning_rate > 0:
            raise UsageError(f"Training needs a learning_rate above 0, got {self.learning_rate}.")
        for name in ("warmup", "label_smoothing", "max_contrast"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"Training needs {name} in [0, 1), got {getattr(self, name)}.")


@dataclass(frozen=True, slots=True)
class EpochPoint:
    """Means over one epoch, on augmented images and while the weights were changing; accuracy is a fraction."""

    epoch: int
    loss: float
    accuracy: float


@dataclass(slots=True)
class _State:
    """Where the training is: steps done, sums over the open epoch, points of the closed ones."""

    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    points: list[EpochPoint] = field(default_factory=list)


_STATE = TypeAdapter(_State)


def train(
    net: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    options: LoopOptions,
    *,
    normalise: Callable[[Tensor], Tensor],
    progress: Progress,
    checkpoint: Path | None = None,
) -> tuple[EpochPoint, ...]:
    """Train the network in place, from the weights that it has.

    Its `forward` gives the logits of every class in `labels`. `images` are N x H x W x 3, `labels` N class numbers from
    0; `normalise` turns uint8 B x H x W x 3 into the network's input. Training continues from the file `checkpoint` if
    it exists and saves its state there at most every SAVE_EVERY_S seconds; the caller removes the file at the end.

    Raises RunError if the checkpoint is damaged, belongs to another training or cannot be written.
    """
    optimizer = _adamw(net, options)
    question = _question(net, images, labels, options)
    state = _resume(net, optimizer, checkpoint, question) if checkpoint is not None else _State()
    batch = min(options.batch, len(images))
    steps_an_epoch = len(images) // batch
    steps = options.epochs * steps_an_epoch
    images_NHWC, labels_N = torch.from_numpy(images), torch.from_numpy(labels)
    net.train()
    with running(progress, TASK, total=steps * batch, unit="images"):
        progress.advance(TASK, state.step * batch)
        saved = time.monotonic()
        while state.step < steps:
            epoch, place = divmod(state.step, steps_an_epoch)
            rows_B = _order(len(images), options.seed, epoch)[place * batch : (place + 1) * batch]
            generator = _generator(options.seed, "batch", state.step)
            image_BCHW = augment(normalise(images_NHWC[rows_B]), options, generator)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(options, state.step, steps)
            loss, correct = _learn(net, optimizer, image_BCHW, labels_N[rows_B], options)
            state.step, state.loss_sum, state.correct = state.step + 1, state.loss_sum + loss, state.correct + correct
            if place == steps_an_epoch - 1:
                _close_epoch(state, steps_an_epoch, batch, progress)
            progress.advance(TASK, batch)
            if checkpoint is not None and (time.monotonic() - saved >= SAVE_EVERY_S or state.step == steps):
                _save(net, optimizer, state, checkpoint, question)
                saved = time.monotonic()
    return tuple(state.points)


def learning_rate(options: LoopOptions, step: int, steps: int) -> float:
    """The learning rate of a step: a line from zero to its top, then half a cosine to zero.

    Steps count from 0; the rate of a step that is taken is never zero.
    """
    rising = max(1, round(options.warmup * steps))
    if step < rising:
        return options.learning_rate * (step + 1) / (rising + 1)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def augment(image_BCHW: Tensor, options: LoopOptions, generator: torch.Generator) -> Tensor:
    """Shift every normalised image by up to `max_shift` pixels, its border repeated; change contrast and brightness."""
    B, _, H, W = image_BCHW.shape
    reach = options.max_shift
    padded_BCHW = pad(image_BCHW, (reach, reach, reach, reach), mode="replicate")
    row_B, column_B = torch.randint(0, 2 * reach + 1, (2, B), generator=generator)
    row_BH1 = (row_B[:, None] + torch.arange(H))[:, :, None]
    column_B1W = (column_B[:, None] + torch.arange(W))[:, None, :]
    shifted_BHWC = padded_BCHW.permute(0, 2, 3, 1)[torch.arange(B)[:, None, None], row_BH1, column_B1W]
    gain_B, bias_B = options.max_contrast * (2 * torch.rand((2, B), generator=generator) - 1)
    gain_B111, bias_B111 = gain_B[:, None, None, None], bias_B[:, None, None, None]
    changed_BCHW: Tensor = shifted_BHWC.permute(0, 3, 1, 2) * (1 + gain_B111) + bias_B111
    return changed_BCHW


def _learn(
    net: nn.Module, optimizer: torch.optim.Optimizer, image_BCHW: Tensor, label_B: Tensor, options: LoopOptions
) -> tuple[float, int]:
    # The plain products: torch's fused attention for CPUs spends half of a small ViT's step in its backward pass.
    with sdpa_kernel(SDPBackend.MATH):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            logit_BK = net(image_BCHW).float()
        loss = cross_entropy(logit_BK, label_B, label_smoothing=options.label_smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
    optimizer.step()
    return float(loss.detach()), int((logit_BK.argmax(dim=1) == label_B).sum())


def _adamw(net: nn.Module, options: LoopOptions) -> torch.optim.AdamW:
    """Weight decay for matrices and kernels alone: norms, biases and tokens have no scale that it could control."""
    decayed = [parameter for parameter in net.parameters() if parameter.ndim >= 2 and len(parameter) > 1]
    kept = [parameter for parameter in net.parameters() if not (parameter.ndim >= 2 and len(parameter) > 1)]
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=BETAS, eps=ADAM_EPS)


def _generator(seed: int, purpose: str, number: int) -> torch.Generator:
    digest = sha256_bytes(f"{seed} {purpose} {number}".encode())
    return torch.Generator().manual_seed(int(digest[:15], 16))


def _order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=_generator(seed, "epoch", epoch))


def _close_epoch(state: _State, steps: int, batch: int, progress: Progress) -> None:
    point = EpochPoint(len(state.points) + 1, state.loss_sum / steps, state.correct / (steps * batch))
    state.points.append(point)
    state.loss_sum, state.correct = 0.0, 0
    progress.note(f"epoch {point.epoch}: loss {point.loss:.3f}, accuracy {point.accuracy:.1%}")


def _question(net: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64], options: LoopOptions) -> str:
    """A fingerprint of all that decides how the training ends, the weights at its start included."""
    start = sha256_bytes(b"".join(tensor.detach().numpy().tobytes() for tensor in net.state_dict().values()))
    shapes = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
    data = [list(images.shape), sha256_bytes(images.tobytes()), sha256_bytes(labels.tobytes())]
    return fingerprint({"options": asdict(options), "start": start, "shapes": shapes, "data": data})


def _save(net: nn.Module, optimizer: torch.optim.Optimizer, state: _State, checkpoint: Path, question: str) -> None:
    tensors = {f"net.{name}": tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
    for name, parameter in net.named_parameters():
        for average in AVERAGES:
            tensors[f"{average}.{name}"] = optimizer.state[parameter][average].contiguous()
    metadata = {"version": CHECKPOINT_VERSION, "question": question, "state": json.dumps(asdict(state))}
    metadata |= {"digest": _digest_of(tensors, metadata["state"])}
    content = save(tensors, metadata=metadata)  # save_file leaves a file of its own if it is killed
    write_whole(checkpoint, lambda path: path.write_bytes(content))


def _digest_of(tensors: Mapping[str, Tensor], state: str) -> str:
    """Of everything in a checkpoint that a training continues from."""
    parts = {
        name: [str(tensor.dtype), list(tensor.shape), sha256_bytes(tensor.numpy().tobytes())]
        for name, tensor in tensors.items()
    }
    return fingerprint({"tensors": parts, "state": state})


def _resume(net: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path, question: str) -> _State:
    if not is_there(checkpoint):
        return _State()
    try:
        open_regular(checkpoint).close()  # its reader would wait at a pipe
        with safe_open(checkpoint, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        damaged = metadata.get("digest") != _digest_of(tensors, metadata.get("state", ""))
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise _damaged(checkpoint, error) from error
    if metadata.get("version") != CHECKPOINT_VERSION or metadata.get("question") != question:
        raise RunError(
            f"The checkpoint {checkpoint} belongs to a training with other options, images or another version. Delete "
            "it to train from the start, or give the options that it was made with."
        )
    if damaged:
        raise RunError(
            f"The checkpoint {checkpoint} is damaged: its digest does not match its content. Delete it to train from "
            "the start."
        )
    try:
        state = _STATE.validate_json(metadata.get("state", ""))
        net.load_state_dict({name.removeprefix("net."): tensors[name] for name in tensors if name.startswith("net.")})
        for name, parameter in net.named_parameters():
            optimizer.state[parameter] = {"step": torch.tensor(float(state.step))} | {
                average: torch.empty_like(parameter).copy_(tensors[f"{average}.{name}"]).detach()
                for average in AVERAGES
            }
    except (KeyError, ValueError, RuntimeError, OverflowError) as error:
        raise _damaged(checkpoint, error) from error
    return state


def _damaged(checkpoint: Path, error: Exception) -> RunError:
    reason = say_reason(error)
    return RunError(f"The checkpoint {checkpoint} cannot be read ({reason}). Delete it to train from the start.")
