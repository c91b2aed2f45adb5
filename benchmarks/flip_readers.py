"""The files whose bits `bit_flips.py` flips, and what reads each of them."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.commands import copy_weights, draw_images, run_command
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.backbones.engines import choose_engine
from vitrail.backbones.kept_models import is_whole
from vitrail.checks.verify import verify_run
from vitrail.core.digest_files import read_digest_files
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.data.grey_copies import make_grey_copies
from vitrail.features.engine_choice import read_choice
from vitrail.features.pace import read_pace, start_at_pace
from vitrail.features.store import FACTS, FeatureSet
from vitrail.fetch.known_weights import KnownTensors, read_known, remember_tensors
from vitrail.fetch.trust import Trusted, read_trusted, remember
from vitrail.heads import load_head
from vitrail.heads.refusal import load_refusal
from vitrail.runs import Journal, load_run, record_opening
from vitrail.runs.results import results_to_json
from vitrail.training.loop import LoopOptions, train

BENCH, RESUME, SHOW = "bench", "bench, continued", "bench, shown again"
VERIFY, PREDICT = "verify", "predict"
NOTICED = "noticed"  # what a reader gives that sees the damage and says so, or has the file made again
MISSING = "not in the cache"  # how `vitrail verify` names features that it cannot compute predictions from
MAX_PIXELS = 100_000_000
DIGITS = "0123456789abcdef"
TRUSTED = Trusted(repository="timm/a", revision="1" * 40, sha256=DIGITS * 4)
TRAINING = LoopOptions(epochs=2, batch=8)
TEST_IDS = [f"{number:064x}" for number in range(40)]

Read = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Kind:
    """A kind of file: where one is, what reads it, given the folder of the test and the file, and whole commands."""

    name: str
    place: str
    readers: Mapping[str, Read]
    commands: tuple[str, ...] = ()


class Notes(Silent):
    """Counts the notes."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, text: str) -> None:
        """One more."""
        self.count += 1


def name_bench(folder: Path, out: str, *more: str) -> list[str]:
    """The benchmark of the small run."""
    backbone = f"vit_mini={folder / 'given' / 'vit_mini.safetensors'}"
    return [
        "bench",
        str(folder / "given" / "images"),
        "-b",
        backbone,
        "--calibration",
        "0.2",
        "--out",
        out,
        "-q",
        *more,
    ]


def make_files(folder: Path) -> None:
    """Make every kind of file below a folder.

    Raises:
        SystemExit: a command failed.
    """
    draw_images(folder / "given" / "images")
    copy_weights(folder / "given")

    def stop_before_verdict(_: int) -> None:
        import vitrail.benchmark

        vitrail.benchmark.judge = lambda *_: os._exit(0)  # type: ignore[assignment]

    for out, more, before in (
        ("earlier", ("--margin", "2pt"), lambda _: None),  # so that the test split was opened before
        ("run", (), lambda _: None),
        ("stopped", (), stop_before_verdict),
    ):
        ended = run_command(name_bench(folder, out, *more), folder, before)
        if ended.exit:
            raise SystemExit(ended.text)
    use_folders_below(folder)
    config = folder / "config"
    for name in ("a", "b"):
        remember(config / "weights.lock.json", name, TRUSTED)
    remember_tensors(KnownTensors(name="a", sha256=DIGITS * 4, tensors=DIGITS * 4), Silent())
    (folder / "opened").mkdir()
    _journal(folder / "opened").start("a run")
    for choices in ("a", "b"):
        record_opening(_journal(folder / "opened"), TEST_IDS, choices, Silent())
    (folder / "weights").mkdir()
    read_checkpoint(folder, folder / "weights" / "small.checkpoint.safetensors")
    if choose_engine("auto", "auto").name == "openvino":
        if os.fork() == 0:
            backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="openvino", progress=Silent())
            start_at_pace(backbone, images=10**7, threads=1, pooling="cls", cache=folder / "cache" / "v1")
            os._exit(0)
        os.wait()


def use_folders_below(folder: Path) -> None:
    """Let what this process calls use the cache and the config of the test."""
    os.environ |= {"VITRAIL_CACHE": str(folder / "cache"), "VITRAIL_CONFIG": str(folder / "config")}


def read_finished(root: Path, _: Path) -> object:
    """As a finished run is shown again, compared and used by `predict`."""
    run = load_run(root / "run")
    head, origin = load_head(run.head_file("vit_mini"))
    refusal = load_refusal(run.refusal_file("vit_mini"))
    return results_to_json(run.results), _bytes(head.tensors()), origin, refusal.threshold_RC.tobytes()


def verify(root: Path, _: Path) -> object:
    """As `vitrail verify`, which names what differs and what it could not compute again."""
    verification = verify_run(root / "run", cache=root / "cache" / "v1")
    lacks = any(MISSING in line for line in verification.not_recomputed)
    return verification.compared if verification.equal and not lacks else NOTICED


def read_shard(root: Path, path: Path) -> object:
    """As a run looks its rows up."""
    facts = json.loads((path.parent / FACTS).read_bytes())
    storage = facts.pop("storage")
    facts.pop("shard_version")
    stored = FeatureSet(root / "cache" / "v1", facts, storage)
    ids = sorted(stored.ids())
    return NOTICED if stored.set_damaged_aside() else (ids, stored.rows(ids).tobytes())


def read_grey_copies(root: Path, _: Path) -> object:
    """As the search for near-duplicates does, which makes those again that the cache lacks."""
    dataset = load(open_source(root / "given" / "images"), max_pixels=MAX_PIXELS, resources=Resources())
    copies = make_grey_copies(dataset, max_pixels=MAX_PIXELS, resources=Resources())
    return copies.ids, copies.copy_NSS.tobytes()


def read_engine(_: Path, path: Path) -> object:
    """As a run recalls the engine of its data set."""
    return read_choice(path) or NOTICED


def read_model(_: Path, path: Path) -> object:
    """As a backbone is started."""
    return is_whole(path.parent) or NOTICED


def read_step(_: Path, path: Path) -> object:
    """As a search continues."""
    step = path.name.rpartition("-")[0]
    return list(read_digest_files(path.parent, step, path.suffix)) or NOTICED


def read_log(root: Path, _: Path) -> object:
    """As a run continues and opens its test split again."""
    journal = _journal(root / "opened")
    identity = journal.identity()
    if identity is None:
        return NOTICED  # entering the folder says that it holds no run
    openings = record_opening(journal, TEST_IDS, "a", Silent())
    return identity, openings.count, openings.first


def read_openings(root: Path, _: Path) -> object:
    """As a run counts openings; a damaged line is named in a note."""
    notes = Notes()
    openings = record_opening(_journal(root / "opened"), TEST_IDS, "a", notes)
    return NOTICED if notes.count else (openings.count, openings.first)


def read_remembered(_: Path, __: Path) -> object:
    """As local weights are found; a damaged list is named in a note."""
    notes = Notes()
    known = read_known(notes)
    return NOTICED if notes.count else repr(known)


def read_checkpoint(_: Path, path: Path) -> object:
    """As a training continues; here it has no step left."""
    draws = np.random.default_rng(0)
    images, labels = draws.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8), np.arange(16) % 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    points = train(
        net,
        images,
        labels,
        TRAINING,
        normalise=lambda pixel_BHWC: pixel_BHWC.float() / 255,
        progress=Silent(),
        checkpoint=path,
    )
    return _bytes({name: tensor.numpy() for name, tensor in net.state_dict().items()}), repr(points)


def _journal(folder: Path) -> Journal:
    return Journal(folder / "log.jsonl")


def _bytes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


def list_kinds() -> tuple[Kind, ...]:
    """Every kind of file."""
    cache, used = "cache/v1", "next run, predict"
    finished, read_it = {used: read_finished, "verify": verify}, (SHOW, VERIFY, PREDICT)
    model, start = {used: read_model}, (BENCH, PREDICT)
    return (
        Kind("features", f"{cache}/features/*/*.arrow", {"next run": read_shard, "verify": verify}, (BENCH, VERIFY)),
        Kind("facts of features", f"{cache}/features/*/facts.json", {"verify": verify}, (BENCH, VERIFY)),
        Kind("grey copies", f"{cache}/grey-copies/*/*.arrow", {"next run": read_grey_copies}, (BENCH,)),
        Kind("engine choice", f"{cache}/engine-choices/*.json", {"next run": read_engine}, (BENCH,)),
        Kind("pace", f"{cache}/pace/*.json", {"next run": lambda _, path: read_pace(path) or NOTICED}),
        Kind("model", f"{cache}/engines/*/model.bin", model, start),
        Kind("its layers", f"{cache}/engines/*/model.xml", model, start),
        Kind("its digests", f"{cache}/engines/*/digests.json", model, start),
        Kind("step of a search", "stopped/unfinished/*/logistic*.parquet", {"next run": read_step}, (RESUME,)),
        Kind("log of a stopped run", "opened/log.jsonl", {"next run": read_log}),
        Kind("log of a stopped run", "stopped/log.jsonl", {}, (RESUME,)),
        Kind("results", "run/results.json", finished, read_it),
        Kind("receipt", "run/receipt.json", finished, read_it),
        Kind("log", "run/log.jsonl", finished, read_it),
        Kind("report", "run/report.html", finished, read_it),
        Kind("data", "run/data.parquet", finished, read_it),
        Kind("trials", "run/search/*.parquet", finished, read_it),
        Kind("head", "run/heads/vit_mini.safetensors", finished, read_it),
        Kind("refusal", "run/heads/*.refusal.safetensors", finished, read_it),
        Kind("predictions", "run/predictions/*.parquet", finished, read_it),
        Kind("calibration", "run/calibration/*.parquet", finished, read_it),
        Kind("splits", "run/splits/*.parquet", finished, read_it),
        Kind("subsets", "run/subsets/*.parquet", finished, read_it),
        Kind("ledger of openings", "config/test-openings.jsonl", {"next run": read_openings}, (BENCH,)),
        Kind("remembered weights", "config/known-weights.json", {used: read_remembered}, (BENCH, PREDICT)),
        Kind("lock of weights", "config/weights.lock.json", {used: lambda _, path: read_trusted(path)}),
        Kind("checkpoint of a training", "weights/small.checkpoint.safetensors", {"next training": read_checkpoint}),
    )


def name_command(command: str, folder: Path) -> list[str]:
    """The arguments of one of the commands."""
    if command == VERIFY:
        return ["verify", "run"]
    if command == PREDICT:
        image = min((folder / "given" / "images" / "red").iterdir())
        return ["predict", "run", str(image), "--json", "--quiet"]  # a note on what was ignored is no change
    return name_bench(folder, {BENCH: "new", RESUME: "stopped", SHOW: "run"}[command])
