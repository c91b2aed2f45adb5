import gzip
import io
import zipfile

import pytest

from vitrail.core.errors import DownloadError
from vitrail.fetch import unpack
from vitrail.fetch.unpack import store_unpacked

CONTENT = bytes(range(256)) * 3_000


def zip_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("packed", "inside"),
    [
        (gzip.compress(CONTENT), ""),
        (gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]), ""),
        (zip_of("x/y.tar.gz", gzip.compress(CONTENT)), "x/y.tar.gz"),
        (zip_of("x/y.tar", CONTENT), "x/y.tar"),
    ],
)
def test_what_is_packed_is_stored_plain(tmp_path, packed, inside):
    (tmp_path / "packed").write_bytes(packed)
    store_unpacked(tmp_path / "packed", tmp_path / "plain", inside=inside)
    assert (tmp_path / "plain").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("packed", "inside"),
    [
        (gzip.compress(CONTENT)[:-20], ""),
        (gzip.compress(CONTENT)[:-6] + b"\0" * 6, ""),
        (b"no zip", "x"),
        (zip_of("x", CONTENT), "y"),
    ],
)
def test_a_damaged_archive_is_one_sentence_and_leaves_nothing(tmp_path, packed, inside):
    (tmp_path / "packed").write_bytes(packed)
    with pytest.raises(DownloadError, match=r"packed cannot be unpacked .*damaged; fetch it again"):
        store_unpacked(tmp_path / "packed", tmp_path / "plain", inside=inside)
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]


def test_a_bomb_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "BOMB_BYTES", 100_000)
    (tmp_path / "packed").write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(DownloadError, match="unpacks without end"):
        store_unpacked(tmp_path / "packed", tmp_path / "plain")
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]
