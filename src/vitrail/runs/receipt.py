"""receipt.json: the digest of every file of a finished run, and of the receipt itself.

Which files a run consists of follows from its results, so a name in the receipt cannot point to another file. The log
grows after the receipt was written; the receipt covers what it held then, including the openings of the test.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from vitrail.core.bounded import MOST_JSON, is_folder, is_regular_file, is_there, read_bounded
from vitrail.core.errors import RunError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.core.whole_files import write_whole
from vitrail.runs.folder import (
    DATA,
    LOG,
    RECEIPT,
    REPORT,
    RESULTS,
    calibration_file,
    head_file,
    left_out_file,
    prediction_file,
    refusal_file,
    resplits_file,
    search_file,
    subsets_file,
)
from vitrail.runs.results import Results

EACH_BACKBONE = (search_file, head_file, refusal_file, prediction_file)
SOME_BACKBONES = (resplits_file, subsets_file, left_out_file, calibration_file)  # depends on the data and the options
MISSING = "missing"
RECEIPT_VERSION = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class LogDigest:
    """The first `bytes` of the log, and their sha256."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What a run consists of: sha256 of files by their place in the folder, of the log, the data and the weights.

    `digest` is that of everything else here. It names the run.
    """

    receipt_version: Literal[2]  # RECEIPT_VERSION
    data: str
    split: str
    weights: dict[str, str]
    files: dict[str, str]
    log: LogDigest
    digest: str


_RECEIPT = TypeAdapter(Receipt)


def write_receipt(folder: Path, results: Results) -> None:
    """Write the receipt of a run whose other files are all there.

    Raises:
        RunError: a file of the run is missing, or the receipt cannot be written.
    """
    names = sorted(_required(results) | {name for name in _optional(results) if is_regular_file(folder / name)})
    try:
        log = (folder / LOG).read_bytes()
        files = {name: sha256_file(folder / name) for name in names}
    except OSError as error:
        raise RunError(
            f"A file of the run in {folder} is missing or cannot be read ({error}). Run the same command again."
        ) from error
    facts = {
        "receipt_version": RECEIPT_VERSION,
        "data": results.data.fingerprint,
        "split": results.split.fingerprint,
        "weights": {result.name: result.weights_sha256 for result in results.backbones},
        "files": files,
        "log": {"bytes": len(log), "sha256": hashlib.sha256(log).hexdigest()},
    }
    text = json.dumps(facts | {"digest": fingerprint(facts)}, indent=2, sort_keys=True) + "\n"
    write_whole(folder / RECEIPT, lambda path: path.write_text(text, encoding="utf-8"))


def read_receipt(folder: Path) -> Receipt:
    """Read what `write_receipt` wrote.

    Raises:
        RunError: it is missing or damaged, or was written by another version.
    """
    path = folder / RECEIPT
    try:
        receipt = _RECEIPT.validate_json(read_bounded(path, MOST_JSON))
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror or error}). Give the folder of a finished run. To finish an "
            "unfinished run, repeat its command."
        ) from error
    except ValidationError as error:
        raise RunError(f"{path} is damaged or was written by another version of Vitrail. Repeat the run.") from error
    facts = asdict(receipt)
    if fingerprint({name: value for name, value in facts.items() if name != "digest"}) != receipt.digest:
        raise RunError(f"{path} is damaged: its digest does not match its content. Repeat the run.")
    return receipt


def compare_with_receipt(folder: Path, results: Results, receipt: Receipt) -> Iterator[tuple[str, object, object]]:
    """Every fact in a receipt, compared with the run.

    Yields:
        tuple[str, object, object]: what it is, what the receipt says, and what is there.
    """
    places = _required(results) | {name for name in _optional(results) if is_there(folder / name)}
    for name in sorted(places | receipt.files.keys()):
        known = name in places or name in _optional(results)  # no other name is followed
        yield name, receipt.files.get(name, "not listed"), _digest(folder / name) if known else MISSING
    yield LOG, receipt.log.sha256, _digest_of_log(folder / LOG, receipt.log.bytes)
    yield "data", receipt.data, results.data.fingerprint
    yield "split", receipt.split, results.split.fingerprint
    yield "weights", receipt.weights, {result.name: result.weights_sha256 for result in results.backbones}


def find_foreign_files(folder: Path, results: Results) -> list[str]:
    """Files in the folder of a run that are not of the run, hidden ones apart."""
    known = _required(results) | _optional(results) | {LOG, RECEIPT}
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not is_folder(path)]
    return [name for name in names if name not in known and not PurePosixPath(name).name.startswith(".")]


def _required(results: Results) -> set[str]:
    return {RESULTS, REPORT, DATA} | _places(results, EACH_BACKBONE)


def _optional(results: Results) -> set[str]:
    return _places(results, SOME_BACKBONES)


def _places(results: Results, files: Sequence[Callable[[Path, str], Path]]) -> set[str]:
    return {place(Path(), result.name).as_posix() for result in results.backbones for place in files}


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError:
        return MISSING


def _digest_of_log(path: Path, length: int) -> str:
    try:
        return hashlib.sha256(read_bounded(path, MOST_JSON)[:length]).hexdigest()
    except OSError:
        return MISSING
