"""One backbone under one recipe: from its features to everything known of it while the test labels are sealed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.classifier import read_classifier
from vitrail.candidates.decoding import Decoding, decode_as, decoding_in_words
from vitrail.candidates.leave_out import predict_new_values
from vitrail.candidates.opening import Prepared
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.parity import Parity, measure_parity
from vitrail.candidates.recipes import Entry
from vitrail.candidates.shift import compare_with_training
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
from vitrail.statistics.two_samples import TwoSamples

# Letters: N test examples, M of these, C classes.


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """Everything known about one backbone before the test labels are opened.

    `features` give the pooling that the head takes. `calibration` is the head's predictions for the calibration split,
    if there is one; `parity` compares a reduced precision with float32, if one ran, and `decoding` a reduced decode
    with a full one, if that was tried. `strange_N` are the test images that look unlike the training images.
    `new_probability_MC` are the answers of heads that never saw the value of an image, for the judged images of a
    `LeaveOutPlan`; `shift` compares the features of test and training images, if the test was given.
    """

    entry: Entry
    features: Features = field(repr=False)
    search: Search = field(repr=False)
    calibration: Predictions | None = field(repr=False)
    refusal: Refusal = field(repr=False)
    parity: Parity | None
    decoding: Decoding | None
    traces: Traces = field(repr=False)
    probability_NC: NDArray[np.float64] = field(repr=False)
    strange_N: NDArray[np.bool_] = field(repr=False)
    new_probability_MC: NDArray[np.float64] | None = field(repr=False)
    shift: TwoSamples | None

    @property
    def name(self) -> str:
        """The name of the backbone, with its recipe after the first."""
        return self.entry.backbone.name

    @property
    def digest(self) -> str:
        """A digest of every choice that was made for it."""
        return fingerprint([self.search.digest, self.refusal.digest])


def make_candidates(
    prepared: Prepared,
    dataset: Dataset,
    split: Split,
    options: BenchOptions,
    *,
    resources: Resources,
    steps: Callable[[str], Path],
) -> tuple[Candidate, ...]:
    """A candidate for every entry. Where a reduced decode chosen by "auto" changed an answer, images are decoded whole.

    `steps` gives the folder of a name in which finished steps of its search are kept.
    """
    make = partial(make_candidate, dataset=dataset, split=split, options=options, resources=resources)
    candidates = []
    for entry, features in zip(prepared.entries, prepared.extraction.features, strict=True):
        candidate = make(entry, features, steps=steps(entry.backbone.name))
        if options.decode == "auto" and candidate.decoding is not None and candidate.decoding.changed:
            resources.progress.note(
                f"{candidate.name}: {decoding_in_words(candidate.decoding, 'exact')}. Its features are computed again."
            )
            exact = replace(entry, backbone=decode_as(entry.backbone, "exact"))
            (again,) = prepared.extract_again([exact.backbone]).features
            on_whole_images = make(exact, again, steps=steps(f"{entry.backbone.name} exact"))
            candidate = replace(on_whole_images, decoding=candidate.decoding)
        candidates.append(candidate)
    return tuple(candidates)


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

    Finished steps of the search are kept in the folder `steps`, so that an interrupted search can continue.
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
        decoding = None if entry.both_ways is None else entry.both_ways.decoding
        if entry.both_ways is not None and entry.backbone.card.preprocessing.decode == "fast":
            decoding = entry.both_ways.with_answers(search.head, search.pooling)
        return Candidate(
            entry=entry,
            features=pooled,
            search=search,
            calibration=calibration,
            refusal=refusal,
            parity=parity,
            decoding=decoding,
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
            new_probability_MC=predict_new_values(search, pooled, dataset, split, options.search.leave_out),
            shift=compare_with_training(pooled, dataset, split, seed=options.seed),
        )
