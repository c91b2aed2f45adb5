"""Where images come from: accuracy by the values of columns, on new values, and test beside training images."""

from dataclasses import dataclass

from vitrail.delivery.report.comparison import sort_best_first
from vitrail.evaluation import Slice
from vitrail.runs import BackboneResult, Results


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceRow:
    """One value of a column: how many test images have it, and the slice of each backbone."""

    title: str
    n: int
    slices: tuple[Slice, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionsShown:
    """The section: backbones, the best on test first; rows are empty without further columns.

    `on_new` are the backbones with a column left out, `order` the sentence on their order there, "" if it stays.
    """

    results: tuple[BackboneResult, ...]
    rows: tuple[SliceRow, ...]
    on_new: tuple[BackboneResult, ...]
    order: str


def collect_conditions(results: Results) -> ConditionsShown:
    """What the section shows; all backbones have the same slices."""
    order = tuple(sort_best_first(results))
    first = order[0].conditions
    return ConditionsShown(
        results=order,
        rows=tuple(
            SliceRow(title=one.title, n=one.n, slices=tuple(each.conditions.slices[place] for each in order))
            for place, one in enumerate(first.slices)
        ),
        on_new=tuple(each for each in order if each.conditions.new_values is not None),
        order=first.new_order,
    )
