"""How the accuracy of each backbone depends on where images come from: slices, new values, shift, and caveats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitrail.core.errors import DataError
from vitrail.evaluation.contestants import Contestant, Criteria, JudgedImages
from vitrail.evaluation.new_values import NewValues, judge_new_values, say_new_order
from vitrail.evaluation.shift import ClassShares, Shift, compare_shares, judge_shift, say_shift
from vitrail.evaluation.slices import Slice, judge_slices, say_worst


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The accuracy of one backbone by column value and on new values, and how test and training images differ.

    `new_values` is None if no column was left out. `new_order` is a sentence if the backbones rank differently on new
    values, the same for all of them; else "".
    """

    slices: tuple[Slice, ...]
    shift: Shift
    new_values: NewValues | None
    new_order: str


def judge_conditions(
    contestants: Sequence[Contestant],
    images: JudgedImages,
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64] | None,
    *,
    level: float,
) -> dict[str, Conditions]:
    """The conditions of each backbone, by its name.

    Raises:
        DataError: the answers of a backbone for new values do not fit the images that are judged on them.
    """
    right = {c.name: c.probability_NC.argmax(axis=1) == label_N for c in contestants}
    on_new = {c.name: _judge_answers(c, images, right[c.name], label_N) for c in contestants}
    known_and_new = {name: answers for name, answers in on_new.items() if answers is not None}
    order: tuple[str, ...] = ()
    if images.left_out is not None and len(known_and_new) > 1:
        order = say_new_order(list(known_and_new), known_and_new, images.left_out, level=level)
    return {
        c.name: Conditions(
            slices=judge_slices(right[c.name], images.slices, group_N, level=level),
            shift=judge_shift(
                right[c.name], group_N, c.out_of_fold, c.features, backbones=len(contestants), level=level
            ),
            new_values=None
            if images.left_out is None or on_new[c.name] is None
            else judge_new_values(*known_and_new[c.name], images.left_out, level=level),
            new_order=" ".join(order),
        )
        for c in contestants
    }


def judge_shares(
    contestants: Sequence[Contestant],
    images: JudgedImages,
    label_N: NDArray[np.int64],
    group_N: NDArray[np.int64] | None,
    criteria: Criteria,
) -> ClassShares | None:
    """Compare the class shares of test and training images, if the test was given; the same for all backbones."""
    learnt = [c.out_of_fold for c in contestants if c.out_of_fold is not None]
    if not images.given or not learnt:
        return None
    generator = np.random.default_rng(criteria.seed)
    return compare_shares(label_N, group_N, learnt[0], generator=generator, level=criteria.level)


def say_conditions(name: str, conditions: Mapping[str, Conditions], shares: ClassShares | None) -> tuple[str, ...]:
    """Caveats of a decision for the backbone `name`, the most important first."""
    own = conditions[name]
    sentences = [*say_shift(name, own.shift, shares)]
    if own.new_values is not None:
        sentences.append(f"{name} reaches {own.new_values.sentence}")
    sentences += [own.new_order] if own.new_order else []
    return (*sentences, *say_worst(name, own.slices))


def _judge_answers(
    contestant: Contestant, images: JudgedImages, right_N: NDArray[np.bool_], label_N: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Whether each image of the plan is right: with the head that knows its value, and with one that does not."""
    if images.left_out is None or contestant.new_probability_MC is None:
        return None
    judged = images.left_out.value_of
    rows = np.array([row for row, example in enumerate(images.ids) if example in judged], dtype=np.int64)
    if len(rows) != len(judged) or contestant.new_probability_MC.shape != (len(rows), len(images.classes)):
        raise DataError(
            f"{contestant.name} has answers of shape {contestant.new_probability_MC.shape} for {len(judged)} images "
            f"whose {images.left_out.column} was left out: fit its heads again."
        )
    return right_N[rows], contestant.new_probability_MC.argmax(axis=1) == label_N[rows]
