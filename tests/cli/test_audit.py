import csv
import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from vitrail.cli.main import _run
from vitrail.data.sources import ZipSource


def test_findings_are_exit_code_0_with_a_page_a_manifest_and_json(tmp_path: Path, capsys, monkeypatch):
    data = draw_folder(tmp_path / "pictures", per_class=3)
    copy = data / "red" / "copy.png"
    copy.write_bytes(min((data / "red").glob("*.png")).read_bytes())
    monkeypatch.chdir(tmp_path)
    asked = ["audit", str(data), "--no-labels", "-q"]
    assert _run([*asked, "--json", "--fix", "clean.csv"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [len(one["paths"]) for one in told["exact"]] == [2]
    assert (tmp_path / "audit-pictures.html").is_file()
    assert len((tmp_path / "clean.csv").read_text().splitlines()) == 1 + 9
    assert _run(asked) == 0
    assert "1 exact copy" in capsys.readouterr().out


def test_an_archive_cannot_be_fixed_and_that_is_said_before_it_is_read(tmp_path: Path, capsys, monkeypatch):
    data = draw_folder(tmp_path / "pictures", per_class=3)
    archive = shutil.make_archive(str(tmp_path / "pictures"), "zip", data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ZipSource, "read", lambda *_: pytest.fail("an image was read"))
    assert _run(["audit", archive, "--no-labels", "-q", "--fix", "clean.csv"]) == 2
    assert "not single files" in capsys.readouterr().err
    assert not [*tmp_path.glob("*.html"), *tmp_path.glob("*.csv")]


def test_the_digits_have_no_files_to_list(tmp_path: Path, capsys):
    assert _run(["audit", "--fix", str(tmp_path / "clean.csv")]) == 2
    assert "digits" in capsys.readouterr().err


def shuffle_labels(root: Path) -> None:
    """Deal the images to the three folders in turn, so that no label says anything."""
    for place, path in enumerate(sorted(root.rglob("*.png"), key=lambda path: sha256(path.read_bytes()).hexdigest())):
        path.rename(root / ("blue", "green", "red")[place % 3] / f"new-{place}.png")


def test_a_weak_judge_flags_nothing_and_writes_no_note(tmp_path: Path, capsys, monkeypatch):
    data = draw_folder(tmp_path / "pictures", per_class=20)
    shuffle_labels(data)
    monkeypatch.chdir(tmp_path)
    assert _run(["audit", str(data), "-b", "resnet_mini", "-q", "--json", "--fix", "clean.csv"]) == 0
    labels = json.loads(capsys.readouterr().out)["labels"]
    assert labels["suspects"] == []
    assert labels["withheld"] > 5
    assert labels["accuracy"]["value"] < 0.5
    rows = list(csv.DictReader((tmp_path / "clean.csv").read_text().splitlines()))
    assert len(rows) == 60
    assert not any(row["note"] for row in rows)
    assert _run(["audit", str(data), "-b", "resnet_mini", "-q", "--fix", "clean.csv"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "No label is called suspect, because resnet_mini is not a good enough judge on these images." in said
    assert "suspect label" not in said.split("No label")[0]
    assert "Give a stronger backbone: -b vit_small_patch14_dinov2.lvd142m" in said
    assert "0 with a note (the judge of the labels is too weak)" in said
    page = (tmp_path / "audit-pictures.html").read_text()
    assert "is not a good enough judge on these images" in page
    assert "perhaps" not in page


def test_recall_and_precision_on_planted_errors_stand_beside_the_flags(tmp_path: Path, capsys, monkeypatch):
    data = draw_folder(tmp_path / "pictures", per_class=40)
    monkeypatch.chdir(tmp_path)
    said = []
    for _ in range(2):
        assert _run(["audit", str(data), "-b", "resnet_mini", "-q"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1], "the same seed plants the same errors"
    assert "Judge of the labels: resnet_mini, which agrees with 100.0%" in said[0]
    assert "Test of the judge: 5% of the labels were made wrong at random" in said[0]
    assert "Of all its flags, 100.0%" in said[0]
    assert "Test of the judge" in (tmp_path / "audit-pictures.html").read_text()
