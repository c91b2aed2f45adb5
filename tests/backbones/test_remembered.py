"""A file is found by its digest for as long as it is there with the same bytes."""

from pathlib import Path

from vitrail.backbones import find_card
from vitrail.backbones.remembered import find_remembered, is_trusted_name, is_unchanged
from vitrail.backbones.specs import digest_of, digest_of_folder
from vitrail.core.hashing import sha256_file
from vitrail.core.machine import config_folder
from vitrail.core.progress import Silent
from vitrail.fetch.download import LOCK_FILE
from vitrail.fetch.hub import HF_FILES, WEIGHTS_FILE
from vitrail.fetch.known_weights import KnownFile, remember_file
from vitrail.fetch.trust import Trusted
from vitrail.fetch.trust import remember as remember_trusted


def remember(path: Path) -> str:
    digest = digest_of(path)
    remember_file(KnownFile(name="net", sha256=digest, path=str(path)), Silent())
    return digest


def test_a_file_is_found_until_it_moves_or_changes(tmp_path: Path):
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    digest = remember(file)
    assert find_remembered(digest, Silent()).path == file
    file.write_bytes(b"others")
    assert find_remembered(digest, Silent()).fault == f"{file}, where they were last used, has changed"
    file.unlink()
    assert find_remembered(digest, Silent()).fault == f"{file}, where they were last used, no longer exists"


def test_a_folder_of_another_library_is_found_by_the_digest_of_its_files(tmp_path: Path):
    for name in HF_FILES:
        (tmp_path / name).write_bytes(name.encode())
    digest = remember(tmp_path)
    assert find_remembered(digest, Silent()).path == tmp_path
    (tmp_path / HF_FILES[0]).write_bytes(b"other")
    assert find_remembered(digest, Silent()).path is None


def test_what_was_never_used_is_not_known(tmp_path: Path):
    assert "does not know a file" in find_remembered("a" * 64, Silent()).fault
    assert not is_unchanged(tmp_path / "none", "a" * 64)


def test_a_name_is_trusted_for_what_the_catalogue_or_a_download_says(tmp_path: Path):
    card = find_card("vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    assert is_trusted_name("vit_mini", "a" * 64), "nothing is downloaded for it"
    assert is_trusted_name(card.name, card.sha256)
    for name in (card.name, "timm:resnet18.a1_in1k", "hf:owner/net"):
        assert not is_trusted_name(name, "a" * 64)
    for name in ("hf:owner/net", "deit3_small_patch16_224.fb_in1k"):
        assert not is_trusted_name(name, digest_of_folder({})), "no file is no weights"
        assert not is_trusted_name(name, ""), "nor is no digest one, of a card that states none either"
    lock(card.name, "timm:resnet18.a1_in1k")
    assert is_trusted_name(card.name, "a" * 64)
    assert is_trusted_name("timm:resnet18.a1_in1k", "a" * 64)


def test_a_repository_is_trusted_for_all_of_its_files_together(tmp_path: Path):
    for name in HF_FILES:
        (tmp_path / name).write_bytes(name.encode())
    for name in HF_FILES:
        assert not is_trusted_name("hf:owner/net", digest_of(tmp_path))
        digest = sha256_file(tmp_path / name)
        lock("hf:owner/net" if name == WEIGHTS_FILE else f"hf:owner/net/{name}", digest=digest)
    assert is_trusted_name("hf:owner/net", digest_of(tmp_path))


def lock(*names: str, digest: str = "a" * 64) -> None:
    for name in names:
        remember_trusted(config_folder() / LOCK_FILE, name, Trusted(repository="r", revision="c", sha256=digest))
