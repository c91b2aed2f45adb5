"""Local weights files that were used before, found again by their digest, wherever the command names none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitrail.backbones.backbone import Backbone
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.opening import EMBEDDED
from vitrail.backbones.specs import BackboneSpec, digest_of, digest_of_folder
from vitrail.core.bounded import is_there
from vitrail.core.progress import Progress
from vitrail.fetch.download import read_locked
from vitrail.fetch.hub import HF, HF_FILES, WEIGHTS_FILE
from vitrail.fetch.known_weights import KnownFile, read_known, remember_file


@dataclass(frozen=True, kw_only=True, slots=True)
class RememberedFile:
    """A file with the wanted bytes; or None, and in `fault` why it is not where it was, or that none is known."""

    path: Path | None
    fault: str = ""


def find_remembered(digest: str, progress: Progress) -> RememberedFile:
    """Find a weights file or folder by its digest. Its bytes are read to make sure that they are still the same."""
    fault = "Vitrail does not know a file on this machine that has them"
    for known in reversed(read_known(progress).files):
        if known.sha256 != digest:
            continue
        path = Path(known.path)
        if is_unchanged(path, digest):
            return RememberedFile(path=path)
        if is_there(path):
            fault = f"{path}, where they were last used, has changed"
        else:
            fault = f"{path}, where they were last used, no longer exists"
    return RememberedFile(path=None, fault=fault)


def is_unchanged(path: Path, digest: str) -> bool:
    """Whether a weights file or folder is there and has these bytes."""
    try:
        return is_there(path) and digest_of(path) == digest
    except OSError:
        return False


def is_trusted_name(name: str, digest: str) -> bool:
    """Whether the catalogue, or a download on this machine, says that a name stands for these weights.

    Raises:
        UsageError: the catalogue does not have the name.
        DownloadError: the list of downloads cannot be read.
    """
    locked = read_locked(name)
    if name.startswith(HF):
        return len(locked) == len(HF_FILES) and digest_of_folder(locked) == digest
    if WEIGHTS_FILE in locked:
        return locked[WEIGHTS_FILE] == digest
    if BackboneSpec(name=name).is_adapted:
        return False
    card = find_card(name)
    return card.repository == EMBEDDED or (card.sha256 != "" and card.sha256 == digest)


def remember_given(specs: Sequence[BackboneSpec], backbones: Sequence[Backbone], progress: Progress) -> None:
    """Remember the files that were given for backbones, once these have run with them.

    `backbones` are those of `specs`, in their order; more may follow.
    """
    for spec, backbone in zip(specs, backbones, strict=False):
        if spec.file is not None:
            known = KnownFile(name=backbone.card.name, sha256=backbone.digest, path=str(spec.file))
            remember_file(known, progress)
