"""Candidates that are too slow on this machine, and what is measured to know it."""

from functools import partial

import pytest

from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.select import Wanted
from vitrail.candidates import BenchOptions
from vitrail.candidates.automatic import BackboneChoice, choose_backbones
from vitrail.candidates.shortlist import ShortlistOptions, make_shortlist
from vitrail.candidates.speed_limit import choose_within, say_limit
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.features.network_speed import FOLDER, NetworkSpeed

pytestmark = pytest.mark.usefixtures("images_here")

CATALOGUE = list(load_catalogue().values())


class Stopwatch:
    """A machine on which a multiply-add takes so long, and a count of what was measured."""

    def __init__(self, ms_per_gmac: float) -> None:
        self.ms_per_gmac, self.measured = ms_per_gmac, list[str]()

    def __call__(self, card: Card) -> NetworkSpeed:
        self.measured.append(card.name)
        ms = self.ms_per_gmac * card.gmacs
        return NetworkSpeed(network=card.name, ms=ms, how="torch fp32", processor="a processor", created="2026-11-30")


@pytest.mark.parametrize("limit", [1.0, 2.5, 4.0, 8.0, 17.0, 100.0])
@pytest.mark.parametrize("candidates", [1, 5, 12])
def test_the_outcome_is_that_of_measuring_everything_though_less_is_measured(limit: float, candidates: int):
    choose = partial(make_shortlist, wanted=Wanted(), candidates=candidates)
    watch = Stopwatch(1.0)
    shortlist, measured = choose_within(limit, CATALOGUE, choose, watch, Silent())
    fast = [card for card in CATALOGUE if card.gmacs <= limit]
    assert shortlist.cards == choose(fast).cards
    assert len(set(watch.measured)) == len(watch.measured) == len(measured.speeds)
    assert {name for name in measured.speeds if name not in measured.too_slow} == {
        card.name for card in shortlist.cards
    }
    if limit == 100:
        assert len(watch.measured) == len(shortlist.cards)


def test_if_all_are_too_slow_the_error_names_the_fastest():
    choose = partial(make_shortlist, wanted=Wanted(), candidates=3)
    with pytest.raises(UsageError, match=r"at most 0\.001 ms .* The fastest of \d+ .* ms: raise --max-ms"):
        choose_within(0.001, CATALOGUE, choose, Stopwatch(1.0), Silent())
    with pytest.raises(UsageError, match="allow larger networks"):
        choose_within(1.0, [], choose, Stopwatch(1.0), Silent())


def test_the_limit_is_said_with_how_it_was_measured():
    choose = partial(make_shortlist, wanted=Wanted(), candidates=3)
    _, measured = choose_within(5, CATALOGUE, choose, Stopwatch(1.0), Silent())
    assert say_limit(measured) == (
        "Each takes at most 5 ms an image in its network on this machine, as measured with random weights (torch fp32)."
    )


def test_a_measured_limit_excludes_with_its_reason_and_is_the_same_next_time(mini_weights, tmp_path):
    resources = Resources(weights_dir=mini_weights, offline=True, cores=1, cache=tmp_path / "cache")

    def choose(max_ms: float) -> BackboneChoice:
        options = BenchOptions(shortlist=ShortlistOptions(max_ms=max_ms), engine="torch")
        return choose_backbones("images", (), options, resources)

    both = choose(10_000).automatic
    (fast, fast_ms), (slow, slow_ms) = sorted(((each.name, each.ms) for each in both.backbones), key=lambda row: row[1])
    limit = (fast_ms + slow_ms) / 2
    files = {path: path.read_bytes() for path in (resources.cache / FOLDER).iterdir()}
    first, again = choose(limit), choose(limit)
    assert first == again
    assert {path: path.read_bytes() for path in (resources.cache / FOLDER).iterdir()} == files
    assert [(each.name, each.ms) for each in first.automatic.backbones] == [(fast, fast_ms)]
    (left_out,) = (each for each in first.automatic.left_out if each.ms is not None)
    assert (left_out.name, left_out.ms) == (slow, slow_ms)
    assert left_out.reason == f"more than {limit:g} ms an image on this machine"
    assert f"Each takes at most {limit:g} ms an image in its network on this machine" in first.automatic.rule
    assert not any(each.name.endswith("safetensors") for each in first.automatic.left_out)
    with pytest.raises(UsageError, match="raise --max-ms"):
        choose(fast_ms / 2)


def test_int8_cannot_be_measured_before_there_are_images(mini_weights, tmp_path):
    pytest.importorskip("nncf")
    options = BenchOptions(shortlist=ShortlistOptions(max_ms=5), precision="int8")
    resources = Resources(weights_dir=mini_weights, offline=True, cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="cannot be measured in int8"):
        choose_backbones("images", (), options, resources)
