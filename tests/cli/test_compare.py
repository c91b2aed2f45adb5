from pathlib import Path

import pytest

from tests.delivery.examples import make_run
from vitrail.cli.main import _run
from vitrail.runs import results_to_json


@pytest.mark.parametrize("asked", [("--level", "95"), ("--margin", "200"), ("--margin", "-1"), ("--margin", "nan")])
def test_a_level_or_margin_that_makes_no_sense_is_wrong_usage(tmp_path: Path, capsys, asked: tuple[str, str]):
    (tmp_path / "results.json").write_bytes(results_to_json(make_run(("a", "b"))[0]))
    assert _run(["compare", str(tmp_path), str(tmp_path), *asked]) == 2
    assert "cannot be used: both are fractions between 0 and 1" in capsys.readouterr().err
