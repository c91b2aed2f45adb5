"""vitrail compare: two runs on the test images that both have."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json
from vitrail.core.printable import make_strings_printable

if TYPE_CHECKING:
    from vitrail.checks.compare import RunComparison


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of another.")],
    margin: options.Margin = "1pt",
    level: Annotated[float, typer.Option("--level", help="Confidence level of every interval.")] = 0.95,
    decide_by: Annotated[
        str | None,
        typer.Option(
            "--decide-by",
            metavar="top1|balanced",
            help="The accuracy that they are compared by.",
            show_default="that of both runs, or top1 if they differ",
        ),
    ] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Compare two runs: which images only one of them gets right, and whether the difference is significant."""
    from pydantic import TypeAdapter

    from vitrail.candidates.flags import read_decide_by, read_level, read_margin
    from vitrail.checks.compare import RunComparison, common_metric, compare_runs
    from vitrail.evaluation import Criteria
    from vitrail.runs import load_run

    criteria = Criteria(
        level=read_level(level), margin=read_margin(margin), decide_by=read_decide_by(decide_by or "top1")
    )
    runs = load_run(first), load_run(second)
    if decide_by is None:
        criteria = replace(criteria, decide_by=common_metric(*runs))
    comparison = compare_runs(*runs, criteria)
    if as_json:
        echo_json(json.dumps(TypeAdapter(RunComparison).dump_python(comparison, mode="json"), indent=2))
    else:
        _print(comparison)


def _print(comparison: "RunComparison") -> None:
    from vitrail.evaluation import DecidingMetric
    from vitrail.evaluation.sentences import say_p, say_points, say_rate

    comparison = make_strings_printable(comparison)
    metric = DecidingMetric(name=comparison.decide_by)
    for number, folder in enumerate(comparison.runs, start=1):
        echo(f"Run {number} is {folder}.")
    echo(
        f"{comparison.common:,} common test images; {comparison.only_first:,} only in run 1, "
        f"{comparison.only_second:,} only in run 2. What is compared is {metric.word}."
    )
    for name, rate in comparison.accuracy.items():
        echo(f"  {name}\t{say_rate(rate)}")
    for pair, flips in zip(comparison.pairs, comparison.flips, strict=True):
        echo(
            f"{pair.a} minus {pair.b}: {say_points(pair.difference)}; {pair.b} fixes {len(flips.fixed):,} and breaks "
            f"{len(flips.broken):,}; {say_p(pair.adjusted_p)} for all pairs together: {pair.conclusion}"
        )
