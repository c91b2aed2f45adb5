"""Makes sure that weights are read as the bytes that their digest is of.

Features of other weights would be stored in the shared cache under this digest, and later runs would use them. 2.5 GB
take a second or two, and no memory (`benchmarks/same_bytes.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from vitrail.backbones.specs import digest_of, files_of
from vitrail.core.errors import WeightsError
from vitrail.core.same_bytes import ChangedFileError, same_bytes


@contextmanager
def verified(path: Path, digest: str) -> Iterator[None]:
    """Within this, a weights file or folder that is read is the one with this digest; tensors must be copied.

    Raises:
        WeightsError: it has other bytes, or changed meanwhile.
    """
    try:
        with same_bytes(files_of(path), partial(digest_of, path), digest):
            yield
    except ChangedFileError as error:
        raise WeightsError(
            f"The weights {path} changed while Vitrail was using them, so no features were computed with them. Leave "
            "the file as it is, or use a copy, and run the same command again."
        ) from error
