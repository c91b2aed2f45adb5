from vitrail.heads.scores import FORM_OF
from vitrail.search.families import FAMILIES


def test_every_kind_of_head_has_its_trials_and_the_other_way_round():
    assert list(FAMILIES) == list(FORM_OF)
