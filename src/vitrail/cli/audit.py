"""vitrail audit: what is wrong with a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo_json

if TYPE_CHECKING:
    from vitrail.auditing import Audit
    from vitrail.core.console import PrintableConsole

SHOWN = 5


def audit(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="A folder with one folder of images a class, a CSV or Parquet manifest, or the name of a public data "
            "set. Without it: the digits.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The page.", show_default="audit-<data>.html"),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="NAME[=FILE]",
            help="Whose features judge the labels.",
            show_default="the run's, or the largest on this machine",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", help="A finished run on these images: its test labels are judged too."),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Look for suspect labels.")] = True,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="CSV", help="Write a cleaned manifest; no image is touched."),
    ] = None,
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", metavar="N", help="Larger images are unreadable.", min=0.01)
    ] = 100,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find unreadable and odd files, exact and near-duplicates, labels in conflict and labels that are suspect."""
    from rich.markup import escape

    from vitrail.auditing import AuditOptions, audit_to_json, require_files, write_manifest, write_page
    from vitrail.auditing import audit as look
    from vitrail.core.console import PrintableConsole
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.core.whole_files import safe_name
    from vitrail.data import open_data

    if fix:
        require_files(open_data(data, Resources(offline=offline)))  # before any image is read
    chosen = AuditOptions(
        backbone=backbone,
        run=run,
        labels=labels,
        max_pixels=round(max_megapixels * 1e6),
        data_dir=data_dir,
        offline=offline,
    )
    with watch(quiet=quiet) as progress:
        report = look(data, chosen, progress)
    page = out or Path(f"audit-{safe_name(report.name)}.html")
    write_page(report, page)
    cleaned = write_manifest(report, Path(data or ""), fix) if fix else None
    if as_json:
        echo_json(audit_to_json(report).decode())
        return
    console = PrintableConsole()
    _print(report, console)
    if cleaned:
        console.print(
            f"[dim]Manifest[/]  {escape(str(fix))}: {cleaned.rows:,} rows, {cleaned.left_out:,} examples left out, "
            f"{cleaned.set_aside:,} files set aside, {cleaned.noted:,} with a note"
            + (" (the judge of the labels is too weak)" if report.labels.too_weak else ""),
            soft_wrap=True,
        )
    console.print(f"[dim]Page[/]  {escape(str(page))}", soft_wrap=True)


def _print(report: "Audit", console: "PrintableConsole") -> None:
    from rich.markup import escape

    from vitrail.auditing.page import sentence
    from vitrail.auditing.suspects import say_judge
    from vitrail.delivery.report import words

    console.print()
    console.print(f"[bold]{escape(sentence(report))}[/]")
    if report.crossing:
        line = words.plural(len(report.crossing), "pair of near-duplicates crosses", "pairs of near-duplicates cross")
        console.print(f"  [yellow]! {line} the given splits[/]")
    if report.conflicts:
        line = words.plural(len(report.conflicts), "pair of near-duplicates has", "pairs of near-duplicates have")
        console.print(f"  [yellow]! {line} two labels[/]")
    if report.two_labels:
        line = words.plural(len(report.two_labels), "content has", "contents have")
        console.print(f"  [yellow]! {line} two labels: no benchmark uses such files[/]")
    lines = [f"{finding.path}: {finding.kind}, {finding.detail}" for finding in report.findings]
    lists = {
        "Files": lines,
        "The same bytes under two labels": [content.detail for content in report.two_labels],
        "Near-duplicates": [" = ".join(copies.paths) for copies in report.near],
        "Suspect labels": [
            f"{suspect.path}: {suspect.label}, perhaps {suspect.suggested}" for suspect in report.labels.suspects
        ],
    }
    for title, listed in lists.items():
        if listed:
            console.print(f"[bold]{title}: {len(listed):,}[/]")
            for line in listed[:SHOWN]:
                console.print(f"  {escape(line)}", soft_wrap=True)
    for line in say_judge(report.labels):
        console.print(escape(line), soft_wrap=True)
