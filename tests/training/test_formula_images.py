import hashlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vitrail.core.progress import Silent
from vitrail.training.formula_images import MIN_CONTRAST, draw, draw_set
from vitrail.training.formulas import FAMILIES

DIGEST = """
import hashlib
from vitrail.training.formula_images import draw
print(hashlib.sha256(b"".join(draw(k, i, seed=3, size=32).tobytes() for k in (5, 2, 0, 7) for i in (1, 0))).hexdigest())
"""


def test_an_image_is_the_same_in_another_process_and_another_order():
    other = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True).stdout.strip()
    images = {(k, i): draw(k, i, seed=3, size=32) for i in (0, 1) for k in range(8)}
    ours = hashlib.sha256(b"".join(images[k, i].tobytes() for k in (5, 2, 0, 7) for i in (1, 0))).hexdigest()
    assert ours == other


def test_drawing_neither_reads_nor_moves_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = draw(4, 2)
    assert np.array_equal(before, np.random.get_state()[1])
    np.random.seed(2)
    assert np.array_equal(first, draw(4, 2))


@pytest.mark.parametrize("label", range(8))
def test_class_instance_and_seed_each_change_the_image(label):
    image = draw(label, 0)
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    for other in (draw(label + len(FAMILIES), 0), draw(label, 1), draw(label, 0, seed=1)):
        assert not np.array_equal(image, other)


@pytest.mark.parametrize("label", [k for k in range(12) if k % 4 != 3])
def test_another_size_shows_the_same_form(label):
    """Strokes and contours; a fractal's dots lie thinner on a finer grid, so its brightness differs."""
    small, large = draw(label, 1, size=32), draw(label, 1, size=64)
    halved = large.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.corrcoef(small.mean(axis=2).ravel(), halved.mean(axis=2).ravel())[0, 1] > 0.8


def test_ink_and_paper_can_be_told_apart():
    spans = [np.ptp(draw(label, instance).mean(axis=2)) / 255 for label in range(20) for instance in range(4)]
    assert np.mean(np.array(spans) > MIN_CONTRAST / 2) > 0.9


def test_a_set_is_its_images_class_by_class():
    drawn = draw_set(3, range(5, 7), seed=2, size=24, progress=Silent())
    assert drawn.images.shape == (6, 24, 24, 3)
    assert drawn.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(drawn.images[3], draw(1, 6, seed=2, size=24))


def linear_accuracy(labels_of_training) -> float:
    """How well a linear classifier on grey pixels tells eight classes of light ink on dark paper apart."""
    train, new = (draw_set(8, range(*bounds), seed=0, size=32, progress=Silent()) for bounds in ((0, 120), (120, 160)))
    grey = [drawn.images.mean(axis=3).reshape(len(drawn.labels), -1) / 255 for drawn in (train, new)]
    grey = [pixels * np.sign(0.5 - np.median(pixels, axis=1, keepdims=True)) for pixels in grey]
    fitted = LogisticRegression(C=0.01, max_iter=500).fit(grey[0], labels_of_training(train.labels))
    return fitted.score(grey[1], new.labels)


def test_classes_can_be_told_apart_on_new_instances_even_by_their_pixels():
    assert linear_accuracy(lambda labels: labels) > 0.35


def test_with_shuffled_labels_they_cannot():
    """The negative twin: the accuracy above comes from the classes, not from how it is measured."""
    assert linear_accuracy(lambda labels: np.random.default_rng(0).permutation(labels)) < 0.25
