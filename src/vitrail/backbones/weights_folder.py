"""Weights that are already on disk: which backbones the files of a folder are for, without loading them.

A file is recognised by its digest, which is proof. If no card has its digest, the names and shapes in the header of a
safetensors file say which networks it fits. That is not proof: many published weights have the same names and shapes,
and their preprocessing differs. Then the card whose name is nearest to the file's is taken, the others are named, and
nothing is stated about origin and licence. Names are timm's and torchvision's, possibly behind the prefix of a wrapper;
files in other formats or with other names are recognised by their digest alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.backbones.build import build_net, classes_in
from vitrail.backbones.cards import Card
from vitrail.core.bounded import is_folder, is_regular_file
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.hashing import sha256_file
from vitrail.core.reasons import say_reason

if TYPE_CHECKING:
    from torch import Tensor

ENDINGS = frozenset({".safetensors", ".pth", ".pt", ".bin", ".npz", ".h5"})
LISTED = 4  # other cards, in a sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class RecognisedFile:
    """A weights file and its card; `others` are the names of further cards that the file fits as well."""

    file: Path
    sha256: str
    card: Card
    by: Literal["digest", "names and shapes"]
    others: tuple[str, ...] = ()

    def explain(self) -> str:
        """How the file was recognised, as a sentence."""
        if self.by == "digest":
            return f"{self.file} has the bytes of {self.card.name}."
        more = len(self.others) - LISTED
        listed = ", ".join(self.others[:LISTED]) + (f" and {more} more" if more > 0 else "")
        also = f" It fits {listed} as well: -b NAME={self.file} names another." if self.others else ""
        return (
            f"{self.file} is taken for {self.card.name} because its tensors have these names and shapes; its bytes are "
            f"not those of the published weights.{also}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class UnrecognisedFile:
    """A weights file that is for no card, and why."""

    file: Path
    reason: str


def recognise_weights(
    folder: Path, cards: Iterable[Card]
) -> tuple[tuple[RecognisedFile, ...], tuple[UnrecognisedFile, ...]]:
    """Recognise the weights files in a folder and its subfolders, in the order of their paths.

    Of cards that share weights the one with the fewest multiply-adds is taken. Equal files count once.

    Raises:
        UsageError: there is no such folder, or no weights file in it.
    """
    if not is_folder(folder):
        raise UsageError(f"There is no folder {folder} with weights: check the path.")
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in ENDINGS and is_regular_file(path)]
    if not files:
        raise UsageError(f"The folder {folder} has no weights file (one of {', '.join(sorted(ENDINGS))}).")
    cheap_first = sorted(cards, key=lambda card: card.gmacs)
    recognised: dict[str, RecognisedFile] = {}
    unrecognised = []
    for file in files:
        try:
            outcome = _recognise(file, cheap_first)
        except OSError as error:
            outcome = UnrecognisedFile(file=file, reason=f"it cannot be read ({error.strerror or error})")
        if isinstance(outcome, UnrecognisedFile):
            unrecognised.append(outcome)
        else:
            recognised.setdefault(outcome.sha256, outcome)
    return tuple(recognised.values()), tuple(unrecognised)


def _recognise(file: Path, cards: Iterable[Card]) -> RecognisedFile | UnrecognisedFile:
    digest = sha256_file(file)
    same = next((card for card in cards if card.sha256 == digest), None)
    if same is not None:
        return RecognisedFile(file=file, sha256=digest, card=same, by="digest")
    if file.suffix != ".safetensors":
        return UnrecognisedFile(file=file, reason="no card has its digest, and only safetensors have a header to read")
    try:
        state = _read_header(file)
    except ValueError as error:
        return UnrecognisedFile(file=file, reason=f"it is not a complete safetensors file ({say_reason(error)})")
    except WeightsError:  # another network of a library whose names are known
        state = {}
    fitting = list(_fitting(state, cards))
    if not fitting:
        return UnrecognisedFile(file=file, reason="its digest is on no card, and its tensors fit no network")
    fitting.sort(key=lambda card: -SequenceMatcher(None, card.name, file.stem, autojunk=False).ratio())
    others = tuple(card.name for card in fitting[1:])
    return RecognisedFile(file=file, sha256=digest, card=fitting[0], by="names and shapes", others=others)


def _read_header(file: Path) -> "dict[str, Tensor]":
    """The tensors of a safetensors file without their values, by our names.

    Raises:
        ValueError: the file is damaged.
        WeightsError: the names belong to a library but are not all known.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    from vitrail.backbones.weights import give_our_names
    from vitrail.backbones.weights.wrappers import say_nothing, strip_prefixes

    try:
        with safe_open(file, framework="pt") as stored:
            shapes = {name: stored.get_slice(name).get_shape() for name in stored.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise ValueError(say_reason(error)) from error
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return give_our_names(strip_prefixes(state, file, say_nothing), file)


def _fitting(state: "Mapping[str, Tensor]", cards: Iterable[Card]) -> Iterator[Card]:
    """The cards whose network has these tensors; of cards that share weights the first."""
    repositories = set()
    for card in cards:
        if card.repository not in repositories and _fits(state, card):
            repositories.add(card.repository)
            yield card


def _fits(state: "Mapping[str, Tensor]", card: Card) -> bool:
    import torch

    from vitrail.backbones.weights import UNUSED_COUNTER
    from vitrail.backbones.weights.last_norm import add_plain_norm

    state = add_plain_norm(state, card)
    # The classifier comes in addition; building a network takes longer than comparing two numbers.
    if sum(tensor.numel() for tensor in state.values()) < card.parameters:
        return False
    side = int(card.variant.get("stored", card.preprocessing.crop))  # that of the file's position embeddings
    card = replace(card, preprocessing=replace(card.preprocessing, crop=side))
    with torch.device("meta"):
        wanted = build_net(card, classes=classes_in(card, state)).state_dict()

    def shapes(tensors: "Mapping[str, Tensor]") -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in tensors.items() if not name.endswith(UNUSED_COUNTER)}

    return shapes(wanted) == shapes(state)
