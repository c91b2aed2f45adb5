from dataclasses import replace

import numpy as np

from tests.heads.test_head import fitted
from vitrail.heads import Linear
from vitrail.search import Search, Trial


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
    one = Search(
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
        label_curves=(),
        ended_early=False,
        seconds=1,
        user_s=1,
    )
    tensors = head.tensors()
    tensors["bias"][0] = np.nextafter(tensors["bias"][0], np.float32(10))
    moved = replace(head, scores=Linear(weight_CD=tensors["weight"], bias_C=tensors["bias"]))
    assert replace(one, seconds=2).digest == one.digest
    assert replace(one, head=moved).digest != one.digest
    assert replace(one, head=replace(head, temperature=1.8)).digest != one.digest
