"""Networks that another library builds: `timm:NAME`, any of timm's, and `hf:REPO`, an image model of transformers.

Each gives a network whose output is the feature, and describes itself: preprocessing, licence, repository. The card is
made from that on the fly, its size and cost counted on torch's meta device. After that it is a backbone like any other.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.backbones.backbone import Backbone
from vitrail.backbones.cards import Card, Commercial, of_local_file
from vitrail.backbones.engines import Engine, EngineChoice
from vitrail.backbones.libraries import Described, Network
from vitrail.backbones.same_bytes import verified
from vitrail.backbones.specs import BackboneSpec, digest_of_folder
from vitrail.core.bounded import is_folder, is_regular_file, is_there
from vitrail.core.errors import DownloadError, UsageError, VitrailError, WeightsError
from vitrail.core.progress import Progress
from vitrail.core.reasons import say_reason
from vitrail.fetch.download import Fetched, fetch_file
from vitrail.fetch.hub import HF, HF_FILES, WEIGHTS_FILE, require_repository

if TYPE_CHECKING:
    from torch import Tensor, nn

# Licences in timm's and the hub's metadata whose text settles the question. All others are unknown.
COMMERCIAL: dict[str, Commercial] = {
    "apache-2.0": "yes",
    "mit": "yes",
    "bsd-3-clause": "yes",
    "cc-by-4.0": "yes",
    "cc-by-nc-4.0": "no",
    "cc-by-nc-sa-4.0": "no",
    "fair-noncommercial-research-license": "no",
}


ADAPTER = "adapter_config.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class OnTheHub:
    """Where a name's files are on the hub; nothing else is stated."""

    name: str
    repository: str
    revision: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptedBackbone(Backbone):
    """A backbone whose network another library builds."""

    network: Network

    def start(self, *, threads: int, pooling: str | None = None, batch: int | None = None) -> Engine:
        """Make it ready to run; raises WeightsError if the engine cannot run the network, too."""
        try:
            return super(AdaptedBackbone, self).start(threads=threads, pooling=pooling, batch=batch)
        except VitrailError:
            raise
        except Exception as error:  # whatever a network that nobody has tried makes an engine raise
            raise WeightsError(
                f"{self.name} does not run with the engine {self.engine.name} ({say_reason(error)}): try "
                "--engine torch, or another backbone."
            ) from error

    def read_weights(self, names: Sequence[str]) -> "dict[str, Tensor]":
        """Nothing: the classes of this classifier are unknown."""
        return {}

    def _load_net(self) -> "nn.Module":
        import torch

        net = self.network.loaded(self.file)
        odd = [name for name, tensor in net.state_dict().items() if not torch.isfinite(tensor).all()]
        if odd:
            raise WeightsError(
                f"The weights {self.file} of {self.name} have values that are not finite: {', '.join(odd[:8])}."
            )
        return net.requires_grad_(False)


def open_adapted(spec: BackboneSpec, choice: EngineChoice, *, offline: bool, progress: Progress) -> AdaptedBackbone:
    """Find a network of another library and its weights.

    `spec` is timm:NAME, timm:NAME=FILE, hf:REPO or hf:REPO=FOLDER.

    Raises:
        UsageError: the library is not installed, does not know the name or any published weights of it, or the network
            does not take square images.
    """
    library, model = spec.name.split(":", 1)
    if library + ":" == HF:
        return _open_transformers(spec, model, choice, offline=offline, progress=progress)
    from vitrail.backbones.timm_networks import describe
    from vitrail.backbones.weights import read_weights

    described, repository = describe(model, spec.name)
    published = OnTheHub(name=spec.name, repository=repository)
    if spec.file is None and not repository:
        raise UsageError(f"timm has no published weights for {model}: give a file, as -b {spec.name}=FILE.")
    if spec.file:
        file, digest = spec.file, spec.given_digest()
        with suppress(WeightsError), verified(file, digest):  # said when the network is loaded
            read_weights(file, progress.note)
    else:
        fetched = fetch_file(published, offline=offline, progress=progress)
        file, digest = fetched.path, fetched.sha256
    return _opened(spec, described, file, digest, repository, choice)


def _open_transformers(
    spec: BackboneSpec, repository: str, choice: EngineChoice, *, offline: bool, progress: Progress
) -> AdaptedBackbone:
    from vitrail.backbones.transformers_networks import describe

    published = OnTheHub(name=spec.name, repository=repository)
    require_repository(published)
    if spec.file:
        folder, digest = spec.file, spec.given_digest()
    else:
        fetched = _fetch_folder(published, offline, progress)
        folder, digest = fetched.path, fetched.sha256
    if not is_folder(folder):
        raise UsageError(f"Give {spec.name} the folder that holds {', '.join(HF_FILES)}, not the file {folder}.")
    missing = [name for name in HF_FILES if not is_regular_file(folder / name)]
    if missing:
        raise UsageError(
            f"The folder {folder} lacks {', '.join(missing)}, which {spec.name} needs: add the missing files."
        )
    if is_there(folder / ADAPTER):  # transformers would load the weights that it names, which no digest covers
        raise UsageError(
            f"The folder {folder} has an {ADAPTER}: merge the adapter into {WEIGHTS_FILE}, and give a folder without "
            "it."
        )
    with verified(folder, digest):
        described = describe(folder, spec.name)
    return _opened(spec, described, folder / WEIGHTS_FILE, digest, repository, choice)


def _fetch_folder(published: OnTheHub, offline: bool, progress: Progress) -> Fetched:
    """The three files, all of the commit of the weights, and the model's page for its licence where there is one."""
    folder = fetch_file(published, offline=offline, progress=progress).path.parent
    same_commit = replace(published, revision=folder.name)
    sha256 = {name: fetch_file(same_commit, offline=offline, progress=progress, file=name).sha256 for name in HF_FILES}
    try:
        fetch_file(same_commit, offline=offline, progress=progress, file="README.md")
    except DownloadError:
        progress.note(f"{published.name} has no page that states its licence.")
    return Fetched(path=folder, sha256=digest_of_folder(sha256))


def _opened(
    spec: BackboneSpec, described: Described, file: Path, digest: str, repository: str, choice: EngineChoice
) -> AdaptedBackbone:
    card = _card(spec.name, described, repository, revision="" if spec.file else file.parent.name, digest=digest)
    if spec.file:
        card = of_local_file(card, digest)
    return AdaptedBackbone(
        name=spec.name, card=card, digest=digest, file=file, engine=choice, network=described.network
    )


def _card(name: str, described: Described, repository: str, *, revision: str, digest: str) -> Card:
    from vitrail.backbones.counting import count_net

    side = described.preprocessing.crop
    try:
        counted = count_net(described.network.blank(), side=side)
    except Exception as error:  # whatever a file from outside makes a library build
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise UsageError(
            f"The network that {name} describes cannot be built for images of {side} x {side} ({reason}): fetch its "
            "files again, or choose another backbone."
        ) from error
    seen_in = {"preprocessing": described.seen_in} | ({"licence": described.seen_in} if described.licence else {})
    return Card(
        name=name,
        family=described.family,
        variant={"model": described.model, "library": described.release},
        preprocessing=described.preprocessing,
        pooling="own",
        poolings=("own",),
        activation="own",
        norm_eps=None,
        positions=None,
        feature_width=counted.width,
        parameters=counted.parameters,
        gmacs=counted.gmacs,
        classifier_classes=described.classes,
        licence=described.licence,
        commercial=COMMERCIAL.get(described.licence.lower(), "unknown"),
        pretraining=(),
        labels="",
        repository=repository,
        revision=revision,
        sha256=digest,
        seen_in=seen_in,
    )
