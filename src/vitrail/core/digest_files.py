"""Files that are named after the start of their own sha256: a flipped byte anywhere is noticed."""

from hashlib import sha256
from pathlib import Path

from vitrail.core.hashing import sha256_file
from vitrail.core.whole_files import put_in_place

NAME_DIGITS = 24


def write_digest_file(folder: Path, content: bytes | memoryview, suffix: str) -> Path:
    """Write a file whole or not at all, into a folder that is made if it is not there.

    Returns:
        Its path.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    path = folder / (sha256(content).hexdigest()[:NAME_DIGITS] + suffix)
    put_in_place(path, lambda temporary: temporary.write_bytes(content))
    return path


def matches_its_name(path: Path) -> bool:
    """Whether the bytes of a file are those that were written; False if it cannot be read."""
    try:
        return sha256_file(path)[:NAME_DIGITS] == path.stem
    except OSError:
        return False
