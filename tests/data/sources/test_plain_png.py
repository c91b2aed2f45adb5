from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vitrail.data.sources.plain_png import plain_png


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 7), "L"), ((5, 7, 3), "RGB"), ((32, 32, 3), "RGB"), ((300, 300), "L")]
)
def test_a_png_is_read_back(shape, mode):
    pixels = (np.arange(np.prod(shape)) * 7 % 256).astype(np.uint8).reshape(shape)
    with Image.open(BytesIO(plain_png(pixels))) as image:
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("width", "blocks"), [(0xFFFE, 1), (0xFFFF, 2), (2 * 0xFFFF, 3)])
def test_a_long_png_is_in_as_many_blocks_as_it_needs(width: int, blocks: int):
    """A row has one more byte than pixels; zlib reads no stream whose last block does not say so."""
    pixels = np.arange(width).astype(np.uint8)[None]
    content = plain_png(pixels)
    assert len(content) == 57 + 6 + width + 1 + 5 * blocks
    with Image.open(BytesIO(content)) as image:
        assert np.array_equal(np.asarray(image), pixels)
