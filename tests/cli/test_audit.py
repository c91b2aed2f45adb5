import json
import shutil
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from vitrail.cli.main import _run
from vitrail.data.sources import ZipSource


def test_findings_are_exit_code_0_with_a_page_a_manifest_and_json(tmp_path: Path, capsys, monkeypatch):
    data = draw_folder(tmp_path / "pictures", per_class=3)
    copy = data / "red" / "copy.png"
    copy.write_bytes(next((data / "red").glob("*.png")).read_bytes())
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
