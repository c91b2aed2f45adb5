"""A finished run in one line, and as a small table for notebooks. Both show the pick before anything else."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from vitrail.evaluation import DecidingMetric, say_strength
from vitrail.evaluation.contamination import mark
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.runs import BackboneResult, Results
from vitrail.statistics.intervals import Interval

NAMED = 3  # backbones in one line
HEADINGS = ("Backbone", "Test accuracy", "Balanced accuracy", "GMACs", "ms/image", "Licence")


def describe_run(results: Results, folder: Path) -> str:
    """The pick with its accuracy and interval, how sure it is, the backbones and the folder, in one line."""
    names = [result.name for result in results.backbones]
    metric = DecidingMetric(name=results.options.decide_by)
    others = f"{len(names)} backbones: {say_names(names, most=NAMED)}" if len(names) > 1 else "1 backbone"
    pick = next(result for result in results.backbones if result.name == results.decision.choose)
    marked = mark(pick.contamination)
    return (
        f"<Run on {results.data.name}: take {pick.name}, {metric.word} {say_rate(_expect(results, pick))}"
        f"{f', but it {marked}' if marked else ''} ({say_strength(results.decision)}); {others}; {folder}>"
    )


def _expect(results: Results, pick: BackboneResult) -> Interval:
    """The accuracy to expect of the pick: without the luck of being chosen, where that is known."""
    winner = results.winner
    if winner is not None and winner.name == pick.name:
        return winner.corrected
    return pick.test.deciding(results.options.decide_by)


def draw_run(results: Results, report: Path) -> str:
    """The decision and a row for each backbone, as HTML without script and style sheet; every text is escaped."""
    decision = results.decision
    rows = [_row(result, picked=result.name == decision.choose) for result in results.backbones]
    return "\n".join(
        (
            "<div>",
            f"<p><b>Take {escape(decision.choose)}</b>: {escape(decision.sentence)} "
            f"({escape(say_strength(decision))})</p>",
            "<table><thead><tr>",
            *(f"<th>{heading}</th>" for heading in HEADINGS),
            "</tr></thead><tbody>",
            *rows,
            "</tbody></table>",
            *_folded("Reasons", decision.because),
            *_folded("Caveats", decision.caveats),
            f"<p>Report: <code>{escape(str(report))}</code></p>",
            "</div>",
        )
    )


def _row(result: BackboneResult, *, picked: bool) -> str:
    marked = mark(result.contamination)
    name = escape(result.name) + (f" ({escape(marked)})" if marked else "")
    rate = result.cost.images_per_s
    cells = (
        f"<b>{name}</b>" if picked else name,
        say_rate(result.test.top1),
        say_rate(result.test.balanced_accuracy),
        f"{result.card.gmacs:.3g}",
        f"{1000 / rate:.3g}" if rate else "not measured",
        escape(result.card.licence or "not stated"),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _folded(title: str, sentences: Sequence[str]) -> Sequence[str]:
    if not sentences:
        return ()
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return (f"<details><summary>{title} ({len(sentences)})</summary><ul>{items}</ul></details>",)
