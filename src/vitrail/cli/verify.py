"""vitrail verify: does a run say what its own files say?"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json
from vitrail.core.printable import make_printable

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
        echo_json(json.dumps(dataclasses.asdict(verification) | {"equal": verification.equal}, indent=2))
    else:
        for difference in verification.differences[:SHOWN]:
            echo(f"differs  {make_printable(difference.where)}")
            for word, value in (("stored", difference.stored), ("found ", difference.recomputed)):
                echo(f"         {word} {make_printable(str(value))}")
        if len(verification.differences) > SHOWN:
            echo(f"and {len(verification.differences) - SHOWN} more; --json names each")
        echo("Not computed again: " + "; ".join(verification.not_recomputed) + ".")
        echo(f"{verification.compared:,} values compared: " + _result(len(verification.differences)))
    if not verification.equal:
        raise typer.Exit(1)


def _result(differences: int) -> str:
    return "all equal." if differences == 0 else f"{differences:,} differ."
