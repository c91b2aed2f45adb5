"""The first half of the walk for one part of the images: rows for a cache that several machines share, no decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitrail.candidates.options import BenchOptions, chosen_specs, open_all
from vitrail.core.machine import cache_folder, share_threads, usable_cores
from vitrail.core.progress import Progress
from vitrail.data import find_near_duplicates, keep_together, load, make_split, open_source
from vitrail.features import Part, extract


@dataclass(frozen=True, kw_only=True, slots=True)
class PartDone:
    """What one part brought: of `images` in the data set, `in_part` are in it; rows computed now, by backbone."""

    part: str
    images: int
    in_part: int
    unreadable: int
    computed: dict[str, int]


def compute_part(
    data: str | Path | None,
    backbones: Sequence[str],
    part: Part,
    *,
    options: BenchOptions,
    offline: bool,
    threads: int | None,
    batch: int | None,
    progress: Progress,
) -> PartDone:
    """Compute the rows of one part that the cache lacks, under the keys where `bench` will look for them.

    Args:
        data: as `bench` takes it.
        backbones: as `bench` takes them.
        part: which part of the images.
        options: those of the benchmark: what changes a feature, or the split that int8 is calibrated on, must agree.
        offline: never use the network.
        threads: cores to use; all that this process may where None.
        batch: images a batch; what is fastest here where None.
        progress: who is told how far the work is.

    Returns:
        What was done.
    """
    specs = chosen_specs(data, backbones)
    dataset = load(open_source(data), max_pixels=options.max_pixels, threads=threads, progress=progress)
    if options.near_duplicates and options.precision == "int8":
        # int8 is calibrated on the train split, and copies move images between splits; nothing else here needs them.
        found = find_near_duplicates(
            dataset, cache=cache_folder(), max_pixels=options.max_pixels, threads=threads, progress=progress
        )
        dataset = keep_together(dataset, found)
    dataset, split, _ = make_split(dataset, options.split)
    extraction = extract(
        dataset,
        [entry.backbone for entry in open_all(specs, dataset, split, options, offline=offline, progress=progress)],
        cache=cache_folder(),
        threads=share_threads(threads or usable_cores()),
        max_pixels=options.max_pixels,
        progress=progress,
        batch=batch,
        part=part,
    )
    return PartDone(
        part=f"{part.number}/{part.of}",
        images=dataset.table.num_rows,
        in_part=extraction.features[0].cost.images + len(extraction.unreadable_ids),
        unreadable=len(extraction.unreadable_ids),
        computed={features.backbone: features.cost.computed for features in extraction.features},
    )
