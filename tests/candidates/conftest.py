"""Fixtures for candidates."""

from pathlib import Path

import pytest


@pytest.fixture
def images_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `images` in the working directory: a path of data is looked at before candidates are chosen."""
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
