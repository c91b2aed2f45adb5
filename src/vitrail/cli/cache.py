"""vitrail cache: what it holds, whether it is whole, and what to throw away."""

import dataclasses
import json
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.help import ShortGroupHelp, ShortHelp
from vitrail.cli.streams import echo, echo_json
from vitrail.core.errors import UsageError

if TYPE_CHECKING:
    from vitrail.features.cache import CacheEntry

SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}

app = typer.Typer(
    cls=ShortGroupHelp,
    invoke_without_command=True,
    help="List, verify and prune the cache: features, grey copies, models, batch sizes, speeds, engines, data sets.",
)


@app.callback()
def listed(context: typer.Context, as_json: options.Json = False, debug: options.Debug = False) -> None:
    """List what the cache holds, what was used last first; with a command, verify or prune it."""
    if context.invoked_subcommand is not None:
        return
    from vitrail.core.machine import cache_folder
    from vitrail.features.cache import list_cache

    cache = cache_folder()
    entries = list_cache(cache)
    if as_json:
        _echo_json({"cache": str(cache)}, entries)
        return
    _draw(entries)
    echo(f"{_size(sum(entry.bytes for entry in entries))} in {cache}")


@app.command(cls=ShortHelp)
def verify(as_json: options.Json = False, debug: options.Debug = False) -> None:
    """Read everything that has a digest; exit 1 if something is damaged."""
    from vitrail.core.machine import cache_folder
    from vitrail.features.cache import verify_cache

    cache = cache_folder()
    outcomes = list(verify_cache(cache))
    damaged = [path for path, whole in outcomes if not whole]
    whole = len(outcomes) - len(damaged)
    if as_json:
        echo_json(json.dumps({"cache": str(cache), "whole": whole, "damaged": damaged}, indent=2))
    else:
        for path in damaged:
            echo(f"damaged: {path}")
        remedy = " What is damaged is made again when it is next needed." if damaged else ""
        echo(f"{whole:,} whole, {len(damaged):,} damaged.{remedy}")
    if damaged:
        raise typer.Exit(1)


@app.command(cls=ShortHelp)
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
    from vitrail.features.cache import choose, list_cache, remove

    if not keys and older_than is None and keep is None:
        raise UsageError(
            "Say what to prune: keys, --older-than 30d or --keep 20G; `vitrail cache` lists what is there."
        )
    cache = cache_folder()
    gone = choose(
        list_cache(cache),
        keys=keys or (),
        older_than_s=None if older_than is None else _days(older_than) * 86_400,
        keep_bytes=None if keep is None else _bytes(keep),
    )
    if not dry_run:
        remove(cache, gone)
    if as_json:
        _echo_json({"deleted": not dry_run}, gone)
        return
    for entry in gone:
        rows = "" if entry.rows is None else f", {entry.rows:,} rows"
        echo(f"{entry.key}  {entry.what}{rows}, {_size(entry.bytes)}")
    freed = _size(sum(entry.bytes for entry in gone))
    echo(f"{freed} would be freed." if dry_run else f"{freed} freed.")


def _draw(entries: "Sequence[CacheEntry]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from vitrail.core.console import PrintableConsole

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Key", "Kind", "What"):
        table.add_column(heading, overflow="fold")
    for heading in ("Rows", "Bytes", "Last used"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in entries:
        rows = "" if entry.rows is None else f"{entry.rows:,}"
        damaged = f" [red]({entry.damaged} damaged)[/]" if entry.damaged else ""
        day = _day(entry.last_used)
        table.add_row(entry.key[:8], entry.kind, escape(entry.what), rows + damaged, _size(entry.bytes), day)
    PrintableConsole().print(table)


def _echo_json(head: dict[str, object], entries: "Sequence[CacheEntry]") -> None:
    echo_json(json.dumps(head | {"entries": [dataclasses.asdict(entry) for entry in entries]}, indent=2))


def _day(seconds: float) -> str:
    """The date of a time stamp; those of a file may lie outside every calendar."""
    try:
        return time.strftime("%Y-%m-%d", time.localtime(seconds))
    except (OSError, OverflowError, ValueError):
        return "unknown"


def _size(count: int) -> str:
    name = next((name for name in ("T", "G", "M", "K") if count >= SIZES[name]), "")
    return f"{count / SIZES[name]:.3g} {name.lower() if name == 'K' else name}B"


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise UsageError(f"{text} is not a size: write 500M or 20G.")
    return round(float(match[1]) * SIZES[match[2]])


def _days(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([dwmy])", text.strip().lower())
    if match is None:
        raise UsageError(f"{text} is not an age: write 30d, 8w, 6m or 1y.")
    return float(match[1]) * DAYS[match[2]]
