"""The API key that clients must send, if there is one."""

from pathlib import Path

from vitrail.core.bounded import read_bounded
from vitrail.core.errors import UsageError
from vitrail.core.machine import service_key

LEAST_LENGTH, MOST_LENGTH = 16, 1024  # characters


def read_key(file: Path | None) -> str | None:
    """The key in a file, else that of the environment; None if there is neither.

    Raises:
        UsageError: the file cannot be read, or the key is short or not of visible ASCII characters.
    """
    if file is None:
        key, where = service_key(), "VITRAIL_API_KEY"
        if key is None:
            return None
    else:
        where = str(file)
        try:
            key = read_bounded(file, MOST_LENGTH).decode("utf-8", errors="replace").strip()
        except OSError as error:
            raise UsageError(f"The API key in {file} cannot be read ({error.strerror or error}).") from error
    if not LEAST_LENGTH <= len(key) <= MOST_LENGTH or not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"The API key in {where} cannot be used: it needs {LEAST_LENGTH} to {MOST_LENGTH} visible ASCII "
            "characters, such as those that `openssl rand -hex 32` prints."
        )
    return key
