"""What a run says of other training images, against heads that are trained on images left out.

Fresh pools as large as the run's train and val, with as many images of each class, are drawn from the images left out,
and the setting that the search chose is fitted on them; the rest of the images left out score these heads. A mean over
the pools stands for the average over trainings. For the label forecast as many more images of each class are added to
the run's own, and to the pools.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.backtest_score import Notes
from vitrail.data import Split
from vitrail.evaluation import Verdict
from vitrail.heads import Head, probabilities
from vitrail.heads.scores import Neighbours, unit
from vitrail.search import LabelForecast, Search, TuneOptions
from vitrail.search.examples import Examples
from vitrail.search.finish import refit
from vitrail.search.scored_trial import ScoredTrial

if TYPE_CHECKING:
    from benchmarks.backtest import World

# Letters: N images of a run, M images left out, D features, P images of a pool, S images that score, K backbones.

POOLS = 4  # pairs of fresh pools
SCORED = 2_500  # images left out, at most, that score the heads of a pair


def score_training(
    notes: Notes,
    told: Verdict,
    true: Verdict,
    searches: Mapping[str, Search],
    world: "World",
    split: Split,
    draws: np.random.Generator,
) -> None:
    """Label forecasts, the average over trainings, and what is said of leads over trainings.

    `true` has the answers of the run's own heads on the images left out.
    """
    learnt = np.array([int(id_, 16) for id_ in (*split.train, *split.val)])
    cuts = [_cut_rest(world, world.label_N[learnt], draws) for _ in range(POOLS)]
    own = {one.name: one.probability_NC.argmax(axis=1) == one.label_N for one in true.predictions}
    right = {name: _Trained(searches[name], world.rows[name], world, learnt, own[name], cuts) for name in searches}
    for name, trained in right.items():
        curves = searches[name].label_curves  # none where an eighth of a class is less than an image
        _score_forecast(notes, curves[0].forecast if curves else None, trained)
    expected = {name: float(np.mean(trained.fresh)) for name, trained in right.items()}
    for backbone in told.backbones:
        assert backbone.retraining is not None
        trained = right[backbone.name]
        notes.interval("retrained", backbone.retraining.accuracy, expected[backbone.name])
        notes.interval("retrained by the test alone", backbone.test.top1, expected[backbone.name])
        notes.measure("variance stated", backbone.retraining.deviation**2)
        for one, other, noise in trained.twins:
            notes.measure("variance true", ((one - other) ** 2 - noise) / 2)
    could_turn = {(pair.a, pair.b): pair.could_turn for pair in told.retrained}
    wrong = {True: False, False: False}
    for pair in told.pairs:
        if pair.conclusion not in ("a is better", "b is better"):
            continue
        lead = expected[pair.a] - expected[pair.b]
        holds = lead > 0 if pair.conclusion == "a is better" else lead < 0
        warned = could_turn[pair.a, pair.b]
        notes.claim("beats with a warning, over trainings" if warned else "beats over trainings", holds)
        wrong[warned] |= not holds
    notes.claim("no false beats over trainings", not wrong[False])
    notes.claim("no false beats over trainings, warned or not", not (wrong[False] or wrong[True]))


def _cut_rest(world: "World", label_P: np.ndarray, draws: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Two pools with as many images of each class as the run learnt from, and the images that score, as rows.

    Where a class has few images left, a third of them goes into each.
    """
    first, second, score = [], [], []
    for label, count in enumerate(np.bincount(label_P)):
        rows = draws.permutation(np.flatnonzero(world.rest_M == label))
        taken = min(int(count), len(rows) // 3)
        first.append(rows[:taken])
        second.append(rows[taken : 2 * taken])
        score.append(rows[2 * taken :])
    return np.concatenate(first), np.concatenate(second), draws.permutation(np.concatenate(score))[:SCORED]


class _Trained:
    """Accuracies of one backbone's setting after other trainings, on images left out that none of them learnt from.

    `fresh` are those of heads of fresh pools, `twins` those of both pools of a cut and the variance that drawing the
    scoring images gives their difference, `grown` the gains of the run's own head and `gains` those of pools, when as
    many images are added. `own_M` says which images left out the run's own head gets right.
    """

    def __init__(
        self,
        search: Search,
        rows: tuple[np.ndarray, np.ndarray],
        world: "World",
        learnt: np.ndarray,
        own_M: np.ndarray,
        cuts: list[tuple[np.ndarray, ...]],
    ) -> None:
        row_ND, rest_MD = rows
        own, own_N = row_ND[learnt], world.label_N[learnt]
        classes = len(search.head.classes)
        self.fresh: list[float] = []
        self.twins: list[tuple[float, float, float]] = []
        self.grown: list[float] = []
        self.gains: list[float] = []

        def right(head: Head, score: np.ndarray) -> np.ndarray:
            return _answer(head, rest_MD[score]) == world.rest_M[score]

        def fit(feature_PD: np.ndarray, label_P: np.ndarray) -> Head:
            return _fit_again(search, feature_PD, label_P, classes)

        for first, second, score in cuts:
            both = np.concatenate([first, second])
            one_S, two_S = (right(fit(rest_MD[pool], world.rest_M[pool]), score) for pool in (first, second))
            twice_S = right(fit(rest_MD[both], world.rest_M[both]), score)
            grown = fit(np.concatenate([own, rest_MD[first]]), np.concatenate([own_N, world.rest_M[first]]))
            one, two = float(one_S.mean()), float(two_S.mean())
            self.fresh += [one, two]
            lead_S = one_S.astype(float) - two_S
            self.twins.append((one, two, float(lead_S.var(ddof=1)) / len(score)))
            self.gains.append(float(twice_S.mean()) - (one + two) / 2)
            self.grown.append(float(right(grown, score).mean() - own_M[score].mean()))


def _answer(head: Head, feature_SD: np.ndarray) -> np.ndarray:
    """The class of each image. Neighbours vote by products in float32 alone: an order that rounding decides may differ.

    The head's own scores compare the nearest once more in float64, which takes longer than all else together.
    """
    if not isinstance(head.scores, Neighbours):
        return probabilities(head, feature_SD).argmax(axis=1)
    votes, k = head.scores, int(head.scores.k_1[0])
    cosine_SP = unit(head.scaling.exact(feature_SD)).astype(np.float32) @ votes.row_MD.T
    near_Sk = np.argpartition(-cosine_SP, k - 1, axis=1)[:, :k]
    vote_Sk = np.exp(np.take_along_axis(cosine_SP, near_Sk, axis=1) / float(votes.width_1[0]))
    share_SC = np.zeros((len(feature_SD), len(votes.prior_C)))
    np.add.at(share_SC, (np.arange(len(feature_SD))[:, None], votes.label_M[near_Sk]), vote_Sk)
    share_SC /= vote_Sk.sum(axis=1, keepdims=True)
    return (k * share_SC + votes.prior_C).argmax(axis=1)


def _fit_again(search: Search, feature_PD: np.ndarray, label_P: np.ndarray, classes: int) -> Head:
    """The setting of a search on other images."""
    won = search.winner
    winner = ScoredTrial(
        kind=won.kind,
        setting=won.setting,
        nll_S=np.zeros(1),
        right_S=np.ones(1, dtype=bool),
        weight_norm=won.weight_norm,
        epochs=int(search.head.setting.get("epochs", 0)),
        curve=(),
        seconds=0.0,
    )
    ids = tuple(map(str, range(len(label_P))))
    row_P = np.arange(len(label_P))
    examples = Examples(ids, np.ascontiguousarray(feature_PD), label_P, row_P, classes, (), ())
    return refit(
        examples, row_P, winner, TuneOptions(), classes=search.head.classes, temperature=search.head.temperature
    )


def _score_forecast(notes: Notes, forecast: LabelForecast | None, trained: _Trained) -> None:
    notes.claim("forecast given", forecast is not None)
    if forecast is None:
        return
    width = forecast.high - forecast.low
    for key, gains in (("forecast", trained.gains), ("forecast of this head", trained.grown)):
        notes.claim(key, forecast.low <= float(np.mean(gains)) <= forecast.high, width)
    notes.measure("gain forecast", forecast.gain)
    notes.measure("gain true", float(np.mean(trained.gains)))
    notes.measure("noise of the gain", float(np.var(trained.gains, ddof=1)) / len(trained.gains))
    notes.measure("noise of this gain", float(np.var(trained.grown, ddof=1)) / len(trained.grown))
    notes.measure("gain true of this head", float(np.mean(trained.grown)))
