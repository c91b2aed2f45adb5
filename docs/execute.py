"""Run the code of a page as a reader would, block after block in one namespace.

    python docs/execute.py [NAME=FILE]

runs docs/from-attention-to-vit.md in full, with the ViT given in place of the page's where there is one; writes what
its blocks draw into docs/pictures and what they print into the page. The tests run it with fewer steps.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "from-attention-to-vit.md"
PICTURES = Path(__file__).parent / "pictures"
BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


def run_page(page: str, changed: Mapping[str, Any], folder: Path) -> list[str]:
    """Run every block of a page.

    Args:
        page: its Markdown.
        changed: what replaces the settings of its first block.
        folder: where the pictures go.

    Returns:
        What each block printed.
    """
    import matplotlib as mpl

    mpl.use("agg")
    namespace: dict[str, Any] = {}
    printed = []
    with contextlib.chdir(folder):
        for number, block in enumerate(BLOCK.finditer(page)):
            line = page[: block.start()].count("\n") + 2
            code = compile("\n" * (line - 1) + block.group(1), os.fspath(PAGE), "exec")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, namespace)  # noqa: S102 - the page is ours
            printed.append(out.getvalue())
            if number == 0:
                namespace |= changed
    import matplotlib.pyplot as plt

    plt.close("all")
    return printed


def put_in(page: str, printed: list[str]) -> str:
    """The page with what its blocks printed, in those places where it shows it."""
    outputs = iter(printed)

    def renew(block: re.Match[str]) -> str:
        output = next(outputs)
        shown = block.group(0) if block.group(2) is None else block.group(0)[: block.start(2) - block.start()]
        return shown if block.group(2) is None else f"{shown}{output}```"

    return BLOCK.sub(renew, page)


def main() -> None:
    """Renew the page."""
    PICTURES.mkdir(exist_ok=True)
    page = PAGE.read_text(encoding="utf-8")
    changed = {"vit": sys.argv[1]} if len(sys.argv) > 1 else {}
    PAGE.write_text(put_in(page, run_page(page, changed, PICTURES)), encoding="utf-8")


if __name__ == "__main__":
    main()
