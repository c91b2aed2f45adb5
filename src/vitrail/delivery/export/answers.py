"""The answers to the test images of a run: from torch in float32, and from a model folder in a process of its own.

`Reference` has the first, and all else that an export is compared with.

Letters: N test images.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from vitrail.core.bounded import parse_json
from vitrail.core.errors import DataError, RunError, UsageError
from vitrail.core.progress import Progress, running
from vitrail.core.resources import Resources
from vitrail.data import Source, read_example
from vitrail.data.images import decode_for
from vitrail.data.named import open_data
from vitrail.data.sources import is_url
from vitrail.data.sources.digits import DigitsSource
from vitrail.delivery.answer import DATA, data_of
from vitrail.delivery.export import measure
from vitrail.delivery.export.certificate import Answers
from vitrail.delivery.export.network import Classifier
from vitrail.features.stream import Network, Stream
from vitrail.heads import probabilities
from vitrail.heads.bank import neighbour_distance
from vitrail.runs import RunRecord
from vitrail.runs.receipt import read_receipt

TORCH_TASK, FOLDER_TASK = "Answering with torch", "Answering with the export"
MOST_WORDS = 2000  # characters of what a process printed before it failed


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFiles:
    """The files of images of a run; `paths` has the path of each id."""

    source: Source
    ids: Sequence[str]
    paths: dict[str, str]

    def read(self, example: str) -> bytes:
        """The bytes of an image: those that the run had, and no others.

        Raises:
            DataError: they cannot be read, or have changed since the run.
        """
        path = self.paths[example]
        try:
            return read_example(self.source, path, example)
        except OSError as error:
            raise DataError(
                f"The image {path} of the run cannot be read ({error.strerror or type(error).__name__}), and an export "
                "needs it: give the images of the run with --data."
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The answers of a model folder, with the facts that `measure.py` wrote."""

    answers: Answers
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What exports of a backbone are compared with: its run, and the answers of its network on torch in float32.

    `digest` is that of the run's receipt.
    """

    run: RunRecord
    digest: str
    classifier: Classifier
    test: ImageFiles
    torch: Answers

    @property
    def max_pixels(self) -> int:
        """Images with more pixels were not read in the run."""
        return self.run.results.options.max_pixels

    @property
    def train(self) -> ImageFiles:
        """The train images, which lie where the test images do."""
        examples = self.run.examples()
        ids = [example for example, split in zip(examples.ids, examples.splits, strict=True) if split == "train"]
        return replace(self.test, ids=ids)

    @classmethod
    def answer(cls, run: RunRecord, classifier: Classifier, data: str | None, resources: Resources) -> Self:
        """Find the test images of a run, and answer them with torch.

        Args:
            run: as `load_run` gives it.
            classifier: a backbone of the run.
            data: the images of the run; None for those that its command names.
            resources: how they may be read.

        Raises:
            UsageError: the images are not there.
            DataError: a test image cannot be read, or can no longer be decoded.
        """
        test = open_test_files(run, run.predictions(classifier.result.name).ids, data, resources)
        max_pixels = run.results.options.max_pixels
        return cls(
            run=run,
            digest=read_receipt(run.folder).digest,
            classifier=classifier,
            test=test,
            torch=answer_with_torch(classifier, test, max_pixels=max_pixels, resources=resources),
        )


def open_test_files(run: RunRecord, ids: Sequence[str], data: str | None, resources: Resources) -> ImageFiles:
    """Find the test images of a run, in the order of its predictions.

    Args:
        run: a run may be a stranger's, so nothing is downloaded because its command says so.
        ids: the test images.
        data: the images of the run; None for those that its command names.
        resources: how they may be read.

    Raises:
        UsageError: the command does not say where the images are, or names a URL, or they are not there.
    """
    paths = run.paths()
    named = data or data_of(run.results.command)
    digits = DigitsSource()
    if named == DATA and run.results.data.name == digits.name:
        listed = {file.path for file in digits.list_files()}
        if listed.issuperset(paths[example] for example in ids):
            return ImageFiles(source=digits, ids=ids, paths=paths)
    if named == DATA or (data is None and is_url(named)):
        raise UsageError(f"The export is checked on the test images of {run.folder}: say with --data where they are.")
    if data is not None:
        return ImageFiles(source=open_data(data, resources), ids=ids, paths=paths)
    try:
        return ImageFiles(source=open_data(named, replace(resources, offline=True)), ids=ids, paths=paths)
    except UsageError as error:
        raise UsageError(
            f"The export is checked on the test images of {run.folder}, and they are not at {named}, where its command "
            "had them: say with --data where they are."
        ) from error


def answer_with_torch(classifier: Classifier, files: ImageFiles, *, max_pixels: int, resources: Resources) -> Answers:
    """The answers of the network that was exported, on torch in float32.

    Raises:
        DataError: a test image cannot be read, or can no longer be decoded.
    """
    threads = resources.threads
    engine = classifier.backbone.start(threads=threads.compute, pooling=classifier.pooling)
    network = Network.of(classifier.backbone, engine)
    stream = Stream(
        ((example, [network]) for example in files.ids),
        [network],
        lambda example, sides: decode_for(files.read(example), sides, max_pixels=max_pixels),
        decode_threads=threads.decode,
    )
    rows = []
    with running(resources.progress, TORCH_TASK, total=len(files.ids), unit="images"), closing(iter(stream)) as batches:
        for batch in batches:
            for example, reason in zip(batch.items, batch.reasons, strict=True):
                if reason is not None:
                    raise DataError(f"The test image {files.paths[example]} was decoded in the run, but now: {reason}.")
            rows.append(batch.feature_BD)
            resources.progress.advance(TORCH_TASK, len(batch.items))
    feature_ND = np.concatenate(rows)
    return Answers(
        probability_NC=probabilities(classifier.head, feature_ND),
        distance_N=neighbour_distance(feature_ND, classifier.refusal.bank_BD, classifier.refusal.neighbours),
    )


def answer_with_folder(folder: Path, files: ImageFiles, *, resources: Resources, whole_image: bool = False) -> Measured:
    """The answers of a model folder to the bytes of the files, in a process that imports nothing of Vitrail.

    Args:
        folder: its model, example and preprocessing must be there.
        files: the images.
        resources: its cores are those of the process.
        whole_image: whether the model that takes whole images answers, instead of the one that takes crops.

    Raises:
        RunError: the process failed.
    """
    cores = resources.threads.compute
    with tempfile.TemporaryDirectory(prefix="vitrail-") as temporary:
        answers, words = Path(temporary) / "answers.npz", Path(temporary) / "words.txt"
        command = [sys.executable, measure.__file__, str(folder), str(answers), str(cores)]
        command += ["whole-image"] if whole_image else []
        with words.open("wb") as printed:
            code = _run_on_files(command, files, printed, resources.progress)
        if code:
            lines = words.read_text(encoding="utf-8", errors="replace")[-MOST_WORDS:].strip().splitlines()
            text = lines[-1] if lines else f"exit status {code}"
            raise RunError(
                f"The exported model could not answer the test images, so nothing was exported. It ended with: {text}"
            )
        with np.load(answers) as arrays:
            probability_NC, distance_N = (arrays[name].astype(np.float64) for name in ("probability_NC", "distance_N"))
            facts = parse_json(str(arrays["facts"]))
    if not len(probability_NC) == len(distance_N) == len(files.ids):
        raise RunError(
            f"The exported model gave {len(probability_NC)} answers to {len(files.ids)} test images, so nothing was "
            "exported. Choose another --format."
        )
    return Measured(answers=Answers(probability_NC=probability_NC, distance_N=distance_N), facts=facts)


def _run_on_files(command: Sequence[str], files: ImageFiles, printed: IO[bytes], progress: Progress) -> int:
    """The exit status of a program that reads files as `measure.py` does; it ends with any error here."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=printed, stderr=printed) as process:  # noqa: S603
        assert process.stdin is not None, "a pipe was asked for"
        try:
            with suppress(BrokenPipeError):  # it has failed; what it printed says why
                _send_files(files, process.stdin, progress)
            return process.wait()
        except BaseException:  # Ctrl-C too
            process.kill()  # it would go on to measure its speed
            raise


def _send_files(files: ImageFiles, pipe: IO[bytes], progress: Progress) -> None:
    """Write every file as `measure.py` reads them, and end the stream."""
    with pipe, running(progress, FOLDER_TASK, total=len(files.ids), unit="images"):
        for example in files.ids:
            data = files.read(example)
            pipe.write(len(data).to_bytes(8))
            pipe.write(data)
            progress.advance(FOLDER_TASK, 1)
