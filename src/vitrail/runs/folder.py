"""The run folder: where one benchmark's record lives, and whether it may go on there.

runs/dogs/
  results.json   report.html   receipt.json   data.parquet   log.jsonl
  search/<backbone>.parquet   heads/<backbone>.safetensors   predictions/<backbone>.parquet
  splits/<backbone>.parquet   calibration/<backbone>.parquet   (if there is a calibration split)
  left-out/<backbone>.parquet   (if the values of a column were left out in turn)
  unfinished/<backbone>/<step>.parquet   (gone once the run is finished)

The folder is described in docs/formats.md. A file is written beside its name
and renamed, so it is there whole or not there.
"""

import shutil
from pathlib import Path

from vitrail.core.errors import RunError, UsageError
from vitrail.core.whole_files import safe_name
from vitrail.runs.journal import Journal

RESULTS = "results.json"
REPORT = "report.html"
RECEIPT = "receipt.json"
DATA = "data.parquet"
LOG = "log.jsonl"
UNFINISHED = "unfinished"  # from which an interrupted search goes on


def default_folder(data_name: str, identity: str) -> Path:
    """The folder of a run without --out: runs/<data>-<8 hexadecimal digits of data and options>."""
    return Path("runs") / f"{safe_name(data_name)}-{identity[:8]}"


def enter_folder(folder: Path, identity: str) -> Journal:
    """Make the folder, or go on in it if it holds a run of the same identity, the fingerprint of data and options.

    Raises:
        UsageError: the folder holds another run, or something that is not a run.
        RunError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise RunError(
            f"The run folder {folder} cannot be made or read ({error.strerror}). Choose another place with --out."
        ) from error
    journal = Journal(folder / LOG)
    known = journal.identity()
    if known is None and occupied:
        raise UsageError(
            f"The folder {folder} is not empty and holds no run of Vitrail. Choose another place with --out."
        )
    if known not in (None, identity):
        raise UsageError(
            f"The folder {folder} holds a run of other data or other options. "
            "Choose another place with --out, or give the options of that run."
        )
    return journal


def steps_folder(folder: Path, backbone: str) -> Path:
    """Where the finished steps of an unfinished search are kept."""
    return folder / UNFINISHED / safe_name(backbone)


def forget_steps(folder: Path) -> None:
    """Take away what a finished run no longer needs; a file that cannot be removed does no harm."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
