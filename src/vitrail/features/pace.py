"""How many images a batch: measured once on each machine for each network, and remembered in `pace/` of the cache.

Only OpenVINO's batch is chosen like that. Its features have the same bits at every batch, so that the choice, which
hangs on a clock, can change no result; of torch that cannot be said.

Letters: B images.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitrail.backbones import Backbone, Engine
from vitrail.core.errors import StoreError
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import describe_machine
from vitrail.core.whole_files import put_in_place

PACE_VERSION = 1
FOLDER = "pace"
BATCHES = (1, 2, 4, 8, 16, 32)
PAYS_FROM = 1_000  # images; for fewer, measuring costs more than the best batch can save
LONG_S = 2.0  # a pass that takes this long is not followed by one with a larger batch
SHORT_S = 0.3  # passes are repeated for at least this long
TURNS = 3  # batches of every stream in one measurement
NEAR = 0.98  # of the fastest: the smallest batch that reaches this needs the least memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """What is remembered of one network on one processor. `last_used` is in seconds since 1970."""

    key: str
    backbone: str
    batch: int
    images_per_s: float
    bytes: int
    last_used: float

    def place(self, cache: Path) -> Path:
        """Where it lies."""
        return cache / FOLDER / f"{self.key}.json"


def list_paces(cache: Path) -> list[Pace]:
    """What is remembered in a cache, the one used last first; StoreError where the folder cannot be listed."""
    return sorted(_paces(cache / FOLDER), key=lambda pace: (-pace.last_used, pace.key))


def start_at_pace(backbone: Backbone, *, images: int, threads: int, pooling: str, cache: Path) -> Engine:
    """Start a backbone with the batch that suits this machine.

    Args:
        backbone: not started yet.
        images: how many it will see.
        threads: how many cores it may use.
        pooling: which features it gives.
        cache: where the choice is remembered; where it cannot be written, it is measured again next time.

    Returns:
        The engine.
    """
    if backbone.engine.name != "openvino" or images < PAYS_FROM:
        return backbone.start(threads=threads, pooling=pooling)
    file = cache / FOLDER / f"{_key(backbone, threads)}.json"
    batch = _remembered(file)
    if batch is not None:
        with suppress(OSError):  # a read-only cache does not remember when it was used
            os.utime(file)
        return backbone.start(threads=threads, pooling=pooling, batch=batch)
    rates = _measure(backbone, threads, pooling)
    chosen = min(batch for batch, rate in rates.items() if rate >= NEAR * max(rates.values()))
    found = {"version": PACE_VERSION, "backbone": backbone.name, "batch": chosen, "images_per_s": rates}
    text = json.dumps(found, indent=1)
    with suppress(OSError):
        put_in_place(file, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
    return backbone.start(threads=threads, pooling=pooling, batch=chosen)


def _measure(backbone: Backbone, threads: int, pooling: str) -> dict[int, float]:
    """Images a second by batch, from small to large, until two in a row are slower or a pass takes long."""
    rates: dict[int, float] = {}
    slower = 0
    for batch in BATCHES:
        engine = backbone.start(threads=threads, pooling=pooling, batch=batch)
        images = batch * engine.streams * TURNS
        rates[batch] = _rate(engine, images, backbone.card.preprocessing.crop)
        slower = slower + 1 if rates[batch] < NEAR * max(rates.values()) else 0
        if slower == 2 or images / rates[batch] > LONG_S:
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


def _paces(folder: Path) -> Iterator[Pace]:
    try:
        files = [(path, path.stat()) for path in folder.iterdir() if path.suffix == ".json"]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be listed ({error.strerror}): mend its permissions.") from error
    for path, status in files:
        found = _read(path)
        batch = _batch_of(found) or 0
        rates = found.get("images_per_s")
        rate = rates.get(str(batch)) if isinstance(rates, dict) else None
        yield Pace(
            key=path.stem,
            backbone=str(found.get("backbone", "unknown")),
            batch=batch,
            images_per_s=float(rate) if isinstance(rate, int | float) else 0.0,
            bytes=status.st_size,
            last_used=status.st_mtime,
        )


def _remembered(file: Path) -> int | None:
    return _batch_of(_read(file))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _batch_of(found: dict[str, Any]) -> int | None:
    batch = found.get("batch")
    return batch if isinstance(batch, int) and batch in BATCHES else None


def _rate(engine: Engine, count: int, crop: int) -> float:
    """Images a second of the best pass, on noise: what a network computes takes as long on any image."""
    pixel_BHWC = np.random.default_rng(0).integers(0, 256, (count, crop, crop, 3), dtype=np.uint8)
    seconds: list[float] = []
    while len(seconds) < 2 or sum(seconds) < SHORT_S:  # what else the machine does seldom disturbs every pass
        begun = time.perf_counter()
        engine(pixel_BHWC)
        seconds.append(time.perf_counter() - begun)
    return count / min(seconds)
