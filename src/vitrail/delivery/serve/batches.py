"""Batches that form while the model runs.

A thread of its own runs the model. When it is free it takes what waits, up to the batch that the certificate found
fastest, and never waits for more: an image that comes alone is answered alone, and under load batches fill themselves.

Letters: B images, H rows, W columns, C channels.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitrail.core.threads import start_thread

Answer = TypeVar("Answer")


class Batches(Generic[Answer]):
    """Crops go in one by one, each with the future of its answer."""

    def __init__(
        self,
        answer_batch: Callable[[NDArray[np.uint8]], Sequence[Answer]],
        *,
        most: int,
        on_batch: Callable[[int, float], None],
    ) -> None:
        """Start the thread.

        Args:
            answer_batch: an answer for each image of `pixel_BHWC`.
            most: images of a batch.
            on_batch: is told the size of each batch and its seconds, in the thread.
        """
        self._answer_batch = answer_batch
        self._most = most
        self._on_batch = on_batch
        self._waiting: deque[tuple[NDArray[np.uint8], Future[Answer]]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="vitrail-model", daemon=True)
        start_thread(self._thread)

    def add(self, pixel_HWC: NDArray[np.uint8], answer: Future[Answer]) -> None:
        """Have an image answered with the next batch; may be called from any thread."""
        with self._changed:
            self._waiting.append((pixel_HWC, answer))
            self._changed.notify()

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._answer(*zip(*batch, strict=True))

    def _next(self) -> list[tuple[NDArray[np.uint8], Future[Answer]]]:
        """What waits, up to a whole batch, without what nobody wants any more; nothing at the end."""
        batch: list[tuple[NDArray[np.uint8], Future[Answer]]] = []
        with self._changed:
            while not batch and (self._waiting or not self._is_closed):
                if not self._waiting:
                    self._changed.wait()
                while self._waiting and len(batch) < self._most:
                    pixel_HWC, answer = self._waiting.popleft()
                    if answer.set_running_or_notify_cancel():
                        batch.append((pixel_HWC, answer))
        return batch

    def _answer(self, pixels: Sequence[NDArray[np.uint8]], answers: Sequence[Future[Answer]]) -> None:
        begun = time.perf_counter()
        try:
            results = self._answer_batch(np.stack(pixels))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, and the thread goes on
            for answer in answers:
                answer.set_exception(error)
        else:
            for answer, result in zip(answers, results, strict=True):
                answer.set_result(result)
            self._on_batch(len(answers), time.perf_counter() - begun)
