"""A model folder that is read without torch.

Nothing in the folder runs as code: its preprocess.py and classify.py are for others, and here images are decoded and
cropped by the same code as in a run.

Letters: B images, H rows, W columns, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.preprocess import least_side, to_pixels
from vitrail.core.errors import RunError, WeightsError
from vitrail.core.hashing import fingerprint
from vitrail.core.printable import make_printable
from vitrail.core.same_bytes import ChangedFileError, same_bytes
from vitrail.data.images import Decoded, decode_for
from vitrail.delivery.export.certificate import Certificate
from vitrail.delivery.export.layout import FACTS, MODEL_FILE
from vitrail.delivery.folder_checks import digest_files, read_folder, say_changed
from vitrail.delivery.model_facts import ModelFacts
from vitrail.delivery.model_runtime import SESSIONS, Session, start_session
from vitrail.delivery.onnx_file import list_external_files
from vitrail.delivery.prediction import Prediction, make_predictions
from vitrail.heads.refusal import RULES, Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFolder:
    """A model folder that is whole and certified, with its model ready to run; any thread may use it.

    `digest` names the folder. `notes` says in sentences what differs here from where the certificate was made.
    """

    folder: Path
    digest: str
    facts: ModelFacts
    limits: Limits
    certificate: Certificate
    session: Session = field(repr=False)
    notes: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path, *, threads: int, streams: int = 1) -> Self:
        """Check a folder and load its model.

        Args:
            folder: what `vitrail export` wrote.
            threads: how many the runtime may use in all.
            streams: how many batches it answers at once; each has its share of the threads.

        Raises:
            RunError: the folder is not a whole model folder, or has no certificate for this model.
            WeightsError: the model cannot be loaded, or is not what the folder says.
            UsageError: the runtime is not installed, or cannot compute in the precision.
        """
        receipt, facts, certificate = read_folder(folder)
        if facts.format not in SESSIONS:
            raise RunError(
                f"{folder / FACTS} cannot be used: its format is {facts.format!r}, which cannot be run without torch. "
                "Run its classify.py, or export the run with another --format."
            )
        return cls(
            folder=folder,
            digest=receipt.digest,
            facts=facts,
            limits=facts.limits(),
            certificate=certificate,
            session=_start(folder, facts, certificate, threads=threads, streams=streams),
            notes=tuple(_list_other_versions(certificate.runtime)),
        )

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """`pixel_HWC` of the whole file of an image; raises ImageRejected if it cannot be used."""
        return self.to_crop(self.decode_file(data))

    def decode_file(self, data: bytes) -> Decoded:
        """The image in a file, at a fraction of its size where the run did so; ImageRejected if it cannot be used."""
        side = least_side(self.facts.preprocessing)
        return decode_for(data, [side], max_pixels=self.facts.max_pixels)[side]

    def to_crop(self, decoded: Decoded) -> NDArray[np.uint8]:
        """`pixel_HWC` as the model takes it."""
        return to_pixels(decoded.image, self.facts.preprocessing, size=decoded.size, box=decoded.box)

    def answer(self, pixel_BHWC: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`probability_BC`, and `distance_B` to the training images.

        Raises:
            WeightsError: the model gives what cannot be probabilities and distances.
        """
        images, classes = len(pixel_BHWC), len(self.facts.classes)
        probability_BC, distance_B = self.session(pixel_BHWC)
        sound = (
            probability_BC.shape == (images, classes)
            and distance_B.shape == (images,)
            and bool(np.isfinite(distance_B).all() and (probability_BC >= 0).all() and (probability_BC <= 1.001).all())
        )
        if not sound:
            raise WeightsError(
                f"The model in {self.folder} gives no probabilities of its {classes} classes for {images} images. "
                "Export the run again."
            )
        return probability_BC.astype(np.float64), distance_B.astype(np.float64)

    def predict(self, pixel_BHWC: NDArray[np.uint8], *, rule: str = RULES[0]) -> list[Prediction]:
        """The prediction for each image; the path is the caller's to fill in, and `rule` says how sets are made."""
        return make_predictions(self.facts.classes, self.limits, *self.answer(pixel_BHWC), rule=rule)


def _start(folder: Path, facts: ModelFacts, certificate: Certificate, *, threads: int, streams: int) -> Session:
    """Load the model, from the bytes that the certificate is of."""
    main, names = folder / MODEL_FILE[facts.format], sorted(certificate.model)
    try:
        with same_bytes(
            [folder / name for name in names],
            partial(digest_files, folder, names),
            fingerprint(dict(certificate.model)),
        ):
            _require_own_files(main, names)
            return start_session(
                main,
                facts.format,
                facts.precision,
                crop=facts.preprocessing.crop,
                classes=len(facts.classes),
                threads=threads,
                streams=streams,
            )
    except ChangedFileError as error:
        raise RunError(say_changed(folder, main.name)) from error


def _require_own_files(file: Path, names: list[str]) -> None:
    """Check that a model reads its weights from files that the certificate lists, and from no others."""
    try:
        read = {file.with_suffix(".bin").name} if file.suffix == ".xml" else list_external_files(file)
    except ValueError as error:
        raise WeightsError(f"{file} is not an ONNX model ({error}). Use an intact copy.") from error
    if others := read - set(names):
        raise WeightsError(
            f"The model {file} asks for other files ({make_printable(', '.join(sorted(others))[:200])}), and only the "
            "files of its certificate are read. Export the run again."
        )


def _list_other_versions(runtime: Mapping[str, str]) -> list[str]:
    notes = []
    for package, stated in runtime.items():
        try:
            here = version(package)
        except (PackageNotFoundError, ValueError):
            continue
        if here != stated:
            notes.append(
                f"The certificate was made with {package} {stated}, and here is {here}: answers may differ a little."
            )
    return notes
