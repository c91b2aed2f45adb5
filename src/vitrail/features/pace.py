"""How many images a batch: measured once on each machine for each network, and remembered in `pace/` of the cache.

Only OpenVINO's batch is chosen like that. Its features have the same bits at every batch, so the choice, which depends
on a clock, cannot change a result. With torch it could.

Letters: B images.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import TypeAdapter

from vitrail.backbones import Backbone, Engine
from vitrail.core.digest_json import add_digest, read_with_digest
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import describe_machine
from vitrail.core.whole_files import put_in_place

PACE_VERSION: Final = 1
FOLDER = "pace"
BATCHES = (1, 2, 4, 8, 16, 32)
PAYS_FROM = 1_000  # images; for fewer, measuring costs more than the best batch can save
PAYS_FROM_S = 20.0  # of the whole pass with the smallest batch; the same for a shorter one
LONG_S = 2.0  # a pass that takes this long is not followed by one with a larger batch
SHORT_S = 0.3  # passes are repeated for at least this long
TURNS = 3  # batches of every stream in one measurement
NEAR = 0.98  # of the fastest: the smallest batch that reaches this needs the least memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """What a file of the folder holds: the best batch of a backbone, and images a second by batch as measured."""

    version: Literal[1] = PACE_VERSION
    backbone: str
    batch: Literal[1, 2, 4, 8, 16, 32]  # BATCHES
    images_per_s: dict[int, float]


_PACE = TypeAdapter(Pace)


def start_at_pace(backbone: Backbone, *, images: int, threads: int, pooling: str, cache: Path) -> Engine:
    """Start a backbone with the batch that suits this machine and the number of images that it will see.

    The choice of an earlier pass is taken for any number of images; `images` is 0 if it is not known. A choice that
    cannot be written to the cache is measured again next time.
    """
    if backbone.engine.name != "openvino":
        return backbone.start(threads=threads, pooling=pooling)
    file = cache / FOLDER / f"{_key(backbone, threads)}.json"
    known = read_pace(file)
    if known is not None:
        with suppress(OSError):  # a read-only cache does not remember when it was used
            os.utime(file)
        return backbone.start(threads=threads, pooling=pooling, batch=known.batch)
    rates = _measure(backbone, threads, pooling, images) if images >= PAYS_FROM else {}
    if not rates:
        return backbone.start(threads=threads, pooling=pooling)
    chosen = min(batch for batch, rate in rates.items() if rate >= NEAR * max(rates.values()))
    measured = _PACE.validate_python({"backbone": backbone.name, "batch": chosen, "images_per_s": rates})
    text = json.dumps(add_digest(_PACE.dump_python(measured, mode="json")), indent=1)
    with suppress(OSError):
        put_in_place(file, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
    return backbone.start(threads=threads, pooling=pooling, batch=chosen)


def _measure(backbone: Backbone, threads: int, pooling: str, images: int) -> dict[int, float]:
    """Images a second by batch, from small to large, until two in a row are slower or a pass takes long.

    Empty if all `images` take too short to measure for.
    """
    rates: dict[int, float] = {}
    slower = 0
    for batch in BATCHES:
        engine = backbone.start(threads=threads, pooling=pooling, batch=batch)
        count = batch * engine.streams * TURNS
        rates[batch] = _rate(engine, count, backbone.card.preprocessing.crop)
        if batch == BATCHES[0] and images / rates[batch] < PAYS_FROM_S:
            return {}
        slower = slower + 1 if rates[batch] < NEAR * max(rates.values()) else 0
        if slower == 2 or count / rates[batch] > LONG_S:
            break
    return rates


def _key(backbone: Backbone, threads: int) -> str:
    machine = describe_machine()
    facts = {
        "cpu": machine.cpu,
        "threads": threads,
        "engine": backbone.engine.version,
        "precision": backbone.engine.precision,
        "net": backbone.card.network_facts(),
        "crop": backbone.card.preprocessing.crop,
        "version": PACE_VERSION,
    }
    return fingerprint(facts)[:32]


def read_pace(file: Path) -> Pace | None:
    """What a file of this folder holds; None if it cannot be read or is damaged."""
    try:
        known = _PACE.validate_python(read_with_digest(file))
    except ValueError:  # pydantic's error is one
        return None
    return known if known.batch in known.images_per_s else None


def _rate(engine: Engine, count: int, crop: int) -> float:
    """Images a second of the best pass, on noise: what a network computes takes as long on any image."""
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (count, crop, crop, 3), dtype=np.uint8)
    seconds: list[float] = []
    while len(seconds) < 2 or sum(seconds) < SHORT_S:  # what else the machine does seldom disturbs every pass
        begun = time.perf_counter()
        engine(pixel_BHWC)
        seconds.append(time.perf_counter() - begun)
    return count / min(seconds)
