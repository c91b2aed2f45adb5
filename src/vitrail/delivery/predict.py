"""Predictions for new images with a head that a run has chosen.

A head is of use only on the very features it was fitted on: the weights must be those of the run, and engine and
precision are the run's unless others are asked for. Images are decoded in threads while the network runs on as many
batches at once as its engine takes; only a few batches are in memory, however many images there are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones import Backbone, BackboneSpec, Engine, parse_spec
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.preprocess import to_pixels
from vitrail.core.ahead import in_order
from vitrail.core.errors import RunError, UsageError
from vitrail.core.machine import share_threads, usable_cores
from vitrail.core.progress import Progress, Silent
from vitrail.data import MAX_PIXELS, ImageRejected, SetAside, decode
from vitrail.data.sources.local import read_file, written
from vitrail.data.sources.walk import walk
from vitrail.delivery.reopen import reopen
from vitrail.heads import Head, load_head, probabilities
from vitrail.heads.refusal import RULES, Refusal, load_refusal
from vitrail.runs import RunRecord, load_run

TASK = "Predicting"
TOP = 5

Item = TypeVar("Item")
Done = TypeVar("Done")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What is said of one image. Where it could not be read, `error` says why and nothing else is known.

    `top` has the most probable classes, at most five, the answer first. `set` holds the true class as often as the run
    promised (90%), if the image is like the training images. Where `doubt` says why, the honest answer is "I do not
    know": the image looks like none of the training images, or no class is probable enough for the promised precision.
    """

    path: str
    label: str | None
    probability: float | None
    top: tuple[tuple[str, float], ...]
    error: str | None
    set: tuple[str, ...] = ()
    doubt: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """A backbone with the head that a run chose for it, and with its thresholds where the run has them.

    `sets` is the rule by which sets of classes are made, one of `vitrail.heads.refusal.RULES`. Images of more than
    `max_pixels` are not read; a run says how many it allowed.
    """

    backbone: Backbone = field(repr=False)
    engine: Engine = field(repr=False)
    head: Head = field(repr=False)
    threads: int
    refusal: Refusal | None = field(default=None, repr=False)
    sets: str = RULES[0]
    max_pixels: int = MAX_PIXELS
    progress: Progress = field(default_factory=Silent, repr=False)

    @classmethod
    def open(
        cls,
        folder: Path,
        backbone: str | BackboneSpec | None = None,
        *,
        engine: str | None = None,
        precision: str | None = None,
        sets: str = RULES[0],
        offline: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Open the head of a run and the backbone it belongs to.

        Args:
            folder: the folder of a finished run.
            backbone: "NAME" or "NAME=FILE"; where None the one that the run decided for, or its only one.
            engine: where this and precision are None, both are the run's own if this machine has them.
            precision: the same.
            sets: how sets of classes are made: "lac", "adaptive", or either with "-by-class".
            offline: never use the network.
            progress: hears of downloads and of every image.

        Returns:
            A predictor, ready. Where it cannot be had, the error is a RunError (no finished run), a UsageError (no such
            backbone, or none decided for) or a WeightsError (a damaged head, or not the weights of the run).
        """
        _require_rule(sets)
        run, progress = load_run(folder), progress or Silent()
        spec = _choose(run, backbone)
        head, origin = load_head(run.head_file(spec.name))
        _require_origin(origin, run.head_file(spec.name))
        refusal = _read_refusal(run.refusal_file(spec.name), head)
        threads = share_threads(usable_cores())
        chosen = (engine or "auto", precision or "auto") if engine or precision else _like_the_run(origin, progress)
        opened = reopen(
            run,
            spec,
            digest=origin["weights_sha256"],
            engine=chosen[0],
            precision=chosen[1],
            calibration=origin.get("calibration", ""),
            offline=offline,
            progress=progress,
        )
        started = opened.start(threads=threads.compute, pooling=origin.get("pooling"))
        return cls(
            backbone=opened,
            engine=started,
            head=head,
            threads=threads.decode,
            refusal=refusal,
            sets=sets,
            max_pixels=run.results.options.max_pixels,
            progress=progress,
        )

    def predict(self, paths: Iterable[str | Path]) -> list[Prediction]:
        """The prediction for every image, in order; a folder stands for all files under it."""
        return list(self.stream(paths))

    def stream(self, paths: Iterable[str | Path]) -> Iterator[Prediction]:
        """The same one by one, as soon as each batch is ready, in memory that does not grow with the images.

        Args:
            paths: image files, and folders of them.

        Yields:
            Prediction: one a file, in the order of the paths; files of a folder by name, before those of its folders.
        """
        decoders = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        computers = ThreadPoolExecutor(self.engine.streams, thread_name_prefix="compute")
        self.progress.start(TASK, total=None, unit="images")
        try:
            reads = in_order(decoders, self._read, _files(paths), ahead=self.engine.batch * (1 + self.engine.streams))
            batches = _batches(reads, self.engine.batch)
            for answers in in_order(computers, self._answer, batches, ahead=self.engine.streams):
                yield from answers
                self.progress.advance(TASK, len(answers))
        finally:
            computers.shutdown(cancel_futures=True)
            decoders.shutdown(cancel_futures=True)
            self.progress.done(TASK)

    def _read(self, file: Path | SetAside) -> "_Read":
        if isinstance(file, SetAside):
            return _Read(file.path, None, file.reason)
        path = written(str(file))
        if file.exists() and not file.is_file():
            return _Read(path, None, "it is no regular file")  # opening a pipe would wait for ever
        try:
            image = decode(read_file(file), max_pixels=self.max_pixels)
        except ImageRejected as error:
            return _Read(path, None, error.reason)
        except OSError as error:
            return _Read(path, None, f"it cannot be read: {error.strerror or type(error).__name__}")
        return _Read(path, to_pixels(image, self.backbone.card.preprocessing), None)

    def _answer(self, batch: Sequence["_Read"]) -> list[Prediction]:
        readable = [read.pixels for read in batch if read.pixels is not None]
        answers = iter(self._answers(self.engine(np.stack(readable))) if readable else ())
        return [
            Prediction(path=read.path, label=None, probability=None, top=(), error=read.reason)
            if read.pixels is None
            else replace(next(answers), path=read.path)
            for read in batch
        ]

    def _answers(self, feature_ND: NDArray[np.float32]) -> list[Prediction]:
        """One prediction a row, with what the thresholds say of it; the path is the caller's to fill in."""
        probability_NC = probabilities(self.head, feature_ND)
        answers = [_prediction(probability_C, self.head.classes) for probability_C in probability_NC]
        if self.refusal is None:
            return answers
        set_NC = self.refusal.sets(probability_NC, self.sets)
        doubts = _doubts(self.refusal, probability_NC, feature_ND)
        return [
            replace(one, set=tuple(self.head.classes[int(c)] for c in np.flatnonzero(set_C)), doubt=doubt)
            for one, set_C, doubt in zip(answers, set_NC, doubts, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Read:
    """One file, decoded and cropped to rows x columns x 3, or the reason why it is not."""

    path: str
    pixels: NDArray[np.uint8] | None
    reason: str | None


def _require_rule(sets: str) -> None:
    if sets not in RULES:
        raise UsageError(f"There is no rule {sets!r} for sets of classes: choose {', '.join(RULES)}.")


def _choose(run: RunRecord, backbone: str | BackboneSpec | None) -> BackboneSpec:
    names = [one.name for one in run.results.backbones]
    if backbone is None:
        taken = names[0] if len(names) == 1 else run.results.decision.choose
        if taken is None:
            raise UsageError(f"The run {run.folder} decided for no backbone: say which with -b, {' or '.join(names)}.")
        return BackboneSpec(name=taken)
    spec = parse_spec(backbone) if isinstance(backbone, str) else backbone
    return BackboneSpec(name=run.backbone(spec.name).name, file=spec.file)


def _require_origin(origin: Mapping[str, str], file: Path) -> None:
    missing = [key for key in ("weights_sha256", "engine", "precision") if not origin.get(key)]
    if missing:
        raise RunError(
            f"The head {file} does not say on which features it was fitted ({', '.join(missing)} missing), "
            "so that nothing can be predicted with it. Make the run again."
        )


def _read_refusal(file: Path, head: Head) -> Refusal | None:
    """The thresholds of a head; None in the runs of versions that had none."""
    if not file.exists():
        return None
    return load_refusal(file, features=len(head.scaling.mean_D), classes=len(head.classes))


def _like_the_run(origin: Mapping[str, str], progress: Progress) -> tuple[str, str]:
    """Engine and precision of the run; "auto" where this machine has them not, which is said."""
    engine, precision = origin["engine"], origin["precision"]
    try:
        choose_engine(engine, precision)
    except UsageError:
        progress.note(f"The run used {engine} {precision}, which is not here: probabilities may differ a little.")
        return "auto", "auto"
    return engine, precision


def _files(paths: Iterable[str | Path]) -> Iterator[Path | SetAside]:
    """Every file that is meant; a folder means all below it but clutter, its own files first."""
    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        for found in walk(path, ()):
            if isinstance(found, SetAside):
                yield SetAside(path=f"{written(str(path))}/{found.path}", reason=found.reason)
            else:
                yield path.joinpath(*found)


def _batches(reads: Iterator[_Read], size: int) -> Iterator[list[_Read]]:
    while batch := list(islice(reads, size)):
        yield batch


def _prediction(probability_C: NDArray[np.float64], classes: Sequence[str]) -> Prediction:
    order = np.argsort(-probability_C, kind="stable")[:TOP]
    top = tuple((classes[int(c)], float(probability_C[c])) for c in order)
    return Prediction(path="", label=top[0][0], probability=top[0][1], top=top, error=None)


def _doubts(refusal: Refusal, probability_NC: NDArray[np.float64], feature_ND: NDArray[np.float32]) -> list[str | None]:
    """Why each row should not be answered, or None."""
    strange_N, sure_N = refusal.strange(feature_ND), refusal.sure(probability_NC)
    unsure = f"less sure than the {refusal.confidence or 0:.1%} that answers right in {refusal.precision:.0%} ask for"
    return [
        "unlike any training image" if strange else None if sure else unsure
        for strange, sure in zip(strange_N.tolist(), sure_N.tolist(), strict=True)
    ]
