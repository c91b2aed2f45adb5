"""preprocess.py of a model folder: from the bytes of an image file to the pixels that the model takes.

It is put together from the definitions that Vitrail itself decodes and crops with, comments included, so it gives the
same pixels. It imports numpy and Pillow only. What is left out: definitions for headers alone, grey copies and torch,
and the budget of memory that threads share.
"""

import ast
import importlib
import inspect
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from vitrail.backbones import Preprocessing

HEAD = '''"""From the bytes of an image file to the pixels that the model beside this file takes.

These are the rules of Vitrail {version}, with which the model was measured: decoding, orientation, colour, resizing,
cropping. Do not replace them by another library's: one grey level can change an answer. Needs numpy and Pillow.

    pixel_HWC = to_crop(decode_file(data))    # `data` is the whole file; ImageRejected if it cannot be used
"""
'''

STAND_INS = '''

class DataError(Exception):
    """The images cannot be used."""


class _Unlimited:
    """Vitrail's threads share a budget of memory; a caller of this module decodes one image at a time."""

    def take(self, size: int) -> None:
        """Nothing to wait for."""


PIXELS = _Unlimited()
'''

TAIL = '''

# Of the network of this folder.
PREPROCESSING = {preprocessing!r}
MAX_PIXELS = {max_pixels}


def decode_file(data: bytes) -> Decoded:
    """The image in a file, upright, in RGB; raises ImageRejected with the reason if it cannot be used."""
    side = least_side(PREPROCESSING)
    return decode_for(data, [side], max_pixels=MAX_PIXELS)[side]


def to_crop(decoded: Decoded) -> NDArray[np.uint8]:
    """The pixels of the model: rows x columns x 3, uint8."""
    return to_pixels(decoded.image, PREPROCESSING, size=decoded.size, box=decoded.box)
'''


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """The definitions of a module that are copied: all but `without`, or those of `only`."""

    module: str
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def takes(self, names: Collection[str]) -> bool:
        """Whether a definition of these names is copied."""
        if self.only:
            return any(name in self.only for name in names)
        return not any(name in self.without for name in names)


EXTRACTS = (
    Extract(module="vitrail.core.hidden_warnings"),
    Extract(module="vitrail.data.in_flight", only=("MOST_PIXEL_BYTES",)),
    Extract(module="vitrail.data.boxes", without=("add_box",)),
    Extract(module="vitrail.data.formats"),
    Extract(module="vitrail.data.colour"),
    Extract(module="vitrail.data.decode_cost"),
    Extract(module="vitrail.data.images", without=("Header", "inspect", "upright_rgb", "decode_grey", "_is_animated")),
    Extract(
        module="vitrail.backbones.cards", only=("Interpolation", "ResizeRule", "Decode", "Channels", "Preprocessing")
    ),
    Extract(module="vitrail.backbones.preprocess", without=("PIXEL_CODE_VERSION", "normalise")),
)


def write_preprocess(preprocessing: Preprocessing, *, max_pixels: int) -> str:
    """The text of preprocess.py for a network."""
    from importlib.metadata import version

    imports: list[ast.Import | ast.ImportFrom] = []
    defined: dict[str, object] = {}
    body, after_block = STAND_INS, False
    for extract in EXTRACTS:
        values = vars(importlib.import_module(extract.module))
        for node, text in _statements(extract.module):
            names = _names_of(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
            elif names and extract.takes(names):
                for name in names:
                    if name in defined and defined[name] != values[name]:
                        raise ValueError(f"Two modules define {name}, one is {extract.module}: rename one of them.")
                    defined[name] = values[name]
                block = isinstance(node, ast.FunctionDef | ast.ClassDef)
                body += ("\n\n" if block or after_block else "") + text
                after_block = block
    body += TAIL.format(preprocessing=preprocessing, max_pixels=max_pixels)
    return HEAD.format(version=version("vitrail")) + _write_imports(imports, body) + body


def _statements(module: str) -> Iterator[tuple[ast.stmt, str]]:
    """The statements of a module behind its docstring, each with the comments in front of it."""
    source = inspect.getsource(importlib.import_module(module))
    lines, end = source.splitlines(keepends=True), 0
    for node in ast.parse(source).body:
        assert node.end_lineno is not None, "a parsed statement has a place"
        text = "".join(lines[end : node.end_lineno])
        end = node.end_lineno
        if not isinstance(node, ast.Expr):
            yield node, text.lstrip("\n")


def _names_of(node: ast.stmt) -> tuple[str, ...]:
    """What a statement defines; nothing for `if TYPE_CHECKING`."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Assign(targets=targets):
            return tuple(name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            return (name,)
        case _:
            return ()


def _write_imports(statements: list[ast.Import | ast.ImportFrom], body: str) -> str:
    """The imports of numpy, Pillow and the standard library that a text needs."""
    modules: set[str] = set()
    names: defaultdict[str, set[str]] = defaultdict(set)
    for statement in statements:
        for alias in statement.names:
            known_as = (alias.asname or alias.name).partition(".")[0]
            if not re.search(rf"\b{known_as}\b", body):
                continue
            written = alias.name + (f" as {alias.asname}" if alias.asname else "")
            if isinstance(statement, ast.Import):
                modules.add(f"import {written}")
            elif statement.module and not statement.module.startswith("vitrail"):
                names[statement.module].add(written)
    lines = sorted(modules) + [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
    return "\n" + "\n".join(lines) + "\n"
