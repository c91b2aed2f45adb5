"""A model folder that is read without torch; it may come from a stranger.

Nothing in the folder runs as code: its preprocess.py and classify.py are for others, and here images are decoded and
cropped by the same code as in a run. Before anything is parsed, every file must be the one that the receipt names, lie
in the folder itself, and be of a size that can be. The receipt shows that a folder is whole, not who made it.

Letters: B images, H rows, W columns, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.preprocess import least_side, to_pixels
from vitrail.core.bounded import is_regular_file, parse_json, read_bounded
from vitrail.core.digest_json import require_digest
from vitrail.core.errors import RunError, WeightsError
from vitrail.core.hashing import fingerprint, sha256_bytes, sha256_file
from vitrail.core.printable import make_printable
from vitrail.core.same_bytes import ChangedFileError, same_bytes
from vitrail.data.images import Decoded, decode_for
from vitrail.delivery.export.certificate import CERTIFICATE_VERSION, Certificate
from vitrail.delivery.export.layout import CERTIFICATE, FACTS, MODEL_FILE, RECEIPT
from vitrail.delivery.model_runtime import SESSIONS, Session, start_session
from vitrail.delivery.onnx_file import list_external_files
from vitrail.delivery.prediction import Prediction, make_predictions
from vitrail.heads.refusal import RULES, Limits

MOST_FILES = 1_000
MOST_JSON = 64 << 20  # bytes of each JSON file; certificate.json names every image whose class differs
MOST_BYTES = 64 << 30  # of all files: the largest published backbone has 10 GB
MOST_SIDE = 2_048  # pixels of a crop, or of the resize before it

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Parsed = TypeVar("Parsed")


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderReceipt:
    """receipt.json: the run, the sha256 of every other file, and the digest of both, which names the folder."""

    receipt_version: Literal[1]  # RECEIPT_VERSION
    run: Digest
    files: dict[str, Digest]
    digest: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """The limits of a model as JSON has them; `sets` has a threshold of each class for each of RULES."""

    sets: dict[str, tuple[FiniteFloat, ...]]
    alpha: FiniteFloat
    confidence: FiniteFloat | None
    precision: FiniteFloat
    distance: FiniteFloat
    set_on: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsFacts:
    """Where the weights come from, as their card says."""

    sha256: str
    licence: str
    commercial: str
    repository: str
    revision: str
    pretraining: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """model.json: what the model takes and gives, and what the runtime must do (`format` and `precision`)."""

    model_version: Literal[1]  # MODEL_VERSION
    vitrail_version: str
    run: Digest
    backbone: str
    format: str
    precision: str
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    thresholds: Thresholds
    preprocessing: Preprocessing
    max_pixels: Annotated[int, Field(ge=1)]
    pooling: str
    weights: WeightsFacts
    training_images: str

    def limits(self) -> Limits:
        """The thresholds as they are applied."""
        stored = self.thresholds
        return Limits(
            threshold_RC=np.array([stored.sets[rule] for rule in RULES]),
            precision=stored.precision,
            confidence=stored.confidence,
            distance=stored.distance,
        )

    def fault(self) -> str | None:
        """Why the facts do not fit together; None if they do."""
        sides = (self.preprocessing.crop, self.preprocessing.resize)
        if not all(1 <= side <= MOST_SIDE for side in sides):
            return f"its images are resized to {sides[1]} and cropped to {sides[0]}, and 1 to {MOST_SIDE} are allowed"
        if len(set(self.classes)) != len(self.classes):
            return "two of its classes have the same name"
        rows = self.thresholds.sets
        if any(len(rows.get(rule, ())) != len(self.classes) for rule in RULES):
            return f"it does not have a threshold of each of its {len(self.classes)} classes for each rule"
        if self.format not in MODEL_FILE:
            return f"its format is {self.format!r}, which this version of Vitrail does not know"
        return None


_RECEIPT, _FACTS, _CERTIFICATE = TypeAdapter(FolderReceipt), TypeAdapter(ModelFacts), TypeAdapter(Certificate)


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


def is_model_folder(folder: Path) -> bool:
    """Whether this is the folder of an export, and not of a run."""
    return is_regular_file(folder / FACTS)


def read_folder(folder: Path) -> tuple[FolderReceipt, ModelFacts, Certificate]:
    """What a model folder says of itself; its model is compared with the receipt and not loaded.

    Raises:
        RunError: the folder is not a whole model folder, or has no certificate for this model.
    """
    receipt = check_receipt(folder)
    facts = _parse(folder, FACTS, receipt, _FACTS)
    if fault := facts.fault():
        raise RunError(f"{folder / FACTS} cannot be used: {fault}. Export the run again.")
    certificate = _parse(folder, CERTIFICATE, receipt, _CERTIFICATE)
    _require_certified(folder, receipt, facts, certificate)
    return receipt, facts, certificate


def check_receipt(folder: Path) -> FolderReceipt:
    """Check that every file that the receipt names is there with its bytes, in the folder itself.

    Raises:
        RunError: the receipt is missing, or a file is missing, changed, elsewhere, or too large.
    """
    path = folder / RECEIPT
    try:
        content = read_bounded(path, MOST_JSON)
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror or error}). Give a folder that vitrail export has written."
        ) from error
    try:
        require_digest(parse_json(content))
        receipt = _RECEIPT.validate_json(content, strict=True)
    except ValueError as error:
        raise RunError(
            f"{path} is damaged or was written by another version of Vitrail. Export the run again."
        ) from error
    if len(receipt.files) > MOST_FILES:
        raise RunError(f"{path} names {len(receipt.files):,} files, and a model folder has {MOST_FILES:,} at most.")
    sizes = [_size_in_folder(folder, name) for name in receipt.files]
    if sum(sizes) > MOST_BYTES:
        raise RunError(f"The files of {folder} have {sum(sizes):,} bytes, and {MOST_BYTES:,} are allowed.")
    for name, digest in receipt.files.items():
        try:
            actual = sha256_file(folder / name)
        except OSError as error:
            raise RunError(
                f"{folder / name} cannot be read ({error.strerror or error}). Use an intact copy."
            ) from error
        if actual != digest:
            raise RunError(_say_changed(folder, name))
    return receipt


def _size_in_folder(folder: Path, name: str) -> int:
    """The bytes of a file of the folder, whose name leads nowhere else."""
    plain = PurePosixPath(name).name == PureWindowsPath(name).name == name and name != ".." and "\0" not in name
    path = folder / name
    try:
        if not plain or path.resolve().parent != folder.resolve():
            raise RunError(
                f"{make_printable(str(path))} lies outside the model folder, and nothing there is read. Copy the "
                "folder with its files instead of links to them."
            )
        return path.stat().st_size
    except OSError as error:
        raise RunError(
            f"{path} is in the receipt of the model folder, but cannot be read ({error.strerror or error}). Use an "
            "intact copy."
        ) from error


def _parse(folder: Path, name: str, receipt: FolderReceipt, schema: TypeAdapter[Parsed]) -> Parsed:
    """A JSON file of the folder, parsed from the very bytes that were compared with the receipt."""
    try:
        content = read_bounded(folder / name, MOST_JSON)
    except OSError as error:
        raise RunError(
            f"{folder / name} cannot be read ({error.strerror or error}), and a model without it is not used. Export "
            "the run again."
        ) from error
    if sha256_bytes(content) != receipt.files.get(name):
        raise RunError(_say_changed(folder, name))
    try:
        return schema.validate_json(content, strict=True)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(
            f"{folder / name} is damaged or was written by another version of Vitrail (see {make_printable(place)}). "
            "Export the run again."
        ) from error


def _require_certified(folder: Path, receipt: FolderReceipt, facts: ModelFacts, certificate: Certificate) -> None:
    """Check that a certificate is of this very model, and that the model passed."""
    path, main = folder / CERTIFICATE, MODEL_FILE[facts.format]
    listed = {name: receipt.files.get(name) for name in certificate.model}
    same = ("run", "backbone", "format", "precision")
    if (
        certificate.certificate_version != CERTIFICATE_VERSION
        or facts.run != receipt.run
        or any(getattr(facts, name) != getattr(certificate, name) for name in same)
        or listed != certificate.model
        or main not in certificate.model
    ):
        raise RunError(f"{path} is not the certificate of the model beside it. Export the run again.")
    if faults := certificate.faults():
        raise RunError(
            f"The model in {folder} did not pass its certificate: {'; '.join(faults)}. Export the run again."
        )


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
        raise RunError(_say_changed(folder, main.name)) from error


def digest_files(folder: Path, names: list[str]) -> str:
    """The digest of the names of files and of their bytes."""
    return fingerprint({name: sha256_file(folder / name) for name in names})


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


def _say_changed(folder: Path, name: str) -> str:
    return f"{folder / name} is not the file that the receipt of the model folder names. Use an intact copy."
