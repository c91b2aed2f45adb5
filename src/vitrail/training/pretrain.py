"""The embedded backbones, made without data: formulas are drawn, and a network learns to distinguish them.

The classifier is left out of the file, since nobody needs to know which formula drew an image. Its accuracy on new
drawings of the same formulas is in the file's metadata, with the command that makes the file again.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from vitrail.backbones.build import CLASSIFIER, build_net
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.preprocess import normalise
from vitrail.core.errors import RunError, UsageError, WeightsError
from vitrail.core.hashing import sha256_file
from vitrail.core.progress import Progress
from vitrail.core.torch_threads import torch_threads
from vitrail.core.whole_files import delete_temporaries_of, write_whole
from vitrail.nets.vit import VisionTransformer
from vitrail.training.formula_images import Drawn, draw_set
from vitrail.training.loop import EpochPoint, LoopOptions, train

FORMAT_VERSION = "1"
METADATA_KEY = "vitrail"  # one key, since safetensors writes several in an order that changes from run to run
MAX_BYTES = 4_000_000  # of one embedded file; they are part of the package
HELD_OUT_PER_CLASS = 8
LOWEST_WAVE = 100.0  # wavelengths of the positions span from one patch to this many
UNUSED_COUNTER = "num_batches_tracked"  # batch norm counts its steps; inference never reads it


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainOptions:
    """How much to draw and how long to learn from it. One epoch is classes x images_per_class images."""

    classes: int
    images_per_class: int
    epochs: int
    batch: int
    learning_rate: float
    seed: int = 0
    bf16: bool = True  # twice as fast if the processor has it, else slow

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: a number is too small.
        """
        for name, low in (("classes", 2), ("images_per_class", 1), ("epochs", 1), ("batch", 2), ("seed", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"Pretraining needs {name} of at least {low}, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainReport:
    """What was made. `held_out_accuracy` is a fraction, on new drawings of the same classes."""

    name: str
    path: Path
    bytes: int
    sha256: str
    options: PretrainOptions
    points: tuple[EpochPoint, ...]
    held_out_accuracy: float
    seconds: float


# What `vitrail pretrain NAME` does when no number is given, and how the files in the package were made.
DEFAULT_OPTIONS: Mapping[str, PretrainOptions] = {
    "vit_mini": PretrainOptions(classes=128, images_per_class=100, epochs=4, batch=32, learning_rate=7e-4),
    "resnet_mini": PretrainOptions(classes=128, images_per_class=100, epochs=4, batch=64, learning_rate=1e-3),
}


def default_options(name: str) -> PretrainOptions:
    """The options that the package's own file of this backbone was made with.

    Raises:
        UsageError: Vitrail does not make this backbone.
    """
    if name not in DEFAULT_OPTIONS:
        raise UsageError(f"Vitrail does not pretrain {name!r}: choose {', '.join(DEFAULT_OPTIONS)}.")
    return DEFAULT_OPTIONS[name]


def pretrain(name: str, options: PretrainOptions, *, out: Path, threads: int, progress: Progress) -> PretrainReport:
    """Make the weights of an embedded backbone; continue where an interrupted run stopped.

    The file is <name>.safetensors in the folder `out`, beside <name>.checkpoint.safetensors while training is not done.
    Another number of threads gives slightly other weights.

    Raises:
        UsageError: Vitrail does not make this backbone.
        RunError: the folder cannot be written, or its checkpoint is damaged, was made with other options, or cannot be
            deleted at the end.
    """
    default_options(name)
    card = find_card(name)
    started = time.monotonic()
    path, checkpoint = out / f"{name}.safetensors", out / f"{name}.checkpoint.safetensors"
    for file in (path, checkpoint):
        delete_temporaries_of(file)
    with torch_threads(threads):
        train_set, held_out = _draw(card, options, progress)
        net = new_net(card, options)
        points = train(
            net,
            train_set.images,
            train_set.labels,
            _loop_options(options),
            normalise=lambda pixel_BHWC: normalise(pixel_BHWC, card.preprocessing),
            progress=progress,
            checkpoint=checkpoint,
        )
        accuracy = _accuracy(net, held_out, card)
    write_weights(path, net, card, _facts(name, options, accuracy))
    try:
        checkpoint.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"{path} is written, but {checkpoint} could not be deleted ({error.strerror or error}). Delete it: it is "
            "not needed any more."
        ) from error
    return PretrainReport(
        name=name,
        path=path,
        bytes=path.stat().st_size,
        sha256=sha256_file(path),
        options=options,
        points=points,
        held_out_accuracy=accuracy,
        seconds=time.monotonic() - started,
    )


def new_net(card: Card, options: PretrainOptions) -> nn.Module:
    """The card's network with a classifier for the formulas, and weights from which a short training succeeds."""
    with torch.random.fork_rng(devices=[]):  # the networks' own initialisation draws from torch's global generator
        torch.manual_seed(options.seed)
        net = build_net(card, classes=options.classes)
        if isinstance(net, VisionTransformer):
            _start_transformer(net)
    for parameter in net.parameters():
        if parameter.ndim == 4:  # convolutions on a processor are fastest when channels lie together
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


def write_weights(path: Path, net: nn.Module, card: Card, facts: Mapping[str, object]) -> None:
    """Write the network without its classifier, as float16.

    `facts` are JSON values for the file's header, under METADATA_KEY.

    Raises:
        WeightsError: a weight is not finite in float16, or the file would be too large for the package.
    """
    left_out = f"{CLASSIFIER[card.family]}."
    tensors: dict[str, Tensor] = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in net.state_dict().items()
        if not name.startswith(left_out) and not name.endswith(UNUSED_COUNTER)
    }
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise WeightsError(
            f"The training of {card.name} ended with weights that are not finite ({', '.join(broken[:4])}), so nothing "
            f"was written to {path}. Train again with a smaller learning rate."
        )
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > MAX_BYTES:
        raise WeightsError(f"The weights of {card.name} take {size:,} bytes, and {path} may have {MAX_BYTES:,}.")
    metadata = {METADATA_KEY: json.dumps(facts)}
    content = save(tensors, metadata=metadata)  # save_file leaves a file of its own if it is killed
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def _draw(card: Card, options: PretrainOptions, progress: Progress) -> tuple[Drawn, Drawn]:
    size, known = card.preprocessing.crop, options.images_per_class
    train_set = draw_set(options.classes, range(known), seed=options.seed, size=size, progress=progress)
    new = range(known, known + HELD_OUT_PER_CLASS)
    return train_set, draw_set(options.classes, new, seed=options.seed, size=size, progress=progress)


def _loop_options(options: PretrainOptions) -> LoopOptions:
    return LoopOptions(
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        bf16=options.bf16,
        seed=options.seed,
    )


def _start_transformer(net: VisionTransformer) -> None:
    """Matrices by Glorot's rule, as the original ViT, and positions that begin as waves (arXiv:2104.02057, appendix).

    The usual normal of 0.02 is meant for widths of 384 and up and a million steps: at width 128 every token begins by
    seeing the mean of all others, and thousands of steps go by before it looks at one of them.
    """
    for module in net.modules():
        if isinstance(module, nn.Linear) and module is not net.head:
            for matrix in module.weight.data.chunk(3 if module.out_features == 3 * module.in_features else 1):
                nn.init.xavier_uniform_(matrix)
    positions, width = len(net.pos_embed[0]) - 1, net.pos_embed.shape[-1]
    side = math.isqrt(positions)
    frequency = LOWEST_WAVE ** -(torch.arange(width // 4) / (width // 4))
    angle = torch.arange(side)[:, None] * frequency
    wave = torch.cat((angle.sin(), angle.cos()), dim=1)
    row, column = wave[:, None].expand(side, side, -1), wave[None].expand(side, side, -1)
    with torch.no_grad():
        net.pos_embed.zero_()
        net.pos_embed[0, 1:] = torch.cat((row, column), dim=-1).flatten(0, 1)


@torch.no_grad()
def _accuracy(net: nn.Module, drawn: Drawn, card: Card, batch: int = 256) -> float:
    net.eval()
    correct = 0
    for start in range(0, len(drawn.labels), batch):
        pixel_BHWC = torch.from_numpy(drawn.images[start : start + batch])
        predicted_B = net(normalise(pixel_BHWC, card.preprocessing)).argmax(dim=1)
        correct += int((predicted_B == torch.from_numpy(drawn.labels[start : start + batch])).sum())
    return correct / len(drawn.labels)


def _facts(name: str, options: PretrainOptions, accuracy: float) -> dict[str, object]:
    return {
        "format": FORMAT_VERSION,
        "backbone": name,
        "command": command(name, options),
        "options": asdict(options),
        "held_out_accuracy": round(accuracy, 4),
        "licence": "Apache-2.0",
    }


def command(name: str, options: PretrainOptions) -> str:
    """The command line that makes a file with these options."""
    numbers = (
        f"--classes {options.classes} --images-per-class {options.images_per_class} "
        f"--epochs {options.epochs} --seed {options.seed}"
    )
    return f"vitrail pretrain {name} {numbers}"
