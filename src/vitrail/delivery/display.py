"""A finished run in one line, and as a small table for notebooks. Both show the pick before anything else."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from vitrail.backbones.display_names import display_names, shorten_names
from vitrail.core.printable import make_printable, make_strings_printable
from vitrail.delivery.answer import make_answer
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
    return make_printable(
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
    """The answer and a row for each backbone, as HTML without script and style sheet; every text is escaped."""
    results = make_strings_printable(results)
    answer, names = make_strings_printable(make_answer(results, str(report.parent))), display_names(results.backbones)
    rows = [_row(result, names[result.name], picked=result.name == answer.full_name) for result in results.backbones]
    full_name = "" if answer.name == answer.full_name else f" ({escape(answer.full_name)})"
    return "\n".join(
        (
            "<div>",
            f"<p><b>{escape(answer.headline)}</b>{full_name}</p>",
            *(f"<p>{label}: {escape(text)}</p>" for label, text in answer.rows()),
            "<table><thead><tr>",
            *(f"<th>{heading}</th>" for heading in HEADINGS),
            "</tr></thead><tbody>",
            *rows,
            "</tbody></table>",
            *_folded("Reasons", [shorten_names(reason, names) for reason in results.decision.because]),
            *_folded("Caveats", answer.caveats),
            f"<p>Report: <code>{escape(make_printable(str(report)))}</code></p>",
            "</div>",
        )
    )


def _row(result: BackboneResult, name: str, *, picked: bool) -> str:
    marked = mark(result.contamination)
    name = escape(name) + (f" ({escape(marked)})" if marked else "")
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
