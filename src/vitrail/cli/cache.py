"""vitrail cache: what it holds, whether it is whole, and what to throw away."""

import dataclasses
import json
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from vitrail.core.kept import Kept
    from vitrail.features.pace import Pace
    from vitrail.features.shelves import Shelf

SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}

app = typer.Typer(
    invoke_without_command=True,
    help="List what the cache holds: features, converted models, and what is remembered; verify or prune it.",
)


@app.callback()
def listed(context: typer.Context, as_json: options.Json = False, debug: options.Debug = False) -> None:
    """List what the cache holds, what was used last first; with a command, verify or prune it."""
    if context.invoked_subcommand is not None:
        return
    from vitrail.core.machine import cache_folder

    cache = cache_folder()
    held = _Held.of(cache)
    if as_json:
        _echo_json({"cache": str(cache)}, held)
        return
    _draw_shelves(held.shelves)
    if held.paces:
        typer.echo()
        _draw_paces(held.paces)
    if held.others:
        typer.echo()
        _draw_others(held.others)
    typer.echo(f"{_size(sum(thing.bytes for thing in held.all()))} in {cache}")


@app.command()
def verify(as_json: options.Json = False, debug: options.Debug = False) -> None:
    """Read every shard against the digest in its name; exit 1 where one is damaged."""
    from vitrail.core.machine import cache_folder
    from vitrail.features.shelves import list_shelves, verify_shelf

    cache, whole, damaged = cache_folder(), 0, []
    for shelf in list_shelves(cache):
        for name, good in verify_shelf(cache, shelf.key):
            whole += good
            if not good:
                damaged.append(f"{shelf.key}/{name}")
    if as_json:
        typer.echo(json.dumps({"cache": str(cache), "whole": whole, "damaged": damaged}, indent=2))
    else:
        for name in damaged:
            typer.echo(f"damaged: {name}")
        remedy = " Their rows are computed again when they are next needed." if damaged else ""
        typer.echo(f"{whole:,} shards are whole, {len(damaged):,} damaged.{remedy}")
    if damaged:
        raise typer.Exit(1)


@app.command()
def prune(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="Keys, or how they begin.", show_default=False)
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Not used for so long: 30d, 8w, 6m, 1y.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="SIZE", help="Leave at most so much, used last: 500M, 20G, 0.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Delete what the cache holds: by key, by age, or down to a size. All of it is made again; weights stay locked."""
    from vitrail.core.machine import cache_folder
    from vitrail.features.shelves import choose, remove

    if not keys and older_than is None and keep is None:
        raise UsageError(
            "Say what to prune: keys, --older-than 30d or --keep 20G; `vitrail cache` lists what is there."
        )
    cache = cache_folder()
    held = _Held.of(cache)
    gone = choose(
        held.all(),
        keys=keys or (),
        older_than_s=None if older_than is None else _days(older_than) * 86_400,
        keep_bytes=None if keep is None else _bytes(keep),
    )
    if not dry_run:
        remove(cache, gone)
    going = held.only({thing.key for thing in gone})
    if as_json:
        _echo_json({"deleted": not dry_run}, going)
        return
    for shelf in going.shelves:
        typer.echo(f"{shelf.key}  {shelf.backbone}  {shelf.rows:,} rows, {_size(shelf.bytes)}")
    for pace in going.paces:
        typer.echo(f"{pace.key}  {pace.backbone}  batch of {pace.batch}, {_size(pace.bytes)}")
    for other in going.others:
        typer.echo(f"{other.key}  {other.what}, {_size(other.bytes)}")
    freed = _size(sum(thing.bytes for thing in gone))
    typer.echo(f"{freed} would be freed." if dry_run else f"{freed} freed.")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """Everything in the cache, each kind with what was used last first."""

    shelves: "list[Shelf]"
    paces: "list[Pace]"
    others: "list[Kept]"

    @classmethod
    def of(cls, cache: "Path") -> "_Held":
        from vitrail.backbones.kept_models import list_models
        from vitrail.data.looks import list_looks
        from vitrail.features.pace import list_paces
        from vitrail.features.shelves import list_shelves

        return cls(
            shelves=list_shelves(cache), paces=list_paces(cache), others=[*list_models(cache), *list_looks(cache)]
        )

    def all(self) -> "list[Shelf | Pace | Kept]":
        return [*self.shelves, *self.paces, *self.others]

    def only(self, keys: set[str]) -> "_Held":
        return _Held(
            shelves=[one for one in self.shelves if one.key in keys],
            paces=[one for one in self.paces if one.key in keys],
            others=[one for one in self.others if one.key in keys],
        )


def _draw_shelves(shelves: "list[Shelf]") -> None:
    from rich.console import Console
    from rich.markup import escape

    table = _table(("Key", "Backbone (weights)", "Engine", "Pooling"), ("Rows", "Bytes", "Last used"))
    for shelf in shelves:
        damaged = f" [red]({shelf.damaged} damaged)[/]" if shelf.damaged else ""
        table.add_row(
            shelf.key[:8],
            escape(shelf.backbone),
            escape(f"{shelf.engine} {shelf.precision}, {shelf.storage}"),
            escape(shelf.pooling),
            f"{shelf.rows:,}{damaged}",
            _size(shelf.bytes),
            _day(shelf.last_used),
        )
    Console().print(table)


def _draw_paces(paces: "list[Pace]") -> None:
    from rich.console import Console
    from rich.markup import escape

    from vitrail.delivery.report import words

    table = _table(("Key", "Fastest batch of"), ("Images", "Images/s", "Bytes", "Last used"))
    for pace in paces:
        table.add_row(
            pace.key[:8],
            escape(pace.backbone),
            str(pace.batch) if pace.batch else "[red]damaged[/]",
            words.pace(pace.images_per_s),
            _size(pace.bytes),
            _day(pace.last_used),
        )
    Console().print(table)


def _draw_others(others: "list[Kept]") -> None:
    from rich.console import Console

    table = _table(("Key", "What"), ("Bytes", "Last used"))
    for other in others:
        table.add_row(other.key[:8], other.what, _size(other.bytes), _day(other.last_used))
    Console().print(table)


def _table(words: Sequence[str], numbers: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in words:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _echo_json(head: dict[str, object], held: _Held) -> None:
    typer.echo(json.dumps(head | dataclasses.asdict(held), indent=2))


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def _size(count: int) -> str:
    name = next((name for name in ("T", "G", "M", "K") if count >= SIZES[name]), "")
    return f"{count / SIZES[name]:.3g} {name.lower() if name == 'K' else name}B"


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise UsageError(f"{text} is no size: write 500M or 20G.")
    return round(float(match[1]) * SIZES[match[2]])


def _days(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([dwmy])", text.strip().lower())
    if match is None:
        raise UsageError(f"{text} is no age: write 30d, 8w, 6m or 1y.")
    return float(match[1]) * DAYS[match[2]]
