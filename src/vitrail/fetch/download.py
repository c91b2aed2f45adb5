"""From a card to a file with its weights, the same bytes every time.

The first download of a name locks its revision and digest (`trust.py`); every later use must have the same.
"""

from dataclasses import dataclass
from pathlib import Path

from vitrail.core.errors import DownloadError
from vitrail.core.hashing import sha256_file
from vitrail.core.machine import config_folder
from vitrail.core.progress import Progress
from vitrail.fetch.hub import (
    HF,
    HF_FILES,
    WEIGHTS_FILE,
    Published,
    bring_by_hand,
    download,
    find_cached,
    require_repository,
)
from vitrail.fetch.trust import Trusted, read_trusted, remember

LOCK_FILE = "weights.lock.json"
NEWEST = "main"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A file that is on this machine, with the digest that was checked."""

    path: Path
    sha256: str


def fetch_file(card: Published, *, offline: bool, progress: Progress, file: str = WEIGHTS_FILE) -> Fetched:
    """One file of a backbone, by default its weights, from the hub's cache or the hub.

    The digest of the file is the one that is locked for this name; the first time, it is locked now. A file that is not
    the weights is locked under "<name>/<file>".

    Raises:
        DownloadError: the file is not here and cannot be fetched, or is not the trusted one.
    """
    if not card.repository and not card.name.startswith(HF):
        raise DownloadError(
            f"Vitrail cannot download the weights of {card.name}; `vitrail backbones {card.name}` shows where they "
            f"are published: fetch the file and give it as -b {card.name}=FILE."
        )
    require_repository(card)
    lock, key = config_folder() / LOCK_FILE, card.name if file == WEIGHTS_FILE else f"{card.name}/{file}"
    trusted = read_trusted(lock).get(key)
    revision = _wanted_revision(card, trusted)
    path = _find_here(card, trusted, file)
    if path is None:
        if offline:
            raise DownloadError(
                f"The {_what(file)} of {card.name} are not on this machine, and offline mode does not allow a "
                f"download: run once without it, or {bring_by_hand(card)}"
            )
        path = download(card, revision, lambda path: _require_trusted(card, trusted, path, file), progress, file=file)
    digest = _require_trusted(card, trusted, path, file)
    if trusted is None:
        commit = path.parent.name  # the hub's cache keeps a file under snapshots/<commit>/
        remember(lock, key, Trusted(repository=card.repository, revision=commit, sha256=digest))
    return Fetched(path=path, sha256=digest)


def read_locked(name: str) -> dict[str, str]:
    """The digests that are locked for a name, by file; raises DownloadError if the lock cannot be read."""
    trusted = read_trusted(config_folder() / LOCK_FILE)
    keys = {file: name if file == WEIGHTS_FILE else f"{name}/{file}" for file in HF_FILES}
    return {file: trusted[key].sha256 for file, key in keys.items() if key in trusted}


def is_fetched(card: Published) -> bool:
    """Whether weights with a digest that is on their card or locked are in the hub's cache. Uses no network."""
    trusted = read_trusted(config_folder() / LOCK_FILE).get(card.name)
    revision = trusted.revision if trusted else card.revision
    return bool((trusted or card.sha256) and revision and find_cached(card, revision))


def needs_no_download(card: Published) -> bool:
    """Whether `fetch_file` finds weights in the hub's cache, also some that nobody has locked yet. Uses no network."""
    return _find_here(card, read_trusted(config_folder() / LOCK_FILE).get(card.name), WEIGHTS_FILE) is not None


def _wanted_revision(card: Published, trusted: Trusted | None) -> str:
    return trusted.revision if trusted else card.revision or NEWEST


def _find_here(card: Published, trusted: Trusted | None, file: str) -> Path | None:
    revision = _wanted_revision(card, trusted)
    return find_cached(card, revision, file=file) or _same_bytes_cached(card, trusted, file)


def _same_bytes_cached(card: Published, trusted: Trusted | None, file: str) -> Path | None:
    """Another commit of the same bytes, such as one that changed only a text, which another tool may have fetched."""
    wanted = trusted.sha256 if trusted else card.sha256 if file == WEIGHTS_FILE else ""
    path = find_cached(card, NEWEST, file=file) if wanted else None
    return path if path and sha256_file(path) == wanted else None


def _require_trusted(card: Published, trusted: Trusted | None, path: Path, file: str) -> str:
    """The file's digest, which is what the card and the lock say, as far as they say anything."""
    digest = sha256_file(path)
    stated = {"on its card": card.sha256 if file == WEIGHTS_FILE else ""}
    if trusted:
        stated[f"in {config_folder() / LOCK_FILE} since the first download"] = trusted.sha256
    for place, wanted in stated.items():
        if wanted and digest != wanted:
            raise DownloadError(
                f"The {_what(file)} of {card.name} are not the trusted ones: {path} has sha256 {digest}, but {wanted} "
                f"is {place}. Delete the file and run again; if the hub still serves these bytes, find out why "
                f"they changed before you trust them."
            )
    return digest


def _what(file: str) -> str:
    return "weights" if file == WEIGHTS_FILE else f"bytes of {file}"
