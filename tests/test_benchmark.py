import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.pictures import draw_folder
from vitrail import benchmark
from vitrail.benchmark import bench, judge_split
from vitrail.candidates import BenchOptions, Prepared, parse_specs, prepare
from vitrail.checks.verify import verify_run
from vitrail.cli.closing import print_closing
from vitrail.core.errors import DataError, RunError, UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.machine import cache_folder
from vitrail.core.progress import Phase, Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Split, SplitOptions, grey_copies, load, make_split, open_source
from vitrail.data.sources import FolderSource
from vitrail.delivery.predict import Predictor
from vitrail.runs import RunRecord, enter_folder, load_run
from vitrail.search import TuneOptions, poolings

EMBEDDED = ("vit_mini", "resnet_mini")
QUICK = TuneOptions(
    kinds=("logistic", "ridge", "softmax"),
    strengths=(1e-2, 1.0),
    alphas=(10.0,),
    scalings=("standardise",),
    trials=2,
    seeds=1,
    splits=2,
    epochs=3,
)
FAST = BenchOptions(search=QUICK)


def what_counts(run: RunRecord) -> dict:
    """What two equal runs share: data, split, search figures, test, pairs and decision; no clock."""
    found = json.loads((run.folder / "results.json").read_text())
    for one in found["backbones"]:
        del one["cost"], one["trial"]
        del one["search"]["seconds"], one["search"]["user_s"], one["search"]["winner"]["seconds"]
    return {part: found[part] for part in ("data", "split", "backbones", "pairs", "decision")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def data(root: Path) -> Path:
    """Pictures that no test changes."""
    return draw_folder(root / "pictures", per_class=20)


@pytest.fixture(scope="module")
def run(root: Path, data: Path) -> RunRecord:
    """A finished run that no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(root / "cache"))
        return bench(data, EMBEDDED, out=root / "run", options=FAST)


@pytest.fixture
def warm(run: RunRecord, root: Path) -> None:
    """The features of that run are there already."""
    shutil.copytree(root / "cache" / "v1", cache_folder(), dirs_exist_ok=True)


def test_the_main_path_ends_in_a_decision_and_a_whole_folder(run: RunRecord):
    assert "resnet_mini" in run.results.decision.sentence
    receipt = json.loads((run.folder / "receipt.json").read_text())
    on_disk = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
    assert on_disk == {*receipt["files"], "receipt.json", "log.jsonl"}
    assert all(sha256_file(run.folder / name) == digest for name, digest in receipt["files"].items())
    assert load_run(run.folder).results == run.results
    assert run.results.split.test_openings == 1


def test_the_parts_of_its_time_add_up_to_the_whole(run: RunRecord):
    cost = run.results.cost
    assert list(cost.parts) == [part for part in get_args(Phase) if part != "race"], "its backbones were named"
    assert all(seconds > 0 for seconds in (*cost.parts.values(), cost.other_s))
    assert sum(cost.parts.values()) + cost.other_s == pytest.approx(cost.wall_s)
    assert cost.starts == 1
    page = run.report.read_text()
    assert "Where the time went" in page
    assert "started" not in page[page.index("Until this page was begun") :].split("</p>")[0]


def test_a_file_is_read_once_for_its_id_and_once_for_pixels_and_grey_copy(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reads: Counter[str] = Counter()
    really = FolderSource.read
    monkeypatch.setattr(FolderSource, "read", lambda self, path: reads.update([path]) or really(self, path))

    class Recorded(Silent):
        tasks: ClassVar[dict[str, Counter[str]]] = {}

        def start(self, task: str, *, total: int | None, unit: str) -> None:
            self.tasks[task] = Counter(reads)

    bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST, resources=Resources(progress=Recorded()))
    assert set(Recorded.tasks["Comparing grey copies"].values()) == {2}
    assert grey_copies.TASK not in Recorded.tasks, "the pass made every copy"


def test_the_networks_see_no_label(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def spy(specs: object, dataset: Dataset, split: Split, **how: object) -> Prepared:
        seen.append(set(dataset.table["label"].to_pylist()))
        return prepare(specs, dataset, split, **how)

    monkeypatch.setattr(benchmark, "prepare", spy)
    bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)
    assert seen == [{None}]


class StoppedError(Exception):
    pass


@pytest.mark.usefixtures("warm")
def test_a_run_that_goes_on_says_that_its_costs_are_those_of_the_last_start(data: Path, tmp_path: Path):
    def stop(*_: object, **how: object) -> None:
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "judge_split", stop)
        with pytest.raises(StoppedError):
            bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)
    run = bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)
    assert run.results.cost.starts == 2
    assert "features" not in run.results.cost.parts, "all were stored"
    assert "these are the costs of the last start" in run.report.read_text()


@pytest.mark.parametrize(("precision", "cluster"), [("int8", None), ("auto", "auto")])
def test_int8_and_a_cluster_wait_for_the_split_with_sealed_test_labels(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, cluster: str | None
):
    def spy(specs: object, dataset: Dataset, split: Split, **how: object) -> Prepared:
        label = dataset.by_id("label")
        assert {example for example in label if label[example] is None} == set(split.test)
        raise StoppedError

    monkeypatch.setattr(benchmark, "prepare", spy)
    options = dataclasses.replace(FAST, precision=precision)
    with pytest.raises(StoppedError):
        bench(data, ["vit_mini"], out=tmp_path / "run", options=options, cluster=cluster)


def test_every_rate_has_an_interval_that_holds_it(run: RunRecord):
    for one in run.results.backbones:
        for figure in (one.test.top1, one.test.balanced_accuracy, one.test.macro_f1, one.test.nll, one.test.brier):
            assert figure.low <= figure.value <= figure.high
    (pair,) = run.results.pairs
    assert pair.difference.low <= pair.difference.value <= pair.difference.high


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
def test_whichever_pooling_is_taken_predictions_and_verification_use_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: str
):
    monkeypatch.setattr(poolings, "_best_pooling", lambda *_: pooling)
    run = bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)
    (one,) = run.results.backbones
    assert (one.search.pooling, one.search.winner.setting["pooling"]) == (pooling, pooling)
    told_N = run.predictions("vit_mini").probability_NC.max(axis=1)
    found_M = np.array([answer.probability for answer in Predictor.open(run.folder).predict([data])])
    assert np.abs(told_N[:, None] - found_M).min(axis=1).max() < 1e-3  # stored features are float16
    checked = verify_run(run.folder, cache=cache_folder())
    assert checked.differences == ()
    assert not any("predictions of vit_mini from its features" in one for one in checked.not_recomputed)


@pytest.mark.usefixtures("warm")
def test_threads_bind_what_reads_the_images_too(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def never() -> int:
        pytest.fail("the cores of the machine were taken")

    monkeypatch.setattr("vitrail.core.resources.usable_cores", never)
    bench(data, EMBEDDED[:1], out=tmp_path / "run", options=FAST, resources=Resources(cores=1))


def test_the_stored_predictions_give_the_printed_accuracy(run: RunRecord):
    for one in run.results.backbones:
        tested = run.predictions(one.name)
        right = (tested.probability_NC.argmax(axis=1) == tested.label_N).mean()
        assert right == pytest.approx(one.test.top1.value)


def test_a_repeated_command_shows_the_finished_run_and_computes_nothing(data: Path, run: RunRecord):
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    assert bench(data, EMBEDDED, out=run.folder, options=FAST).results == run.results
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}


def test_other_options_in_the_same_folder_are_wrong_usage(data: Path, run: RunRecord):
    with pytest.raises(UsageError, match="other options"):
        bench(data, ["vit_mini"], out=run.folder, options=FAST)


@pytest.mark.usefixtures("warm")
def test_another_run_on_the_same_images_computes_no_feature_and_says_the_same(
    data: Path, run: RunRecord, tmp_path: Path
):
    second = bench(data, EMBEDDED, out=tmp_path / "two", options=FAST)
    assert [one.cost.cached for one in second.results.backbones] == [1.0, 1.0]
    assert what_counts(second) == what_counts(run)


@pytest.mark.usefixtures("warm")
def test_test_labels_poisoned_after_the_split_change_no_choice(data: Path, tmp_path: Path, monkeypatch):
    honest = bench(data, ["vit_mini"], out=tmp_path / "honest", options=FAST)
    make_split = benchmark.make_split

    def poisoned(dataset, options):
        sealed_dataset, split, sealed = make_split(dataset, options)
        labels = {id_: (label + 1) % 3 for id_, label in sealed.open("poison").items()}
        return sealed_dataset, split, type(sealed)(labels)

    monkeypatch.setattr(benchmark, "make_split", poisoned)
    lied_to = bench(data, ["vit_mini"], out=tmp_path / "lied", options=FAST)
    heads = [run.head_file("vit_mini").read_bytes() for run in (honest, lied_to)]
    assert heads[0] == heads[1]
    assert lied_to.results.backbones[0].test.top1 != honest.results.backbones[0].test.top1


@pytest.mark.usefixtures("warm")
def test_a_run_that_stopped_after_the_opening_opens_again_with_the_same_choices_only(
    data: Path, tmp_path: Path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(benchmark, "write_run", lambda *arguments: (_ for _ in ()).throw(RunError("the disk is full")))
        with pytest.raises(RunError):
            bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)
    assert bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST).results.split.test_openings == 1


class Events(Silent):
    """The names of tasks as they start, and the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        self.lines.append(task)

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.mark.usefixtures("warm")
def test_the_precision_of_a_small_test_is_stated_before_the_run_and_with_its_decision(data: Path, tmp_path: Path):
    events = Events()
    run = bench(data, EMBEDDED, out=tmp_path / "run", options=FAST, resources=Resources(progress=events))
    n = run.results.backbones[0].test.top1.n
    (place,) = [place for place, line in enumerate(events.lines) if line.startswith(f"With {n} test images")]
    assert f"{n} test." in events.lines[place - 1]
    assert place < events.lines.index("Heads for vit_mini")
    assert any(caveat.startswith(f"With {n} test images") for caveat in run.results.decision.caveats)
    assert not verify_run(run.folder, cache=cache_folder()).differences


def test_what_is_taken_for_a_short_name_is_said_before_any_image_is_read(tmp_path: Path):
    events = Events()
    with pytest.raises(UsageError, match="absent"):
        bench(tmp_path / "absent", ["resnet50", "vit_mini"], resources=Resources(progress=events))
    assert [line.split(" (")[0] for line in events.lines] == ["resnet50 is short for resnet50.a1_in1k"]


@pytest.mark.usefixtures("warm")
def test_runs_with_other_options_on_the_same_test_are_counted_whatever_their_folders(data: Path, tmp_path: Path):
    for number, margin in enumerate((0.01, 0.02, 0.01, 0.03)):
        run = bench(data, ["vit_mini"], out=tmp_path / str(number), options=replace(FAST, margin=margin))
    assert [load_run(tmp_path / str(number)).results.split.test_openings for number in range(4)] == [1, 2, 2, 3]
    sentence = "Results on these test images were opened 3 times"
    assert sentence in run.report.read_text()
    console = Console(record=True, width=200)
    print_closing(run, console)
    text = console.export_text()
    assert re.search(r"Accuracy % \[95%\] a\b", text)
    assert f"\na {sentence}" in text
    for number in range(4):  # the ledger went on after the first of them
        assert not verify_run(tmp_path / str(number), cache=cache_folder()).differences
    other_seed = replace(FAST, split=SplitOptions(seed=1))
    assert bench(data, ["vit_mini"], out=tmp_path / "seed", options=other_seed).results.split.test_openings == 1


@pytest.mark.usefixtures("warm")
def test_another_split_is_judged_with_the_same_features(data: Path, tmp_path: Path):
    """`judge_split` can be called again: nothing of the first opening reaches the second, and no image is read."""
    resources, whole = Resources(offline=True), load(open_source(data))
    verdicts, choices = [], []
    first = make_split(whole, SplitOptions(seed=0))
    prepared = prepare(parse_specs(["vit_mini"]), *first[:2], FAST, data=data, cluster=None, resources=resources)
    assert prepared.extraction.features[0].cost.computed == 0
    for seed in (0, 1):
        dataset, split, sealed = make_split(whole, SplitOptions(seed=seed))
        with enter_folder(tmp_path / str(seed), "identity") as journal:
            journal.start("identity")
            opened = judge_split(prepared, dataset, split, sealed, FAST, resources=resources, journal=journal)
        assert opened.openings.count == 1
        assert opened.verdict.predictions[0].ids == split.test
        verdicts.append(opened.verdict)
        choices.append(sealed.opened_with)
    assert verdicts[0].predictions[0].ids != verdicts[1].predictions[0].ids
    assert None not in choices
    assert choices[0] != choices[1]


def test_a_backbone_is_named_only_once(data: Path):
    with pytest.raises(UsageError, match="twice"):
        bench(data, ["vit_mini", "vit_mini"])


def test_a_misspelt_backbone_is_found_before_any_image_is_read(tmp_path: Path):
    """A folder that is not there would be complained of first, were it looked at before the names."""
    with pytest.raises(UsageError, match=r"similar names are .*vit_mini"):
        bench(tmp_path / "nowhere", ["resnet_mini", "vit_minni"])
    with pytest.raises(UsageError, match="nowhere"):
        bench(tmp_path / "nowhere", ["resnet_mini", "vit_mini"])


def test_near_duplicates_across_given_splits_are_reported_with_the_accuracy_without_them(tmp_path: Path):
    root = tmp_path / "given"
    for part, seed in (("train", 0), ("test", 1)):
        draw_folder(root / part, per_class=16, seed=seed)
    for number, path in enumerate(sorted((root / "train" / "red").glob("*.png"))[:4]):
        Image.open(path).convert("RGB").save(root / "test" / "red" / f"copy-{number}.jpg", quality=90)
    run = bench(root, ["vit_mini"], out=tmp_path / "run", options=FAST)
    assert len(run.results.data.leaked) == 4
    assert run.results.data.duplicates["near_across_splits"] == 4
    (one,) = run.results.backbones
    assert one.top1_without_leaked is not None
    assert one.top1_without_leaked.n == one.test.top1.n - 4
    assert "near-duplicate" in run.report.read_text()
    unsearched = dataclasses.replace(FAST, near_duplicates=False)
    other = bench(root, ["vit_mini"], out=tmp_path / "other", options=unsearched)
    assert not other.results.data.near_pairs
    assert other.results.backbones[0].test.top1.n == one.test.top1.n


@pytest.mark.parametrize(
    "options",
    [{"level": 1.5}, {"level": 0.0}, {"margin": 2.0}, {"margin": -0.1}, {"margin": float("nan")}, {"max_pixels": 0}],
)
def test_invalid_options_are_refused_before_any_work(options: dict):
    with pytest.raises(UsageError, match="cannot be used"):
        BenchOptions(**options)


@pytest.mark.parametrize("fault", ["empty", "one class", "one image a class"])
def test_data_that_cannot_carry_a_benchmark_is_one_sentence(tmp_path: Path, fault: str):
    root = tmp_path / "data"
    root.mkdir()
    if fault != "empty":
        draw_folder(root, per_class=1 if fault == "one image a class" else 20)
    if fault == "one class":
        for name in ("green", "blue"):
            for path in (root / name).iterdir():
                path.unlink()
            (root / name).rmdir()
    with pytest.raises(DataError) as raised:
        bench(root, ["vit_mini"], out=tmp_path / "run")
    assert "\n" not in str(raised.value)


SCRIPT = """
import sys
from pathlib import Path
from tests.test_benchmark import FAST
from vitrail import benchmark
from vitrail.benchmark import bench, judge_split
bench(Path(sys.argv[1]), ["vit_mini"], out=Path(sys.argv[2]), options=FAST)
"""


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_an_undisturbed_one(data: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / "undisturbed"))
    wanted = what_counts(bench(data, ["vit_mini"], out=tmp_path / "wanted", options=FAST))
    draws = np.random.default_rng(0)
    environment = os.environ | {"VITRAIL_CACHE": str(tmp_path / "killed")}
    for moment in draws.uniform(1.0, 6.0, 5):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(data), str(tmp_path / "run")],
            cwd=Path(__file__).parents[1],
            env=environment,
        )
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / "killed"))
    assert what_counts(bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)) == wanted
