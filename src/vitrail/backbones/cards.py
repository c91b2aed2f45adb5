"""What is known of a backbone before it runs. Imports no torch, so that listing the catalogue is fast."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

# The last two are other libraries' networks.
Family = Literal["vit", "clip", "siglip", "resnet", "bit", "convnext", "mobilenetv4", "dinov3", "eva02", "timm", "hf"]
Interpolation = Literal["bilinear", "bicubic"]
ResizeRule = Literal["short side", "squash"]
Decode = Literal["exact", "fast"]
Channels = Literal["RGB", "BGR"]
Pooling = Literal["cls", "mean", "cls+mean", "map", "own"]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "own"]
PositionRule = Literal["bicubic-antialias", "bicubic", "bicubic-offset", "bilinear", "bilinear-corners"]
Commercial = Literal["yes", "no", "unknown"]

NOT_STATED = "not stated"
# The other families are transformers.
CONVOLUTIONAL: frozenset[Family] = frozenset({"resnet", "bit", "convnext", "mobilenetv4"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """From an RGB image to the network's pixels: resize, crop the centre, equalise, order the channels, normalise.

    `resize` is the short side, or with "squash" both sides, whatever that does to a circle. `antialias` is Pillow's
    way of making an image smaller; TensorFlow and torch on tensors leave it out unless asked. Pixels of 0 to 255 are
    divided by `divide_by`; `mean` and `std` are of the outcome, in the order of `channels`. Keras' "caffe" is BGR,
    divided by 1, mean (103.939, 116.779, 123.68), std 1. `equalise` flattens each channel's histogram of the crop.
    `decode` is the choice of a run: "fast" decodes large JPEGs at a fraction of their size before the resize.

    Raises:
        ValueError: bicubic without antialiasing, which exists in three kinds (a = -0.5 in TensorFlow,
            -0.75 in torch, -1 in Pillow) and which no published backbone needs.
    """

    resize: int
    crop: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    antialias: bool = True
    resize_rule: ResizeRule = "short side"
    channels: Channels = "RGB"
    divide_by: float = 255.0
    equalise: bool = False
    decode: Decode = "exact"

    def __post_init__(self) -> None:
        if not self.antialias and self.interpolation != "bilinear":
            raise ValueError(f"Without antialiasing only bilinear resizing is defined, not {self.interpolation}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """The human-readable facts of one backbone.

    What is computed: `family` and `variant` say which network of `vitrail.nets` to build: ("vit", {"size": "S",
    "patch": 16}); `activation` and `norm_eps` complete it, and `positions` is how its table of position embeddings is
    brought to another input size, None if it has no table. `pooling` is the one that is used, one of the `poolings`
    that the network offers. Of another library's network (`backbones/adapters.py`) `variant` names library, release and
    model, pooling and activation are its "own", and `norm_eps` is None.

    What it costs: `parameters` counts the network without its classifier; `gmacs` are 1e9 multiply-adds at
    `preprocessing.crop`, without the classifier, counted by torch's FlopCounterMode / 2 (`backbones/counting.py`).
    `feature_width` is that of `pooling`. `classifier_classes` is how many outputs the last layer of the weights has, 0
    if they have none; of CLIP that layer projects into the space shared with text, and there are no labels.

    Where it comes from: `pretraining` names the image collections it has seen, in their order, and `labels` the label
    set of its last training ("" if it had none). `commercial` is whether the licence allows commercial use.
    `repository`, `revision` and `sha256` are of the weights, `tensors` is the digest of their tensors, whatever file
    they are in, "" if nobody has computed it. A fact that no source has confirmed is empty;
    `seen_in` names the source of "licence", "pretraining", "revision" and "sha256" if they are filled.
    """

    name: str
    family: Family
    variant: Mapping[str, str | int]
    preprocessing: Preprocessing
    pooling: Pooling
    poolings: tuple[Pooling, ...]
    activation: Activation
    norm_eps: float | None
    positions: PositionRule | None
    feature_width: int
    parameters: int
    gmacs: float
    classifier_classes: int
    licence: str
    commercial: Commercial
    pretraining: tuple[str, ...]
    labels: str
    repository: str
    revision: str
    sha256: str
    seen_in: Mapping[str, str]
    tensors: str = ""

    def network_facts(self) -> dict[str, object]:
        """Everything on the card, except preprocessing, that changes the network's output; plain values."""
        return {
            "family": self.family,
            "variant": dict(self.variant),
            "pooling": self.pooling,
            "activation": self.activation,
            "norm_eps": self.norm_eps,
            "positions": self.positions,
        }

    def pixel_facts(self) -> dict[str, object]:
        """Everything on the card that pixels depend on; plain values. An exact decode is the rule and goes unsaid."""
        facts = asdict(self.preprocessing)
        if facts["decode"] == "exact":
            del facts["decode"]
        return facts


def of_local_file(card: Card, digest: str) -> Card:
    """The card of a local file: only network and preprocessing are known, not its origin or licence."""
    stated = f"{NOT_STATED} (local file, sha256 {digest[:12]}…)"
    return replace(
        card,
        licence=stated,
        commercial="unknown",
        pretraining=(),
        labels="",
        repository="",
        revision=stated,
        sha256=digest,
        seen_in={fact: source for fact, source in card.seen_in.items() if fact == "preprocessing"},
        tensors="",
    )


def is_unknown_file(card: Card) -> bool:
    """Whether this is the card of a local file that is not known to be any published one."""
    return card.revision.startswith(NOT_STATED)
