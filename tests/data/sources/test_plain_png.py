from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vitrail.data.sources.plain_png import plain_png


@pytest.mark.parametrize(("shape", "mode"), [((5, 7), "L"), ((5, 7, 3), "RGB"), ((32, 32, 3), "RGB")])
def test_a_png_is_read_back(shape, mode):
    pixels = (np.arange(np.prod(shape)) * 7 % 256).astype(np.uint8).reshape(shape)
    with Image.open(BytesIO(plain_png(pixels))) as image:
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), pixels)


def test_pixels_that_one_block_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="300 x 300 pixels do not fit"):
        plain_png(np.zeros((300, 300), np.uint8))
