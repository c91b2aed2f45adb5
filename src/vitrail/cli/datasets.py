"""vitrail datasets: public data sets by name."""

import dataclasses
import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitrail.cli import options
from vitrail.cli.help import ShortGroupHelp, ShortHelp
from vitrail.cli.streams import echo, echo_json

if TYPE_CHECKING:
    from vitrail.core.resources import Resources
    from vitrail.data.named.cards import DatasetCard

SHOW = "show"
LONGEST_LICENCE = 12  # letters; with longer ones the column does not fit into 80


class _NameOrCommand(ShortGroupHelp):
    """`vitrail datasets NAME` is short for `vitrail datasets show NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed; anything else is a name to show."""
        return super().resolve_command(ctx, args if args[0] in self.commands else [SHOW, *args])


app = typer.Typer(
    cls=_NameOrCommand,
    invoke_without_command=True,
    help="List the public data sets that every command takes by name; with a name, explain one.",
)


@app.callback()
def listed(context: typer.Context, as_json: options.Json = False, debug: options.Debug = False) -> None:
    """List the public data sets that every command takes by name; with a name, explain one."""
    if context.invoked_subcommand is not None:
        return
    from vitrail.core.resources import Resources
    from vitrail.data.named.cards import load_dataset_cards

    cards = list(load_dataset_cards().values())
    if as_json:
        echo_json(json.dumps([_facts(card, Resources()) for card in cards], indent=2))
    else:
        _draw(cards, Resources())


@app.command(SHOW, cls=ShortHelp)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set.")],
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Explain one data set: where its files are, licence, official split, labels, overlaps with ImageNet."""
    from vitrail.core.resources import Resources
    from vitrail.data.named import find_dataset_card

    card = find_dataset_card(name)
    if as_json:
        echo_json(json.dumps(_facts(card, Resources()), indent=2))
    else:
        _explain(card, Resources())


@app.command(cls=ShortHelp)
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set.")],
    data_dir: options.DataDir = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Fetch the files of a data set into the cache, and check them; an interrupted download continues."""
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.data.named import find_dataset_card
    from vitrail.data.named.files import fetch_files

    card = find_dataset_card(name)
    with watch(quiet=quiet) as progress:
        files = fetch_files(card, Resources(data_dir=data_dir, progress=progress))
    for file, path in files.items():
        echo(f"{file}  {path}")
    echo(f"Licence: {card.licence or f'unknown; read {card.page} before you use the images'}.")
    if card.layout:
        echo(f"vitrail bench {card.name} -b BACKBONE -b BACKBONE compares backbones on {card.title}.")


def _facts(card: "DatasetCard", resources: "Resources") -> dict[str, object]:
    from vitrail.data.named.files import is_stored

    return dataclasses.asdict(card) | {"stored": is_stored(card, resources)}


def _draw(cards: "list[DatasetCard]", resources: "Resources") -> None:
    from vitrail.cli.columns import Column, print_columns
    from vitrail.core.console import PrintableConsole
    from vitrail.data.named.files import is_stored

    console = PrintableConsole()
    sizes = ["here" if is_stored(card, resources) else _download_size(card) for card in cards]
    columns = [
        Column(heading="Name", cells=[card.name for card in cards], is_figure=False),
        Column(heading="Images", cells=["" if card.images is None else f"{card.images:,}" for card in cards]),
        Column(heading="Classes", cells=[f"{card.classes:,}" for card in cards]),
        Column(heading="Download", cells=sizes),
        Column(heading="Split", cells=[_split(card) for card in cards], is_figure=False),
        Column(heading="Licence", cells=[_short_licence(card.licence) for card in cards], is_figure=False),
    ]
    print_columns(columns, console)
    console.print()
    for line in textwrap.wrap(
        "`vitrail datasets NAME` explains one, `vitrail datasets fetch NAME` fetches it, and every command that takes "
        "images takes NAME, as in `vitrail bench NAME -b BACKBONE`.",
        console.width,
    ):
        console.print(line, style="dim", highlight=False, soft_wrap=True)


def _short_licence(licence: str) -> str:
    name = licence.partition(";")[0] or "unknown"
    return name if len(name) <= LONGEST_LICENCE else "in words"


def _split(card: "DatasetCard") -> str:
    """Who splits the images; a data set without images of its own has no split."""
    if not card.layout and not card.class_folders:
        return ""
    return "official" if {*card.counts, *card.class_folders.values()} - {"all", ""} else "Vitrail's"


def _download_size(card: "DatasetCard") -> str:
    from vitrail.delivery.units import big

    sizes = [file.bytes for file in card.downloads if not file.for_boxes]
    if not sizes:
        return "by hand"
    return "unknown" if None in sizes else f"{big(sum(size or 0 for size in sizes))}B"


def _explain(card: "DatasetCard", resources: "Resources") -> None:
    from vitrail.core.console import PrintableConsole
    from vitrail.data.named.files import is_stored

    counts = ", ".join(f"{count:,} {name}" for name, count in card.counts.items())
    facts = {
        "also called": ", ".join(card.aliases),
        "page": card.page,
        "images": f"{counts or 'unknown'}, in {card.classes:,} classes",
        "split": card.split,
        "labels": card.labels,
        "boxes": f"--crop-to-boxes: {card.boxes}" if card.boxes else "",
        "licence": card.licence or "unknown",
        "citation": card.citation,
        "stored": "yes, in the cache" if is_stored(card, resources) else "no",
    }
    for overlap in card.overlaps:
        facts[f"in {overlap.collection}"] = f"{overlap.share} ({overlap.source})"
    for place, form in enumerate(card.forms):
        for file in form.files:
            name = "file" if place == 0 else "file, if given"
            facts[f"{name} {file.name}"] = _describe(file.bytes, file.sha256, file.md5, file.urls)
        if not form.files:
            facts["folder, if given"] = f"--data-dir finds {', '.join(form.marks)}"
    if not card.downloads:
        facts["files"] = f"by hand: {card.by_hand or 'give a folder or an archive of its images'}"
    if card.tfds:
        facts["prepared"] = f"--data-dir finds {card.tfds}, as TensorFlow Datasets writes it"
    facts |= {f"{fact} read in": source for fact, source in card.seen_in.items()}
    console = PrintableConsole(highlight=False)
    console.print(f"[bold]{card.title}[/]  {card.name}")
    width = max(map(len, facts))
    for fact, value in facts.items():
        if value:
            console.print(f"  {fact:<{width}} {value}", soft_wrap=True, markup=False)


def _describe(size: int | None, sha256: str, md5: str, urls: tuple[str, ...]) -> str:
    digest = f"sha256 {sha256}" if sha256 else f"md5 {md5}" if md5 else "digest locked at first download"
    return ", ".join([*([f"{size:,} bytes"] if size is not None else []), digest, *urls])
