"""`vitrail predict` from the command line, on a run of drawn images."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_outside_data import PATHS
from tests.pictures import draw_folder
from vitrail.cli.main import _run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    data = draw_folder(folder / "images", per_class=20)
    assert _run(["bench", str(data), "-b", "vit_mini", "--trials", "1", "--out", str(folder / "run"), "-q"]) == 0
    return folder / "run"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return draw_folder(Path("new"), per_class=4, seed=1)


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_manifest_with_labels_gives_a_table_and_its_accuracy(run: Path, capsys: pytest.CaptureFixture[str]):
    rows = [f"new/{colour}/00{n}-1.png,{colour}" for colour in ("blue", "green", "red") for n in range(4)]
    Path("list.csv").write_text("\n".join(["path,label", *rows, "new/gone.png,red", "new/red/001-1.png,Purple"]))
    assert _run(["predict", str(run), "list.csv", "--out", "deep/out.csv", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("14 images: ")
    assert lines[0].endswith("1 unreadable.")
    assert lines[1].startswith("Accuracy ")
    assert "1 labelled image is not judged: the head does not know the label" in lines[2]
    assert lines[-1] == f"Written to {Path('deep/out.csv')}"
    table = rows_of("deep/out.csv")
    assert [row["file"] for row in table][:1] == ["new/blue/000-1.png"]
    assert len(table) == 14
    assert all((row["label"] == "") == (row["refused"] == "true") == (row["why"] != "") for row in table)
    assert _run(["predict", str(run), "list.csv", "--out", "out.csv", "--json", "-q"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["images"], summary["unknown_labels"]) == (14, {"Purple": 1})
    assert summary["accuracy_of_all"]["n"] == 12


def test_images_of_the_run_itself_are_no_evidence(run: Path, capsys: pytest.CaptureFixture[str]):
    assert _run(["predict", str(run), str(run.parent / "images"), "--out", "out.csv", "--json", "-q"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 60
    assert summary["learned"] + summary["tested"] == 60
    assert summary["accuracy_of_all"]["n"] == summary["tested"] == 12
    assert {row["run_split"] for row in rows_of("out.csv")} >= {"train", "test"}


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
def test_a_list_on_stdin_is_predicted_in_its_order(
    run: Path, separator: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    names = ["new/red/002-1.png", "new/nothing.png", "new/blue/000-1.png"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(separator.join([*names, ""]).encode())))
    assert _run(["predict", str(run), "-", "new/green/001-1.png", "-q", "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)
    assert [prediction["path"] for prediction in predictions] == [*names, "new/green/001-1.png"]
    assert [prediction["error"] is None for prediction in predictions] == [True, False, True, True]


def test_an_archive_gives_the_same_rows_as_its_folder(run: Path, capsys: pytest.CaptureFixture[str]):
    shutil.make_archive("new", "tar", "new")
    assert _run(["predict", str(run), "new.tar", "new", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 24
    assert [line.replace("new.tar/", "new/") for line in lines[:12]] == lines[12:]


def test_json_of_no_image_is_an_empty_array(run: Path, capsys: pytest.CaptureFixture[str]):
    Path("empty").mkdir()
    assert _run(["predict", str(run), "empty", "-q", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_no_file_that_is_read_is_replaced(run: Path, capsys: pytest.CaptureFixture[str]):
    Path("list.csv").write_text("path\nnew/red/000-1.png\n")
    assert _run(["predict", str(run), "new/../list.csv", "--out", "list.csv", "-q"]) == 2
    assert "--out list.csv is one of the files to read" in capsys.readouterr().err
    assert Path("list.csv").read_text() == "path\nnew/red/000-1.png\n"


def test_where_no_image_could_be_read_the_table_says_why(run: Path, capsys: pytest.CaptureFixture[str]):
    assert _run(["predict", str(run), "gone.png", "--out", "out.csv", "-q"]) == 1
    assert "No image could be read: each is listed in out.csv with its reason" in capsys.readouterr().err
    assert rows_of("out.csv")[0]["why"] == "it cannot be read: No such file or directory"


@pytest.mark.parametrize(
    "image", [*PATHS, "*\0", "[", "hf:../x", "dataset:nope", "**/*.tif"], ids=lambda image: ascii(image)[:20]
)
def test_an_image_that_is_nothing_is_one_sentence(run: Path, image: str, capsys: pytest.CaptureFixture[str]):
    assert _run(["predict", str(run), "--offline", "-q", "--", image]) in (1, 2)
    said = capsys.readouterr()
    assert said.err.startswith("Error: ")
    assert "fault of Vitrail" not in said.err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said.err + said.out)


def test_without_stdin_a_list_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stdin", None)
    assert _run(["predict", str(run), "-", "-q"]) == 2
    assert "stdin is closed" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_an_interruption_leaves_no_table_and_ends_at_once(run: Path):
    listed = ("new/red/000-1.png\n" * 2_000_000).encode()
    command = [sys.executable, "-m", "vitrail", "predict", str(run), "-", "--out", "out.csv", "-q"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(listed)
        process.stdin.close()
        deadline = time.monotonic() + 120
        while not list(Path().glob(".out.csv.*.tmp")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert [path.name for path in Path().iterdir()] == ["new"]
