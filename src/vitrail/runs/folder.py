"""The run folder: where the record of one benchmark is, and whether a run may continue there.

runs/dogs/
  results.json   report.html   receipt.json   data.parquet   log.jsonl
  search/<backbone>.parquet   heads/<backbone>.safetensors   predictions/<backbone>.parquet
  splits/<backbone>.parquet   calibration/<backbone>.parquet   (if there is a calibration split)
  left-out/<backbone>.parquet   (if the values of a column were left out in turn)
  unfinished/<backbone>/<step>-<digest>.parquet   (gone once the run is finished)

The folder is described in docs/formats.md. A file is written beside its name and renamed, so it is complete or absent.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vitrail.core.bounded import is_folder, is_there
from vitrail.core.errors import RunError, UsageError, VitrailError
from vitrail.core.whole_files import TEMPORARY, delete_temporaries, safe_name, unique_name
from vitrail.runs.journal import Journal

RESULTS = "results.json"
REPORT = "report.html"
RECEIPT = "receipt.json"
DATA = "data.parquet"
LOG = "log.jsonl"
LOCK = ".lock"
RUNS = Path("runs")  # where runs without --out are
UNFINISHED = "unfinished"  # an interrupted search continues from these


def default_folder(data_name: str, identity: str) -> Path:
    """The folder of a run without --out: runs/<data>-<8 hexadecimal digits of data and options>."""
    return RUNS / f"{safe_name(data_name)}-{identity[:8]}"


def is_finished(folder: Path) -> bool:
    """Whether the run in a folder is complete: its receipt is written last, and a damaged log does not undo it."""
    return is_there(folder / RECEIPT)


def require_writable(out: Path | None) -> None:
    """Check before any work that a run folder can be made or entered; makes nothing.

    Args:
        out: the run folder; None for one under runs/.

    Raises:
        RunError: it cannot be written. A finished run is only read, so that it need not be writable.
        UsageError: it holds something that is not a run.
    """
    folder = (out or RUNS).absolute()
    try:
        nearest = next(path for path in (folder, *folder.parents) if is_there(path))
        started = Journal(folder / LOG)
        if is_folder(nearest) and (os.access(nearest, os.W_OK | os.X_OK) or is_finished(folder)):
            if out is not None and nearest == folder and started.identity() is None:
                _refuse_other_files(out)
            return
        reason = "no right to write there" if is_folder(nearest) else "it is a file"
    except OSError as error:
        nearest, reason = folder, error.strerror or str(error)
    raise RunError(
        f"The run folder {out or RUNS} cannot be made or written ({nearest}: {reason}). Choose another place with "
        "--out."
    )


@contextmanager
def enter_folder(folder: Path, identity: str) -> Iterator[Journal]:
    """Create the folder, or continue in it if its run has the same identity, the fingerprint of data and options.

    An error before the run has stored anything but its start leaves no folder behind.

    Until it is left again no other process can enter it, unless the run is finished, which nothing changes any more.

    Yields:
        Journal: the log of the run.

    Raises:
        UsageError: the folder holds another run, or something that is not a run, or another process is at work in it.
        RunError: the folder cannot be written.
    """
    try:
        made = [path for path in (folder, *folder.parents) if not is_there(path)]
        folder.mkdir(parents=True, exist_ok=True)
        journal = Journal(folder / LOG)
        known = journal.identity()
        if known is None:
            _refuse_other_files(folder)
    except OSError as error:
        raise RunError(
            f"The run folder {folder} cannot be created or read ({error.strerror}). Choose another place with --out."
        ) from error
    if known not in (None, identity):
        raise UsageError(
            f"The folder {folder} holds a run with other data or other options. "
            "Choose another place with --out, or give the options of that run."
        )
    if is_finished(folder):
        yield journal
        return
    with _removed_if_unused(folder, made, known), _locked(folder):
        delete_temporaries(folder)
        yield journal


@contextmanager
def _removed_if_unused(folder: Path, made: Sequence[Path], known: str | None) -> Iterator[None]:
    """After an error, remove a run that has stored nothing but its start, and the folders `made` for it."""
    try:
        yield
    except VitrailError:
        with suppress(OSError):
            stored = {path.name for path in folder.iterdir()} - {LOG}
            if known is None and not stored and Journal(folder / LOG).count_openings() == 0:
                (folder / LOG).unlink(missing_ok=True)
                for path in made:
                    path.rmdir()
        raise


def _refuse_other_files(folder: Path) -> None:
    if any(not _is_leftover(path) for path in folder.iterdir()):
        raise UsageError(
            f"The folder {folder} is not empty and does not hold a run of Vitrail. Choose another place with --out."
        )


def _is_leftover(path: Path) -> bool:
    """Whether a run that was killed before its first line was written left it."""
    return path.name == LOCK or (path.name.startswith(".") and path.name.endswith(TEMPORARY))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = folder / LOCK
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"Another process is using the run folder {folder}. Wait until it ends, or choose another place with --out."
        ) from error
    except OSError as error:
        raise RunError(
            f"The run folder {folder} cannot be locked ({error.strerror or error}). Choose another place with --out."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # held until it is gone, so that nobody waits for a file without a name
            path.unlink()
        lock.release()


def steps_folder(folder: Path, backbone: str) -> Path:
    """Where the finished steps of an unfinished search are kept."""
    return folder / UNFINISHED / unique_name(backbone)


def forget_steps(folder: Path) -> None:
    """Take away what a finished run no longer needs; a file that cannot be removed does no harm."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def search_file(folder: Path, backbone: str) -> Path:
    """search/<backbone>.parquet."""
    return folder / "search" / f"{unique_name(backbone)}.parquet"


def head_file(folder: Path, backbone: str) -> Path:
    """heads/<backbone>.safetensors."""
    return folder / "heads" / f"{unique_name(backbone)}.safetensors"


def refusal_file(folder: Path, backbone: str) -> Path:
    """heads/<backbone>.refusal.safetensors."""
    return folder / "heads" / f"{unique_name(backbone)}.refusal.safetensors"


def prediction_file(folder: Path, backbone: str) -> Path:
    """predictions/<backbone>.parquet."""
    return folder / "predictions" / f"{unique_name(backbone)}.parquet"


def resplits_file(folder: Path, backbone: str) -> Path:
    """splits/<backbone>.parquet."""
    return folder / "splits" / f"{unique_name(backbone)}.parquet"


def subsets_file(folder: Path, backbone: str) -> Path:
    """subsets/<backbone>.parquet."""
    return folder / "subsets" / f"{unique_name(backbone)}.parquet"


def calibration_file(folder: Path, backbone: str) -> Path:
    """calibration/<backbone>.parquet."""
    return folder / "calibration" / f"{unique_name(backbone)}.parquet"


def left_out_file(folder: Path, backbone: str) -> Path:
    """left-out/<backbone>.parquet."""
    return folder / "left-out" / f"{unique_name(backbone)}.parquet"
