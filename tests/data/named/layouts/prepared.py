"""Data sets as TensorFlow Datasets prepares them, written by hand.

Files: tensorflow/datasets 10df6c2, core/tfrecords_writer.py; a record: tensorflow/core/lib/io/record_writer.h; an
Example: tensorflow/core/example/example.proto and feature.proto. Checksums are left at zero.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitrail.data.sources.plain_png import plain_png


def varint(number: int) -> bytes:
    number %= 1 << 64
    written = b""
    while number >= 0x80:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features: Mapping[str, Sequence[Any]]) -> bytes:
    """A `tf.train.Example`; lists of numbers are packed."""
    entries = b""
    for name, values in features.items():
        if values and isinstance(values[0], bytes):
            feature = field(1, b"".join(field(1, value) for value in values))
        elif values and isinstance(values[0], float):
            feature = field(2, field(1, struct.pack(f"<{len(values)}f", *values)))
        else:
            feature = field(3, field(1, b"".join(map(varint, values))))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def records(contents: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("<Q4x", len(content)) + content + bytes(4) for content in contents)


def picture(number: int | str) -> bytes:
    """A small image that no other number or name gives."""
    return plain_png(np.frombuffer(hashlib.sha256(str(number).encode()).digest()[:27], np.uint8).reshape(3, 3, 3))


def write_prepared(
    folder: Path, builder: str, splits: Mapping[str, Sequence[Mapping[str, Sequence[Any]]]], *, shards: int = 1
) -> None:
    """A version folder of a builder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "features.json").write_text("{}")
    for split, examples in splits.items():
        for shard, places in enumerate(np.array_split(np.arange(len(examples)), shards)):
            name = f"{builder}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"
            (folder / name).write_bytes(records(example(examples[place]) for place in places))
