"""audit.html: everything that was found, with the images concerned, on one page that fetches nothing.

In the style of a run's report, whose style sheet and thumbnails it uses.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitrail.auditing.audit import Audit, NearCopies
from vitrail.auditing.suspects import SuspectLabel, say_judge
from vitrail.core.whole_files import write_whole
from vitrail.delivery.report import words
from vitrail.delivery.report.environment import make_environment
from vitrail.delivery.report.mistakes import Images, draw_thumbnail

MOST_PAIRS, MOST_SUSPECTS, MOST_LINES = 60, 60, 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One image on the page; `picture` is a data URI, or None with the reason in `missing`."""

    path: str
    picture: str | None
    missing: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPair:
    """Two images side by side, and what is wrong with them."""

    first: Shown
    second: Shown
    copies: NearCopies


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownSuspect:
    """One image with its label."""

    image: Shown
    suspect: SuspectLabel


def write_page(audit: Audit, path: Path) -> None:
    """Write the page of an audit; raises RunError if it cannot be written."""
    content = render_page(audit).encode("utf-8", errors="backslashreplace")
    write_whole(path, lambda temporary: temporary.write_bytes(content))


def render_page(audit: Audit) -> str:
    """The page as text, HTML."""
    return make_environment("vitrail.auditing").get_template("audit.html.j2").render(_context(audit))


def _context(audit: Audit) -> dict[str, Any]:
    images = Images.of(audit.dataset)
    return {
        "audit": audit,
        "verdict": sentence(audit),
        "kinds": Counter(finding.kind for finding in audit.findings).most_common(),
        "findings": audit.findings[:MOST_LINES],
        "exact": audit.exact[:MOST_LINES],
        "two_labels": audit.two_labels[:MOST_LINES],
        "pairs": [_pair(images, copies) for copies in audit.near[:MOST_PAIRS]],
        "judge": say_judge(audit.labels),
        "suspects": [
            ShownSuspect(image=_show(images, suspect.id, suspect.path), suspect=suspect)
            for suspect in audit.labels.suspects[:MOST_SUSPECTS]
        ],
        "balance": sorted(audit.balance.items(), key=lambda item: (-item[1], item[0])),
        "largest": max(audit.balance.values()),
    }


def sentence(audit: Audit) -> str:
    """The audit in one sentence, for the head of the page and the terminal."""
    counts = [
        _counted(len(audit.findings), "finding about single files", "findings about single files"),
        _counted(sum(len(copies.paths) - 1 for copies in audit.exact), "exact copy", "exact copies"),
        _counted(len(audit.two_labels), "content with two labels", "contents with two labels"),
        _counted(len(audit.near), "pair of near-duplicates", "pairs of near-duplicates"),
        _counted(len(audit.labels.suspects), "suspect label", "suspect labels"),
    ]
    known = [part for part in counts if part]
    if not known:
        return f"No findings in the {words.plural(audit.examples, 'image')} of {audit.name}."
    listed = ", ".join(known[:-1]) + " and " + known[-1] if len(known) > 1 else known[0]
    return f"{words.plural(audit.examples, 'image')} of {audit.name}: {listed}."


def _counted(number: int, singular: str, plural: str) -> str:
    return words.plural(number, singular, plural) if number else ""


def _pair(images: Images, copies: NearCopies) -> ShownPair:
    first, second = (
        _show(images, id_, path) for id_, path in zip((copies.pair.a, copies.pair.b), copies.paths, strict=True)
    )
    return ShownPair(first=first, second=second, copies=copies)


def _show(images: Images, id_: str, path: str) -> Shown:
    picture, _, missing = draw_thumbnail(id_, images)
    return Shown(path=path, picture=picture, missing=missing)
