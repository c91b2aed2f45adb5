import pytest

from vitrail.core.progress import Progress, Silent, running


class Recorded(Silent):
    """Progress that remembers what starts and ends."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        self.calls.append(f"start {task}, {total} {unit}")

    def done(self, task: str) -> None:
        self.calls.append(f"done {task}")


def test_silence_is_progress_too() -> None:
    progress: Progress = Silent()
    progress.start("features", total=None, unit="images")
    progress.advance("features", 3)
    progress.note("nobody reads this")
    progress.done("features")


def test_a_task_ends_with_its_block_though_the_block_fails() -> None:
    progress = Recorded()
    with pytest.raises(OSError, match="full"), running(progress, "features", total=3, unit="images"):
        raise OSError("full")
    assert progress.calls == ["start features, 3 images", "done features"]
