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

    verification = verify_run(run, cache=cache_folder())
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(verification) | {"equal": verification.equal}, indent=2))
    else:
        for difference in verification.differences[:SHOWN]:
            typer.echo(f"differs  {difference.where}")
            typer.echo(f"         stored {difference.stored}\n         found  {difference.recomputed}")
        if len(verification.differences) > SHOWN:
            typer.echo(f"and {len(verification.differences) - SHOWN} more; --json names each")
        typer.echo("Not computed again: " + "; ".join(verification.not_recomputed) + ".")
        typer.echo(f"{verification.compared:,} values compared: " + _result(len(verification.differences)))
    if not verification.equal:
        raise typer.Exit(1)


def _result(differences: int) -> str:
    return "all equal." if differences == 0 else f"{differences:,} differ."
