"""The page docs/from-attention-to-vit.md runs as it is written, with fewer steps and the small ViT of the package."""

import importlib.util
import re
from pathlib import Path

import pytest

from examples.translation import SETTINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"
FEW = {"steps": {"recurrent": 2, "transformer": 2}, "vit": "vit_mini"}


@pytest.fixture(scope="module")
def execute():
    spec = importlib.util.spec_from_file_location("execute", DOCS / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def page(execute):
    return execute.PAGE.read_text(encoding="utf-8")


def test_every_block_of_the_page_runs_and_draws_the_pictures_it_shows(execute, page, tmp_path):
    printed = execute.run_page(page, FEW, tmp_path)
    assert len(printed) == page.count("```python")
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == set(re.findall(r"\(pictures/([^)]+)\)", page))
    assert all((DOCS / "pictures" / name).is_file() for name in drawn)


def test_what_a_block_printed_takes_the_place_of_what_it_printed_before(execute):
    page = "a\n\n```python\nprint(2)\n```\n\n```text\n1\n```\n\nb\n\n```python\nx = 3\n```\n"
    assert execute.replace_outputs(page, ["2\n", ""]) == page.replace("\n1\n", "\n2\n")


def test_an_error_in_a_block_names_its_line_of_the_page(execute, tmp_path):
    with pytest.raises(ZeroDivisionError) as caught:
        execute.run_page("one\n\n```python\nx = 1\n1 / 0\n```\n", {}, tmp_path)
    assert caught.traceback[-1].lineno == 4  # counted from 0


def test_the_page_trains_both_networks_in_full(execute, page):
    """tests/examples/test_translation.py does this training, and checks what the page says of it."""
    first_block = execute.BLOCK.search(page).group(1)
    namespace = {}
    exec(first_block, namespace)
    assert namespace["steps"] == {kind: settings.steps for kind, settings in SETTINGS.items()}
    for kind in SETTINGS:
        assert f'{kind} = Translator(SETTINGS["{kind}"])\nlosses = train({kind}, steps=steps["{kind}"])' in page
    shares = re.findall(r"([\d.]+)% of unseen dates exactly right$", page, re.MULTILINE)
    assert len(shares) == 2
    assert min(map(float, shares)) >= 99
