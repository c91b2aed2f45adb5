"""`-b` is read the same way everywhere."""

import pytest

from vitrail.backbones.specs import BackboneSpec, parse_spec
from vitrail.core.errors import UsageError


def test_a_name_alone_has_no_file():
    assert parse_spec("resnet50.tv_in1k") == BackboneSpec(name="resnet50.tv_in1k")


def test_a_file_follows_the_first_equals_sign(tmp_path):
    file = tmp_path / "a=b é.safetensors"
    file.touch()
    assert parse_spec(f"resnet50.tv_in1k={file}") == BackboneSpec(name="resnet50.tv_in1k", file=file)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.safetensors").touch()
    assert parse_spec("vit_mini=~/w.safetensors").file == tmp_path / "w.safetensors"


@pytest.mark.parametrize("text", ["", "=w.safetensors", "vit_mini=", "  "])
def test_a_part_that_is_empty_is_a_usage_error(text):
    with pytest.raises(UsageError, match=r"NAME=FILE\.safetensors"):
        parse_spec(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"no weights file .*gone\.safetensors.*vit_mini"):
        parse_spec(f"vit_mini={tmp_path / 'gone.safetensors'}")


@pytest.mark.parametrize("text", ["resnet50", "ResNet-50", "RESNET50"])
def test_a_short_name_becomes_the_full_one_and_says_so(text):
    spec = parse_spec(text)
    assert spec.name == "resnet50.a1_in1k"
    assert spec.note.startswith("resnet50 is short for resnet50.a1_in1k (")


def test_a_full_name_needs_no_note():
    assert parse_spec("resnet50.a1_in1k").note == ""
    assert parse_spec("timm:resnet50").name == "timm:resnet50"


def test_a_file_needs_a_full_name(tmp_path):
    (tmp_path / "w.safetensors").touch()
    with pytest.raises(UsageError, match=r"-b resnet50\.a1_in1k=.*w\.safetensors"):
        parse_spec(f"resnet50={tmp_path / 'w.safetensors'}")
