import importlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import draw_folder
from vitrail.cli.main import _run


def test_help_loads_neither_torch_nor_numpy():
    code = (
        "import sys\nfrom vitrail.cli.main import _run\n_run(['--help'])\n"
        "assert not {'torch', 'numpy', 'pyarrow', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_catalogue_is_listed_without_torch():
    code = (
        "import sys\nfrom vitrail.cli.main import _run\nassert _run(['backbones', '--json']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    listed = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE).stdout
    assert "vit_mini" in {card["name"] for card in json.loads(listed)}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["backbones", "vit_mini"], 0),
        (["--version"], 0),
        (["backbones", "vit_mimi"], 2),
        (["bench", "--nope"], 2),
        (["bench", "--seed", "x"], 2),
        (["nope"], 2),
        (["bench", "no/such/folder", "-b", "vit_mini"], 2),
        (["bench", "-b", "vit_mini=no/such/file"], 2),
        (["bench", "--engine", "abacus", "-q"], 2),
        (["bench", "--budget", "soon", "-q"], 2),
        (["bench", "--choose-by", "luck", "-q"], 2),
        (["bench", "--decide-by", "luck", "-q"], 2),
        (["bench", "--part", "1/2", "--cluster", "auto", "-q"], 2),
        (["predict", "no/such/run", "a.png", "-q"], 1),
        (["pretrain", "vit_huge", "-q"], 2),
    ],
)
def test_exit_codes_say_what_happened(arguments, code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _run(arguments) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert bool(said.err) is (code != 0)


def test_a_benchmark_prints_its_results_as_json_and_predicts(tmp_path: Path, capsys):
    data = draw_folder(tmp_path / "pictures", per_class=20)
    asked = ["bench", str(data), "-b", "vit_mini", "--out", str(tmp_path / "run"), "--json", "-q"]
    assert _run(asked) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["choose"] == "vit_mini"
    assert _run([*asked[:-2], "-q"]) == 0
    shown = capsys.readouterr().out
    assert "Take vit_mini" in shown
    assert f"vitrail predict {tmp_path / 'run'} IMAGE" in shown
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert _run(["predict", str(tmp_path / "run"), str(data / "red" / "000-0.png"), str(broken), "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[1] == "red"
    assert lines[1].split("\t")[1] == "-"
    assert _run(["predict", str(tmp_path / "run"), str(broken), "-q"]) == 1


def test_the_digits_are_decided_by_balanced_accuracy_from_command_line_to_report(tmp_path: Path, capsys):
    out = str(tmp_path / "run")
    assert _run(["bench", "--decide-by", "balanced", "--trials", "1", "--budget", "1", "--out", out, "-q"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "balanced accuracy" in shown
    page = (tmp_path / "run" / "report.html").read_text()
    assert "percentage points of balanced accuracy" in page
    assert json.loads((tmp_path / "run" / "results.json").read_text())["options"]["decide_by"] == "balanced"
    assert _run(["verify", out]) == 0
    capsys.readouterr()
    assert _run(["compare", out, out]) == 0
    compared = capsys.readouterr().out
    assert compared.startswith(f"Run 1 is {out}.\nRun 2 is {out}.\n360 common test images; 0 only in run 1")
    assert "What is compared is balanced accuracy." in compared


def test_an_interruption_is_said_in_words(monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("vitrail.benchmark"), "open_data", interrupted)
    assert _run(["bench", "-q"]) == 130
    assert "goes on from there" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors by a shell")
@pytest.mark.parametrize("command", ["backbones --json", "bench --help", "--version"])
@pytest.mark.parametrize("ending", [">&- 2>&-", "| exec 0<&-", "| head -c 1 >/dev/null"])
def test_output_that_nobody_reads_is_not_an_error(command: str, ending: str):
    program = f"{shlex.quote(sys.executable)} -m vitrail {command}"
    script = f"set -o pipefail; {program} {ending}"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", ["backbones", "backbones --json", "--version", "bench --help"])
def test_output_that_cannot_be_written_fails_in_one_sentence(command: str):
    with Path("/dev/full").open("w") as full:
        arguments = [sys.executable, "-m", "vitrail", *command.split()]
        ended = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: The output of this command could not be written (No space left on device).")
    assert ended.stderr.count("\n") == 1


def test_the_program_alone_prints_its_help_and_no_error(capsys):
    assert _run([]) == 2
    printed = capsys.readouterr()
    assert "bench" in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_lack_of_memory_is_no_fault_of_vitrail(error: Exception, capsys, monkeypatch):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("vitrail.cli.main"), "app", fail)
    assert _run(["bench"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: There is not enough memory.")
    assert "fault of Vitrail" not in said
