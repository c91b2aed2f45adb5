"""receipt.json: the sha256 of every file of a run, of its data, its split and its weights."""

import json
from pathlib import Path

from vitrail.core.hashing import sha256_file
from vitrail.core.whole_files import write_whole
from vitrail.runs.folder import LOG, RECEIPT, UNFINISHED
from vitrail.runs.results import Results

RECEIPT_VERSION = 1


def write_receipt(folder: Path, results: Results) -> None:
    """Write the receipt of a run whose other files are all there.

    Left out are the log, which goes on, and the steps of the search, which go once the run is finished.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (LOG, RECEIPT))
    files = [path for path in files if path.relative_to(folder).parts[0] != UNFINISHED]
    receipt = {
        "receipt_version": RECEIPT_VERSION,
        "data": results.data.fingerprint,
        "split": results.split.fingerprint,
        "weights": {result.name: result.weights_sha256 for result in results.backbones},
        "files": {path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
    }
    text = json.dumps(receipt, indent=2, sort_keys=True) + "\n"
    write_whole(folder / RECEIPT, lambda path: path.write_text(text, encoding="utf-8"))
