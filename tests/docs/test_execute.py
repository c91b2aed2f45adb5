"""Pages run as they are written: README, tutorial and reference offline, docs/from-attention-to-vit.md in short."""

import inspect
import json
import re
from pathlib import Path

import pytest
from docs.refresh import link_shared

import vitrail
from docs import execute
from examples.translation import SETTINGS
from tests.pictures import draw_folder

DOCS = execute.DOCS
MAKEFILE = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
ATTENTION = DOCS / "from-attention-to-vit.md"
FEW = {"steps": {"recurrent": 2, "transformer": 2}, "vit": "vit_mini"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """The folder of somebody who reads one page after the other: two pages begin with the same benchmark."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture
def same_cache(reader, monkeypatch):
    """One cache for several pages, as their reader has: features of the digits, and the models of two networks."""
    monkeypatch.setenv("VITRAIL_CACHE", str(reader / "cache"))


@pytest.fixture
def page():
    return ATTENTION.read_text(encoding="utf-8")


def run(path, folder):
    return execute.run_page(path.read_text(encoding="utf-8"), {}, folder, path)


def test_every_block_of_the_page_runs_and_draws_the_pictures_it_shows(page, tmp_path):
    printed = execute.run_page(page, FEW, tmp_path, ATTENTION)
    assert len(printed) == page.count("```python")
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == set(re.findall(r"\(pictures/([^)]+)\)", page))
    assert all((DOCS / "pictures" / name).is_file() for name in drawn)


def test_what_a_block_printed_takes_the_place_of_what_it_printed_before():
    page = "a\n\n```python\nprint(2)\n```\n\n```text\n1\n```\n\nb\n\n```python\nx = 3\n```\n"
    assert execute.replace_outputs(page, ["2\n", ""]) == page.replace("\n1\n", "\n2\n")


def test_a_page_shows_the_part_of_an_output_that_it_names(tmp_path):
    page = '```console\n$ seq 9\n```\n\n<!-- from "4" to "6" -->\n\n```text\nold\n```\n'
    printed = execute.run_page(page, {}, tmp_path, Path("page.md"))
    assert execute.replace_outputs(page, printed) == page.replace("old", "4\n5\n6")
    with pytest.raises(ValueError, match="no line of the output matches 'x'"):
        execute.select_lines("1\n2\n", "x", None)


def test_commands_run_in_the_folder_of_the_page_and_lose_its_name(tmp_path):
    page = "```python\nopen('a.txt', 'w').close()\n```\n\n```console\n$ x=a\n$ ls $PWD/$x.txt\n```\n"
    assert execute.run_page(page, {}, tmp_path, Path("page.md")) == ["", "a.txt\n"]


def test_a_command_that_fails_is_an_error_with_its_line_and_what_it_printed(tmp_path):
    page = "one\n\n```console\n$ echo before\n$ false\n$ echo after\n```\n"
    with pytest.raises(RuntimeError, match=r"page.md:4: a command failed with exit code 1:[^~]*\nbefore\n$"):
        execute.run_page(page, {}, tmp_path, Path("page.md"))


def test_an_error_in_a_block_names_its_line_of_the_page(tmp_path):
    with pytest.raises(ZeroDivisionError) as caught:
        execute.run_page("one\n\n```python\nx = 1\n1 / 0\n```\n", {}, tmp_path, ATTENTION)
    assert caught.traceback[-1].lineno == 4  # counted from 0


def test_the_page_trains_both_networks_in_full(page):
    """tests/examples/test_translation.py does this training, and checks what the page says of it."""
    first_block = execute.BLOCK.search(page)["code"]
    namespace = {}
    exec(first_block, namespace)
    assert namespace["steps"] == {kind: settings.steps for kind, settings in SETTINGS.items()}
    for kind in SETTINGS:
        assert f'{kind} = Translator(SETTINGS["{kind}"])\nlosses = train({kind}, steps=steps["{kind}"])' in page
    shares = re.findall(r"([\d.]+)% of unseen dates exactly right$", page, re.MULTILINE)
    assert len(shares) == 2
    assert min(map(float, shares)) >= 99


@pytest.mark.slow
@pytest.mark.timeout(900)  # a busy machine needs more than the usual 300 s
def test_the_tutorial_runs_word_by_word(tmp_path, same_cache):
    printed = run(DOCS / "tutorial.md", tmp_path)
    _, audit, bench, predict, python = printed
    assert "square/01.png (square) and star/01 again.png (star)" in audit
    assert "circle/wrong " in audit, "the audit finds none of the wrong labels"
    assert "resnet_mini beats vit_mini" in " ".join(bench.split())
    assert "star" in predict
    assert python.splitlines()[1].startswith("star 0.")
    assert (tmp_path / "runs" / "shapes" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_shipping_runs_word_by_word(reader, same_cache):
    exported, classified, reduced, predicted, pushed = run(DOCS / "ship-it.md", reader)
    assert "Fidelity  on 360 test images" in exported
    assert classified.startswith("seven.bmp\t7\t")
    assert "is undecided (export less run:" in reduced
    assert "(accepted with --accept-loss)" in reduced
    assert predicted.startswith("seven.bmp\t7\t")
    assert pushed.splitlines()[-1] == "Done      nothing was uploaded (--dry-run)"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_on_serving_runs_word_by_word(reader, same_cache):
    (printed,) = run(DOCS / "serve.md", reader)
    ready, answer = printed.splitlines()[-1].split("}", 1)
    assert json.loads(ready + "}") == {"status": "ready"}
    assert json.loads(answer)["results"][0]["label"] == "7"
    assert "certified on 360 test images" in (reader / "serve.log").read_text()


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.timeout(900)
def test_the_readme_runs_word_by_word(shared, tmp_path):
    link_shared(tmp_path)
    printed = run(DOCS.parent / "README.md", tmp_path)
    assert printed[0] == "", "installing is not repeated here"
    assert "take" in printed[1]
    assert len(printed[2].splitlines()) == 2


@pytest.mark.slow
def test_the_commands_of_the_deck_run_on_small_images_and_print_what_the_page_shows(tmp_path):
    page = (DOCS / "deck.md").read_text(encoding="utf-8")
    draw_folder(tmp_path / "pictures", per_class=20)
    small = re.sub(r"--data \S+ -b \S+ -b \S+", "--data pictures -b vit_mini -b resnet_mini --trials 2", page)
    assert small.count("--trials 2") == 2
    shown = execute.replace_outputs(small, execute.run_page(small, {}, tmp_path, DOCS / "deck.md"))
    assert "The row `deck` differs from the deck" in shown
    assert "vit_mini+deck\nby epoch" in shown


@pytest.mark.slow
@pytest.mark.shared
def test_the_command_about_published_figures_runs_on_small_images(shared, tmp_path):
    (tmp_path / "weights").symlink_to(shared / "weights")
    draw_folder(tmp_path / "flowers", per_class=12)
    page = (DOCS / "reproduce.md").read_text(encoding="utf-8")
    small = page.replace(" --quiet\n", " --quiet --trials 1\n")
    shown = execute.replace_outputs(small, execute.run_page(small, {}, tmp_path, DOCS / "reproduce.md"))
    assert "Measured with 36 images in 3 classes" in shown


@pytest.mark.slow
def test_the_examples_in_python_run_word_by_word(tmp_path, same_cache):
    printed = run(DOCS / "python.md", tmp_path)
    assert printed[0] == "resnet_mini is proven\n"
    assert all(printed), "an example prints nothing"


def test_every_public_function_has_an_example():
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    examples = "".join(block["code"] for block in execute.BLOCK.finditer(page))
    functions = [name for name in vitrail.__all__ if inspect.isfunction(getattr(vitrail, name))]
    assert "bench" in functions
    assert [name for name in functions if f"vitrail.{name}(" not in examples] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_target_of_make_that_a_page_names_exists(page):
    text = (DOCS.parent / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"`make ([\w-]+)`|^\$ make ([\w-]+)", text, re.MULTILINE))
    assert targets
    assert all(f"\n{first or second}:" in MAKEFILE for first, second in targets)
