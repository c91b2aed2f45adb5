"""Help fits on two screens of 80x24, and `--help-all` leaves nothing out."""

import re

import pytest
from typer.main import get_command

from vitrail.cli.main import _run, app

PROGRAM = get_command(app)
COMMANDS = [
    [],
    *([name] for name in PROGRAM.commands),
    *([name, inner] for name in ("cache", "reproduce") for inner in PROGRAM.commands[name].commands),
]


def help_of(capsys: pytest.CaptureFixture[str], command: list[str], flag: str = "--help") -> str:
    assert _run([*command, flag]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def small_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_fits_on_two_screens(capsys, command):
    lines = help_of(capsys, command).splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Usage: ")
    assert not re.search(r"<(str|path|int|float|list)|\(\(|\]\]|\[\[|\{", "\n".join(lines))


def test_bench_folds_groups_away_and_names_them(capsys):
    shown = help_of(capsys, ["bench"])
    assert "--engine" not in shown
    assert "--margin" in shown
    for group in ("heads and thresholds", "reading images", "running backbones", "several machines"):
        assert group in " ".join(shown.split())


def test_help_all_has_every_option_and_every_sentence(capsys):
    shown = help_of(capsys, ["bench"], "--help-all")
    said = " ".join(shown.split())
    for parameter in PROGRAM.commands["bench"].params:
        if not getattr(parameter, "hidden", False):
            assert parameter.opts[-1] in shown or parameter.metavar in shown
            assert " ".join(parameter.help.split()) in said
    assert max(map(len, shown.splitlines())) <= 80
    assert "[default: 1pt]" in said
    assert "[default: runs/<data>-<8 digits>]" in said


def test_a_wide_terminal_gets_no_longer_lines_than_can_be_read(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert max(map(len, help_of(capsys, ["bench"]).splitlines())) <= 100


def test_help_that_goes_to_a_file_has_no_colours(capsys):
    assert "\x1b" not in help_of(capsys, ["bench"])
