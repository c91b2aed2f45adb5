"""vitrail verify: does a run say what its own files say?"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from vitrail.cli import options

SHOWN = 40


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Compute every printed number of a run again from its files, and name what differs."""
    from vitrail.checks.verify import verify_run
    from vitrail.core.machine import cache_folder

    found = verify_run(run, cache=cache_folder())
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found) | {"equal": found.equal}, indent=2))
    else:
        for one in found.differences[:SHOWN]:
            typer.echo(f"differs  {one.where}\n         stored {one.stored}\n         found  {one.found}")
        if len(found.differences) > SHOWN:
            typer.echo(f"and {len(found.differences) - SHOWN} more; --json names each")
        typer.echo("Not computed again: " + "; ".join(found.not_recomputed) + ".")
        typer.echo(f"{found.compared:,} values compared: " + _result(len(found.differences)))
    if not found.equal:
        raise typer.Exit(1)


def _result(differences: int) -> str:
    return "all equal." if differences == 0 else f"{differences:,} differ."
