"""Which pretrained backbone should I build on, how good will it be, and can I trust that answer?

    >>> import vitrail
    >>> run = vitrail.bench("photos", ["resnet50.a1_in1k", "vit_small_patch16_224.augreg_in21k_ft_in1k"])
    >>> run.decision.sentence
    >>> run.table().to_pandas()
    >>> run.predictor().predict("new.jpg")

`bench` compares backbones, `shortlist` says which to compare, `load_run` opens a finished run, `audit` looks a data set
through, `extract_features` gives the features of images, and `FrozenClassifier` is a backbone with a head for
scikit-learn. Every error on purpose is a `VitrailError`.
"""

import typing as _typing

if _typing.TYPE_CHECKING:
    from vitrail.api import Audit as Audit
    from vitrail.api import AuditOptions as AuditOptions
    from vitrail.api import Decision as Decision
    from vitrail.api import FrozenClassifier as FrozenClassifier
    from vitrail.api import Prediction as Prediction
    from vitrail.api import Predictor as Predictor
    from vitrail.api import Progress as Progress
    from vitrail.api import Results as Results
    from vitrail.api import Run as Run
    from vitrail.api import audit as audit
    from vitrail.api import bench as bench
    from vitrail.api import extract_features as extract_features
    from vitrail.api import load_run as load_run
    from vitrail.api import shortlist as shortlist
    from vitrail.core.errors import ClusterError as ClusterError
    from vitrail.core.errors import DataError as DataError
    from vitrail.core.errors import DownloadError as DownloadError
    from vitrail.core.errors import MachineError as MachineError
    from vitrail.core.errors import RunError as RunError
    from vitrail.core.errors import SealError as SealError
    from vitrail.core.errors import StoreError as StoreError
    from vitrail.core.errors import UploadError as UploadError
    from vitrail.core.errors import UsageError as UsageError
    from vitrail.core.errors import VitrailError as VitrailError
    from vitrail.core.errors import WeightsError as WeightsError

__all__ = [
    "Audit",
    "AuditOptions",
    "ClusterError",
    "DataError",
    "Decision",
    "DownloadError",
    "FrozenClassifier",
    "MachineError",
    "Prediction",
    "Predictor",
    "Progress",
    "Results",
    "Run",
    "RunError",
    "SealError",
    "StoreError",
    "UploadError",
    "UsageError",
    "VitrailError",
    "WeightsError",
    "audit",
    "bench",
    "extract_features",
    "load_run",
    "shortlist",
]


def __dir__() -> list[str]:
    """What is public, and not the modules that happen to be imported."""
    return list(__all__)


def __getattr__(name: str) -> object:
    """A public name is imported when it is first used: torch alone takes more than a second."""
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("vitrail")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.endswith("Error"):
        return getattr(import_module("vitrail.core.errors"), name)
    from vitrail.core.machine import let_waiting_threads_sleep

    let_waiting_threads_sleep()  # no more than a request: a library that is imported already keeps its way to wait
    return getattr(import_module("vitrail.api"), name)
