"""A short trial of the engines and precisions of a machine with one network: the fastest that keeps its features.

Each engine takes turns with the best one before it and is judged by its fastest turn. On a processor a turn is timed in
CPU seconds, shared out over its threads: other work on the machine, even several times as much as it has cores, hardly
changes them, so that a trial on a busy machine does not choose badly. A GPU is timed by the clock. At most two networks
are in memory at once. CPU seconds do not show cores that an engine leaves idle, as torch may where many share a batch.

The parity rule: a precision may be chosen if the features of eight real images have a cosine of at least PARITY_COSINE
to those of torch in float32, in every pooling. The images are crops of the two photographs that come with scikit-learn,
the same on every machine, so that a choice depends on the network and the machine and not on the data set that it was
first used with. What a precision changes on the user's own images is measured in every run (`candidates/parity.py`).

Letters: N images, H rows, W columns, C channels; P components of a pooling, D features of one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.backbones.backbone import Backbone
from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.engines import Engine, EngineChoice, EngineTrial, TriedEngine, choose_engine
from vitrail.backbones.poolings import components_of, join_poolings
from vitrail.backbones.preprocess import to_pixels
from vitrail.core.errors import VitrailError
from vitrail.core.machine import describe_machine

PARITY_COSINE = 0.999  # bf16 keeps 0.9995 on real weights (benchmarks/engine_trial_*), int8 0.988 (forward_*)
NEAR = 0.9  # of the fastest: the first engine of the list that reaches this is chosen, so that noise decides little
ROUNDS = 4  # turns of each engine
TURN_S = 0.05  # a turn takes at least this long
HOPELESS = 0.7  # of the fastest: an engine that is slower after its first turn has no more of them
SLOW_S, HOPELESS_AT_ONCE = 1.0, 0.25  # the same without any turn, after a call that took so long; it pays for a start


@dataclass(frozen=True, slots=True)
class _Running:
    place: int  # in the list of choices
    engine: Engine
    cores: int  # their CPU seconds are counted; 0 for a GPU, which is timed by the clock

    def read_clock(self) -> float:
        """Seconds from some moment on."""
        return time.process_time() / self.cores if self.cores else time.perf_counter()


def try_engines(
    backbone: Backbone, choices: Sequence[EngineChoice], *, threads: int
) -> tuple[EngineChoice, EngineTrial]:
    """Measure the engines and choose one.

    Args:
        backbone: the network and its weights.
        choices: as `list_engines` gives them, the default first.
        threads: the cores that each may use.

    Returns:
        The choice with the figures of all; it is the default if no engine keeps the features.

    Raises:
        WeightsError: the weights do not fit the network.
    """
    begun = time.perf_counter()
    pixel_NHWC = sample_pixels(backbone.card.preprocessing)
    exact_NPD = _compute(
        _start(backbone, choose_engine("torch", "fp32"), threads, len(pixel_NHWC)), backbone, pixel_NHWC
    )
    tried: list[TriedEngine] = []
    best: _Running | None = None
    for choice in choices:
        best = _try_next(backbone, choice, threads, pixel_NHWC, exact_NPD, tried, best)
    trial = EngineTrial(
        processor=describe_machine().gpu or describe_machine().cpu,
        threads=threads,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - begun,
        tried=tuple(tried),
    )
    return choices[pick(tried)], trial


def pick(tried: Sequence[TriedEngine]) -> int:
    """The place of the first engine that is about as fast as the fastest; 0 if none may be chosen."""
    rates = [0.0 if engine.fault else engine.images_per_s or 0.0 for engine in tried]
    return next((place for place, rate in enumerate(rates) if rate >= NEAR * max(rates)), 0)


def measure_rate(engine: Engine, pixel_NHWC: NDArray[np.uint8], *, cores: int) -> float:
    """Images a second of an engine's fastest turn, timed by the CPU seconds of its cores, or by the clock if 0."""
    running = _Running(0, engine, cores)
    engine(pixel_NHWC)  # the first call also allocates memory
    return max(_rate(running, pixel_NHWC) for _ in range(ROUNDS))


def trial_in_words(trial: EngineTrial) -> str:
    """The choice and the figures of all, the fastest first; it may follow "runs on"."""
    chosen = trial.tried[pick(trial.tried)]
    order = sorted(trial.tried, key=lambda engine: (engine is not chosen, -(engine.images_per_s or 0.0)))
    first, *rest = (_in_words(engine) for engine in order)
    cores = f"{trial.threads} thread{'s' * (trial.threads != 1)}"
    measured = f"measured in {trial.seconds:.1f} s on {trial.processor} with {cores}, {trial.created[:10]}"
    return f"{first}{'; ' * bool(rest)}{', '.join(rest)} ({measured})"


def _in_words(engine: TriedEngine) -> str:
    if engine.fault:
        return f"{engine.name} {engine.precision} cannot be used because {engine.fault}"
    rate = engine.images_per_s or 0.0
    return f"{engine.name} {engine.precision} at {rate:{',.0f' if rate >= 100 else '.3g'}} images/s"


def sample_pixels(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Eight real images as a network takes them: both photographs of scikit-learn, and three crops of each."""
    from sklearn.datasets import load_sample_images

    pixels = []
    for array in load_sample_images().images:
        image = Image.fromarray(array)
        width, height = image.size
        left, right = (0, 0, width // 2, height), (width // 2, 0, width, height)
        centre = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
        pixels += [to_pixels(part, preprocessing) for part in (image, *map(image.crop, (left, right, centre)))]
    return np.stack(pixels)


def least_cosine(feature_NPD: NDArray[np.float32], exact_NPD: NDArray[np.float32]) -> float:
    """The least cosine between features of the same images, over images and components; NaN if one is not finite."""
    one_NPD, other_NPD = feature_NPD.astype(np.float64), exact_NPD.astype(np.float64)
    norm_NP = np.linalg.norm(one_NPD, axis=-1) * np.linalg.norm(other_NPD, axis=-1)
    return float(((one_NPD * other_NPD).sum(axis=-1) / np.where(norm_NP == 0, 1, norm_NP)).min())


def _try_next(
    backbone: Backbone,
    choice: EngineChoice,
    threads: int,
    pixel_NHWC: NDArray[np.uint8],
    exact_NPD: NDArray[np.float32],
    tried: list[TriedEngine],
    best: _Running | None,
) -> _Running | None:
    """Add a choice to those tried, update the rate of the best one so far, and return the better of the two."""
    row = TriedEngine(name=choice.name, precision=choice.precision, device=choice.device)
    tried.append(row)
    try:
        engine = _start(backbone, choice, threads)
        running = _Running(len(tried) - 1, engine, threads if choice.device == "cpu" else 0)
        begun = running.read_clock()
        feature_NPD = _compute(engine, backbone, pixel_NHWC)
        first_s = running.read_clock() - begun
    except (VitrailError, RuntimeError) as error:  # no memory, or an operation that this engine does not have
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        tried[-1] = replace(row, fault=f"it failed: {reason}")
        return best
    cosine = least_cosine(feature_NPD, exact_NPD)
    tried[-1] = row = replace(row, cosine=cosine if np.isfinite(cosine) else None)
    if not cosine >= PARITY_COSINE:
        tried[-1] = replace(row, fault=f"its features differ too much from those in float32 (cosine {cosine:.4f})")
        return best
    computed = -(-len(pixel_NHWC) // engine.batch) * engine.batch  # a batch that is not full takes as long
    first_rate = computed / first_s
    if best and first_s > SLOW_S and first_rate < HOPELESS_AT_ONCE * (tried[best.place].images_per_s or 0.0):
        tried[-1] = replace(row, images_per_s=first_rate)
        return best
    pair = [running] if best is None else [best, running]
    rates = _take_turns(pair, pixel_NHWC)
    for each, rate in zip(pair, rates, strict=True):
        tried[each.place] = replace(tried[each.place], images_per_s=max(rate, tried[each.place].images_per_s or 0.0))
    return running if pick(tried) == running.place else pair[0]


def _take_turns(pair: Sequence[_Running], pixel_NHWC: NDArray[np.uint8]) -> list[float]:
    """Images a second of each engine's fastest turn; the last one may be found hopeless."""
    rates = [0.0] * len(pair)
    for turn in range(ROUNDS):
        for place, running in enumerate(pair):
            rates[place] = max(rates[place], _rate(running, pixel_NHWC))
        if turn == 0 and rates[-1] < HOPELESS * max(rates):
            break
    return rates


def _rate(running: _Running, pixel_NHWC: NDArray[np.uint8]) -> float:
    """Images a second of one turn, in which each stream runs at least one batch."""
    engine = running.engine
    pixel_BHWC = pixel_NHWC[np.arange(engine.batch * engine.streams) % len(pixel_NHWC)]
    begun, seconds, images = running.read_clock(), 0.0, 0
    while seconds < TURN_S:
        engine(pixel_BHWC)
        images += len(pixel_BHWC)
        seconds = running.read_clock() - begun
    return images / seconds


def _start(backbone: Backbone, choice: EngineChoice, threads: int, batch: int | None = None) -> Engine:
    return replace(backbone, engine=choice).start(threads=threads, pooling=_pooling(backbone), batch=batch)


def _compute(engine: Engine, backbone: Backbone, pixel_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    feature_ND = engine(pixel_NHWC)
    return feature_ND.reshape(len(feature_ND), len(components_of(_pooling(backbone))), -1)


def _pooling(backbone: Backbone) -> str:
    """Everything that a row of the store holds."""
    return join_poolings((backbone.card.pooling, *backbone.card.poolings))
