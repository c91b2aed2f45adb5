import shutil

import pyarrow as pa
import pytest

from tests.candidates.test_parity import can_bf16
from tests.pictures import draw_folder
from vitrail.benchmark import PartDone, compute_part
from vitrail.candidates.options import BenchOptions
from vitrail.core.machine import cache_folder
from vitrail.core.resources import Resources
from vitrail.features import Part
from vitrail.features.cache import list_cache


def compute(data, part: Part) -> PartDone:
    resources = Resources(cores=1, batch=8, offline=True)
    return compute_part(data, ["vit_mini"], part, options=BenchOptions(), resources=resources)


def test_parts_fill_one_cache_each_row_once_and_the_whole_finds_all_of_them(tmp_path):
    data = draw_folder(tmp_path / "data")
    done = [compute(data, Part(number, 3)) for number in (1, 2, 3)]
    assert [one.part for one in done] == ["1/3", "2/3", "3/3"]
    assert sum(one.in_part for one in done) == done[0].images == 36
    assert all(one.computed == {"vit_mini": one.in_part} for one in done)
    assert [entry.rows for entry in list_cache(cache_folder()) if entry.kind == "features"] == [36]
    assert [entry.rows for entry in list_cache(cache_folder()) if entry.kind == "grey copies"] == [36]
    assert compute(data, Part(1, 1)).computed == {"vit_mini": 0}


def test_rows_do_not_depend_on_how_the_work_was_parted(tmp_path, monkeypatch):
    data, found = draw_folder(tmp_path / "data"), []
    for parts in (1, 4):
        monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / f"cache{parts}"))
        for number in range(1, parts + 1):
            compute(data, Part(number, parts))
        (entry,) = (entry for entry in list_cache(cache_folder()) if entry.kind == "features")
        tables = [pa.ipc.open_file(path).read_all() for path in cache_folder().glob("features/*/*.arrow")]
        found.append((entry.key, pa.concat_tables(table.replace_schema_metadata() for table in tables).sort_by("id")))
    assert found[0] == found[1]


def test_an_archive_of_a_folder_has_the_rows_of_the_folder(tmp_path):
    data = draw_folder(tmp_path / "data")
    compute(data, Part(1, 1))
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", data)
    done = compute(archive, Part(1, 1))
    assert (done.images, done.computed) == (36, {"vit_mini": 0})


@pytest.mark.skipif(not can_bf16(), reason="needs OpenVINO and a processor with bfloat16 units")
def test_a_machine_that_would_choose_another_engine_computes_its_part_for_the_same_benchmark(tmp_path, monkeypatch):
    data = draw_folder(tmp_path / "data")
    for number, processor in ((1, "AMD"), (2, "Intel")):  # the rule takes bf16 on the first, and fp32 on the other
        able = {"cpu_name": processor, "avx512_bf16": True}
        monkeypatch.setattr("vitrail.backbones.engines._processor", lambda able=able: able)
        compute(data, Part(number, 2))
    assert [entry.rows for entry in list_cache(cache_folder()) if entry.kind == "features"] == [36]


def test_a_part_keeps_the_engine_that_the_data_set_was_measured_with(tmp_path, monkeypatch):
    data = draw_folder(tmp_path / "data")
    monkeypatch.setattr("vitrail.features.engine_choice.PAYS_FROM", 36)
    compute(data, Part(1, 2))
    monkeypatch.setattr("vitrail.features.engine_choice.try_engines", None)  # it would fail, were it called again
    compute(data, Part(2, 2))
    assert [entry.rows for entry in list_cache(cache_folder()) if entry.kind == "features"] == [36]
