"""The page of an audit in a real browser."""

from pathlib import Path

import pytest

from tests.accessibility import find_violations
from tests.pictures import draw_folder
from vitrail.auditing import AuditOptions, audit, write_page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_on_the_page(tmp_path: Path, dark: bool) -> None:
    folder = draw_folder(tmp_path / "images")
    (folder / "red" / "broken.jpg").write_bytes(b"no image")
    first = min((folder / "blue").iterdir())
    (folder / "red" / "same.png").write_bytes(first.read_bytes())
    write_page(audit(folder, AuditOptions(labels=False)), tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "2 files" in page or "two labels" in page
    assert find_violations(page, tmp_path, width=1280, dark=dark) == []
