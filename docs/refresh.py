"""Run the README, the tutorial and three other pages, and renew what they print and their pictures.

    make refresh

It needs the folder `shared` beside the repository (flowers, dogs and weights) and Chromium (`make browser`).
`python -m docs.refresh deck` renews the page about the deck alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmarks.service import start_server
from docs.execute import DOCS, PICTURES, refresh_page
from PIL import Image, ImageChops

ROOT = DOCS.parent
SHARED = ROOT.parent / "shared"
WIDTH, HEIGHT = 1280, 800  # of the picture of a report, in pixels of the page
SERVICE_WIDTH = 900  # of the picture of the page of `vitrail serve`
SECTION_HEIGHT = 3000  # at most, of the picture of a section
EDGE = 24  # left around a section
CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")


def main(*only: str) -> None:
    """Run the pages in a temporary folder, with a cache and a configuration of their own; `only` "deck" that alone."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        os.environ |= {"VITRAIL_CACHE": f"{place}/cache", "VITRAIL_CONFIG": f"{place}/config"}
        link_shared(place)
        if "deck" not in only:
            refresh_page(ROOT / "README.md", {}, place)
            photograph(place / "runs" / "flowers" / "report.html", PICTURES / "verdict.png", height=HEIGHT)
            refresh_page(DOCS / "tutorial.md", {}, place)
            refresh_page(DOCS / "python.md", {}, place)
            photograph_service(place / "runs" / "digits", PICTURES / "serve.png")
            refresh_page(DOCS / "reproduce.md", {}, place)
        refresh_page(DOCS / "deck.md", {}, place)
        report = place / "runs" / "deck" / "report.html"
        photograph_section(report, "deck", PICTURES / "deck-table.png")
        photograph_section(report, "curves", PICTURES / "deck-curves.png")


def link_shared(folder: Path) -> None:
    """Put the images and the weights where the pages have them."""
    (folder / "flowers").symlink_to(SHARED / "data" / "flowers_original")
    (folder / "weights").symlink_to(SHARED / "weights")
    for name in ("stanford_dogs_224", "stanford_dogs_224.csv"):
        (folder / name).symlink_to(SHARED / "data" / name)


def photograph_section(report: Path, section: str, picture: Path) -> None:
    """Take a picture of one section of a report alone, unfolded."""
    page = report.read_text(encoding="utf-8")
    folded = f'<details class="section">\n  <summary><h2 id="{section}-title">'
    alone = f"<style>body::before, .page > :not(main), main > :not(:has(#{section})) {{ display: none }}</style></head>"
    page = page.replace(folded, folded.replace('">', '" open>', 1)).replace("</head>", alone)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "section.html"
        copy.write_text(page, encoding="utf-8")
        photograph(copy, picture, height=SECTION_HEIGHT, trim=True)


def photograph(page: Path, picture: Path, *, height: int, trim: bool = False) -> None:
    """Take a picture of the top of a page with Chromium; with `trim` without the empty space around it."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "report.png"
        command = [find_browser(), *CHROMIUM, f"--user-data-dir={folder}/profile", f"--screenshot={shot}"]
        command += [f"--window-size={WIDTH},{height}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the command is ours
        image = Image.open(shot).convert("RGB")
        if trim:
            empty = Image.new("RGB", image.size, image.getpixel((0, height - 1)))
            left, top, right, bottom = ImageChops.difference(image, empty).getbbox()
            least, most = (max(0, left - EDGE), max(0, top - EDGE)), (min(WIDTH, right + EDGE), bottom + EDGE)
            image = image.crop((*least, *most))
        image.quantize(128, Image.Quantize.MAXCOVERAGE).save(picture, optimize=True)  # keeps small coloured marks


def photograph_service(model: Path, picture: Path) -> None:
    """Take a picture of the page of `vitrail serve`: a digit with its answer, and noise, for which there is none."""
    from playwright.sync_api import expect, sync_playwright
    from sklearn.datasets import load_digits

    digit = (load_digits().images[7] * 15.9375).round().astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    server = start_server(model, "--quiet")
    try:
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            files = [Path(folder) / name for name in ("seven.bmp", "noise.bmp")]
            for file, pixels in zip(files, (digit, noise), strict=True):
                Image.fromarray(pixels).save(file)
            browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM)
            page = browser.new_page(locale="en-GB", viewport={"width": SERVICE_WIDTH, "height": HEIGHT})
            page.goto(server.url)
            page.locator("#files").set_input_files(files)
            expect(page.locator("#answers > .doubt, #answers > .answered")).to_have_count(2)
            page.screenshot(path=picture, full_page=True)
            browser.close()
    finally:
        server.stop()


def find_browser() -> str:
    """Where Chromium is."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("The pictures need Chromium: run `make browser`.")
    return browser


if __name__ == "__main__":
    main(*sys.argv[1:])
