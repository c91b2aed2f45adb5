import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vitrail.backbones.torch_engine import TorchEngine
from vitrail.core.errors import UsageError

PIXEL_BHWC = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


class Small(nn.Module):
    """A convolution and a mean: what an engine needs of a network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, pixel_BHWC: Tensor) -> Tensor:
        return self.conv(pixel_BHWC.permute(0, 3, 1, 2).float() / 255).mean(dim=(2, 3))


def engine(*, precision: str = "fp32") -> TorchEngine:
    return TorchEngine(Small(), device="cpu", precision=precision, compiled=False, batch=2, threads=1)


def test_batches_of_one_size_give_every_row_in_order():
    with torch.inference_mode():
        wanted_BD = Small()(torch.from_numpy(PIXEL_BHWC)).numpy()
    np.testing.assert_allclose(engine()(PIXEL_BHWC), wanted_BD, atol=1e-6)


def test_half_precision_gives_float32_rows_that_are_near():
    half_BD, exact_BD = engine(precision="bf16")(PIXEL_BHWC), engine()(PIXEL_BHWC)
    assert half_BD.dtype == np.float32
    np.testing.assert_allclose(half_BD, exact_BD, atol=0.01)
    assert not np.array_equal(half_BD, exact_BD)


class Large(Small):
    """Has more to compute than a GPU has room for."""

    def forward(self, pixel_BHWC: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_gpu_without_room_for_a_batch_is_one_sentence_with_a_smaller_one():
    large = TorchEngine(Large(), device="cpu", precision="fp32", compiled=False, batch=32, threads=1)
    with pytest.raises(UsageError, match=r"too little memory for 32 images at once .*--batch 8\."):
        large(PIXEL_BHWC)
