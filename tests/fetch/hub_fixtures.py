"""A hub on loopback, and a hub's cache of the test's own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from tests.fetch.hub_server import Hub, serving
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import find_card

WEIGHTS = bytes(range(256)) * 400  # what is in them does not matter to a download


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository; huggingface_hub talks to it and keeps its cache in `tmp_path / "hub"`."""
    with serving() as hub:
        hub.push(WEIGHTS)
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        # The library keeps a token and a list of tools in the home folder, and looks at both before it asks.
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"), raising=False)
        monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "tools.json"), raising=False)
        yield hub
        close_session()


@pytest.fixture
def card(hub: Hub) -> Card:
    """A card whose weights are on the hub, and of which no source has stated revision or digest."""
    return replace(find_card("resnet18.tv_in1k"), repository=hub.repository, revision="", sha256="")
