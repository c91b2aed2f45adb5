"""Run the code and the commands of a page as a reader would, block after block, and put what they print into it.

    python -m docs.execute PAGE [NAME=VALUE ...]

A block of `python` runs in one namespace with those before it. The lines of a block of `console` that begin with `$`
run in bash. A block of `text` that follows is what they printed; between the two, a comment may say which part of it
the page shows: <!-- from "A" --> or <!-- from "A" to "B" -->, where A and B are regular expressions for the first and
the last line.
`NAME=VALUE` replaces a variable of the first block.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures"
BLOCK = re.compile(
    r"^```(?P<kind>python|console)\n(?P<code>.*?)^```$"
    r"(?:\n\n(?:<!-- from \"(?P<start>.*?)\"(?: to \"(?P<end>.*?)\")? -->\n\n)?^```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
INSTALLING = ("make ", ". .venv/")  # a test cannot do this: it is installed already, and may have no network


def run_page(page: str, changed: Mapping[str, Any], folder: Path, path: Path) -> list[str]:
    """Run every block of a page and return what each printed.

    Args:
        page: Markdown.
        changed: replaces variables of the first block of Python.
        folder: where the blocks run; receives the files that they write.
        path: the page, named by errors.
    """
    import matplotlib as mpl

    mpl.use("agg")
    namespace: dict[str, Any] = {}
    printed = []
    with contextlib.chdir(folder):
        for block in BLOCK.finditer(page):
            line = page[: block.start()].count("\n") + 2
            if block["kind"] == "console":
                printed.append(run_commands(block["code"], f"{path}:{line}"))
                continue
            first = not namespace
            code = compile("\n" * (line - 1) + block["code"], os.fspath(path), "exec")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, namespace)  # noqa: S102 - the page is ours
            printed.append(out.getvalue().replace(f"{folder}/", ""))
            if first:
                namespace |= changed
    import matplotlib.pyplot as plt

    plt.close("all")
    return printed


def commands_of(block: str) -> list[str]:
    """The commands of a console block, without the prompt."""
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def run_commands(block: str, place: str) -> str:
    """Run the commands of a console block in the current folder and return what they print, 80 columns wide.

    Raises:
        RuntimeError: a command failed; the message has its place and its output.
    """
    commands = [command for command in commands_of(block) if not command.startswith(INSTALLING)]
    root = DOCS.parent
    paths = [os.fspath(root / "src"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PATH": os.pathsep.join([os.fspath(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "COLUMNS": "80",
    }
    done = subprocess.run(  # noqa: S603 - the page is ours
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],  # noqa: S607 - the reader's own bash
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{place}: a command failed with exit code {done.returncode}:\n{block}\n{done.stdout}")
    return done.stdout.replace(f"{Path.cwd()}/", "")


def replace_outputs(page: str, printed: list[str]) -> str:
    """Replace the outputs that a page shows; a block without a shown output stays as it is."""
    outputs = iter(printed)

    def replace_output(block: re.Match[str]) -> str:
        output = next(outputs)
        if block["output"] is None:
            return block[0]
        shown = select_lines(output, block["start"], block["end"])
        before = block[0][: block.start("output") - block.start()]
        return f"{before}{shown}```"

    return BLOCK.sub(replace_output, page)


def select_lines(output: str, start: str | None, end: str | None) -> str:
    """The lines of an output from one that matches `start` to one that matches `end`, without spaces at their ends.

    Raises:
        ValueError: no line matches.
    """
    lines = [line.rstrip() for line in output.splitlines()]
    first = 0 if start is None else _find_line(lines, start, 0)
    last = len(lines) - 1 if end is None else _find_line(lines, end, first)
    return "".join(f"{line}\n" for line in lines[first : last + 1])


def _find_line(lines: list[str], pattern: str, first: int) -> int:
    for place in range(first, len(lines)):
        if re.search(pattern, lines[place]):
            return place
    raise ValueError(f"no line of the output matches {pattern!r}:\n" + "\n".join(lines))


def refresh_page(path: Path, changed: Mapping[str, Any], folder: Path) -> None:
    """Run a page and write what it prints into it."""
    page = path.read_text(encoding="utf-8")
    path.write_text(replace_outputs(page, run_page(page, changed, folder, path)), encoding="utf-8")


def main() -> None:
    """Run a page that needs no other files; write its outputs into it and its pictures beside it."""
    page, *pairs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        refresh_page(Path(page).resolve(), dict(pair.split("=", 1) for pair in pairs), Path(folder).resolve())
        for picture in Path(folder).glob("*.png"):
            shutil.copy(picture, PICTURES)


if __name__ == "__main__":
    main()
