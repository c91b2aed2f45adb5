"""A run as it was made is found so; each single thing that is changed in it is named."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from tests.pictures import draw_folder
from vitrail.benchmark import bench
from vitrail.candidates.options import BenchOptions
from vitrail.checks.compare import compare_runs
from vitrail.checks.differences import Comparison
from vitrail.checks.verify import verify_run
from vitrail.core.errors import RunError, UsageError
from vitrail.core.hashing import fingerprint, sha256_file
from vitrail.data import SplitOptions
from vitrail.evaluation.contestants import Criteria
from vitrail.heads.refusal import load_refusal, save_refusal
from vitrail.runs import Journal, load_run, read_results, write_receipt
from vitrail.search import TuneOptions

FAST = BenchOptions(search=TuneOptions(kinds=("logistic",), strengths=(1e-2, 1.0), seeds=1))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run and the cache with its features."""
    root = tmp_path_factory.mktemp("verified")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(root / "cache"))
        patch.setenv("VITRAIL_CONFIG", str(root / "config"))
        data = draw_folder(root / "pictures", per_class=20)
        one = min((data / "red").glob("*.png"))
        Image.open(one).convert("RGB").save(data / "red" / "copy.jpg", quality=90)  # a near-duplicate: it makes a group
        bench(data, ("vit_mini", "resnet_mini"), out=root / "run", options=FAST)
    return root / "run", root / "cache" / "v1"


@pytest.fixture
def copy(made: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "run"))


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run with a calibration split of its own, and the cache with its features."""
    root = tmp_path_factory.mktemp("apart")
    options = replace(FAST, split=SplitOptions(calibration=0.2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(root / "cache"))
        patch.setenv("VITRAIL_CONFIG", str(root / "config"))
        bench(draw_folder(root / "pictures", per_class=30), ("vit_mini",), out=root / "run", options=options)
    return root / "run", root / "cache" / "v1"


def edit_table(path: Path, column: str, change: Callable[[list], None]) -> None:
    table = pq.read_table(path)
    values = table[column].to_pylist()
    change(values)
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(values, table[column].type)), path)


def sign(folder: Path) -> None:
    """Make the receipt fit, as somebody would who changes a run and knows how it is made."""
    write_receipt(folder, read_results(folder / "results.json"))


def named(folder: Path, cache: Path) -> str:
    """What is named in a run as it is, and then with a receipt that was made to fit, if no file is missing."""
    verifications = [verify_run(folder, cache=cache)]
    with suppress(RunError):
        sign(folder)
        verifications.append(verify_run(folder, cache=cache))
    differences = [difference.where for verification in verifications for difference in verification.differences]
    assert differences
    return "\n".join(dict.fromkeys(differences))


def test_an_unchanged_run_verifies_and_unchecked_parts_are_listed(made: tuple[Path, Path]):
    found = verify_run(made[0], cache=made[1])
    assert found.differences == ()
    assert found.compared > 200
    assert any(one.startswith("the search") for one in found.not_recomputed)
    assert not any("which are not in the cache" in one for one in found.not_recomputed)


def test_a_run_decided_by_balanced_accuracy_is_computed_again_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VITRAIL_CONFIG", str(tmp_path / "config"))
    data = draw_folder(tmp_path / "pictures", per_class=60)
    for path in sorted((data / "red").iterdir())[12:]:
        path.unlink()
    options = replace(FAST, decide_by="balanced")
    results = bench(data, ("vit_mini", "resnet_mini"), out=tmp_path / "run", options=options).results
    assert results.decision.decide_by == "balanced"
    (pair,) = results.pairs
    first, second = (result.test.balanced_accuracy.value for result in results.backbones)
    assert pair.difference.value == pytest.approx(first - second)
    assert results.backbones[0].retraining.accuracy.value == first
    assert verify_run(tmp_path / "run", cache=tmp_path / "cache" / "v1").differences == ()
    run = load_run(tmp_path / "run")
    assert compare_runs(run, run).decide_by == "balanced"
    assert compare_runs(run, run).accuracy["1:vit_mini"].value == first
    assert compare_runs(run, run, Criteria(decide_by="top1")).decide_by == "top1"
    path = tmp_path / "run" / "results.json"
    changed = json.loads(path.read_text())
    changed["options"]["decide_by"] = "top1"
    path.write_text(json.dumps(changed))
    assert "decision.decide_by" in named(tmp_path / "run", tmp_path / "cache" / "v1")


def test_a_moved_run_without_its_cache_is_equal_too_and_says_what_it_could_not_see(copy: Path, tmp_path: Path):
    found = verify_run(copy, cache=tmp_path / "empty")
    assert found.equal
    assert any("predictions of vit_mini from its features" in one for one in found.not_recomputed)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_features_with_damaged_facts_are_as_good_as_gone(made: tuple[Path, Path], tmp_path: Path, content: str):
    cache = Path(shutil.copytree(made[1], tmp_path / "cache"))
    for facts in cache.glob("features/*/facts.json"):
        facts.write_text(content)
    verification = verify_run(made[0], cache=cache)
    assert verification.equal
    assert any("from its features, which are not in the cache" in line for line in verification.not_recomputed)


def test_thresholds_are_set_again_from_the_calibration_split(apart: tuple[Path, Path]):
    found = verify_run(apart[0], cache=apart[1])
    assert found.differences == ()
    assert not any("thresholds" in one for one in found.not_recomputed)
    (one,) = load_run(apart[0]).results.backbones
    assert one.refusal.set_on == "calibration"
    assert one.refusal.images == 18 == len(load_run(apart[0]).calibration("vit_mini").ids)
    assert load_run(apart[0]).results.data.counts["calibration"] == {"blue": 6, "green": 6, "red": 6}
    assert "split conformal: set on 18 images" in (apart[0] / "report.html").read_text()


def test_one_changed_answer_of_the_calibration_split_is_named(apart: tuple[Path, Path], tmp_path: Path):
    copied = Path(shutil.copytree(apart[0], tmp_path / "run"))

    def lower(values: list) -> None:
        values[int(np.argmax(values))] -= 0.9

    edit_table(copied / "calibration" / "vit_mini.parquet", "p:red", lower)
    said = named(copied, apart[1])
    assert "receipt.json: calibration/vit_mini.parquet" in said
    assert "calibration of vit_mini: thresholds lac" in said
    assert "calibration of vit_mini against its head and features: 1 of 18 images" in said


def test_one_changed_probability_is_named(copy: Path, made: tuple[Path, Path]):
    def swap(values: list) -> None:
        values[int(np.argmin(values))] += 1e-5

    edit_table(copy / "predictions" / "vit_mini.parquet", "p:red", swap)
    said = named(copy, made[1])
    assert "receipt.json: predictions/vit_mini.parquet" in said
    assert "predictions of vit_mini against its head and features: 1 of 12 images" in said
    assert "backbones[vit_mini].test.brier.value" in said
    assert "resnet_mini" not in said


def test_one_changed_weight_is_named(copy: Path, made: tuple[Path, Path]):
    path = copy / "heads" / "resnet_mini.safetensors"
    tensors = load_file(path)
    tensors["weight"] = tensors["weight"].copy()
    tensors["weight"][0, 0] += 0.01
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata=metadata)
    said = named(copy, made[1])
    assert "receipt.json: heads/resnet_mini.safetensors" in said
    assert "predictions of resnet_mini against its head and features" in said
    assert "vit_mini" not in said


def test_one_changed_answer_on_another_split_is_named(copy: Path, made: tuple[Path, Path]):
    def turn(values: list) -> None:
        values[0] = (values[0] + 1) % 3

    edit_table(copy / "splits" / "vit_mini.parquet", "predicted", turn)
    said = named(copy, made[1])
    assert "receipt.json: splits/vit_mini.parquet" in said
    assert "backbones[vit_mini].search.splits.deviation" in said
    edit_table(copy / "splits" / "vit_mini.parquet", "label", turn)
    assert "splits of vit_mini: labels of number 0" in named(copy, made[1])


def test_an_opening_in_the_log_that_the_results_do_not_count_is_named(copy: Path, tmp_path: Path):
    Journal(copy / "log.jsonl").record_opening("other choices")
    (difference,) = verify_run(copy, cache=tmp_path / "empty").differences
    assert (difference.where, difference.stored, difference.recomputed) == ("split.test_openings", "1", "2")


def test_one_changed_answer_of_a_head_on_a_half_is_named(copy: Path, made: tuple[Path, Path]):
    def turn(values: list) -> None:
        values[0] = (values[0] + 1) % 3

    path = copy / "subsets" / "vit_mini.parquet"
    edit_table(path, "predicted:other_half", turn)
    said = named(copy, made[1])
    assert "receipt.json: subsets/vit_mini.parquet" in said
    assert "backbones[vit_mini].retraining.deviation" in said
    assert "retrained[0].deviation" in said
    assert "backbones[resnet_mini]" not in said
    edit_table(path, "label", turn)
    assert "parts of vit_mini: labels[0]" in named(copy, made[1])
    path.unlink()
    assert "backbones[vit_mini].search.label_curves" in named(copy, made[1])


def test_a_deleted_row_is_named(copy: Path, made: tuple[Path, Path]):
    path = copy / "predictions" / "resnet_mini.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    said = named(copy, made[1]).splitlines()
    assert said == [
        "receipt.json: predictions/resnet_mini.parquet",
        "predictions of resnet_mini: images",
        "predictions of resnet_mini: order of images",
        "predictions",
    ]


def test_a_probability_that_is_no_number_is_named(copy: Path, made: tuple[Path, Path]):
    edit_table(copy / "predictions" / "vit_mini.parquet", "p:red", lambda values: values.__setitem__(0, None))
    assert "predictions" in named(copy, made[1]).splitlines()


def test_a_deleted_class_is_named(copy: Path, made: tuple[Path, Path]):
    path = copy / "predictions" / "resnet_mini.parquet"
    pq.write_table(pq.read_table(path).drop_columns("p:red"), path)
    said = named(copy, made[1])
    assert "predictions of resnet_mini against its head and features" in said
    assert "resnet_mini.refusal.safetensors" in said
    assert "predictions" in said.splitlines()


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_of_no_class_is_named(copy: Path, made: tuple[Path, Path], label: int):
    for name in ("vit_mini", "resnet_mini"):
        edit_table(copy / "predictions" / f"{name}.parquet", "label", lambda values: values.__setitem__(0, label))
    sign(copy)
    said = [one.recomputed for one in verify_run(copy, cache=made[1]).differences]
    assert any("A label of a test image is not one of the 3 classes" in one for one in said)


def test_a_label_of_no_class_in_the_calibration_split_is_named(apart: tuple[Path, Path], tmp_path: Path):
    copied = Path(shutil.copytree(apart[0], tmp_path / "run"))
    edit_table(copied / "calibration" / "vit_mini.parquet", "label", lambda values: values.__setitem__(0, 3))
    said = named(copied, apart[1])
    assert "calibration of vit_mini: labels[0]" in said
    assert "calibration of vit_mini: thresholds" in said


def test_a_table_without_probabilities_or_labels_is_one_sentence(copy: Path, made: tuple[Path, Path]):
    path = copy / "predictions" / "resnet_mini.parquet"
    whole = pq.read_table(path)
    pq.write_table(whole.select(["id", "label"]), path)
    sign(copy)
    with pytest.raises(RunError, match=r"resnet_mini\.parquet cannot be read .* \(no column begins with p:\)"):
        verify_run(copy, cache=made[1])
    pq.write_table(whole, path)
    edit_table(path, "label", lambda values: values.__setitem__(0, None))
    sign(copy)
    with pytest.raises(RunError, match=r"resnet_mini\.parquet cannot be read .* \(1 of 12 cells have no number"):
        verify_run(copy, cache=made[1])


def test_results_without_a_refusal_are_refused(copy: Path, made: tuple[Path, Path]):
    results = json.loads((copy / "results.json").read_text())
    results["backbones"][0]["refusal"] = None
    (copy / "results.json").write_text(json.dumps(results))
    with pytest.raises(RunError, match=r"backbones\.0\.refusal"):
        verify_run(copy, cache=made[1])


def test_thresholds_that_were_deleted_are_named_without_features_too(copy: Path, tmp_path: Path):
    (copy / "heads" / "vit_mini.refusal.safetensors").unlink()
    said = named(copy, tmp_path / "empty").splitlines()
    assert {"vit_mini.refusal.safetensors", "backbones[vit_mini].refusal"} <= set(said)


def test_thresholds_of_another_head_are_named(copy: Path, made: tuple[Path, Path]):
    heads = copy / "heads"
    shutil.copy(heads / "resnet_mini.refusal.safetensors", heads / "vit_mini.refusal.safetensors")
    said = named(copy, made[1])
    assert "vit_mini.refusal.safetensors" in said.splitlines()


@pytest.mark.parametrize("with_receipt", [False, True])
def test_one_changed_label_is_named_though_the_receipt_was_made_to_fit(
    copy: Path, made: tuple[Path, Path], with_receipt: bool
):
    def turn(values: list) -> None:
        values[0] = (values[0] + 1) % 3

    edit_table(copy / "predictions" / "vit_mini.parquet", "label", turn)
    if with_receipt:
        write_receipt(copy, read_results(copy / "results.json"))
    said = named(copy, made[1])
    assert ("receipt.json" in said) != with_receipt
    assert "predictions of resnet_mini: labels" in said
    assert "data.fingerprint" in said


def test_one_changed_training_label_is_named(copy: Path, made: tuple[Path, Path]):
    def turn(values: list) -> None:
        place = next(row for row, value in enumerate(values) if value is not None)
        values[place] = (values[place] + 1) % 3

    edit_table(copy / "data.parquet", "label", turn)
    said = named(copy, made[1])
    assert "data.counts.train" in said
    assert "data.fingerprint" in said


def test_one_changed_figure_is_named(copy: Path, made: tuple[Path, Path]):
    results = json.loads((copy / "results.json").read_text())
    results["backbones"][0]["test"]["top1"]["value"] += 0.01
    results["decision"]["sentence"] = "Take mine."
    (copy / "results.json").write_text(json.dumps(results))
    said = named(copy, made[1]).splitlines()
    assert said == [
        "receipt.json: results.json",
        "backbones[vit_mini].test.top1.value",
        "decision.sentence",
    ]


def test_a_missing_file_is_named_and_a_folder_without_a_run_refused(
    copy: Path, made: tuple[Path, Path], tmp_path: Path
):
    (copy / "report.html").unlink()
    assert named(copy, made[1]) == "receipt.json: report.html"
    with pytest.raises(RunError):
        verify_run(tmp_path, cache=made[1])


def test_the_last_digits_are_no_difference_but_the_ninth_is():
    comparison = Comparison()
    comparison.compare("a", {"x": [1.0, 2.0]}, {"x": [1.0 + 1e-12, 2.0]})
    assert (comparison.compared, comparison.differences) == (2, [])
    comparison.compare("a", {"x": [1.0, 2.0]}, {"x": [1.0 + 1e-8, 2.0]})
    comparison.compare("b", {"name": "x"}, None)
    assert [one.where for one in comparison.differences] == ["a.x[0]", "b"]


def test_a_run_against_itself_has_no_flips_and_the_same_pairs(made: tuple[Path, Path]):
    run = load_run(made[0])
    found = compare_runs(run, run)
    assert found.runs == (made[0], made[0])
    assert (found.common, found.only_first, found.only_second) == (12, 0, 0)
    by_name = {(pair.a, pair.b): pair for pair in found.pairs}
    same = by_name["1:vit_mini", "2:vit_mini"]
    assert (same.only_a, same.only_b, same.mcnemar_p) == (0, 0, 1.0)
    (inside,) = run.results.pairs
    across = by_name["1:vit_mini", "2:resnet_mini"]
    assert (across.only_a, across.only_b) == (inside.only_a, inside.only_b)
    assert across.difference.value == inside.difference.value
    assert across.difference.low < inside.difference.low, "four pairs are compared, not one"
    assert across.adjusted_p >= inside.adjusted_p


def test_images_that_either_run_groups_are_one_group_whichever_run_comes_first(made: tuple[Path, Path], copy: Path):
    def in_fives(values: list) -> None:
        values[:] = [f"five {row // 5}" for row in range(len(values))]

    edit_table(copy / "data.parquet", "group", in_fives)
    write_receipt(copy, read_results(copy / "results.json"))
    plain, grouped = load_run(made[0]), load_run(copy)
    there, back = compare_runs(plain, grouped), compare_runs(grouped, plain)
    assert there.accuracy["1:vit_mini"] == back.accuracy["2:vit_mini"]
    assert there.accuracy["1:vit_mini"] != compare_runs(plain, plain).accuracy["1:vit_mini"], "the twin: groups tell"


@pytest.mark.parametrize(
    "options", [{"level": 95}, {"level": 0.0}, {"margin": 2.0}, {"margin": -0.01}, {"margin": np.nan}]
)
def test_an_invalid_level_or_margin_is_wrong_usage(made: tuple[Path, Path], options: dict[str, float]):
    run = load_run(made[0])
    with pytest.raises(UsageError, match="cannot be used: both are fractions between 0 and 1"):
        compare_runs(run, run, Criteria(**options))


def test_flips_name_the_images_that_one_run_fixes_and_breaks(made: tuple[Path, Path], copy: Path):
    run = load_run(copy)
    tested = run.predictions("vit_mini")
    right_N = tested.probability_NC.argmax(axis=1) == tested.label_N
    row = int(np.flatnonzero(right_N)[0])
    wrong = (int(tested.label_N[row]) + 1) % 3
    for place, name in enumerate(run.results.data.classes):
        edit_table(
            copy / "predictions" / "vit_mini.parquet",
            f"p:{name}",
            lambda values, one=float(place == wrong): values.__setitem__(row, one),
        )
    write_receipt(copy, run.results)
    found = compare_runs(load_run(made[0]), load_run(copy))
    (flips,) = [one for one in found.flips if (one.a, one.b) == ("1:vit_mini", "2:vit_mini")]
    assert (flips.fixed, flips.broken) == ((), (tested.ids[row],))


def test_the_distance_to_the_training_images_and_their_features_are_computed_again(
    copy: Path, made: tuple[Path, Path], tmp_path: Path
):
    path = copy / "heads" / "vit_mini.refusal.safetensors"
    kept = load_refusal(path)
    save_refusal(replace(kept, distance=kept.distance * 1.01), path)
    assert "bank of vit_mini: distance" in named(copy, made[1]).splitlines()
    save_refusal(replace(kept, bank_BD=np.roll(kept.bank_BD, 1, axis=0)), path)
    assert "bank of vit_mini: rows" in named(copy, made[1]).splitlines()
    save_refusal(kept, path)
    sign(copy)
    without = verify_run(copy, cache=tmp_path / "empty")
    assert any("training features that vit_mini compares" in line for line in without.not_recomputed)
    assert without.equal


RUN_FILES = [
    "data.parquet",
    "heads/vit_mini.refusal.safetensors",
    "heads/vit_mini.safetensors",
    "log.jsonl",
    "predictions/vit_mini.parquet",
    "receipt.json",
    "report.html",
    "results.json",
    "search/vit_mini.parquet",
    "splits/vit_mini.parquet",
    "subsets/vit_mini.parquet",
]


@pytest.mark.parametrize("name", RUN_FILES)
@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_no_file_of_a_run_that_was_damaged_or_deleted_is_used(copy: Path, name: str, damage: str):
    """`predict`, `compare`, `audit --run` and a finished run shown again all begin with `load_run`."""
    path = copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.unlink()
    if damage == "flip":
        path.write_bytes(content)
    with pytest.raises(RunError):
        load_run(copy)


@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("data.parquet", None),
        ("predictions/vit_mini.parquet", None),
        ("search/vit_mini.parquet", None),
        ("heads/vit_mini.refusal.safetensors", "vit_mini.refusal.safetensors"),
        ("heads/vit_mini.safetensors", "predictions of vit_mini against its head and features"),
        ("splits/vit_mini.parquet", "backbones[vit_mini].search.splits"),
        ("subsets/vit_mini.parquet", "backbones[vit_mini].search.label_curves"),
    ],
)
def test_a_file_that_is_not_the_one_in_the_receipt_is_not_read(
    copy: Path, made: tuple[Path, Path], name: str, then: str | None
):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 4
    (copy / name).write_bytes(content)
    verification = verify_run(copy, cache=made[1])
    recomputed = {difference.where: difference.recomputed for difference in verification.differences}
    assert recomputed.pop(f"receipt.json: {name}")
    if then is None:
        assert not recomputed
    else:
        assert "was changed, damaged or deleted" in recomputed[then]


def test_a_receipt_without_files_and_a_file_that_is_not_of_the_run_are_named(copy: Path, made: tuple[Path, Path]):
    (copy / "heads" / "vit_huge.safetensors").write_bytes(b"")
    assert named(copy, made[1]) == "receipt.json: heads/vit_huge.safetensors"
    (copy / "heads" / "vit_huge.safetensors").unlink()
    receipt = json.loads((copy / "receipt.json").read_text())
    receipt |= {"files": {}}
    receipt["digest"] = fingerprint({name: value for name, value in receipt.items() if name != "digest"})
    (copy / "receipt.json").write_text(json.dumps(receipt))
    said = named(copy, made[1]).splitlines()
    assert {"receipt.json: results.json", "receipt.json: heads/vit_mini.safetensors"} <= set(said)


def test_what_the_log_says_after_the_receipt_is_free_and_before_it_is_not(copy: Path):
    Journal(copy / "log.jsonl").write("something later")
    assert load_run(copy).results.backbones
    lines = (copy / "log.jsonl").read_text().splitlines()
    kept = [line for line in lines if "opened" not in line]
    assert len(kept) == len(lines) - 1
    (copy / "log.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(RunError, match=r"log\.jsonl"):
        load_run(copy)


def test_a_receipt_leads_nowhere_outside_of_the_run(copy: Path, made: tuple[Path, Path], tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("not for a stranger's run")
    receipt = json.loads((copy / "receipt.json").read_text())
    receipt["files"]["../secret"] = sha256_file(secret)
    receipt["digest"] = fingerprint({name: value for name, value in receipt.items() if name != "digest"})
    (copy / "receipt.json").write_text(json.dumps(receipt))
    verification = verify_run(copy, cache=made[1])
    assert [(one.where, one.recomputed) for one in verification.differences] == [("receipt.json: ../secret", "missing")]
