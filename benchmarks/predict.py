"""`vitrail predict` beside extraction: images a second from files to a table of predictions, and memory.

A run is made on 1,000 dogs of 25 breeds in ../shared. Then extraction (from files to stored features, into an empty
store) and prediction (from files to a CSV, also as a manifest with labels) of the same 1,000 files take turns. Starting
the engine is part of both, opening the run's files is part of prediction; converting the network and measuring its
batch, which happen once a machine, are part of neither. Model folders of the same run, in float32, take turns with
extraction in float32. Memory is the peak of a process of its own that predicts a list
of the files, once and five times over. The backbone is the fastest of ours, since beside a slow one nothing else shows.
"""

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd

from benchmarks.report import VIT_TI, Page, pictures, spread, weights
from vitrail.backbones import Backbone, open_backbone
from vitrail.benchmark import bench
from vitrail.candidates import BenchOptions
from vitrail.core.machine import usable_cores
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, load, open_source
from vitrail.delivery.export.export import ExportOptions, export_run
from vitrail.delivery.predict import Predictor
from vitrail.delivery.predict_folder import FolderPredictor
from vitrail.delivery.prediction_files import write_predictions
from vitrail.features import extract
from vitrail.search import TuneOptions

CLASSES, ROUNDS = 25, 3  # 40 images each
TIMES = (1, 5)  # how often the list has every file
FORMATS = (".csv", ".xlsx", ".parquet", ".jsonl")
MODELS = ("openvino", "onnx")
COLUMNS = ("extraction img/s", "prediction img/s", "prediction over extraction", "CPU ms an image", "and predicted")


def main() -> None:
    """Measure, and write the page."""
    page = Page(__doc__.split("\n", 1)[0] if __doc__ else "", "benchmarks.predict")
    files = draw_files(WORK / "dogs")
    dataset = load(open_source(WORK / "dogs"))
    page.say(f"{len(files):,} dogs of {CLASSES} breeds. Median of {ROUNDS} rounds in turns, with least and most.")
    busy = os.getloadavg()[2]
    page.say(f"Processes that wanted a core in the 15 minutes before: {busy:.1f}, on {usable_cores()} cores.", "")
    page.head("backbone", *COLUMNS)
    run = make_run(VIT_TI)
    backbone = open_backbone(weights(VIT_TI, WORK), progress=Silent())
    name = f"{VIT_TI} {backbone.engine.precision}"
    measure_speed(page, name, dataset, backbone, lambda: predict_all(VIT_TI, run, ".csv"))
    page.say("")
    page.head("model folder", *COLUMNS)
    exact = open_backbone(weights(VIT_TI, WORK), engine="openvino", precision="fp32", progress=Silent())
    for model in MODELS:
        folder = export_run(
            run, WORK / model, ExportOptions(format=model), backbone=given(VIT_TI), data=str(WORK / "dogs")
        ).folder
        measure_speed(page, f"{model} fp32", dataset, exact, lambda folder=folder: predict_with_folder(folder))
    page.say("")
    compare_formats(page, run, files)
    page.say("")
    measure_memory(page, run, files)
    page.write("predict")


def draw_files(folder: Path) -> list[Path]:
    """Links to the images, in one folder a class, and a manifest of them in `WORK`."""
    classes = sorted({file.parent.name for file in pictures("stanford_dogs_224", 10**6)})[:CLASSES]
    chosen = [file for file in pictures("stanford_dogs_224", 10**6) if file.parent.name in classes]
    files = []
    for file in chosen:
        link = folder / file.parent.name / file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
        files.append(link)
    with (WORK / "dogs.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "label"])
        rows.writerows([file.relative_to(WORK), file.parent.name] for file in files)
    return files


def given(name: str) -> str:
    """A backbone as `-b` takes it."""
    return f"{name}={weights(name, WORK).file}"


def make_run(name: str) -> Path:
    """A run with this backbone and logistic heads, quickly searched."""
    out = WORK / name
    options = BenchOptions(search=TuneOptions(trials=2))
    bench(WORK / "dogs", [given(name)], out=out, options=options, resources=Resources(cache=WORK / "cache"))
    return out


def measure_speed(page: Page, name: str, dataset: Dataset, backbone: Backbone, predict: Callable[[], object]) -> None:
    """One row: extraction with a backbone beside a way to predict the same files."""
    count = dataset.table.num_rows
    extract_all(dataset, backbone)
    predict()
    spent = np.array(
        [[*measure(lambda: extract_all(dataset, backbone), count), *measure(predict, count)] for _ in range(ROUNDS)]
    )
    extraction_s, extraction_cpu, prediction_s, prediction_cpu = spent.T
    page.row(
        name,
        spread(list(1 / extraction_s)),
        spread(list(1 / prediction_s)),
        spread(list(extraction_s / prediction_s), 2),
        spread(list(1e3 * extraction_cpu)),
        spread(list(1e3 * prediction_cpu)),
    )


def extract_all(dataset: Dataset, backbone: Backbone) -> None:
    """From files to stored features, in an empty store."""
    shutil.rmtree(WORK / "cache" / "features", ignore_errors=True)
    extract(dataset, [backbone], max_pixels=10**8, resources=Resources(cache=WORK / "cache"))


def predict_all(name: str, run: Path, ending: str) -> Path:
    """From files to a table; the head and the thresholds are read anew."""
    out = WORK / f"predictions{ending}"
    predictor = Predictor.open(run, given(name), resources=Resources(cache=WORK / "cache"))
    write_predictions(out, predictor.stream(WORK / "dogs.csv"))
    return out


def predict_with_folder(folder: Path) -> Path:
    """From files to a table, with a model folder that is opened and checked anew."""
    out = WORK / "predictions.csv"
    write_predictions(out, FolderPredictor.open(folder).stream(WORK / "dogs.csv"))
    return out


def measure(work: Callable[[], object], images: int) -> tuple[float, float]:
    """Seconds of clock and of CPU an image."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - clock) / images, (time.process_time() - cpu) / images


def compare_formats(page: Page, run: Path, files: list[Path]) -> None:
    """Every format, opened with pandas."""
    readers = {".csv": pd.read_csv, ".xlsx": pd.read_excel, ".parquet": pd.read_parquet}
    readers[".jsonl"] = lambda path: pd.read_json(path, lines=True)
    tables = {}
    for ending in FORMATS:
        begun = time.perf_counter()
        out = predict_all(VIT_TI, run, ending)
        spent = time.perf_counter() - begun
        tables[ending] = readers[ending](out)
        size = out.stat().st_size / 1e3
        page.say(f"- {ending}: {len(tables[ending]):,} rows read by pandas, {size:,.0f} kB, written in {spent:.1f} s")
    first = tables[".csv"]
    for table in tables.values():
        assert list(table["label"].fillna("")) == list(first["label"].fillna(""))
        assert np.allclose(table["probability_1"], first["probability_1"], rtol=1e-12, atol=0)
    assert len(first) == len(files)


def measure_memory(page: Page, run: Path, files: list[Path]) -> None:
    """The peak of a process by the length of its list."""
    page.head("images", "peak MB", "img/s of the whole command")
    for times in TIMES:
        peak, seconds = predict_list(run, files * times)
        page.row(f"{len(files) * times:,}", f"{peak / 1e6:.0f}", f"{len(files) * times / seconds:.1f}")


def predict_list(run: Path, files: list[Path]) -> tuple[int, float]:
    """Bytes of memory at most and seconds of `vitrail predict` on a list."""
    listed = WORK / "list.txt"
    listed.write_text("\n".join(map(str, files)))
    command = [sys.executable, "-m", "vitrail", "predict", str(run), "-", "-b", given(VIT_TI), "-q"]
    begun = time.perf_counter()
    environment = os.environ | {"VITRAIL_CACHE": str(WORK)}
    with listed.open("rb") as stdin:
        process = subprocess.Popen([*command, "--out", str(WORK / "list.csv")], stdin=stdin, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, status
    return usage.ru_maxrss * 1024, time.perf_counter() - begun


WORK = Path(mkdtemp(prefix="vitrail-predict-"))

if __name__ == "__main__":
    main()
    shutil.rmtree(WORK)
