import json

from vitrail.cli.main import _run


def test_table_1_is_printed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert _run(["reproduce", "table1"]) == 0
    shown = capsys.readouterr().out
    assert "ViT-Huge/14       32   1280  5120     16  632,045,800       632M" in shown
    assert "936,533,224" in shown


def test_table_1_is_printed_as_json(capsys):
    assert _run(["reproduce", "table1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["parameters"] == 86_567_656
