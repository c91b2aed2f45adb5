"""A download that breaks goes on where it broke, and every failure is one sentence."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.fetch.hub_fixtures import WEIGHTS
from vitrail.core.errors import DownloadError
from vitrail.core.hashing import sha256_file
from vitrail.core.progress import Silent
from vitrail.fetch.hub import download, find_cached


class Recorded(Silent):
    def __init__(self) -> None:
        self.totals: list[int | None] = []
        self.amount = 0
        self.ended = 0

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        self.totals.append(total)
        assert unit == "bytes"

    def advance(self, task: str, amount: int = 1) -> None:
        self.amount += amount

    def done(self, task: str) -> None:
        self.ended += 1

    def stop(self, task: str) -> None:
        self.ended += 1


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def downloaded(card, progress=None) -> Path:
    return download(card, "main", sha256_file, progress or Silent())


def test_the_file_is_where_every_tool_of_the_hub_finds_it(card, hub):
    path = downloaded(card)
    assert path.read_bytes() == WEIGHTS
    assert path.parent.name == hub.newest
    assert find_cached(card, hub.newest) == path
    assert hub.asked("GET") == [None]


def test_progress_counts_every_byte(card):
    progress = Recorded()
    downloaded(card, progress)
    assert (progress.totals, progress.amount, progress.ended) == ([len(WEIGHTS)], len(WEIGHTS), 1)


def test_a_connection_that_breaks_is_taken_up_again_in_the_same_call(card, hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what arrives of a chunk that breaks is lost
    hub.break_after = 60_000
    progress = Recorded()
    assert downloaded(card, progress).read_bytes() == WEIGHTS
    assert hub.asked("GET") == [None, "bytes=60000-"]
    assert progress.amount == len(WEIGHTS)


def test_a_process_that_was_killed_is_taken_up_by_the_next(card, hub):
    """What it had written lies beside the blob, under the name of its content."""
    blobs = Path(constants.HF_HUB_CACHE) / "models--timm--tiny" / "blobs"
    downloaded(card)
    etag = next(file.name for file in blobs.iterdir() if len(file.name) == 64)
    shutil.rmtree(blobs.parent)
    blobs.mkdir(parents=True)
    (blobs / f"{etag}.vitrail.part").write_bytes(WEIGHTS[:50_000])
    hub.requests.clear()
    progress = Recorded()
    assert downloaded(card, progress).read_bytes() == WEIGHTS
    assert hub.asked("GET") == ["bytes=50000-"]
    assert progress.amount == len(WEIGHTS)


def test_a_complete_partial_file_is_not_requested_again(card, hub):
    path = downloaded(card)
    blob = path.resolve()
    blob.rename(blob.with_name(f"{blob.name}.vitrail.part"))
    path.unlink()
    hub.requests.clear()
    assert downloaded(card).read_bytes() == WEIGHTS
    assert hub.asked("GET") == []


@pytest.mark.parametrize("wrong", [b"x" * 50_000, b"x" * (len(WEIGHTS) + 1)])
def test_a_part_that_is_damaged_is_found_and_the_next_try_succeeds(wrong, card, hub):
    path = downloaded(card)
    blob = path.resolve()
    blob.with_name(f"{blob.name}.vitrail.part").write_bytes(wrong)
    blob.unlink()
    path.unlink()
    if len(wrong) < len(WEIGHTS):
        with pytest.raises(DownloadError, match=r"arrived damaged.*run the same command again"):
            downloaded(card)
    assert downloaded(card).read_bytes() == WEIGHTS


@pytest.mark.parametrize("announced", [len(WEIGHTS) - 400, len(WEIGHTS) + 400, 5])
def test_a_length_that_is_a_lie_is_found_and_the_next_try_succeeds(announced, card, hub):
    """Nothing of the wrong length enters the cache, and a part that was kept does not spoil the next try."""
    hub.announced = announced
    with pytest.raises(DownloadError, match=r"resnet18\.tv_in1k.*run the same command again"):
        downloaded(card)
    assert find_cached(card, hub.newest) is None
    hub.announced = None
    assert downloaded(card).read_bytes() == WEIGHTS


def test_bytes_that_fail_the_check_never_enter_the_cache(card, hub):
    def refuse(path: Path) -> str:
        raise DownloadError("not these")

    with pytest.raises(DownloadError, match="not these"):
        download(card, "main", refuse, Silent())
    assert find_cached(card, hub.newest) is None
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*.part"))


def test_an_unreachable_hub_is_one_sentence_that_says_what_to_do(card, hub, monkeypatch):
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    with pytest.raises(DownloadError) as caught:
        downloaded(card)
    message = str(caught.value)
    assert "resnet18.tv_in1k could not be fetched from the hub" in message
    assert "check the connection" in message
    assert "-b resnet18.tv_in1k=FILE.safetensors" in message
    assert "\n" not in message


def test_a_hub_that_is_down_gives_another_error_than_a_missing_file(card, hub):
    hub.refuse = 503
    with pytest.raises(DownloadError, match=r"could not be fetched from the hub \(.*503"):
        downloaded(card)
    hub.refuse = None
    with pytest.raises(DownloadError, match=r"has no model\.safetensors in timm/none.*hf auth login"):
        downloaded(replace(card, repository="timm/none"))


def test_the_hubs_own_offline_variable_is_honoured(card, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"could not be fetched from the hub \(.*offline"):
        downloaded(card)
    assert hub.requests == []


@pytest.mark.parametrize("answer", [{"forget_commit": True}, {"etag": "../../outside"}])
def test_a_server_that_is_not_a_hub_is_recognised(answer, card, hub):
    vars(hub).update(answer)
    with pytest.raises(DownloadError, match=r"is not a Hugging Face hub.*HF_ENDPOINT"):
        downloaded(card)


def test_a_cache_that_cannot_be_written_says_where_else(card, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="HF_HOME"):
        downloaded(card)
