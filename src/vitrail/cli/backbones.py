"""vitrail backbones: what there is to choose from."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options

if TYPE_CHECKING:
    from vitrail.backbones import Card


def backbones(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Explain this one.", show_default=False)] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List the catalogue, or explain one backbone."""
    from vitrail.backbones.catalogue import find_card, load_catalogue

    if name is not None:
        card = find_card(name)
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(card), indent=2))
        else:
            _explain(card)
        return
    cards = list(load_catalogue().values())
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(card) for card in cards], indent=2))
    else:
        _list(cards)


def _list(cards: "list[Card]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Backbone", overflow="fold", ratio=None if console.width >= 100 else 1)
    for heading in ("Params M", "GMACs", "Input", "Width"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Licence", overflow="fold")
    for card in cards:
        table.add_row(
            card.name,
            f"{card.parameters / 1e6:.1f}",
            f"{card.gmacs:.3g}",
            str(card.preprocessing.crop),
            str(card.feature_width),
            card.licence or "unknown",
        )
    console.print(table)


def _explain(card: "Card") -> None:
    from rich.console import Console

    prepared = card.preprocessing
    facts = {
        "network": f"{card.family} {', '.join(f'{key} {value}' for key, value in card.variant.items())}",
        "parameters": f"{card.parameters:,} without the classifier",
        "multiply-adds": f"{card.gmacs:.3f} G at {prepared.crop} x {prepared.crop}, without the classifier",
        "feature": f"{card.feature_width} wide, pooling {card.pooling}",
        "preprocessing": f"short side to {prepared.resize} {prepared.interpolation}, centre crop {prepared.crop}, "
        f"mean {_triple(prepared.mean)}, std {_triple(prepared.std)}",
        "pretrained on": ", ".join(card.pretraining) or "unknown",
        "licence": f"{card.licence or 'unknown'} (commercial use: {card.commercial})",
        "weights": card.repository or "unknown",
        "revision": card.revision or "resolved and locked at first download",
        "sha256": card.sha256 or "locked at first download",
        "read in": "; ".join(f"{fact}: {source}" for fact, source in card.seen_in.items()) or "-",
    }
    console = Console(highlight=False)
    console.print(f"[bold]{card.name}[/]")
    for fact, value in facts.items():
        console.print(f"  {fact:<14} {value}", soft_wrap=True, markup=False)


def _triple(values: tuple[float, float, float]) -> str:
    return "/".join(f"{value:g}" for value in values)
