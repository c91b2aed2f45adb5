"""The files of a data set on the Hugging Face hub: names, sizes and digests at one commit. No file is fetched here."""

from collections.abc import Sequence
from dataclasses import dataclass

from vitrail.core.errors import DownloadError
from vitrail.core.reasons import say_reason

MAIN = "main"
CONVERTED = "refs/convert/parquet"  # the branch in which the hub keeps every data set as Parquet


@dataclass(frozen=True, kw_only=True, slots=True)
class HubFile:
    """One file; `sha256` is empty for a small one, whose digest the hub does not give."""

    path: str
    url: str
    bytes: int | None
    sha256: str


def list_hub_files(repository: str, revision: str) -> Sequence[HubFile] | None:
    """The files of a data set's repository at the commit that a branch has now.

    Returns:
        The files; None if there is no such branch.

    Raises:
        DownloadError: there is no such repository, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi, errors, hf_hub_url

    try:
        about = HfApi().dataset_info(repository, revision=revision, files_metadata=True)
    except errors.RevisionNotFoundError:
        return None
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"The hub has no data set {repository}, or it is private or gated: check the name, or fetch its files in "
            "another way and give their folder."
        ) from error
    except Exception as error:  # the hub's library lets errors of the library below it through
        reason = say_reason(error)
        raise DownloadError(
            f"The hub could not be asked for the files of {repository} ({reason}): check the connection, HF_ENDPOINT "
            "and your proxy, and run the same command again."
        ) from error
    return [
        HubFile(
            path=file.rfilename,
            url=hf_hub_url(repository, file.rfilename, repo_type="dataset", revision=about.sha),
            bytes=file.size,
            sha256=file.lfs.sha256 if file.lfs else "",
        )
        for file in about.siblings or ()
    ]
