import inspect

import numpy as np
import pytest

from vitrail import api
from vitrail.candidates import BenchOptions, make_options
from vitrail.candidates.flags import read_margin, read_seconds
from vitrail.cli.bench import bench as bench_command
from vitrail.core.errors import UsageError


@pytest.mark.parametrize("margin", ["1pt", "1", "1%", " 1 pt", "1.0PT", "1 points", 1, 1.0, np.float32(1)])
def test_a_margin_is_points_however_it_is_written(margin: str | float):
    assert read_margin(margin) == 0.01


def test_a_margin_that_is_not_a_number_is_refused_with_an_example():
    with pytest.raises(UsageError, match="--margin 'one' cannot be used: give points of accuracy, such as 1pt"):
        read_margin("one")


@pytest.mark.parametrize("margin", ["0.01", 0.01, 0.05])
def test_a_bare_margin_that_looks_like_a_fraction_is_refused_in_points(margin: str | float):
    with pytest.raises(UsageError, match=r"in points, not a fraction; give [15]pt, or 0\.0[15]pt if you mean that"):
        read_margin(margin)
    assert read_margin("0.01pt") == 0.0001


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90", 90), (90, 90), (0.5, 0.5), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("1.5m", 90), ("1h1m1s", 3661)],
)
def test_a_time_is_read_as_people_write_it(text: str | float, wanted: float):
    assert read_seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "soon", "2 minutes", "m", "-3", "3m2h", "0", 0, -1, float("nan")])
def test_an_invalid_time_is_refused_with_an_example(text: str | float):
    with pytest.raises(UsageError, match=r"--budget .* cannot be used: give a time .* 2m"):
        read_seconds(text)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"margin": 200}, "--margin 200 cannot be used: give more than 0 and less than 100 points"),
        ({"margin": "nan"}, "--margin nan cannot be used: give more than 0"),
        ({"max_ms": 0}, r"--max-ms 0 \(max_ms in Python\) cannot be used: give milliseconds an image, more than 0"),
        ({"max_ms": float("nan")}, "--max-ms nan"),
        ({"race_budget": 0}, r"--race-budget 0 \(race_budget in Python\) cannot be used: give a share of the multiply"),
        ({"race_budget": 1.5}, r"--race-budget 1\.5 .* more than 0 and at most 1, such as 0\.25"),
        ({"level": 95}, "--level 95 cannot be used: give a confidence level between 0 and 1, such as 0.95"),
        ({"level": "0.95"}, "--level 0.95 cannot be used"),
        ({"decide_by": "luck"}, r"--decide-by 'luck' \(decide_by in Python\) cannot be used: choose top1 or balanced"),
        ({"choose_by": "luck"}, r"--choose-by 'luck' \(choose_by in Python\) cannot be used: choose nll or accuracy"),
        ({"engine": "abacus"}, "--engine 'abacus' cannot be used: choose auto, torch, torch-compile or openvino"),
        ({"precision": "fp8"}, "--precision 'fp8' cannot be used: choose auto, fp32, bf16, fp16 or int8"),
        ({"decode": "quick"}, "--decode 'quick' cannot be used: choose auto, exact or fast"),
        (
            {"recipe": "fancy"},
            "--recipe fancy cannot be used: give default, deck or deck-no-equalise, each at most once",
        ),
        ({"recipe": ()}, "--recipe nothing cannot be used"),
        ({"recipe": ("deck", "deck")}, "--recipe deck, deck cannot be used"),
        ({"trials": 0}, "--trials 0 cannot be used: give a whole number, 1 or more"),
        ({"trials": 1.5}, "--trials 1.5 cannot be used"),
        ({"seed": -1}, "--seed -1 cannot be used: give a whole number, 0 or more"),
        ({"seed": float("nan")}, "--seed nan cannot be used"),
        ({"calibration": 0.6}, "--calibration 0.6 cannot be used: give a fraction of the images below the 0.6"),
        ({"max_megapixels": 0}, r"--max-megapixels 0 \(max_megapixels in Python\) cannot be used: give 0.01 or more"),
        ({"max_megapixels": float("inf")}, "--max-megapixels inf"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_flag_and_in_its_unit(keywords: dict, message: str):
    with pytest.raises(UsageError, match=message):
        make_options(**keywords)


def test_a_flag_or_keyword_becomes_the_option_it_names():
    trials = np.int64(3)
    options = make_options(margin=2, recipe="deck", budget="2m", trials=trials, slices="site", max_megapixels=0.5)
    assert (options.margin, options.recipes, options.slices, options.max_pixels) == (
        0.02,
        ("deck",),
        ("site",),
        500_000,
    )
    assert (options.search.budget_s, options.search.trials) == (120, 3)
    assert make_options() == BenchOptions()


def test_command_python_and_options_have_the_same_names_and_defaults():
    keywords = inspect.signature(make_options).parameters
    python = inspect.signature(api.bench).parameters
    command = inspect.signature(bench_command).parameters
    lists = {"recipe": None, "slices": None}  # typer's empty list
    assert [name for name in python if name in keywords] == list(keywords)
    for name, parameter in keywords.items():
        assert python[name].default == parameter.default, name
        assert command[name].default == lists.get(name, parameter.default), name
    of_the_terminal = {"part", "plan", "as_json", "quiet", "debug", "details", "help_all"}
    assert set(command) - of_the_terminal == {*python, "backbone"} - {"backbones", "progress"}
