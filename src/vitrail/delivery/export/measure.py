"""What the model of a folder answers to image files, and how fast: a program of its own.

    python measure.py FOLDER ANSWERS THREADS [whole-image] < files

It imports the folder's classify.py and preprocess.py, and through them the runtime, numpy and Pillow; nothing of
Vitrail, and torch only if that is the runtime. Each file on standard input is its length in eight bytes, then its
bytes. ANSWERS is an .npz with a row for each file and, as JSON, what was measured.

Letters: B images of a batch, N files, C classes.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

BATCH = 16
TIMED_BATCHES = (1, 2, 4, 8, 16, 32)
LEAST_CALLS, MOST_CALLS, LEAST_SECONDS = 5, 50, 0.5

Run = Callable[[Any], Any]


def main(folder: str, answers: str, threads: int) -> None:
    """Measure, and write the answers."""
    sys.path[0] = folder  # instead of the folder of this file
    import classify  # type: ignore[import-not-found]
    import preprocess  # type: ignore[import-not-found]

    run, resize = classify.open_model(threads=threads), preprocess.PREPROCESSING.resize
    probabilities, distances, reduced = [], [], 0
    kept: list[Any] = []
    files = read_files(sys.stdin.buffer)
    while batch := list(islice(files, BATCH)):
        images = [preprocess.decode_file(data) for data in batch]
        reduced += sum(min(image.size) > resize for image in images)
        pixel_BHWC = np.stack([preprocess.to_crop(image) for image in images])
        probability_BC, distance_B = run(pixel_BHWC)
        probabilities.append(probability_BC)
        distances.append(distance_B)
        kept = kept or list(pixel_BHWC)
    facts = {
        "reduced": reduced,
        "threads": threads,
        "speeds": [time_batch(run, np.resize(kept, (size, *kept[0].shape)), size) for size in TIMED_BATCHES],
        "imported": sorted(list_imported()),
    }
    np.savez(
        answers,
        probability_NC=np.concatenate(probabilities),
        distance_N=np.concatenate(distances),
        facts=np.array(json.dumps(facts)),
    )


def measure_whole_image(folder: str, answers: str, threads: int) -> None:
    """The same of the model that takes one whole image; its speed is that of each call, without decoding."""
    sys.path[0] = folder
    import classify
    import preprocess
    import whole_image  # type: ignore[import-not-found]

    run = classify.open_model(threads=threads, file=whole_image.FILE)
    probabilities, distances, seconds, shapes = [], [], [], []
    for data in read_files(sys.stdin.buffer):
        pixel_HWC = whole_image.to_whole(preprocess.decode_file(data))
        begun = time.perf_counter()
        probability_1C, distance_1 = run(pixel_HWC)
        seconds.append(time.perf_counter() - begun)
        probabilities.append(probability_1C)
        distances.append(distance_1)
        shapes.append(pixel_HWC.shape[:2])
    np.savez(
        answers,
        probability_NC=np.concatenate(probabilities),
        distance_N=np.concatenate(distances),
        facts=np.array(json.dumps({"seconds": statistics.median(seconds), "shapes": shapes})),
    )


def read_files(stream: BinaryIO) -> Iterator[bytes]:
    """The files on a stream, until it ends."""
    while header := stream.read(8):
        yield stream.read(int.from_bytes(header))


def time_batch(run: Run, pixel_BHWC: Any, size: int) -> dict[str, float]:
    """Images a second with batches of one size: the median over calls, the slowest and the fastest of them."""
    run(pixel_BHWC)
    seconds: list[float] = []
    while len(seconds) < LEAST_CALLS or (sum(seconds) < LEAST_SECONDS and len(seconds) < MOST_CALLS):
        begun = time.perf_counter()
        run(pixel_BHWC)
        seconds.append(time.perf_counter() - begun)
    return {
        "batch": size,
        "images_per_s": size / statistics.median(seconds),
        "slowest": size / max(seconds),
        "fastest": size / min(seconds),
        "calls": len(seconds),
    }


def list_imported() -> set[str]:
    """The packages that this process has imported, without the standard library."""
    names = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
    return {name for name in names if name not in sys.stdlib_module_names and not name.startswith("_")}


if __name__ == "__main__":
    measure = measure_whole_image if sys.argv[4:] else main
    measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
