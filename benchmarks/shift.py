"""How often signs of a shift are false or missed, and how often intervals of slices and of new values hold.

    python -m benchmarks.shift [DRAWS]      (1,000 draws by default; images and weights in ../shared for real features)

Test and training are drawn alike, or from flowers that are darker, blurred, or of a class that training lacks; the
features are resnet18's of ../shared. Coverage is measured where the truth is known: accuracies of values, and of values
that are drawn anew. Writes benchmarks/shift_<hardware>_<yyyymm>.md.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.results import machine_line, write_results
from vitrail.api import extract_features
from vitrail.data import open_source
from vitrail.data.deal import deal
from vitrail.data.out_of_fold import OutOfFold
from vitrail.evaluation.new_values import difference_by_value
from vitrail.evaluation.shift import compare_shares, judge_shift
from vitrail.evaluation.slices import judge_slices
from vitrail.statistics.clustered import exact_rate
from vitrail.statistics.two_samples import tell_apart

# Letters: N images, G groups, V values.

DRAWS = 1_000
LEVEL = 0.95
TEST, LEARNT = 100, 300  # images that features are compared of
PERMUTATIONS = 199  # of one draw here; a run makes 999
SHARED = Path(__file__).resolve().parents[2] / "shared"
WEIGHTS = "resnet18.tv_in1k=" + str(SHARED / "weights" / "resnet18.pqf_in1k.safetensors")
Draw = Callable[[np.random.Generator], bool]


def main() -> None:
    """Measure, and write the tables beside this file."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else DRAWS
    lines = [*(__doc__ or "").split("\n\n")[0:2], "", machine_line(), "", f"{draws:,} draws of each row.", ""]
    for line in measure(draws):
        print(line, flush=True)
        lines.append(line)
    write_results("shift", lines)


def measure(draws: int) -> Iterator[str]:
    """Every row of every table."""
    yield "| sign of a shift | drawn | promised | given in | seconds |"
    yield "| --- | --- | --- | --- | --- |"
    rows: list[tuple[str, str, str, Draw]] = [
        ("accuracy below", "alike", "<= 5%", draw_accuracy(group=1)),
        ("accuracy below", "alike, groups of 4", "<= 5%", draw_accuracy(group=4)),
        ("accuracy below", "test 8 points worse", "power", draw_accuracy(group=1, loss=0.08)),
        ("class shares", "alike", "<= 5%", draw_shares(group=1)),
        ("class shares", "alike, groups of 4", "<= 5%", draw_shares(group=4)),
        ("class shares", "one class in ten halved", "power", draw_shares(group=1, halved=True)),
    ]
    if SHARED.is_dir():
        rows += list(rows_of_features())
    for sign, how, promised, draw in rows:
        share, seconds = _measure(draw, draws)
        yield f"| {sign} | {how} | {promised} | {share} | {seconds} |"
    yield ""
    yield "| intervals | data | promised | hold in | seconds |"
    yield "| --- | --- | --- | --- | --- |"
    for name, how, draw in rows_of_coverage():
        share, seconds = _measure(draw, draws)
        yield f"| {name} | {how} | {100 * LEVEL:.0f}% | {share} | {seconds} |"


def _measure(draw: Draw, draws: int) -> tuple[str, str]:
    start = time.perf_counter()
    happened = np.array([draw(np.random.default_rng([7, number])) for number in range(draws)], dtype=float)
    error = 2 * happened.std() / np.sqrt(draws)
    return f"{100 * happened.mean():.1f} ± {100 * error:.1f}%", f"{time.perf_counter() - start:.0f}"


def rows_of_features() -> Iterator[tuple[str, str, str, Draw]]:
    """Comparisons of real features: of all flowers as they are, darker and blurred."""
    source = open_source(SHARED / "data" / "flowers_original")
    files = [file for file in source.list_files() if hasattr(file, "label")]
    images = [Image.open(SHARED / "data" / "flowers_original" / file.path).convert("RGB") for file in files]
    label_N = np.unique([file.label for file in files], return_inverse=True)[1]
    plain_ND = extract_features(images, WEIGHTS, offline=True)
    darker_ND = extract_features(
        [ImageEnhance.Brightness(image).enhance(0.7) for image in images], WEIGHTS, offline=True
    )
    blurred_ND = extract_features(
        [image.filter(ImageFilter.GaussianBlur(image.height / 150)) for image in images], WEIGHTS, offline=True
    )
    group_N = group_neighbours(plain_ND)
    alone_N = np.arange(len(plain_ND))

    def draw_random(number_N: NDArray[np.int64], test_ND: NDArray[np.float32]) -> Draw:
        def draw(generator: np.random.Generator) -> bool:
            order = np.argsort(generator.permutation(int(number_N.max()) + 1)[number_N], kind="stable")
            cut = _end_of_group(number_N[order], TEST)
            end = _end_of_group(number_N[order], TEST + LEARNT)
            test, learnt = order[:cut], order[cut:end]
            return _alarm(test_ND[test], plain_ND[learnt], number_N[np.concatenate([test, learnt])], generator)

        return draw

    def draw_dealt(number_N: NDArray[np.int64]) -> Draw:
        def draw(generator: np.random.Generator) -> bool:
            order = generator.permutation(len(plain_ND))[: TEST + LEARNT]
            groups = [str(number) for number in number_N[order]]
            side_N = deal(label_N[order], groups, [TEST / len(order), LEARNT / len(order)])
            test, learnt = order[side_N == 0], order[side_N == 1]
            return _alarm(plain_ND[test], plain_ND[learnt], number_N[np.concatenate([test, learnt])], generator)

        return draw

    def draw_without_class(generator: np.random.Generator) -> bool:
        absent = generator.integers(label_N.max() + 1)
        others = generator.permutation(np.flatnonzero(label_N != absent))
        new = generator.permutation(np.flatnonzero(label_N == absent))[: TEST // 4]
        test, learnt = np.concatenate([new, others[: TEST - len(new)]]), others[TEST : TEST + LEARNT]
        return _alarm(plain_ND[test], plain_ND[learnt], np.arange(len(test) + len(learnt)), generator)

    yield "features", "alike", "<= 5%", draw_random(alone_N, plain_ND)
    yield "features", "alike, groups of 4", "<= 5%", draw_random(group_N, plain_ND)
    yield "features", "alike, stratified by class", "<= 5%", draw_dealt(alone_N)
    yield "features", "alike, stratified, groups of 4", "<= 5%", draw_dealt(group_N)
    yield "features", "test darker by 30%", "power", draw_random(alone_N, darker_ND)
    yield "features", "test blurred", "power", draw_random(alone_N, blurred_ND)
    yield "features", "a quarter of the test of a class that training lacks", "power", draw_without_class


def _alarm(
    test_ND: NDArray[np.float32],
    learnt_ND: NDArray[np.float32],
    group_N: NDArray[np.int64],
    generator: np.random.Generator,
) -> bool:
    first_N = np.arange(len(test_ND) + len(learnt_ND)) < len(test_ND)
    rows = np.concatenate([test_ND, learnt_ND])
    return tell_apart(rows, first_N, group_N, generator=generator, permutations=PERMUTATIONS).p_value < 1 - LEVEL


def group_neighbours(feature_ND: NDArray[np.float32], size: int = 4) -> NDArray[np.int64]:
    """Groups of an image and those most like it that are in no group yet."""
    unit_ND = feature_ND / np.linalg.norm(feature_ND, axis=1, keepdims=True)
    group_N = np.full(len(unit_ND), -1)
    for row in range(len(unit_ND)):
        if group_N[row] < 0:
            free = np.flatnonzero(group_N < 0)
            group_N[free[np.argsort(-(unit_ND[free] @ unit_ND[row]), kind="stable")[:size]]] = row
    return np.unique(group_N, return_inverse=True)[1].reshape(-1)


def _end_of_group(number_N: NDArray[np.int64], at_least: int) -> int:
    """The first place from `at_least` on where another group begins."""
    starts = np.flatnonzero(np.diff(number_N)) + 1
    return int(starts[np.searchsorted(starts, at_least)]) if len(starts) and starts[-1] >= at_least else len(number_N)


def draw_accuracy(*, group: int, loss: float = 0.0) -> Draw:
    """200 test images beside 800 training images, an accuracy of 80% that varies between groups."""

    def draw(generator: np.random.Generator) -> bool:
        right_N, group_N = _answers(generator, 200, group, 0.8 - loss)
        learnt_right, learnt_group = _answers(generator, 800, group, 0.8)
        learnt = OutOfFold(label_N=np.zeros(800, np.int64), group_N=learnt_group, right_N=learnt_right)
        grouped = None if group == 1 else group_N
        return judge_shift(right_N, grouped, learnt, None, backbones=1, level=LEVEL).kept == "below"

    return draw


def _answers(
    generator: np.random.Generator, n: int, group: int, accuracy: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Right or wrong, with an accuracy for each group from a Beta distribution of that mean (all alike if alone)."""
    rate_G = generator.beta(2 * accuracy, 2 * (1 - accuracy), n // group)
    group_N = np.repeat(np.arange(n // group), group)
    rate_N = rate_G[group_N] if group > 1 else np.full(n, accuracy)
    return generator.random(n) < rate_N, group_N


def draw_shares(*, group: int, halved: bool = False) -> Draw:
    """200 test images beside 800 training images of ten classes; a group is of one class."""

    def draw(generator: np.random.Generator) -> bool:
        test_N = np.repeat(generator.integers(0, 10, 200 // group), group)
        learnt_N = np.repeat(generator.integers(0, 10, 800 // group), group)
        if halved:
            half_N = (test_N == 0) & (generator.random(len(test_N)) < 0.5)
            test_N[half_N] = generator.integers(1, 10, int(half_N.sum()))
        learnt = OutOfFold(
            label_N=learnt_N, group_N=np.repeat(np.arange(800 // group), group), right_N=np.ones(800, dtype=bool)
        )
        grouped = None if group == 1 else np.repeat(np.arange(200 // group), group)
        return compare_shares(test_N, grouped, learnt, generator=generator, level=LEVEL).differ

    return draw


def rows_of_coverage() -> Iterator[tuple[str, str, Draw]]:
    """Slices of three columns, and differences between known and new values."""
    for group in (1, 4):
        how = "300 images, columns of 2, 5 and 8 values" + (f", groups of {group}" if group > 1 else "")
        yield "accuracies of all slices together", how, draw_slices(group, differences=False)
        yield "differences to the rest together", how, draw_slices(group, differences=True)
    for values in (2, 3, 5, 10, 30):
        for effect in (0.0, 0.1):
            how = f"{values} values of 10 to 100 images, loss {'the same' if not effect else 'varying by 10 points'}"
            yield "known less new", how, draw_new_values(values, effect)
    for values in (3, 10):
        yield (
            "accuracy on new values",
            f"{values} values, varying by 10 points",
            draw_new_values(values, 0.1, rate=True),
        )


def draw_slices(group: int, *, differences: bool) -> Draw:
    """Whether all intervals of one backbone hold; the accuracy depends on the values of three columns."""
    counts = (2, 5, 8)
    n = 300

    def draw(generator: np.random.Generator) -> bool:
        groups = n // group
        value_GC = np.stack([generator.choice(count, groups, p=_shares(count)) for count in counts], axis=1)
        effects = [np.linspace(-0.15, 0.05, count) for count in counts]
        grid = np.stack(np.meshgrid(*(np.arange(count) for count in counts), indexing="ij"), axis=-1).reshape(-1, 3)
        weight = np.prod([_shares(count)[grid[:, c]] for c, count in enumerate(counts)], axis=0)

        def mean_accuracy(rows: NDArray[np.int64]) -> NDArray[np.float64]:
            return 0.85 + sum(effects[c][rows[:, c]] for c in range(3))

        rate_G = np.clip(mean_accuracy(value_GC), 0.01, 0.99)
        if group > 1:
            rate_G = generator.beta(4 * rate_G, 4 * (1 - rate_G))
        group_N = np.repeat(np.arange(groups), group)
        right_N = generator.random(n) < rate_G[group_N]
        columns = {str(c): [str(value) for value in value_GC[group_N, c]] for c in range(3)}
        truth = np.clip(mean_accuracy(grid), 0.01, 0.99)
        for one in judge_slices(right_N, columns, None if group == 1 else group_N, level=LEVEL):
            here = grid[:, int(one.column)] == int(one.value or 0)
            inside, outside = (np.average(truth[part], weights=weight[part]) for part in (here, ~here))
            interval, true = (one.below_rest, outside - inside) if differences else (one.top1, inside)
            if interval is not None and not interval.low - 1e-12 <= true <= interval.high + 1e-12:
                return False
        return True

    return draw


def _shares(count: int) -> NDArray[np.float64]:
    share = 1 / np.arange(1, count + 1)
    return share / share.sum()


def draw_new_values(values: int, effect: float, *, rate: bool = False) -> Draw:
    """Whether the interval holds the mean loss of further values: 90% if known, 82% on average if new."""

    def draw(generator: np.random.Generator) -> bool:
        size_V = generator.integers(10, 101, values)
        value_N = np.repeat(np.arange(values), size_V)
        loss_V = 0.08 + effect * np.clip(generator.normal(size=values), -2, 2) * 0.8  # at most 24 points either way
        known_N = generator.random(len(value_N)) < 0.9
        new_rate_N = np.clip(0.9 - loss_V, 0, 1)[value_N]
        # Seven in ten images get the answer from the same draw, so that both heads mostly agree.
        shared = generator.random(len(value_N))
        known_N = shared < 0.9
        new_N = np.where(generator.random(len(value_N)) < 0.7, shared, generator.random(len(value_N))) < new_rate_N
        if rate:
            interval, true = exact_rate(new_N, value_N, LEVEL), MEAN_NEW
        else:
            interval, true = (
                difference_by_value(known_N, new_N, value_N, level=LEVEL),
                0.9 - (MEAN_NEW if effect else 0.82),
            )
        return bool(interval.low <= true <= interval.high)

    return draw


def _mean_new() -> float:
    loss = 0.08 + 0.1 * np.clip(np.random.default_rng(0).normal(size=2_000_000), -2, 2) * 0.8
    return float(np.clip(0.9 - loss, 0, 1).mean())


MEAN_NEW = _mean_new()

if __name__ == "__main__":
    main()
