"""How much is in the service at once."""

from contextlib import suppress

import pytest

from vitrail.data.in_flight import MOST_FILE_BYTES
from vitrail.delivery.serve.admission import Admission, Upload
from vitrail.delivery.serve.refused import MOST_IMAGES, RequestRefused


def test_a_client_with_half_of_the_room_waits_and_others_do_not():
    admission = Admission(images_per_s=100.0)
    assert admission.room == 200
    with admission.admitted("a", 100):
        with pytest.raises(RequestRefused) as refused:
            admission.require_room("a")
        assert (refused.value.reply.status, refused.value.reply.retry_after) == (429, 1)
        with admission.admitted("b", 100):
            with pytest.raises(RequestRefused) as refused:
                admission.require_room("c")
            assert (refused.value.reply.status, refused.value.reply.retry_after) == (503, 2)
    admission.require_room("a", 100)
    assert admission.images == 0


def test_a_slow_model_still_takes_the_largest_request_of_two_clients():
    admission = Admission(images_per_s=0.5)
    with admission.admitted("a", MOST_IMAGES), admission.admitted("b", MOST_IMAGES):
        with pytest.raises(RequestRefused) as refused:
            admission.require_room("c")
        assert refused.value.reply.retry_after == 60


def test_places_are_given_back_after_an_error():
    admission = Admission(images_per_s=100.0)
    with suppress(ZeroDivisionError), admission.admitted("a", 3):
        assert admission.images == 3
        raise ZeroDivisionError
    assert admission.images == 0


def test_uploads_share_the_bytes_of_files_in_memory():
    admission = Admission(images_per_s=100.0)
    half = MOST_FILE_BYTES // 2
    with Upload(admission, "a") as large:
        large.take(half - 10)
        with Upload(admission, "a") as small:
            small.take(10)
            with pytest.raises(RequestRefused) as refused:
                small.take(1)
            assert (refused.value.reply.status, refused.value.reply.retry_after) == (429, 1)
            with Upload(admission, "b") as other, Upload(admission, "c") as third:
                other.take(half)
                with pytest.raises(RequestRefused) as refused:
                    third.take(1)
                assert (refused.value.reply.status, refused.value.reply.retry_after) == (503, 1)
        assert admission.upload_bytes == half - 10
    assert admission.upload_bytes == 0
    with Upload(admission, "a") as large:
        large.take(half)
