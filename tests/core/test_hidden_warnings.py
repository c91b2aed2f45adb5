"""Warnings of one library are hidden while any thread is inside the block, and only then."""

import warnings

import pytest

from vitrail.core.hidden_warnings import HiddenWarnings


def warn(module: str) -> None:
    warnings.warn_explicit("odd metadata", UserWarning, f"{module}.py", 1, module=module, registry={})


def test_warnings_of_the_modules_alone_are_hidden_until_the_last_user_leaves():
    hidden = HiddenWarnings(r"lib\.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with hidden:
            with hidden:
                warn("lib.reader")
            warn("lib.reader")
            with pytest.raises(UserWarning, match="odd metadata"):
                warn("other")
        with pytest.raises(UserWarning, match="odd metadata"):
            warn("lib.reader")


def test_a_filter_that_somebody_else_took_away_is_no_error():
    with warnings.catch_warnings(), HiddenWarnings("lib"):
        warnings.resetwarnings()
