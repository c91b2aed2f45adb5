import stat
import struct
import threading
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.sources.archives import listed, zip_of
from vitrail.core.errors import DataError
from vitrail.data.dataset import Caution
from vitrail.data.sources import ZipSource, open_source
from vitrail.data.sources.ranges import FileRanges
from vitrail.data.sources.zip import decode_names

FILES = {"cat/1.jpg": b"a" * 999, "cat/2.jpg": b"b", "dog/1.jpg": b"", "dog/é 3.jpg": bytes(range(256)) * 40}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_every_member_has_its_folder_as_label_and_its_bytes(tmp_path: Path, method: int):
    source = open_source(zip_of(tmp_path / "pets.zip", FILES, method))
    assert isinstance(source, ZipSource)
    assert source.name == "pets"
    assert listed(source) == ({(name, name[:3], None) for name in FILES}, {})
    assert {name: source.read(name) for name in FILES} == FILES


def test_many_threads_read_at_once(tmp_path: Path):
    files = {f"c/{number}.bin": bytes([number % 251]) * (1000 + number) for number in range(300)}
    source = open_source(zip_of(tmp_path / "x.zip", files | {"d/1": b""}))
    wrong = []

    def read(first: int) -> None:
        wrong.extend(name for name in list(files)[first::8] if source.read(name) != files[name])

    threads = [threading.Thread(target=read, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_hostile_members_are_set_aside_with_their_reasons(tmp_path: Path):
    path = zip_of(tmp_path / "x.zip", {"cat/1.jpg": b"1", "dog/1.jpg": b"1", "../out.jpg": b"2", "/abs.jpg": b"3"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        link = zipfile.ZipInfo("cat/link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("cat/lzma.jpg", b"4" * 99, zipfile.ZIP_LZMA)
        archive.writestr("cat/bomb.bmp", bytes(30_000_000), zipfile.ZIP_DEFLATED)
        archive.writestr("cat/flat.bmp", bytes(9_000_000), zipfile.ZIP_DEFLATED)
    entries, aside = listed(open_source(path))
    assert {entry[0] for entry in entries} == {"cat/1.jpg", "dog/1.jpg", "cat/flat.bmp"}
    words = {"../out.jpg": "..", "/abs.jpg": "absolute", "cat/link.jpg": "a link", "cat/lzma.jpg": "method 14"}
    assert {name: word in aside[name] for name, word in words.items()} == dict.fromkeys(words, True)
    assert "zip bomb" in aside["cat/bomb.bmp"]
    assert len(aside) == len(words) + 1


def test_encrypted_members_are_set_aside(tmp_path: Path):
    path = zip_of(tmp_path / "x.zip", {"cat/1.jpg": b"1", "dog/1.jpg": b"2"})
    content = bytearray(path.read_bytes())
    for place in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
        content[place] |= 1
    path.write_bytes(content)
    entries, aside = listed(open_source(path))
    assert {entry[0] for entry in entries} == {"dog/1.jpg"}
    assert "encrypted" in aside["cat/1.jpg"]


def test_a_member_that_claims_more_packed_bytes_than_any_image_is_set_aside(tmp_path: Path):
    path = zip_of(tmp_path / "x.zip", {"cat/1.jpg": b"1", "dog/1.jpg": b"2"})
    content = bytearray(path.read_bytes())
    last = content.rfind(b"PK\x01\x02")
    content[last + 20 : last + 24] = struct.pack("<I", 2_000_000_000)  # its packed size
    path.write_bytes(content)
    entries, aside = listed(open_source(path))
    assert {entry[0] for entry in entries} == {"cat/1.jpg"}
    assert aside == {"dog/1.jpg": "it is larger than any image (2.0 GB)"}


def test_members_that_lie_over_each_other_are_refused(tmp_path: Path):
    path = zip_of(tmp_path / "x.zip", {"cat/1.jpg": b"1" * 50, "dog/1.jpg": b"2" * 50}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    second = content.rfind(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)  # the offset of its local header
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"overlap, as they do only in an archive bomb"):
        listed(open_source(path))


def test_a_member_that_is_longer_than_it_says_is_not_unpacked_further(tmp_path: Path):
    path = zip_of(tmp_path / "x.zip", {"cat/1.bmp": bytes(5_000_000), "dog/1.jpg": b"2"})
    content = bytearray(path.read_bytes())
    central = content.find(b"PK\x01\x02")
    content[central + 24 : central + 28] = struct.pack("<I", 100)
    path.write_bytes(content)
    source = open_source(path)
    with pytest.raises(OSError, match="do not match the checksum"):
        source.read("cat/1.bmp")


def test_duplicate_names_and_backslashes_are_reported_and_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("cat\\1.jpg", b"first")
        archive.writestr("dog/1.jpg", b"dog")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("cat\\1.jpg", b"last")
    source = open_source(tmp_path / "x.zip")
    entries, aside = listed(source)
    assert {entry[:2] for entry in entries} == {("cat/1.jpg", "cat"), ("dog/1.jpg", "dog")}
    assert "more than once" in aside["cat/1.jpg"]
    assert source.read("cat/1.jpg") == b"last"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_ends_in_one_of_our_errors_or_is_read_right(tmp_path: Path, data):
    content = bytearray(zip_of(tmp_path / "x.zip", FILES).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    (tmp_path / "y.zip").write_bytes(content[:cut])
    source = ZipSource(FileRanges(tmp_path / "y.zip"), "y.zip")
    try:
        entries, _ = listed(source)
    except DataError:
        return
    for path, _, _ in entries:
        try:
            assert source.read(path) in FILES.values()
        except OSError:
            continue


class Unsaid(zipfile.ZipInfo):
    """A member whose name is written in an encoding that the archive does not name."""

    __slots__ = ("encoding",)

    def _encodeFilenameFlags(self):
        return self.filename.encode(self.encoding), self.flag_bits & ~0x800


def zip_in(path: Path, encoding: str, *names: str, extra: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = Unsaid(name)
            info.encoding, info.extra = encoding, extra
            archive.writestr(info, name.encode())
    return path


def test_names_in_utf8_are_read_although_the_archive_does_not_say_so(tmp_path: Path):
    source = open_source(zip_in(tmp_path / "x.zip", "utf-8", "猫/1.png", "dog/é.png"))
    assert listed(source) == ({("猫/1.png", "猫", None), ("dog/é.png", "dog", None)}, {})
    assert source.read("猫/1.png") == "猫/1.png".encode()
    assert not [each for each in source.list_files() if isinstance(each, Caution)]


def test_names_in_an_unknown_encoding_are_said_to_be(tmp_path: Path):
    """The GBK bytes of the first name alone would be UTF-8: all names of an archive are read in one encoding."""
    source = open_source(zip_in(tmp_path / "x.zip", "gbk", "猫/1.png", "狗/2.png", "plain/3.png"))
    entries, aside = listed(source)
    assert {label for _, label, _ in entries} == {"├¿", "╣╖", "plain"}
    assert not aside
    (caution,) = [each.text for each in source.list_files() if isinstance(each, Caution)]
    assert "does not say how its names are encoded" in caution
    assert "├¿/1.png" in caution
    assert "pack it again with names in UTF-8" in caution
    assert source.read("╣╖/2.png") == "狗/2.png".encode()


def test_a_name_in_the_unicode_field_comes_first(tmp_path: Path):
    name = "猫/1.png"
    content = b"\1" + zlib.crc32(name.encode("gbk")).to_bytes(4, "little") + name.encode()
    extra = struct.pack("<HH", 0x7075, len(content)) + content
    source = open_source(zip_in(tmp_path / "x.zip", "gbk", name, extra=extra))
    assert listed(source)[0] == {(name, "猫", None)}


@given(st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_extra_field_ends_nothing(tmp_path: Path, extra: bytes):
    source = open_source(zip_in(tmp_path / "x.zip", "gbk", "狗/2.png"))
    (info,) = zipfile.ZipFile(tmp_path / "x.zip").infolist()
    info.extra = extra
    assert decode_names([info])[0]
    assert listed(source)[0]
