"""docs/troubleshooting.md quotes messages that the program prints."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
VALUE = "<>"  # what stands for a value in a message, and for a number on the page


def quoted_messages(page: str) -> list[str]:
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    return [message for heading in headings for message in re.findall(r"`([^`]+)`", heading)]


def strings_of_the_program() -> str:
    lines = []
    for path in (ROOT / "src" / "vitrail").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                lines.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(node.value)
    return "\n".join(lines)


def missing_messages(page: str) -> list[str]:
    strings = strings_of_the_program()
    return [message for message in quoted_messages(page) if re.sub(r"\d+", VALUE, message) not in strings]


def test_every_quoted_message_is_one_of_the_program():
    assert len(quoted_messages(PAGE)) > 15
    assert missing_messages(PAGE) == []
    assert missing_messages("### `the moon is made of cheese`, `fewer than 9 usable images`") == [
        "the moon is made of cheese"
    ]
