"""vitrail push: a model folder as a repository of the Hugging Face hub."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitrail.cli import options
from vitrail.cli.streams import echo, echo_json
from vitrail.core.printable import make_printable

if TYPE_CHECKING:
    from vitrail.delivery.push import PlannedUpload


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model folder that vitrail export has written.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hugging Face hub.")],
    public: Annotated[
        bool, typer.Option("--public", help="Make a repository that everybody sees, or upload to one.")
    ] = False,
    revision: Annotated[
        str | None,
        typer.Option("--revision", metavar="BRANCH", help="The branch to upload to.", show_default="the main one"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the folder and upload nothing.")] = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Upload a model folder to the Hugging Face hub."""
    from vitrail.core.drawing import watch
    from vitrail.core.resources import Resources
    from vitrail.delivery.push import plan_upload, push_folder

    upload = plan_upload(folder, repository)
    if not as_json:
        for line in _lines(upload):
            echo(make_printable(line))
    commit = None
    if not dry_run:
        with watch(quiet=quiet) as progress:
            resources = Resources(offline=offline, progress=progress)
            commit = push_folder(upload, public=public, revision=revision, resources=resources)
    if as_json:
        facts = {"repository": upload.address, "files": upload.files, "bytes": upload.bytes, "commit": commit}
        echo_json(json.dumps(facts, indent=2))
    else:
        echo(make_printable(f"Done      {commit}" if commit else "Done      nothing was uploaded (--dry-run)"))


def _lines(upload: "PlannedUpload") -> list[str]:
    return [
        f"Model     {upload.folder}: {upload.model}",
        f"Upload    {len(upload.files)} files, {upload.bytes / 1e6:.1f} MB, to {upload.address}",
        f"Features  {upload.stored} Whoever sees the repository has these features.",
        f"Licence   of the weights: {upload.licence}; commercial use: {upload.commercial}",
    ]
