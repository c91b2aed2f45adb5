from pathlib import Path

import pytest

from tests.delivery.examples import make_run
from vitrail.cli.main import _run
from vitrail.runs import results_to_json


@pytest.mark.parametrize(
    ("flag", "value", "rule"),
    [
        ("--level", "95", "give a confidence level between 0 and 1, such as 0.95"),
        ("--margin", "200", "give more than 0 and less than 100 points of accuracy"),
        ("--margin", "-1", "give more than 0 and less than 100 points of accuracy"),
        ("--margin", "nan", "give more than 0 and less than 100 points of accuracy"),
        ("--margin", "0.01", "a margin is in points, not a fraction; give 1pt, or 0.01pt if you mean that"),
        ("--decide-by", "luck", "choose top1 or balanced"),
    ],
)
def test_a_value_that_cannot_be_used_is_wrong_usage_in_the_unit_of_its_flag(
    tmp_path: Path, capsys, flag: str, value: str, rule: str
):
    (tmp_path / "results.json").write_bytes(results_to_json(make_run(("a", "b"))[0]))
    assert _run(["compare", str(tmp_path), str(tmp_path), flag, value]) == 2
    message = capsys.readouterr().err
    assert f"{flag} " in message
    assert f"cannot be used: {rule}" in message
