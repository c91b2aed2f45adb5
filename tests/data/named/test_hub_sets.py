"""Data sets on the hub: Parquet alone is read, of one commit, and nothing of a data set is run.

The API is as huggingface_hub 2.4 reads it, hf_api.py, `dataset_info`; the branch with converted files is the one of
https://huggingface.co/docs/dataset-viewer/parquet.
"""

import hashlib
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import close_session, constants

from tests.data.named.layouts.miniature import counts
from tests.data.named.layouts.prepared import picture
from tests.fetch.web_server import serving_files
from vitrail.core.errors import DataError, DownloadError, UsageError
from vitrail.core.resources import Resources
from vitrail.data import load, open_data
from vitrail.data.named.hub_sets import is_hub_set

FEATURES = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}, "image": {"_type": "Image"}}
COMMIT = "c" * 40


@pytest.fixture
def web(tmp_path, monkeypatch):
    with serving_files() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"), raising=False)
        monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "tools.json"), raising=False)
        server.codes["/api/datasets/me/pets/revision/refs%2Fconvert%2Fparquet"] = "RevisionNotFound"
        yield server
        close_session()


def parquet(start: int, count: int) -> bytes:
    images = [{"bytes": picture(number), "path": f"{number}.png"} for number in range(start, start + count)]
    table = pa.table({"image": images, "label": [number % 2 for number in range(count)]})
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})}), buffer)
    return buffer.getvalue()


def push(web, files: dict[str, bytes], branch: str = "main") -> None:
    """Put files on a branch of me/pets."""
    siblings = [
        {"rfilename": name, "size": len(content)}
        | {"lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}}
        for name, content in files.items()
    ]
    about = {"id": "me/pets", "sha": COMMIT, "siblings": siblings, "tags": [], "private": False, "downloads": 0}
    web.files[f"/api/datasets/me/pets/revision/{branch}"] = json.dumps(about).encode()
    web.files |= {f"/datasets/me/pets/resolve/{COMMIT}/{name}": content for name, content in files.items()}


TWO = {"data/train-00000-of-00001.parquet": parquet(0, 12), "data/test-00000-of-00001.parquet": parquet(50, 8)}
SPLITS = {(label, split): number for label in ("cat", "dog") for split, number in [("train", 6), ("test", 4)]}


def test_parquet_of_the_repository_is_fetched_at_one_commit_and_read(web, tmp_path):
    push(web, TWO | {"README.md": b"a card", "pets.py": b"import os; os.abort()"})
    source = open_data("hf:me/pets", Resources(cache=tmp_path))
    assert source.name == "hf--me--pets"
    assert counts(load(source)) == SPLITS
    assert source.read("train-00000-of-00001.parquet/00000003/3.png") == picture(3)
    assert not any(path.endswith(("README.md", "pets.py")) for path, _ in web.requests)


def test_later_uses_need_no_network_and_a_new_commit_changes_nothing(web, tmp_path):
    push(web, TWO)
    first = load(open_data("hf:me/pets", Resources(cache=tmp_path)))
    push(web, {"data/train-00000-of-00001.parquet": parquet(500, 30)})
    web.requests.clear()
    again = load(open_data("hf:me/pets", Resources(cache=tmp_path, offline=True)))
    assert again.fingerprint == first.fingerprint
    assert web.requests == []


def test_what_the_hub_converted_is_read_where_a_repository_has_no_parquet(web, tmp_path):
    push(web, {"images.zip": b"zip", "pets.py": b"raise"})
    push(
        web,
        {"default/train/0000.parquet": parquet(0, 12), "default/test/0000.parquet": parquet(50, 8)},
        branch="refs%2Fconvert%2Fparquet",
    )
    assert counts(load(open_data("hf:me/pets", Resources(cache=tmp_path)))) == SPLITS


def test_one_of_several_configurations_must_be_given(web, tmp_path):
    push(web, {f"{config}/train-00000-of-00001.parquet": parquet(10 * n, 20) for n, config in enumerate("ab")})
    with pytest.raises(UsageError, match="has the configurations a, b: give one, as in hf:me/pets:a"):
        load(open_data("hf:me/pets", Resources(cache=tmp_path)))
    dataset = load(open_data("hf:me/pets:b", Resources(cache=tmp_path)))
    assert (dataset.name, dataset.table.num_rows) == ("hf--me--pets--b", 20)
    with pytest.raises(UsageError, match="has the configurations a, b"):
        load(open_data("hf:me/pets:c", Resources(cache=tmp_path)))


def test_other_bytes_than_the_hub_announced_are_refused(web, tmp_path):
    push(web, TWO)
    name = f"/datasets/me/pets/resolve/{COMMIT}/data/test-00000-of-00001.parquet"
    web.files[name] = web.files[name][:-1] + b"?"
    with pytest.raises(DownloadError, match=r"test-00000-of-00001\.parquet of hf--me--pets"):
        load(open_data("hf:me/pets", Resources(cache=tmp_path)))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"pets.py": b"raise"}, "has no Parquet files, and Vitrail runs no script of a data set"),
        ({"train/0.parquet": b"", "data/train/0.parquet": b""}, r"train/0\.parquet .* for the same part of a data set"),
        ({"default/partial-train/0000.parquet": b""}, "converted only a part of hf:me/pets"),
    ],
)
def test_what_cannot_be_read_says_so(web, tmp_path, files, message):
    push(web, files)
    with pytest.raises(DataError, match=message):
        load(open_data("hf:me/pets", Resources(cache=tmp_path)))


def test_a_repository_that_does_not_exist_and_a_hub_that_does_not_answer(web, tmp_path):
    web.codes["/api/datasets/me/pets/revision/main"] = "RepoNotFound"
    with pytest.raises(DownloadError, match="has no data set me/pets, or it is private or gated"):
        load(open_data("hf:me/pets", Resources(cache=tmp_path)))
    web.codes.clear()
    with pytest.raises(DownloadError, match="could not be asked for the files of me/pets"):
        load(open_data("hf:me/pets", Resources(cache=tmp_path)))
    with pytest.raises(DownloadError, match="offline mode does not allow a download"):
        load(open_data("hf:me/pets", Resources(cache=tmp_path, offline=True)))


@pytest.mark.parametrize("name", ["hf:", "hf:a/b/c", "hf:../x", "hf:a b", "hf:a/b:"])
def test_names_that_the_hub_cannot_have_are_one_sentence(name, tmp_path):
    with pytest.raises(UsageError, match="is not a data set on the hub: give hf:OWNER/NAME"):
        open_data(name, Resources(cache=tmp_path))


def test_a_damaged_card_says_what_to_delete(web, tmp_path):
    push(web, TWO)
    load(open_data("hf:me/pets", Resources(cache=tmp_path)))
    (tmp_path / "datasets" / "hf--me--pets" / "card.json").write_text("{")
    with pytest.raises(DataError, match=r"card\.json is damaged: delete it"):
        load(open_data("hf:me/pets", Resources(cache=tmp_path)))


def test_a_url_of_the_hub_is_a_url():
    assert not is_hub_set("hf://datasets/me/pets")
    assert not is_hub_set(None)
