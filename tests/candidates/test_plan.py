"""Costs of candidates before any work."""

from dataclasses import replace

import pytest

from vitrail.backbones.catalogue import find_card
from vitrail.backbones.select import Wanted
from vitrail.candidates.automatic import AutomaticChoice, ChosenBackbone, LeftOut
from vitrail.candidates.plan import LIST_NOT_HERE, make_plan, say_bytes, say_candidates, say_seconds
from vitrail.candidates.shortlist import ShortlistOptions
from vitrail.core.resources import Resources

SMALL = ChosenBackbone(name="resnet18.tv_in1k", kind="supervised", reason="supervised on imagenet-1k", weights="hub")
FILE = replace(SMALL, name="resnet18.a1_in1k", weights="given folder", recognised="names and shapes", fits=("a", "b"))
CHOICE = AutomaticChoice(
    rule="2 of 3.",
    options=ShortlistOptions(wanted=Wanted()),
    given=(),
    offline=False,
    network="",
    backbones=(SMALL, FILE),
    left_out=(LeftOut(name="x.pth", reason="it is damaged"), LeftOut(name="y.pth", reason="it is damaged")),
)


def test_time_follows_from_multiply_adds_and_downloads_from_parameters():
    plan = make_plan(CHOICE, 500, Resources(cores=1), race="They race.")
    card, (speed,) = find_card("resnet18.tv_in1k"), plan.speeds.values()
    assert plan.download_bytes == 4 * card.parameters  # the file is here
    assert [each.seconds for each in plan.backbones] == [pytest.approx(500 * card.gmacs / speed.gmacs_per_s)] * 2
    assert plan.seconds == pytest.approx(1000 * card.gmacs / speed.gmacs_per_s)


def test_the_time_of_networks_that_were_measured_follows_from_their_measurements():
    choice = replace(CHOICE, backbones=(replace(SMALL, ms=20.0), replace(FILE, ms=30.0)))
    plan = make_plan(choice, 500, Resources(cores=1), race="They race.")
    assert (plan.seconds, plan.speeds) == (pytest.approx(25.0), {})
    *_, cost, race = say_candidates(plan)
    assert race == "They race."
    assert "about 25 s in the networks for 500 images, from the times measured for --max-ms." in cost


def test_without_a_number_of_images_nothing_is_measured_and_the_plan_says_why_there_is_no_time():
    plan = make_plan(CHOICE, LIST_NOT_HERE, Resources(), race="They race.")
    assert (plan.seconds, plan.speeds) == (None, {})
    lines = list(say_candidates(plan))
    assert lines == [
        "2 of 3.",
        "1. resnet18.tv_in1k: supervised on imagenet-1k; about 45 MB to download",
        "2. resnet18.a1_in1k: supervised on imagenet-1k; a given file, by names and shapes (as well for a, b)",
        "Names and shapes of tensors are no proof of what a file is: -b NAME=FILE says it. Nobody states origin and "
        "licence of such a file.",
        "Left out (it is damaged): x.pth, y.pth.",
        "Estimate: about 45 MB to download. There is no estimate of the time: the list of the images is not on this "
        "machine, and a plan downloads nothing.",
        "They race.",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (40.4, "40 s"), (100, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_a_time_is_said_to_the_accuracy_of_an_estimate(seconds, text):
    assert say_seconds(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(100, "1 MB"), (344e6, "344 MB"), (1.25e9, "1.2 GB")])
def test_amounts_of_bytes(count, text):
    assert say_bytes(count) == text
