import json
import os
from pathlib import Path

import pytest

from tests.features.test_cache import fill
from vitrail.cli.main import _run
from vitrail.core.digest_json import add_digest
from vitrail.core.machine import cache_folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = _run(["cache", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_cache_is_listed_verified_and_pruned_and_the_trust_lock_stays(capsys):
    cache, config = cache_folder(), Path(os.environ["VITRAIL_CONFIG"])
    lock = config / "weights.lock.json"
    lock.write_text("{}")
    new, old = fill(cache, "new", 4, 1), fill(cache, "old", 6, 100)
    listing = json.loads(run(capsys, "--json")[1])
    assert [(entry["key"], entry["rows"]) for entry in listing["entries"]] == [(new, 4), (old, 6)]
    assert new[:8] in run(capsys)[1]
    assert run(capsys, "verify") == (0, "4 whole, 0 damaged.\n")  # a shard and the facts of each
    (shard,) = (cache / "features" / old).glob("*.arrow")
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    os.utime(shard, (0, 0))
    code, said = run(capsys, "verify")
    assert code == 1
    assert f"damaged: features/{old}/{shard.name}" in said
    assert "would be freed" in run(capsys, "prune", "--older-than", "30d", "--dry-run")[1]
    assert (cache / "features" / old).is_dir()
    assert json.loads(run(capsys, "prune", "--older-than", "30d", "--json")[1])["entries"][0]["key"] == old
    assert "freed" in run(capsys, "prune", "--keep", "0")[1]
    assert json.loads(run(capsys, "--json")[1])["entries"] == []
    assert lock.read_text() == "{}"


def test_the_batch_that_a_network_was_fastest_with_is_listed_and_pruned_like_features(capsys):
    cache = cache_folder()
    key, file = fill(cache, "new", 4, 1), cache / "pace" / "abcd.json"
    file.parent.mkdir()
    facts = {"version": 1, "backbone": "vit_mini", "batch": 8, "images_per_s": {"8": 1250.0}}
    file.write_text(json.dumps(add_digest(facts)))
    listing = json.loads(run(capsys, "--json")[1])
    (entry,) = (entry for entry in listing["entries"] if entry["kind"] == "batch size")
    assert entry["key"] == "abcd"
    assert entry["details"] == {"backbone": "vit_mini", "batch": 8, "images_per_s": 1250.0}
    listing = run(capsys)[1]
    assert "vit_mini" in listing
    assert "1,250" in listing
    assert "abcd  vit_mini, batch of 8" in run(capsys, "prune", "ab", "--dry-run")[1]
    assert file.exists()
    pruned = json.loads(run(capsys, "prune", "ab", "--json")[1])
    assert [entry["key"] for entry in pruned["entries"]] == ["abcd"]
    assert not file.exists()
    assert (cache / "features" / key).is_dir()


def test_converted_models_and_grey_copies_count_and_can_be_pruned_too(capsys):
    cache = cache_folder()
    model, copies = cache / "engines" / "ffee" / "model.bin", cache / "grey-copies" / "v2" / "abc.arrow"
    for file in (model, copies):
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(3000))
    os.utime(copies, (0, 0))
    listing = run(capsys)[1]
    assert "a converted model" in listing
    assert "grey copies" in listing
    assert "near-duplicates" in listing
    assert "6 kB in" in listing
    pruned = json.loads(run(capsys, "prune", "--keep", "3000", "--json")[1])
    assert [entry["key"] for entry in pruned["entries"]] == ["grey-copies"]
    assert "3 kB freed" in run(capsys, "prune", "--keep", "0")[1]
    assert not any(file.exists() for file in (model, copies))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say what to prune"),
        (("--keep", "many"), "is not a size"),
        (("--older-than", "3"), "is not an age"),
        (("zz",), "no key"),
    ],
)
def test_a_prune_that_makes_no_sense_is_wrong_usage(capsys, arguments, words):
    code, said = run(capsys, "prune", *arguments)
    assert code == 2
    assert words in said
