"""The forward pass alone: images a second by batch size, on pixels in memory, and cosine to float32 features.

    python -m benchmarks.forward

Needs the images and weights in ../shared. Writes benchmarks/forward.md.
"""

import statistics
import time
from pathlib import Path

import numpy as np

from vitrail.backbones import BackboneSpec, engines, open_backbone, to_pixels
from vitrail.core.machine import describe_machine, usable_cores
from vitrail.core.progress import Silent
from vitrail.data import decode

SHARED = Path(__file__).resolve().parents[2] / "shared"
BACKBONES = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
}
BATCHES, IMAGES, REPEATS = (2, 4, 8, 16, 32), 128, 5


def main() -> None:
    """Measure, and write the table beside this file."""
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.forward", ""]
    lines += [f"{describe_machine()}", "", f"Median of {REPEATS} passes over {IMAGES} dogs, and their spread.", ""]
    lines += ["| backbone | engine | batch | images/s | least, most | cosine to fp32, least |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    files = sorted((SHARED / "data" / "stanford_dogs_224").rglob("*.jpg"))[::37][:IMAGES]
    for name, file in BACKBONES.items():
        spec = BackboneSpec(name=name, file=SHARED / "weights" / f"{file}.safetensors")
        exact = open_backbone(spec, engine="torch", progress=Silent())
        images = [decode(path.read_bytes(), max_pixels=10**8) for path in files]
        pixel_BHWC = np.stack([to_pixels(image, exact.card.preprocessing) for image in images])
        exact_ND = exact.start(threads=usable_cores())(pixel_BHWC)
        fastest = open_backbone(spec, progress=Silent())
        for batch in BATCHES:
            engines.OPENVINO_BATCH = batch
            running = fastest.start(threads=usable_cores())
            feature_ND = running(pixel_BHWC)
            rates = [rate(running, pixel_BHWC) for _ in range(REPEATS)]
            lines.append(
                f"| {name} | {fastest.engine.name} {fastest.engine.precision} | {running.batch} | "
                f"{statistics.median(rates):.0f} | {min(rates):.0f}, {max(rates):.0f} | "
                f"{cosine(feature_ND, exact_ND):.6f} |"
            )
            print(lines[-1], flush=True)
        rates = [rate(exact.start(threads=usable_cores()), pixel_BHWC) for _ in range(REPEATS)]
        lines.append(
            f"| {name} | torch fp32 | {engines.TORCH_BATCH['cpu']} | {statistics.median(rates):.0f} | "
            f"{min(rates):.0f}, {max(rates):.0f} | 1 |"
        )
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


def rate(running: engines.Engine, pixel_BHWC: np.ndarray) -> float:
    """Images a second of one pass."""
    begun = time.perf_counter()
    running(pixel_BHWC)
    return len(pixel_BHWC) / (time.perf_counter() - begun)


def cosine(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    """The least cosine over the rows."""
    norms_N = np.linalg.norm(one_ND, axis=1) * np.linalg.norm(other_ND, axis=1)
    return float(((one_ND * other_ND).sum(axis=1) / norms_N).min())


if __name__ == "__main__":
    main()
