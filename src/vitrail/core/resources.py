"""What one command may use. Nothing here changes an answer; what does is an option."""

from dataclasses import dataclass, field
from pathlib import Path

from vitrail.core.errors import UsageError
from vitrail.core.machine import Threads, cache_folder, count_disk_threads, share_threads, usable_cores
from vitrail.core.progress import Progress, Silent


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """Cache folder, cores, images a batch, whether the network may be used, and who receives progress updates.

    `data_dir` is a folder with files of named data sets, `weights_dir` one with weights for a run that names no
    backbone, whose digests are part of that run's question. `cores` None is all that this process may use; `batch` None
    is what is fastest on this machine.
    """

    cache: Path = field(default_factory=cache_folder)
    data_dir: Path | None = None
    weights_dir: Path | None = None
    cores: int | None = None
    batch: int | None = None
    offline: bool = False
    progress: Progress = field(default_factory=Silent, repr=False)

    def __post_init__(self) -> None:
        for flag, number in (("--threads", self.cores), ("--batch", self.batch)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise UsageError(f"{flag} {number} cannot be used: give 1 or more.")

    @property
    def threads(self) -> Threads:
        """How many threads decode images and how many compute."""
        return share_threads(self.cores or usable_cores())

    @property
    def reading_threads(self) -> int:
        """How many threads read and hash files: `cores` if it is given, otherwise enough to keep the disk busy."""
        return self.cores or count_disk_threads()
