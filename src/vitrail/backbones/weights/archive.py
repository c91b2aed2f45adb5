"""Checks of a zip archive before it is unpacked: .npz and today's .pth are archives."""

import zipfile
from pathlib import Path

from vitrail.core.errors import WeightsError
from vitrail.core.reasons import say_reason

MAX_BYTES = 16 * 2**30  # the largest published backbones, of a billion parameters in float32, have 5
MAX_RATIO = 100  # trained weights hardly shrink at all; deflate can make a thousand of one


def member_names(path: Path) -> list[str]:
    """The names in an archive, as they are stored; raises WeightsError if its directory, at its end, is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception as error:  # a damaged file can make its reader raise anything
        raise WeightsError(
            f"The weights {path} are an archive (.npz, .pth) that is cut off or damaged ({say_reason(error)}): fetch "
            "the file again from where it was published."
        ) from error


def require_modest(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that would unpack to more than weights ever have.

    Only its directory is read; no member gives more bytes than are declared there.

    Raises:
        WeightsError: more is declared than MAX_BYTES, or than MAX_RATIO times the size of the file.
    """
    declared, size = sum(member.file_size for member in archive.infolist()), path.stat().st_size
    if declared > min(MAX_BYTES, MAX_RATIO * size):
        raise WeightsError(
            f"The weights {path} have {size:,} bytes and would unpack to {declared:,}, which real weights never do, "
            "so Vitrail does not unpack them: fetch the file again from where it was published."
        )
