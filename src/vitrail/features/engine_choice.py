"""Which engine runs a network: measured once per machine, fixed once per data set, both in `engine-choices/`.

A data set keeps the engine that a network first ran with on it. So a continued run, other parts of the images, the
machines of a cluster and an audit compute rows under one key, and no row is computed twice because a later trial had
another result. If several machines begin at once, the first to write its choice decides for all.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from vitrail.backbones import Backbone, EngineChoice, EngineRequest
from vitrail.backbones.engine_trial import trial_in_words, try_engines
from vitrail.backbones.engines import Device, EngineName, EngineTrial, Precision, list_engines
from vitrail.core.digest_json import add_digest, read_with_digest
from vitrail.core.errors import UsageError
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import describe_machine
from vitrail.core.progress import running
from vitrail.core.resources import Resources
from vitrail.core.whole_files import put_if_absent, put_in_place
from vitrail.data import Dataset

CHOICE_VERSION = 1
FOLDER = "engine-choices"
PAYS_FROM = 2_000  # images; for fewer, a trial takes longer than the best engine can save, and the default rule decides


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownEngine:
    """A stored choice, with the figures behind it if it was measured.

    `images` is the number of images of the data set that it was made for; None for the choice of a machine.
    """

    version: Literal[1] = 1  # CHOICE_VERSION
    backbone: str
    engine: EngineName
    precision: Precision
    device: Device
    images: int | None
    trial: EngineTrial | None


Measure = Callable[[Backbone, Sequence[EngineChoice]], KnownEngine]


def settle_engine(backbone: Backbone, request: EngineRequest, dataset: Dataset, *, resources: Resources) -> Backbone:
    """Give a backbone the engine that runs it on a data set, by a trial on this machine if none is known.

    Raises:
        UsageError: the data set has an engine that this machine does not have.
    """
    try_here = partial(recall_or_try, resources=resources)
    return settle_among(backbone, request, dataset, list_engines(request), try_here, resources=resources)


def settle_among(
    backbone: Backbone,
    request: EngineRequest,
    dataset: Dataset,
    choices: Sequence[EngineChoice],
    measure: Measure,
    *,
    resources: Resources,
) -> Backbone:
    """The same with the choices that all machines have which work on the data set, the default first."""
    if "auto" not in (request.engine, request.precision) or choices[0].precision == "int8":
        return replace(backbone, engine=choices[0])
    file = resources.cache / FOLDER / f"{_key_of_data(backbone, request, dataset, choices[0])}.json"
    known = read_choice(file)
    if known is None:
        with suppress(OSError):
            file.unlink(missing_ok=True)  # a damaged file; the first process to write from now on decides for all
        known = _decide(backbone, dataset.table.num_rows, choices, measure, resources)
        if known.trial is not None:
            resources.progress.note(f"{backbone.name} runs on {trial_in_words(known.trial)}.")
        _write(file, known, put_if_absent)
        known = read_choice(file) or known  # another machine may have been quicker
    _mark_used(file)
    fitting = [choice for choice in choices if _is_choice(choice, known)]
    if not fitting:
        chosen_on = known.trial.processor if known.trial else "another machine"
        raise UsageError(
            f"The features of {backbone.name} on these images are computed with {known.engine} {known.precision}, "
            f"chosen on {chosen_on}, and not every machine has that now: give an --engine and --precision that all "
            f"have, or forget the choice with `vitrail cache prune {file.stem[:8]}`."
        )
    return replace(backbone, engine=fitting[0], trial=known.trial)


def recall_or_try(backbone: Backbone, choices: Sequence[EngineChoice], *, resources: Resources) -> KnownEngine:
    """The engine with which this machine runs a network fastest; tried first if it is not known yet."""
    known = _recall(backbone, choices, resources)
    if known is None:
        with running(resources.progress, f"Trying engines for {backbone.name}", total=None, unit="engines"):
            choice, trial = try_engines(backbone, choices, threads=resources.threads.compute)
        known = _remember(backbone, choice, trial)
        _write(_file_of_machine(backbone, choices, resources), known, put_in_place)
    return known


def read_choice(file: Path) -> KnownEngine | None:
    """A choice as it was written; None if there is none, or the file is damaged or another program's."""
    try:
        known = _KNOWN.validate_python(read_with_digest(file))
    except ValueError:  # pydantic's error is one
        return None
    return None if known.trial is not None and not known.trial.tried else known


def _decide(
    backbone: Backbone, images: int, choices: Sequence[EngineChoice], measure: Measure, resources: Resources
) -> KnownEngine:
    if len(choices) > 1 and images >= PAYS_FROM:
        known = measure(backbone, choices)
    else:
        known = _recall(backbone, choices, resources) or _remember(backbone, choices[0], None)
    return replace(known, backbone=backbone.name, images=images)


def _recall(backbone: Backbone, choices: Sequence[EngineChoice], resources: Resources) -> KnownEngine | None:
    file = _file_of_machine(backbone, choices, resources)
    known = read_choice(file)
    if known is None or not any(_is_choice(choice, known) for choice in choices):
        return None
    _mark_used(file)
    return known


def _remember(backbone: Backbone, choice: EngineChoice, trial: EngineTrial | None) -> KnownEngine:
    return KnownEngine(
        backbone=backbone.name,
        engine=choice.name,
        precision=choice.precision,
        device=choice.device,
        images=None,
        trial=trial,
    )


def _is_choice(choice: EngineChoice, known: KnownEngine) -> bool:
    return (choice.name, choice.precision, choice.device) == (known.engine, known.precision, known.device)


def _key_of_data(backbone: Backbone, request: EngineRequest, dataset: Dataset, default: EngineChoice) -> str:
    """Machines with a GPU and those without settle a data set apart: neither can do the other's work."""
    facts = {
        "images": dataset.digest_ids(),
        "request": asdict(request),
        "device": default.device,
        **_network_facts(backbone),
    }
    return fingerprint(facts)[:32]


def _file_of_machine(backbone: Backbone, choices: Sequence[EngineChoice], resources: Resources) -> Path:
    machine = describe_machine()
    facts = {
        "cpu": machine.cpu,
        "gpu": machine.gpu,
        "threads": resources.threads.compute,
        "choices": [asdict(choice) for choice in choices],
        "crop": backbone.card.preprocessing.crop,
        **_network_facts(backbone),
    }
    return resources.cache / FOLDER / f"{fingerprint(facts)[:32]}.json"


def _network_facts(backbone: Backbone) -> dict[str, object]:
    return {"weights": backbone.digest, "net": backbone.card.network_facts(), "version": CHOICE_VERSION}


def _write(file: Path, known: KnownEngine, put: Callable[[Path, Callable[[Path], object]], object]) -> None:
    text = json.dumps(add_digest(_KNOWN.dump_python(known, mode="json")), indent=1) + "\n"
    with suppress(OSError):  # what cannot be written is settled again next time
        put(file, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _mark_used(file: Path) -> None:
    with suppress(OSError):  # a read-only cache does not remember when it was used
        os.utime(file)


_KNOWN = TypeAdapter(KnownEngine)
