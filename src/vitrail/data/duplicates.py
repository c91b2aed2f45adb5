"""Equal bytes: one example, however many files hold it.

The rules, in this order:

1. Equal bytes under one label are one example with all its paths.
2. Equal bytes under two labels are set aside: one of the labels is wrong, and the bytes do not say which.
3. Equal bytes in two groups join these groups, since what joins them would cross between splits otherwise.
4. Equal bytes, or a group, in two given splits belong to the one that guards the other: test before calibration before
   val before train.
   The test split stays as it was given and published, and what would have leaked into it is taken out of train.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from vitrail.data.dataset import ListedFile, SetAside, SplitName

GUARD: tuple[SplitName, ...] = ("train", "val", "calibration", "test")  # the last is guarded best


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One image content with the labels, splits and groups of all its files."""

    id: str
    paths: tuple[str, ...]
    label: str
    split: SplitName | None
    group: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicates:
    """What equal bytes led to, in numbers."""

    files: int = 0  # files beyond the first of each content with one label
    examples: int = 0  # examples that more than one file holds
    two_labels: int = 0  # contents set aside for having two labels
    two_labels_files: int = 0  # the files that hold these
    across_splits: int = 0  # examples found in more than one given split
    joined_groups: int = 0  # groups that a shared content made one with another
    cut_from_splits: int = 0  # examples set aside because their group is in a better guarded given split

    def as_counts(self) -> Mapping[str, int]:
        """The same as a mapping, as results.json has it."""
        return asdict(self)


def merge(files: Sequence[tuple[str, ListedFile]]) -> tuple[list[Example], list[SetAside], Duplicates]:
    """Make one example of all files with equal bytes.

    Args:
        files: each with the sha256 of its bytes, in any order.

    Returns:
        The examples sorted by id, what is set aside, and the counts.
    """
    by_content: dict[str, list[ListedFile]] = {}
    for digest, file in files:
        by_content.setdefault(digest, []).append(file)
    conflicts = {digest: same for digest, same in by_content.items() if len({file.label for file in same}) > 1}
    agreed = {digest: by_content[digest] for digest in sorted(by_content) if digest not in conflicts}
    group_of, joined = _join_groups(agreed.values())
    examples = [_example(digest, same, group_of) for digest, same in agreed.items()]
    kept, cut = _guard_groups(examples)
    several = [example for example in kept if len(example.paths) > 1]
    counts = Duplicates(
        files=sum(len(example.paths) - 1 for example in several),
        examples=len(several),
        two_labels=len(conflicts),
        two_labels_files=sum(len({file.path for file in same}) for same in conflicts.values()),
        across_splits=sum(len({file.split for file in agreed[example.id]}) > 1 for example in kept),
        joined_groups=joined,
        cut_from_splits=len(examples) - len(kept),
    )
    return kept, [aside for same in conflicts.values() for aside in _name_conflict(same)] + cut, counts


def _example(digest: str, same: Sequence[ListedFile], group_of: Mapping[str, str]) -> Example:
    splits = [file.split for file in same if file.split is not None]
    groups = [group_of[file.group] for file in same if file.group is not None]
    return Example(
        id=digest,
        paths=tuple(sorted({file.path for file in same})),
        label=same[0].label,
        split=max(splits, key=GUARD.index) if splits else None,
        group=groups[0] if groups else None,
    )


def _name_conflict(same: Sequence[ListedFile]) -> list[SetAside]:
    places = sorted({(file.path, file.label) for file in same})
    listed = " and ".join(f"{path} ({label})" for path, label in places[:4])
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return [
        SetAside(path=path, reason=f"the same bytes have two labels: {listed}{more}", kind="two labels")
        for path in sorted({path for path, _ in places})
    ]


def _join_groups(contents: Iterable[Sequence[ListedFile]]) -> tuple[dict[str, str], int]:
    """The new name of each group, the first in the alphabet of those it is joined with, and how many were renamed."""
    leader: dict[str, str] = {}

    def find(group: str) -> str:
        while leader.setdefault(group, group) != group:
            leader[group] = leader[leader[group]]
            group = leader[group]
        return group

    for same in contents:
        roots = {find(file.group) for file in same if file.group is not None}
        for root in roots:
            leader[root] = min(roots)
    group_of = {group: find(group) for group in leader}
    return group_of, sum(group != name for group, name in group_of.items())


def _guard_groups(examples: Sequence[Example]) -> tuple[list[Example], list[SetAside]]:
    """Take out of a split the examples whose group is in a better guarded split."""
    guard: dict[str, SplitName] = {}
    for example in examples:
        if example.group is not None and example.split is not None:
            guard[example.group] = max(guard.get(example.group, "train"), example.split, key=GUARD.index)
    kept: list[Example] = []
    cut: list[SetAside] = []
    for example in examples:
        best = guard.get(example.group or "", example.split)
        if example.group is None or example.split == best:
            kept.append(example)
            continue
        reason = f"its group {example.group} is also in the given {best} split, and a group stays in one split"
        cut.extend(SetAside(path=path, reason=reason, kind="crosses splits") for path in example.paths)
    return kept, cut
