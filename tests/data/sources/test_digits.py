import hashlib
from io import BytesIO

import numpy as np
from PIL import Image

from vitrail.data.dataset import ListedFile
from vitrail.data.sources.digits import DigitsSource


def test_there_are_1797_digits_of_ten_classes():
    entries = [each for each in DigitsSource().list_files() if isinstance(each, ListedFile)]
    assert len({entry.path for entry in entries}) == 1_797
    assert {entry.label for entry in entries} == set("0123456789")


def test_a_digit_has_the_pixels_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits, source = load_digits(), DigitsSource()
    for index in (0, 5, 1_796):
        path = f"{digits.target[index]}/{index:04d}.png"
        with Image.open(BytesIO(source.read(path))) as image:
            assert np.array_equal(np.asarray(image), np.rint(digits.images[index] * 255 / 16))


def test_the_bytes_are_the_same_on_every_machine():
    """They are the identity of an example, and so of the split: a change of this value moves every digit."""
    source = DigitsSource()
    everything = b"".join(source.read(each.path) for each in source.list_files() if isinstance(each, ListedFile))
    assert hashlib.sha256(everything).hexdigest() == "82be77aa2939271dc94b902b92ae6b4a97fb35c81a82d06c5b7da467be0b10b3"
