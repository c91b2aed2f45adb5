"""Where the API key comes from."""

from pathlib import Path

import pytest

from vitrail.core.errors import UsageError
from vitrail.delivery.serve.keys import read_key

KEY = "0123456789abcdef"


def test_a_file_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("VITRAIL_API_KEY", raising=False)
    assert read_key(None) is None
    monkeypatch.setenv("VITRAIL_API_KEY", KEY)
    assert read_key(None) == KEY
    (tmp_path / "key").write_text(f"{KEY[::-1]}\n")
    assert read_key(tmp_path / "key") == KEY[::-1]


@pytest.mark.parametrize("content", ["", "short", "k" * 5000, "a key with blanks in it", "clé-avec-des-accents-é"])
def test_a_key_that_is_easily_guessed_or_cannot_be_sent_is_refused(tmp_path: Path, content: str):
    (tmp_path / "key").write_text(content)
    with pytest.raises(UsageError, match="key"):
        read_key(tmp_path / "key")


def test_an_empty_variable_and_a_missing_file_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A key that a script failed to fill in does not open the service to all."""
    monkeypatch.setenv("VITRAIL_API_KEY", "")
    with pytest.raises(UsageError, match="VITRAIL_API_KEY"):
        read_key(None)
    with pytest.raises(UsageError, match="cannot be read"):
        read_key(tmp_path / "none")
