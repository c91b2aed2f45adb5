"""Flags that mean the same in every verb."""

from pathlib import Path
from typing import Annotated

import typer

from vitrail.cli.help import CATALOGUE, COMPARE, DECIDE, ENGINES, IMAGES, LIMITS, OUTPUT, show_all

Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        metavar="NAME[=FILE]",
        help="A backbone, with =FILE if its weights are local. Repeatable. NAME is one of `vitrail backbones`, the "
        "beginning of one such as resnet50, timm:NAME or hf:REPO (local weights: =FOLDER).",
        show_default=False,
        rich_help_panel=COMPARE,
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="NAME|commercial",
        help="Only weights under this licence, or all that are known to allow commercial use.",
        show_default=False,
        rich_help_panel=CATALOGUE,
    ),
]
MaxParams = Annotated[
    str | None,
    typer.Option(
        "--max-params",
        metavar="30M",
        help="Only networks of at most so many parameters.",
        show_default=False,
        rich_help_panel=CATALOGUE,
    ),
]
PretrainedOn = Annotated[
    str | None,
    typer.Option(
        "--pretrained-on",
        metavar="NAME",
        help="Only those that have seen it, such as imagenet-21k.",
        show_default=False,
        rich_help_panel=CATALOGUE,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help="The run folder.",
        show_default="runs/<data>-<8 digits>",
        rich_help_panel=COMPARE,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        metavar="N",
        help="Seed of split, search and intervals.",
        min=0,
        rich_help_panel=COMPARE,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|torch|torch-compile|openvino",
        help="What runs the backbone. The default is the fastest of those installed, tried once for each network.",
        rich_help_panel=ENGINES,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="auto|fp32|bf16|fp16|int8",
        help="Arithmetic of the forward pass. What it changes is measured and shown. The default is never int8.",
        rich_help_panel=ENGINES,
    ),
]
Margin = Annotated[
    str,
    typer.Option(
        "--margin",
        metavar="POINTS",
        help="Smaller differences in accuracy let cost decide. In points: 1pt, 0.5pt.",
        rich_help_panel=DECIDE,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials",
        metavar="N",
        help="Settings tried for trained heads. Each backbone gets so many, for heads trained step by step.",
        min=1,
        show_default="16, or as --budget allows",
        rich_help_panel=LIMITS,
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="TIME",
        help="Time for the search on each backbone: 90s, 2m, 1h30m. No step of the search begins after it.",
        show_default="none",
        rich_help_panel=LIMITS,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        help="Cores that read images and run backbones.",
        min=1,
        show_default="all",
        rich_help_panel=ENGINES,
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        metavar="N",
        help="Images a batch.",
        min=1,
        show_default="the fastest here, measured once",
        rich_help_panel=ENGINES,
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.", rich_help_panel=LIMITS)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Where files of named data sets already are. Archives under their official names, or unpacked as "
        "torchvision does; what is missing there is fetched.",
        show_default="the cache alone",
        rich_help_panel=IMAGES,
    ),
]
Details = Annotated[
    bool,
    typer.Option(
        "--details",
        help="Also print every figure, reason, file set aside and time.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", hidden=True)]
HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all",
        callback=show_all,
        is_eager=True,
        help="Show all options and more on each.",
        rich_help_panel=OUTPUT,
    ),
]
