"""The part of a verification that takes what was predicted by heads on parts of train and val."""

from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from vitrail.checks.differences import Comparison
from vitrail.core.errors import VitrailError
from vitrail.data.out_of_fold import OutOfFold
from vitrail.runs.results import BackboneResult
from vitrail.runs.run import RunRecord
from vitrail.runs.tables import ExampleTable
from vitrail.search import make_label_curves
from vitrail.search.examples import number_groups
from vitrail.statistics.training_variance import HalvesScored


def check_subsets(
    run: RunRecord, result: BackboneResult, examples: ExampleTable, comparison: Comparison
) -> tuple[HalvesScored | None, OutOfFold | None]:
    """Compute the label curves again; both are None if the search fitted no parts.

    Labels, groups and the images of the kept head are those of data.parquet.

    Returns:
        The halves and the answers out of fold, for the verdict.
    """
    if result.retraining is None and not result.search.label_curves:
        return None, None
    where = f"backbones[{result.name}].search.label_curves"
    try:
        scores = run.subsets(result.name)
    except VitrailError as error:
        comparison.differ(where, "answers on parts of train and val", str(error))
        return None, None
    rows = zip(examples.ids, examples.labels, examples.groups, examples.splits, strict=True)
    learnt = {id_: (label, group, split) for id_, label, group, split in rows if split in ("train", "val")}
    comparison.compare(f"parts of {result.name}: images", list(scores.ids), sorted(learnt))
    known = [learnt.get(id_, (None, None, None)) for id_ in scores.ids]
    comparison.compare(f"parts of {result.name}: labels", scores.label_N.tolist(), [label for label, _, _ in known])
    groups = number_groups(pa.array([group for _, group, _ in known], pa.string()))
    comparison.compare(f"parts of {result.name}: groups", scores.group_N.tolist(), groups.tolist())
    in_train_N = np.array([split == "train" for _, _, split in known])
    kept_N = np.ones_like(in_train_N) if run.results.options.search.refit or in_train_N.all() else in_train_N
    try:
        curves = make_label_curves(scores, examples.classes, kept_N)
        halves = scores.halves(int(kept_N.sum()))
    except (KeyError, ValueError, IndexError) as error:
        comparison.differ(where, "parts that fit the classes", f"{type(error).__name__}: {error}")
        return None, None
    comparison.compare(where, _json(result.search.label_curves), _json(curves))
    return halves, scores.out_of_fold


def _json(value: Any) -> Any:
    return TypeAdapter(tuple[Any, ...]).dump_python(value, mode="json")
