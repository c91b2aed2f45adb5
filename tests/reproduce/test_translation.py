import numpy as np
import pytest

from vitrail.reproduce.translation import RECIPES, Translator, decode, encode, train

KINDS = sorted(RECIPES)


def test_texts_come_back_from_their_tokens():
    texts = ["2026-07-04", "le 1er août 2026"]
    assert decode(encode(texts)) == texts


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_already_lower_the_loss(kind):
    losses = train(Translator(RECIPES[kind]), steps=25)
    assert np.mean(losses[-5:]) < 0.85 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_network_looked_sums_to_one_for_each_character(kind):
    looked = Translator(RECIPES[kind]).look("4 July 2026")
    assert looked.weights.shape[2] == len("4 July 2026") + 1
    np.testing.assert_allclose(looked.weights.sum(axis=2), 1, rtol=1e-5)
