"""The value of `-b`: a backbone, and possibly a local file with its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vitrail.backbones.short_names import find_short_name
from vitrail.core.bounded import is_folder, is_regular_file
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.core.machine import expand_home
from vitrail.fetch.hub import HF, HF_FILES

TIMM = "timm:"  # names of timm's networks begin with it


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """A name of the catalogue, or timm:NAME, or hf:REPO; `file` has the weights; None means the published ones.

    `note` says what was taken for a short name; "" if the name was written in full.
    """

    name: str
    file: Path | None = None
    note: str = ""

    @property
    def is_adapted(self) -> bool:
        """Whether another library builds the network."""
        return self.name.startswith((TIMM, HF))

    def given_digest(self) -> str:
        """The digest of the file, "" if there is none; raises WeightsError if it cannot be read."""
        try:
            return digest_of(self.file) if self.file else ""
        except OSError as error:
            raise WeightsError(
                f"The weights {self.file} cannot be read ({error.strerror or error}): check the path."
            ) from error


def digest_of(path: Path) -> str:
    """The sha256 of a weights file; of a folder, one over those of its files that its features depend on."""
    if is_regular_file(path):
        return sha256_file(path)
    return digest_of_folder({file.name: sha256_file(file) for file in files_of(path)})


def digest_of_folder(sha256: Mapping[str, str]) -> str:
    """The digest of a folder, from those of its files by their names."""
    return fingerprint(dict(sha256))


def files_of(path: Path) -> list[Path]:
    """The files that features depend on: the weights file itself, or those of a folder."""
    if not is_folder(path):
        return [path]
    return [path / name for name in HF_FILES if is_regular_file(path / name)]


def parse_spec(text: str) -> BackboneSpec:
    """Read `NAME` or `NAME=FILE`.

    Everything after the first "=" is the file, and "~" the home folder. A short name such as resnet50 becomes the full
    one; other names are not looked up yet. The file exists.

    Raises:
        UsageError: a part is empty, the file is not there, or it has only a short name.
    """
    name, equals, file = (part.strip() for part in text.partition("="))
    if not name or (equals and not file):
        raise UsageError(
            f"A backbone is written NAME or NAME=FILE.safetensors, but {text!r} was given; "
            f"`vitrail backbones` lists the names, and timm:NAME and hf:REPO name those of other libraries."
        )
    short = find_short_name(name)
    if not equals:
        return BackboneSpec(name=short.card, note=short.explain()) if short else BackboneSpec(name=name)
    if short:
        raise UsageError(
            f"A file needs the full name of a backbone, which says its network and preprocessing, but {name} is short: "
            f"give -b {short.card}={file} if they are those of {short.card}; `vitrail backbones` lists the others."
        )
    path = expand_home(file)
    if not is_regular_file(path) and not (name.startswith(HF) and is_folder(path)):
        raise UsageError(
            f"There is no weights file {file} for the backbone {name}: check the path, or leave out "
            f"={file} to download the published weights."
        )
    return BackboneSpec(name=name, file=path)
