"""From files to stored features: the limits of the machine, what extraction reaches, and what others reach.

The combined limit is 1 / (t_forward + t_decode / cores), each measured alone in the same run. Extraction begins with an
empty feature store and ends when the last row is on disk; starting the engine is part of it, converting the network
and measuring its batch are not, since that happens once. The last column is the same share in seconds of CPU, which a
machine that others use disturbs less: what the parts take alone, of what they take together.

ResNet50 has the product-quantised weights of ../shared, ViT-S/16 random ones.
"""

import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from benchmarks.forward import cosine
from benchmarks.peers import timm_loop, transformers_loop
from benchmarks.report import REAL, RESNET50, VIT_S, VIT_TI, Page, pictures, spread, weights
from vitrail.backbones import Backbone, open_backbone, to_pixels
from vitrail.core.hashing import sha256_file
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, decode, load, open_source
from vitrail.features import Features, extract

ROUNDS, FORWARD_IMAGES = 5, 256
IMAGES = {"stanford_dogs_224": 1200, "flowers_original": 800}
PEER_IMAGES = {VIT_TI: 480, VIT_S: 256, RESNET50: 256}
CORES = usable_cores()
TRIALS, EPOCHS, DECK_TRAIN = 64, 20, 12_000  # of 20,580 dogs; trials and epochs are an assumption, and said to be one


def main(*asked: str) -> None:
    """Measure the data sets that are asked for, both by default, and write a page for each."""
    for data in asked or tuple(IMAGES):
        page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", f"benchmarks.extraction {data}")
        page.say(f"{IMAGES[data]} images of {data}. Median of {ROUNDS} rounds, with least and most.", "")
        page.head(
            "backbone", "forward ms", "decode ms of a core", "limit img/s", "reached img/s", "of the limit", "by CPU"
        )
        with_features = {name: measure(page, data, name) for name in (VIT_TI, VIT_S, RESNET50)}
        if data == "stanford_dogs_224":
            for name, (stored_ND, reached) in with_features.items():
                measure_peers(page, name, stored_ND[: PEER_IMAGES[name]], reached)
        page.write(f"extraction_{data.split('_')[-2]}")


def measure(page: Page, data: str, name: str) -> tuple[np.ndarray, float]:
    """One row: the parts and the whole, in turns, so that a busy moment hits all alike.

    Returns:
        The features of the files, N x D, and images a second from files to stored features.
    """
    files = pictures(data, IMAGES[data])
    dataset = _dataset(files)
    backbone = open_backbone(weights(name, WORK), progress=Silent())
    engine = backbone.start(threads=CORES)
    pixel_BHWC = np.stack([_pixels(backbone, file) for file in files[:FORWARD_IMAGES]])
    engine(pixel_BHWC)
    stored_ND = _extract(dataset, backbone).rows([sha256_file(file) for file in files])
    parts: dict[str, list[tuple[float, float]]] = {"forward": [], "decode": [], "whole": []}
    for _ in range(ROUNDS):
        parts["forward"].append(_spent(lambda: engine(pixel_BHWC), len(pixel_BHWC)))
        parts["decode"].append(_spent(lambda: _decode_all(backbone, files), len(files)))
        parts["whole"].append(_spent(lambda: _extract(dataset, backbone), len(files)))
    forward, decoding, whole = (np.array(parts[part]) for part in ("forward", "decode", "whole"))
    limits = 1 / (forward[:, 0] + decoding[:, 0])  # decoding ran on every core, so its clock is divided already
    by_cpu = (forward[:, 1] + decoding[:, 1]) / whole[:, 1]
    page.row(
        f"{name} {backbone.engine.precision}",
        spread(list(1e3 * forward[:, 0]), 2),
        spread(list(1e3 * CORES * decoding[:, 0]), 2),
        spread(list(limits)),
        spread(list(1 / whole[:, 0])),
        spread(list(1 / whole[:, 0] / limits), 3),
        spread(list(by_cpu), 3),
    )
    return stored_ND, float(np.median(1 / whole[:, 0]))


def measure_peers(page: Page, name: str, ours_ND: np.ndarray, reached: float) -> None:
    """What others reach on the same files with the same weights, and how near our features are to theirs in fp32."""
    files = pictures("stanford_dogs_224", IMAGES["stanford_dogs_224"])[: PEER_IMAGES[name]]
    fp32, feature_ND = timm_loop(weights(name, WORK), files, bf16=False)
    bf16, _ = timm_loop(weights(name, WORK), files, bf16=True)
    pipeline = transformers_loop(name, files[: len(files) // 2])
    page.say("", f"{name}, {len(files)} of these images, weights {'real' if name in REAL else 'random'}:")
    page.say(f"- timm loop, 2 workers, fp32 eager: {fp32:.1f} img/s; Vitrail {reached / fp32:.2f} x that")
    page.say(f"- timm loop, 2 workers, bf16 autocast: {bf16:.1f} img/s; Vitrail {reached / bf16:.2f} x that")
    page.say(f"- transformers pipeline, fp32: {pipeline:.1f} img/s; Vitrail {reached / pipeline:.2f} x that")
    page.say(f"- least cosine of Vitrail's stored features to timm's in fp32: {cosine(ours_ND, feature_ND):.5f}")
    epoch_s = DECK_TRAIN / fp32
    page.say(
        f"- the deck's way, multiplied out from the first line and not run: the backbone again over {DECK_TRAIN:,} "
        f"train images, {epoch_s / 60:.1f} min an epoch, in each of {EPOCHS} epochs of {TRIALS} trials (assumed), is "
        f"{EPOCHS * TRIALS * epoch_s / 3600:.0f} h; one pass of Vitrail is {DECK_TRAIN / reached / 60:.1f} min"
    )


def _dataset(files: list[Path]) -> Dataset:
    folder = Path(mkdtemp(dir=WORK))
    for file in files:
        (folder / file.parent.name).mkdir(exist_ok=True)
        (folder / file.parent.name / file.name).symlink_to(file)
    return load(open_source(folder))


def _extract(dataset: Dataset, backbone: Backbone) -> Features:
    cache = WORK / "store"
    shutil.rmtree(cache / "features", ignore_errors=True)
    resources = Resources(cache=cache, cores=CORES)
    return extract(dataset, [backbone], max_pixels=10**8, resources=resources).features[0]


def _pixels(backbone: Backbone, file: Path) -> np.ndarray:
    return to_pixels(decode(file.read_bytes(), max_pixels=10**8), backbone.card.preprocessing)


def _decode_all(backbone: Backbone, files: list[Path]) -> None:
    """Every file, by a thread a core."""
    left, lock = iter(files), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                file = next(left, None)
            if file is None:
                return
            _pixels(backbone, file)

    threads = [threading.Thread(target=work) for _ in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _spent(work: Callable[[], object], images: int) -> tuple[float, float]:
    """Seconds of clock and of CPU an image."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - clock) / images, (time.process_time() - cpu) / images


WORK = Path(mkdtemp(prefix="vitrail-extraction-"))

if __name__ == "__main__":
    main(*sys.argv[1:])
