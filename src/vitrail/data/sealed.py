"""The test labels, locked away until every choice is made."""

import threading
from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn

from vitrail.core.errors import SealError


class SealedTest:
    """The labels of the test examples. `open` gives them, once.

    Nothing shows them: not printing, not iterating, not copying, not pickling.
    """

    __slots__ = ("_labels", "_lock", "_opened_with", "_size")

    def __init__(self, labels: Mapping[str, int]) -> None:
        self._labels: dict[str, int] | None = dict(labels)
        self._size = len(labels)
        self._opened_with: str | None = None
        self._lock = threading.Lock()

    @property
    def opened_with(self) -> str | None:
        """The digest of the choices the seal was opened with; None while it is closed."""
        return self._opened_with

    def open(self, choices_digest: str) -> dict[str, int]:
        """Open the labels once, and store the digest of every choice that was made before.

        Returns:
            The label of each test example, by its id.

        Raises:
            SealError: the labels were opened before, or the digest is empty.
        """
        if not choices_digest:
            raise SealError(
                "The test labels cannot be opened without a digest of the choices: make every choice first."
            )
        with self._lock:
            if self._labels is None:
                raise SealError(
                    f"The test labels were opened already, with the choices {str(self._opened_with)[:12]}. "
                    "Opening them twice would let the test split influence choices; run a new benchmark instead."
                )
            labels, self._labels, self._opened_with = self._labels, None, choices_digest
        return labels

    def counts(self, classes: int, *, without: Collection[str] = ()) -> tuple[int, ...]:
        """How many test examples each class has; nothing else may be known about the labels before the opening.

        Args:
            classes: the number of classes.
            without: ids that are not counted.

        Raises:
            SealError: the labels were opened, and are no longer stored here.
        """
        labels = self._labels
        if labels is None:
            raise SealError("The test labels were opened already: count the labels that `open` returned.")
        left_out = set(without)
        tally = [0] * classes
        for example, label in labels.items():
            tally[label] += example not in left_out
        return tuple(tally)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        state = "sealed" if self._opened_with is None else f"opened with {self._opened_with[:12]}"
        return f"SealedTest({self._size} labels, {state})"

    def __iter__(self) -> Iterator[NoReturn]:
        raise SealError("The test labels cannot be listed; `open` returns them once, after every choice is made.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SealError("The test labels cannot be copied, pickled or sent to another process.")
