from vitrail.core.progress import Progress, Silent


def test_silence_is_progress_too() -> None:
    progress: Progress = Silent()
    progress.start("features", total=None, unit="images")
    progress.advance("features", 3)
    progress.note("nobody reads this")
    progress.done("features")
