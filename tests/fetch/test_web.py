"""A download continues, is checked as it arrives, and never leaves half a file that looks whole."""

import hashlib
import resource
from dataclasses import replace

import pytest

from tests.fetch.web_server import serving_files
from vitrail.core.errors import DownloadError
from vitrail.core.progress import Silent
from vitrail.fetch.web import WebFile, download

CONTENT = bytes(range(256)) * 5_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def web():
    with serving_files() as server:
        server.files["/images.tar"] = CONTENT
        yield server


@pytest.fixture
def file(web):
    return WebFile(
        what="images.tar of dogs",
        urls=(f"{web.url}/images.tar",),
        bytes=len(CONTENT),
        sha256=SHA256,
        md5="",
        by_hand="get it by hand.",
    )


class Recorder(Silent):
    def __init__(self):
        self.total, self.done_bytes = None, 0

    def start(self, task, *, total, unit):
        self.total = total

    def advance(self, task, amount=1):
        self.done_bytes += amount


def test_a_whole_file_arrives_and_its_progress_is_told(file, tmp_path):
    recorder = Recorder()
    assert download(file, tmp_path / "part", recorder) == SHA256
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert (recorder.total, recorder.done_bytes) == (len(CONTENT), len(CONTENT))


def test_a_cut_connection_is_one_sentence_and_the_next_run_continues(file, tmp_path, web):
    part = tmp_path / "part"
    web.break_after = 400_000
    with pytest.raises(
        DownloadError, match=r"images\.tar of dogs could not be .* cut after 400,000 of 1,280,000 bytes"
    ):
        download(file, part, Silent())
    assert part.stat().st_size == 400_000
    web.break_after = None
    recorder = Recorder()
    assert download(file, part, recorder) == SHA256
    assert web.requests[-1] == ("/images.tar", "bytes=400000-")
    assert recorder.done_bytes == len(CONTENT)


def test_a_server_without_ranges_starts_again(file, tmp_path, web):
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    web.ranges = False
    assert download(file, tmp_path / "part", Silent()) == SHA256


def test_a_whole_partial_file_is_checked_and_not_requested_again(file, tmp_path, web):
    (tmp_path / "part").write_bytes(CONTENT)
    assert download(file, tmp_path / "part", Silent()) == SHA256
    assert web.requests == []


def test_a_partial_file_of_other_bytes_is_found_by_the_digest_and_deleted(file, tmp_path):
    (tmp_path / "part").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match=rf"{SHA256} is published.*run the same command again"):
        download(file, tmp_path / "part", Silent())
    assert list(tmp_path.iterdir()) == []
    assert download(file, tmp_path / "part", Silent()) == SHA256


def test_without_a_digest_two_versions_of_a_file_are_never_joined(file, tmp_path, web):
    part, unknown = tmp_path / "part", replace(file, sha256="", bytes=None)
    web.break_after = 1000
    with pytest.raises(DownloadError, match="cut after"):
        download(unknown, part, Silent())
    web.break_after, web.files["/images.tar"] = None, CONTENT[::-1]
    assert download(unknown, part, Silent()) == hashlib.sha256(CONTENT[::-1]).hexdigest()
    web.etags = False
    part.write_bytes(b"x" * 10)
    part.with_name("part.etag").unlink(missing_ok=True)
    assert download(unknown, part, Silent()) == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert web.requests[-1] == ("/images.tar", None)


@pytest.mark.parametrize("stated", ["sha256", "md5"])
def test_wrong_bytes_are_one_sentence_and_are_deleted(file, tmp_path, web, stated):
    web.files["/images.tar"] = CONTENT[:-1] + b"x"
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    wanted = file if stated == "sha256" else replace(file, sha256="", md5=md5)
    with pytest.raises(
        DownloadError, match=rf"images\.tar of dogs arrived damaged.*its {stated} is .*run the same"
    ) as told:
        download(wanted, tmp_path / "part", Silent())
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_size_is_not_downloaded(file, tmp_path, web):
    web.files["/images.tar"] = b"<html>moved</html>"
    with pytest.raises(DownloadError, match="it has 18 bytes under this name, but 1,280,000 are published"):
        download(file, tmp_path / "part", Silent())


def test_more_bytes_than_published_are_refused_where_no_length_is_announced(file, tmp_path, web):
    web.files["/images.tar"], web.lengths = CONTENT * 2, False
    with pytest.raises(DownloadError, match="it has more than 1,280,000 bytes"):
        download(file, tmp_path / "part", Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_second_address_is_used_when_the_first_fails(file, tmp_path, web):
    both = replace(file, urls=(f"{web.url}/gone", *file.urls))
    assert download(both, tmp_path / "part", Silent()) == SHA256


def test_every_address_that_failed_is_named(file, tmp_path, web):
    nowhere = replace(file, urls=(f"{web.url}/gone", "http://127.0.0.1:9/x"))
    with pytest.raises(DownloadError, match=r"status 404.*127\.0\.0\.1:9: Connection refused.*get it by hand"):
        download(nowhere, tmp_path / "part", Silent())


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(file, tmp_path, web):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    web.redirect = secret.as_uri()
    with pytest.raises(DownloadError, match="could not be fetched"):
        download(file, tmp_path / "part", Silent())


def test_a_full_disk_is_one_sentence_and_what_has_arrived_stays(file, tmp_path):
    """A limit on the size of files stands for the disk's end: the system refuses to write more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(DownloadError, match=r"images\.tar of dogs could not be written to .*free some disk space"):
            download(file, tmp_path / "part", Silent())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert download(file, tmp_path / "part", Silent()) == SHA256


def test_a_file_larger_than_the_disk_is_refused_before_a_byte_is_written(file, tmp_path, web):
    huge = replace(file, bytes=10**17, sha256="")
    web.lengths = False
    with pytest.raises(DownloadError, match=r"needs 100,000,000\.0 GB more"):
        download(huge, tmp_path / "part", Silent())
