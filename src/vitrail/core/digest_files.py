"""Files that are named after the start of their own sha256: a flipped byte anywhere is noticed."""

from collections.abc import Iterator
from contextlib import suppress
from glob import escape
from hashlib import sha256
from pathlib import Path

from vitrail.core.hashing import sha256_file
from vitrail.core.whole_files import put_in_place

NAME_DIGITS = 24


def write_digest_file(folder: Path, content: bytes | memoryview, suffix: str, *, name: str = "") -> Path:
    """Write a file whole or not at all, into a folder that is made if it is not there.

    Returns:
        Its path: `<digest><suffix>`, or `<name>-<digest><suffix>`.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    digest = sha256(content).hexdigest()[:NAME_DIGITS]
    path = folder / f"{f'{name}-' if name else ''}{digest}{suffix}"
    put_in_place(path, lambda temporary: temporary.write_bytes(content))
    return path


def read_digest_files(folder: Path, name: str, suffix: str) -> Iterator[bytes]:
    """The bytes of every file that was written under a name; one that is damaged or cannot be read is passed over."""
    for path in sorted(folder.glob(f"{escape(name)}-{'[0-9a-f]' * NAME_DIGITS}{suffix}")):
        with suppress(OSError):
            content = path.read_bytes()
            if sha256(content).hexdigest()[:NAME_DIGITS] == path.stem[-NAME_DIGITS:]:
                yield content


def matches_its_name(path: Path) -> bool:
    """Whether the bytes of a file are those that were written; False if it cannot be read."""
    try:
        return sha256_file(path)[:NAME_DIGITS] == path.stem
    except OSError:
        return False
