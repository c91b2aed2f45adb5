"""Opens a backbone: finds the weights of a `-b` value and chooses the engine."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from vitrail.backbones.adapters import open_adapted
from vitrail.backbones.backbone import Backbone, load_file
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.engines import EngineChoice, choose_engine
from vitrail.backbones.local_files import describe_local_file, learn_tensors
from vitrail.backbones.specs import BackboneSpec
from vitrail.core.bounded import is_regular_file
from vitrail.core.errors import DownloadError
from vitrail.core.hashing import sha256_file
from vitrail.core.progress import Progress, Silent
from vitrail.fetch.download import fetch_file

EMBEDDED = "embedded"  # the repository of weights that come with the package


def open_backbone(
    spec: BackboneSpec,
    *,
    engine: str = "auto",
    precision: str = "auto",
    ranges: str = "",
    offline: bool = False,
    progress: Progress,
) -> Backbone:
    """Find a backbone's weights and compute their digest; the network is loaded when it starts.

    `ranges` is for int8 alone: the digest of the images whose ranges the model in the cache was made with.
    """
    choice = choose_engine(engine, precision)
    if choice.precision == "int8":
        choice = replace(choice, ranges=ranges)
    if spec.is_adapted:
        return open_adapted(spec, choice, offline=offline, progress=progress)
    card = find_card(spec.name)
    if spec.file is not None:
        file, digest = spec.file, spec.given_digest()
        card = describe_local_file(card, file, digest, progress)
    elif card.repository == EMBEDDED:
        file = _embedded_file(card)
        digest = sha256_file(file)
    else:
        fetched = fetch_file(card, offline=offline, progress=progress)
        file, digest = fetched.path, fetched.sha256
        learn_tensors(card, file, digest, progress)
    return Backbone(name=spec.name, card=card, digest=digest, file=file, engine=choice)


def require_fitting_weights(spec: BackboneSpec) -> None:
    """Load a local weights file into its network, so that one that does not fit is refused before any image is read.

    Published weights are known by their digest, and are not even downloaded here.

    Raises:
        WeightsError: the file does not fit the network, or is damaged.
    """
    if spec.file is None:
        return
    if spec.is_adapted:
        choice = EngineChoice(name="torch", precision="fp32")
        open_adapted(spec, choice, offline=True, progress=Silent()).load_net()
    else:
        load_file(find_card(spec.name), spec.file)


def _embedded_file(card: Card) -> Path:
    path = Path(str(files("vitrail.backbones.weights") / EMBEDDED / f"{card.name}.safetensors"))
    if not is_regular_file(path):
        raise DownloadError(
            f"The embedded weights of {card.name} are not in this installation ({path}): install Vitrail again."
        )
    return path
