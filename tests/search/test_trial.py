from dataclasses import replace

import numpy as np
import pytest

from tests.heads.test_head import fitted
from vitrail.heads import Linear
from vitrail.search import Resplit, Search, Trial, spread_of


def test_the_digest_sees_every_bit_of_the_head_and_not_the_clock():
    head, _ = fitted("logistic")
    trial = Trial(
        kind="logistic",
        setting={"C": 1.0},
        val_nll=1,
        val_nll_se=0.1,
        val_accuracy=0.5,
        val_balanced_accuracy=0.5,
        weight_norm=1,
        seconds=1,
    )
    search = Search(
        backbone="a",
        pooling="cls",
        trials=(trial,),
        winner=trial,
        head=head,
        oof_ids=(),
        oof_probability_NC=np.zeros((0, 3)),
        curve=(),
        seeds=(),
        resplits=(),
        few_shot=(),
        subsets=None,
        kept=0,
        label_curves=(),
        without=(),
        ended_early=False,
        streamed=False,
        notes=(),
        seconds=1,
        user_s=1,
    )
    tensors = head.tensors()
    tensors["bias"][0] = np.nextafter(tensors["bias"][0], np.float32(10))
    moved = replace(head, scores=Linear(weight_CD=tensors["weight"], bias_C=tensors["bias"]))
    assert replace(search, seconds=2).digest == search.digest
    assert replace(search, head=moved).digest != search.digest
    assert replace(search, head=replace(head, temperature=1.8)).digest != search.digest


def test_the_spread_is_the_deviation_over_splits_with_that_of_the_draw_of_val_beside_it():
    label_M = np.zeros(100, dtype=np.int64)
    resplits = [
        Resplit(number=k, ids=tuple(map(str, range(100))), label_M=label_M, predicted_M=(np.arange(100) >= right) * 1)
        for k, right in enumerate((80, 90))
    ]
    spread = spread_of(resplits, 400)
    assert spread.accuracies == (0.8, 0.9)
    assert (spread.mean, spread.deviation) == pytest.approx((0.85, np.std([0.8, 0.9], ddof=1)))
    assert spread.sampling == pytest.approx((0.85 * 0.15 / 100 * 0.75) ** 0.5)
    assert spread_of([], 400) is None


def test_of_a_setting_that_learns_nothing_the_spread_is_the_draw_of_val_alone():
    """Answers that are right for 70% whatever was learnt, and splits of one pool, a quarter each."""
    draws = np.random.default_rng(1)
    right_N = draws.random(4000) < 0.7
    resplits = []
    for number in range(200):
        rows = draws.permutation(4000)[:1000]
        resplits.append(
            Resplit(
                number=number,
                ids=tuple(map(str, rows)),
                label_M=np.ones(1000, dtype=np.int64),
                predicted_M=right_N[rows].astype(np.int64),
            )
        )
    spread = spread_of(resplits, 4000)
    assert spread.deviation == pytest.approx(spread.sampling, rel=0.12)
    assert abs(spread.deviation / (0.7 * 0.3 / 1000) ** 0.5 - 1) > 0.06  # the twin: as if val came from everywhere
