from pathlib import Path

import pytest

from vitrail.backbones import BackboneSpec, open_backbone, opening
from vitrail.core.errors import DownloadError
from vitrail.core.progress import Silent


def test_embedded_weights_come_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opening, "files", lambda package: tmp_path)
    spec = BackboneSpec(name="vit_mini")
    with pytest.raises(DownloadError, match=r"vit_mini.*install Vitrail again"):
        open_backbone(spec, progress=Silent())
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "vit_mini.safetensors").touch()
    assert open_backbone(spec, progress=Silent()).file.parent == tmp_path / "embedded"
