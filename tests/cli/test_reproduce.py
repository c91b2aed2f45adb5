import json
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from vitrail.cli.deck_closing import draw_bars
from vitrail.cli.main import _run
from vitrail.runs import load_run


def test_table_1_is_printed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert _run(["reproduce", "table1"]) == 0
    shown = capsys.readouterr().out
    assert "ViT-Huge/14       32   1280  5120     16  632,045,800       632M" in shown
    assert "936,533,224" in shown


def test_table_1_is_printed_as_json(capsys):
    assert _run(["reproduce", "table1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["parameters"] == 86_567_656


def test_without_data_it_takes_stanford_dogs(capsys):
    assert _run(["reproduce", "deck", "-b", "vit_mini", "--offline"]) == 1
    assert "images.tar of stanford-dogs is not on this machine" in " ".join(capsys.readouterr().err.split())
    assert _run(["reproduce", "deck", "--data", "", "-b", "vit_mini"]) == 2  # not 794 MB for a variable that is not set


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command on small pictures, which a first call has answered in its folder."""
    folder = tmp_path_factory.mktemp("deck")
    data = draw_folder(folder / "pictures", per_class=20)
    arguments = ["reproduce", "deck", "--data", str(data), "-b", "vit_mini", "-b", "resnet_mini", "--trials", "2"]
    arguments += ["--engine", "torch", "--quiet", "--out", str(folder / "run")]
    assert _run(arguments) == 0
    return arguments


def test_the_experiment_ends_in_the_decks_table(deck: list[str], capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert _run(deck) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 or deck[-1] in line for line in shown.splitlines())
    for text in ("vit_mini+deck\nby epoch", "train loss", "fold accuracy", "test loss", "deck-no-equalise", "Report"):
        assert text in shown
    table = " ".join(shown[shown.index(" The deck ") :].split())
    assert "The row `deck` differs from the deck, or may, in network, pixels, head and images." in table
    assert "by McNemar's exact test" in table
    assert "showed no sign of having seen" in table


def test_it_is_a_benchmark_with_one_opening_that_can_be_verified(deck: list[str], capsys):
    run = load_run(Path(deck[-1]))
    assert run.results.options.recipes == ("default", "deck", "deck-no-equalise")
    assert run.results.split.test_openings == 1
    assert len(run.results.backbones) == 6
    assert _run(["verify", deck[-1]]) == 0


def test_its_json_has_every_row_and_the_folder_of_the_run(deck: list[str], capsys):
    assert _run([*deck, "--json"]) == 0
    comparison = json.loads(capsys.readouterr().out)
    assert comparison["run"] == deck[-1]
    assert not comparison["same_classes"]
    for network in comparison["networks"]:
        assert network["published"] is None
        assert [row["recipe"] for row in network["rows"]] == ["deck", "deck-no-equalise", "default"]
        assert network["equalise"]["a"] == network["name"]
        assert {departure["topic"] for departure in network["departures"]} == {"network", "pixels", "head", "images"}


@pytest.mark.parametrize(
    ("figures", "bars"),
    [((1.0,), "▁"), ((2.0, 2.0), "▁▁"), ((0.0, 1.0), "▁█"), ((8.0, 4.0, 1.0), "█▄▁")],
)
def test_a_curve_is_a_bar_for_each_epoch(figures: tuple[float, ...], bars: str):
    assert draw_bars(figures) == bars


def test_a_long_curve_keeps_its_ends():
    bars = draw_bars([float(epoch) for epoch in range(100)])
    assert len(bars) == 24
    assert (bars[0], bars[-1]) == ("▁", "█")
