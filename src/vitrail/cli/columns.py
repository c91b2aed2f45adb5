"""Tables that never break a name: columns that have no room are left out, the last first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.markup import escape

from vitrail.core.console import PrintableConsole

GAP = "  "


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column: its heading, a cell for each row, and whether it has figures, which are set right."""

    heading: str
    cells: Sequence[str]
    is_figure: bool = True

    @property
    def width(self) -> int:
        """The columns of the terminal that it needs."""
        return max(map(cell_len, (self.heading, *self.cells)))

    def pad(self, text: str) -> str:
        """A cell as wide as the column."""
        space = " " * (self.width - cell_len(text))
        return space + text if self.is_figure else text + space


def print_columns(columns: Sequence[Column], console: PrintableConsole, *, bold: Collection[int] = ()) -> None:
    """Print as many of the columns as fit, the first always; the rows whose numbers are in `bold` are set bold."""
    shown = list(columns)
    while len(shown) > 1 and sum(c.width for c in shown) + len(GAP) * (len(shown) - 1) > console.width:
        shown.pop()
    _print_row(shown, [column.heading for column in shown], console, is_bold=True)
    for row in range(len(columns[0].cells)):
        _print_row(shown, [column.cells[row] for column in shown], console, is_bold=row in bold)


def _print_row(columns: Sequence[Column], cells: Sequence[str], console: PrintableConsole, *, is_bold: bool) -> None:
    line = GAP.join(column.pad(cell) for column, cell in zip(columns, cells, strict=True)).rstrip()
    console.print(escape(line), style="bold" if is_bold else None, highlight=False, soft_wrap=True)
