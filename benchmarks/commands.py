"""Commands of Vitrail, each in a process that is forked from this one, so that each costs no imports."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

LONGEST_S = 120.0  # a command that takes longer hangs
CLASSES = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (210, 40, 50)}
PER_CLASS, SIDE = 12, 40
BAD_ENDS = ("Traceback", "fault of Vitrail", "Exception ignored")
IMPORTED = (  # what the commands import late; torch.optim and torch.jit import torch._dynamo when they are first used
    *("pyarrow.dataset", "pyarrow.parquet", "scipy.stats", "torch._dynamo", "vitrail.benchmark"),
    *("vitrail.checks.verify", "vitrail.cli.closing", "vitrail.cli.main", "vitrail.training.pretrain"),
)
CLOCK = ("cost", "trial", "seconds", "saved_seconds", "user_s", "decode_s", "created")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: its exit code, negative for a signal; what it printed; what `before` reported."""

    exit: int
    text: str
    report: str


def import_everything() -> None:
    """Import what the commands import, without starting a thread that a fork would lose."""
    for module in IMPORTED:
        import_module(module)

    from vitrail.backbones.openvino_package import import_openvino

    import_openvino()


def run_command(arguments: Sequence[str], folder: Path, before: Callable[[int], object] = lambda _: None) -> Ended:
    """Run a command line with its cache and config below a folder, which is its working folder.

    Args:
        arguments: of `vitrail`.
        folder: made if it is not there.
        before: called in the new process before the command, with a descriptor to report to.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as report:
        process = os.fork()
        if process == 0:
            _become_command(arguments, folder, printed.fileno(), lambda: before(report.fileno()))
        return Ended(exit=_wait(process), text=_read(printed), report=_read(report))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _become_command(arguments: Sequence[str], folder: Path, printed: int, before: Callable[[], object]) -> None:
    """Be the command line in a forked process; does not return."""
    code = 1
    try:
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.chdir(folder)
        os.environ |= {"VITRAIL_CACHE": str(folder / "cache"), "VITRAIL_CONFIG": str(folder / "config")}
        sys.argv = ["vitrail", *arguments]
        from vitrail.cli.main import main

        before()
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(process: int) -> int:
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGABRT)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def draw_images(folder: Path) -> Path:
    """Some noisy images of three colours, a folder each."""
    draws = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            pixel_HWC = np.clip(np.array(colour) + draws.integers(-60, 60, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixel_HWC).save(folder / name / f"{number:03d}.png")
    return folder


def copy_weights(folder: Path) -> Path:
    """A copy of the embedded weights of vit_mini, to be given as `-b NAME=FILE`."""
    import vitrail

    embedded = Path(vitrail.__file__).parent / "backbones" / "weights" / "embedded" / "vit_mini.safetensors"
    return Path(shutil.copy(embedded, folder))


def read_run(run: Path) -> object:
    """The results of a run without what the clock said, and the bytes of its heads and predictions."""
    files = sorted(path for kind in ("heads", "predictions", "calibration") for path in (run / kind).iterdir())
    results = json.loads((run / "results.json").read_text())
    return _drop_clock(results), {path.relative_to(run): path.read_bytes() for path in files}


def _drop_clock(value: object) -> object:
    if isinstance(value, dict):
        return {key: _drop_clock(inner) for key, inner in value.items() if key not in CLOCK}
    return [_drop_clock(inner) for inner in value] if isinstance(value, list) else value
