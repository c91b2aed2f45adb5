"""What several test processes need and takes long is made by the first that asks for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def make_once(common: Path, name: str, make: Callable[[Path], object], own: Path) -> Path:
    """A copy for this process of what one process makes; nobody works in the original, so that it stays as it was made.

    Args:
        common: the folder that all test processes share.
        name: of the original below it.
        make: is called with the empty folder of the original.
        own: the folder to copy into, which is not there yet.
    """
    original, finished = common / name, common / f"{name}.finished"
    with FileLock(common / f"{name}.lock"):
        if not finished.exists():
            shutil.rmtree(original, ignore_errors=True)  # of a process that failed
            original.mkdir()
            make(original)
            finished.touch()
    return Path(shutil.copytree(original, own))
