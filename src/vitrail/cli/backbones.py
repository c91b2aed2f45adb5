"""vitrail backbones: what there is to choose from."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json

if TYPE_CHECKING:
    from vitrail.backbones import Card


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
    from vitrail.backbones.short_names import find_short_name

    if name is not None:
        short = find_short_name(name)
        card = find_card(short.card if short else name)
        if as_json:
            echo_json(json.dumps(dataclasses.asdict(card), indent=2))
        else:
            if short:
                echo(short.explain())
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
        echo_json(json.dumps([dataclasses.asdict(card) for card in cards], indent=2))
    elif not cards:
        echo("No backbone has all of that: leave out a condition, or raise --max-params.")
    else:
        _list(cards)


def _list(cards: "list[Card]") -> None:
    import textwrap

    from vitrail.backbones.short_names import load_short_names
    from vitrail.cli.columns import Column, print_columns
    from vitrail.core.console import PrintableConsole
    from vitrail.delivery.units import big

    columns = [
        Column(heading="Backbone", cells=[card.name for card in cards], is_figure=False),
        Column(heading="Params", cells=[big(card.parameters) for card in cards]),
        Column(heading="GMACs", cells=[_gmacs(card.gmacs) for card in cards]),
        Column(heading="Input", cells=[str(card.preprocessing.crop) for card in cards]),
        Column(heading="Licence", cells=[card.licence or "unknown" for card in cards], is_figure=False),
        Column(heading="Pretrained on", cells=[_pretraining(card) for card in cards], is_figure=False),
        Column(heading="Width", cells=[str(card.feature_width) for card in cards]),
    ]
    console = PrintableConsole()
    print_columns(columns, console)
    short_names = {short.card: short.name for short in reversed(load_short_names().values())}
    notes = [
        "GMACs are thousand million multiply-adds an image. `vitrail backbones NAME` explains one.",
        f"Short names that -b takes: {', '.join(reversed(short_names.values()))}.",
    ]
    for note in notes:
        for line in textwrap.wrap(note, console.width, break_on_hyphens=False):
            console.print(line, style="dim", highlight=False, soft_wrap=True)


def _gmacs(gmacs: float) -> str:
    return f"{gmacs:,.0f}" if gmacs >= 100 else f"{gmacs:.3g}"


def _pretraining(card: "Card") -> str:
    return ", ".join(card.pretraining) or "unknown"


def _explain(card: "Card") -> None:
    from rich.markup import escape

    from vitrail.core.console import PrintableConsole

    facts = {
        "network": f"{card.family} {', '.join(f'{key} {value}' for key, value in card.variant.items())}",
        "parameters": f"{card.parameters:,} without the classifier",
        "multiply-adds": f"{card.gmacs:.3f} G at {card.preprocessing.crop} x {card.preprocessing.crop}, without the "
        "classifier, counted by torch's FlopCounterMode / 2",
        "feature": f"{card.feature_width} wide, pooling {card.pooling}{_others(card)}",
        "preprocessing": _preprocessing(card),
        "positions": card.positions or "none",
        "activation": card.activation if card.norm_eps is None else f"{card.activation}, norm eps {card.norm_eps:g}",
        "pretrained on": _pretraining(card),
        "labels": card.labels or "none",
        "last layer": f"{card.classifier_classes:,} outputs" if card.classifier_classes else "not in the weights",
        "licence": f"{card.licence or 'unknown'}, commercial use: {card.commercial}",
        "weights": card.repository or "unknown",
        "revision": card.revision or "resolved and locked at first download",
        "sha256": card.sha256 or "locked at first download",
    }
    facts |= {f"{fact} read in": source for fact, source in card.seen_in.items()}
    console = PrintableConsole(highlight=False)
    console.print(f"[bold]{escape(card.name)}[/]")
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
