"""Who judges labels if nobody is named."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from vitrail.auditing import judge
from vitrail.auditing.judge import choose_judge
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.remembered import remember_given
from vitrail.core.progress import Silent
from vitrail.fetch.download import fetch_file, is_fetched


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights that were used before as those of resnet_mini."""
    spec = BackboneSpec(name="resnet_mini", file=tmp_path / "w.safetensors")
    shutil.copy(open_backbone(BackboneSpec(name="resnet_mini"), progress=Silent()).file, tmp_path / "w.safetensors")
    remember_given([spec], [open_backbone(spec, progress=Silent())], Silent())
    return tmp_path / "w.safetensors"


def test_without_any_weights_it_is_an_embedded_backbone():
    assert choose_judge(Silent()) == BackboneSpec(name="vit_mini")


def test_a_file_that_was_used_before_is_taken_as_long_as_it_is_the_same(file: Path):
    assert choose_judge(Silent()) == BackboneSpec(name="resnet_mini", file=file)
    file.write_bytes(b"others")
    assert choose_judge(Silent()) == BackboneSpec(name="vit_mini")
    file.unlink()
    assert choose_judge(Silent()) == BackboneSpec(name="vit_mini")


def test_the_largest_on_this_machine_is_taken_but_not_one_that_takes_an_hour(card, hub, file, monkeypatch):
    assert not is_fetched(card)
    fetch_file(card, offline=False, progress=Silent())
    assert is_fetched(card)
    catalogue = load_catalogue()
    for gmacs, taken in ((5.0, card.name), (0.001, "resnet_mini"), (judge.MOST_GMACS + 1, "resnet_mini")):
        both = {"resnet_mini": catalogue["resnet_mini"], card.name: replace(card, gmacs=gmacs)}
        monkeypatch.setattr(judge, "load_catalogue", lambda both=both: both)
        assert choose_judge(Silent()).name == taken
