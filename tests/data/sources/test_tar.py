import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.data.sources.archives import listed, tar_of
from vitrail.core.errors import DataError
from vitrail.data.sources import TarSource, open_source

FILES = {"./cat/1.jpg": b"a" * 999, "cat/2.jpg": b"b", "dog/1.jpg": b"", "dog/é 3.jpg": bytes(range(256)) * 40}
NAMES = {name.removeprefix("./"): content for name, content in FILES.items()}


@pytest.mark.parametrize(("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz")])
def test_every_file_has_its_folder_as_label_and_its_bytes(tmp_path: Path, ending: str, mode: str):
    source = open_source(tar_of(tmp_path / f"pets.{ending}", FILES, mode))
    assert isinstance(source, TarSource)
    assert source.name == "pets"
    assert listed(source) == ({(name, name[:3], None) for name in NAMES}, {})
    assert {name: source.read(name) for name in NAMES} == NAMES


def test_hostile_members_are_set_aside_with_their_reasons(tmp_path: Path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("cat/1.jpg", "dog/1.jpg", "../out.jpg", "/abs.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        for name, kind in (("cat/sym.jpg", tarfile.SYMTYPE), ("cat/hard.jpg", tarfile.LNKTYPE), ("cat/p", b"6")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    entries, aside = listed(open_source(path))
    assert {entry[0] for entry in entries} == {"cat/1.jpg", "dog/1.jpg"}
    words = {"../out.jpg": "..", "/abs.jpg": "absolute", "cat/sym.jpg": "a link", "cat/hard.jpg": "a link"}
    words["cat/p"] = "not a regular file"
    assert {name: word in aside[name] for name, word in words.items()} == dict.fromkeys(words, True)


def test_an_archive_is_a_folder_where_there_are_several(tmp_path: Path):
    for name in ("cat", "dog"):
        tar_of(tmp_path / f"{name}.tar", {f"{name}-1.jpg": name.encode()})
    source = open_source(tmp_path)
    assert listed(source)[0] == {("cat/cat-1.jpg", "cat", None), ("dog/dog-1.jpg", "dog", None)}
    assert source.read("dog/dog-1.jpg") == b"dog"
    (tmp_path / "splits").mkdir()
    for name in ("train", "test"):
        tar_of(tmp_path / "splits" / f"{name}.tar", {f"cat/{name}.jpg": b"x"})
    assert {entry[1:] for entry in listed(open_source(tmp_path / "splits"))[0]} == {("cat", "train"), ("cat", "test")}


def test_numbered_archives_without_samples_and_other_packings_are_refused(tmp_path: Path):
    (tmp_path / "numbered").mkdir()
    for number in range(2):
        tar_of(tmp_path / "numbered" / f"x-{number}.tar", {"cat/1.jpg": b"x"})
    with pytest.raises(DataError, match=r"hold no samples with labels.*\.cls"):
        listed(open_source(tmp_path / "numbered"))
    with pytest.raises(DataError, match=r"compressed with bzip2.*unpack it to a \.tar"):
        listed(open_source(tar_of(tmp_path / "x.tar.bz2", FILES, "w:bz2")))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.REGTYPE])
@pytest.mark.parametrize("claim", [1 << 42, 1 << 61, 1 << 80])
def test_an_archive_that_claims_more_than_it_holds_is_refused(tmp_path: Path, kind: bytes, claim: int):
    path = tar_of(tmp_path / "x.tar", {"cat/1.jpg": b"1", "dog/1.jpg": b"2"})
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, claim
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + path.read_bytes())
    with pytest.raises(DataError, match=r"cannot be read as a tar archive .*fetch it again"):
        listed(open_source(path))


@pytest.mark.parametrize("cut", [100, 600, 1800, 2200])
def test_an_archive_cut_short_is_refused(tmp_path: Path, cut: int):
    path = tar_of(tmp_path / "x.tar", {"cat/1.jpg": b"1" * 700, "dog/1.jpg": b"2" * 700})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="fetch it again"):
        listed(open_source(path))


def test_a_header_that_claims_more_than_any_header_holds_is_not_read(tmp_path: Path):
    """An extended header is read whole into memory, and a packed one of zeros is small on disk."""
    info = tarfile.TarInfo("cat/1.jpg")
    info.type, info.size = tarfile.XHDTYPE, 200_000_000
    zeros = io.BytesIO(bytes(1 << 20))
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(200):
            packed.write(zeros.getbuffer())
    assert path.stat().st_size < 2_000_000
    with pytest.raises(DataError, match="larger than any header"):
        list(open_source(path).list_files())
