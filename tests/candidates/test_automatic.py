"""Which backbones take part if nobody names one: by the machine's weights, the network and the conditions."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from vitrail.backbones.catalogue import find_card
from vitrail.backbones.select import Wanted
from vitrail.candidates import BenchOptions
from vitrail.candidates.automatic import BackboneChoice, choose_backbones, say_older_choice
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.core.errors import UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.resources import Resources

pytestmark = pytest.mark.usefixtures("images_here")

OFFLINE = Resources(offline=True)


def choose(resources: Resources, *, backbones=(), data="images", candidates=12, **conditions) -> BackboneChoice:
    shortlist = ShortlistOptions(wanted=Wanted(**conditions), candidates=candidates)
    return choose_backbones(data, backbones, BenchOptions(shortlist=shortlist), resources)


def put_in_hub_cache(name: str) -> None:
    """As another tool leaves published weights there."""
    card = find_card(name)
    repository = Path(constants.HF_HUB_CACHE) / f"models--{card.repository.replace('/', '--')}"
    commit = card.revision or "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "model.safetensors").write_bytes(b"weights")


def test_offline_only_weights_on_this_machine_take_part_and_what_was_left_out_is_named(mini_weights):
    put_in_hub_cache("resnet18.tv_in1k")
    choice = choose(replace(OFFLINE, weights_dir=mini_weights))
    chosen = {each.name: each for each in choice.automatic.backbones}
    assert {name: each.weights for name, each in chosen.items()} == {
        "vit_mini": "given folder",
        "resnet_mini": "given folder",
        "resnet18.tv_in1k": "hub's cache",
    }
    file = mini_weights / "my_vit_mini.safetensors"
    assert chosen["vit_mini"].recognised == "names and shapes"
    assert chosen["vit_mini"].sha256 == sha256_file(file)
    assert f"vit_mini={sha256_file(file)}" in choice.requested
    assert choice.automatic.network == "offline"
    assert choice.automatic.rule.endswith("Only candidates whose weights are on this machine take part: offline.")
    left_out = {each.name for each in choice.automatic.left_out if each.reason == "weights not on this machine"}
    assert left_out
    assert not left_out & set(chosen)


def test_with_a_network_given_weights_come_first_and_others_complete_the_number(hub, mini_weights):
    choice = choose(Resources(weights_dir=mini_weights), candidates=5)
    places = [each.weights for each in choice.automatic.backbones]
    assert places == ["given folder", "given folder", "hub", "hub", "hub"]
    assert (choice.automatic.network, choice.automatic.left_out) == ("", ())
    assert [spec.file is None for spec in choice.specs] == [False, False, True, True, True]


def test_a_hub_that_does_not_answer_is_like_offline_and_the_reason_is_kept(mini_weights, monkeypatch):
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    choice = choose(Resources(weights_dir=mini_weights))
    assert [each.weights for each in choice.automatic.backbones] == ["given folder"] * 2
    assert choice.automatic.network.startswith("no hub can be reached (")
    assert not choice.automatic.offline


def test_without_weights_and_network_one_sentence_says_what_to_do_and_offers_ours():
    with pytest.raises(UsageError) as error:
        choose_backbones("images", (), BenchOptions(), OFFLINE)
    assert str(error.value) == (
        "No weights are on this machine, and offline mode does not allow a download: give a folder that has some with "
        "--weights FOLDER, or run once with a connection; -b vit_mini -b resnet_mini compares our two small ones, "
        "which come with Vitrail."
    )


def test_a_file_that_only_names_and_shapes_describe_meets_no_condition_on_its_origin(mini_weights):
    put_in_hub_cache("resnet18.a1_in1k")
    choice = choose(replace(OFFLINE, weights_dir=mini_weights), pretrained_on="imagenet-1k")
    assert [each.name for each in choice.automatic.backbones] == ["resnet18.a1_in1k"]
    reasons = {each.name: each.reason for each in choice.automatic.left_out}
    assert reasons["my_vit_mini.safetensors"] == "licence and pretraining data not known"


def test_a_given_file_beyond_the_number_or_the_conditions_is_named(mini_weights):
    choice = choose(replace(OFFLINE, weights_dir=mini_weights), candidates=1)
    (chosen,) = choice.automatic.backbones
    reasons = {each.name: each.reason for each in choice.automatic.left_out if each.name.endswith("safetensors")}
    (other,) = {"my_vit_mini.safetensors", "my_resnet_mini.safetensors"} - {f"my_{chosen.name}.safetensors"}
    assert reasons == {other: "it is not among the first 1: --candidates takes more"}
    smaller, larger = sorted(("vit_mini", "resnet_mini"), key=lambda name: find_card(name).parameters)
    small = choose(replace(OFFLINE, weights_dir=mini_weights), max_parameters=find_card(smaller).parameters)
    assert [each.name for each in small.automatic.backbones] == [smaller]
    dropped = {each.name: each.reason for each in small.automatic.left_out}
    assert "does not meet the conditions" in dropped[f"my_{larger}.safetensors"]


def test_the_choice_of_the_first_start_comes_back_from_its_record(hub, mini_weights):
    first = choose(Resources(weights_dir=mini_weights, offline=True))
    now = choose(Resources(weights_dir=mini_weights))
    again = now.as_recorded(first.record())
    assert (again.automatic, again.specs) == (first.automatic, first.specs)
    assert now.as_recorded({}) == now


def test_a_download_between_two_starts_makes_no_other_choice(hub):
    first = choose(Resources(), candidates=2)
    for each in first.automatic.backbones:
        put_in_hub_cache(each.name)
    now = choose(Resources(), candidates=2)
    assert [each.weights for each in now.automatic.backbones] == ["hub's cache"] * 2
    assert say_older_choice(now.as_recorded(first.record()), now) == ""


def test_a_request_is_the_same_whatever_else_is_on_the_machine(mini_weights):
    alone = choose(replace(OFFLINE, weights_dir=mini_weights))
    put_in_hub_cache("resnet18.tv_in1k")
    more = choose(replace(OFFLINE, weights_dir=mini_weights))
    assert alone.requested != more.requested
    assert alone.identity == more.identity
    (mini_weights / "my_vit_mini.safetensors").unlink()
    assert choose(replace(OFFLINE, weights_dir=mini_weights)).identity != alone.identity


def test_names_are_taken_as_they_are_and_the_digits_have_two_of_ours():
    named = choose_backbones("images", ["resnet_mini"], BenchOptions(), OFFLINE)
    assert (named.requested, named.identity, named.automatic) == (("resnet_mini",), ("resnet_mini",), None)
    digits = choose_backbones(None, (), BenchOptions(), OFFLINE)
    assert digits.requested == ("vit_mini", "resnet_mini")


def test_auto_is_the_catalogue_for_the_digits_too(mini_weights):
    choice = choose(replace(OFFLINE, weights_dir=mini_weights), backbones=("auto",), data=None)
    assert len(choice.automatic.backbones) == 2


def test_names_and_a_request_for_candidates_exclude_each_other(mini_weights):
    with pytest.raises(UsageError, match="give it alone, or names alone"):
        choose_backbones("images", ["auto", "vit_mini"], BenchOptions(), OFFLINE)
    with pytest.raises(UsageError, match="-b NAME=FILE"):
        choose_backbones("images", ["vit_mini"], BenchOptions(), replace(OFFLINE, weights_dir=mini_weights))
    with pytest.raises(UsageError, match="the digits have two of ours"):
        choose(OFFLINE, data=None, licence="commercial")
