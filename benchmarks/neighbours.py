"""How a run fares beside other work: its clock with a busy process on each core, over its clock alone.

Needs the images and weights in ../shared. Each case is a process of its own: the whole benchmark of 800 flowers, and
its search alone, with the features there already; both by the command and by `vitrail.bench` in Python.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.busy import busy_cores
from benchmarks.report import SHARED, VIT_TI, Page, spread, weights
from vitrail.core.machine import usable_cores

DATA = SHARED / "data" / "flowers_original"
CORES, LIMIT = usable_cores(), 2.5
IN_PYTHON = "import sys, vitrail; vitrail.bench(sys.argv[1], [sys.argv[2]], out=sys.argv[3])"
COMMAND = "import sys; from vitrail.cli import main; sys.argv[0] = 'vitrail'; main()"


def main(repeats: str = "3") -> None:
    """Measure alone and beside busy processes in turns, and write the table beside this file."""
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.neighbours")
    page.say(f"Seconds, median of {repeats} runs with least and most; {CORES} cores. At most {LIMIT} is promised.", "")
    page.head("what", "how", "alone", "beside busy cores", "ratio")
    for how in ("command", "Python"):
        seconds: dict[tuple[str, bool], list[float]] = {}
        for _ in range(int(repeats)):
            for busy in (False, True):
                for what, spent in measure(how, busy=busy).items():
                    seconds.setdefault((what, busy), []).append(spent)
        for what in ("whole benchmark", "search alone"):
            alone, beside = (sorted(seconds[what, busy]) for busy in (False, True))
            ratio = beside[len(beside) // 2] / alone[len(alone) // 2]
            page.row(what, how, spread(alone), spread(beside), f"{ratio:.2f}")
    page.write("neighbours")


def measure(how: str, *, busy: bool) -> dict[str, float]:
    """Seconds of a benchmark from nothing, and of the same again where only the search is left to do."""
    with TemporaryDirectory(prefix="vitrail-neighbours-") as folder, busy_cores(CORES if busy else 0):
        return {
            what: seconds_of(how, Path(folder), Path(folder) / f"run{number}")
            for number, what in enumerate(("whole benchmark", "search alone"))
        }


def seconds_of(how: str, folder: Path, out: Path) -> float:
    """Seconds of one process; variables that say how threads wait are not handed on to it."""
    spec = f"{VIT_TI}={weights(VIT_TI, folder).file}"
    arguments = [COMMAND, "bench", DATA, "-b", spec, "--out", out, "--quiet", "--offline"]
    if how == "Python":
        arguments = [IN_PYTHON, DATA, spec, out]
    said = ("OMP_", "OPENBLAS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(said)}
    environment |= {"VITRAIL_CACHE": str(folder / "cache"), "VITRAIL_CONFIG": str(folder / "config")}
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", *map(str, arguments)], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(*sys.argv[1:])
