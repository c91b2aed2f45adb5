"""Train, val, test and calibration: stratified, groups whole, the same whatever order the files are listed in.

Examples are shuffled by sha256 of the seed and their id, so a renamed or moved image keeps its split. The rules:

- nothing given: 60/20/20 (`SplitOptions.fractions`);
- train, val and test given: kept;
- test given without val: val is cut from the given train, in the proportion of the fractions;
- val given without test: test is cut from the given train, in the proportion of the fractions;
- train alone given: as if nothing were given;
- a given calibration split is kept; a requested one is cut from train last, so that test and val are the same images
  with and without it;
- without a given val, and with fewer than 1,000 images in train, there is no val: choices are made by five-fold
  cross-validation on all of train.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.core.errors import DataError, UsageError
from vitrail.core.hashing import SHA256_LETTERS, add_array, sha256_bytes
from vitrail.data.dataset import Dataset, SplitName, whole
from vitrail.data.deal import deal
from vitrail.data.enough import join_names, refuse_empty, require_enough, require_training
from vitrail.data.ids import Ids
from vitrail.data.sealed import SealedTest

MIN_TRAIN_FOR_VAL = 1_000
FOLDS = 5
UNEVEN = 0.05  # a split that misses its fraction by more than this is worth a warning
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "val", "test", "calibration")
TRAIN, VAL, TEST, CALIBRATION = range(4)
STRATIFIED = "stratified by class, groups whole"


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitOptions:
    """How to split what is not split already. `fractions` are those of train, val and test.

    `calibration` is what train hands over of its fraction to a calibration split, which sets thresholds; 0 for none.
    """

    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    calibration: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.fractions) != 3 or min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise UsageError(
                f"Invalid split fractions {self.fractions}: give three for train, val and test, each above 0, that "
                "sum to 1."
            )
        if not 0 <= self.calibration < self.fractions[0]:
            raise UsageError(
                f"Invalid calibration fraction {self.calibration:g}: it is cut from train, which has "
                f"{self.fractions[0]:g} of the images; give a smaller one, such as --calibration 0.1."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which example is in which split; all ids are sorted.

    `val` is empty where choices are made by cross-validation: `train` then holds all that is not test.
    `folds` cut train and val together into five. `calibration` is used for setting thresholds and for nothing else; it
    is empty unless the data or `SplitOptions.calibration` have one.
    """

    train: Ids
    val: Ids
    test: Ids
    calibration: Ids
    folds: tuple[Ids, ...]
    how: str
    seed: int
    fractions: tuple[float, float, float]
    fingerprint: str

    def without(self, ids: Collection[str]) -> "Split":
        """The same split less some examples, which could not be read; all others stay where they are."""
        return _add_fingerprint(
            replace(
                self,
                train=self.train.less(ids),
                val=self.val.less(ids),
                test=self.test.less(ids),
                calibration=self.calibration.less(ids),
                folds=tuple(fold.less(ids) for fold in self.folds),
            )
        )


def make_split(dataset: Dataset, options: SplitOptions | None = None) -> tuple[Dataset, Split, SealedTest]:
    """Split a data set and seal the labels of its test examples.

    Returns:
        The data set without the labels of its test examples and with the warnings of the split; the split; and the
        sealed labels.

    Raises:
        DataError: a class has too few images, or the given splits cannot carry a benchmark.
    """
    options = options or SplitOptions()
    require_enough(dataset)
    dataset = replace(dataset, table=_sort(dataset.table))
    rows = _shuffled(_rows(dataset.table), f"{options.seed}:")
    split_N, how = _assign(rows, options)
    _require_train(dataset.classes, rows, split_N)
    split = _add_fingerprint(
        Split(
            train=rows.ids(split_N == TRAIN),
            val=rows.ids(split_N == VAL),
            test=rows.ids(split_N == TEST),
            calibration=rows.ids(split_N == CALIBRATION),
            folds=_folds(rows.take(np.flatnonzero((split_N == TRAIN) | (split_N == VAL))), options.seed),
            how=how,
            seed=options.seed,
            fractions=options.fractions,
            fingerprint="",
        )
    )
    warnings = (*dataset.warnings, *_warnings(dataset.classes, rows, split_N, split, options))
    label_T = dataset.table["label"].take(pa.array(split.test.row_M)).to_pylist()
    sealed = SealedTest(dict(zip(split.test, label_T, strict=True)))
    return replace(dataset, table=_without_labels(dataset.table, split.test), warnings=warnings), split, sealed


@dataclass(frozen=True, slots=True)
class _Rows:
    """The columns that dealing needs, in one order of the rows; `row_N` are their places in the table.

    Groups and given splits are references to one string each, or to None: there may be a million rows.
    """

    table_ids: pa.Array
    row_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    group_N: NDArray[np.object_]
    given_N: NDArray[np.object_]

    def take(self, order_M: NDArray[np.int64]) -> "_Rows":
        """Some of them, in this order."""
        return _Rows(
            self.table_ids, self.row_N[order_M], self.label_N[order_M], self.group_N[order_M], self.given_N[order_M]
        )

    def ids(self, mask_N: NDArray[np.bool_]) -> Ids:
        """The ids of some of them, sorted as the table is."""
        return Ids(self.table_ids, np.sort(self.row_N[mask_N]))


def _rows(table: pa.Table) -> _Rows:
    return _Rows(
        whole(table.column("id")),
        np.arange(table.num_rows),
        table.column("label").to_numpy().astype(np.int64),
        _references(table.column("group")),
        _references(table.column("given_split")),
    )


def _sort(table: pa.Table) -> pa.Table:
    """The table sorted by id, not copied if it is so already."""
    ids = table.column("id")
    return table if pc.all(pc.less(ids[:-1], ids[1:]), min_count=0).as_py() else table.sort_by("id")


def _references(column: pa.ChunkedArray) -> NDArray[np.object_]:
    coded = whole(column).dictionary_encode()
    names = np.array([*coded.dictionary.to_pylist(), None], np.object_)
    references_N: NDArray[np.object_] = names[pc.fill_null(coded.indices, len(names) - 1).to_numpy()]
    return references_N


def _shuffled(rows: _Rows, salt: str) -> _Rows:
    """The rows in the order of the digests of salt and id; these differ, so the order before does not matter."""
    digests = (bytes.fromhex(sha256_bytes(f"{salt}{id_}".encode())) for id_ in Ids(rows.table_ids, rows.row_N))
    digest_N = np.fromiter(digests, dtype=f"S{SHA256_LETTERS // 2}", count=len(rows.row_N))
    return rows.take(np.argsort(digest_N, kind="stable"))


def _assign(rows: _Rows, options: SplitOptions) -> tuple[NDArray[np.int64], str]:
    """The split of each row, as its place in SPLIT_NAMES, and how it was made."""
    given = set(rows.given_N)
    _check_given(rows, given, options)
    split_N = np.asarray([SPLIT_NAMES.index(split or "train") for split in rows.given_N], dtype=np.int64)
    how = _cut_main(rows, split_N, given - {"calibration"}, options)
    if "calibration" in given:
        how += " Calibration as given."
    elif options.calibration:
        shares = {TRAIN: options.fractions[0] - options.calibration, CALIBRATION: options.calibration}
        _cut(rows, split_N, shares)
        how += f" A calibration split was cut from train ({_ratio(*shares.values())}), {STRATIFIED}."
    in_train = int((split_N == TRAIN).sum())
    if "val" not in given and in_train < MIN_TRAIN_FOR_VAL:
        split_N[split_N == VAL] = TRAIN
        how += (
            f" Train would have {in_train} images, fewer than {MIN_TRAIN_FOR_VAL:,}, so there is no val: "
            f"choices are made by {FOLDS}-fold cross-validation on train."
        )
    wanted = [TEST]
    wanted += [VAL] if in_train >= MIN_TRAIN_FOR_VAL else []
    wanted += [CALIBRATION] if options.calibration else []
    if empty := [SPLIT_NAMES[place] for place in wanted if not (split_N == place).any()]:
        divided = zip(rows.group_N, rows.given_N, strict=True)
        refuse_empty(empty, [group for group, given in divided if given in ("train", None)])
    return split_N, how


def _check_given(rows: _Rows, given: set[SplitName | None], options: SplitOptions) -> None:
    if None in given and len(given) > 1:
        raise DataError(
            f"{rows.given_N.tolist().count(None)} of {len(rows.given_N)} examples have no split while others have one: "
            "give every image a split, or none."
        )
    if not given & {"train", None}:
        raise DataError("The given split has no training images: put some into train.")
    if "calibration" in given and options.calibration:
        raise UsageError("The data already have a calibration split: do not use --calibration.")


def _cut_main(rows: _Rows, split_N: NDArray[np.int64], given: set[SplitName | None], options: SplitOptions) -> str:
    """Cut val and test from train if they are not given, and say how."""
    train, val, test = options.fractions
    if given == {"train", "val", "test"}:
        return "Train, val and test as given."
    if given == {"train", "val"}:
        _cut(rows, split_N, {TRAIN: train, TEST: test})
        return f"Train and val as given; test cut from the given train ({_ratio(train, test)}), {STRATIFIED}."
    if given == {"train", "test"}:
        _cut(rows, split_N, {TRAIN: train, VAL: val})
        return f"Test as given; val cut from the given train ({_ratio(train, val)}), {STRATIFIED}."
    _cut(rows, split_N, {TRAIN: train, TEST: test, VAL: val})
    return f"Train, val and test {_ratio(train, val, test)}, drawn with seed {options.seed}, {STRATIFIED}."


def _cut(rows: _Rows, split_N: NDArray[np.int64], shares: dict[int, float]) -> None:
    """Divide the rows of train among splits; if a class is small, the first splits come first."""
    where = np.flatnonzero(split_N == TRAIN)
    total = sum(shares.values())
    dealt = deal(rows.label_N[where], rows.group_N[where].tolist(), [share / total for share in shares.values()])
    split_N[where] = np.asarray(list(shares))[dealt]


def _folds(rows: _Rows, seed: int) -> tuple[Ids, ...]:
    rows = _shuffled(rows, f"{seed}:fold:")
    fold_N = deal(rows.label_N, rows.group_N.tolist(), [1 / FOLDS] * FOLDS)
    if len(set(fold_N.tolist())) == 1:  # a head would be fitted on no image
        refuse_empty(["a second fold of cross-validation"], rows.group_N.tolist())
    return tuple(rows.ids(fold_N == fold) for fold in range(FOLDS))


def _add_fingerprint(split: Split) -> Split:
    """`core.hashing.fingerprint` of the ids of each subset, computed without holding them as objects."""
    digest = hashlib.sha256(b"{")
    if split.calibration:
        digest.update(b'"calibration":')
        add_array(digest, split.calibration.blocks())
        digest.update(b",")
    digest.update(b'"folds":[')
    for number, fold in enumerate(split.folds):
        digest.update(b"," if number else b"")
        add_array(digest, fold.blocks())
    digest.update(b"]")
    for name in ("test", "train", "val"):
        digest.update(f',"{name}":'.encode())
        add_array(digest, getattr(split, name).blocks())
    digest.update(b"}")
    return replace(split, fingerprint=digest.hexdigest())


def _without_labels(table: pa.Table, test: Ids) -> pa.Table:
    sealed_N = np.zeros(table.num_rows, np.bool_)
    sealed_N[test.row_M] = True
    labels, position = table.column("label"), table.schema.get_field_index("label")
    return table.set_column(
        position, table.schema.field("label"), pc.if_else(pa.array(sealed_N), pa.scalar(None, labels.type), labels)
    )


def _require_train(classes: Sequence[str], rows: _Rows, split_N: NDArray[np.int64]) -> None:
    trained = set(rows.label_N[split_N == TRAIN].tolist())
    require_training([name for label, name in enumerate(classes) if label not in trained])


def _warnings(
    classes: Sequence[str], rows: _Rows, split_N: NDArray[np.int64], split: Split, options: SplitOptions
) -> Iterator[str]:
    def lacking(count_C: NDArray[np.int64], least: int) -> str:
        return join_names([name for name, count in zip(classes, count_C, strict=True) if count < least])

    places = range(len(SPLIT_NAMES))
    count_SC = np.stack([np.bincount(rows.label_N[split_N == place], minlength=len(classes)) for place in places])
    if untested := lacking(count_SC[TEST], 1):
        yield f"No test images of {untested}: nothing is known about the accuracy on these classes."
    if split.val and (unchosen := lacking(count_SC[VAL], 1)):
        yield f"No val images of {unchosen}: choices do not take these classes into account."
    if split.calibration and (unset := lacking(count_SC[CALIBRATION], 1)):
        yield f"No calibration images of {unset}: thresholds make no promise for these classes."
    label_N = rows.label_N[np.argsort(rows.row_N)]  # in the order of the table
    in_fold_FC = [np.bincount(np.unique(label_N[fold.row_M]), minlength=len(classes)) for fold in split.folds]
    folds_C = np.sum(in_fold_FC, axis=0)
    if confined := lacking(folds_C, 2):
        yield (
            f"All training images of {confined} are in the same fold, because they are one group or one image: "
            "in cross-validation these classes are tested by heads that never saw them."
        )
    yield from _uneven(rows, count_SC.sum(axis=1), split, options.calibration)


def _uneven(rows: _Rows, count_S: NDArray[np.int64], split: Split, calibration: float) -> Iterator[str]:
    """Warn where groups too large for their split made the fractions differ from the requested ones."""
    train, val, test = split.fractions
    trained = train - calibration
    wanted_S = np.asarray([trained, val, test, calibration] if split.val else [trained + val, 0.0, test, calibration])
    came_out_S = count_S / count_S.sum()
    named = [group for group in rows.group_N if group is not None]
    if None in set(rows.given_N) and named and np.abs(came_out_S - wanted_S).max() > UNEVEN:
        largest, size = Counter(named).most_common(1)[0]
        there = 4 if calibration else 3
        yield (
            f"Groups are not divided, so {', '.join(SPLIT_NAMES[: there - 1])} and {SPLIT_NAMES[there - 1]} hold "
            f"{_ratio(*came_out_S[:there])} percent of the images instead of the requested "
            f"{_ratio(*wanted_S[:there])}; "
            f"the largest group, {largest}, has {size} of {len(rows.row_N)} images."
        )


def _ratio(*shares: float) -> str:
    return "/".join(f"{100 * share / sum(shares):.3g}" for share in shares)
