"""One backbone under one recipe: from its features to everything known of it while the test labels are sealed."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.classifier import read_classifier
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import Parity, measure_parity
from vitrail.candidates.recipes import Entry
from vitrail.candidates.thresholds import make_refusal, predict, predict_calibration
from vitrail.candidates.traces import find_traces
from vitrail.core.hashing import fingerprint
from vitrail.core.progress import phase
from vitrail.core.resources import Resources
from vitrail.data import Dataset, Split
from vitrail.data.traces import Traces
from vitrail.features import Features
from vitrail.heads.head import Predictions
from vitrail.heads.refusal import Refusal
from vitrail.search import Search, tune

# Letters: N test examples, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """Everything known of one backbone before the test labels are opened.

    `features` give the pooling that the head takes. `calibration` is what the head says of the calibration split, where
    there is one; `parity` compares a reduced precision with float32, where one ran. `strange_N` are the test images
    that look unlike the training images.
    """

    entry: Entry
    features: Features = field(repr=False)
    search: Search = field(repr=False)
    calibration: Predictions | None = field(repr=False)
    refusal: Refusal = field(repr=False)
    parity: Parity | None
    traces: Traces = field(repr=False)
    probability_NC: NDArray[np.float64] = field(repr=False)
    strange_N: NDArray[np.bool_] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of the backbone, with its recipe after the first."""
        return self.entry.backbone.name

    @property
    def digest(self) -> str:
        """A digest of every choice that was made for it."""
        return fingerprint([self.search.digest, self.refusal.digest])


def make_candidate(
    entry: Entry,
    features: Features,
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    *,
    resources: Resources,
    steps: Path,
) -> Candidate:
    """Tune a head, set its thresholds, and predict the test images. No test label is needed.

    Finished steps of the search are kept in the folder `steps`, from which an interrupted one goes on.
    """
    search = tune(features, split, dataset, entry.search_options(options.search), resources.progress, kept_in=steps)
    with phase(resources.progress, "checks"):
        pooled = features.pooled(search.pooling)
        calibration = predict_calibration(search, pooled, split, dataset)
        refusal = make_refusal(search, pooled, split, dataset, calibration)
        parity = measure_parity(
            dataset,
            entry.backbone,
            pooled,
            search.head,
            split.test,
            max_pixels=options.max_pixels,
            resources=resources,
        )
        return Candidate(
            entry=entry,
            features=pooled,
            search=search,
            calibration=calibration,
            refusal=refusal,
            parity=parity,
            traces=find_traces(
                entry.backbone.card,
                read_classifier(entry.backbone),
                features,
                dataset,
                split,
                trained_ids=search.oof_ids,
            ),
            probability_NC=predict(search.head, pooled, split.test),
            strange_N=np.concatenate([refusal.strange(block_BD) for block_BD in pooled.blocks(split.test)]),
        )
