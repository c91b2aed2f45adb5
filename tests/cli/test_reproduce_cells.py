"""What the commands about published figures print; tests/reproduce/test_cells.py measures some."""

import json

from vitrail.cli.main import _run
from vitrail.reproduce.published import load_published


def test_the_plan_of_table_2_fits_a_terminal_and_names_every_network(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert _run(["reproduce", "vit-table2", "--plan"]) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 or "https://" in line for line in shown.splitlines())
    for network in load_published("vit-table2").tables[0].networks:
        assert f"({network.name})" in shown
    said = " ".join(shown.split())
    assert "CIFAR-10 99.15 ± 0.03 60,000 3,693 " in said
    assert "Hours are an estimate of the forward pass alone" in said
    assert "these are not the same thing" in said


def test_published_figures_are_printed_although_nothing_can_be_measured(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert _run(["reproduce", "vit-table2", "--cells", "bit-l", "--offline"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "images by hand: ImageNet 87.54 ± 0.02, ImageNet ReaL 90.54, VTAB (19 tasks) 76.29 ± 1.70." in said
    assert "standard deviation of three fine-tuning runs" in said
    assert "9.9k TPUv3-core-days" in said
    assert "0 of 7 figures measured." in said


def test_a_plan_as_json_has_every_cell_and_the_speeds_behind_its_estimates(capsys):
    assert _run(["reproduce", "vit-table2", "--plan", "--json", "--cells", "cifar-10"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [cell["cell"] for cell in plan["cells"]] == [
        f"{network}/cifar-10" for network in ("vit-h14-jft", "vit-l16-jft", "vit-l16-i21k", "bit-l")
    ]
    for cell in plan["cells"]:
        kind = "convolutional" if cell["cell"].startswith("bit") else "transformer"
        assert abs(cell["seconds"] * plan["speeds"][kind]["gmacs_per_s"] / cell["gmacs"] - 1) < 1e-9


def test_a_name_that_is_no_cell_is_wrong_usage(capsys):
    assert _run(["reproduce", "probes", "--plan", "--cells", "resnet51"]) == 2
    assert (
        "--cells resnet51 is not one of these figures: give NETWORK, IMAGES or NETWORK/IMAGES"
        in capsys.readouterr().err
    )
