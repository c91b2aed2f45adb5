"""Near-duplicates and wrong labels that were planted, what is found of them, and what looking for them costs.

    python -m benchmarks.duplicates [planted] [dogs] [labels] [cost] [scale] [--sheets FOLDER]

Needs the images and weights in ../shared. Writes benchmarks/duplicates_<hardware>_<month>.md, a chapter a part; with
--sheets it draws the reported pairs of the dogs, to be looked at.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from benchmarks.results import keep_chapter
from vitrail.auditing import AuditOptions, audit
from vitrail.auditing.suspects import make_judge
from vitrail.backbones import open_backbone, parse_spec
from vitrail.core.machine import peak_rss_bytes, usable_cores, user_seconds
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import MAX_PIXELS, Dataset, NearPair, find_near_duplicates, load, open_source
from vitrail.data.grey_copies import make_grey_copies
from vitrail.data.near_duplicates import compare_grey_copies
from vitrail.data.proposals import propose
from vitrail.features import extract
from vitrail.search.examples import Examples, Holdout
from vitrail.statistics.confident_learning import suspect_labels

SHARED = Path(__file__).resolve().parents[2] / "shared"
DOGS, FLOWERS = SHARED / "data" / "stanford_dogs_224", SHARED / "data" / "flowers_original"
VIT = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
PLANTED, WRONG, ROWS, CLASSES, WIDTH = 200, 0.05, 100_000, 100, 192  # as wide as a ViT-Ti's
SEED = 0

# Pairs of dogs that a person has looked at on the contact sheet and judged to be one picture.
SEEN_TO_BE_ONE = {
    "n02085782_1143 n02085782_698",
    "n02087394_7186 n02087394_8716",
    "n02089078_1735 n02089078_2921",
    "n02091635_4325 n02091635_699",
    "n02094114_2206 n02094258_880",
    "n02095314_2754 n02095570_3101",
    "n02096294_3344 n02096294_436",
    "n02099712_5689 n02099712_6619",
    "n02102480_5010 n02102480_6027",
    "n02102480_5734 n02102480_8240",
    "n02113978_131 n02113978_1939",
    "n02113978_131 n02113978_903",
    "n02113978_1939 n02113978_903",
    "n02113978_1956 n02113978_2167",
    "n02115913_257 n02115913_3178",
}


def re_encode(image: Image.Image, draws: np.random.Generator) -> bytes:
    """The same pixels at another quality, 40 to 95."""
    return jpeg(image, quality=int(draws.integers(40, 96)))


def resize(image: Image.Image, draws: np.random.Generator) -> bytes:
    """Half to twice the size."""
    factor = draws.uniform(0.5, 2.0)
    return jpeg(image.resize([round(factor * side) for side in image.size], Image.Resampling.BICUBIC))


def crop(image: Image.Image, draws: np.random.Generator) -> bytes:
    """90 to 95% of each side, anywhere."""
    width, height = (round(draws.uniform(0.9, 0.95) * side) for side in image.size)
    left, top = draws.integers(0, image.width - width + 1), draws.integers(0, image.height - height + 1)
    return jpeg(image.crop((int(left), int(top), int(left) + width, int(top) + height)))


def mirror(image: Image.Image, draws: np.random.Generator) -> bytes:
    """Left for right."""
    return jpeg(ImageOps.mirror(image))


def brighten(image: Image.Image, draws: np.random.Generator) -> bytes:
    """1.1 to 1.5 times as bright, clipped at white."""
    return jpeg(ImageEnhance.Brightness(image).enhance(draws.uniform(1.1, 1.5)))


KINDS = (re_encode, resize, brighten, crop, mirror)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """The bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def planted() -> list[str]:
    """200 flowers with one copy of each kind, originals in train and copies in test."""
    draws = np.random.default_rng(SEED)
    originals = sorted(FLOWERS.rglob("*.jpg"))
    chosen = [originals[row] for row in draws.choice(len(originals), PLANTED, replace=False)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = [f"{path},{path.parent.name},train" for path in originals]
        for number, path in enumerate(chosen):
            image = Image.open(path).convert("RGB")
            for kind in KINDS:
                (root / f"{kind.__name__}-{number}.jpg").write_bytes(kind(image, draws))
                rows.append(f"{kind.__name__}-{number}.jpg,{path.parent.name},test")
        (root / "manifest.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
        dataset, pairs, seconds = search(root / "manifest.csv", root / "cache")
        names = paths_of(dataset)
        source = {f"{kind.__name__}-{number}": path.stem for number, path in enumerate(chosen) for kind in KINDS}
        stems = [(Path(names[pair.a]).stem, Path(names[pair.b]).stem) for pair in pairs]
        found = {frozenset(pair) for pair in stems}
        false = [pair for pair in stems if source.get(pair[0], pair[0]) != source.get(pair[1], pair[1])]
        lines = ["| copy | planted | found with its original | recall |", "| --- | --- | --- | --- |"]
        for kind in KINDS:
            hits = sum(frozenset((f"{kind.__name__}-{n}", path.stem)) in found for n, path in enumerate(chosen))
            lines.append(f"| {kind.__name__}: {kind.__doc__} | {PLANTED} | {hits} | {hits / PLANTED:.3f} |")
    true = len(pairs) - len(false)
    return [
        "800 flowers, 200 of them with a copy of each kind in the other split.",
        "",
        *lines,
        "",
        f"Pairs reported: {len(pairs)}, among them copies of one another; of one picture: {true}; precision "
        f"{true / len(pairs):.4f}. Others: {false or 'none'}. {seconds:.0f} s.",
    ]


def dogs(sheets: Path | None) -> list[str]:
    """Every near-duplicate that is reported among the 4,800 dogs."""
    with tempfile.TemporaryDirectory() as cache:
        dataset, pairs, seconds = search(DOGS, Path(cache))
    names = paths_of(dataset)
    labels = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))
    if sheets:
        draw_sheets(pairs, names, sheets)
    stems = [" ".join(sorted(Path(names[id_]).stem for id_ in (pair.a, pair.b))) for pair in pairs]
    seen = sum(stem in SEEN_TO_BE_ONE for stem in stems)
    correlation = np.sort([pair.correlation for pair in pairs])
    two = sum(labels[pair.a] != labels[pair.b] for pair in pairs)
    return [
        f"4,800 dogs: {len(pairs)} pairs reported, {sum(pair.mirrored for pair in pairs)} of them mirrored, {two} with "
        f"two labels; least agreement {correlation[0]:.2f}, median {np.median(correlation):.2f}. {seconds:.0f} s.",
        "",
        f"Looked at on a contact sheet and seen to be one picture: {seen}; not so: {len(pairs) - seen}.",
        "",
        *(
            f"- {names[pair.a]} = {names[pair.b]} ({pair.correlation:.2f}{', mirrored' * pair.mirrored})"
            for pair in pairs
        ),
    ]


def labels() -> list[str]:
    """Wrong labels planted in 5% of the dogs."""
    draws = np.random.default_rng(SEED)
    files = sorted(DOGS.rglob("*.jpg"))
    classes = sorted({path.parent.name for path in files})
    wrong = set(draws.choice(len(files), round(WRONG * len(files)), replace=False).tolist())
    rows, truth = [], {}
    for row, path in enumerate(files):
        others = [name for name in classes if name != path.parent.name]
        given = others[draws.integers(len(others))] if row in wrong else path.parent.name
        rows.append(f"{path},{given}")
        truth[path.name] = path.parent.name
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.csv"
        manifest.write_text("\n".join(["path,label", *rows]) + "\n")
        begun = time.perf_counter()
        found = audit(manifest, AuditOptions(backbone=f"{VIT}={SHARED / 'weights' / f'{VIT}.safetensors'}")).labels
        seconds = time.perf_counter() - begun
    hits = sum(truth[Path(one.path).name] != one.label for one in found.suspects)
    right = sum(truth[Path(one.path).name] == one.suggested != one.label for one in found.suspects)
    # Which of the planted ones are in train and val follows from the seed; the share is that of what was judged.
    judged = round(len(wrong) * found.judged / len(files))
    first = sum(truth[Path(one.path).name] != one.label for one in found.suspects[:judged])
    return [
        f"4,800 dogs, {len(wrong)} with a wrong label ({WRONG:.0%}), features of {VIT}; {found.judged} labels of train "
        f"and val judged (about {judged} of them wrong), out-of-fold accuracy on the labels as given "
        f"{found.accuracy.value:.3f}.",
        "",
        f"Suspects: {len(found.suspects)}; planted among them {hits} (precision "
        f"{hits / max(len(found.suspects), 1):.3f}, recall {hits / judged:.3f}); of the first {judged} suspects "
        f"{first} are planted ({first / judged:.3f}); the label before is suggested for {right / max(hits, 1):.3f} of "
        "those found. "
        f"{seconds:.0f} s.",
    ]


def cost() -> list[str]:
    """What the search adds to the feature pass, in CPU time, which other work on the machine moves less."""
    lines = ["| images | grey copies, CPU s | rest of the search, CPU s | features, CPU s | added |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    lines += [cost_of("4,800 dogs", DOGS), cost_of("800 flowers", FLOWERS)]
    return [f"Beside the features of {VIT} alone, the cheapest backbone there is real weights for.", "", *lines]


def cost_of(name: str, folder: Path) -> str:
    """One row of the table."""
    dataset = load(open_source(folder))
    backbone = open_backbone(parse_spec(f"{VIT}={SHARED / 'weights' / f'{VIT}.safetensors'}"), progress=Silent())
    with tempfile.TemporaryDirectory() as cache:
        using = {"max_pixels": MAX_PIXELS, "resources": Resources(cache=Path(cache))}
        copies_s = cpu(lambda: make_grey_copies(dataset, **using))
        rest_s = cpu(lambda: find_near_duplicates(dataset, **using))
        features_s = cpu(lambda: extract(dataset, [backbone], **using))
    share = (copies_s + rest_s) / features_s
    return f"| {name} | {copies_s:.2f} | {rest_s:.2f} | {features_s:.1f} | {share:.1%} |"


def scale(rows: int = ROWS) -> list[str]:
    """100,000 grey copies searched and compared, and as many labels judged from their features."""
    draws = np.random.default_rng(SEED)
    copy_NSS = photographs(draws, rows)
    copies = draws.choice(rows // 2, 500, replace=False)
    noisy = copy_NSS[copies].astype(np.float32) + draws.normal(0, 2, (500, *copy_NSS.shape[1:]))
    copy_NSS[rows // 2 + copies] = np.clip(noisy, 0, 255).astype(np.uint8)
    examples, wrong = labelled_features(draws, rows)
    begun, begun_user = time.perf_counter(), user_seconds()
    pairs_P2 = propose(copy_NSS, threads=usable_cores(), advance=lambda rows: None)
    kept_P2, _ = compare_grey_copies(copy_NSS, pairs_P2, threads=usable_cores())
    searched_s = time.perf_counter() - begun
    found = {tuple(pair) for pair in kept_P2.tolist()}
    hits = sum((int(row), rows // 2 + int(row)) in found for row in copies)
    probability_NC = make_judge(examples, Silent())(examples.label_N)
    suspects = set(suspect_labels(probability_NC, examples.label_N).row_S.tolist())
    return [
        f"{rows:,} grey copies with the spectrum of photographs, 500 of them copied with noise: {len(pairs_P2):,} "
        f"pairs proposed, {len(kept_P2):,} left to the pixels, {hits} of the 500 among them, in {searched_s:.0f} s. "
        f"{rows:,} labels of {CLASSES} classes, {len(wrong):,} of them wrong, judged from features {WIDTH} wide: "
        f"{len(suspects):,} suspects, {len(suspects & wrong):,} of the wrong ones among them. Together "
        f"{time.perf_counter() - begun:.0f} s of clock, {user_seconds() - begun_user:.0f} s of CPU, peak memory "
        f"{peak_rss_bytes() / 2**30:.2f} GiB. Promised: under 2 minutes and 4 GiB.",
    ]


def labelled_features(draws: np.random.Generator, rows: int) -> tuple[Examples, set[int]]:
    """Features of as many classes round their centres, a fold in five to choose on, and which labels are wrong."""
    truth_N = draws.integers(0, CLASSES, rows)
    feature_ND = draws.normal(size=(rows, WIDTH)).astype(np.float32)
    feature_ND += 0.3 * draws.normal(size=(CLASSES, WIDTH)).astype(np.float32)[truth_N]
    wrong = draws.choice(rows, round(WRONG * rows), replace=False)
    label_N = truth_N.copy()
    label_N[wrong] = (label_N[wrong] + draws.integers(1, CLASSES, len(wrong))) % CLASSES
    number_N = np.arange(rows)
    fold_of = [np.flatnonzero(number_N % 5 == k) for k in range(5)]
    folds = tuple(Holdout(np.flatnonzero(number_N % 5 != k), fold_of[k], fold_of[(k + 1) % 5]) for k in range(5))
    ids = tuple(map(str, range(rows)))
    return Examples(ids, feature_ND, label_N, number_N, CLASSES, folds[:1], folds), set(wrong.tolist())


def photographs(draws: np.random.Generator, count: int, side: int = 32) -> np.ndarray:
    """Looks whose amplitude falls with frequency, as that of photographs does."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    falling = 1 / np.maximum(frequency, 1 / side)
    parts = []
    for start in range(0, count, 10_000):
        noise = draws.normal(size=(min(10_000, count - start), side, side)).astype(np.float32)
        drawn = np.fft.irfft2(np.fft.rfft2(noise) * falling, s=(side, side))
        drawn = (drawn - drawn.mean(axis=(1, 2), keepdims=True)) / drawn.std(axis=(1, 2), keepdims=True)
        parts.append(np.clip(128 + 50 * drawn, 0, 255).astype(np.uint8))
    return np.concatenate(parts)


def search(data: Path, cache: Path) -> tuple[Dataset, Sequence[NearPair], float]:
    """The near-duplicates of a data set and how long they took."""
    dataset = load(open_source(data))
    begun = time.perf_counter()
    near = find_near_duplicates(dataset, max_pixels=MAX_PIXELS, resources=Resources(cache=cache))
    return dataset, near.pairs, time.perf_counter() - begun


def paths_of(dataset: Dataset) -> dict[str, str]:
    """The first path of each example."""
    columns = (dataset.table.column(name).to_pylist() for name in ("id", "paths"))
    return {id_: paths[0] for id_, paths in zip(*columns, strict=True)}


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU in user mode."""
    begun = user_seconds()
    work()
    return user_seconds() - begun


def draw_sheets(pairs: Sequence[NearPair], names: dict[str, str], folder: Path, side: int = 150) -> None:
    """Contact sheets of pairs, the least certain first."""
    folder.mkdir(parents=True, exist_ok=True)
    order = sorted(pairs, key=lambda pair: pair.correlation)
    columns, rows = 4, 6
    for start in range(0, len(order), columns * rows):
        sheet = Image.new("RGB", (columns * (2 * side + 20), rows * (side + 26)), "white")
        pen = ImageDraw.Draw(sheet)
        for place, pair in enumerate(order[start : start + columns * rows]):
            left, top = place % columns * (2 * side + 20), place // columns * (side + 26)
            for offset, id_ in ((0, pair.a), (side + 4, pair.b)):
                sheet.paste(Image.open(DOGS / names[id_]).convert("RGB").resize((side, side)), (left + offset, top))
            text = f"{start + place} {pair.correlation:.3f} {pair.overlap:.2f}{' mirrored' * pair.mirrored}"
            pen.text((left, top + side + 4), text, fill="black")
        sheet.save(folder / f"dogs-{start // (columns * rows)}.png")


def main(arguments: Sequence[str] = ()) -> None:
    """Run the parts that are named, or all."""
    sheets = Path(arguments[arguments.index("--sheets") + 1]) if "--sheets" in arguments else None
    parts = {"planted": planted, "dogs": lambda: dogs(sheets), "labels": labels, "cost": cost, "scale": scale}
    for name in [name for name in parts if name in arguments] or list(parts):
        lines = parts[name]()
        print("\n".join(lines), flush=True)
        keep_chapter("duplicates", (__doc__ or "").splitlines()[0], name, lines)


if __name__ == "__main__":
    main(sys.argv[1:])
