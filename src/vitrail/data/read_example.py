"""An example's bytes, read again: those that its id is the digest of, and no others."""

from vitrail.core.errors import DataError
from vitrail.core.hashing import sha256_bytes
from vitrail.data.dataset import Source


def read_example(source: Source, path: str, example_id: str) -> bytes:
    """The bytes of an example, by one of its paths: those that its id is the digest of, and no others.

    Raises:
        OSError: they cannot be read.
        DataError: the file has changed since the data set was read.
    """
    data = source.read(path)
    if sha256_bytes(data) != example_id:
        raise DataError(
            f"{path} changed while {source.name} was being read: leave its images as they are and run the same command "
            "again."
        )
    return data
