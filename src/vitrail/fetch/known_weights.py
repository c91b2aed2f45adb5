"""Where local weights files are, and which tensors published weights have: `known-weights.json` in the config folder.

A run names its weights by their digest only, never by a path. This file says where on this machine weights of that
digest were when they were last used. It also keeps the digest of the tensors of published weights once they were
opened, so that a local copy in another format is recognised. It is a convenience: what is read here is verified before
it is used, and a file that cannot be read or written stops nothing. Its form:

    {"format": 1,
     "files": [{"name": "<backbone>", "sha256": "<64 digits>", "path": "<absolute>"}],
     "published": [{"name": "<backbone>", "sha256": "<64 digits>", "tensors": "<64 digits>"}],
     "digest": "<64 digits, of the rest>"}

What was written last stands last.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import StringConstraints, TypeAdapter

from vitrail.core.bounded import open_regular, parse_json
from vitrail.core.digest_json import add_digest, require_digest
from vitrail.core.machine import config_folder
from vitrail.core.progress import Progress
from vitrail.core.reasons import say_reason
from vitrail.core.whole_files import put_in_place

KNOWN_WEIGHTS = "known-weights.json"
FORMAT: Literal[1] = 1
MOST = 200  # of each kind; the oldest are forgotten
MOST_BYTES = 4_000_000  # no file of so many entries is larger
LOCK_SECONDS = 20.0  # a writer holds the lock for milliseconds

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
AbsolutePath = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFile:
    """Where a weights file, or a folder, was that was given as `-b NAME=FILE`."""

    name: Name
    sha256: Digest
    path: AbsolutePath


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownTensors:
    """The digest of the tensors of published weights; `sha256` is that of the published file."""

    name: Name
    sha256: Digest
    tensors: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownWeights:
    """Everything in the file."""

    format: Literal[1] = FORMAT
    files: tuple[KnownFile, ...] = ()
    published: tuple[KnownTensors, ...] = ()


_KNOWN = TypeAdapter(KnownWeights)


def read_known(progress: Progress) -> KnownWeights:
    """Everything that is remembered; nothing, with a note, if the file cannot be read."""
    path = config_folder() / KNOWN_WEIGHTS
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        progress.note(f"The list of known weights {path} is ignored: {_say(error)}.")
        return KnownWeights()


def remember_file(file: KnownFile, progress: Progress) -> None:
    """Remember where weights are; an earlier place of the same weights is forgotten."""

    def add(known: KnownWeights) -> KnownWeights:
        entry = replace(file, path=str(Path(file.path).absolute()))
        others = [old for old in known.files if (old.name, old.sha256) != (file.name, file.sha256)]
        return known if entry in known.files else replace(known, files=(*others, entry)[-MOST:])

    _change(add, progress)


def remember_tensors(published: KnownTensors, progress: Progress) -> None:
    """Remember which tensors published weights have."""

    def add(known: KnownWeights) -> KnownWeights:
        others = [old for old in known.published if (old.name, old.sha256) != (published.name, published.sha256)]
        return replace(known, published=(*others, published)[-MOST:])

    _change(add, progress)


def _change(change: Callable[[KnownWeights], KnownWeights], progress: Progress) -> None:
    """Change the file under a lock; a damaged one is moved aside first. Failure is a note."""
    path = config_folder() / KNOWN_WEIGHTS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS):
            known = _read_or_set_aside(path, progress)
            changed = change(known)
            if changed != known:
                text = json.dumps(add_digest(_KNOWN.dump_python(changed, mode="json")), indent=1) + "\n"
                _KNOWN.validate_python(require_digest(parse_json(text)))  # what could not be read again is not written
                put_in_place(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except (OSError, ValueError) as error:
        progress.note(
            f"Vitrail could not remember where weights are, in {path} ({_say(error)}): later commands may ask for "
            "-b NAME=FILE again."
        )


def _read_or_set_aside(path: Path, progress: Progress) -> KnownWeights:
    try:
        return _read(path)
    except _NewerFormatError:
        raise
    except ValueError as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        progress.note(f"The list of known weights {path} was damaged ({_say(error)}) and was moved to {aside.name}.")
        return KnownWeights()


def _read(path: Path) -> KnownWeights:
    """What the file holds; it need not exist.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
        _NewerFormatError: a newer Vitrail wrote it.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return KnownWeights()
    if len(content) > MOST_BYTES:
        raise ValueError("it is too large")
    document = require_digest(parse_json(content))
    newer = document.get("format")
    if isinstance(newer, int) and newer > FORMAT:
        raise _NewerFormatError(f"it has format {newer}, but this version of Vitrail reads {FORMAT}")
    return _KNOWN.validate_python(document)


class _NewerFormatError(ValueError):
    """The file was written by a newer Vitrail and stays unchanged."""


def _say(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return say_reason(error)
