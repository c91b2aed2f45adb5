"""What `-b` says: a backbone of the catalogue, and possibly a local file to take its weights from."""

from dataclasses import dataclass
from pathlib import Path

from vitrail.core.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """A name of the catalogue; `file` is where its weights are, or None for the card's own."""

    name: str
    file: Path | None = None


def parse_spec(text: str) -> BackboneSpec:
    """Read `NAME` or `NAME=FILE`.

    Args:
        text: what was given to `-b`; everything after the first "=" is the file, "~" is the home folder.

    Returns:
        The name, not yet looked up, and the file, which exists.

    Raises:
        UsageError: if a part is empty or the file is not there.
    """
    name, equals, file = (part.strip() for part in text.partition("="))
    if not name or (equals and not file):
        raise UsageError(
            f"A backbone is written NAME or NAME=FILE.safetensors, but {text!r} was given; "
            f"`vitrail backbones` lists the names."
        )
    if not equals:
        return BackboneSpec(name=name)
    path = Path(file).expanduser()
    if not path.is_file():
        raise UsageError(
            f"There is no weights file {file} for the backbone {name}: check the path, or leave out "
            f"={file} to download the published weights."
        )
    return BackboneSpec(name=name, file=path)
