"""Finished steps of a search on disk, so that an interrupted search goes on to the same trials and the same winner.

A step is what is trained together: a path of strengths, or one rung of some drawn heads. What it found is written when
it is done, whole or not at all (`<folder>/<step>.parquet`, a row a trial), and read instead of trained when the search
is asked for again. Seconds are kept with it. So a time budget counts what was spent before an interruption, and a
search that its budget ended ends at the same step when it is asked for again.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vitrail.core.errors import RunError
from vitrail.core.machine import user_seconds
from vitrail.core.whole_files import put_in_place
from vitrail.heads import CurvePoint
from vitrail.search.scored_trial import ScoredTrial

VERSION = "1"
FACTS = b"vitrail_step"


class BudgetSpent(Exception):  # noqa: N818 - an end, not an error
    """The seconds of a search are spent, and a step that is not done yet was asked for."""


class Ledger:
    """Does each step once. `spent_s` is what all steps took, whenever they were done.

    `earlier_user_s` is the CPU time in user mode of the steps that were read. `ended_early` says that a step was
    refused for want of time.
    """

    def __init__(self, folder: Path | None, *, identity: str, budget_s: float | None = None) -> None:
        self._folder = folder
        self._identity = identity
        self._budget_s = budget_s
        self.spent_s = 0.0
        self.earlier_user_s = 0.0
        self.ended_early = False
        self._done: dict[str, list[ScoredTrial]] = {}

    def do(self, step: str, work: Callable[[], list[ScoredTrial]]) -> list[ScoredTrial]:
        """What a step found: known from this search or read where it was done before, else done now and written.

        Args:
            step: its name within the search, fit for a file.
            work: does it.

        Returns:
            Its trials.

        Raises:
            BudgetSpent: it would have to be done now and there is no time left; the first step is always done.
        """
        if step in self._done:
            return self._done[step]
        kept = self._read(step)
        if kept is None:
            if self._budget_s is not None and self.spent_s >= self._budget_s:
                self.ended_early = True
                raise BudgetSpent
            begun, user = time.perf_counter(), user_seconds()
            found, seconds = work(), time.perf_counter() - begun
            self._write(step, found, seconds, user_seconds() - user)
        else:
            found, seconds, user = kept
            self.earlier_user_s += user
        self.spent_s += seconds
        self._done[step] = found
        return found

    def _path(self, step: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{step}.parquet"

    def _write(self, step: str, found: list[ScoredTrial], seconds: float, user_s: float) -> None:
        path = self._path(step)
        if path is None:
            return
        facts = {"version": VERSION, "identity": self._identity, "seconds": seconds, "user_s": user_s}
        table = pa.Table.from_pylist([_row(trial) for trial in found])
        table = table.replace_schema_metadata({FACTS: json.dumps(facts)})
        try:
            put_in_place(path, lambda temporary: pq.write_table(table, temporary))
        except OSError as error:
            raise RunError(
                f"The finished step {path} of the search could not be written ({error.strerror or error}). "
                "Free some room, then run the same command again: it goes on from the steps before."
            ) from error

    def _read(self, step: str) -> tuple[list[ScoredTrial], float, float] | None:
        """None also where the file is damaged or of another search: then the step is done anew."""
        path = self._path(step)
        if path is None or not path.is_file():
            return None
        try:
            table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[FACTS])
            if (facts["version"], facts["identity"]) != (VERSION, self._identity):
                return None
            return [_found(row) for row in table.to_pylist()], float(facts["seconds"]), float(facts["user_s"])
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None


def _row(trial: ScoredTrial) -> dict[str, object]:
    return {
        "kind": trial.kind,
        "setting": json.dumps(trial.setting),
        "nll": trial.nll_S,
        "right": trial.right_S,
        "weight_norm": trial.weight_norm,
        "epochs": trial.epochs,
        "curve": json.dumps([asdict(point) for point in trial.curve]),
        "seconds": trial.seconds,
    }


def _found(row: dict[str, object]) -> ScoredTrial:
    return ScoredTrial(
        kind=str(row["kind"]),
        setting=json.loads(str(row["setting"])),
        nll_S=np.array(row["nll"], dtype=np.float64),
        right_S=np.array(row["right"], dtype=np.bool_),
        weight_norm=float(str(row["weight_norm"])),
        epochs=int(str(row["epochs"])),
        curve=tuple(CurvePoint(**point) for point in json.loads(str(row["curve"]))),
        seconds=float(str(row["seconds"])),
    )
