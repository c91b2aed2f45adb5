"""The page in a real browser: it fits every screen, follows the reader's wish for light or dark, and axe likes it."""

import html
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.accessibility import find_violations
from tests.chromium import run_chromium
from tests.delivery.examples import make_images, make_run
from vitrail.delivery.report import render_report

pytestmark = pytest.mark.browser

# The page allows no script, so it is measured from the page around it.
MEASURE = """<!doctype html><body style="margin:0">
<iframe style="width:{width}px;height:900px;border:0" srcdoc="{page}">
</iframe><script>onload = () => {{ const root = document.querySelector("iframe").contentDocument.documentElement;
const figures = root.querySelector("#figures-title").getBoundingClientRect();
const wide = [...root.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth + 1);
document.title = [root.scrollWidth, root.clientWidth, root.scrollHeight, Math.round(figures.bottom)].join("/") + "/" +
  wide.map(box => box.getAttribute("aria-label") || "unnamed").join("|") }}</script></body>"""


@pytest.fixture(scope="module")
def page() -> str:
    results, predictions = make_run([f"class_{i}_of_a_long_name" for i in range(40)], backbones=4)
    return render_report(results, predictions, images=make_images(predictions))


def _measure(page: str, width: int, folder: Path) -> tuple[list[int], list[str]]:
    """Scroll width, inner width and height of the page, the lower end of the title Figures; boxes that are clipped."""
    (folder / "around.html").write_text(MEASURE.format(width=width, page=html.escape(page)), encoding="utf-8")
    dom = run_chromium(folder, "--dump-dom", f"file://{folder}/around.html")
    *sizes, clipped = html.unescape(dom.split("<title>")[1].split("</title>")[0]).split("/", maxsplit=4)
    return [int(size) for size in sizes], [label for label in clipped.split("|") if label]


def _open(page: str) -> str:
    """The page with every fold open, so that all of it is laid out."""
    return re.sub(r"<details(?! open)(?=[ >])", "<details open", page)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(page: str, width: int, tmp_path: Path) -> None:
    (scroll, client, height, _), _ = _measure(_open(page), width, tmp_path)
    assert height > 2000, "the page was not laid out"
    assert scroll == client == width


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_figures_start_on_the_first_screen(page: str, width: int, height: int, tmp_path: Path) -> None:
    (*_, figures), _ = _measure(page, width, tmp_path)
    assert 0 < figures < height


@pytest.mark.parametrize("width", [1280, 1920])
def test_no_table_of_four_backbones_is_clipped_on_a_wide_screen(page: str, width: int, tmp_path: Path) -> None:
    _, clipped = _measure(_open(page), width, tmp_path)
    assert clipped == []


def test_a_link_to_a_fold_opens_it(page: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    dom = run_chromium(tmp_path, "--dump-dom", f"file://{tmp_path}/report.html#pairs")
    assert 'id="pairs-title"' in dom.split('<details class="section" open=""')[1].split("</summary>")[0]
    assert dom.count('<details class="section" open=""') == 1


def test_all_folds_are_open_in_print(page: str, tmp_path: Path) -> None:
    sizes = []
    for name, text in (("folded", page), ("open", _open(page))):
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        run_chromium(tmp_path, f"--print-to-pdf={tmp_path}/{name}.pdf", f"file://{tmp_path}/{name}.html")
        sizes.append(len(re.findall(rb"/Type\s*/Page\b", (tmp_path / f"{name}.pdf").read_bytes())))
    assert sizes[0] == sizes[1] > 5


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_on_the_page(page: str, dark: bool, tmp_path: Path) -> None:
    assert find_violations(page, tmp_path, width=1280, dark=dark) == []


@pytest.mark.parametrize(("scheme", "paper"), [("1", "#ffffff"), ("0", "#15171b")])
def test_the_page_is_light_or_dark_as_the_reader_wishes(page: str, scheme: str, paper: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    shot = tmp_path / "shot.png"
    run_chromium(
        tmp_path,
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1280,900",
        f"--screenshot={shot}",
        f"file://{tmp_path}/report.html",
    )
    pixel = Image.open(BytesIO(shot.read_bytes())).convert("RGB").getpixel((8, 400))
    assert pixel == Image.new("RGB", (1, 1), paper).getpixel((0, 0))
