"""From the bytes of image files to answers: decoding in threads, the model in batches.

The event loop never decodes and never computes: it waits for futures. A crop goes from the thread that made it straight
to the thread of the model.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from vitrail.core.machine import usable_cores
from vitrail.core.threads import ThreadPool
from vitrail.data.images import ImageRejected
from vitrail.data.in_flight import one_item
from vitrail.delivery.model_folder import ModelFolder
from vitrail.delivery.prediction import Prediction
from vitrail.delivery.serve.batches import Batches
from vitrail.delivery.serve.metrics import Metrics
from vitrail.delivery.serve.replies import Result
from vitrail.delivery.serve.uploads import UploadedImage


@dataclass(frozen=True, slots=True)
class Job:
    """An image on its way.

    `size`, in columns and rows, comes when no thread needs the upload any more, and None if nobody wanted the answer.
    """

    name: str
    size: asyncio.Future[tuple[int, int] | None]
    answer: Future[Prediction]


class Classifier:
    """A model folder that answers images as they come."""

    def __init__(self, model: ModelFolder, metrics: Metrics) -> None:
        self.model = model
        self._metrics = metrics
        self._decoders = ThreadPool(usable_cores(), thread_name_prefix="vitrail-decode")
        self._batches = Batches(model.predict, most=model.certificate.speed.best.batch, on_batch=metrics.on_batch)

    async def answer(self, images: Sequence[UploadedImage]) -> tuple[Result, ...]:
        """A result for each image, in order.

        If this is cancelled or fails, images that no thread has begun with are left out. It ends when no thread holds
        an upload, so that whoever counts the bytes in memory counts them all.
        """
        begun = time.perf_counter()
        jobs: list[Job] = []
        try:
            for image in images:
                jobs.append(self._start(image))  # noqa: PERF401 - those before an error are waited for
            return tuple([await self._finish(job, begun) for job in jobs])
        finally:
            for job in jobs:
                job.answer.cancel()
            await asyncio.gather(*(job.size for job in jobs), return_exceptions=True)

    def close(self) -> None:
        """Answer what is decoded, and end the threads."""
        self._decoders.shutdown(cancel_futures=True)
        self._batches.close()

    def _start(self, image: UploadedImage) -> Job:
        answer: Future[Prediction] = Future()
        size = asyncio.wrap_future(self._decoders.submit(self._prepare, image.data, answer))
        return Job(image.name, size, answer)

    def _prepare(self, data: bytes, answer: Future[Prediction]) -> tuple[int, int] | None:
        """Make the crop of an image and hand it on; raises ImageRejected if the file cannot be used."""
        if answer.cancelled():
            return None
        with one_item():
            decoded = self.model.decode_file(data)
            pixel_HWC = self.model.to_crop(decoded)
        self._batches.add(pixel_HWC, answer)
        return decoded.size

    async def _finish(self, job: Job, begun: float) -> Result:
        await asyncio.wait([job.size])  # unlike `await job.size`, this leaves it as it is when it is cancelled
        try:
            size = job.size.result()
        except ImageRejected as error:
            self._metrics.images.labels("unreadable").inc()
            return Result.unreadable(job.name, error, _milliseconds(begun))
        prediction = await asyncio.wrap_future(job.answer)
        assert size is not None, "its answer is there"
        self._metrics.images.labels("doubt" if prediction.doubt else "answered").inc()
        return Result.of(job.name, prediction, size, _milliseconds(begun))


def _milliseconds(begun: float) -> float:
    return round(1000 * (time.perf_counter() - begun), 1)
