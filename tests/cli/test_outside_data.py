"""Every command with paths and files as strangers leave them: one sentence of ours, and no fault of Vitrail."""

import importlib
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pictures import draw_folder
from vitrail.cli.main import _run

LONG = "x" * 5000
PATHS = (LONG, "~nosuchuser/x", "http://[::1", "s3://[::1", "file://[x", "zip://a::http://[", "a\udcff", "a\0b", "")
PATHS += ("x-{0..999999999999}.tar", "{0..99999}{0..99999}.tar", "x-{0..%s}.tar" % ("9" * 5000), "a\x1b[31m\u202eb")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ascii(path)[:20])
@pytest.mark.parametrize(
    "command",
    [
        ["audit", "PATH"],
        ["bench", "PATH", "-b", "vit_mini"],
        ["bench", "-b", "vit_mini=PATH"],
        ["bench", "-b", "hf:PATH", "--offline"],
        ["predict", "PATH", "a.png"],
        ["export", "PATH", "--format", "openvino", "--out", "model"],
        ["verify", "PATH"],
        ["compare", "PATH", "PATH"],
        ["backbones", "PATH"],
        ["cache", "prune", "PATH"],
    ],
    ids=" ".join,
)
def test_a_path_to_nothing_is_one_sentence(command: list[str], path: str, capsys: pytest.CaptureFixture[str]):
    quiet = ["-q"] if command[0] in ("audit", "bench", "export", "predict") else []
    assert _run([part.replace("PATH", path) for part in command] + quiet) in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("Error: ")
    assert "fault of Vitrail" not in said
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said)


@pytest.mark.parametrize("name", ["hf:../../etc", "hf:a/b/c", "hf:", "hf:a/../b", "hf:.a/b", "hf:a/b\udcff"])
def test_a_name_that_is_no_repository_never_becomes_a_path(name: str, capsys: pytest.CaptureFixture[str]):
    draw_folder(Path("images"))
    assert _run(["bench", "images", "-b", name, "-q"]) in (1, 2)
    said = capsys.readouterr().err
    assert "fault of Vitrail" not in said
    assert "OWNER/NAME" in said or "is written NAME" in said


def with_a_bad_cell(values: list[str]) -> pa.Array:
    """Texts whose last one is not UTF-8, as tools that do not check write them."""
    raw = [value.encode() for value in values[:-1]] + [b"caf\xe9"]
    ends = [0]
    for text in raw:
        ends.append(ends[-1] + len(text))
    return pa.Array.from_buffers(
        pa.string(), len(raw), [None, pa.array(ends, pa.int32()).buffers()[1], pa.py_buffer(b"".join(raw))]
    )


@pytest.mark.parametrize("column", ["path", "label", "group", "camera"])
def test_a_row_whose_text_is_not_utf8_is_set_aside_alone(column: str):
    sources = importlib.import_module("vitrail.data.sources")
    draw_folder(Path("images"))
    files = sorted(str(path) for path in Path("images").rglob("*.png"))
    texts = {"path": files, "label": ["cat"] * len(files), "group": ["1"] * len(files), "camera": ["x"] * len(files)}
    pq.write_table(
        pa.table({name: with_a_bad_cell(t) if name == column else t for name, t in texts.items()}), "m.parquet"
    )
    *listed, aside = sources.open_source("m.parquet").list_files()
    assert [file.path for file in listed] == files[:-1]
    assert (aside.path, aside.reason) == (f"m.parquet, row {len(files)}", f"its {column} cannot be read as text")


@pytest.mark.parametrize("kind", ["label", "day"])
def test_a_row_of_images_with_a_date_outside_every_calendar_is_set_aside_alone(kind: str):
    sources = importlib.import_module("vitrail.data.sources")
    days = pa.array([1, 2, 2**31 - 1], pa.int32()).cast(pa.date32())
    columns = {"image": pa.array([b"a", b"b", b"c"]), "label": days if kind == "label" else pa.array(["x", "y", "z"])}
    pq.write_table(pa.table(columns | ({"day": days} if kind == "day" else {})), "images.parquet")
    *listed, aside = sources.open_source("images.parquet").list_files()
    assert len(listed) == 2
    assert (aside.path, "outside every calendar" in aside.reason) == ("images.parquet/00000002", True)


def test_a_link_that_leads_nowhere_is_set_aside_alone():
    sources = importlib.import_module("vitrail.data.sources")
    draw_folder(Path("images"))
    folder = min(path for path in Path("images").iterdir() if path.is_dir())
    before = len(list(sources.open_source("images").list_files()))
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "long.png").symlink_to("x" * 4000)
    os.mkfifo(folder / "pipe.png")
    listed = list(sources.open_source("images").list_files())
    aside = [file for file in listed if hasattr(file, "reason")]
    assert len(aside) == 3
    assert len(listed) == before + 3


@pytest.mark.parametrize("out", ["http:/x/run", "a\udcff", "[/bold]"])
def test_a_run_folder_of_any_name_is_written_and_shown_again(out: str, capsys: pytest.CaptureFixture[str]):
    draw_folder(Path("images"), per_class=12)
    for _ in range(2):
        assert _run(["bench", "images", "-b", "vit_mini", "--trials", "1", "--out", out, "-q"]) == 0
    assert _run(["verify", out]) == 0
    said = capsys.readouterr()
    assert "fault" not in said.err
