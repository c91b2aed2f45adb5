"""Flags that mean the same in every verb."""

import re
from pathlib import Path
from typing import Annotated

import typer

from vitrail.core.errors import UsageError

TIME = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}

Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        metavar="NAME[=FILE]",
        help="One of the catalogue, timm:NAME or hf:REPO; with =FILE (hf: =FOLDER) for local weights. Repeatable.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FOLDER", help="The run folder.", show_default="runs/<data>-<8 digits>"),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the split, the search and the intervals.", min=0)]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|torch|torch-compile|openvino",
        help="What runs the backbone. auto tries the installed ones, once for each network on a machine.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="auto|fp32|bf16|fp16|int8",
        help="Arithmetic of the forward pass. auto never chooses int8: what it changes is measured and said.",
    ),
]
Margin = Annotated[
    str,
    typer.Option(
        "--margin", metavar="POINTS", help="Difference in accuracy below which cost decides, in points: 1pt, 0.5pt."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", help="Cores that read images and run backbones.", min=1, show_default="all"),
]
Batch = Annotated[
    int | None,
    typer.Option("--batch", help="Images a batch.", min=1, show_default="what is fastest here, measured once"),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.")]
Details = Annotated[
    bool, typer.Option("--details", help="Also print every figure, the reasons, files set aside, and times.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", hidden=True)]


def read_margin(text: str) -> float:
    """A margin as a fraction: "1pt", "1" and "1%" are 0.01; UsageError if it is not a number of points."""
    number = text.strip().lower().removesuffix("%").removesuffix("points").removesuffix("pt").strip()
    try:
        return float(number) / 100
    except ValueError:
        raise UsageError(
            f"The margin {text!r} is not a number of points: give --margin 1pt for one point of accuracy."
        ) from None


def read_seconds(text: str) -> float:
    """A time as people write it, in seconds: 90, 90s, 2m, 1h30m.

    Raises:
        UsageError: it is not a time.
    """
    match = TIME.fullmatch(text.strip())
    if not text.strip() or not match:
        raise UsageError(f"{text!r} is not a time: give seconds, or hours, minutes and seconds: 90s, 2m, 1h30m.")
    return sum(float(amount) * SECONDS[unit] for unit, amount in match.groupdict().items() if amount)
