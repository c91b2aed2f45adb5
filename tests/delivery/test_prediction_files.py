import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from vitrail.core.errors import DataError, RunError, UsageError
from vitrail.data.sources.table import lists_images
from vitrail.delivery import prediction_files
from vitrail.delivery.prediction import Prediction
from vitrail.delivery.prediction_files import COLUMNS, WRITERS, require_format, write_predictions

TOP = (("rose", 0.9), ("=1+1", 0.0625), ("été", 0.03))
ANSWERED = Prediction(
    path="a, b.jpg", label="rose", probability=0.9, top=TOP, error=None, set=("rose", 'a "quoted", one'), id="ab" * 32
)
REFUSED = Prediction(
    path="=HYPERLINK(1)", label="rose", probability=0.9, top=TOP, error=None, set=("rose",), doubt="unlike any"
)
UNREADABLE = Prediction(path="#N/A", label=None, probability=None, top=(), error="it is empty", true_label="rose")
ENDINGS = tuple(WRITERS)


def open_table(path: Path) -> list[dict[str, Any]]:
    """The rows as pandas reads them, an empty cell as None."""
    if path.suffix == ".xlsx":
        pytest.importorskip("openpyxl", reason="needs openpyxl")
    readers: dict[str, Any] = {".csv": pd.read_csv, ".xlsx": pd.read_excel, ".parquet": pd.read_parquet}
    kept: dict[str, Any] = {"keep_default_na": False, "na_values": [""]} if path.suffix in (".csv", ".xlsx") else {}
    frame = pd.read_json(path, lines=True) if path.suffix == ".jsonl" else readers[path.suffix](path, **kept)
    rows: list[dict[str, Any]] = frame.astype(object).to_dict("records")
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def plain(value: Any) -> Any:
    if (isinstance(value, float) and value != value) or value is pd.NA:
        return None
    return list(value) if hasattr(value, "tolist") and not isinstance(value, float) else value


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_has_a_row_an_image_and_no_label_where_there_is_no_answer(tmp_path: Path, ending: str):
    if ending == ".xlsx":
        pytest.importorskip("openpyxl", reason="needs openpyxl")
    path = tmp_path / f"out{ending}"
    write_predictions(path, [ANSWERED, REFUSED, UNREADABLE])
    answered, refused, unreadable = open_table(path)
    assert list(answered) == COLUMNS.names
    assert [row["file"] for row in (answered, refused, unreadable)] == ["a, b.jpg", "=HYPERLINK(1)", "#N/A"]
    assert [row["label"] for row in (answered, refused, unreadable)] == ["rose", None, None]
    assert [row["probability"] for row in (answered, refused, unreadable)] == [0.9, None, None]
    assert [row["refused"] for row in (answered, refused, unreadable)] == [False, True, True]
    assert [row["why"] for row in (answered, refused, unreadable)] == [None, "unlike any", "it is empty"]
    assert [row["top_1"] for row in (answered, refused, unreadable)] == ["rose", "rose", None]
    assert (refused["top_2"], refused["probability_2"], refused["top_4"]) == ("=1+1", 0.0625, None)
    assert (answered["id"], unreadable["true_label"]) == ("ab" * 32, "rose")
    names = answered["set"] if isinstance(answered["set"], list) else json.loads(answered["set"])
    assert names == ["rose", 'a "quoted", one']


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_without_rows_has_its_header(tmp_path: Path, ending: str):
    if ending == ".xlsx":
        pytest.importorskip("openpyxl", reason="needs openpyxl")
    path = tmp_path / f"out{ending}"
    write_predictions(path, [])
    if ending != ".jsonl":
        assert open_table(path) == []
    assert path.is_file()


def test_excel_reads_texts_as_texts(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl")
    hostile = ["=1+1", "#REF!", "+1", "\x1b[31m red", "_x0041_", "x" * 40_000, "a\nb", " spaced "]
    rows = [Prediction(path=text, label=None, probability=None, top=(), error="it is empty") for text in hostile]
    write_predictions(tmp_path / "out.xlsx", rows)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    cells = [sheet.cell(row, 1) for row in range(2, 2 + len(hostile))]
    assert {cell.data_type for cell in cells} == {"s"}
    values = [cell.value for cell in cells]
    assert values[:4] == ["=1+1", "#REF!", "+1", "\\x1b[31m red"]
    assert values[4] in ("_x0041_", "_x005F_x0041_")  # openpyxl does not always undo what Excel undoes
    assert values[5].endswith("x ... (40,000 letters, cut)")
    assert len(values[5]) == prediction_files.EXCEL_LETTERS
    assert values[6:] == ["a\nb", " spaced "]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError])
def test_a_table_is_written_whole_or_not_at_all(tmp_path: Path, ending: str, error: type[BaseException]):
    if ending == ".xlsx":
        pytest.importorskip("openpyxl", reason="needs openpyxl")

    def interrupted() -> Iterator[Prediction]:
        for _ in range(5000):
            yield ANSWERED
        raise error("stopped")

    path = tmp_path / f"out{ending}"
    path.write_text("before")
    with pytest.raises(error, match="stopped"):
        write_predictions(path, interrupted())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheet_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("openpyxl", reason="needs openpyxl")
    monkeypatch.setattr(prediction_files, "EXCEL_ROWS", 3)
    write_predictions(tmp_path / "two.xlsx", [ANSWERED] * 2)
    with pytest.raises(DataError, match=r"A sheet has 3 rows, too few: give --out a name that ends in \.csv"):
        write_predictions(tmp_path / "three.xlsx", [ANSWERED] * 3)
    assert [path.name for path in tmp_path.iterdir()] == ["two.xlsx"]


def test_a_format_is_one_of_four_and_has_its_library(monkeypatch: pytest.MonkeyPatch):
    for name in ("out.csv", "OUT.CSV", "a.b.parquet", "out.jsonl"):
        require_format(Path(name))
    for name in ("out", "out.txt", "csv", ""):
        with pytest.raises(UsageError, match=r"end it with .csv, .xlsx, .parquet or .jsonl"):
            require_format(Path(name))
    monkeypatch.setattr(prediction_files, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'vitrail\[excel\]'"):
        require_format(Path("out.xlsx"))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="could not be written"):
        write_predictions(tmp_path / "file" / "out.csv", [ANSWERED])


def test_no_benchmark_takes_predictions_for_a_manifest(tmp_path: Path):
    for ending in (".csv", ".parquet"):
        path = tmp_path / f"out{ending}"
        write_predictions(path, [ANSWERED])
        assert not lists_images(path.read_bytes(), path.name)


def test_csv_is_exact(tmp_path: Path):
    write_predictions(tmp_path / "out.csv", [REFUSED])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["refused"], row["top_3"]) == ("=HYPERLINK(1)", "true", "été")
