from pathlib import Path

import numpy as np
import pytest

from tests.pictures import draw_folder
from tests.test_benchmark import QUICK
from vitrail.api import load_run
from vitrail.backbones import open_backbone, parse_spec
from vitrail.benchmark import bench
from vitrail.candidates.deck import NOT_EQUALISED
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.recipes import RECIPES, check_recipes, make_entries
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent


@pytest.fixture
def backbones():
    return [open_backbone(parse_spec(name), progress=Silent()) for name in ("vit_mini", "resnet_mini")]


def test_the_first_recipe_has_the_plain_names(backbones):
    assert [one.backbone.name for one in make_entries(backbones, ["deck"])] == ["vit_mini", "resnet_mini"]
    both = [one.backbone.name for one in make_entries(backbones, ["default", "deck"])]
    assert both == ["vit_mini", "resnet_mini", "vit_mini+deck", "resnet_mini+deck"]


def test_the_decks_recipe_equalises_and_drops_only_on_convolutional_networks(backbones):
    plain, _, vit, resnet = make_entries(backbones, ["default", "deck"])
    assert plain.search_options(QUICK) is QUICK
    assert not plain.backbone.card.preprocessing.equalise
    for entry in (vit, resnet):
        tried = entry.search_options(QUICK)
        assert entry.backbone.card.preprocessing.equalise
        assert (tried.kinds, tried.batch, tried.patience, tried.refit) == (("softmax",), 24, 5, False)
        assert (tried.optimisers, tried.rungs) == (("rmsprop",), ())
    assert vit.search_options(QUICK).dropouts == (0.0,)
    assert (min(resnet.search_options(QUICK).dropouts), max(resnet.search_options(QUICK).dropouts)) == (0.5, 0.8)


def test_differences_from_the_deck_are_listed(backbones):
    plain, _, vit, resnet = make_entries(backbones, ["default", "deck"])
    assert plain.departures == ()
    assert any("ViT-S/16" in departure.sentence for departure in vit.departures)
    assert any("ResNet50" in departure.sentence for departure in resnet.departures)


def test_without_equalising_only_the_pixels_differ_from_the_decks_recipe(backbones):
    plain, deck, without = (make_entries(backbones[:1], [recipe])[0] for recipe in RECIPES)
    assert without.search_options(QUICK) == deck.search_options(QUICK)
    assert not without.backbone.card.preprocessing.equalise
    assert without.backbone.card == plain.backbone.card
    assert [one.sentence for one in without.departures if one not in deck.departures] == [NOT_EQUALISED.sentence]


@pytest.mark.parametrize("recipes", [(), ("deck", "deck"), ("soup",)])
def test_invalid_recipes_are_refused(recipes):
    with pytest.raises(UsageError, match="Invalid recipes"):
        check_recipes(recipes)


def test_both_recipes_in_one_run_are_judged_on_the_same_images_and_predict(tmp_path: Path):
    data = draw_folder(tmp_path / "pictures", per_class=20)
    options = BenchOptions(search=QUICK, recipes=("default", "deck"))
    run = bench(data, ["resnet_mini"], out=tmp_path / "run", options=options)
    default, deck = run.results.backbones
    assert (default.name, deck.name) == ("resnet_mini", "resnet_mini+deck")
    assert (default.recipe, deck.recipe) == ("default", "deck")
    assert default.feature_key != deck.feature_key
    assert deck.search.winner.kind == "softmax"
    assert deck.departures
    assert len(run.results.pairs) == 1
    assert run.results.split.test_openings == 1
    predictor = load_run(run.folder).predictor("resnet_mini+deck")
    assert predictor.backbone.card.preprocessing.equalise
    tested = run.predictions("resnet_mini+deck")
    found = predictor.predict([data])
    shown = {round(float(p), 4) for p in tested.probability_NC.max(axis=1)}
    assert shown <= {round(one.probability, 4) for one in found}
    assert np.isfinite([one.probability for one in found]).all()
