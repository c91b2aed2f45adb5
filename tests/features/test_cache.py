import json
import os
from pathlib import Path

import pytest

from tests.features.test_store import COST, rows
from tests.pictures import draw_folder
from vitrail.core.errors import UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.data.grey_copies import make_grey_copies
from vitrail.features.cache import choose, list_cache, remove, verify_cache
from vitrail.features.store import open_features

DAY = 86_400


def fill(cache: Path, weights: str, count: int, age_days: float) -> str:
    facts = {"weights": weights, "net": {"family": "vit", "variant": {"size": "S"}}, "engine": "torch"}
    stored = open_features(cache, facts)
    stored.seal(*rows(count, width=50), COST)
    for path in stored.folder.iterdir():
        then = path.stat().st_mtime - age_days * DAY
        os.utime(path, (then, then))
    return stored.key


def test_each_key_is_listed_with_what_it_holds_the_last_used_first(tmp_path: Path):
    assert list_cache(tmp_path / "nothing") == []
    old, new = fill(tmp_path, "old", 3, 40), fill(tmp_path, "new", 5, 1)
    first, second = list_cache(tmp_path)
    assert (first.key, second.key) == (new, old)
    assert (first.kind, first.rows, first.damaged) == ("features", 5, 0)
    assert (first.details["shards"], first.details["engine"]) == (1, "torch")
    assert first.details["backbone"] == "vit size S (new)"
    assert first.what == "vit size S (new), torch unknown, float16, unknown"
    assert first.bytes == sum(path.stat().st_size for path in (tmp_path / "features" / new).iterdir())


def test_a_flipped_byte_is_found_and_unused_entries_are_counted(tmp_path: Path):
    key = fill(tmp_path, "a", 3, 0)
    (path,) = (tmp_path / "features" / key).glob("*.arrow")
    facts = f"features/{key}/facts.json"
    assert list(verify_cache(tmp_path)) == [(f"features/{key}/{path.name}", True), (facts, True)]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert list(verify_cache(tmp_path)) == [(f"features/{key}/{path.name}", False), (facts, True)]
    path.rename(path.with_name(path.name + ".damaged"))
    assert (list_cache(tmp_path)[0].rows, list_cache(tmp_path)[0].damaged) == (0, 1)


def test_pruning_takes_by_key_by_age_and_the_oldest_until_it_fits(tmp_path: Path):
    keys = [fill(tmp_path, name, 4, age) for name, age in (("a", 1), ("b", 20), ("c", 90))]
    entries = list_cache(tmp_path)
    size = {entry.key: entry.bytes for entry in entries}

    def gone(**asked) -> list[str]:
        return [
            entry.key for entry in choose(entries, **{"keys": (), "older_than_s": None, "keep_bytes": None} | asked)
        ]

    assert gone(keys=[keys[0][:8]]) == [keys[0]]
    assert gone(older_than_s=30 * DAY) == [keys[2]]
    assert gone(keep_bytes=size[keys[0]]) == [keys[2], keys[1]]
    assert gone(keep_bytes=0) == [keys[2], keys[1], keys[0]]
    assert gone(keep_bytes=10**9) == []
    for wrong in ("zz", ""):
        with pytest.raises(UsageError, match=r"matches (no key|3 keys)"):
            gone(keys=[wrong])


def test_only_the_removed_entries_are_gone(tmp_path: Path):
    kept, gone = fill(tmp_path, "kept", 2, 1), fill(tmp_path, "gone", 2, 9)
    (tmp_path / "engines").mkdir()
    chosen = [entry for entry in list_cache(tmp_path) if entry.key == gone]
    for _ in range(2):  # the second time it is gone already
        remove(tmp_path, chosen)
    assert [entry.key for entry in list_cache(tmp_path)] == [kept]
    assert (tmp_path / "engines").is_dir()


def test_marking_a_use_counts_and_listing_does_not(tmp_path: Path):
    fill(tmp_path, "a", 3, 40)
    before = list_cache(tmp_path)[0].last_used
    assert list_cache(tmp_path)[0].last_used == before
    facts = {"weights": "a", "net": {"family": "vit", "variant": {"size": "S"}}, "engine": "torch"}
    open_features(tmp_path, facts).mark_used()
    assert list_cache(tmp_path)[0].last_used > before + 39 * DAY


def test_listing_goes_on_where_a_run_renames_its_temporary_file_meanwhile(tmp_path: Path, monkeypatch):
    key = fill(tmp_path, "a", 3, 0)
    temporary = tmp_path / "features" / key / ".b.arrow.tmp"
    temporary.write_bytes(b"half")
    scandir = os.scandir

    def renamed_after_listing(folder: Path) -> list[os.DirEntry]:
        entries = list(scandir(folder))
        temporary.unlink()
        return entries

    monkeypatch.setattr(os, "scandir", renamed_after_listing)
    assert [entry.rows for entry in list_cache(tmp_path)] == [3]


def test_the_export_of_a_run_that_is_served_is_listed_verified_and_removed(tmp_path: Path):
    export = tmp_path / "exports" / "ffee"
    export.mkdir(parents=True)
    (export / "model.onnx").write_bytes(b"model")
    (entry,) = list_cache(tmp_path)
    assert (entry.kind, entry.what, entry.bytes) == ("export", "an export that has not ended", 5)
    digest = sha256_file(export / "model.onnx")
    (export / "receipt.json").write_text(json.dumps({"files": {"model.onnx": digest}}))
    assert [entry.what for entry in list_cache(tmp_path)] == ["a run that is served"]
    assert dict(verify_cache(tmp_path)) == {"exports/ffee": True}
    for damage in (b"other", b""):
        (export / "model.onnx").write_bytes(damage)
        assert dict(verify_cache(tmp_path)) == {"exports/ffee": False}
    (export / "receipt.json").write_text("[]")
    assert dict(verify_cache(tmp_path)) == {"exports/ffee": False}
    remove(tmp_path, list_cache(tmp_path))
    assert list_cache(tmp_path) == []


def test_grey_copies_and_models_are_verified_too(tmp_path: Path):
    images = draw_folder(tmp_path / "images", per_class=2)
    cache = tmp_path / "cache"
    make_grey_copies(load(open_source(images)), max_pixels=10**8, resources=Resources(cache=cache, cores=1))
    (copies,) = (cache / "grey-copies" / "v2").iterdir()
    model = cache / "engines" / "ffee"
    model.mkdir(parents=True)
    for name in ("model.xml", "model.bin"):
        (model / name).write_text(name)
    digests = {name: sha256_file(model / name) for name in ("model.xml", "model.bin")}
    (model / "digests.json").write_text(json.dumps(digests))
    assert {entry.kind: entry.rows for entry in list_cache(cache)} == {"grey copies": 6, "model": None}
    paths = {"engines/ffee", f"grey-copies/v2/{copies.name}"}
    assert dict(verify_cache(cache)) == dict.fromkeys(paths, True)
    for path in (copies, model / "model.bin"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert dict(verify_cache(cache)) == dict.fromkeys(paths, False)
    remove(cache, list_cache(cache))
    assert list_cache(cache) == []
