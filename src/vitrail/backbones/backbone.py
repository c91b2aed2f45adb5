"""A card with its weights on an engine."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.backbones.build import build_net, classes_in
from vitrail.backbones.cards import Card
from vitrail.backbones.engines import Engine, EngineChoice, PoolingEngine, ReadPixels, start_engine
from vitrail.backbones.poolings import joined

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """A pretrained network with its preprocessing and its weights' digest. Nothing is loaded until it starts.

    The network always gives every pooling that its card offers, and what is not asked for is left out: one feature has
    the same bits wherever it is computed. `read_calibration` gives the pixels of the images that `engine.calibration`
    is the digest of.
    """

    name: str
    card: Card
    digest: str
    file: Path
    engine: EngineChoice
    read_calibration: ReadPixels | None = field(default=None, repr=False, compare=False)

    def start(self, *, threads: int, pooling: str | None = None, batch: int | None = None) -> Engine:
        """Make the network ready to run; WeightsError where the weights do not fit.

        Args:
            threads: how many cores it may use.
            pooling: which features it gives, in the words of `backbones/poolings.py`; the card's where None.
            batch: images a call; what suits the network where None.

        Returns:
            The engine.
        """
        held, wanted = joined((self.card.pooling, *self.card.poolings)), pooling or self.card.pooling
        engine = start_engine(
            self.engine,
            self.load_net,
            self.card,
            digest=self.digest,
            threads=threads,
            pooling=held,
            batch=batch,
            read_calibration=self.read_calibration,
        )
        return engine if wanted == held else PoolingEngine(engine, held=held, wanted=wanted)

    def read_weights(self) -> "dict[str, Tensor]":
        """Every tensor of the file by our names; raises WeightsError where it cannot be read."""
        from vitrail.backbones.weights import read_weights

        return read_weights(self.file)

    def load_net(self) -> "nn.Module":
        """The torch network with its weights, on the CPU, in evaluation mode; WeightsError where they do not fit."""
        import torch

        from vitrail.backbones.weights import load_into
        from vitrail.backbones.weights.positions import fit_positions

        state = fit_positions(self.read_weights(), self.card)
        with torch.device("meta"):  # its random weights would be drawn for nothing
            net = build_net(self.card, classes=classes_in(self.card, state))
        net = net.to_empty(device="cpu")
        load_into(net, state, file=self.file)
        return net.eval()
