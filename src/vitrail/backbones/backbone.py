"""A card with its weights on an engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.build import build_net, classes_in
from vitrail.backbones.cards import Card
from vitrail.backbones.engines import FORWARD_CODE_VERSION, Engine, EngineChoice, EngineTrial, PoolingEngine, ReadPixels
from vitrail.backbones.poolings import join_poolings
from vitrail.backbones.same_bytes import verified
from vitrail.core.errors import UsageError
from vitrail.core.machine import cache_folder
from vitrail.core.threads import require_room
from vitrail.fetch.hub import HF

if TYPE_CHECKING:
    from torch import Tensor, nn

# OpenVINO, images a batch. With a stream a core and one thread a stream, nothing is shared out within a batch, so small
# ones lose nothing (benchmarks/forward.py). Below a billion multiply-adds an image, what a call costs itself is felt.
# Features are the same at every size.
OPENVINO_BATCH = 4
OPENVINO_SMALL_BATCH = 16
SMALL_GMACS = 1.0

TORCH_BATCH = {"cpu": 16, "cuda": 128, "mps": 32}


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """A pretrained network with its preprocessing and its weights' digest. Nothing is loaded until it starts.

    The network always gives every pooling that its card offers, and those that are not needed are dropped afterwards:
    a feature has the same bits wherever it is computed. `read_range_images` reads the images whose digest is
    `engine.ranges`; their pixels give int8 the ranges of its activations. `trial` has the figures that `engine` was
    chosen by, if it was measured.
    """

    name: str
    card: Card
    digest: str
    file: Path
    engine: EngineChoice
    read_range_images: ReadPixels | None = field(default=None, repr=False, compare=False)
    trial: EngineTrial | None = field(default=None, repr=False, compare=False)

    def start(self, *, threads: int, pooling: str | None = None, batch: int | None = None) -> Engine:
        """Make the network ready to run.

        `threads` is the number of cores it may use. `pooling` says which features it gives, in the notation of
        `backbones/poolings.py`; None is the card's. `batch` is the number of images per call; None chooses one that
        suits the network.

        Raises WeightsError if the weights do not fit the network, UsageError if the cache has no int8 model of it and
        there are no images to make one from, and MachineError if there is no room for so many threads.
        """
        require_room(threads)
        held, wanted = join_poolings((self.card.pooling, *self.card.poolings)), pooling or self.card.pooling
        start = _start_openvino if self.engine.name == "openvino" else _start_torch
        engine = start(self, pooling=None if held == self.card.pooling else held, threads=threads, batch=batch)
        return engine if wanted == held else PoolingEngine(engine, held=held, wanted=wanted)

    @property
    def hashed_path(self) -> Path:
        """What `digest` is of: the file, or the folder that it is in."""
        return self.file.parent if self.card.name.startswith(HF) else self.file

    def read_weights(self, names: Sequence[str]) -> "dict[str, Tensor]":
        """Those of these tensors that the file has, by our names; raises WeightsError if it cannot be read."""
        from vitrail.backbones.weights import read_weights

        with verified(self.hashed_path, self.digest):
            state = read_weights(self.file)
            return {name: state[name].clone() for name in names if name in state}

    def load_net(self) -> "nn.Module":
        """The torch network with its weights, on the CPU, in evaluation mode; WeightsError if they do not fit."""
        with verified(self.hashed_path, self.digest):
            return self._load_net()

    def _load_net(self) -> "nn.Module":
        return load_file(self.card, self.file)


def load_file(card: Card, file: Path) -> "nn.Module":
    """The network of a card with the weights of a file, whatever its digest, on the CPU, in evaluation mode.

    Raises:
        WeightsError: the weights do not fit, or cannot be read.
    """
    import torch

    from vitrail.backbones.weights import load_into, read_weights
    from vitrail.backbones.weights.positions import fit_positions

    state = fit_positions(read_weights(file), card)
    with torch.device("meta"):  # its random weights would be drawn for nothing
        net = build_net(card, classes=classes_in(card, state))
    net = net.to_empty(device="cpu")
    load_into(net, state, file=file)
    return net.eval()


def _start_torch(backbone: Backbone, *, pooling: str | None, threads: int, batch: int | None) -> Engine:
    from vitrail.backbones.converted import normalising
    from vitrail.backbones.torch_engine import TorchEngine

    engine = backbone.engine
    return TorchEngine(
        normalising(backbone.load_net(), backbone.card.preprocessing, pooling),
        device=engine.device,
        precision=engine.precision,
        compiled=engine.name == "torch-compile",
        batch=batch or TORCH_BATCH[engine.device],
        threads=threads,
    )


def _start_openvino(backbone: Backbone, *, pooling: str | None, threads: int, batch: int | None) -> Engine:
    from vitrail.backbones.openvino_engine import OpenVinoEngine

    engine = backbone.engine
    small = OPENVINO_BATCH if backbone.card.gmacs >= SMALL_GMACS else OPENVINO_SMALL_BATCH
    return OpenVinoEngine(
        make_openvino_model(backbone, pooling),
        bf16="bf16" in (engine.precision, engine.rest),
        batch=batch or small,
        threads=threads,
    )


def make_openvino_model(backbone: Backbone, pooling: str | None) -> Any:
    """OpenVINO's model of a network, in float32 or int8; made only if the cache does not have it.

    Args:
        backbone: its engine has the precision, and for int8 the digest of the images for the ranges.
        pooling: which features it gives; None for the network's own.

    Returns:
        An openvino.Model.

    Raises:
        UsageError: the cache has no int8 model, and there are no images to make one from.
    """
    from vitrail.backbones.converted import convert, quantise

    card, engine, cache = backbone.card, backbone.engine, cache_folder()
    prepared = card.preprocessing
    facts = {
        "weights": backbone.digest,
        "net": card.network_facts(),
        "pixels": (prepared.crop, prepared.channels, prepared.divide_by, prepared.mean, prepared.std),
        "code": FORWARD_CODE_VERSION,
    }
    model = convert(backbone.load_net, prepared, pooling=pooling, facts=facts, cache=cache)
    if engine.precision != "int8":
        return model
    return quantise(
        model,
        backbone.read_range_images or _refuse_int8_of(card),
        transformer=is_transformer(card),
        facts=facts | {"ranges": engine.ranges, "quantiser": engine.quantiser, "pooling": pooling},
        cache=cache,
    )


def is_transformer(card: Card) -> bool:
    """Whether int8 quantises the network by the scheme for transformers."""
    return card.family not in ("resnet", "bit")


def _refuse_int8_of(card: Card) -> ReadPixels:
    def refuse() -> NDArray[np.uint8]:
        raise UsageError(
            f"There is no int8 model of {card.name} in the cache, and there are no images to make one: int8 measures "
            "the ranges of activations on the train images of `vitrail bench --precision int8`. Run that first, or "
            "choose --precision auto."
        )

    return refuse
