"""PyTorch, on a processor, a CUDA device or an Apple GPU.

Letters: B images, H rows, W columns, C channels, D features.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.fixed_batches import in_batches
from vitrail.core.errors import UsageError
from vitrail.core.torch_threads import torch_threads

if TYPE_CHECKING:
    from torch import nn


class TorchEngine:
    """One batch at a time: on a processor all threads share it; on a GPU, images are decoded meanwhile.

    Convolutions run channels-last, the order of the pixels, which oneDNN and cuDNN are fastest at.
    """

    streams = 1

    def __init__(
        self, module: "nn.Module", *, device: str, precision: str, compiled: bool, batch: int, threads: int
    ) -> None:
        """Put a network on its device; `module` takes 8-bit `pixel_BHWC` and gives `feature_BD`.

        `precision` is "fp32", or "bf16" or "fp16" by autocast. If `compiled`, torch.compile makes kernels at the first
        batch. A call takes `batch` images; `threads` are the cores it may use on a processor.
        """
        import torch

        self.batch = batch
        self._device, self._precision, self._threads = device, precision, threads
        self._lock = threading.Lock()
        module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._run = torch.compile(module, dynamic=False) if compiled else module

    def __call__(self, pixel_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features, in order; UsageError if a GPU has no room for a batch."""
        import torch

        try:
            with self._lock, torch.inference_mode(), torch_threads(self._threads), self._arithmetic():
                outputs = [
                    self._run(torch.from_numpy(batch_BHWC).to(self._device)).float().cpu().numpy()[:count]
                    for batch_BHWC, count in in_batches(pixel_BHWC, self.batch)
                ]
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"The GPU has too little memory for {self.batch} images at once with this network. What was computed "
                f"is kept: run the same command again with --batch {max(1, self.batch // 4)}."
            ) from error
        return np.concatenate(outputs)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        import torch

        if self._precision != "fp32":
            half = torch.bfloat16 if self._precision == "bf16" else torch.float16
            return torch.autocast(self._device, half)
        if self._device == "cuda":
            return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # torch's default computes in 19 bits
        return nullcontext()
