"""The luck behind a figure, each kind apart: which test images, which split of train and val, which seed."""

from dataclasses import dataclass
from statistics import mean, stdev

from vitrail.delivery.report.comparison import sort_best_first
from vitrail.runs import BackboneResult, Results
from vitrail.search import SplitSpread
from vitrail.statistics.intervals import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """One backbone. `seeds` is the deviation over seeds in words.

    `ahead` is in how many splits the first row's backbone was more accurate on val, `lead` and `lead_deviation` by how
    much; None in the first row.
    """

    name: str
    test: Interval
    splits: SplitSpread
    least: float
    greatest: float
    seeds: str
    ahead: int | None
    lead: float | None
    lead_deviation: float | None


def compare_spread(results: Results) -> list[Spread]:
    """A row for each backbone that was fitted on other splits, the best on test first; all had the same splits."""
    looked = [result for result in sort_best_first(results) if result.search.splits is not None]
    return [_row(result, looked[0]) for result in looked]


def _row(result: BackboneResult, first: BackboneResult) -> Spread:
    splits, best, seeds = result.search.splits, first.search.splits, result.search.seeds
    assert splits is not None
    assert best is not None
    leads = None
    if result is not first and len(best.accuracies) == len(splits.accuracies):
        leads = [a - b for a, b in zip(best.accuracies, splits.accuracies, strict=True)]
    return Spread(
        name=result.name,
        test=result.test.top1,
        splits=splits,
        least=min(splits.accuracies),
        greatest=max(splits.accuracies),
        seeds=_say_seeds([seeded.val_accuracy for seeded in seeds]),
        ahead=sum(lead > 0 for lead in leads) if leads else None,
        lead=mean(leads) if leads else None,
        lead_deviation=stdev(leads) if leads else None,
    )


def _say_seeds(rates: list[float]) -> str:
    if len(rates) < 2:
        return "one seed" if rates else "no random step"
    return f"± {100 * stdev(rates):.2f} over {len(rates)}"
