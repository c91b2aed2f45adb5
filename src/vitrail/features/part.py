"""One of n parts of the examples, for several machines that share one cache and each compute some of the rows."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vitrail.core.errors import UsageError

WORDS = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Part:
    """Part `number` of `of`, counted from 1. An example's id says its part, so a folder that grows keeps them."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise UsageError(f"Invalid part {self.number}/{self.of}: give 1/{self.of} to {self.of}/{self.of}.")

    def of_ids(self, ids: pa.StringArray) -> NDArray[np.bool_]:
        """Which of these examples are in the part; ids are digests, so their first digits deal them out evenly."""
        first_N = np.fromiter((int(example.as_py()[:8], 16) for example in ids), np.int64, len(ids))
        mine_N: NDArray[np.bool_] = first_N % self.of == self.number - 1
        return mine_N


def parse_part(text: str) -> Part:
    """A part from "i/n"; raises UsageError if the text is anything else."""
    match = WORDS.fullmatch(text.strip())
    if match is None or match[2] == "0":
        raise UsageError(f"Invalid part {text!r}: expected i/n, such as --part 2/4 for the second of four.")
    return Part(int(match[1]), int(match[2]))
