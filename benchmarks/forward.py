"""The forward pass alone: images a second of each engine on pixels in memory, and how near that is to the machine.

Needs the images and weights in ../shared. The peak is the fastest of some large matrix products in the same precision,
by torch and by OpenVINO; a network's share of it counts the multiply-adds of its card.
"""

import sys
import time
from itertools import product
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch

from benchmarks.report import RESNET50, VIT_S, VIT_TI, Page, pictures, spread, weights
from vitrail.backbones import Backbone, Engine, open_backbone, to_pixels
from vitrail.backbones.openvino_package import import_openvino
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Silent
from vitrail.data import decode, load, open_source
from vitrail.features import attach_range_images

IMAGES, REPEATS, SIDE = 96, 5, 2048
BATCHES = (1, 2, 4, 8, 16)
SLOWER = {("openvino", "fp32"): (4, 16), ("torch", "fp32"): (16,), ("torch", "bf16"): (16,)}
CORES = usable_cores()


def main(*names: str) -> None:
    """Measure, and write the tables beside this file."""
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.forward")
    peaks = {precision: peak(precision) for precision in ("fp32", "bf16", "int8")}
    page.say("Large matrix products, 1e9 multiply-adds a second, the fastest of each:")
    page.say(*(f"- {precision}: {figure / 1e9:.0f} by {how}" for precision, (figure, how) in peaks.items()), "")
    page.say(f"Median of {REPEATS} passes over {IMAGES} dogs, with least and most; {CORES} streams of one thread.", "")
    page.head("backbone", "engine", "batch", "images/s", "of the peak", "cosine to fp32, least")
    best: dict[tuple[str, str], float] = {}
    for name in names or (VIT_TI, VIT_S, RESNET50):
        for engine, precision in product(("openvino", "torch"), ("fp32", "bf16", "int8")):
            if (engine, precision) != ("torch", "int8"):
                measure_engine(page, name, engine, precision, peaks[precision][0], best)
    page.say("")
    for name in names or (VIT_TI, VIT_S, RESNET50):
        ratio = best[name, "int8"] / best[name, "bf16"]
        page.say(f"- {name}: int8 {ratio:.2f} x bf16, best batches.")
    page.write("forward")


def measure_engine(
    page: Page, name: str, engine: str, precision: str, limit: float, best: dict[tuple[str, str], float]
) -> None:
    """A row for each batch."""
    backbone = opened(name, engine, precision)
    pixel_BHWC = pixels(backbone)
    exact_ND = opened(name, "openvino", "fp32").start(threads=CORES)(pixel_BHWC)
    for batch in SLOWER.get((engine, precision), BATCHES):
        running = backbone.start(threads=CORES, batch=batch)
        feature_ND = running(pixel_BHWC)
        rates = [rate(running, pixel_BHWC) for _ in range(REPEATS)]
        share = float(np.median(rates)) * backbone.card.gmacs * 1e9 / limit
        page.row(
            name, f"{engine} {precision}", batch, spread(rates), f"{share:.2f}", f"{cosine(feature_ND, exact_ND):.5f}"
        )
        if engine == "openvino":
            best[name, precision] = max(best.get((name, precision), 0.0), float(np.median(rates)))


def opened(name: str, engine: str, precision: str) -> Backbone:
    """A backbone; int8 takes its ranges from dogs that are not measured with."""
    backbone = open_backbone(weights(name, WORK), engine=engine, precision=precision, progress=Silent())
    if precision != "int8":
        return backbone
    dataset = load(open_source(Path(str(pictures("stanford_dogs_224", 1)[0])).parents[1]))
    measured = {path.name for path in pictures("stanford_dogs_224", IMAGES)}
    paths = zip(dataset.table["id"].to_pylist(), dataset.table["paths"].to_pylist(), strict=True)
    train = [example for example, (path, *_) in paths if Path(path).name not in measured]
    return attach_range_images(backbone, dataset, train, max_pixels=10**8)


def pixels(backbone: Backbone) -> np.ndarray:
    """The dogs as this backbone takes them."""
    images = [decode(path.read_bytes(), max_pixels=10**8) for path in pictures("stanford_dogs_224", IMAGES)]
    return np.stack([to_pixels(image, backbone.card.preprocessing) for image in images])


def rate(running: Engine, pixel_BHWC: np.ndarray) -> float:
    """Images a second of one pass."""
    begun = time.perf_counter()
    running(pixel_BHWC)
    return len(pixel_BHWC) / (time.perf_counter() - begun)


def cosine(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    """The least cosine over the rows."""
    norms_N = np.linalg.norm(one_ND, axis=1) * np.linalg.norm(other_ND, axis=1)
    return float(((one_ND * other_ND).sum(axis=1) / norms_N).min())


def peak(precision: str) -> tuple[float, str]:
    """Multiply-adds a second of the fastest large matrix product, and what computed it."""
    found = []
    if precision != "int8":
        kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        left, right = (torch.rand(SIDE, SIDE, dtype=kind) for _ in range(2))
        torch.set_num_threads(CORES)
        with torch.inference_mode():
            found.append((SIDE**3 / fastest(lambda: torch.mm(left, right)), f"torch, {SIDE} x {SIDE}"))
    for rows in (256, 1024):
        product_of = matrix_product(rows, precision)
        found.append((CORES * rows * SIDE**2 / fastest(product_of), f"OpenVINO, {rows} x {SIDE} x {SIDE} a stream"))
    return max(found)


def fastest(work: Any) -> float:
    """Seconds of the fastest of some repetitions."""
    seconds = []
    for _ in range(12):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def matrix_product(rows: int, precision: str) -> Any:
    """OpenVINO's product of so many rows with a constant matrix, once on every stream; int8 by fake quantisation."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    draws = np.random.default_rng(0)
    left = ops.parameter([rows, SIDE], np.float32)
    right = ops.constant(draws.uniform(-1, 1, (SIDE, SIDE)).astype(np.float32))
    low, high = (ops.constant(np.float32(bound)) for bound in (-1, 1))
    if precision == "int8":
        product_of = ops.matmul(
            ops.fake_quantize(left, low, high, low, high, 256),
            ops.fake_quantize(right, low, high, low, high, 255),
            False,
            True,
        )
    else:
        product_of = ops.matmul(left, right, False, True)
    model = openvino.Model([ops.relu(product_of)], [left])
    hint = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": CORES, "INFERENCE_NUM_THREADS": CORES}
    requests = openvino.AsyncInferQueue(openvino.Core().compile_model(model, "CPU", settings), CORES)
    input_ND = draws.uniform(-1, 1, (rows, SIDE)).astype(np.float32)

    def work() -> None:
        for _ in range(CORES):
            requests.start_async([input_ND], share_inputs=True)
        requests.wait_all()

    return work


WORK = Path(mkdtemp(prefix="vitrail-forward-"))

if __name__ == "__main__":
    main(*sys.argv[1:])
