"""Run the code of a page as a reader would, block after block in one namespace.

    python -m docs.execute [NAME=FILE]

runs docs/from-attention-to-vit.md in full, with the given ViT instead of the page's; writes the figures into
docs/pictures and what the blocks print into the page. The tests train for fewer steps.
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
    """Run every block of a page and return what each printed.

    Args:
        page: Markdown.
        changed: replaces variables of the first block.
        folder: receives the pictures.
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


def replace_outputs(page: str, printed: list[str]) -> str:
    """Replace the outputs that a page shows; a block without a shown output stays as it is."""
    outputs = iter(printed)

    def replace_output(block: re.Match[str]) -> str:
        output = next(outputs)
        if block.group(2) is None:
            return block.group(0)
        code = block.group(0)[: block.start(2) - block.start()]
        return f"{code}{output}```"

    return BLOCK.sub(replace_output, page)


def main() -> None:
    """Run the page and write its outputs and pictures."""
    PICTURES.mkdir(exist_ok=True)
    page = PAGE.read_text(encoding="utf-8")
    changed = {"vit": sys.argv[1]} if len(sys.argv) > 1 else {}
    PAGE.write_text(replace_outputs(page, run_page(page, changed, PICTURES)), encoding="utf-8")


if __name__ == "__main__":
    main()
