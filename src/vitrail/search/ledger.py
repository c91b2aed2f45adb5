"""Finished steps of a search on disk, so that an interrupted search continues to the same trials and winner.

Heads that are trained together are a step: a path of strengths, or a round of drawn heads. When it is done, its trials
are written, completely or not at all (`<folder>/<step>-<digest>.parquet`, a row a trial), and the next search in this
folder reads them instead of training; a file whose bytes are not those that were written does not count. Their seconds
are stored too. So a time budget counts the time before an interruption, and a search that its budget ended ends at the
same step the next time.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vitrail.core.bounded import parse_json
from vitrail.core.digest_files import read_digest_files, write_digest_file
from vitrail.core.errors import RunError
from vitrail.core.machine import user_seconds
from vitrail.heads import CurvePoint
from vitrail.search.scored_trial import ScoredTrial

VERSION = "3"
SUFFIX = ".parquet"
FACTS = b"vitrail_step"


class BudgetSpent(Exception):  # noqa: N818 - an end, not an error
    """The seconds of a search are spent, and the next step is not done yet."""


class Ledger:
    """Does each step once. `spent_s` is the time of all steps, whenever they were done.

    `ended_early` says that a step was refused because the budget was spent.
    """

    def __init__(self, folder: Path | None, *, identity: str, budget_s: float | None = None) -> None:
        self._folder = folder
        self._identity = identity
        self._budget_s = budget_s
        self._begun, self._begun_user_s = time.perf_counter(), user_seconds()
        self._earlier_user_s = 0.0
        self.spent_s = 0.0
        self.ended_early = False
        self._done: dict[str, list[ScoredTrial]] = {}

    @property
    def seconds(self) -> float:
        """Since the search began here."""
        return time.perf_counter() - self._begun

    @property
    def user_s(self) -> float:
        """CPU time in user mode since the search began here, and that of the steps that were read."""
        return user_seconds() - self._begun_user_s + self._earlier_user_s

    def do(self, step: str, work: Callable[[], list[ScoredTrial]]) -> list[ScoredTrial]:
        """The trials of a step: known from this search, or read from the folder, or else computed now and written.

        Args:
            step: its name within the search, the beginning of its file's name.
            work: computes them.

        Raises:
            BudgetSpent: the step is not done yet and the time is up; the first step is always done.
        """
        if step in self._done:
            return self._done[step]
        stored = self._read(step)
        if stored is None:
            if self._budget_s is not None and self.spent_s >= self._budget_s:
                self.ended_early = True
                raise BudgetSpent
            begun, user = time.perf_counter(), user_seconds()
            trials, seconds = work(), time.perf_counter() - begun
            self._write(step, trials, seconds, user_seconds() - user)
        else:
            trials, seconds, user_s = stored
            self._earlier_user_s += user_s
        self.spent_s += seconds
        self._done[step] = trials
        return trials

    def _write(self, step: str, trials: list[ScoredTrial], seconds: float, user_s: float) -> None:
        if self._folder is None:
            return
        facts = {"version": VERSION, "identity": self._identity, "seconds": seconds, "user_s": user_s}
        table = pa.Table.from_pylist([_row(trial) for trial in trials])
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({FACTS: json.dumps(facts)}), sink)
        try:
            write_digest_file(self._folder, sink.getvalue(), SUFFIX, name=step)
        except OSError as error:
            raise RunError(
                f"The finished step {step} of the search could not be written to {self._folder} "
                f"({error.strerror or error}). Free some disk space, then run the same command again: it continues "
                "after the steps before."
            ) from error

    def _read(self, step: str) -> tuple[list[ScoredTrial], float, float] | None:
        """Trials, seconds and CPU seconds; None if there is no such file, or it is damaged or of another search."""
        if self._folder is None:
            return None
        for content in read_digest_files(self._folder, step, SUFFIX):
            try:
                table = pq.read_table(pa.BufferReader(content))
                facts = parse_json(table.schema.metadata[FACTS])
                if (facts["version"], facts["identity"]) == (VERSION, self._identity):
                    return [_trial(row) for row in table.to_pylist()], float(facts["seconds"]), float(facts["user_s"])
            except (pa.ArrowException, KeyError, TypeError, ValueError):
                continue  # of another version
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
        "point": trial.point_P,
    }


def _trial(row: dict[str, object]) -> ScoredTrial:
    return ScoredTrial(
        kind=str(row["kind"]),
        setting=parse_json(str(row["setting"])),
        nll_S=np.array(row["nll"], dtype=np.float64),
        right_S=np.array(row["right"], dtype=np.bool_),
        weight_norm=float(str(row["weight_norm"])),
        epochs=int(str(row["epochs"])),
        curve=tuple(CurvePoint(**point) for point in parse_json(str(row["curve"]))),
        seconds=float(str(row["seconds"])),
        point_P=None if row["point"] is None else np.array(row["point"], dtype=np.float32),
    )
