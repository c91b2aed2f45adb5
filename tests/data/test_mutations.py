"""Damaged files of every kind are read or refused, with no internal error (benchmarks/mutations.py has many more)."""

import random
from pathlib import Path

import pytest
from benchmarks.mutation_seeds import archive_seeds, image_seeds, table_seeds
from benchmarks.mutations import mutate, read_file

from vitrail.core.errors import DataError
from vitrail.data.sources import open_source

SEEDS = {"images": list(image_seeds()), "archives": list(archive_seeds()), "tables": list(table_seeds())}
EACH = [(kind, name) for kind, seeds in SEEDS.items() for name, _ in seeds]


def outcomes(kind: str, name: str, folder: Path, numbers: range) -> set[str]:
    content = dict(SEEDS[kind])[name]
    assert read_file(kind, name, content, folder) == "read"
    return {read_file(kind, name, mutate(random.Random(number), content), folder) for number in numbers}


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_damaged_file_is_read_or_refused(kind, name, tmp_path: Path):
    assert outcomes(kind, name, tmp_path, range(8)) <= {"read", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), EACH)
def test_many_damaged_files_are_read_or_refused(kind, name, tmp_path: Path):
    assert outcomes(kind, name, tmp_path, range(8, 150)) <= {"read", "refused"}


def test_a_column_of_images_with_fewer_rows_than_the_file_says_is_not_read(tmp_path: Path):
    """The mutant of benchmarks/mutations.py that ended in an IndexError."""
    mutant = mutate(random.Random("tables 866"), dict(SEEDS["tables"])["images_zstd.parquet"])
    assert read_file("tables", "images_zstd.parquet", mutant, tmp_path) in {"read", "refused"}


def test_a_parquet_file_that_crashes_its_parser_is_refused(tmp_path: Path):
    """pyarrow ends its process on this one ("Definition level histogram size mismatch")."""
    mutant = mutate(random.Random(44), dict(SEEDS["tables"])["images_lz4.parquet"])
    (tmp_path / "x.parquet").write_bytes(mutant)
    with pytest.raises(DataError, match=r"x.parquet cannot be read as Parquet: the process that parses it crashed"):
        list(open_source(tmp_path / "x.parquet").list_files())


def test_a_text_of_a_parquet_file_that_is_not_utf_8_is_one_row_set_aside(tmp_path: Path):
    content = dict(SEEDS["tables"])["manifest_none.parquet"]
    for text in (b"caf\xc3\xa9", b"images/1.png"):
        assert text in content
        broken = content.replace(text, text[:-1] + b"\xff")
        assert read_file("tables", "x.parquet", broken, tmp_path) == "read"
