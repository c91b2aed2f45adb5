import pickle

import pytest
import torch

from vitrail.core.reasons import MOST_LETTERS, say_reason


def test_a_reason_is_one_short_line():
    assert say_reason(ValueError("  two\n  lines ")) == "two lines"
    assert say_reason(ValueError()) == "ValueError"
    assert len(say_reason(ValueError("long " * 999))) == MOST_LETTERS


def test_advice_to_read_without_protection_is_never_repeated(tmp_path):
    torch.save({"f": print}, tmp_path / "w.pth")
    with pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(tmp_path / "w.pth", weights_only=True)
    assert "weights_only" in str(caught.value)
    assert say_reason(caught.value) == "UnpicklingError"
    assert say_reason(ValueError("Please set the option `trust_remote_code=True`")) == "ValueError"
    assert say_reason(ValueError("fully trust the `.npy` file using `allow_pickle=True`")) == "ValueError"
