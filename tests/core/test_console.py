import io

import pytest
from rich.cells import cell_len
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from vitrail.core.console import PrintableConsole

HOSTILE = "a\x1b[31mb\u202ec\x07"
SHOWN = r"a\x1b[31mb\u202ec\x07"


def printed(renderable: object, **options: object) -> str:
    page = io.StringIO()
    PrintableConsole(file=page, width=60, **options).print(renderable)
    return page.getvalue()


@pytest.mark.parametrize("make", [str, escape, Rule])
def test_a_text_is_printed_with_what_a_terminal_would_obey_written_out(make):
    assert SHOWN in printed(make(HOSTILE))


@pytest.mark.parametrize("make", [str, escape, Rule, Text, lambda text: Rule(Text(text))])
def test_no_text_is_obeyed_whatever_it_was_put_in(make):
    assert not set(printed(make(HOSTILE))) & set("\x1b\u202e\x07")


def test_columns_stay_aligned_beside_a_text_that_was_written_out():
    table = Table(box=None, show_header=False)
    for cells in ((HOSTILE, "1"), ("plain", "2")):
        table.add_row(*cells)
    hostile, plain = printed(table).splitlines()
    assert hostile.rindex("1") == plain.rindex("2") > cell_len(SHOWN)


def test_styles_and_movements_of_the_program_stay():
    assert "\x1b[1m" in printed("[bold]x[/]", force_terminal=True)


def test_a_name_between_colons_does_not_become_an_emoji():
    assert ":cat:" in printed("runs/:cat:/1.png")
