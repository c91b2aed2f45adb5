"""The page in a real browser: it fits a phone, and follows the reader's wish for light or dark."""

import html
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.delivery.examples import make_images, make_run
from vitrail.delivery.report import render_report

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
# The page allows no script, so it is measured from the page around it.
MEASURE = """<!doctype html><body style="margin:0">
<iframe style="width:{width}px;height:900px;border:0" srcdoc="{page}">
</iframe><script>onload = () => {{ const root = document.querySelector("iframe").contentDocument.documentElement;
document.title = root.scrollWidth + "/" + root.clientWidth + "/" + root.scrollHeight }}</script></body>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("needs Chromium: run `make browser`")
    return found


@pytest.fixture(scope="module")
def page() -> str:
    results, predictions = make_run([f"class_{i}_of_a_long_name" for i in range(40)], backbones=4)
    return render_report(results, predictions, images=make_images(predictions))


def _run(chromium: str, folder: Path, *arguments: str) -> str:
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(chromium: str, page: str, width: int, tmp_path: Path) -> None:
    (tmp_path / "around.html").write_text(MEASURE.format(width=width, page=html.escape(page)), encoding="utf-8")
    dom = _run(chromium, tmp_path, "--dump-dom", f"file://{tmp_path}/around.html")
    scroll, client, height = (int(part) for part in dom.split("<title>")[1].split("</title>")[0].split("/"))
    assert height > 2000, "the page was not laid out"
    assert scroll == client == width


@pytest.mark.parametrize(("scheme", "paper"), [("1", "#ffffff"), ("0", "#15171b")])
def test_the_page_is_light_or_dark_as_the_reader_wishes(
    chromium: str, page: str, scheme: str, paper: str, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    shot = tmp_path / "shot.png"
    _run(
        chromium,
        tmp_path,
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1280,900",
        f"--screenshot={shot}",
        f"file://{tmp_path}/report.html",
    )
    pixel = Image.open(BytesIO(shot.read_bytes())).convert("RGB").getpixel((8, 400))
    assert pixel == Image.new("RGB", (1, 1), paper).getpixel((0, 0))
