"""Photographs of 12 megapixels from files to stored features: decoded whole, and at a fraction of their size.

400 of the flowers in ../shared are cut to 4:3, enlarged and saved as JPEG with quality 90 in a temporary folder: once
as they are (smooth, small files) and once with noise as a sensor makes it (large files, whose bytes take longest to
unpack). Every figure is of these files. Seconds of CPU are given beside the clock, since they say more on a machine
that others use. Decoders of other libraries are measured if they are installed: pip install simplejpeg PyTurboJPEG
opencv-python-headless. A smaller number of photographs may be given; the peer, `auto` and the answers need 256.
"""

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image, ImageChops, ImageOps

from benchmarks.peers import timm_loop
from benchmarks.report import RESNET50, VIT_TI, Page, pictures, spread, weights
from vitrail.backbones import Backbone, Preprocessing, least_side, open_backbone, to_pixels
from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.candidates.decoding import ENOUGH, choose_decoding, decode_as
from vitrail.candidates.parity import cosines
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, load, open_source
from vitrail.data.images import Decoded, decode_for
from vitrail.features import Features, extract
from vitrail.runs import RunRecord

COUNT = int(sys.argv[1]) if sys.argv[1:] else 400
LONG, SHORT, QUALITY = 4000, 3000, 90
NOISE = {"smooth": 0, "noisy": 4}  # grey levels, standard deviation
ROUNDS, DECODED, PEER = 2, 24, 256  # rounds of each measurement; images of the decoders' and of the peer's
BACKBONES = (VIT_TI, RESNET50)


def main() -> None:
    """Measure both kinds of photographs, and write the page."""
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", " ".join(["benchmarks.large_photographs", *sys.argv[1:]]))
    page.say(f"{COUNT} photographs of each kind; median of {ROUNDS} rounds in turns, with least and most.")
    page.say("fast over exact is of medians. Seconds of CPU are of the whole process, the network's among them.")
    for kind, noise in NOISE.items():
        folder = WORK / kind
        files = draw(folder, noise)
        size = np.mean([file.stat().st_size for file in files]) / 1e6
        page.say("", f"## {kind.capitalize()}: {size:.2f} MB a file", "")
        measure_decoders(page, files[:: max(1, COUNT // DECODED)])
        dataset = load(open_source(folder))
        page.say("")
        page.head("backbone", "decode", "img/s", "CPU ms an image", "fast over exact by clock, by CPU")
        stored = {name: measure_extraction(page, dataset, name) for name in BACKBONES}
        if COUNT >= PEER:
            for name in BACKBONES:
                measure_peer(page, name, files[:PEER], stored[name][1])
        page.say("")
        compare_features(page, dataset, {name: features for name, (features, _) in stored.items()})
        if COUNT >= ENOUGH:
            compare_answers(page, folder)
    page.write("large_photographs")


def draw(folder: Path, noise: int) -> list[Path]:
    """The photographs in one folder a class; noise is the same in every channel and different in every photograph."""
    files = []
    for number, file in enumerate(pictures("flowers_original", COUNT)):
        with Image.open(file) as small:
            columns, rows = (SHORT, LONG) if small.width < small.height else (LONG, SHORT)
            image = ImageOps.fit(small.convert("RGB"), (columns, rows), Image.Resampling.LANCZOS)
        if noise:
            level_HW = noise * np.random.default_rng(number).standard_normal((rows, columns), np.float32)
            grey = Image.fromarray(np.clip(np.rint(level_HW) + 128, 0, 255).astype(np.uint8))
            image = ImageChops.add(image, Image.merge("RGB", (grey, grey, grey)), 1, -128)
        path = folder / file.parent.name / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=QUALITY)
        files.append(path)
    return files


def measure_decoders(page: Page, files: list[Path]) -> None:
    """Milliseconds of a core to decode and resize an image for ViT-Ti, and how far pixels are from an exact decode."""
    exact = open_backbone(weights(VIT_TI, WORK), progress=Silent()).card.preprocessing
    fast = replace(exact, decode="fast")
    ways: dict[str, Callable[[bytes], Decoded]] = {
        "Pillow, exact": lambda data: _decode(data, exact),
        "Pillow, fast": lambda data: _decode(data, fast),
        **_other_decoders(least_side(fast) or 0),
    }
    contents = [file.read_bytes() for file in files]
    spent: dict[str, list[float]] = {way: [] for way in ways}
    pixels: dict[str, np.ndarray] = {}
    for _ in range(ROUNDS):
        for way, decode in ways.items():
            begun = time.thread_time()
            made = [_resize(decode(data), exact) for data in contents]
            spent[way].append(1e3 * (time.thread_time() - begun) / len(contents))
            pixels[way] = np.stack(made).astype(np.int16)
    page.head("decoder", "decode and resize, ms of a core", "grey levels from Pillow exact: mean, most")
    for way, seconds in spent.items():
        off = np.abs(pixels[way] - pixels["Pillow, exact"])
        page.row(way, spread(seconds), f"{off.mean():.3f}, {off.max()}")


def _decode(data: bytes, preprocessing: Preprocessing) -> Decoded:
    side = least_side(preprocessing)
    return decode_for(data, [side], max_pixels=10**8)[side]


def _resize(decoded: Decoded, preprocessing: Preprocessing) -> np.ndarray:
    return to_pixels(decoded.image, preprocessing, size=decoded.size, box=decoded.box)


def _other_decoders(side: int) -> dict[str, Callable[[bytes], Decoded]]:
    """Bindings of libjpeg-turbo, whole and at the scale that Pillow takes; the sides here are multiples of it."""
    scale = next(scale for scale in (8, 4, 2, 1) if SHORT // side >= scale)
    found: dict[str, Callable[[bytes], Decoded]] = {}

    def whole(pixel_HWC: np.ndarray) -> Decoded:
        return Decoded.whole(Image.fromarray(np.ascontiguousarray(pixel_HWC)))

    def reduced(pixel_HWC: np.ndarray) -> Decoded:
        image = Image.fromarray(np.ascontiguousarray(pixel_HWC))
        return Decoded(image, (scale * image.width, scale * image.height), (0, 0, *image.size))

    if find_spec("simplejpeg"):
        from simplejpeg import decode_jpeg

        name = f"simplejpeg {version('simplejpeg')}"
        found[f"{name}, exact"] = lambda data: whole(decode_jpeg(data))
        found[f"{name}, fast"] = lambda data: reduced(decode_jpeg(data, min_height=side, min_width=side))
    if find_spec("cv2"):
        import cv2

        name = f"OpenCV {version('opencv-python-headless')}"
        at_scale = getattr(cv2, f"IMREAD_REDUCED_COLOR_{scale}")

        def read(data: bytes, flag: int) -> np.ndarray:
            return cv2.imdecode(np.frombuffer(data, np.uint8), flag)[..., ::-1]

        found[f"{name}, exact"] = lambda data: whole(read(data, cv2.IMREAD_COLOR))
        found[f"{name}, fast"] = lambda data: reduced(read(data, at_scale))
    if find_spec("turbojpeg"):
        from turbojpeg import TJPF_RGB, TurboJPEG

        name = f"PyTurboJPEG {version('PyTurboJPEG')}"
        try:
            turbo = TurboJPEG()
        except RuntimeError:  # it brings no library of its own
            return found
        found[f"{name}, exact"] = lambda data: whole(turbo.decode(data, TJPF_RGB))
        found[f"{name}, fast"] = lambda data: reduced(turbo.decode(data, TJPF_RGB, scaling_factor=(1, scale)))
    return found


def measure_extraction(page: Page, dataset: Dataset, name: str) -> tuple[dict[str, Features], dict[str, float]]:
    """The rows of both ways, and images a second."""
    plain = open_backbone(weights(name, WORK), progress=Silent())
    backbones = {way: decode_as(plain, way) for way in ("exact", "fast")}
    few = replace(dataset, table=dataset.table.slice(0, 4))
    stored = {way: extract_into_store(few, backbone) for way, backbone in backbones.items()}  # converts the network
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in backbones}
    for _ in range(ROUNDS):
        for way, backbone in backbones.items():
            shutil.rmtree(stored[way].stored.folder)
            clock, cpu = time.perf_counter(), time.process_time()
            stored[way] = extract_into_store(dataset, backbone)
            spent[way].append((time.perf_counter() - clock, time.process_time() - cpu))
    second = {way: np.array(pairs) / COUNT for way, pairs in spent.items()}
    for way, second_R2 in second.items():
        gain = "" if way == "exact" else " x, ".join(f"{g:.2f}" for g in np.median(second["exact"] / second_R2, axis=0))
        page.row(
            f"{name} {plain.engine.precision}",
            way,
            spread(list(1 / second_R2[:, 0])),
            spread(list(1e3 * second_R2[:, 1])),
            f"{gain} x" if gain else "",
        )
    return stored, {way: float(np.median(1 / second_R2[:, 0])) for way, second_R2 in second.items()}


def extract_into_store(dataset: Dataset, backbone: Backbone) -> Features:
    """The features of one backbone; only the rows that the store lacks are computed."""
    return extract(dataset, [backbone], max_pixels=10**8, resources=RESOURCES).features[0]


def measure_peer(page: Page, name: str, files: list[Path], rate: dict[str, float]) -> None:
    """A timm loop on some of the files; its clock starts as its first batch arrives, which flatters it a little."""
    fp32, _ = timm_loop(weights(name, WORK), files, bf16=False)
    page.say(
        "",
        f"{name}: timm loop of 2 workers in fp32 on {len(files)} of these, {fp32:.1f} img/s; Vitrail "
        + ", ".join(f"{value / fp32:.2f} x that {way}" for way, value in rate.items()),
    )


def compare_features(page: Page, dataset: Dataset, stored: dict[str, dict[str, Features]]) -> None:
    """Cosines of all photographs, and what `auto` makes of its 64."""
    ids = dataset.table["id"].to_pylist()
    page.head("backbone", "cosine fast to exact: mean", "5 % of images below", "least", "auto, on 64 images")
    for name, ways in stored.items():
        cosine_N = cosines(ways["fast"].rows(ids), ways["exact"].rows(ids))
        backbone = open_backbone(weights(name, WORK), progress=Silent())
        compute = partial(extract, max_pixels=10**8, resources=RESOURCES)
        ((chosen, compared),) = choose_decoding([backbone], dataset, "auto", compute)
        auto = chosen.card.preprocessing.decode
        if compared is not None:
            auto += f": mean {compared.decoding.cosine_mean:.5f}, least {compared.decoding.cosine_least:.5f}"
        page.row(
            name,
            f"{cosine_N.mean():.5f}",
            f"{np.quantile(cosine_N, 0.05):.5f}",
            f"{cosine_N.min():.5f}",
            auto,
        )


def compare_answers(page: Page, folder: Path) -> None:
    """Whole benchmarks with both ways: the answers on the test images and on the 64, each head on its own features."""
    specs = [f"{name}={weights(name, WORK).file}" for name in BACKBONES]

    def run(decode: str) -> RunRecord:
        options = BenchOptions(decode=decode, near_duplicates=False)
        return bench(folder, specs, out=WORK / f"{folder.name}-{decode}", options=options, resources=RESOURCES)

    exact, fast = run("exact"), run("fast")
    page.say("")
    page.head("backbone", "test top-1 exact, fast, %", "test answers that differ", "answers changed of the 64")
    for name in BACKBONES:
        answers = [each.predictions(name).probability_NC.argmax(axis=1) for each in (exact, fast)]
        right = [100 * each.backbone(name).test.top1.value for each in (exact, fast)]
        decoding = fast.backbone(name).decoding
        assert decoding is not None
        page.row(
            name,
            f"{right[0]:.1f}, {right[1]:.1f}",
            f"{(answers[0] != answers[1]).sum()} of {len(answers[0])}",
            f"{decoding.changed} of {decoding.images}",
        )


WORK = Path(mkdtemp(prefix="vitrail-photographs-"))
RESOURCES = Resources(cache=WORK / "store")

if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
