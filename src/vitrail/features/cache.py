"""Everything in the cache: its entries, whether they are intact, and what pruning deletes.

Nothing here reads a feature. The lock of trusted weights is in the config folder and is never touched.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from vitrail.backbones import kept_models
from vitrail.backbones.engine_trial import trial_in_words
from vitrail.core.bounded import is_folder, is_there, parse_json, read_bounded
from vitrail.core.digest_files import matches_its_name
from vitrail.core.errors import StoreError, UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.machine import EXPORTS
from vitrail.data import grey_copies
from vitrail.data.named import files as named_files
from vitrail.features import engine_choice, network_speed, pace
from vitrail.features.shard import SHARD
from vitrail.features.store import DAMAGED, FACTS, FEATURES, read_facts

RECEIPT, MOST_RECEIPT = "receipt.json", 64 << 20  # of an export; bytes
NO_DATA = frozenset({".lock", ".etag"})  # files beside those of a data set

Kind = Literal["features", "grey copies", "model", "batch size", "network speed", "engine", "data set", "export"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """One thing in the cache that can be deleted and made again.

    `what` describes it in words, `details` field by field. `path` is its file or folder inside the cache. Damaged are
    those of its files that cannot be opened or were set aside. `last_used` is in seconds since 1970.
    """

    kind: Kind
    key: str
    what: str
    path: str
    bytes: int
    last_used: float
    rows: int | None = None
    damaged: int = 0
    details: dict[str, str | int | float] = field(default_factory=dict)


def list_cache(cache: Path) -> list[CacheEntry]:
    """Everything in a cache folder, which need not exist, the one used last first.

    Raises:
        StoreError: a folder cannot be listed.
    """
    try:
        entries = [
            *(_features(folder) for folder in _children(cache / FEATURES) if is_folder(folder)),
            *_grey_copies(cache / grey_copies.FOLDER),
            *(_model(folder) for folder in _children(cache / kept_models.FOLDER) if is_folder(folder)),
            *(_batch_size(file) for file in _files([cache / pace.FOLDER]) if file.path.suffix == ".json"),
            *(_network_speed(file) for file in _files([cache / network_speed.FOLDER]) if file.path.suffix == ".json"),
            *(_data_set(folder) for folder in _children(cache / named_files.FOLDER) if is_folder(folder)),
            *(_export(folder) for folder in _children(cache / EXPORTS) if is_folder(folder)),
            *(_engine(file) for file in _files([cache / engine_choice.FOLDER]) if file.path.suffix == ".json"),
        ]
    except OSError as error:
        raise StoreError(f"The cache {cache} cannot be listed ({error.strerror}): fix its permissions.") from error
    return sorted(entries, key=lambda entry: (-entry.last_used, entry.key))


def verify_cache(cache: Path) -> Iterator[tuple[str, bool]]:
    """Read everything that has a digest.

    Yields:
        tuple[str, bool]: the path of a file or a model inside the cache, and whether its bytes are those written.
    """
    for entry in list_cache(cache):
        place = cache / entry.path
        if entry.kind == "model":
            yield entry.path, kept_models.is_whole(place)
        elif entry.kind == "export":
            yield entry.path, _is_whole_export(place)
        elif entry.kind in ("features", "grey copies"):
            for path in sorted(place.rglob(f"*{SHARD}")):
                yield path.relative_to(cache).as_posix(), matches_its_name(path)
            if is_there(place / FACTS):
                yield f"{entry.path}/{FACTS}", read_facts(place) is not None
        else:
            yield entry.path, not entry.damaged


def choose(
    entries: Sequence[CacheEntry], *, keys: Sequence[str], older_than_s: float | None, keep_bytes: int | None
) -> list[CacheEntry]:
    """What pruning takes: the entries of `keys`, those not used for long, and then the oldest until the rest fits.

    Args:
        entries: everything in the cache.
        keys: keys, or how they begin.
        older_than_s: entries not used for so many seconds go.
        keep_bytes: at most this much stays.

    Returns:
        What goes, the one used longest ago first.

    Raises:
        UsageError: a key, or its beginning, is not that of exactly one entry.
    """
    gone: set[str] = set()
    for key in keys:
        matches = [entry.key for entry in entries if entry.key.startswith(key)]
        if len(matches) != 1:
            number = "no key" if not matches else f"{len(matches)} keys"
            raise UsageError(
                f"{key} matches {number} in the cache: give the beginning of exactly one; `vitrail cache` lists them."
            )
        gone.add(matches[0])
    oldest_first = sorted(entries, key=lambda entry: (entry.last_used, entry.key))
    if older_than_s is not None:
        gone |= {entry.key for entry in oldest_first if time.time() - entry.last_used > older_than_s}
    if keep_bytes is not None:
        left = sum(entry.bytes for entry in entries if entry.key not in gone)
        for entry in oldest_first:
            if left > keep_bytes and entry.key not in gone:
                gone.add(entry.key)
                left -= entry.bytes
    return [entry for entry in oldest_first if entry.key in gone]


def remove(cache: Path, entries: Sequence[CacheEntry]) -> None:
    """Delete entries; a run that needs their rows stops, and computes them again when it is started again.

    Raises:
        StoreError: a file or folder cannot be deleted.
    """
    for entry in entries:
        place = cache / entry.path
        try:
            if is_folder(place):
                shutil.rmtree(place)
            else:
                place.unlink()
        except FileNotFoundError:
            continue  # another pruning was quicker
        except OSError as error:
            raise StoreError(f"{place} cannot be deleted ({error.strerror}): fix its permissions.") from error


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    bytes: int
    changed: float


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _files(folders: Sequence[Path]) -> list[_File]:
    """The files in these folders; one that is renamed or deleted meanwhile is left out."""
    files = []
    for folder in folders:
        with suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    if entry.is_file():
                        status = entry.stat()
                        files.append(_File(Path(entry.path), status.st_size, status.st_mtime))
    return files


def _last_change(folder: Path, files: Sequence[_File]) -> float:
    return max(file.changed for file in files) if files else folder.stat().st_mtime


def _features(folder: Path) -> CacheEntry:
    known, files = read_facts(folder), _files([folder])
    facts = known or {}
    rows = [_count_rows(file.path) for file in files if file.path.suffix == SHARD]
    net = _object_in(facts, "net")
    variant = " ".join(f"{key} {value}" for key, value in sorted(_object_in(net, "variant").items()))
    # Facts hold what changes a feature, and a name does not: the network, and how its weights' digest begins.
    backbone = f"{net.get('family', 'unknown')} {variant} ({str(facts.get('weights', 'unknown'))[:12]})"
    details: dict[str, str | int | float] = {
        "backbone": backbone,
        "engine": str(facts.get("engine", "unknown")),
        "precision": str(facts.get("precision", "unknown")),
        "storage": str(facts.get("storage", "unknown")),
        "pooling": str(facts.get("poolings", "unknown")),
        "shards": len(rows),
    }
    return CacheEntry(
        kind="features",
        key=folder.name,
        what="{backbone}, {engine} {precision}, {storage}, {pooling}".format_map(details),
        path=f"{FEATURES}/{folder.name}",
        bytes=sum(file.bytes for file in files),
        last_used=_last_change(folder, files),
        rows=sum(count for count in rows if count is not None),
        damaged=rows.count(None)
        + sum(file.path.suffix == DAMAGED for file in files)
        + (known is None and is_there(folder / FACTS)),
        details=details,
    )


def _grey_copies(folder: Path) -> Iterator[CacheEntry]:
    """All of them as one entry, if there are any."""
    files = [file for file in _files(_children(folder)) if file.path.suffix == SHARD]
    if files:
        rows = [_count_rows(file.path) for file in files]
        yield CacheEntry(
            kind="grey copies",
            key=folder.name,
            what="for near-duplicates",
            path=folder.name,
            bytes=sum(file.bytes for file in files),
            last_used=_last_change(folder, files),
            rows=sum(count for count in rows if count is not None),
            damaged=rows.count(None),
        )


def _model(folder: Path) -> CacheEntry:
    files = _files([folder])
    return CacheEntry(
        kind="model",
        key=folder.name,
        what="a converted model",
        path=f"{kept_models.FOLDER}/{folder.name}",
        bytes=sum(file.bytes for file in files),
        last_used=_last_change(folder, files),
    )


def _export(folder: Path) -> CacheEntry:
    """The model folder of a run that was served; one that is being made has a name of its own."""
    files = _files([folder])
    return CacheEntry(
        kind="export",
        key=folder.name,
        what="a run that is served" if is_there(folder / RECEIPT) else "an export that has not ended",
        path=f"{EXPORTS}/{folder.name}",
        bytes=sum(file.bytes for file in files),
        last_used=_last_change(folder, files),
    )


def _is_whole_export(folder: Path) -> bool:
    """Whether every file is the one that the receipt names."""
    try:
        digests = parse_json(read_bounded(folder / RECEIPT, MOST_RECEIPT))["files"]
        return all(sha256_file(folder / name) == digest for name, digest in digests.items())
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return False


def _data_set(folder: Path) -> CacheEntry:
    """What was downloaded of a named data set, with partial files."""
    files = _files([folder])
    names = sorted(file.path.name for file in files if file.path.suffix not in NO_DATA)
    return CacheEntry(
        kind="data set",
        key=folder.name,
        what=", ".join(names) or "nothing yet",
        path=f"{named_files.FOLDER}/{folder.name}",
        bytes=sum(file.bytes for file in files),
        last_used=_last_change(folder, files),
    )


def _batch_size(file: _File) -> CacheEntry:
    known = pace.read_pace(file.path)
    backbone, batch, images_per_s = "unknown", 0, 0.0
    if known is not None:
        backbone, batch, images_per_s = known.backbone, known.batch, known.images_per_s[known.batch]
    return CacheEntry(
        kind="batch size",
        key=file.path.stem,
        what=f"{backbone}, batch of {batch}, {images_per_s:,.1f} images/s",
        path=f"{pace.FOLDER}/{file.path.name}",
        bytes=file.bytes,
        last_used=file.changed,
        damaged=int(not batch),
        details={"backbone": backbone, "batch": batch, "images_per_s": images_per_s},
    )


def _network_speed(file: _File) -> CacheEntry:
    """What `--max-ms` measured of a network on this kind of machine."""
    known = network_speed.read_speed(file.path)
    return CacheEntry(
        kind="network speed",
        key=file.path.stem,
        what="a network's speed" if known is None else f"{known.network}, {known.ms:.3g} ms/image, {known.how}",
        path=f"{network_speed.FOLDER}/{file.path.name}",
        bytes=file.bytes,
        last_used=file.changed,
        damaged=int(known is None),
        details={} if known is None else {name: value for name, value in asdict(known).items() if name != "version"},
    )


def _engine(file: _File) -> CacheEntry:
    """What a machine or a data set runs a network with."""
    known = engine_choice.read_choice(file.path)
    what, details = "an engine", dict[str, str | int | float]()
    if known is not None:
        place = "on this kind of machine" if known.images is None else f"on a data set of {known.images:,} images"
        runs_on = f"{known.engine} {known.precision}" if known.trial is None else trial_in_words(known.trial)
        what = f"{known.backbone} {place}: {runs_on}"
        details = _engine_details(known)
    return CacheEntry(
        kind="engine",
        key=file.path.stem,
        what=what,
        path=f"{engine_choice.FOLDER}/{file.path.name}",
        bytes=file.bytes,
        last_used=file.changed,
        damaged=int(known is None),
        details=details,
    )


def _engine_details(known: engine_choice.KnownEngine) -> dict[str, str | int | float]:
    details: dict[str, str | int | float] = {
        "backbone": known.backbone,
        "engine": known.engine,
        "precision": known.precision,
        "device": known.device,
        "images": known.images or 0,
    }
    if known.trial is not None:
        details |= {
            "processor": known.trial.processor,
            "threads": known.trial.threads,
            "created": known.trial.created,
            "seconds": known.trial.seconds,
        }
        for tried in known.trial.tried:
            details[f"{tried.name} {tried.precision} images_per_s"] = tried.images_per_s or 0.0
    return details


def _object_in(facts: dict[str, Any], key: str) -> dict[str, Any]:
    inner = facts.get(key)
    return inner if isinstance(inner, dict) else {}


def _count_rows(path: Path) -> int | None:
    """The rows of a shard, or None if its bytes are not those that were written: Arrow may crash on others."""
    if not matches_its_name(path):
        return None
    try:
        file = pa.ipc.open_file(pa.memory_map(os.fsencode(path)))
        return int(sum(file.get_batch(number).num_rows for number in range(file.num_record_batches)))
    except (OSError, pa.ArrowException):
        return None
