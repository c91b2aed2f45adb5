"""OpenVINO on the CPU: one stream per core and one thread per stream, each running its own batch.

Letters: B images, H rows, W columns, C channels, D features.
"""

import queue
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.fixed_batches import in_batches
from vitrail.backbones.openvino_package import import_openvino


class OpenVinoEngine:
    """Streams that never wait for one another.

    That leaves no core idle while images are decoded, and the number of threads cannot change a sum.
    Normalising inside the bf16 graph costs no quality: OpenVINO keeps the arithmetic on 8-bit inputs in float32 and
    rounds its outcome, as it would round an image that came normalised.
    """

    def __init__(self, model: Any, *, bf16: bool, batch: int, threads: int) -> None:
        """Compile a model that takes 8-bit `pixel_BHWC` and gives `feature_BD`, any B by `reshape`.

        What is not in int8 is computed in bfloat16 if `bf16`, else in float32. A stream takes `batch` images a call;
        there are as many streams as threads.
        """
        self.batch, self.streams = batch, threads
        model.reshape([batch, *list(model.input(0).partial_shape)[1:]])
        compiled = (
            import_openvino()
            .Core()
            .compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": threads,
                    "ENABLE_HYPER_THREADING": True,  # `threads` is what this process may use: nothing is left out of it
                    "ENABLE_CPU_PINNING": False,  # a pinned stream waits for a decoding thread on its core
                },
            )
        )
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(threads):
            self._requests.put(compiled.create_infer_request())

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features, in order; more images than a batch run on as many streams as are free."""
        outputs: list[NDArray[np.float32]] = []
        running: deque[tuple[Any, int]] = deque()
        try:
            for batch_BHWC, count in in_batches(pixel_BHWC, self.batch):
                request = self._free_request(running, outputs)
                running.append((request, count))
                request.start_async([batch_BHWC])
            for request, count in running:
                outputs.append(_collect(request, count))
        finally:
            for request, _ in running:
                self._requests.put(request)
        return np.concatenate(outputs)

    def _free_request(self, running: deque[tuple[Any, int]], outputs: list[NDArray[np.float32]]) -> Any:
        if not running:
            return self._requests.get()
        try:
            return self._requests.get_nowait()
        except queue.Empty:  # who holds one must not wait for another: two callers would wait for each other
            outputs.append(_collect(*running[0]))
            return running.popleft()[0]


def _collect(request: Any, count: int) -> NDArray[np.float32]:
    request.wait()
    feature_BD: NDArray[np.float32] = request.get_output_tensor().data[:count].copy()  # the next batch overwrites it
    return feature_BD
