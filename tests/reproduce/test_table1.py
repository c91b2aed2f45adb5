"""The deck's Table 1, to the last parameter."""

import pytest

from vitrail.reproduce.table1 import count_sizes

KNOWN = {  # layers, width, MLP, heads, parameters
    "ViT-Base/16": (12, 768, 3072, 12, 86_567_656),
    "ViT-Large/16": (24, 1024, 4096, 16, 304_326_632),
    "ViT-Large/32": (24, 1024, 4096, 16, 306_535_400),
    "ViT-Huge/14": (32, 1280, 5120, 16, 632_045_800),
    "ResNet50": (50, 2048, None, None, 25_557_032),
    "BiT R152x4": (152, 8192, None, None, 936_533_224),
}


def test_every_size_is_the_known_one():
    rows = {size.name: (size.layers, size.width, size.mlp, size.heads, size.parameters) for size in count_sizes()}
    assert rows == KNOWN


def test_the_published_counts_equal_the_rounded_counts():
    published = {size.name: size.published for size in count_sizes() if size.published}
    assert published == {"ViT-Base/16": 86, "ViT-Large/32": 307, "ViT-Huge/14": 632}
    for name, millions in published.items():
        assert KNOWN[name][-1] / 1e6 == pytest.approx(millions, abs=0.6)
