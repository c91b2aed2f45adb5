"""docs/architecture.md names files, folders and identifiers that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "vitrail"
PLACES = (SOURCE, ROOT / "src", ROOT)  # that a path on the page may be below
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

PATH = re.compile(r"`([\w./-]+(?:\.py|/))`")
NAMES = r"(`\w+`(?:(?:, | and | or )`\w+`)*)"
NAMES_THEN_FILE = re.compile(NAMES + r" (?:of|in) `([\w./]+\.py)`")  # `select` of `search/scored_trial.py`
FILE_THEN_NAMES = re.compile(r"`([\w./]+\.py)`, " + NAMES)  # `search/scored_trial.py`, `select`


def locate(path: str) -> Path | None:
    return next((place / path for place in PLACES if (place / path).exists()), None)


def missing_paths(page: str) -> list[str]:
    return [path for path in PATH.findall(page) if locate(path) is None]


def named_in_files(page: str) -> list[tuple[str, str]]:
    """Every identifier that the page says is in a file, and the file."""
    pairs = [(names, file) for names, file in NAMES_THEN_FILE.findall(page)]
    pairs += [(names, file) for file, names in FILE_THEN_NAMES.findall(page)]
    return [(name, file) for names, file in pairs for name in re.findall(r"\w+", re.sub(" (and|or) ", " ", names))]


def missing_names(page: str) -> list[tuple[str, str]]:
    return [pair for pair in named_in_files(page) if not is_defined(*pair)]


def is_defined(name: str, file: str) -> bool:
    path = locate(file)
    defined = rf"^\s*(?:def {name}\(|class {name}\b|{name}(?::.*)? = )"
    return path is not None and re.search(defined, path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def test_every_file_and_folder_exists():
    assert len(PATH.findall(PAGE)) > 100
    assert not missing_paths(PAGE)
    assert missing_paths("`heads/ridge.py`, `heads/lda.py`, `nets/`, `judging/`") == ["heads/lda.py", "judging/"]


def test_every_identifier_that_is_said_to_be_in_a_file_is_defined_there():
    assert len(named_in_files(PAGE)) > 20
    assert not missing_names(PAGE)
    wrong = "`select` or `choose` of `search/scored_trial.py`; `search/families.py`, `Ledger`"
    assert missing_names(wrong) == [("choose", "search/scored_trial.py"), ("Ledger", "search/families.py")]
