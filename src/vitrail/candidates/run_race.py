"""The race of the candidates of a run, on its training images, before the pass over all images.

The images of a look are decoded once, and candidates take turns on them: one network is in memory at a time. Their rows
go into the feature store under the keys of the whole pass, which finds them there. A race that was stopped finds them
too, so it begins again with the same rows and comes to the same end.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.backbones import Backbone, BackboneSpec
from vitrail.backbones.classifier import read_classifier
from vitrail.candidates.automatic import BackboneChoice
from vitrail.candidates.held_race import HeldRace, Runner
from vitrail.candidates.opening import open_entries
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.race import FREE_LOOKS, Race, RaceRules, Rights, run_race
from vitrail.candidates.race_claims import say_claims
from vitrail.candidates.race_judge import find_right
from vitrail.candidates.traces import find_known_traces
from vitrail.core.progress import phase
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Split
from vitrail.data.nested_subsets import SHARES, NestedSubsets, plan_nested_subsets
from vitrail.features import Features, extract, take_turns
from vitrail.features.pipeline import Cost

LEAST_CANDIDATES = 4  # with fewer, reading images once more for the race costs about what it saves
LEAST_TRAIN = 1_000  # training images; a race gained no time with 640, and two thirds of it with 2,070 (ADR 0008)
MOST_IMAGES = 50_000  # of a look: more were not simulated, and the judge holds their features in memory


def find_obstacle(choice: BackboneChoice, options: BenchOptions, *, train: int, cluster: str | None) -> str:
    """Why the backbones of a run do not race, as a clause; "" if nothing is against it.

    `train` is the number of training images.
    """
    candidates = len(choice.specs)
    obstacles = {
        "the backbones were named": choice.automatic is None,
        f"{candidates} candidates are too few": candidates < LEAST_CANDIDATES,
        "there are several recipes": len(options.recipes) > 1,
        "a cluster computes the features": cluster is not None,
        "a race goes by plain accuracy, and here all classes count the same": (
            options.decide_by != "top1" or options.search.balanced
        ),
        f"{train:,} training images are too few": train < LEAST_TRAIN,
    }
    return next((reason for reason, holds in obstacles.items() if holds), "")


def say_race(obstacle: str) -> str:
    """Whether candidates race, in a sentence; `obstacle` as `find_obstacle` gives it."""
    if obstacle:
        return f"The candidates do not race: {obstacle}."
    return (
        f"From {LEAST_TRAIN:,} training images on, these candidates race on parts of them, and only finalists get the "
        "pass over all images: the networks take less than this estimate if some leave."
    )


def hold_race(
    specs: Sequence[BackboneSpec], dataset: Dataset, split: Split, options: BenchOptions, *, resources: Resources
) -> HeldRace | None:
    """Let candidates race; None if the classes have so few images that there are not enough looks.

    Only training images are run through the networks, and only their labels are read. How candidates decode, and their
    engines, are settled on the images that the whole pass settles them on.

    Args:
        specs: the candidates.
        dataset: as `make_split` gave it, without the labels of the test images.
        split: as `make_split` gave it.
        options: of the benchmark, with one recipe.
        resources: of this command.
    """
    with phase(resources.progress, "race"):
        entries = open_entries(specs, dataset, split, options, resources=resources)
        backbones = {entry.backbone.name: entry.backbone for entry in entries}
        known = {name: _is_known(backbone, dataset, split) for name, backbone in backbones.items()}
        unreadable, decode_s = frozenset[str](), 0.0
        while len((subsets := _plan_looks(dataset, split.without(unreadable))).sizes) > FREE_LOOKS:
            rules = RaceRules(
                heats={name: "known" if seen else "" for name, seen in known.items()},
                images=len(split.train) - len(unreadable),
                sizes=subsets.sizes,
                group_N=subsets.group_M,
                margin=options.margin,
                level=options.level,
                gmacs={name: backbone.card.gmacs for name, backbone in backbones.items()},
                budget=1.0 if options.shortlist is None else options.shortlist.race_budget,
            )
            course = _Course(subsets, dataset, backbones, options, resources, decode_s=decode_s)
            try:
                outcome = run_race(rules, course.answer)
            except _UnreadableError as error:  # other images take the place of these
                unreadable, decode_s = unreadable | error.ids, course.decode_s
            else:
                return _describe(outcome, course, known, unreadable=len(unreadable))
    return None


class _UnreadableError(Exception):
    """Images of a look that no candidate can decode."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(f"{len(ids)} images cannot be decoded")
        self.ids = frozenset(ids)


@dataclass(slots=True)
class _Course:
    """The images of the looks and the candidates' answers on them.

    `costs` are those of each candidate's last look, `decode_s` is the CPU time that decoding took now.
    """

    subsets: NestedSubsets
    dataset: Dataset
    backbones: dict[str, Backbone]
    options: BenchOptions
    resources: Resources
    costs: dict[str, Cost] = field(default_factory=dict)
    decode_s: float = 0.0

    def answer(self, names: tuple[str, ...], images: int) -> Rights:
        """Whether each of these candidates is right on each of the first `images` images.

        Raises:
            _UnreadableError: some of them cannot be decoded.
        """
        ids, resources, max_pixels = self.subsets.ids[:images], self.resources, self.options.max_pixels
        of_look = pc.is_in(self.dataset.table["id"], value_set=pa.array(ids))
        some = replace(self.dataset, table=self.dataset.table.filter(of_look))
        task = f"Race on {images:,} training images"
        extraction = extract(
            some,
            [self.backbones[name] for name in names],
            max_pixels=max_pixels,
            resources=resources,
            fill_rows=take_turns(some, task, max_pixels=max_pixels, resources=resources),
        )
        self.decode_s += extraction.decode_s
        if extraction.unreadable_ids:
            raise _UnreadableError(extraction.unreadable_ids)
        return {name: self._judge(name, rows, ids) for name, rows in zip(names, extraction.features, strict=True)}

    def _judge(self, name: str, features: Features, ids: Sequence[str]) -> NDArray[np.bool_]:
        self.costs[name] = features.cost
        group_M = self.subsets.group_M
        return find_right(
            features.rows(ids),
            self.subsets.label_M[: len(ids)],
            classes=len(self.dataset.classes),
            group_N=None if group_M is None else group_M[: len(ids)],
        )


def _plan_looks(dataset: Dataset, split: Split) -> NestedSubsets:
    scale = min(1.0, MOST_IMAGES / (SHARES[-1] * max(1, len(split.train))))
    return plan_nested_subsets(dataset, split, [scale * share for share in SHARES])


def _is_known(backbone: Backbone, dataset: Dataset, split: Split) -> bool:
    """Whether a backbone is known to have seen the data."""
    traces = find_known_traces(backbone.card, read_classifier(backbone), dataset, split)
    return traces.sighting in ("seen", "probably")


def _describe(outcome: Race, course: _Course, known: dict[str, bool], *, unreadable: int) -> HeldRace:
    images = course.dataset.table.num_rows
    candidates = tuple(
        Runner(
            name=name,
            known=known[name],
            gmacs=backbone.card.gmacs,
            images=images if name in outcome.finalists else outcome.images_of(name),
            seconds=course.costs[name].forward_s,
        )
        for name, backbone in course.backbones.items()
    )
    saved = [images - runner.images for runner in candidates]
    return HeldRace(
        outcome=outcome,
        candidates=candidates,
        images=images,
        saved_gmacs=math.fsum(count * runner.gmacs for count, runner in zip(saved, candidates, strict=True)),
        saved_seconds=math.fsum(
            count * runner.seconds / course.costs[runner.name].images
            for count, runner in zip(saved, candidates, strict=True)
        ),
        unreadable=unreadable,
        decode_s=course.decode_s,
        claims=say_claims(outcome),
    )
