"""From the bytes of image files to answers: decoding in threads, the model in batches.

The event loop never decodes and never computes: it waits for futures. A crop goes from the thread that made it straight
to the thread of the model.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future

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

Size = tuple[int, int]  # columns and rows


class Classifier:
    """A model folder that answers images as they come."""

    def __init__(self, model: ModelFolder, metrics: Metrics) -> None:
        self.model = model
        self._metrics = metrics
        self._decoders = ThreadPool(usable_cores(), thread_name_prefix="vitrail-decode")
        self._batches = Batches(model.predict, most=model.certificate.speed.best.batch, on_batch=metrics.on_batch)

    async def answer(self, images: Sequence[UploadedImage]) -> tuple[Result, ...]:
        """A result for each image, in order."""
        begun = time.perf_counter()
        started = [(image.name, *self._start(image)) for image in images]
        return tuple([await self._finish(name, begun, size, answer) for name, size, answer in started])

    def close(self) -> None:
        """Answer what is decoded, and end the threads."""
        self._decoders.shutdown(cancel_futures=True)
        self._batches.close()

    def _start(self, image: UploadedImage) -> tuple[asyncio.Future[Size], Future[Prediction]]:
        answer: Future[Prediction] = Future()
        return asyncio.wrap_future(self._decoders.submit(self._prepare, image.data, answer)), answer

    def _prepare(self, data: bytes, answer: Future[Prediction]) -> Size:
        """Make the crop of an image and hand it on; raises ImageRejected if the file cannot be used."""
        with one_item():
            decoded = self.model.decode_file(data)
            pixel_HWC = self.model.to_crop(decoded)
        self._batches.add(pixel_HWC, answer)
        return decoded.size

    async def _finish(self, name: str, begun: float, size: asyncio.Future[Size], answer: Future[Prediction]) -> Result:
        try:
            columns_rows = await size
        except ImageRejected as error:
            self._metrics.images.labels("unreadable").inc()
            return Result.unreadable(name, error, _milliseconds(begun))
        prediction = await asyncio.wrap_future(answer)
        self._metrics.images.labels("doubt" if prediction.doubt else "answered").inc()
        return Result.of(name, prediction, columns_rows, _milliseconds(begun))


def _milliseconds(begun: float) -> float:
    return round(1000 * (time.perf_counter() - begun), 1)
