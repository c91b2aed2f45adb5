"""Where the files of a named data set come from: never half a file, never another file, nothing outside the cache."""

import gzip
import io
import resource
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.named.layouts.miniature import counts, even, jpeg, open_card, read_card, serve, tar_bytes
from tests.data.named.layouts.test_oxford_pets import BREEDS, archives
from tests.fetch.web_server import serving_files
from vitrail.core.errors import DataError, DownloadError, UsageError
from vitrail.core.machine import config_folder
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import SetAside
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.files import fetch_files, find_on_disk, is_stored, open_tree
from vitrail.fetch.trust import read_trusted


@pytest.fixture
def web():
    with serving_files() as server:
        yield server


@pytest.fixture
def card(web):
    return serve(web, "oxford-pets", archives())


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)


def stored(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "datasets" / "oxford-pets").iterdir() if path.suffix != ".lock")


def without_sha256(card):
    """The card as if nobody had published a digest."""
    files = tuple(replace(file, sha256="", bytes=None) for file in card.forms[0].files)
    return replace(card, forms=(replace(card.forms[0], files=files),))


def test_files_are_fetched_once_and_stored_as_plain_tars(card, web, tmp_path):
    resources = Resources(cache=tmp_path)
    assert not is_stored(card, resources)
    paths = fetch_files(card, resources)
    assert stored(tmp_path) == ["annotations.tar", "images.tar"]
    assert paths["images.tar.gz"].read_bytes() == gzip.decompress(archives()["images.tar.gz"])
    assert is_stored(card, resources)
    web.requests.clear()
    assert counts(read_card(card, tmp_path, offline=True)) == even(*BREEDS)
    assert web.requests == []


def test_files_on_this_machine_are_found_in_the_cache_and_among_those_of_the_user(card, web, tmp_path):
    cache, given = tmp_path / "cache", tmp_path / "given"
    resources = Resources(cache=cache, data_dir=given)
    given.mkdir()
    (given / "images.tar.gz").write_bytes(archives()["images.tar.gz"])
    assert find_on_disk(card, resources) is None  # its other archive is not here
    (given / "annotations.tar.gz").write_bytes(archives()["annotations.tar.gz"])
    assert find_on_disk(card, resources) == given
    assert find_on_disk(card, Resources(cache=cache)) is None
    assert web.requests == []
    fetch_files(card, Resources(cache=cache))
    assert find_on_disk(card, Resources(cache=cache, offline=True)) == cache / "datasets" / "oxford-pets"


def test_offline_without_the_files_says_what_to_do_and_asks_nobody(card, web, tmp_path):
    with pytest.raises(DownloadError, match=r"images\.tar\.gz of oxford-pets is not on this .*--data-dir FOLDER"):
        read_card(card, tmp_path, offline=True)
    assert web.requests == []


def test_a_wrong_digest_leaves_nothing(card, web, tmp_path):
    web.files["/images.tar.gz"] = web.files["/images.tar.gz"][:-1] + b"x"
    with pytest.raises(DownloadError, match=r"images\.tar\.gz of oxford-pets arrived damaged"):
        read_card(card, tmp_path)
    assert stored(tmp_path) == []


def test_a_cut_connection_leaves_only_a_partial_file_and_the_next_run_continues(card, web, tmp_path):
    web.break_after = 2_000
    with pytest.raises(DownloadError, match="the connection was cut after 2,000 of"):
        read_card(card, tmp_path)
    assert [name for name in stored(tmp_path) if not name.endswith(".etag")] == ["images.tar.gz.part"]
    assert not is_stored(card, Resources(cache=tmp_path))
    web.break_after = None
    assert counts(read_card(card, tmp_path)) == even(*BREEDS)
    assert ("/images.tar.gz", "bytes=2000-") in web.requests
    assert stored(tmp_path) == ["annotations.tar", "images.tar"]


@pytest.mark.parametrize("most", [3_000, 30_000])
def test_a_full_disk_leaves_no_file_that_looks_whole(card, tmp_path, most):
    """The disk ends during the download, or while the tar is unpacked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(DownloadError, match=r"images\.tar.* could not be .*free some disk space"):
            read_card(card, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "images.tar" not in stored(tmp_path)
    assert counts(read_card(card, tmp_path)) == even(*BREEDS)


def test_without_a_published_digest_the_first_one_is_locked(card, web, tmp_path):
    free = without_sha256(card)
    read_card(free, tmp_path)
    locked = read_trusted(config_folder() / "datasets.lock.json")
    assert locked["oxford-pets/images.tar.gz"].sha256 == card.forms[0].files[0].sha256
    shutil.rmtree(tmp_path / "datasets")
    web.files["/images.tar.gz"] = tar_bytes({"images/other.jpg": jpeg(5)}, gz=True)
    with pytest.raises(DownloadError, match=r"is not the file that was fetched first.*datasets\.lock\.json"):
        read_card(free, tmp_path)
    assert stored(tmp_path) == []


def test_a_published_digest_needs_no_lock(card, tmp_path):
    read_card(card, tmp_path)
    assert not (config_folder() / "datasets.lock.json").exists()


def test_two_processes_fetch_a_file_once(card, web, tmp_path):
    web.slow_s = 0.5
    code = f"""
import sys
from pathlib import Path
from dataclasses import replace
from vitrail.core.resources import Resources
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.files import fetch_files
card = load_dataset_cards()["oxford-pets"]
facts = {[(file.name, file.urls, file.bytes, file.sha256) for file in card.forms[0].files]!r}
files = tuple(
    replace(file, urls=urls, bytes=size, sha256=digest)
    for file, (_, urls, size, digest) in zip(card.forms[0].files, facts)
)
card = replace(card, forms=(replace(card.forms[0], files=files),))
print(fetch_files(card, Resources(cache=Path({str(tmp_path)!r}))))
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(path for path, _ in web.requests) == ["/annotations.tar.gz", "/images.tar.gz"]
    for process in both:
        process.stdout.close()


def test_archives_that_a_person_has_are_used_and_left_as_they_are(card, web, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in archives().items():
        (folder / name).write_bytes(content)
    dataset = read_card(card, tmp_path / "cache", data_dir=folder, offline=True)
    assert counts(dataset) == even(*BREEDS)
    assert sorted(path.name for path in folder.iterdir()) == ["annotations.tar.gz", "images.tar.gz"]
    assert web.requests == []


def test_an_archive_of_the_same_name_but_other_bytes_is_named_and_not_used(card, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "images.tar.gz").write_bytes(b"of another data set")
    progress = Notes()
    resources = Resources(cache=tmp_path, data_dir=folder, progress=progress)
    open_tree(card, resources, boxes=False)
    assert len(progress.notes) == 1
    assert "images.tar.gz is not used as images.tar.gz of oxford-pets: it has 19 bytes, but" in progress.notes[0]


@pytest.mark.parametrize("place", ["", "oxford-iiit-pet", "oxford-pets", "pets"])
def test_folders_as_torchvision_unpacks_them_are_recognised(card, web, tmp_path, place):
    """torchvision 0.28, datasets/oxford_iiit_pet.py, lines 58 to 61 and 134: both archives in oxford-iiit-pet."""
    for content in archives().values():
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(tmp_path / "mine" / place, filter="data")
    dataset = read_card(card, tmp_path / "cache", data_dir=tmp_path / "mine", offline=True)
    assert counts(dataset) == even(*BREEDS)
    archived = read_card(card, tmp_path / "cache")
    assert dataset.fingerprint == archived.fingerprint
    assert dataset.table["paths"] == archived.table["paths"]


def test_only_the_folders_of_the_data_set_are_looked_through(card, tmp_path):
    """A folder of data sets may have millions of other files beside it."""
    for content in archives().values():
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(tmp_path / "mine", filter="data")
    (tmp_path / "mine" / "imagenet").mkdir()
    (tmp_path / "mine" / "imagenet" / "1.jpg").write_bytes(jpeg(1))
    resources = Resources(cache=tmp_path / "cache", data_dir=tmp_path / "mine")
    tops = {name.split("/")[0] for name in open_tree(card, resources, boxes=False).names}
    assert tops == {"images", "annotations"}
    assert list(fetch_files(card, resources)) == ["annotations", "images"]


@pytest.mark.parametrize("name", ["typo", "x" * 300])
def test_a_folder_that_does_not_exist_is_wrong_usage(card, tmp_path, name):
    with pytest.raises(UsageError, match=rf"There is no folder .*{name}"):
        read_card(card, tmp_path, data_dir=tmp_path / name)


def test_a_data_set_without_files_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"cannot fetch mini-ImageNet: get it from https://arxiv\.org"):
        open_tree(load_dataset_cards()["mini-imagenet"], Resources(cache=tmp_path), boxes=False)


def hostile_tar() -> bytes:
    """An archive with an image, a path that leads out of it, an absolute one, and a link to a file elsewhere."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("images/Abyssinian_90.jpg", "../../escaped.jpg", "/escaped.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(jpeg(1))
            archive.addfile(info, io.BytesIO(jpeg(1)))
        link = tarfile.TarInfo("images/Abyssinian_91.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return gzip.compress(buffer.getvalue())


def test_paths_that_lead_out_and_links_are_set_aside_and_write_nothing(web, tmp_path):
    card = serve(web, "oxford-pets", archives() | {"images.tar.gz": hostile_tar()})
    cache = tmp_path / "deep" / "cache"
    listed = list(open_card(card, cache).list_files())
    aside = {each.path: each.reason for each in listed if isinstance(each, SetAside)}
    assert aside["../../escaped.jpg"] == "its path goes up with .., which would write outside the archive"
    assert aside["/escaped.jpg"] == "its path is absolute, which would write outside the archive"
    assert aside["images/Abyssinian_91.jpg"] == "it is listed in trainval.txt and test.txt, and there is no such file"
    written = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert written == {"images.tar", "annotations.tar"}


def test_an_archive_that_unpacks_without_end_is_refused(web, tmp_path, monkeypatch):
    monkeypatch.setattr("vitrail.fetch.unpack.BOMB_BYTES", 1_000_000)
    bomb = gzip.compress(bytes(40_000_000))
    card = serve(web, "oxford-pets", archives() | {"images.tar.gz": bomb})
    with pytest.raises(DownloadError, match="it unpacks without end, as only an archive bomb does"):
        read_card(card, tmp_path)
    assert "images.tar" not in stored(tmp_path)
