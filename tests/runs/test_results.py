import json
from pathlib import Path

import pytest

from tests.delivery.examples import make_run
from vitrail.core.errors import RunError
from vitrail.runs import read_results, results_schema, results_to_json


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 99}'])
def test_a_file_that_is_no_results_is_one_sentence_with_the_version(tmp_path: Path, content: str):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(RunError, match="schema version 1"):
        read_results(tmp_path / "results.json")


def test_results_of_another_schema_version_are_refused_though_all_fields_are_there(tmp_path: Path):
    results, path = make_run(("a", "b"), backbones=1)[0], tmp_path / "results.json"
    path.write_bytes(results_to_json(results))
    assert read_results(path).schema_version == 1
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"schema_version": 2}))
    with pytest.raises(RunError, match=r"schema version 1 .*schema_version"):
        read_results(path)


def test_the_schema_names_every_part_of_the_document():
    parts = set(results_schema()["properties"])
    assert parts >= {"schema_version", "data", "split", "backbones", "pairs", "decision", "cost", "machine", "options"}


@pytest.mark.parametrize(
    ("field", "value"), [("feature_key", "../../../etc"), ("feature_key", "/etc/passwd"), ("feature_key", "")]
)
def test_a_key_that_is_no_folder_of_the_cache_is_refused(tmp_path: Path, field: str, value: str):
    document = json.loads(results_to_json(make_run(("cat", "dog"), backbones=1)[0]))
    document["backbones"][0][field] = value
    (tmp_path / "results.json").write_text(json.dumps(document))
    with pytest.raises(RunError, match=rf"backbones\.0\.{field}"):
        read_results(tmp_path / "results.json")


def test_a_figure_that_is_not_a_number_is_refused(tmp_path: Path):
    document = json.loads(results_to_json(make_run(("cat", "dog"), backbones=1)[0]))
    document["backbones"][0]["test"]["top1"]["value"] = float("nan")
    (tmp_path / "results.json").write_text(json.dumps(document))
    with pytest.raises(RunError, match=r"test\.top1.*is not an interval"):
        read_results(tmp_path / "results.json")
