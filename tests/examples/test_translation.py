import numpy as np
import pytest

from examples.translation import SETTINGS, Translator, decode, encode, train

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
