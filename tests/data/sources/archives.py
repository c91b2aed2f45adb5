"""Archives that the tests of sources read, and how their listings are compared."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from vitrail.data.dataset import ListedFile, SetAside, Source


def listed(source: Source) -> tuple[set[tuple[str, str, str | None]], dict[str, str]]:
    """(path, label, split) of every entry, and the reason of what is set aside."""
    found = list(source.list_files())
    entries = {(each.path, each.label, each.split) for each in found if isinstance(each, ListedFile)}
    return entries, {each.path: each.reason for each in found if isinstance(each, SetAside)}


def zip_of(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar_of(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
