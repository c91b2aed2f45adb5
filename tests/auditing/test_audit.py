import csv
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, photograph
from tests.pictures import draw_folder
from vitrail.auditing import AuditOptions, audit, audit_to_json, write_manifest, write_page
from vitrail.auditing.page import sentence
from vitrail.auditing.suspects import find_suspects
from vitrail.backbones import Backbone
from vitrail.core.errors import UsageError, WeightsError
from vitrail.data import NearDuplicates, load, open_source
from vitrail.runs import read_results, write_receipt

NO_LABELS = AuditOptions(labels=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with given splits: a copy, a conflict of near-duplicates, one that crosses, a broken file."""
    root = tmp_path / "data"
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
    for seed in range(8):
        path = root / ("train" if seed < 6 else "test") / ("cat" if seed % 2 else "dog") / f"{seed}.png"
        path.write_bytes(encoded(photograph(seed)))
    (root / "train" / "dog" / "again.png").write_bytes((root / "train" / "dog" / "0.png").read_bytes())
    (root / "train" / "cat" / "dog.jpg").write_bytes(encoded(photograph(2), "JPEG"))
    (root / "train" / "dog" / "leak.jpg").write_bytes(encoded(photograph(6), "JPEG"))
    (root / "train" / "dog" / "broken.jpg").write_bytes(encoded(photograph(9), "JPEG")[:-2000])
    return root


def test_an_audit_names_copies_conflicts_leaks_and_broken_files(folder: Path):
    found = audit(folder, NO_LABELS)
    assert [one.paths for one in found.exact] == [("train/dog/0.png", "train/dog/again.png")]
    assert {tuple(sorted(one.paths)) for one in found.conflicts} == {("train/cat/dog.jpg", "train/dog/2.png")}
    assert {tuple(sorted(one.paths)) for one in found.crossing} == {("test/dog/6.png", "train/dog/leak.jpg")}
    assert [(one.path, one.kind) for one in found.findings] == [("train/dog/broken.jpg", "unreadable")]
    assert found.labels.why_not
    told = json.loads(audit_to_json(found))
    assert len(told["near"]) == 2
    assert "dataset" not in told


def test_the_cleaned_manifest_can_be_read_by_a_benchmark_and_changes_no_image(folder: Path, tmp_path: Path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    manifest = tmp_path / "elsewhere" / "clean.csv"
    cleaned = write_manifest(audit(folder, NO_LABELS), folder, manifest)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    assert cleaned.rows == len(rows) == 8 - 1
    again = load(open_source(manifest))
    assert not again.set_aside
    assert {Path(path).name for paths in again.table["paths"].to_pylist() for path in paths} == {
        "0.png", "1.png", "3.png", "4.png", "5.png", "6.png", "7.png"
    }  # fmt: skip
    assert {row["split"] for row in rows} == {"train", "test"}
    assert not audit(manifest, NO_LABELS).near


def test_a_cleaned_manifest_is_read_as_it_is_whatever_the_names(tmp_path: Path):
    labels = (" cat", "AC\\DC", 'say "dog"')
    for place, label in enumerate(labels):
        for number, name in enumerate(("a, b.png", " lead.png", "end.png ", 'quote"d.png')):
            path = tmp_path / "data" / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(photograph(10 * place + number)))
    data, first, second = tmp_path / "data", tmp_path / "first.csv", tmp_path / "second.csv"
    found = audit(data, NO_LABELS)
    write_manifest(found, data, first)
    again = audit(first, NO_LABELS)
    write_manifest(again, first, second)
    assert again.dataset.classes == found.dataset.classes == ("AC\\DC", "cat", 'say "dog"')
    assert again.dataset.table["id"] == found.dataset.table["id"]
    assert not again.dataset.set_aside
    assert second.read_bytes() == first.read_bytes()


def test_the_same_bytes_under_two_labels_are_a_conflict_and_not_unreadable(folder: Path, tmp_path: Path):
    (folder / "train" / "cat" / "same.png").write_bytes((folder / "train" / "dog" / "4.png").read_bytes())
    found = audit(folder, NO_LABELS)
    assert [one.paths for one in found.two_labels] == [("train/cat/same.png", "train/dog/4.png")]
    assert "train/cat/same.png (cat) and train/dog/4.png (dog)" in found.two_labels[0].detail
    assert [(one.path, one.kind) for one in found.findings] == [("train/dog/broken.jpg", "unreadable")]
    write_page(found, tmp_path / "audit.html")
    assert "1 content has two labels" in (tmp_path / "audit.html").read_text()
    assert "1 content with two labels" in sentence(found)
    assert json.loads(audit_to_json(found))["two_labels"][0]["paths"] == ["train/cat/same.png", "train/dog/4.png"]
    cleaned = write_manifest(found, folder, tmp_path / "clean.csv")
    assert (cleaned.set_aside, cleaned.rows) == (2, 6)


def test_what_shares_its_group_with_the_given_test_split_is_called_so(folder: Path, tmp_path: Path):
    rows = [
        {"path": f"{part}/{label}/{name}", "label": label, "split": part, "group": group, "camera": part.upper()}
        for part, label, name, group in (
            ("train", "dog", "0.png", "rex"),
            ("train", "cat", "1.png", ""),
            ("test", "dog", "6.png", "rex"),
            ("test", "cat", "7.png", ""),
        )
    ]
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = audit(folder / "list.csv", NO_LABELS)
    assert [(one.path, one.kind) for one in found.findings] == [("train/dog/0.png", "crosses splits")]
    assert write_manifest(found, folder / "list.csv", tmp_path / "clean.csv").set_aside == 1
    kept = list(csv.DictReader((tmp_path / "clean.csv").read_text().splitlines()))
    assert {row["camera"] for row in kept} == {"TRAIN", "TEST"}  # further columns stay


def test_a_manifest_of_images_that_are_not_files_is_not_written(tmp_path: Path):
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in draw_folder(tmp_path / "pictures", per_class=3).rglob("*.png"):
            file.write(path, path.relative_to(tmp_path / "pictures"))
    with pytest.raises(UsageError, match="not single files"):
        write_manifest(audit(archive, NO_LABELS), archive, tmp_path / "clean.csv")
    assert not (tmp_path / "clean.csv").exists()


def test_the_page_is_whole_fetches_nothing_and_escapes_names(folder: Path, tmp_path: Path):
    (folder / "train" / "<b>cat").mkdir()
    (folder / "train" / "<b>cat" / "x.png").write_bytes(encoded(photograph(3).resize((80, 60))))
    write_page(audit(folder, NO_LABELS), tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert "<b>cat" not in page.replace("&lt;b&gt;cat", "")
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/") >= 4
    assert "Two labels." in page


def test_planted_wrong_labels_come_first_among_the_suspects(tmp_path: Path):
    root = draw_folder(tmp_path / "pictures", per_class=30)
    planted = []
    for path in sorted((root / "red").iterdir())[:3]:
        planted.append(f"blue/moved-{path.name}")
        path.rename(root / planted[-1])
    found = audit(root, AuditOptions(backbone="resnet_mini")).labels
    assert not found.why_not
    assert not found.test_included
    judged = {one.path: one for one in found.suspects}
    assert set(judged) <= set(planted), "only what was planted is suspect"
    assert judged, "at least one of the three lies in train and is found"
    assert all(one.suggested == "red" and one.label == "blue" for one in found.suspects)


def test_labels_whose_heads_do_not_fit_in_memory_are_not_judged(monkeypatch):
    module = sys.modules["vitrail.auditing.audit"]
    monkeypatch.setattr("vitrail.search.memory.usable_memory", lambda: 10**6)
    monkeypatch.setattr(module, "find_suspects", lambda *_, **__: pytest.fail("labels were judged"))
    monkeypatch.setattr(module, "find_near_duplicates", lambda *_, **__: NearDuplicates())  # takes time
    found = audit(None).labels
    assert found.judged == 0
    assert "fitted in memory" in found.why_not
    assert "half of the memory of this process" in found.why_not


def test_a_run_of_other_images_is_wrong_usage(tmp_path: Path):
    from tests.test_benchmark import FAST
    from vitrail.benchmark import bench

    root = draw_folder(tmp_path / "pictures", per_class=20)
    one = min((root / "red").glob("*.png"))
    Image.open(one).convert("RGB").save(root / "red" / "copy.jpg", quality=90)  # a near-duplicate: it makes a group
    run = bench(root, ["vit_mini"], out=tmp_path / "run", options=FAST)
    found = audit(root, AuditOptions(run=run.folder)).labels
    assert found.test_included
    assert found.judged == 61
    assert found.backbone == "vit_mini"
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(root / "red" / "new.png")
    with pytest.raises(UsageError, match="other images"):
        audit(root, AuditOptions(run=run.folder))


def decide_for(run: Path, backbone: str, **facts: str) -> None:
    """Write into the results of a run that it decided for a backbone, and what else is known of that."""
    results = json.loads((run / "results.json").read_text())
    results["decision"]["choose"] = backbone
    for one in results["backbones"]:
        if one["name"] == backbone:
            one.update(facts)
    (run / "results.json").write_text(json.dumps(results))
    write_receipt(run, read_results(run / "results.json"))


def test_the_backbone_of_a_run_is_opened_as_it_was_in_the_run(tmp_path: Path):
    from tests.test_benchmark import FAST
    from vitrail.benchmark import bench

    root = draw_folder(tmp_path / "pictures", per_class=20)
    both = replace(FAST, recipes=("default", "deck"))
    run = bench(root, ["vit_mini"], out=tmp_path / "run", options=both).folder
    decide_for(run, "vit_mini+deck")
    seen: list[Backbone] = []

    def find(hidden, split, backbone, **options):
        seen.append(backbone)
        return find_suspects(hidden, split, backbone, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["vitrail.auditing.audit"], "find_suspects", find)
        found = audit(root, AuditOptions(run=run)).labels
    assert (found.backbone, found.test_included) == ("vit_mini+deck", True)
    assert seen[0].card.preprocessing.equalise, "the deck's pixels are equalised"
    with pytest.raises(UsageError, match="has no backbone 'resnet_mini'; it has vit_mini, vit_mini"):
        audit(root, AuditOptions(run=run, backbone="resnet_mini"))
    decide_for(run, "vit_mini", weights_sha256="77" * 32)
    with pytest.raises(WeightsError, match=r"sha256 777777777777.*-b vit_mini=FILE"):
        audit(root, AuditOptions(run=run))


def test_a_run_is_judged_on_the_engine_that_it_was_told_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tests.test_benchmark import FAST
    from vitrail.benchmark import bench

    root = draw_folder(tmp_path / "pictures", per_class=20)
    told = replace(FAST, engine="torch", precision="fp32")
    run = bench(root, ["resnet_mini"], out=tmp_path / "run", options=told).folder
    monkeypatch.setattr("vitrail.features.one_pass.Stream", lambda *_, **__: pytest.fail("features were computed anew"))
    assert audit(root, AuditOptions(run=run)).labels.test_included


def test_data_that_cannot_be_split_are_audited_without_their_labels(tmp_path: Path):
    root = draw_folder(tmp_path / "pictures", per_class=3)
    found = audit(root)
    assert "fewer than 8" in found.labels.why_not
    assert found.balance == {"blue": 3, "green": 3, "red": 3}
