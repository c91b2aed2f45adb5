import os
from pathlib import Path

import pytest

from tests.features.test_store import COST, rows
from vitrail.core.errors import UsageError
from vitrail.features import shelves
from vitrail.features.shelves import choose, list_shelves, remove, verify_shelf
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
    assert list_shelves(tmp_path / "nothing") == []
    old, new = fill(tmp_path, "old", 3, 40), fill(tmp_path, "new", 5, 1)
    first, second = list_shelves(tmp_path)
    assert (first.key, second.key) == (new, old)
    assert (first.rows, first.shards, first.damaged, first.engine) == (5, 1, 0, "torch")
    assert first.backbone == "vit size S (new)"
    assert first.bytes == sum(path.stat().st_size for path in (tmp_path / "features" / new).iterdir())


def test_a_flipped_byte_is_found_and_what_is_out_of_use_is_counted(tmp_path: Path):
    key = fill(tmp_path, "a", 3, 0)
    (path,) = (tmp_path / "features" / key).glob("*.arrow")
    assert list(verify_shelf(tmp_path, key)) == [(path.name, True)]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert list(verify_shelf(tmp_path, key)) == [(path.name, False)]
    path.rename(path.with_name(path.name + ".damaged"))
    assert (list_shelves(tmp_path)[0].rows, list_shelves(tmp_path)[0].damaged) == (0, 1)


def test_pruning_takes_by_key_by_age_and_the_oldest_until_it_fits(tmp_path: Path):
    keys = [fill(tmp_path, name, 4, age) for name, age in (("a", 1), ("b", 20), ("c", 90))]
    found = list_shelves(tmp_path)
    size = {shelf.key: shelf.bytes for shelf in found}

    def gone(**asked) -> list[str]:
        return [shelf.key for shelf in choose(found, **{"keys": (), "older_than_s": None, "keep_bytes": None} | asked)]

    assert gone(keys=[keys[0][:8]]) == [keys[0]]
    assert gone(older_than_s=30 * DAY) == [keys[2]]
    assert gone(keep_bytes=size[keys[0]]) == [keys[2], keys[1]]
    assert gone(keep_bytes=0) == [keys[2], keys[1], keys[0]]
    assert gone(keep_bytes=10**9) == []
    for wrong in ("zz", ""):
        with pytest.raises(UsageError, match=r"beginning of (no key|3 keys)"):
            gone(keys=[wrong])


def test_what_is_removed_is_gone_and_nothing_else_is(tmp_path: Path):
    kept, gone = fill(tmp_path, "kept", 2, 1), fill(tmp_path, "gone", 2, 9)
    (tmp_path / "engines").mkdir()
    chosen = [shelf for shelf in list_shelves(tmp_path) if shelf.key == gone]
    for _ in range(2):  # the second time it is gone already
        remove(tmp_path, chosen)
    assert [shelf.key for shelf in list_shelves(tmp_path)] == [kept]
    assert (tmp_path / "engines").is_dir()


def test_asking_for_rows_is_a_use_and_listing_is_none(tmp_path: Path):
    fill(tmp_path, "a", 3, 40)
    before = list_shelves(tmp_path)[0].last_used
    assert list_shelves(tmp_path)[0].last_used == before
    facts = {"weights": "a", "net": {"family": "vit", "variant": {"size": "S"}}, "engine": "torch"}
    open_features(tmp_path, facts).has(["0-0"])
    assert list_shelves(tmp_path)[0].last_used > before + 39 * DAY


def test_listing_goes_on_where_a_run_renames_its_temporary_file_meanwhile(tmp_path: Path, monkeypatch):
    key = fill(tmp_path, "a", 3, 0)
    temporary = tmp_path / "features" / key / ".b.arrow.tmp"
    temporary.write_bytes(b"half")
    scandir = os.scandir

    def renamed_after_listing(folder: Path) -> list[os.DirEntry]:
        entries = list(scandir(folder))
        temporary.unlink()
        return entries

    monkeypatch.setattr(shelves.os, "scandir", renamed_after_listing)
    assert [shelf.rows for shelf in list_shelves(tmp_path)] == [3]
