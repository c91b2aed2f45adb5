"""vitrail backbones: what there is to choose from."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options

if TYPE_CHECKING:
    from vitrail.backbones import Card

NARROW = 100  # columns; a narrower terminal has no room for what a backbone was pretrained on


def backbones(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Explain this one.", show_default=False)] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            metavar="NAME|commercial",
            help="Only weights under this licence, or all that are known to allow commercial use.",
        ),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option("--max-params", metavar="30M", help="Only networks of at most so many parameters.")
    ] = None,
    pretrained_on: Annotated[
        str | None,
        typer.Option("--pretrained-on", metavar="NAME", help="Only those that have seen it, such as imagenet-21k."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="name|params|gmacs|width", help="Order, the smallest first.")
    ] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List the catalogue, or explain one backbone."""
    from vitrail.backbones.catalogue import find_card, load_catalogue
    from vitrail.backbones.select import Wanted, parse_count, select

    if name is not None:
        card = find_card(name)
        if as_json:
            typer.echo(json.dumps(dataclasses.asdict(card), indent=2))
        else:
            _explain(card)
        return
    wanted = Wanted(
        licence=licence,
        max_parameters=None if max_params is None else parse_count(max_params),
        pretrained_on=pretrained_on,
        sort=sort,
    )
    cards = select(load_catalogue().values(), wanted)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(card) for card in cards], indent=2))
    elif not cards:
        typer.echo("No backbone has all of that: leave out a condition, or raise --max-params.")
    else:
        _list(cards)


def _list(cards: "list[Card]") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    wide = console.width >= NARROW
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Backbone", overflow="fold", ratio=None if wide else 1)
    for heading in ("Params M", "GMACs", "Input", "Width"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Licence", overflow="fold")
    if wide:
        table.add_column("Pretrained on", overflow="fold")
    for card in cards:
        facts = [
            card.name,
            f"{card.parameters / 1e6:.1f}",
            f"{card.gmacs:.3g}",
            str(card.preprocessing.crop),
            str(card.feature_width),
            card.licence or "unknown",
        ]
        table.add_row(*facts, *([", ".join(card.pretraining) or "unknown"] if wide else []))
    console.print(table)


def _explain(card: "Card") -> None:
    from rich.console import Console

    facts = {
        "network": f"{card.family} {', '.join(f'{key} {value}' for key, value in card.variant.items())}",
        "parameters": f"{card.parameters:,} without the classifier",
        "multiply-adds": f"{card.gmacs:.3f} G at {card.preprocessing.crop} x {card.preprocessing.crop}, without the "
        "classifier, counted by torch's FlopCounterMode / 2",
        "feature": f"{card.feature_width} wide, pooling {card.pooling}{_others(card)}",
        "preprocessing": _preprocessing(card),
        "positions": card.positions or "none",
        "activation": card.activation if card.norm_eps is None else f"{card.activation}, norm eps {card.norm_eps:g}",
        "pretrained on": ", ".join(card.pretraining) or "unknown",
        "labels": card.labels or "none",
        "last layer": f"{card.classifier_classes:,} outputs" if card.classifier_classes else "not in the weights",
        "licence": f"{card.licence or 'unknown'}, commercial use: {card.commercial}",
        "weights": card.repository or "unknown",
        "revision": card.revision or "resolved and locked at first download",
        "sha256": card.sha256 or "locked at first download",
    }
    facts |= {f"{fact} read in": source for fact, source in card.seen_in.items()}
    console = Console(highlight=False)
    console.print(f"[bold]{card.name}[/]")
    width = max(map(len, facts))
    for fact, value in facts.items():
        console.print(f"  {fact:<{width}} {value}", soft_wrap=True, markup=False)


def _preprocessing(card: "Card") -> str:
    prepared = card.preprocessing
    steps = [
        f"{'both sides' if prepared.resize_rule == 'squash' else 'short side'} to {prepared.resize} "
        f"{prepared.interpolation}{' with' if prepared.antialias else ' without'} antialiasing",
        f"centre crop {prepared.crop}",
        f"{prepared.channels} / {prepared.divide_by:g}",
        f"mean {_triple(prepared.mean)}",
        f"std {_triple(prepared.std)}",
    ]
    return ", ".join([*(["equalise"] if prepared.equalise else []), *steps])


def _others(card: "Card") -> str:
    others = [pooling for pooling in card.poolings if pooling != card.pooling]
    return f" (also {', '.join(others)})" if others else ""


def _triple(values: tuple[float, float, float]) -> str:
    return "/".join(f"{value:g}" for value in values)
