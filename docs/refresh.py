"""Run the README, the tutorial and the page about Python, and renew what they print and the picture of a report.

    make refresh

It needs the folder `shared` beside the repository (flowers and weights) and Chromium (`make browser`).
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from docs.execute import DOCS, PICTURES, refresh_page
from PIL import Image

ROOT = DOCS.parent
SHARED = ROOT.parent / "shared"
WIDTH, HEIGHT = 1280, 800  # of the picture, in pixels of the page
CHROMIUM = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1")


def main() -> None:
    """Run the pages in a temporary folder, with a cache and a configuration of their own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        os.environ |= {"VITRAIL_CACHE": f"{place}/cache", "VITRAIL_CONFIG": f"{place}/config"}
        link_shared(place)
        refresh_page(ROOT / "README.md", {}, place)
        photograph_report(place / "runs" / "flowers" / "report.html", PICTURES / "verdict.png")
        refresh_page(DOCS / "tutorial.md", {}, place)
        refresh_page(DOCS / "python.md", {}, place)


def link_shared(folder: Path) -> None:
    """Put the flowers and the weights where the README has them."""
    (folder / "flowers").symlink_to(SHARED / "data" / "flowers_original")
    (folder / "weights").symlink_to(SHARED / "weights")


def photograph_report(report: Path, picture: Path) -> None:
    """Take a picture of the first screen of a report with Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("The picture of a report needs Chromium: run `make browser`.")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "report.png"
        command = [browser, *CHROMIUM, f"--user-data-dir={folder}/profile", f"--screenshot={shot}"]
        command += [f"--window-size={WIDTH},{HEIGHT}", report.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the command is ours
        Image.open(shot).convert("RGB").quantize(128).save(picture, optimize=True)


if __name__ == "__main__":
    main()
