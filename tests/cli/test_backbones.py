import json
import subprocess
import sys

import pytest

from vitrail.backbones.catalogue import load_catalogue
from vitrail.cli.main import _run


def listed(capsys, *arguments: str) -> list[dict]:
    assert _run(["backbones", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_cards_are_listed_in_words_and_as_json(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert {card["name"] for card in listed(capsys)} == set(load_catalogue())
    assert _run(["backbones"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in load_catalogue())
    assert "imagenet-21k, imagenet-1k" in shown


@pytest.mark.parametrize("width", [50, 80, 120])
def test_every_name_stands_whole_at_the_start_of_its_line(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert _run(["backbones"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : len(load_catalogue()) + 1]] == list(load_catalogue())
    assert max(map(len, lines)) <= width
    assert ("Apache-2.0" in lines[1]) is (width >= 80)
    assert ("imagenet-21k" in lines[1]) is (width >= 120)
    assert "dinov2-s, " in " ".join(lines)


def test_a_short_name_is_explained_with_what_was_taken_for_it(capsys):
    assert _run(["backbones", "dinov2-s"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("dinov2-s is short for vit_small_patch14_dinov2.lvd142m@224 (")
    assert "21,628,800" in shown


def test_filters_and_order_go_together(capsys):
    asked = ["--licence", "commercial", "--max-params", "30M", "--pretrained-on", "lvd-142m", "--sort", "gmacs"]
    assert [card["name"] for card in listed(capsys, *asked)] == [
        "vit_small_patch14_dinov2.lvd142m@224",
        "vit_small_patch14_reg4_dinov2.lvd142m@224",
        "vit_small_patch14_dinov2.lvd142m",
        "vit_small_patch14_reg4_dinov2.lvd142m",
    ]


def test_filters_that_leave_nothing_say_so(capsys):
    assert _run(["backbones", "--max-params", "3"]) == 0
    assert "leave out a condition" in capsys.readouterr().out


def test_one_is_explained_with_its_sources(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert _run(["backbones", "vit_small_patch14_dinov2.lvd142m@224"]) == 0
    shown = capsys.readouterr().out
    for fact in (
        "form DINOv2",
        "21,628,800",
        "6.124 G at 224 x 224",
        "FlopCounterMode",
        "short side to 256 bicubic with antialiasing, centre crop 224",
        "384 wide, pooling cls (also mean, cls+mean)",
        "bicubic-offset",
        "norm eps 1e-06",
        "commercial use: yes",
        "imagenet-21k, lvd-142m",
        "table 15",
    ):
        assert fact in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["vit_small_patch"], "these match: vit_small_patch16_224"),
        (["vit_mimi"], "similar names are vit_mini"),
        (["--licence", "GPL"], "Choose one of: commercial, "),
        (["--max-params", "lots"], "30M"),
    ],
)
def test_a_miss_is_answered_with_what_there_is(arguments, says, capsys):
    assert _run(["backbones", *arguments]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_neither_list_nor_filter_nor_explanation_loads_torch():
    code = (
        "import sys\nfrom vitrail.cli.main import _run\n"
        "assert _run(['backbones', '--licence', 'commercial', '--sort', 'params']) == 0\n"
        "assert _run(['backbones', 'vit_mini']) == 0\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
