"""The checks that a model folder passes before anything in it is used; it may come from a stranger.

Before anything is parsed, every file must be the one that the receipt names, lie in the folder itself, and be of a size
that can be. The receipt shows that a folder is whole, not who made it.
"""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from vitrail.core.bounded import is_regular_file, parse_json, read_bounded
from vitrail.core.digest_json import require_digest
from vitrail.core.errors import RunError
from vitrail.core.hashing import fingerprint, sha256_bytes, sha256_file
from vitrail.core.printable import make_printable
from vitrail.delivery.export.certificate import CERTIFICATE_VERSION, Certificate
from vitrail.delivery.export.layout import CERTIFICATE, FACTS, MODEL_FILE, RECEIPT
from vitrail.delivery.model_facts import FolderReceipt, ModelFacts

MOST_FILES = 1_000
MOST_JSON = 64 << 20  # bytes of each JSON file; certificate.json names every image whose class differs
MOST_BYTES = 64 << 30  # of all files: the largest published backbone has 10 GB

Parsed = TypeVar("Parsed")
_RECEIPT, _FACTS, _CERTIFICATE = TypeAdapter(FolderReceipt), TypeAdapter(ModelFacts), TypeAdapter(Certificate)


def is_model_folder(folder: Path) -> bool:
    """Whether this is the folder of an export, and not of a run."""
    return is_regular_file(folder / FACTS)


def read_folder(folder: Path) -> tuple[FolderReceipt, ModelFacts, Certificate]:
    """What a model folder says of itself; its model is compared with the receipt and not loaded.

    Raises:
        RunError: the folder is not a whole model folder, or has no certificate for this model.
    """
    receipt = check_receipt(folder)
    facts = _parse(folder, FACTS, receipt, _FACTS)
    if fault := facts.fault():
        raise RunError(f"{folder / FACTS} cannot be used: {fault}. Export the run again.")
    certificate = _parse(folder, CERTIFICATE, receipt, _CERTIFICATE)
    _require_certified(folder, receipt, facts, certificate)
    return receipt, facts, certificate


def check_receipt(folder: Path) -> FolderReceipt:
    """Check that every file that the receipt names is there with its bytes, in the folder itself.

    Raises:
        RunError: the receipt is missing, or a file is missing, changed, elsewhere, or too large.
    """
    path = folder / RECEIPT
    try:
        content = read_bounded(path, MOST_JSON)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror or error}). Give a folder that vitrail export has written."
        ) from error
    try:
        require_digest(parse_json(content))
        receipt = _RECEIPT.validate_json(content, strict=True)
    except ValueError as error:
        raise RunError(
            f"{path} is damaged or was written by another version of Vitrail. Export the run again."
        ) from error
    if len(receipt.files) > MOST_FILES:
        raise RunError(f"{path} names {len(receipt.files):,} files, and a model folder has {MOST_FILES:,} at most.")
    sizes = [_size_in_folder(folder, name) for name in receipt.files]
    if sum(sizes) > MOST_BYTES:
        raise RunError(f"The files of {folder} have {sum(sizes):,} bytes, and {MOST_BYTES:,} are allowed.")
    for name, digest in receipt.files.items():
        try:
            actual = sha256_file(folder / name)
        except OSError as error:
            raise RunError(
                f"{folder / name} cannot be read ({error.strerror or error}). Use an intact copy."
            ) from error
        if actual != digest:
            raise RunError(say_changed(folder, name))
    return receipt


def _size_in_folder(folder: Path, name: str) -> int:
    """The bytes of a file of the folder, whose name leads nowhere else."""
    plain = PurePosixPath(name).name == PureWindowsPath(name).name == name and name != ".." and "\0" not in name
    path = folder / name
    try:
        if not plain or path.resolve().parent != folder.resolve():
            raise RunError(
                f"{make_printable(str(path))} lies outside the model folder, and nothing there is read. Copy the "
                "folder with its files instead of links to them."
            )
        return path.stat().st_size
    except OSError as error:
        raise RunError(
            f"{path} is in the receipt of the model folder, but cannot be read ({error.strerror or error}). Use an "
            "intact copy."
        ) from error


def _parse(folder: Path, name: str, receipt: FolderReceipt, schema: TypeAdapter[Parsed]) -> Parsed:
    """A JSON file of the folder, parsed from the very bytes that were compared with the receipt."""
    try:
        content = read_bounded(folder / name, MOST_JSON)
    except OSError as error:
        raise RunError(
            f"{folder / name} cannot be read ({error.strerror or error}), and a model without it is not used. Export "
            "the run again."
        ) from error
    if sha256_bytes(content) != receipt.files.get(name):
        raise RunError(say_changed(folder, name))
    try:
        return schema.validate_json(content, strict=True)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(
            f"{folder / name} is damaged or was written by another version of Vitrail (see {make_printable(place)}). "
            "Export the run again."
        ) from error


def _require_certified(folder: Path, receipt: FolderReceipt, facts: ModelFacts, certificate: Certificate) -> None:
    """Check that a certificate is of this very model, and that the model passed."""
    path, main = folder / CERTIFICATE, MODEL_FILE[facts.format]
    listed = {name: receipt.files.get(name) for name in certificate.model}
    same = ("run", "backbone", "format", "precision")
    if (
        certificate.certificate_version != CERTIFICATE_VERSION
        or facts.run != receipt.run
        or any(getattr(facts, name) != getattr(certificate, name) for name in same)
        or listed != certificate.model
        or main not in certificate.model
    ):
        raise RunError(f"{path} is not the certificate of the model beside it. Export the run again.")
    if faults := certificate.faults():
        raise RunError(
            f"The model in {folder} did not pass its certificate: {'; '.join(faults)}. Export the run again."
        )


def digest_files(folder: Path, names: list[str]) -> str:
    """The digest of the names of files and of their bytes."""
    return fingerprint({name: sha256_file(folder / name) for name in names})


def say_changed(folder: Path, name: str) -> str:
    """What to do about a file that is not the receipt's."""
    return f"{folder / name} is not the file that the receipt of the model folder names. Use an intact copy."
