"""The Hugging Face hub: one file of one repository into the hub's own cache, resumable.

The bytes arrive in a file beside their place in the cache, named after the content that the hub announced, so an
interrupted download continues where it stopped, even in another process (huggingface_hub 2 starts again from zero).
They move into the cache when they are complete and the caller's check has passed.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from vitrail.core.bounded import is_there
from vitrail.core.errors import DownloadError
from vitrail.core.progress import Progress, running
from vitrail.core.reasons import say_reason

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

WEIGHTS_FILE = "model.safetensors"
HF = "hf:"  # a backbone of this name is a whole repository: network, weights and pixels
HF_FILES = ("config.json", WEIGHTS_FILE, "preprocessor_config.json")
PLAIN_NAME = re.compile(r"[0-9A-Za-z_-]+")  # of a file that is named after what a server said
# As the hub names them, and no folder above.
REPOSITORY = re.compile(r"(?!.*(\.\.|--))(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)
REPOSITORY_LETTERS = 96
SHA256_DIGITS = 64  # an etag this long is the digest of a file kept in large-file storage


class Published(Protocol):
    """What a download needs to know; a card is one. An empty revision or digest has not been stated by anybody."""

    @property
    def name(self) -> str:
        """The backbone's name."""

    @property
    def repository(self) -> str:
        """Where it is on the hub."""

    @property
    def revision(self) -> str:
        """The commit."""

    @property
    def sha256(self) -> str:
        """The digest of its weights."""


def require_repository(card: Published) -> None:
    """Raise a DownloadError unless the name of the repository can be one of the hub's: it becomes a path and a URL."""
    if len(card.repository) > REPOSITORY_LETTERS or not REPOSITORY.fullmatch(card.repository):
        raise DownloadError(
            f"{card.name[:REPOSITORY_LETTERS]!r} does not name a repository of the hub: write OWNER/NAME, as on the "
            "page of the model."
        )


def find_cached(card: Published, revision: str, *, file: str = WEIGHTS_FILE) -> Path | None:
    """Where the hub's cache has a file of a revision, or None. Uses no network."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(card.repository, file, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def download(
    card: Published, revision: str, check: Callable[[Path], str], progress: Progress, *, file: str = WEIGHTS_FILE
) -> Path:
    """Fetch a file of a revision into the hub's cache.

    `revision` is a commit, or a branch, whose newest commit is used. `check` gives the sha256 of a file, or raises
    DownloadError if it is not the wanted one. The file that is returned is in a folder named after its commit.

    Raises:
        DownloadError: the file cannot be fetched; the bytes that have arrived are stored for the next time.
    """
    from filelock import FileLock
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    with _errors_in_one_sentence(card, revision, file):
        about = get_hf_file_metadata(hf_hub_url(card.repository, file, revision=revision))
        commit = about.commit_hash
        if commit is None or about.etag is None or not PLAIN_NAME.fullmatch(about.etag):
            raise DownloadError(
                f"The server that answered for the weights of {card.name} is not a Hugging Face hub (it gives no "
                f"commit or no digest): check HF_ENDPOINT and your proxy, or {bring_by_hand(card)}"
            )
        blob = _blobs_folder(card) / about.etag
        blob.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(blob.with_name(f"{about.etag}.vitrail.lock")):
            if not is_there(blob):
                partial_file = blob.with_name(f"{about.etag}.vitrail.part")
                _complete(partial_file, card, file, about, progress)
                _check_or_delete(partial_file, check, about.etag)
                partial_file.replace(blob)
        return Path(hf_hub_download(card.repository, file, revision=commit))  # finds the blob and links it


def say_unreachable(card: Published) -> str:
    """Why the hub does not answer when asked about a card's weights; "" if it does, even if it lacks them."""
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    try:
        get_hf_file_metadata(hf_hub_url(card.repository, WEIGHTS_FILE, revision=card.revision or None))
    except (errors.RevisionNotFoundError, errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError):
        return ""
    except (_http_error(), OSError) as error:
        return say_reason(error)
    return ""


def bring_by_hand(card: Published) -> str:
    """The end of a sentence: what a person without a connection can do."""
    files, given = (", ".join(HF_FILES), "FOLDER") if card.name.startswith(HF) else (WEIGHTS_FILE, "FILE.safetensors")
    return (
        f"fetch {files} of the hub's repository {card.repository} in another way and give it as -b {card.name}={given}."
    )


def _blobs_folder(card: Published) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=card.repository, repo_type="model") / "blobs"


def _complete(partial_file: Path, card: Published, name: str, about: "HfFileMetadata", progress: Progress) -> None:
    """Append to `partial_file` what it still lacks of the file."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public by its documentation

    arrived = partial_file.stat().st_size if is_there(partial_file) else 0
    goes_on = about.size is not None and arrived <= about.size
    task = f"weights of {card.name}"
    with (
        running(progress, task, total=about.size, unit="bytes"),
        partial_file.open("ab" if goes_on else "wb") as file,
    ):
        http_get(
            hf_hub_url(card.repository, name, revision=about.commit_hash),
            file,
            resume_size=arrived if goes_on else 0,
            headers=build_hf_headers(),
            expected_size=about.size,
            tqdm_class=cast("Any", partial(_Bar, progress, task)),
        )
        file.flush()
        os.fsync(file.fileno())


class _Bar:
    """What huggingface_hub takes for a progress bar; it tells ours."""

    def __init__(self, progress: Progress, task: str, *, initial: int = 0, **_looks: object) -> None:
        self.progress, self.task = progress, task
        if initial:
            progress.advance(task, initial)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def update(self, amount: int) -> None:
        """`amount` more bytes have arrived."""
        self.progress.advance(self.task, amount)


def _check_or_delete(partial_file: Path, check: Callable[[Path], str], etag: str) -> None:
    """Delete a partial file that can never become the wanted file."""
    try:
        digest = check(partial_file)
        if len(etag) == SHA256_DIGITS and etag != digest:
            raise DownloadError(
                f"The download {partial_file} arrived damaged: its sha256 is {digest}, but the hub announced {etag}. "
                "Vitrail deleted it; run the same command again."
            )
    except DownloadError:
        partial_file.unlink()
        raise


@contextmanager
def _errors_in_one_sentence(card: Published, revision: str, file: str) -> Iterator[None]:
    """Turn what the hub's library raises into a sentence that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise DownloadError(
            f"The hub does not have revision {revision} of {card.repository}, which the card of {card.name} or the "
            f"lock of trusted weights requires: {bring_by_hand(card)}"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise DownloadError(
            f"The hub has no {file} in {card.repository}: if the repository is private or gated, log in with `hf auth "
            f"login`; otherwise {bring_by_hand(card)}"
        ) from error
    except (_http_error(), OSError) as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError):
            raise DownloadError(
                f"The weights of {card.name} could not be written to the hub's cache ({error}): free some disk space, "
                f"or choose another place with HF_HOME, and run the same command again."
            ) from error
        reason = say_reason(error)
        raise DownloadError(
            f"The weights of {card.name} could not be fetched from the hub ({reason}): check the connection, "
            "HF_ENDPOINT and your proxy and run the same command again (it continues the download); or "
            f"{bring_by_hand(card)}"
        ) from error


def _http_error() -> type[Exception]:
    """The root of the errors of the HTTP library, which differs between releases of the hub's."""
    from huggingface_hub import errors

    return cast("type[Exception]", errors.HfHubHTTPError.__bases__[0])
