import pytest

from tests.data.sources.archives import tar_of
from vitrail.core.errors import UsageError
from vitrail.data.sources import DigitsSource, FolderSource, ManifestSource, TarSource, open_source


def test_the_kind_of_source_follows_from_the_path(tmp_path):
    for name in ("list.csv", "list.TSV", "list.parquet"):
        (tmp_path / name).touch()
        assert isinstance(open_source(str(tmp_path / name)), ManifestSource)
    assert isinstance(open_source(tmp_path), FolderSource)
    assert isinstance(open_source(None), DigitsSource)


def test_a_path_to_nothing_is_one_sentence_with_a_remedy(tmp_path):
    with pytest.raises(UsageError, match=r"There is nothing at .*typo: give a folder .* a manifest"):
        open_source(tmp_path / "typo")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "images.rar").touch()
    with pytest.raises(UsageError, match=r"images\.rar is not a data set that can be read: give"):
        open_source(tmp_path / "images.rar")


def test_shards_are_read_beside_a_run_of_ours(tmp_path):
    tar_of(tmp_path / "x-000.tar", {"1.jpg": b"1", "1.cls": b"cat"})
    run = tmp_path / "runs" / "a-1"
    run.mkdir(parents=True)
    for name in ("log.jsonl", "results.json"):
        (run / name).touch()
    assert isinstance(open_source(tmp_path), TarSource)
