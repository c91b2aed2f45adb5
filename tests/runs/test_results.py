from pathlib import Path

import pytest

from vitrail.core.errors import RunError
from vitrail.runs import read_results, results_schema


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 99}'])
def test_a_file_that_is_no_results_is_one_sentence_with_the_version(tmp_path: Path, content: str):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(RunError, match="schema version 1"):
        read_results(tmp_path / "results.json")


def test_the_schema_names_every_part_of_the_document():
    parts = set(results_schema()["properties"])
    assert parts >= {"schema_version", "data", "split", "backbones", "pairs", "decision", "cost", "machine", "options"}
