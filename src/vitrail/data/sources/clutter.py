"""What people did not mean to give: files that systems leave behind, what was deleted, and runs of Vitrail itself."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence

# Left behind by macOS, Windows, Synology, QNAP, NetApp and file system checks. In lower case.
CLUTTER = frozenset(
    {
        "__macosx",
        "network trash folder",
        "temporary items",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "found.000",
        "@eadir",
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
        "~snapshot",
        "lost+found",
    }
)
RUNS = "runs"  # where `vitrail bench` puts a run without --out
RUN_LOG, _BESIDE_LOG = "log.jsonl", frozenset({"results.json", "unfinished", ".lock"})


def is_clutter(name: str) -> bool:
    """Whether a path, with slashes, is clutter or lies in a folder that is; names with a dot in front are."""
    return any(
        part.lower() in CLUTTER or (part.startswith(".") and part not in (".", "..")) for part in name.split("/")
    )


def is_run(names: Collection[str]) -> bool:
    """Whether a folder that holds these names is a run of Vitrail, finished or not."""
    return RUN_LOG in names and not _BESIDE_LOG.isdisjoint(names)


def below(names: Sequence[str], folder: str) -> range:
    """The places of the names in a folder, which ends in a slash or is "", among sorted names."""
    end = bisect_left(names, f"{folder[:-1]}0") if folder else len(names)  # 0 is the letter after the slash
    return range(bisect_left(names, folder), end)


def without_clutter(names: Iterable[str]) -> list[str]:
    """The names, with slashes, that are neither clutter nor in a run of Vitrail, sorted."""
    kept = sorted(name for name in names if not is_clutter(name))
    in_runs: set[int] = set()
    for log in [name for name in kept if name.endswith(f"/{RUN_LOG}")]:
        folder = log.removesuffix(RUN_LOG)
        places = below(kept, folder)
        if is_run({kept[place][len(folder) :].partition("/")[0] for place in places}):
            in_runs.update(places)
    return [name for place, name in enumerate(kept) if place not in in_runs]
