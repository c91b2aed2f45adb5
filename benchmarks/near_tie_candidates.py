"""The candidates of near_ties.py: four published weights at other input sizes, depths and poolings, and their features.

A Vision Transformer that is cut after a block gets the final norm there. One forward pass of the whole network gives
the features of every depth and pooling at an input size; each candidate still counts the multiply-adds of its own
network, as if it ran alone. Both ResNets are the product-quantised ones of ../shared, not the originals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.problems import SHARED, WEIGHTS
from vitrail.backbones import find_card, open_backbone, parse_spec
from vitrail.backbones.backbone import Backbone
from vitrail.backbones.build import build_net
from vitrail.backbones.cards import Card
from vitrail.backbones.converted import empty_pixels, trace
from vitrail.backbones.counting import count_net
from vitrail.backbones.openvino_engine import OpenVinoEngine
from vitrail.backbones.poolings import components_of
from vitrail.backbones.preprocess import normalise
from vitrail.core.machine import share_threads, usable_cores
from vitrail.core.progress import Silent
from vitrail.core.whole_files import put_in_place
from vitrail.data import Dataset
from vitrail.features.open_images import Images, LeastSides, open_example
from vitrail.features.stream import Network, Stream

# Letters: B images of a batch, N images, H rows, W columns, C channels, L tokens, D features.

MOST_PIXELS = 10**8
BATCH = 8
WHOLE = 12  # blocks of both Vision Transformers
VIT, DEIT, RESNET18, RESNET50 = WEIGHTS
LABELS = {
    VIT: "ViT-Ti/16 AugReg",
    DEIT: "DeiT-Ti/16",
    RESNET18: "ResNet-18 quantised",
    RESNET50: "ResNet-50 quantised",
}
# ImageNet top-1 of the whole network at 224 pixels, in per cent: timm, results/results-imagenet.csv at commit 0173a13;
# of the quantised ones the README of uber-research/permute-quantize-finetune at commit 2e1a607 (originals: 76.1, 69.8).
PUBLISHED = {VIT: 75.454, DEIT: 72.172, RESNET18: 66.74, RESNET50: 72.18}

Tap = tuple[int, str]  # the block after which a feature is taken, and one component of a pooling


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Published weights at an input size, cut after `blocks` (0 for a ResNet, which is never cut), with a pooling."""

    weights: str
    side: int = 224
    blocks: int = WHOLE
    pooling: str = "cls"

    @property
    def name(self) -> str:
        """What tables call it."""
        depth = f", {self.blocks} blocks" if self.blocks else ""
        return f"{LABELS[self.weights]}, {self.side} px{depth}, {self.pooling}"

    @property
    def is_published(self) -> bool:
        """Whether it is the whole network as it was published."""
        card = find_card(self.weights)
        return self.blocks in (0, WHOLE) and self.side == card.preprocessing.crop and self.pooling == card.pooling

    @property
    def taps(self) -> list[Tap]:
        """Where its features are taken from the whole network."""
        return [(self.blocks, component) for component in components_of(self.pooling)]

    @property
    def card(self) -> Card:
        """The card of the whole network at this input size."""
        card = find_card(self.weights)
        native = card.preprocessing.crop
        return replace(
            card,
            preprocessing=replace(
                card.preprocessing, crop=self.side, resize=round(card.preprocessing.resize * self.side / native)
            ),
            variant={**card.variant, "stored": native},
        )

    @property
    def gmacs(self) -> float:
        """1e9 multiply-adds of its own network for one image."""
        with torch.device("meta"):
            net = build_net(self.card, classes=0).eval().requires_grad_(False)
            if self.blocks:
                net.blocks = net.blocks[: self.blocks]
        return count_net(net, side=self.side).gmacs


CANDIDATES = (
    *(Candidate(weights=VIT, blocks=blocks) for blocks in (12, 11, 10, 9)),
    *(Candidate(weights=VIT, pooling=pooling) for pooling in ("mean", "cls+mean")),
    *(Candidate(weights=VIT, side=side) for side in (192, 160)),
    *(Candidate(weights=DEIT, blocks=blocks) for blocks in (12, 11, 10)),
    Candidate(weights=DEIT, pooling="cls+mean"),
    *(Candidate(weights=DEIT, side=side) for side in (208, 192, 160)),
    *(Candidate(weights=RESNET18, side=side, blocks=0, pooling="mean") for side in (224, 160)),
    *(Candidate(weights=RESNET50, side=side, blocks=0, pooling="mean") for side in (224, 192, 160)),
)


class Tapped(nn.Module):
    """A network that gives the features of several taps side by side: 8-bit `pixel_BHWC` in, `feature_BD` out."""

    def __init__(self, backbone: Backbone, taps: Sequence[Tap]) -> None:
        """Load the weights of a backbone, whose card has the input size."""
        super().__init__()
        self.net, self._preprocessing, self._taps = backbone.load_net(), backbone.card.preprocessing, taps
        self._after: dict[int, Tensor] = {}
        for blocks in {blocks for blocks, _ in taps if blocks}:
            self.net.blocks[blocks - 1].register_forward_hook(partial(self._keep, blocks))

    def _keep(self, blocks: int, block: nn.Module, inputs: object, token_BLD: Tensor) -> None:
        self._after[blocks] = token_BLD

    def forward(self, pixel_BHWC: Tensor) -> Tensor:
        """The features of all taps, in their order."""
        feature_BD: Tensor = self.net.forward_features(normalise(pixel_BHWC, self._preprocessing))
        if not self._after:  # a ResNet
            return feature_BD
        normed = {blocks: self.net.norm(token_BLD) for blocks, token_BLD in self._after.items()}
        pool = {"cls": lambda token_BLD: token_BLD[:, 0], "mean": lambda token_BLD: token_BLD[:, 1:].mean(dim=1)}
        return torch.cat([pool[component](normed[blocks]) for blocks, component in self._taps], dim=1)


def read_features(dataset: Dataset, cache: Path) -> dict[str, NDArray[np.float32]]:
    """The features of every candidate by name, a row for each image in the order of the table.

    A pass is computed once: its features stay in the folder `cache`.
    """
    features = {}
    for weights, side in dict.fromkeys((candidate.weights, candidate.side) for candidate in CANDIDATES):
        of_pass = [each for each in CANDIDATES if (each.weights, each.side) == (weights, side)]
        taps = list(dict.fromkeys(tap for candidate in of_pass for tap in candidate.taps))
        spec = parse_spec(f"{weights}={SHARED / 'weights' / WEIGHTS[weights]}.safetensors")
        backbone = replace(open_backbone(spec, engine="torch", progress=Silent()), card=of_pass[0].card)
        facts = (dataset.fingerprint[:12], backbone.digest[:12], str(side), *(f"{at}{what}" for at, what in taps))
        file = cache / f"{'_'.join(facts)}.npy"
        if not file.exists():
            print(f"{dataset.name}: {LABELS[weights]} at {side} pixels", flush=True)
            feature_ND = run_pass(dataset, backbone, taps)
            put_in_place(file, lambda path, feature_ND=feature_ND: _save(path, feature_ND))
        column_ND = dict(zip(taps, np.split(np.load(file), len(taps), axis=1), strict=True))
        for candidate in of_pass:
            features[candidate.name] = np.concatenate([column_ND[tap] for tap in candidate.taps], axis=1)
    return {candidate.name: features[candidate.name] for candidate in CANDIDATES}


def _save(path: Path, feature_ND: NDArray[np.float32]) -> None:
    with path.open("wb") as file:  # numpy adds an ending to a path
        np.save(file, feature_ND)


def run_pass(dataset: Dataset, backbone: Backbone, taps: Sequence[Tap]) -> NDArray[np.float32]:
    """The features of all images at some taps, side by side; the network runs in bfloat16 on OpenVINO.

    Raises:
        RuntimeError: an image cannot be decoded.
    """
    threads = share_threads(usable_cores())
    module = Tapped(backbone, taps).eval()
    model, _weights = trace(module, empty_pixels(backbone.card.preprocessing.crop))  # the model reads the weights
    engine = OpenVinoEngine(model, bf16=True, batch=BATCH, threads=threads.compute)
    network = Network(engine, backbone.card.preprocessing, backbone.name)
    ids, paths = dataset.table["id"].to_pylist(), dataset.table["paths"].to_pylist()

    def open_row(row: int, least_sides: LeastSides) -> Images:
        return open_example(dataset.source, paths[row][0], ids[row], least_sides, max_pixels=MOST_PIXELS)

    stream = Stream(((row, [network]) for row in range(len(ids))), [network], open_row, decode_threads=threads.decode)
    rows = []
    for batch in stream:
        if any(batch.reasons):
            raise RuntimeError(f"{dataset.name}: some images cannot be decoded ({set(batch.reasons) - {None}}).")
        rows.append(batch.feature_BD)
    return np.concatenate(rows)
