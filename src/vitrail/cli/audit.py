"""vitrail audit: what is wrong with a data set."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from vitrail.auditing import Audit

SHOWN = 5


def audit(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="A folder with one folder of images a class, or a CSV or Parquet manifest. Without it: the digits.",
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
            show_default="the run's, or vit_mini",
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
        float, typer.Option("--max-megapixels", help="Larger images are unreadable.", min=0.01)
    ] = 100,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Find unreadable and odd files, exact and near-duplicates, labels in conflict and labels that are suspect."""
    from rich.console import Console

    from vitrail.auditing import AuditOptions, audit_to_json, require_files, write_manifest, write_page
    from vitrail.auditing import audit as look
    from vitrail.cli.drawing import watch
    from vitrail.data import open_source
    from vitrail.runs import safe_name

    if fix:
        require_files(open_source(data))  # before any image is read
    asked = AuditOptions(
        backbone=backbone, run=run, labels=labels, max_pixels=round(max_megapixels * 1e6), offline=offline
    )
    with watch(quiet=quiet) as progress:
        found = look(data, asked, progress)
    page = out or Path(f"audit-{safe_name(found.name)}.html")
    write_page(found, page)
    cleaned = write_manifest(found, Path(data or ""), fix) if fix else None
    if as_json:
        typer.echo(audit_to_json(found).decode(), nl=False)
        return
    console = Console()
    _print(found, console)
    if cleaned:
        console.print(
            f"[dim]Manifest[/]  {fix}: {cleaned.rows:,} rows, {cleaned.left_out:,} examples left out, "
            f"{cleaned.set_aside:,} files set aside, {cleaned.noted:,} with a note",
            soft_wrap=True,
        )
    console.print(f"[dim]Page[/]  {page}", soft_wrap=True)


def _print(found: "Audit", console: "Console") -> None:
    from rich.markup import escape

    from vitrail.auditing.page import sentence
    from vitrail.delivery.report import words

    console.print()
    console.print(f"[bold]{escape(sentence(found))}[/]")
    if found.crossing:
        said = words.plural(len(found.crossing), "pair of near-duplicates crosses", "pairs of near-duplicates cross")
        console.print(f"  [yellow]! {said} the given splits[/]")
    if found.conflicts:
        said = words.plural(len(found.conflicts), "pair of near-duplicates has", "pairs of near-duplicates have")
        console.print(f"  [yellow]! {said} two labels[/]")
    if found.two_labels:
        said = words.plural(len(found.two_labels), "content has", "contents have")
        console.print(f"  [yellow]! {said} two labels: no benchmark uses such files[/]")
    lines = [f"{one.path}: {one.kind}, {one.detail}" for one in found.findings]
    lists = {
        "Files": lines,
        "The same bytes under two labels": [one.detail for one in found.two_labels],
        "Near-duplicates": [" = ".join(one.paths) for one in found.near],
        "Suspect labels": [f"{one.path}: {one.label}, perhaps {one.suggested}" for one in found.labels.suspects],
    }
    for title, listed in lists.items():
        if listed:
            console.print(f"[bold]{title}: {len(listed):,}[/]")
            for line in listed[:SHOWN]:
                console.print(f"  {escape(line)}", soft_wrap=True)
    if found.labels.why_not:
        console.print(f"Labels were not judged. {escape(found.labels.why_not)}")
