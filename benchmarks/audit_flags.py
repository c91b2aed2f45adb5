"""What an audit flags with a weak judge and with good ones, and how true its figures on planted errors are.

    python -m benchmarks.audit_flags [flowers dogs]

Each data set is audited with its labels as they are, and with 5% of them made wrong at random before the audit, which
does not know of it. Least and expected precision are with 5% more wrong labels, which the audit plants; beside the
expected share of right flags on the data's own labels stands the true one. `no run` is an
audit without options on a machine that has no weights. Needs the images and weights in ../shared. Writes
benchmarks/audit_flags_<hardware>_<yyyymm>.md, a chapter a data set.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.results import keep_chapter
from vitrail.auditing import AuditOptions, audit
from vitrail.auditing.suspects import LabelFindings
from vitrail.statistics.intervals import Interval, wilson

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = {"flowers": SHARED / "data" / "flowers_original", "dogs": SHARED / "data" / "stanford_dogs_224"}
WEIGHTS = {
    "resnet18.tv_in1k": "resnet18.pqf_in1k",
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
}
JUDGES = {"no run": None} | {name: f"{name}={SHARED / 'weights' / file}.safetensors" for name, file in WEIGHTS.items()}
WRONG = (0.0, 0.05)
SEED = 1
HEAD = (
    "| wrong labels | judge | agrees with | flags | not listed | planted found | least precision | expected precision "
    "| own flags right, expected | own flags right, true | true recall |"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """A manifest of a data set, and the true class of each path."""

    manifest: Path
    truth: dict[str, str]
    wrong: int


def main() -> None:
    """Measure, print, and write each chapter beside this file."""
    for name in [name for name in DATA if name in sys.argv[1:]] or DATA:
        lines = [HEAD, "| --- " * 11 + "|"]
        print("\n".join([f"## {name}", "", *lines]), flush=True)
        for line in measure(DATA[name]):
            print(line, flush=True)
            lines.append(line)
        keep_chapter("audit_flags", (__doc__ or "").splitlines()[0], name, lines)


def measure(data: Path) -> Iterator[str]:
    """A row of the table for each judge and share of wrong labels."""
    for share in WRONG:
        for judge, spec in JUDGES.items():
            with TemporaryDirectory() as folder:
                os.environ["VITRAIL_CONFIG"] = folder  # no weights of an earlier audit are remembered
                labels = make_labels(data, share, Path(folder) / "labels.csv")
                found = audit(labels.manifest, AuditOptions(backbone=spec)).labels
            yield row(labels, share, judge, found)


def make_labels(data: Path, share: float, manifest: Path) -> Labels:
    """Write a manifest in which some labels are wrong."""
    draws = np.random.default_rng(SEED)
    files = sorted(path for path in data.rglob("*") if path.suffix == ".jpg")
    classes = sorted({path.parent.name for path in files})
    wrong = set(draws.choice(len(files), round(share * len(files)), replace=False).tolist())
    lines, truth = ["path,label"], {}
    for place, path in enumerate(files):
        others = [name for name in classes if name != path.parent.name]
        lines.append(f"{path},{others[draws.integers(len(others))] if place in wrong else path.parent.name}")
        truth[path.name] = path.parent.name
    manifest.write_text("\n".join(lines) + "\n")
    return Labels(manifest=manifest, truth=truth, wrong=len(wrong))


def row(labels: Labels, share: float, judge: str, found: LabelFindings) -> str:
    """What the audit says, and what is true. Which wrong labels it judged is known by their share only."""
    planted = found.planted
    assert planted is not None
    hits = sum(labels.truth[Path(suspect.path).name] != suspect.label for suspect in found.suspects)
    judged = round(labels.wrong * found.judged / len(labels.truth))
    true_precision = wilson(hits, len(found.suspects)) if labels.wrong and found.suspects else None
    true_recall = wilson(min(hits, judged), judged) if judged else None
    measured = (planted.recall, planted.least_precision, planted.precision, planted.own_precision)
    rates = (*measured, true_precision, true_recall)
    return (
        f"| {share:.0%} | {found.backbone}{' (no run)' if judge == 'no run' else ''}"
        f"{', too weak' if found.too_weak else ''} | {say(found.accuracy)} | {len(found.suspects):,} | "
        f"{found.withheld:,} | {' | '.join(map(say, rates))} |"
    )


def say(rate: Interval | None) -> str:
    """A rate in per cent with its interval."""
    return "-" if rate is None else f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}]"


if __name__ == "__main__":
    main()
