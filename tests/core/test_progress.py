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

    def stop(self, task: str) -> None:
        self.calls.append(f"stop {task}")


def test_silence_is_progress_too() -> None:
    progress: Progress = Silent()
    progress.start("features", total=None, unit="images")
    progress.advance("features", 3)
    progress.note("nobody reads this")
    progress.done("features")


def test_a_task_ends_with_its_block() -> None:
    progress = Recorded()
    with running(progress, "features", total=3, unit="images"):
        pass
    assert progress.calls == ["start features, 3 images", "done features"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_task_is_stopped_and_not_done_if_its_block_fails(error) -> None:
    progress = Recorded()
    with pytest.raises(error), running(progress, "features", total=3, unit="images"):
        raise error
    assert progress.calls == ["start features, 3 images", "stop features"]
