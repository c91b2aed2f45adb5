import numpy as np
import pytest

from examples.dates import draw_pairs
from examples.translation import SETTINGS, Translator, decode, encode, exact_match, train

KINDS = sorted(SETTINGS)


def test_texts_come_back_from_their_tokens():
    texts = ["2026-07-04", "le 1er août 2026"]
    assert decode(encode(texts)) == texts


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_already_lower_the_loss(kind):
    losses = train(Translator(SETTINGS[kind]), steps=25)
    assert np.mean(losses[-5:]) < 0.85 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_attention_weights_sum_to_one_for_each_character(kind):
    translation = Translator(SETTINGS[kind]).translate_with_weights("4 July 2026")
    assert translation.weights.shape[2] == len("4 July 2026") + 1
    np.testing.assert_allclose(translation.weights.sum(axis=2), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_after_the_full_training_a_network_translates_unseen_dates(kind):
    translator = Translator(SETTINGS[kind])
    losses = train(translator)
    assert len(losses) == SETTINGS[kind].steps
    unseen = draw_pairs(500, split="test", generator=np.random.default_rng(0))
    assert exact_match(translator, unseen) >= 0.99
