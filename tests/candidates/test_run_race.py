from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from tests.pictures import draw_folder
from vitrail.backbones import BackboneSpec, find_card
from vitrail.backbones.build import build_net
from vitrail.candidates import BackboneChoice, BenchOptions, find_obstacle, hold_race, parse_specs, prepare, race
from vitrail.candidates.automatic import AutomaticChoice
from vitrail.candidates.race_claims import say_claims
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, make_split, open_data
from vitrail.features.one_pass import Computed
from vitrail.search import TuneOptions

NAMES = ("vit_mini", "resnet_mini")


def offline(progress=None):
    """Resources with the cache folder of the test that calls it."""
    return Resources(offline=True, cores=1, progress=progress or Silent())


@pytest.fixture(scope="module")
def digits():
    return make_split(load(open_data(None, offline()), resources=offline()))


@pytest.fixture
def rows(monkeypatch):
    """How often the row of each image was computed."""
    counts = Counter()
    add = Computed.add

    def count(self, batch):
        counts.update(batch.items)
        add(self, batch)

    monkeypatch.setattr(Computed, "add", count)
    return counts


def run(digits, **changes):
    dataset, split, _ = digits
    resources = offline(changes.pop("progress", None))
    return hold_race(parse_specs(NAMES), dataset, split, BenchOptions(**changes), resources=resources)


def count_rows(race):
    """How many rows a race needs: each candidate answers the images of its last look."""
    return sum(max(look.images for look in race.looks if name in look.accuracy) for name in race.candidates)


class StopsAt(Silent):
    """Stops the race like Ctrl-C after so many rows."""

    def __init__(self, rows):
        self.rows = rows

    def advance(self, task, amount=1):
        self.rows -= amount
        if self.rows < 0:
            raise KeyboardInterrupt


def test_the_worse_of_two_leaves_and_the_record_says_what_was_saved(digits):
    held = run(digits)
    race = held.outcome
    assert [departure.name for departure in race.departures] == ["vit_mini"]
    assert held.out == ("vit_mini",)
    assert [spec.name for spec in held.choose(parse_specs(NAMES))] == ["resnet_mini"]
    assert held.claims == say_claims(race)
    worse, better = held.candidates
    assert (worse.images, better.images) == (race.looks[-1].images, 1_797)
    assert held.saved_gmacs == pytest.approx((1_797 - worse.images) * worse.gmacs)
    assert held.saved_seconds == pytest.approx((1_797 - worse.images) * worse.seconds / worse.images)


def test_a_race_that_was_stopped_ends_the_same_and_computes_no_row_twice(digits, rows):
    with pytest.raises(KeyboardInterrupt):
        run(digits, progress=StopsAt(150))
    assert rows.total() > 0
    held = run(digits)
    assert rows.total() == count_rows(held.outcome)
    assert run(digits) == held
    assert rows.total() == count_rows(held.outcome)
    assert max(rows.values()) == len(NAMES)


def test_rows_of_a_race_are_rows_of_the_whole_pass(digits, rows):
    dataset, split, _ = digits
    held = run(digits)
    in_race = rows.total()
    finalists = held.choose(parse_specs(NAMES))
    prepare(finalists, dataset, split, BenchOptions(), data=None, cluster=None, resources=offline())
    assert rows.total() - in_race == 1_797 - held.outcome.looks[-1].images


def test_only_training_images_are_run_and_no_test_label_is_there(digits, rows):
    dataset, split, sealed = digits
    assert dataset.table["label"].null_count == len(split.test)
    run(digits)
    assert set(rows) <= set(split.train)
    assert sealed.opened_with is None


def test_a_budget_ends_the_race_and_nothing_is_claimed_of_those_that_were_still_in_it(digits, monkeypatch):
    monkeypatch.setattr(race, "BEST_FEW", 1)
    held = run(digits, shortlist=ShortlistOptions(race_budget=0.01))
    assert len(held.outcome.looks) == 1
    assert held.outcome.dropped == held.out
    assert len(held.out) == 1
    assert any("nothing is claimed about it" in sentence for sentence in held.claims)


def test_whole_groups_are_left_out(digits):
    dataset, split, sealed = digits
    ids = dataset.table["id"].to_pylist()
    groups = pa.array([f"group {place // 4}" for place in range(len(ids))])
    column = dataset.table.schema.get_field_index("group")
    grouped = replace(dataset, table=dataset.table.set_column(column, dataset.table.schema.field("group"), groups))
    held = run((grouped, split, sealed))
    assert held.outcome.by_group
    assert any("leave-one-group-out" in sentence for sentence in held.claims) == bool(held.outcome.departures)


def test_images_that_cannot_be_decoded_are_replaced_by_others(tmp_path):
    data = draw_folder(tmp_path / "data", per_class=40)
    for path in sorted(data.glob("*/*.png"))[::4]:
        path.write_bytes(path.read_bytes()[:2_000])
    dataset, split, _ = make_split(load(open_data(data, offline()), resources=offline()))
    held = hold_race(parse_specs(NAMES), dataset, split, BenchOptions(), resources=offline())
    assert held.unreadable > 0
    assert held.outcome.images == len(split.train) - held.unreadable
    assert all(accuracy == 1.0 for accuracy in held.outcome.looks[-1].accuracy.values())


def test_too_few_images_of_a_class_for_two_looks(tmp_path):
    for seed, part in enumerate(("train", "val", "test")):
        draw_folder(tmp_path / "data" / part, per_class=4, seed=seed)
    dataset, split, _ = make_split(load(open_data(tmp_path / "data", offline()), resources=offline()))
    assert len(split.train) == 12
    assert hold_race(parse_specs(NAMES), dataset, split, BenchOptions(), resources=offline()) is None


def test_a_backbone_that_is_known_to_have_seen_the_data_races_with_its_like_alone(tmp_path):
    data, card = draw_folder(tmp_path / "data", per_class=24), find_card("mobilenetv4_conv_small.e2400_r224_in1k")
    for number, path in enumerate(sorted(data.glob("*/*.png"))):
        path.rename(path.with_name(f"n01440764_{number}.png"))  # as ImageNet names its training images
    torch.manual_seed(0)
    save_file(build_net(card, classes=1000).state_dict(), tmp_path / "random.safetensors")
    specs = parse_specs([*NAMES, f"{card.name}={tmp_path / 'random.safetensors'}"])
    dataset, split, _ = make_split(load(open_data(data, offline()), resources=offline()))
    held = hold_race(specs, dataset, split, BenchOptions(margin=0.3), resources=offline())
    assert [runner.known for runner in held.candidates] == [False, False, True]
    assert card.name in held.outcome.finalists
    assert all(departure.leader in NAMES for departure in held.outcome.departures)


AUTOMATIC = AutomaticChoice(
    rule="", options=ShortlistOptions(), given=(), offline=True, network="offline", backbones=(), left_out=()
)
FOUR = tuple(BackboneSpec(name=name) for name in ("a", "b", "c", "d"))


@pytest.mark.parametrize(
    ("choice", "options", "train", "cluster", "obstacle"),
    [
        ({}, {}, 1_000, None, ""),
        ({"automatic": None}, {}, 1_000, None, "the backbones were named"),
        ({"specs": FOUR[:3]}, {}, 1_000, None, "3 candidates are too few"),
        ({}, {"recipes": ("default", "deck")}, 1_000, None, "several recipes"),
        ({}, {}, 1_000, "auto", "a cluster"),
        ({}, {"decide_by": "balanced"}, 1_000, None, "plain accuracy"),
        ({}, {"search": TuneOptions(balanced=True)}, 1_000, None, "plain accuracy"),
        ({}, {}, 999, None, "999 training images are too few"),
    ],
)
def test_why_candidates_do_not_race(choice, options, train, cluster, obstacle):
    given = BackboneChoice(**({"specs": FOUR, "automatic": AUTOMATIC} | choice))
    found = find_obstacle(given, BenchOptions(**options), train=train, cluster=cluster)
    assert found == "" if obstacle == "" else obstacle in found
