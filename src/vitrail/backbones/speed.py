"""How fast this machine runs networks whose weights it need not have: theirs are random, which takes as long.

A small network of each kind gives an estimate of how long others take; a network alone may be measured too.

Letters: B images, H rows, W columns, C channels.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.cards import CONVOLUTIONAL, Card
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.engine_trial import measure_rate
from vitrail.backbones.engines import Engine, EngineChoice, choose_engine
from vitrail.core.errors import UsageError

Kind = Literal["transformer", "convolutional"]
SMALL: dict[Kind, str] = {"transformer": "vit_small_patch16_224.augreg_in21k", "convolutional": "resnet50.tv_in1k"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """1e9 multiply-adds a second that a network of a kind reached: `network` with random weights, run as `how` says."""

    network: str
    gmacs_per_s: float
    how: str


def kind_of(card: Card) -> Kind:
    """Whether a network is convolutional, or a transformer."""
    return "convolutional" if card.family in CONVOLUTIONAL else "transformer"


def measure_speed(kind: Kind, *, threads: int) -> Speed:
    """Run a small network of a kind on noise, with the engine and the precision of the default rule."""
    card, choice = find_card(SMALL[kind]), choose_engine("auto", "auto")
    images_per_s = measure_network(card, choice, threads=threads)
    return Speed(network=card.name, gmacs_per_s=images_per_s * card.gmacs, how=say_how(choice, threads))


def measure_network(card: Card, choice: EngineChoice, *, threads: int) -> float:
    """Images a second that a network reaches with random weights, timed as in a trial of engines.

    Raises:
        UsageError: the precision is int8, which needs weights and images.
    """
    engine, _weights = _start_untrained(card, choice, threads=threads)
    pixel_BHWC = _draw_noise(card, engine.batch * engine.streams)
    return measure_rate(engine, pixel_BHWC, cores=threads if choice.device == "cpu" else 0)


def _start_untrained(card: Card, choice: EngineChoice, *, threads: int) -> tuple[Engine, object]:
    """A network with random weights, ready to run in small batches, and what these weights belong to."""
    from vitrail.backbones.backbone import OPENVINO_BATCH, TORCH_BATCH
    from vitrail.backbones.build import build_net
    from vitrail.backbones.converted import empty_pixels, normalising, trace

    if choice.precision == "int8":
        raise UsageError(
            f"{card.name} cannot be measured in int8, which needs its weights and your images: choose another "
            "--precision, or leave --max-ms out."
        )
    net = normalising(build_net(card, classes=0).eval(), card.preprocessing, None)
    if choice.name == "openvino":
        from vitrail.backbones.openvino_engine import OpenVinoEngine

        model, owner = trace(net, empty_pixels(card.preprocessing.crop))
        engine = OpenVinoEngine(model, bf16=choice.precision == "bf16", batch=OPENVINO_BATCH, threads=threads)
        return engine, owner
    from vitrail.backbones.torch_engine import TorchEngine

    torch_engine = TorchEngine(
        net,
        device=choice.device,
        precision=choice.precision,
        compiled=choice.name == "torch-compile",
        batch=TORCH_BATCH[choice.device] // 4,  # as fast an image, and over in a second or two
        threads=threads,
    )
    return torch_engine, net


def say_how(choice: EngineChoice, threads: int) -> str:
    """How a network ran: torch fp32 on cpu, 2 threads."""
    cores = f", {threads} thread{'s' * (threads != 1)}" if choice.device == "cpu" else ""
    return f"{choice.name} {choice.precision} on {choice.device}{cores}"


def _draw_noise(card: Card, images: int) -> NDArray[np.uint8]:
    side = card.preprocessing.crop
    return np.random.default_rng(0).integers(0, 256, (images, side, side, 3), dtype=np.uint8)
