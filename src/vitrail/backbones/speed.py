"""How fast this machine runs networks, measured on a small network of each kind, to estimate how long others take."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vitrail.backbones.cards import CONVOLUTIONAL, Card
from vitrail.backbones.catalogue import find_card

Kind = Literal["transformer", "convolutional"]
SMALL: dict[Kind, str] = {"transformer": "vit_small_patch16_224.augreg_in21k", "convolutional": "resnet50.tv_in1k"}
PASSES = 2  # the first also allocates memory; the fastest counts


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
    """Run a small network of a kind on noise, with torch, in the precision that Vitrail would choose for torch here."""
    from vitrail.backbones.backbone import TORCH_BATCH
    from vitrail.backbones.build import build_net
    from vitrail.backbones.converted import normalising
    from vitrail.backbones.engines import choose_engine
    from vitrail.backbones.torch_engine import TorchEngine

    card, choice = find_card(SMALL[kind]), choose_engine("torch", "auto")
    batch = TORCH_BATCH[choice.device] // 4  # as fast an image, and over in a second or two
    engine = TorchEngine(
        normalising(build_net(card, classes=0).eval(), card.preprocessing, None),
        device=choice.device,
        precision=choice.precision,
        compiled=False,
        batch=batch,
        threads=threads,
    )
    side = card.preprocessing.crop
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    seconds = []
    for _ in range(PASSES):
        begun = time.perf_counter()
        engine(pixel_BHWC)
        seconds.append(time.perf_counter() - begun)
    cores = f", {threads} thread{'s' * (threads != 1)}" if choice.device == "cpu" else ""
    return Speed(
        network=card.name,
        gmacs_per_s=batch * card.gmacs / min(seconds),
        how=f"torch {choice.precision} on {choice.device}{cores}",
    )
