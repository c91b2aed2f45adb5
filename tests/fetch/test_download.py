"""Weights come once, are locked, and are the same ever after."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.fetch.hub_fixtures import WEIGHTS
from vitrail.backbones.catalogue import find_card
from vitrail.core.errors import DownloadError
from vitrail.core.machine import config_folder
from vitrail.core.progress import Silent
from vitrail.fetch.download import LOCK_FILE, fetch_file
from vitrail.fetch.trust import read_trusted

DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


def fetched(card, *, offline=False) -> Path:
    return fetch_file(card, offline=offline, progress=Silent()).path


def empty_the_cache() -> None:
    shutil.rmtree(constants.HF_HUB_CACHE)


def locked(card):
    return read_trusted(config_folder() / LOCK_FILE)[card.name]


def test_the_first_download_locks_commit_and_digest(card, hub):
    assert fetched(card).read_bytes() == WEIGHTS
    assert (locked(card).repository, locked(card).revision, locked(card).sha256) == (
        hub.repository,
        hub.newest,
        DIGEST,
    )


def test_a_file_in_the_hubs_cache_is_not_requested_again(card, hub):
    path = fetched(card)
    hub.requests.clear()
    assert fetched(card) == path
    assert hub.requests == []


def test_a_new_commit_on_the_hub_changes_nothing(card, hub):
    first = hub.newest
    fetched(card)
    hub.push(WEIGHTS[::-1])
    empty_the_cache()
    assert fetched(card).read_bytes() == WEIGHTS
    assert locked(card).revision == first


def test_other_bytes_at_the_second_download_are_refused_and_not_kept(card, hub):
    fetched(card)
    hub.commits[hub.newest] = b"hostile" + WEIGHTS
    empty_the_cache()
    with pytest.raises(DownloadError, match=rf"not the trusted ones.*{DIGEST}.*weights\.lock\.json.*run again"):
        fetched(card)
    assert [file for file in Path(constants.HF_HUB_CACHE).rglob("*") if file.is_file() and file.stat().st_size] == []


def test_bytes_that_changed_in_the_cache_are_refused(card):
    path = fetched(card)
    path.resolve().write_bytes(b"changed")
    with pytest.raises(DownloadError, match="not the trusted ones"):
        fetched(card, offline=True)


def test_a_digest_on_the_card_is_enforced_at_the_first_download(card):
    with pytest.raises(DownloadError, match=f"{'0' * 64} is on its card"):
        fetched(replace(card, sha256="0" * 64))
    assert not (config_folder() / LOCK_FILE).exists()
    fetched(replace(card, sha256=DIGEST))


def test_the_revision_on_the_card_is_fetched(card, hub):
    first = hub.newest
    hub.push(b"newer")
    assert fetched(replace(card, revision=first)).read_bytes() == WEIGHTS


def test_a_revision_the_hub_does_not_have_is_an_error(card):
    with pytest.raises(DownloadError, match=r"does not have revision f{40} of timm/tiny"):
        fetched(replace(card, revision="f" * 40))


def test_offline_without_the_weights_says_what_to_do_and_asks_nobody(card, hub):
    with pytest.raises(DownloadError, match=r"offline mode.*-b resnet18\.tv_in1k=FILE\.safetensors"):
        fetched(card, offline=True)
    assert hub.requests == []


def test_offline_with_the_weights_works(card, hub):
    path = fetched(card)
    hub.requests.clear()
    assert fetched(card, offline=True) == path
    assert hub.requests == []


def test_weights_that_another_tool_left_in_the_cache_are_taken_and_locked(card, hub):
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(hub.repository, "model.safetensors")
    hub.requests.clear()
    assert str(fetched(card, offline=True)) == path
    assert hub.requests == []
    assert (locked(card).revision, locked(card).sha256) == (hub.newest, DIGEST)


def test_the_same_bytes_of_another_commit_in_the_cache_will_do(card, hub):
    """A commit that changes only the text beside the weights is no reason to fetch them again."""
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(hub.repository, "model.safetensors")
    stated = replace(card, revision="f" * 40, sha256=DIGEST)
    assert str(fetched(stated, offline=True)) == path
    with pytest.raises(DownloadError, match="offline mode"):
        fetched(replace(stated, name="other", sha256="0" * 64), offline=True)


def test_weights_that_no_hub_has_must_be_given(hub):
    with pytest.raises(DownloadError, match=r"cannot download .*-b resnet50\.keras_in1k=FILE"):
        fetched(find_card("resnet50.keras_in1k"))
    assert hub.requests == []


def test_the_endpoint_and_the_cache_are_those_of_the_hubs_own_variables(card, hub, tmp_path):
    """HF_ENDPOINT and HF_HOME, in a process of its own since the hub's library reads them when it is imported."""
    code = """
from dataclasses import replace
from vitrail.backbones.catalogue import find_card
from vitrail.fetch.download import fetch_file
from vitrail.core.progress import Silent
card = replace(find_card("resnet18.tv_in1k"), repository="timm/tiny", revision="", sha256="")
print(fetch_file(card, offline=False, progress=Silent()).path)
"""
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    environment.pop("HF_HUB_CACHE", None)
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    path = Path(process.stdout.strip())
    assert path.is_relative_to(tmp_path / "home")
    assert path.read_bytes() == WEIGHTS
