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
