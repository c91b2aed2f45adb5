"""vitrail serve: a model folder, or a run, behind HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo


def serve(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL_FOLDER|RUN",
            help="A folder of `vitrail export`. A run is exported first, and its export kept in the cache.",
        ),
    ],
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; the default is this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 is any free port.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help="A file with the key that clients must send.",
            show_default="$VITRAIL_API_KEY, else none",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            metavar="NAME[=FILE]",
            help="Which backbone of the run; with =FILE where its weights are.",
            show_default="the one the run picked",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="The images of the run: its export is checked on the test images.",
            show_default="as the run's command has it",
        ),
    ] = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Answer images over HTTP, with a page and an API."""
    from vitrail.core.errors import UsageError
    from vitrail.core.machine import cache_folder, usable_cores
    from vitrail.delivery.folder_checks import is_model_folder
    from vitrail.delivery.model_folder import ModelFolder
    from vitrail.delivery.serve import require_packages
    from vitrail.delivery.serve.keys import read_key

    require_packages()
    key = read_key(api_key_file)
    if not is_model_folder(model):
        from vitrail.delivery.serve.certified import find_export
        from vitrail.runs.receipt import read_receipt

        flags = [flag for flag, given in (("--offline", offline), ("--quiet", quiet)) if given]
        digest = read_receipt(model).digest
        model = find_export(model, digest, cache_folder(), backbone=backbone, data=data, arguments=flags)
    elif backbone is not None or data is not None:
        raise UsageError(f"{model} is a model folder, which has one backbone: leave out -b and --data.")
    from vitrail.delivery.serve.app import Service
    from vitrail.delivery.serve.server import is_loopback, listen, serve

    opened = ModelFolder.open(model, threads=usable_cores())
    with listen(host, port) as listener:
        service = Service(opened, api_key=key, is_loopback=is_loopback(listener))
        address, port = listener.getsockname()[:2]
        facts, images = opened.facts, opened.certificate.fidelity.images

        def announce() -> None:
            for note in opened.notes:
                echo(note, err=True)
            if not service.guard.is_loopback and key is None:
                echo("Whoever reaches this machine may send images: no API key is set (--api-key-file).", err=True)
            where = f"[{address}]" if ":" in address else address
            echo(
                f"Serving {facts.backbone} ({facts.format} {facts.precision}, certified on {images:,} test images) at "
                f"http://{where}:{port}"
            )

        serve(service, listener, announce)
