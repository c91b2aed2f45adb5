"""Further columns of a manifest from the file to results, report, terminal and verification."""

import csv
import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.checks.test_verify import edit_table, named
from tests.pictures import draw_folder
from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.checks.verify import verify_run
from vitrail.cli.closing import print_closing
from vitrail.core.errors import DataError, UsageError
from vitrail.runs import RunRecord, load_run
from vitrail.search import TuneOptions

FAST = BenchOptions(search=TuneOptions(kinds=("ridge",), alphas=(10.0,), seeds=1, splits=2))
BOTH = ("vit_mini", "resnet_mini")


def write_manifest(root: Path, *, per_class: int, split: bool) -> Path:
    """Images in three colours with a camera of five, a year that is sometimes missing, and perhaps a given split.

    Half of the labels of camera B are wrong.
    """
    data = draw_folder(root / "pictures", per_class=per_class)
    table = root / "pictures.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "camera", "Year", "note", "species", *(["split"] if split else [])])
        for number, path in enumerate(sorted(data.rglob("*.png"))):
            camera, label = "ABCDE"[number % 5], path.parent.name
            if camera == "B" and number // 20 % 2:
                label = {"blue": "green", "green": "red", "red": "blue"}[label]
            row = [path.relative_to(root), label, camera, ["2024", "2025", ""][number % 3]]
            given = [("train", "train", "val", "test")[number // 5 % 4]] if split else []
            writer.writerow([*row, "seen twice", label.upper(), *given])
    return table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """A run on a given split that leaves out each camera in turn, and its cache."""
    root = tmp_path_factory.mktemp("conditions")
    options = replace(FAST, search=replace(FAST.search, leave_out="camera"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(root / "cache"))
        patch.setenv("VITRAIL_CONFIG", str(root / "config"))
        run = bench(write_manifest(root, per_class=60, split=True), BOTH, out=root / "run", options=options)
    return run, root / "cache" / "v1"


def test_columns_with_few_values_are_slices_but_notes_and_class_names(made: tuple[RunRecord, Path]):
    results = made[0].results
    assert results.data.slices == ("camera", "Year")
    slices = results.backbones[0].conditions.slices
    assert [each.title for each in slices] == [
        *(f"camera = {name}" for name in "ABCDE"),
        *("Year = 2024", "Year = 2025", "Year missing"),
    ]
    assert sum(each.n for each in slices[:5]) == results.backbones[0].test.top1.n == sum(e.n for e in slices[5:])


def test_each_judged_image_has_an_answer_of_a_head_that_never_saw_its_camera(made: tuple[RunRecord, Path]):
    run = made[0]
    new = run.results.backbones[0].conditions.new_values
    assert new is not None
    assert (new.folds, len(new.values), new.known.n) == (5, 5, run.results.backbones[0].test.top1.n)
    assert 0.75 < new.kept_share < 0.85
    assert sum(value.right_new for value in new.values) == round(new.new.value * new.new.n)
    rows, known = run.left_out("vit_mini"), run.predictions("vit_mini")
    assert rows.ids == known.ids
    assert (rows.probability_NC != known.probability_NC).any(axis=1).all()


def test_worst_slice_and_new_values_stand_beside_the_decision(made: tuple[RunRecord, Path]):
    run = made[0]
    caveats = " ".join(run.results.decision.caveats)
    assert "values of camera" in caveats
    assert "is least accurate on camera = B" in caveats
    page = run.report.read_text()
    for text in ("camera = B", "Year missing", "training never saw"):
        assert text in page
    text = StringIO()
    print_closing(run, Console(file=text, width=200))
    assert "training never saw" in " ".join(text.getvalue().split())


def test_a_given_test_is_compared_with_training(made: tuple[RunRecord, Path]):
    results = made[0].results
    assert results.shares is not None
    assert results.shares.p_value > 0.01
    for backbone in results.backbones:
        shift = backbone.conditions.shift
        assert shift.features is not None
        assert 0 < shift.features.p_value <= 1
        assert shift.out_of_fold is not None
        assert shift.change is not None


def test_a_run_with_columns_verifies_and_changes_are_named(made: tuple[RunRecord, Path], tmp_path: Path):
    run, cache = made
    assert verify_run(run.folder, cache=cache).differences == ()
    folder = Path(shutil.copytree(run.folder, tmp_path / "run"))

    def swap(values: list) -> None:
        values[:] = ["A" if value == "B" else value for value in values]

    edit_table(folder / "data.parquet", "column:camera", swap)
    changed = named(folder, cache)
    assert "data.fingerprint" in changed
    assert "conditions.slices" in changed
    folder = Path(shutil.copytree(run.folder, tmp_path / "second"))
    edit_table(folder / "left-out" / "vit_mini.parquet", "p:blue", lambda values: values.__setitem__(0, 7.0))
    assert "conditions.new_values" in named(folder, cache)
    (folder / "left-out" / "vit_mini.parquet").unlink()
    assert "left-out of vit_mini" in named(folder, cache)
    (results := json.loads((folder / "results.json").read_text()))["backbones"][0]["conditions"]["shift"]["features"][
        "auc"
    ] = 0.9
    (folder / "results.json").write_text(json.dumps(results))
    assert "shift.features.auc" in named(folder, cache)


def test_without_the_cache_the_features_are_taken_as_stored(made: tuple[RunRecord, Path], tmp_path: Path):
    found = verify_run(made[0].folder, cache=tmp_path)
    assert found.differences == ()
    assert any("test and training images of vit_mini" in line for line in found.not_recomputed)


def test_a_drawn_test_is_not_compared_by_features(tmp_path: Path):
    run = bench(write_manifest(tmp_path, per_class=20, split=False), ("vit_mini",), out=tmp_path / "run", options=FAST)
    assert run.results.shares is None
    assert run.results.backbones[0].conditions.shift.features is None
    assert run.results.backbones[0].conditions.new_values is None
    assert load_run(run.folder).results == run.results


def test_named_slices_are_the_only_ones_and_a_missing_column_is_an_error(tmp_path: Path):
    table = write_manifest(tmp_path, per_class=20, split=False)
    options = replace(FAST, slices=("species",))
    run = bench(table, ("vit_mini",), out=tmp_path / "run", options=options)
    assert {each.column for each in run.results.backbones[0].conditions.slices} == {"species"}
    assert not any(name in pq.read_table(run.folder / "data.parquet").column_names for name in ("column:camera",))
    with pytest.raises(UsageError, match=r"no column 'lens' \(it has camera, Year, species\)"):
        bench(table, ("vit_mini",), out=tmp_path / "other", options=replace(FAST, slices=("lens",)))


def test_one_value_cannot_be_left_out(tmp_path: Path):
    table = write_manifest(tmp_path, per_class=20, split=False)
    rows = list(csv.reader(StringIO(table.read_text())))
    place = rows[0].index("camera")
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *([*row[:place], "A", *row[place + 1 :]] for row in rows[1:])])
    options = replace(FAST, search=replace(FAST.search, leave_out="camera"))
    with pytest.raises(UsageError, match="has one value, A"):
        bench(table, ("vit_mini",), out=tmp_path / "run", options=options)


def test_values_of_the_test_alone_cannot_be_compared_and_no_image_is_read_for_it(tmp_path: Path):
    table = write_manifest(tmp_path, per_class=20, split=True)
    rows = list(csv.reader(StringIO(table.read_text())))
    camera, split = rows[0].index("camera"), rows[0].index("split")
    for row in rows[1:]:
        row[camera] = {"test": "Z"}.get(row[split], row[camera])
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    options = replace(FAST, search=replace(FAST.search, leave_out="camera"))
    with pytest.raises(DataError, match="the ordinary accuracy is the accuracy on new values"):
        bench(table, ("vit_mini",), out=tmp_path / "run", options=options)


def test_same_columns_same_answers_and_other_values_are_another_question(tmp_path: Path):
    table = write_manifest(tmp_path, per_class=20, split=False)
    first = bench(table, ("vit_mini",), out=tmp_path / "run", options=FAST)
    text = table.read_text().replace("2024", "2023")
    table.write_text(text)
    with pytest.raises(UsageError, match="other data"):
        bench(table, ("vit_mini",), out=tmp_path / "run", options=FAST)
    table.write_text(text.replace("seen twice", "seen once").replace("2023", "2024"))
    assert bench(table, ("vit_mini",), out=tmp_path / "run", options=FAST).results == first.results
    assert np.isfinite(first.results.backbones[0].test.top1.value)
