"""The certified export of a run that is served: from the cache, or made first by `vitrail export`.

It is made in a process of its own: exporting imports torch, and the process that serves for weeks should not hold it.
"""

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from vitrail.core.bounded import is_folder
from vitrail.core.errors import RunError
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import EXPORTS
from vitrail.delivery.export.layout import RECEIPT


def find_export(
    run: Path, digest: str, cache: Path, *, backbone: str | None, data: str | None, arguments: list[str]
) -> Path:
    """The model folder of a run; OpenVINO's where it is installed, as it is the faster runtime on CPUs.

    Args:
        run: the folder of a finished run.
        digest: of the run.
        cache: where exports are kept.
        backbone: as for `vitrail export`.
        data: the same.
        arguments: further ones for that command.

    Raises:
        RunError: the export failed, and its process has said why.
    """
    export_format = "onnx" if find_spec("openvino") is None else "openvino"
    key = fingerprint({"run": digest, "backbone": backbone, "format": export_format, "vitrail": version("vitrail")})
    folder = cache / EXPORTS / key
    if is_folder(folder):
        (folder / RECEIPT).touch()  # when it was last used, for `vitrail cache prune`
        return folder
    command = [sys.executable, "-m", "vitrail", "export", str(run), "--out", str(folder)]
    command += ["--format", export_format, "--precision", "auto"]
    command += ["--backbone", backbone] if backbone is not None else []
    command += ["--data", data] if data is not None else []
    if subprocess.run([*command, *arguments], stdout=sys.stderr, check=False).returncode and not is_folder(folder):  # noqa: S603
        raise RunError(f"{run} has no certified export, so it is not served: see above why none could be made.")
    return folder
