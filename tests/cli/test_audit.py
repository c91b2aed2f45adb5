import json
from pathlib import Path

from tests.pictures import draw_folder
from vitrail.cli.main import _run


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


def test_the_digits_have_no_files_to_list(tmp_path: Path, capsys):
    assert _run(["audit", "--fix", str(tmp_path / "clean.csv")]) == 2
    assert "digits" in capsys.readouterr().err
