"""Write the reference pages that follow from the code: the command line and the schema of results.json."""

import json
from pathlib import Path

import typer
from typer.main import get_command

from vitrail.cli.main import app
from vitrail.runs import results_schema

REFERENCE = Path(__file__).parent / "reference"


def main() -> None:
    """Write every generated page."""
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "cli.md").write_text(cli_reference(), encoding="utf-8")
    schema = json.dumps(results_schema(), indent=2, sort_keys=True)
    (REFERENCE / "results.schema.json").write_text(schema + "\n", encoding="utf-8")


def cli_reference() -> str:
    """Every verb with its arguments and flags, from the same declarations that parse them."""
    program = get_command(app)
    assert hasattr(program, "commands")
    pages = ["# The command line\n", "Written by `make docs` from the program itself.\n"]
    pages.append(f"{program.help}\n")
    for name, command in program.commands.items():
        context = typer.Context(command, info_name=f"vitrail {name}")
        pages.append(f"## vitrail {name}\n\n{command.help}\n")
        pages.append(f"```text\nvitrail {name} {' '.join(command.collect_usage_pieces(context))}\n```\n")
        rows = [parameter.get_help_record(context) for parameter in command.get_params(context)]
        lines = [f"| `{_cell(row[0])}` | {_cell(row[1])} |" for row in rows if row]
        pages.append("| flag | meaning |\n| --- | --- |\n" + "\n".join(lines) + "\n")
    pages.append(EXIT_CODES)
    return "\n".join(pages)


EXIT_CODES = """## Exit codes

| code | meaning |
| --- | --- |
| 0 | done; an undecided verdict is a result |
| 1 | the work failed |
| 2 | wrong usage |
| 130 | interrupted |
"""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
