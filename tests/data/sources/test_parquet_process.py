"""The process that parses Parquet: what its end, its limits and failing reads mean for the run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitrail.core.errors import DataError
from vitrail.data.sources import ParquetSource, parquet
from vitrail.data.sources.parquet_process import ParquetCrashError, ParquetProcess
from vitrail.data.sources.ranges import FileRanges, ReadRanges

CELLS = {"do": "cells", "name": "x.parquet", "required": ["path", "label"]}


@pytest.fixture
def process():
    started = ParquetProcess()
    yield started
    started._stop()


def manifest(labels: list[str], path: Path, **options) -> FileRanges:
    pq.write_table(pa.table({"path": [f"{row}.png" for row in range(len(labels))], "label": labels}), path, **options)
    return FileRanges(path)


def labels_of(process: ParquetProcess, ranges: FileRanges) -> list[str]:
    return [label for answer, _ in process.call(CELLS, lambda name: ranges) for label in answer["value"]["label"]]


def test_a_process_that_somebody_ended_is_started_again(tmp_path: Path, process: ParquetProcess):
    ranges = manifest(["a", "b"], tmp_path / "x.parquet")
    assert labels_of(process, ranges) == ["a", "b"]
    process._process.kill()
    process._process.wait()
    assert labels_of(process, ranges) == ["a", "b"]


def test_a_file_that_takes_too_long_is_refused(tmp_path: Path):
    process = ParquetProcess(most_seconds=0.05)
    slow = manifest(["x" * (200 << 20)], tmp_path / "x.parquet", compression="zstd", use_dictionary=False)
    with pytest.raises(ParquetCrashError) as crash:
        labels_of(process, slow)
    assert "took longer than 0.05 s" in crash.value.strerror


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the memory of a process")
def test_a_small_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path):
    process = ParquetProcess(most_bytes=100 << 20)
    large = manifest(["x" * (200 << 20)], tmp_path / "x.parquet", compression="zstd", use_dictionary=False)
    assert large.size < 20_000
    with pytest.raises((DataError, ParquetCrashError)):
        labels_of(process, large)
    assert labels_of(process, manifest(["a"], tmp_path / "y.parquet")) == ["a"]
    process._stop()


def test_a_lost_connection_is_named_as_such(tmp_path: Path, process: ParquetProcess):
    class Lost(ReadRanges):
        def read_at(self, start: int, length: int) -> bytes:
            raise DataError("s3://bucket could not be read")

    with pytest.raises(DataError, match=r"^s3://bucket could not be read$"):
        process.call(CELLS, lambda name: Lost(b"PAR1" * 100))
    assert labels_of(process, manifest(["a"], tmp_path / "y.parquet")) == ["a"]


def test_an_interruption_ends_the_process_and_the_next_call_starts_another(tmp_path: Path, process: ParquetProcess):
    def interrupt(name: str) -> FileRanges:
        raise KeyboardInterrupt

    ranges = manifest(["a"], tmp_path / "x.parquet")
    labels_of(process, ranges)
    first = process._process
    with pytest.raises(KeyboardInterrupt):
        process.call(CELLS, interrupt)
    assert first.poll() is not None
    assert labels_of(process, ranges) == ["a"]


def test_modules_of_the_current_folder_are_not_imported(tmp_path: Path, process: ParquetProcess, monkeypatch):
    for name in ("json", "struct", "pyarrow"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert labels_of(process, manifest(["a"], tmp_path / "x.parquet")) == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_no_process_is_left_when_the_run_ends(tmp_path: Path, end: signal.Signals | None):
    manifest(["a"], tmp_path / "x.parquet")
    program = (
        "import sys; from vitrail.data.sources.table import read_rows; "
        "from vitrail.data.sources.parquet_process import PROCESS; "
        "read_rows(open('x.parquet', 'rb').read(), 'x.parquet'); print(PROCESS._process.pid, flush=True); "
        "sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    )
    child = int(parent.stdout.readline())
    assert psutil.pid_exists(child)
    if end is not None:
        parent.send_signal(end)
    parent.communicate()
    until = time.monotonic() + 20
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_file_that_has_crashed_its_parser_is_not_parsed_again(tmp_path: Path, monkeypatch):
    process = ParquetProcess(most_seconds=0.05)
    monkeypatch.setattr(parquet, "PROCESS", process)
    table = pa.table({"image": [b"x" * (200 << 20)], "label": ["a"]})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd", use_dictionary=False)
    source = ParquetSource({"x.parquet": lambda: FileRanges(tmp_path / "x.parquet")}, "x.parquet")
    for _ in range(2):
        with pytest.raises(OSError, match=r"took longer than 0\.05 s"):
            source.read("x.parquet/00000000")
        assert process._process is None
