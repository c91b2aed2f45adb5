"""The trusted digest of each name: `weights.lock.json` and `datasets.lock.json` in the config folder.

The first download of a name writes its revision and digest; every later use must have the same. Pruning the
cache never touches these files. Their form, in which the file's name begins with the key:

    {"format": 1, "weights": {"<name>": {"repository": "...", "revision": "<commit>", "sha256": "<64 digits>"}},
     "digest": "<64 digits, of the rest>"}

A file of a data set has the name "<data set>/<file>", its address as repository, and no revision.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter

from vitrail.core.bounded import read_json
from vitrail.core.digest_json import add_digest, require_digest
from vitrail.core.errors import DownloadError
from vitrail.core.reasons import say_reason
from vitrail.core.whole_files import put_in_place

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Trusted:
    """The repository, revision and digest that are locked for one name."""

    repository: str
    revision: str
    sha256: str


_TRUSTED = TypeAdapter(dict[str, Trusted])


def read_trusted(path: Path) -> dict[str, Trusted]:
    """Everything that is locked, by name; the lock file need not exist.

    Raises:
        DownloadError: the file exists and is not a lock of this version.
    """
    try:
        document = require_digest(read_json(path))
        written_in = document.get("format")
        if written_in != FORMAT:
            raise DownloadError(
                f"The lock of trusted {_kind(path)} {path} has format {written_in}, but this version of "
                f"Vitrail reads {FORMAT}: use the newer version that wrote it, or move the file away."
            )
        return _TRUSTED.validate_python(document.get(_kind(path)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else say_reason(error)
        raise DownloadError(
            f"The lock of trusted {_kind(path)} {path} cannot be read ({reason}), so no {_kind(path)} can be checked "
            "against it: restore a copy of it, or move it away to trust the next download of each name."
        ) from error


def remember(path: Path, name: str, trusted: Trusted) -> None:
    """Lock one name. Names that another process has locked meanwhile stay, and so does a name already locked.

    Raises:
        DownloadError: the lock cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            known = {name: trusted} | read_trusted(path)
            entries = {key: asdict(known[key]) for key in sorted(known)}
            text = json.dumps(add_digest({"format": FORMAT, _kind(path): entries}), indent=1) + "\n"
            put_in_place(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise DownloadError(
            f"The lock of trusted {_kind(path)} {path} could not be written ({error.strerror or error}), and Vitrail "
            f"does not use {_kind(path)} without it: free some disk space, or choose another place with VITRAIL_CONFIG."
        ) from error


def _kind(path: Path) -> str:
    """What a lock is of, in words and as its key: weights or datasets."""
    return path.name.partition(".")[0]
