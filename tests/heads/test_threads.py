import pytest
import torch

from vitrail.heads.threads import side_by_side


@pytest.fixture
def eight():
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("at_once", "each"), [(1, 8), (3, 2), (4, 2), (8, 1), (50, 1)])
def test_threads_are_shared_out_evenly_and_given_back(eight, at_once, each):
    seen = side_by_side(lambda item: (item, torch.get_num_threads()), range(12), at_once=at_once)
    assert seen == [(item, each) for item in range(12)]
    assert torch.get_num_threads() == 8


def test_what_goes_wrong_is_raised_and_threads_are_given_back(eight):
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 / item, [1, 0, 2])
    assert torch.get_num_threads() == 8
    assert side_by_side(lambda _: torch.get_num_threads(), range(2), at_once=8) == [1, 1]


def test_work_may_call_it_again(eight):
    def outer(item: int) -> list[int]:
        return side_by_side(lambda inner: item * inner, range(3))

    assert side_by_side(outer, range(3)) == [[0, 0, 0], [0, 1, 2], [0, 2, 4]]
