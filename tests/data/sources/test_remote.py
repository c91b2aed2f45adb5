import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.fs as pafs
import pytest

from tests.data.sources.archives import listed, tar_of, zip_of
from tests.data.sources.test_parquet import write
from vitrail.core.errors import DataError, UsageError
from vitrail.data.sources import RemoteFolder, open_source

FILES = {"train/cat/1.jpg": b"one", "train/dog/2.jpg": b"two", "test/cat/é 3.jpg": bytes(300_000)}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """moto's S3, in an environment of its own, since it cannot live with our versions: `make test` makes it."""
    program = Path(sys.prefix) / "moto" / "bin" / "moto_server"
    if not program.exists():
        pytest.skip("needs moto in .venv/moto, which `make test` installs")
    with subprocess.Popen([program, "-p0", "-H127.0.0.1"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = (
            next(line for line in process.stderr if "Running on http" in line).rsplit(":", 1)[1].split()[0].strip("/")
        )
        yield f"127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is appended to the URL of an empty bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    urllib.request.urlopen(urllib.request.Request(f"http://{server}/moto-api/reset", method="POST")).close()
    place = {"endpoint_override": server, "scheme": "http", "region": "us-east-1"}
    pafs.S3FileSystem(**place, allow_bucket_creation=True).create_dir("pets-bucket")
    return "?" + "&".join(f"{key}={value}" for key, value in place.items())


def put(server_query: str, name: str, content: bytes) -> None:
    system, root = pafs.FileSystem.from_uri("s3://pets-bucket" + server_query)
    with system.open_output_stream(f"{root}/{name}", compression=None) as file:
        file.write(content)


def test_a_buckets_folder_is_read_as_a_folder_is(bucket: str):
    for name, content in FILES.items():
        put(bucket, f"pets/{name}", content)
    source = open_source("s3://pets-bucket/pets" + bucket)
    assert isinstance(source, RemoteFolder)
    assert source.name == "pets"
    assert listed(source) == ({(name, name.split("/")[1], name.split("/")[0]) for name in FILES}, {})
    assert {name: source.read(name) for name in FILES} == FILES
    with pytest.raises(OSError, match="the server refuses it"):
        source.read("train/cat/gone.jpg")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "parquet"])
def test_archives_in_a_bucket_are_read_where_they_lie(bucket: str, tmp_path: Path, kind: str):
    path = tmp_path / f"pets.{kind}"
    if kind == "parquet":
        write(path, 30)
    else:
        (zip_of if kind == "zip" else tar_of)(path, FILES, *([] if kind != "tar.gz" else ["w:gz"]))
    put(bucket, path.name, path.read_bytes())
    here, there = open_source(path), open_source(f"s3://pets-bucket/{path.name}{bucket}")
    assert listed(there) == listed(here)
    assert there.name == "pets"
    for name, _, _ in listed(here)[0]:
        assert there.read(name) == here.read(name)


def test_shards_in_a_bucket_are_one_data_set(bucket: str, tmp_path: Path):
    for name in ("train-0", "val-0"):
        put(bucket, f"w/{name}.tar", tar_of(tmp_path / "x.tar", {"1.jpg": b"1", "1.cls": b"cat"}).read_bytes())
    assert listed(open_source("s3://pets-bucket/w" + bucket))[0] == {
        ("train-0/1.jpg", "cat", "train"),
        ("val-0/1.jpg", "cat", "val"),
    }


def test_nothing_there_and_nobody_there_are_one_sentence(bucket: str):
    with pytest.raises(UsageError, match="There is nothing at s3://pets-bucket/typo: check the address"):
        open_source("s3://pets-bucket/typo" + bucket)
    with pytest.raises(DataError, match=r"could not be read .*what was computed is kept"):
        open_source("s3://pets-bucket/pets?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1")


def test_other_schemes_are_read_by_fsspec(tmp_path: Path):
    memory = fsspec.filesystem("memory")
    for name, content in FILES.items():
        memory.pipe_file(f"/pets/{name}", content)
    source = open_source("memory://pets")
    assert listed(source)[0] == {(name, name.split("/")[1], name.split("/")[0]) for name in FILES}
    assert {name: source.read(name) for name in FILES} == FILES
    with pytest.raises(UsageError, match="nosuch"):
        open_source("nosuch://x")


def test_a_url_without_a_data_set_is_refused():
    fsspec.filesystem("memory").pipe_file("/notes.txt", b"x")
    with pytest.raises(UsageError, match=r"notes\.txt is not a data set that Vitrail can read from a URL"):
        open_source("memory://notes.txt")


@pytest.mark.parametrize("url", ["s3://bucket/images", "https://host/images.zip", "hf://datasets/a/b"])
def test_offline_no_url_is_opened(url: str):
    with pytest.raises(UsageError, match=f"{url} is read over the network, which --offline does not allow"):
        open_source(url, offline=True)


def test_offline_a_url_of_this_machine_is_read(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"pixels")
    source = open_source(tmp_path.as_uri(), offline=True)
    assert [file.path for file in source.list_files()] == ["cat/a.png"]
