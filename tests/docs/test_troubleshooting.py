"""docs/troubleshooting.md quotes messages that the program prints."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "vitrail").rglob("*.py"))
STRINGS = re.sub(r'"\n\s*f?"', "", SOURCE)  # a message over several lines is one string
VALUES = re.compile(r"\{[^{}]*\}")


def quoted_messages(page: str) -> list[str]:
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    return [message for heading in headings for message in re.findall(r"`([^`]+)`", heading)]


def is_printed(message: str) -> bool:
    """Whether a string of the program has the message, a number standing for any value."""
    pattern = re.sub(r"\d+", "<>", message)
    return pattern in VALUES.sub("<>", STRINGS)


def test_every_quoted_message_is_one_of_the_program():
    messages = quoted_messages(PAGE)
    assert len(messages) > 15
    assert [message for message in messages if not is_printed(message)] == []
    assert not is_printed("the moon is made of cheese")
