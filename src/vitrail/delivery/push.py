"""Handing a model folder on: its files, and no others, in a repository of the Hugging Face hub."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vitrail.backbones.cards import NOT_STATED
from vitrail.core.errors import RunError, UsageError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.core.resources import Resources
from vitrail.core.same_bytes import ChangedFileError, same_bytes
from vitrail.delivery.export.layout import RECEIPT
from vitrail.delivery.folder_checks import digest_files, read_folder
from vitrail.fetch.hub_upload import address_of, require_repository_name, upload_files

SHOWN_DIGITS = 16  # of the digest that names a folder


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedUpload:
    """What `push_folder` uploads. `files` has the sha256 of each file by its name, `bytes` their size.

    `stored` says what the model holds of training images, `licence` and `commercial` what is known of the weights.
    """

    folder: Path
    repository: str
    address: str
    model: str
    files: dict[str, str]
    bytes: int
    digest: str
    stored: str
    licence: str
    commercial: str


def plan_upload(folder: Path, repository: str) -> PlannedUpload:
    """Check a model folder and what it is to be called, without the network.

    Raises:
        UsageError: the name is not OWNER/NAME.
        RunError: the folder is not a whole model folder with a certificate of its model.
    """
    require_repository_name(repository)
    receipt, facts, certificate = read_folder(folder)
    files = receipt.files | {RECEIPT: sha256_file(folder / RECEIPT)}
    return PlannedUpload(
        folder=folder,
        repository=repository,
        address=address_of(repository),
        model=f"{certificate.backbone}, {certificate.format} {certificate.precision}",
        files=files,
        bytes=sum((folder / name).stat().st_size for name in files),
        digest=receipt.digest,
        stored=facts.training_images,
        licence=facts.weights.licence or NOT_STATED,
        commercial=facts.weights.commercial,
    )


def push_folder(
    upload: PlannedUpload, *, public: bool = False, revision: str | None = None, resources: Resources | None = None
) -> str:
    """Upload what was planned, as one commit.

    Args:
        upload: what `plan_upload` gave.
        public: everybody may see the repository; otherwise it is made private, or must be so.
        revision: the branch, which is made if it is not there; None for the main one.
        resources: what may be used; None for the defaults.

    Returns:
        The address of the commit.

    Raises:
        UsageError: offline mode is on, nobody is logged in, or the repository is public and `public` is not set.
        UploadError: the hub cannot be reached, or refuses the files.
        RunError: a file changed during the upload.
    """
    resources = resources or Resources()
    if resources.offline:
        raise UsageError("Offline mode does not allow an upload: leave out --offline, or give --dry-run.")
    paths = {name: upload.folder / name for name in upload.files}
    compute_digest = partial(digest_files, upload.folder, list(upload.files))
    try:
        with same_bytes(list(paths.values()), compute_digest, fingerprint(upload.files)):
            return upload_files(
                upload.repository,
                paths,
                private=not public,
                revision=revision,
                message=f"Add {upload.model} ({upload.digest[:SHOWN_DIGITS]})",
                progress=resources.progress,
            )
    except ChangedFileError as error:
        raise RunError(
            f"A file of {upload.folder} changed during the upload, so {upload.address} may have a folder that is not "
            "whole. Use an intact copy and push it again."
        ) from error
