"""The notebook of examples/, run in a kernel as Jupyter runs it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vitrail

nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"
EXECUTE = (
    "import sys, nbclient, nbformat\n"
    "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
    "nbclient.NotebookClient(notebook, timeout=240).execute()\n"
    "nbformat.write(notebook, sys.argv[2])\n"
)
COMPLETE = (
    "from IPython.core.completer import provisionalcompleter\n"
    "with provisionalcompleter():\n"
    "    offered = [offer.text.strip('.') for offer in get_ipython().Completer.completions('vitrail.', 8)]\n"
    "sorted(offered)"
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Its cells of code after a run, one that completes `vitrail.` as the tab key does, and one that fails."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in (COMPLETE, "vitrail.bench(margin=200)")]
    notebook.cells[-1].metadata.tags = ["raises-exception"]
    nbformat.write(notebook, folder / "before.ipynb")
    subprocess.run([sys.executable, "-c", EXECUTE, "before.ipynb", "after.ipynb"], cwd=folder, check=True)
    executed = nbformat.read(folder / "after.ipynb", as_version=4)
    return [cell for cell in executed.cells if cell.cell_type == "code"]


def shown(cell: Any) -> str:
    """The text that a cell prints or returns."""
    return "".join(output.get("text", "") or output.data["text/plain"] for output in cell.outputs)


def test_it_lists_what_is_public(cells: list[Any]):
    assert re.findall(r"'(\w+)'", shown(cells[0])) == sorted(vitrail.__all__)
    assert re.findall(r"'(\w+)'", shown(cells[-2])) == sorted(vitrail.__all__)


def test_a_benchmark_shows_one_table_of_bars_and_the_run_as_a_table(cells: list[Any]):
    bars, run = cells[1].outputs
    assert bars.output_type == "display_data"
    assert bars.data["text/html"].count("<progress") >= 2
    assert "1,797 of 1,797" in bars.data["text/html"]
    assert len(bars.data["text/plain"]) < 2_000
    text = run.data["text/plain"]
    assert re.fullmatch(r"<Run on digits: take \w+, accuracy [\d.]+% \[[\d., ]+\] \(.*\); .*runs/notebook>", text)
    assert len(text) < 300
    assert "<table>" in run.data["text/html"]
    assert len(run.data["text/html"]) < 8_000


def test_tables_and_a_prediction_of_an_image_in_memory(cells: list[Any]):
    assert shown(cells[2]).count("'backbone'") == 2
    assert "'adjusted_p'" in shown(cells[3])
    assert shown(cells[4]).count("'predicted'") == 3
    assert re.search(r"<Predictor: \w+ on \w+ \w+, 10 classes>", shown(cells[5]))
    assert "Prediction(path='images[0]', label='0'" in shown(cells[6])


def test_an_error_ends_in_one_sentence(cells: list[Any]):
    (error,) = cells[-1].outputs
    assert error.ename == "UsageError"
    assert error.evalue.startswith("--margin 200 cannot be used: give more than 0 and less than 100 points")
