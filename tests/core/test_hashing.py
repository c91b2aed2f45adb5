import hashlib
from pathlib import Path

import pytest

from vitrail.core.hashing import add_array, fingerprint, sha256_bytes, sha256_file


def test_a_file_hashes_as_its_bytes_do_across_block_borders(tmp_path: Path) -> None:
    content = b"v" * ((1 << 20) + 1)  # more than is read at once
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == sha256_bytes(content) == hashlib.sha256(content).hexdigest()


def test_a_fingerprint_ignores_the_order_of_keys_and_sees_every_value() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert fingerprint(["a", "b"]) != fingerprint(["ab"])


def test_a_fingerprint_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(float("nan"))


@pytest.mark.parametrize("blocks", [[], [[]], [["a"]], [["a", "b"], ["c"]], [[], [1, None], []]])
def test_an_array_in_blocks_has_the_digest_of_the_whole(blocks):
    digest = hashlib.sha256()
    add_array(digest, blocks)
    assert digest.hexdigest() == fingerprint([value for block in blocks for value in block])
