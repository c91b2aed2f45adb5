"""The Parquet tables of a run: its examples, its trials, its predictions. Each is written and read here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vitrail.core.bounded import open_regular, parse_json
from vitrail.core.errors import RunError
from vitrail.data import SPLIT_NAMES, Dataset, Split
from vitrail.data.dataset import COLUMN_PREFIX
from vitrail.heads.head import Predictions
from vitrail.search import Resplit, SubsetScores, Trial

TABLE_VERSION = "1"
PROBABILITY_PREFIX = "p:"
PART_PREFIX = "predicted:"


def _write_table(table: pa.Table, path: Path) -> None:
    with path.open("wb") as file:  # Arrow would take a path such as "s3:/..." for a URL, and only names in UTF-8
        pq.write_table(table, file)


def _read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    with open_regular(path) as file:
        return pq.read_table(file, columns=columns)


def write_examples(path: Path, dataset: Dataset, split: Split) -> None:
    """data.parquet: the data set with its split; null for an example that could not be read."""
    split_of = {id_: name for name in SPLIT_NAMES for id_ in getattr(split, name)}
    names = pa.array([split_of.get(id_) for id_ in dataset.table["id"].to_pylist()], pa.string())
    table = dataset.table.append_column("split", names)
    facts = {"vitrail_table": TABLE_VERSION, "name": dataset.name, "classes": json.dumps(dataset.classes)}
    _write_table(table.replace_schema_metadata(facts), path)


def write_trials(path: Path, trials: Sequence[Trial]) -> None:
    """search/<backbone>.parquet: every trial, in the order it was made."""
    rows = [
        {
            "kind": trial.kind,
            "setting": json.dumps(trial.setting, sort_keys=True),
            "val_nll": trial.val_nll,
            "val_nll_se": trial.val_nll_se,
            "val_accuracy": trial.val_accuracy,
            "val_balanced_accuracy": trial.val_balanced_accuracy,
            "seconds": trial.seconds,
        }
        for trial in trials
    ]
    table = pa.Table.from_pylist(rows)
    _write_table(table.replace_schema_metadata({"vitrail_table": TABLE_VERSION}), path)


def write_resplits(path: Path, resplits: Sequence[Resplit]) -> None:
    """splits/<backbone>.parquet: a row an example of the val of each other split, with what was predicted."""
    columns = {
        "split": pa.array(
            np.repeat([resplit.number for resplit in resplits], [len(resplit.ids) for resplit in resplits]), pa.int32()
        ),
        "id": pa.array([example for resplit in resplits for example in resplit.ids], pa.string()),
        "label": pa.array(np.concatenate([resplit.label_M for resplit in resplits]), pa.int32()),
        "predicted": pa.array(np.concatenate([resplit.predicted_M for resplit in resplits]), pa.int32()),
    }
    _write_table(pa.table(columns).replace_schema_metadata({"vitrail_table": TABLE_VERSION}), path)


def read_resplits(path: Path) -> tuple[Resplit, ...]:
    """Read what `write_resplits` wrote.

    Raises:
        RunError: the file is missing or is not such a table.
    """
    try:
        table = _read_table(path)
        number_N, ids = _integers(table["split"]), np.array(table["id"].to_pylist(), dtype=object)
        label_N, predicted_N = _integers(table["label"]), _integers(table["predicted"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} cannot be read as a table of splits ({error}). Repeat the run.") from error
    rows = [(int(number), np.flatnonzero(number_N == number)) for number in np.unique(number_N)]
    return tuple(
        Resplit(number=number, ids=tuple(ids[row]), label_M=label_N[row], predicted_M=predicted_N[row])
        for number, row in rows
    )


def write_subsets(path: Path, scores: SubsetScores) -> None:
    """subsets/<backbone>.parquet: a row an example of train and val, a column for each part that was fitted on."""
    columns = {
        "id": pa.array(scores.ids, pa.string()),
        "label": pa.array(scores.label_N, pa.int32()),
        "group": pa.array(scores.group_N, pa.int32()),
        "fold": pa.array(scores.fold_N, pa.int32()),
    }
    columns |= {PART_PREFIX + name: pa.array(answer_N, pa.int32()) for name, answer_N in scores.predicted.items()}
    facts = {"vitrail_table": TABLE_VERSION, "hardest": json.dumps(scores.hardest)}
    _write_table(pa.table(columns).replace_schema_metadata(facts), path)


def read_subsets(path: Path) -> SubsetScores:
    """Read what `write_subsets` wrote.

    Raises:
        RunError: the file is missing or is not such a table.
    """
    try:
        table = _read_table(path)
        parts = [name for name in table.column_names if name.startswith(PART_PREFIX)]
        return SubsetScores(
            ids=tuple(table["id"].to_pylist()),
            label_N=_integers(table["label"]),
            group_N=_integers(table["group"]),
            fold_N=_integers(table["fold"]),
            hardest=tuple(int(number) for number in parse_json(table.schema.metadata[b"hardest"])),
            predicted={name.removeprefix(PART_PREFIX): _integers(table[name]) for name in parts},
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} cannot be read as a table of parts ({error}). Repeat the run.") from error


def write_predictions(path: Path, predictions: Predictions, classes: Sequence[str]) -> None:
    """predictions/<backbone>.parquet: a row a test example, with one column of probabilities a class.

    That of the calibration split is calibration/<backbone>.parquet; that of heads which never saw the value of an
    example in a column left out, left-out/<backbone>.parquet.
    """
    columns = {"id": pa.array(predictions.ids, pa.string()), "label": pa.array(predictions.label_N, pa.int32())}
    for index, name in enumerate(classes):
        columns[PROBABILITY_PREFIX + name] = pa.array(predictions.probability_NC[:, index], pa.float64())
    facts = {"vitrail_table": TABLE_VERSION, "backbone": predictions.name}
    _write_table(pa.table(columns).replace_schema_metadata(facts), path)


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        RunError: the file is missing or is not such a table.
    """
    try:
        table = _read_table(path)
        name = table.schema.metadata[b"backbone"].decode()
        ids, label_N, probability_NC = table["id"].to_pylist(), _integers(table["label"]), _probabilities(table)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} cannot be read as a table of predictions ({error}). Repeat the run.") from error
    return Predictions(name=name, ids=tuple(ids), label_N=label_N, probability_NC=probability_NC)


def _probabilities(table: pa.Table) -> NDArray[np.float64]:
    columns = [column for column in table.column_names if column.startswith(PROBABILITY_PREFIX)]
    if not columns:
        raise ValueError(f"no column begins with {PROBABILITY_PREFIX}")
    return np.column_stack([table[column].to_numpy() for column in columns]).astype(np.float64, copy=False)


def _integers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A column of whole numbers without empty cells; raises ArrowInvalid or ValueError for any other."""
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} cells have no number")
    return np.array(column.cast(pa.int64()).to_numpy())


def read_paths(path: Path) -> dict[str, str]:
    """The first path of each example of data.parquet, by id.

    Raises:
        RunError: the file is missing or is not such a table.
    """
    try:
        table = _read_table(path, columns=["id", "paths"])
        return {id_: paths[0] for id_, paths in zip(table["id"].to_pylist(), table["paths"].to_pylist(), strict=True)}
    except (OSError, pa.ArrowException, KeyError, TypeError, IndexError) as error:
        raise RunError(f"{path} cannot be read as a table of examples ({error}). Make the run again.") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleTable:
    """What data.parquet holds, column by column; the label of a test example is None.

    `further` has the further columns of the manifest by their names.
    """

    classes: tuple[str, ...]
    ids: list[str]
    labels: list[int | None]
    groups: list[str | None]
    given: list[str | None]
    splits: list[str | None]
    further: dict[str, list[str | None]]


def read_examples(path: Path) -> ExampleTable:
    """Read what `write_examples` wrote.

    Raises:
        RunError: the file is missing or is not such a table.
    """
    try:
        table = _read_table(path)
        return ExampleTable(
            classes=tuple(parse_json(table.schema.metadata[b"classes"])),
            ids=table["id"].to_pylist(),
            labels=table["label"].to_pylist(),
            groups=table["group"].to_pylist(),
            given=table["given_split"].to_pylist(),
            splits=table["split"].to_pylist(),
            further={
                name.removeprefix(COLUMN_PREFIX): table[name].to_pylist()
                for name in table.column_names
                if name.startswith(COLUMN_PREFIX)
            },
        )
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} cannot be read as a table of examples ({error}). Repeat the run.") from error
