"""Which values of a column are left out together, and which test images are then judged on a value never seen.

Each value is left out alone or, if there are more than ten, in ten folds of whole values of about equal size. A test
image is judged if train and val have its value: then the head that knows the value and the head that never saw it
answer for the same image. Training images without a value may have any, so no head that never saw a value learns from
them. No label of a test image is needed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vitrail.core.errors import DataError
from vitrail.data.dataset import Dataset
from vitrail.data.split import Split

MOST_FOLDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveOutPlan:
    """The plan of the values that are left out in turn.

    `fold_of` has the fold of each value that train and val have. `value_of` has the value of each test image that is
    judged, in the order of the test. Of the other test images, `without_value` have no value and `new_already` have a
    value that train and val lack. `kept_share` is the smallest share of train and val that a head is trained on. `lost`
    are classes without an image in the training of some head.
    """

    column: str
    fold_of: Mapping[str, int]
    value_of: Mapping[str, str] = field(repr=False)
    without_value: int
    new_already: int
    kept_share: float
    lost: tuple[str, ...]

    @property
    def folds(self) -> int:
        """The number of folds."""
        return 1 + max(self.fold_of.values())


def plan_leave_out(dataset: Dataset, split: Split, column: str) -> LeaveOutPlan:
    """The plan for a column of a data set; raises as `plan_from_values`."""
    learnt = (*split.train, *split.val)
    labels = dataset.values("label", learnt).to_pylist()
    return plan_from_values(
        column,
        list(zip(dataset.further(column, learnt), labels, strict=True)),
        dict(zip(split.test, dataset.further(column, split.test), strict=True)),
        dataset.classes,
    )


def plan_from_values(
    column: str,
    learnt: Sequence[tuple[str | None, int | None]],
    tested: Mapping[str, str | None],
    classes: Sequence[str],
) -> LeaveOutPlan:
    """The plan for a column.

    Args:
        column: its name.
        learnt: value and label of each image of train and val.
        tested: the value of each test image by its id.
        classes: their names.

    Raises:
        DataError: train and val have fewer than two values, the test images have fewer than two of these, or without
            some of them a single class is left to learn.
    """
    sizes = Counter(value for value, _ in learnt if value is not None)
    if len(sizes) < 2:
        raise DataError(
            f"Train and val have {'one value' if sizes else 'no value'} of {column}: a head can train without a value "
            "only if there is another. Do not use --leave-out, or give a split with several values in train and val."
        )
    value_of = {example: value for example, value in tested.items() if value is not None and value in sizes}
    if len(set(value_of.values())) < 2:
        raise DataError(
            f"Fewer than two values of {column} are in both the test images and the training images, so known values "
            "cannot be compared with new ones: do not use --leave-out. If all values of the test images are new, the "
            "ordinary accuracy is the accuracy on new values."
        )
    fold_of = _deal(sizes)
    known = [(fold_of[value], label) for value, label in learnt if value is not None]
    for fold in set(fold_of.values()):
        if len({label for other, label in known if other != fold}) < 2:
            gone = ", ".join(value for value in fold_of if fold_of[value] == fold)
            raise DataError(
                f"Without the images of {column} {gone} fewer than two classes are left for training: the values of "
                "this column determine the class, so do not use --leave-out, or name another column."
            )
    largest = max(Counter(fold for fold, _ in known).values())
    known_of, taken_of = Counter(label for _, label in known), Counter(known)
    lost = {label for _, label in learnt if not known_of[label]}
    lost |= {label for (_, label), count in taken_of.items() if count == known_of[label]}
    without_value = sum(value is None for value in tested.values())
    return LeaveOutPlan(
        column=column,
        fold_of=fold_of,
        value_of=value_of,
        without_value=without_value,
        new_already=len(tested) - len(value_of) - without_value,
        kept_share=(len(known) - largest) / len(learnt),
        lost=tuple(classes[label] for label in sorted(label for label in lost if label is not None)),
    )


def _deal(sizes: Mapping[str, int]) -> dict[str, int]:
    """The largest values first, each to the fold that has least so far."""
    loads = [0] * min(MOST_FOLDS, len(sizes))
    fold_of = {}
    for value in sorted(sizes, key=lambda value: (-sizes[value], value)):
        fold_of[value] = loads.index(min(loads))
        loads[fold_of[value]] += sizes[value]
    return dict(sorted(fold_of.items()))
