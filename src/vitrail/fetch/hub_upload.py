"""Uploading files to a repository of models on the Hugging Face hub, as one commit.

The login is that of huggingface_hub: the environment variable HF_TOKEN, or `hf auth login`. No option takes a token and
nothing prints one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from vitrail.core.errors import UploadError, UsageError
from vitrail.core.progress import Progress, running
from vitrail.core.reasons import say_reason
from vitrail.fetch.hub import REPOSITORY, REPOSITORY_LETTERS

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"
TASK = "Uploading"


def require_repository_name(repository: str) -> None:
    """Check a name as the hub has them.

    Raises:
        UsageError: it is not OWNER/NAME.
    """
    if "/" not in repository or len(repository) > REPOSITORY_LETTERS or not REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository[:REPOSITORY_LETTERS]!r} is not a repository of the hub: write OWNER/NAME.")


def address_of(repository: str) -> str:
    """The page of a repository on the hub that is configured."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}"


def upload_files(
    repository: str, paths: Mapping[str, Path], *, private: bool, revision: str | None, message: str, progress: Progress
) -> str:
    """Commit files to a repository, which is made if it is not there.

    Args:
        repository: OWNER/NAME.
        paths: the file for each name in the repository.
        private: nobody else may see the repository.
        revision: the branch, which is made if it is not there; None for the main one.
        message: the title of the commit.
        progress: receives the size and the end of the upload.

    Returns:
        The address of the commit.

    Raises:
        UsageError: nobody is logged in, offline mode is on, or the repository is public and should be private.
        UploadError: the hub cannot be reached or refuses the files; nothing was committed.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants, errors, get_token

    if constants.HF_HUB_OFFLINE:
        raise UsageError("HF_HUB_OFFLINE is set, so nothing can be uploaded: unset it.")
    _require_secure(constants.ENDPOINT)
    with _errors_in_one_sentence(repository):
        if get_token() is None:
            raise UsageError(f"Nobody is logged in to the hub: {LOG_IN}.")
        api = HfApi()
        try:
            about = api.model_info(repository)
        except errors.RepositoryNotFoundError:
            api.create_repo(repository, private=private)
        else:
            if private and not about.private:
                raise UsageError(
                    f"{address_of(repository)} is public, so everybody would see these files: give --public if they "
                    "may, name another repository, or make this one private in its settings."
                )
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        size = sum(path.stat().st_size for path in paths.values())
        with running(progress, TASK, total=size, unit="bytes"), _without_bars():
            operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in paths.items()]
            commit = api.create_commit(repository, operations, commit_message=message, revision=revision)
            progress.advance(TASK, size)
    return str(commit.commit_url)


def _require_secure(endpoint: str) -> None:
    """Check that the login and the files travel encrypted, or do not leave this machine."""
    address = urlsplit(endpoint)
    if address.scheme != "https" and not (address.scheme == "http" and _is_loopback(address.hostname or "")):
        raise UsageError(f"HF_ENDPOINT is {endpoint}, which is not encrypted: give an address that begins with https.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _without_bars() -> Iterator[None]:
    """Progress is shown by Vitrail."""
    from huggingface_hub import utils

    before = utils.are_progress_bars_disabled()  # type: ignore[attr-defined]  # public by its documentation
    utils.disable_progress_bars()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if not before:
            utils.enable_progress_bars()  # type: ignore[attr-defined]


@contextmanager
def _errors_in_one_sentence(repository: str) -> Iterator[None]:
    """Turn what the hub's library raises into a sentence that says what to do."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # the hub's library lets errors of the library below it through
        raise UploadError(_say_failure(error, address_of(repository))) from error


def _say_failure(error: Exception, address: str) -> str:
    status = _find_status(error)
    if status == 401:
        return f"The hub does not accept the login for {address}: {LOG_IN}."
    if status == 403:
        return f"The login may not write to {address}: {LOG_IN}, or name a repository of your own."
    if status == 404:
        return f"The hub has nothing at {address} that this login may write to: check the owner and the branch."
    if status == 400 or isinstance(error, ValueError):
        return f"The hub refuses the files for {address} ({say_reason(error)}), so nothing was uploaded."
    wrapped = error.__cause__ if isinstance(error, RuntimeError) else None  # "Error while uploading model.onnx"
    return (
        f"The files could not be uploaded to {address} ({say_reason(wrapped or error)}): check the connection, "
        "HF_ENDPOINT and your proxy, and run the same command again."
    )


def _find_status(error: BaseException | None) -> int | None:
    """The status of the answer that an error comes from; None if it comes from no answer."""
    from huggingface_hub import errors

    while error is not None:
        if isinstance(error, errors.HfHubHTTPError):
            return int(error.response.status_code)
        error = error.__cause__
    return None
