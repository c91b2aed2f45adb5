import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import vitrail
from tests.data.named.layouts.miniature import serve, tar_bytes
from tests.data.named.layouts.test_oxford_pets import BREEDS, archives
from tests.fetch.web_server import serving_files
from vitrail.cli.main import _run
from vitrail.data.named.cards import load_dataset_cards

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pets(monkeypatch):
    """The card of the pets is that of a miniature on this machine."""
    with serving_files() as web:
        replace_card(monkeypatch, serve(web, "oxford-pets", archives()))
        yield web


def replace_card(monkeypatch, card):
    cards = load_dataset_cards() | {card.name: card}
    for module in ("vitrail.data.named.cards", "vitrail.data.named"):
        monkeypatch.setattr(f"{module}.load_dataset_cards", lambda: cards)


def test_all_data_sets_are_listed_in_words_and_as_json(capsys, monkeypatch):
    assert _run(["datasets", "--json"]) == 0
    assert {card["name"] for card in json.loads(capsys.readouterr().out)} == set(load_dataset_cards())
    for columns, last in ((80, "Licence"), (60, "Download")):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert _run(["datasets"]) == 0
        heading, *lines = capsys.readouterr().out.splitlines()
        assert heading.split()[-1] == last
        assert [line.split()[0] for line in lines[: len(load_dataset_cards())]] == sorted(load_dataset_cards())
        assert max(map(len, lines)) <= columns
        assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)  # no figure is cut


def test_one_is_explained_by_its_name_or_an_alias(capsys):
    assert _run(["datasets", "dogs"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Stanford Dogs  stanford-dogs")
    assert "12,000 train, 8,580 test, in 120 classes" in shown
    assert "in ImageNet-1k" in shown
    assert _run(["datasets", "show", "stanford-dogs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"train": 12000, "test": 8580}


def test_an_unknown_name_is_wrong_usage_with_near_names(capsys):
    assert _run(["datasets", "petz"]) == 2
    assert "similar names are oxford-pets" in capsys.readouterr().err


def test_fetching_stores_the_files_and_says_where(pets, capsys):
    assert _run(["datasets", "fetch", "pets"]) == 0
    shown = capsys.readouterr().out
    assert "images.tar.gz  " in shown
    assert "Licence: CC-BY-SA-4.0; the copyright of the images remains with their owners." in shown
    assert "vitrail bench oxford-pets -b BACKBONE" in shown
    assert _run(["datasets", "oxford-pets"]) == 0
    assert "yes, in the cache" in capsys.readouterr().out
    assert _run(["cache"]) == 0
    assert "annotations.tar" in capsys.readouterr().out
    assert _run(["cache", "prune", "oxford-pets"]) == 0
    capsys.readouterr()
    assert _run(["datasets", "show", "oxford-pets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stored"] is False


FETCH = """
import pickle, sys
from pytest import MonkeyPatch
from tests.cli.test_datasets import replace_card
from vitrail.cli.main import _run

card = pickle.loads(bytes.fromhex(sys.argv[1]))
replace_card(MonkeyPatch(), card)
sys.exit(_run(["datasets", "fetch", card.name]))
"""


def test_an_interrupted_download_says_how_to_go_on_and_continues(monkeypatch):
    """The connection holds less than 20 MiB, so some of them have been written when Ctrl-C comes.

    It comes to a process of its own, as in life: what other tests have loaded has handlers and threads of its own.
    """
    archive = tar_bytes({"flower_photos/roses/1.jpg": bytes(24 << 20)})
    with serving_files() as web:
        card = serve(web, "tf-flowers", {"flower_photos.tgz": archive})
        web.interrupt_after = 20 << 20
        command = [sys.executable, "-c", FETCH, pickle.dumps(card).hex()]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as web.client:
            _, errors = web.client.communicate(timeout=100)
        assert web.client.returncode == 130
        assert "Interrupted" in errors
        web.interrupt_after = None
        replace_card(monkeypatch, card)
        assert _run(["datasets", "fetch", "tf-flowers"]) == 0
    (_, first), (_, second) = web.requests
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 20 << 20


def test_an_audit_takes_a_name(pets, capsys, tmp_path):
    arguments = ["audit", "pets", "--no-labels", "--json", "--out", str(tmp_path / "audit.html"), "--quiet"]
    assert _run(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["name"] == "oxford-pets"
    assert report["balance"] == dict.fromkeys(BREEDS, 10)


def test_fix_and_boxes_are_refused_before_anything_is_fetched(pets, capsys, tmp_path):
    assert _run(["audit", "pets", "--fix", str(tmp_path / "fixed.csv")]) == 2
    assert _run(["bench", "pets", "--crop-to-boxes"]) == 2
    assert "has no boxes to crop to" in capsys.readouterr().err
    assert pets.requests == []


@pytest.mark.slow
def test_a_benchmark_takes_a_name_on_the_command_line_and_in_python(pets, capsys, tmp_path):
    out = ["--out", str(tmp_path / "run"), "--json", "--quiet", "--engine", "torch", "--trials", "1"]
    assert _run(["bench", "pets", "-b", "resnet_mini", *out]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["name"] == "oxford-pets"
    assert sum(data["counts"]["test"].values()) == 8
    run = vitrail.bench(
        "dataset:pets", "resnet_mini", out=tmp_path / "run", engine="torch", trials=1, offline=True, progress=False
    )
    assert run.results.data.fingerprint == data["fingerprint"]
