"""report.html: one page that says what a benchmark said, with nothing on it that is fetched from anywhere.

The page has no script and forbids any by its own policy. Every text that comes from a user or a file is escaped by the
template; every figure is SVG drawn here, or a thumbnail inside the page.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from markupsafe import Markup

from vitrail.core.whole_files import write_whole
from vitrail.delivery.answer import make_answer, merge_caveats
from vitrail.delivery.report import words
from vitrail.delivery.report.candidates import explain_candidates
from vitrail.delivery.report.class_index import index_classes
from vitrail.delivery.report.classes import ClassList, list_classes
from vitrail.delivery.report.comparison import (
    compare,
    compare_pairs,
    deciding_rates,
    sort_best_first,
)
from vitrail.delivery.report.conditions import collect_conditions
from vitrail.delivery.report.confusion import Confusion, draw_confusion
from vitrail.delivery.report.cost_plot import draw_costs
from vitrail.delivery.report.curves import Curves, draw_curves, name_held_out
from vitrail.delivery.report.deck import compare_deck
from vitrail.delivery.report.environment import make_environment
from vitrail.delivery.report.facts import collect_data_facts, list_options, list_warnings
from vitrail.delivery.report.label_curves import LabelCharts, draw_label_curves
from vitrail.delivery.report.mistakes import Images, Mistake, choose_limit, worst_mistakes
from vitrail.delivery.report.names import Names
from vitrail.delivery.report.race import describe_race
from vitrail.delivery.report.reliability import draw_reliability
from vitrail.delivery.report.spread import compare_spread
from vitrail.heads.head import Predictions
from vitrail.runs import BackboneResult, Results, say_openings
from vitrail.statistics.intervals import Interval

TEMPLATE = "report.html.j2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """What is shown of one backbone alone; `rate` is the metric that decided.

    `confusion` is None if its predictions are not at hand.
    """

    result: BackboneResult
    rate: Interval
    curves: Curves | None
    label_curves: LabelCharts | None
    classes: ClassList
    confusion: Confusion | None
    reliability: Markup
    mistakes: tuple[Mistake, ...]
    seeded: str | None
    unfolded: bool


def write_report(
    results: Results, predictions: Mapping[str, Predictions], *, images: Images | None, path: Path
) -> None:
    """Write the page of a run.

    A backbone without predictions has no confusions and no mistakes on it; without `images` the mistakes have no
    images.

    Raises:
        RunError: the page cannot be written.
    """
    page = render_report(results, predictions, images=images, run=str(path.parent))
    # A name that is no Unicode cannot stop the page: it is written as an escape.
    content = page.encode("utf-8", errors="backslashreplace")
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def render_report(
    results: Results, predictions: Mapping[str, Predictions], *, images: Images | None, run: str = "RUN"
) -> str:
    """The page as HTML; `run` is the folder as it is typed in a command."""
    context = _context(results, predictions, images) | {"answer": make_answer(results, run)}
    return make_environment().get_template(TEMPLATE).render(context)


def _context(results: Results, predictions: Mapping[str, Predictions], images: Images | None) -> dict[str, Any]:
    margin = results.options.margin
    rows, axis = compare(results)
    pair_rows, pair_axis = compare_pairs(results, margin)
    names = Names.of(results)
    return {
        "run": results,
        "names": names,
        "rows": rows,
        "axis": axis,
        "pair_rows": pair_rows,
        "pair_axis": pair_axis,
        "margin": margin,
        "explained": explain_candidates(results),
        "costs": draw_costs(results, names),
        "deck": compare_deck(results),
        "conditions": collect_conditions(results),
        "race": describe_race(results, names.colour),
        "spread": compare_spread(results),
        "chapters": _chapters(results, predictions, images),
        "letters": index_classes(results.backbones),
        "held_out": name_held_out(results),
        "pretraining": _say_pretraining(results, names),
        "parts": words.parts_of(results.cost),
        "images_at_hand": images is not None,
        "facts": collect_data_facts(results),
        "options": list_options(asdict(results.options) | {"backbones": results.requested}),
        "warnings": list_warnings(results),
        "openings": say_openings(results.split.test_openings, results.split.first_opened),
        "chance_nll": math.log(len(results.data.classes)),
    }


def _chapters(results: Results, predictions: Mapping[str, Predictions], images: Images | None) -> list[Chapter]:
    order, rate = sort_best_first(results), deciding_rates(results)
    curves = draw_curves({result.name: result.search.curve for result in order}, name_held_out(results))
    label_curves = draw_label_curves(
        {result.name: (result.search.few_shot, result.search.label_curves) for result in order}
    )
    limit = choose_limit(len(order))
    chapters = []
    for result in order:
        rows = predictions.get(result.name)
        chapter = Chapter(
            result=result,
            rate=rate[result.name],
            curves=curves.get(result.name),
            label_curves=label_curves.get(result.name),
            classes=list_classes(result.per_class),
            reliability=draw_reliability(result.reliability, result.name),
            confusion=draw_confusion(rows, results.data.classes) if rows else None,
            mistakes=worst_mistakes(rows, results.data.classes, images, limit=limit) if rows else (),
            seeded=_over_seeds(result),
            unfolded=result.name == results.decision.choose,
        )
        chapters.append(chapter)
    return chapters


def _say_pretraining(results: Results, names: Names) -> tuple[str, ...]:
    """What is known of the backbones' pretraining and is not among the caveats; what several share is said once."""
    sentences = dict.fromkeys(result.contamination.sentence for result in results.backbones)
    unsaid = tuple(sentence for sentence in sentences if sentence not in results.decision.caveats)
    merged = merge_caveats(replace(results, decision=replace(results.decision, caveats=unsaid)), names.short)
    return tuple(merged.values())


def _over_seeds(result: BackboneResult) -> str | None:
    """Mean and deviation over seeds, as Table 2 of the ViT paper gives them; None with fewer than two seeds."""
    seeds = result.search.seeds
    if len(seeds) < 2:
        return None
    rates = [100 * seeded.val_accuracy for seeded in seeds]
    return f"Under {len(seeds)} seeds: {mean(rates):.2f} ± {stdev(rates):.2f}% right."
