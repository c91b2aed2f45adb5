"""Batches form while the model runs, and an image that comes alone does not wait."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest
from numpy.typing import NDArray

from vitrail.delivery.serve.batches import Batches


def crop(value: int) -> NDArray[np.uint8]:
    return np.full((2, 2, 3), value, np.uint8)


def first_values(pixel_BHWC: NDArray[np.uint8]) -> list[int]:
    return [int(value) for value in pixel_BHWC[:, 0, 0, 0]]


def test_what_waits_while_the_model_runs_is_the_next_batch():
    sizes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(pixel_BHWC: NDArray[np.uint8]) -> list[int]:
        begun.set()
        assert go_on.wait(20)
        return first_values(pixel_BHWC)

    batches = Batches(slow, most=4, on_batch=lambda size, _: sizes.append(size))
    answers = [Future[int]() for _ in range(7)]
    batches.add(crop(0), answers[0])
    assert begun.wait(20)
    for value, answer in enumerate(answers[1:], start=1):
        batches.add(crop(value), answer)
    go_on.set()
    assert [answer.result(20) for answer in answers] == list(range(7))
    batches.close()
    assert sizes == [1, 4, 2]


def test_closing_answers_what_waits():
    batches = Batches(first_values, most=2, on_batch=lambda *_: None)
    answers = [Future[int]() for _ in range(9)]
    for value, answer in enumerate(answers):
        batches.add(crop(value), answer)
    batches.close()
    assert [answer.result(0) for answer in answers] == list(range(9))


def test_an_error_of_the_model_is_that_of_its_batch_alone():
    def answer_batch(pixel_BHWC: NDArray[np.uint8]) -> list[int]:
        if pixel_BHWC.max() == 9:
            raise ValueError("no")
        return first_values(pixel_BHWC)

    batches = Batches(answer_batch, most=1, on_batch=lambda *_: None)
    answers = [Future[int]() for _ in range(3)]
    for value, answer in zip((1, 9, 2), answers, strict=True):
        batches.add(crop(value), answer)
    assert answers[0].result(20) == 1
    with pytest.raises(ValueError, match="no"):
        answers[1].result(20)
    assert answers[2].result(20) == 2
    batches.close()


def test_an_image_whose_client_has_left_is_not_computed():
    computed: list[int] = []

    def answer_batch(pixel_BHWC: NDArray[np.uint8]) -> list[int]:
        computed.extend(first_values(pixel_BHWC))
        return first_values(pixel_BHWC)

    sizes: list[int] = []
    batches = Batches(answer_batch, most=2, on_batch=lambda size, _: sizes.append(size))
    for value in (2, 3):
        left, stays = [Future[int]() for _ in range(5)], Future[int]()
        for answer in left:
            assert answer.cancel()
            batches.add(crop(1), answer)
        batches.add(crop(value), stays)
        assert stays.result(20) == value
    batches.close()
    assert computed == [2, 3]
    assert sizes == [1, 1]  # those that left take no place in a batch
