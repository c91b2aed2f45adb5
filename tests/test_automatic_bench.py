"""`vitrail bench DATA` without names, in the command and in Python: plan, offline, resumed."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants

import vitrail
from tests.pictures import draw_folder
from vitrail.benchmark import bench, compute_part, plan_bench
from vitrail.candidates import BenchOptions, make_options
from vitrail.cli.main import _run
from vitrail.core.errors import UsageError
from vitrail.core.progress import Phase, Silent
from vitrail.core.resources import Resources
from vitrail.features import parse_part
from vitrail.runs import Journal
from vitrail.search import TuneOptions

SEARCH = TuneOptions(kinds=("ridge",), alphas=(10.0,), scalings=("standardise",), trials=1, seeds=1, splits=2, epochs=1)
FAST = BenchOptions(search=SEARCH)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("pictures"), per_class=20)


class Notes(Silent):
    """Keeps what is said, and stops the run like Ctrl-C where a phase begins."""

    def __init__(self, until: Phase | None = None) -> None:
        self.lines: list[str] = []
        self.until = until

    def note(self, message: str) -> None:
        self.lines.append(message)

    def enter(self, phase: Phase) -> None:
        if phase == self.until:
            raise KeyboardInterrupt


def test_a_run_shows_its_candidates_and_keeps_how_they_were_chosen(data, mini_weights, tmp_path):
    notes = Notes()
    run = vitrail.bench(data, out=tmp_path / "run", weights=mini_weights, offline=True, trials=1, progress=notes)
    automatic = run.results.automatic
    assert automatic is not None
    assert {each.name for each in automatic.backbones} == {"vit_mini", "resnet_mini"}
    assert run.results.requested == tuple(f"{each.name}={each.sha256}" for each in automatic.backbones)
    assert run.results.winner.of == 2
    first, *_ = (place for place, line in enumerate(notes.lines) if "eligible backbones" in line)
    assert notes.lines[first + 1].startswith(f"1. {automatic.backbones[0].name}: ")
    assert str(tmp_path) not in (tmp_path / "run" / "results.json").read_text().replace(run.results.command, "")


def test_an_interrupted_run_continues_with_its_candidates_though_there_is_a_network_now(
    data, mini_weights, tmp_path, monkeypatch, request
):
    resources = {"weights_dir": mini_weights, "cores": 2}
    stopped = Resources(**resources, progress=Notes("verdict"))
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
        with pytest.raises(KeyboardInterrupt):
            bench(data, out=tmp_path / "run", options=FAST, resources=stopped)
    request.getfixturevalue("hub")
    assert len(plan_bench(data, (), options=FAST, resources=Resources(**resources)).backbones) == 12
    notes = Notes()
    run = bench(data, out=tmp_path / "run", options=FAST, resources=Resources(**resources, progress=notes))
    assert {result.name for result in run.results.backbones} == {"vit_mini", "resnet_mini"}
    assert run.results.cost.starts == 2
    assert run.results.automatic.network.startswith("no hub can be reached")
    assert any("began with other candidates" in line for line in notes.lines)
    again = Notes()
    bench(data, out=tmp_path / "run", options=FAST, resources=Resources(**resources, progress=again))
    assert any("began with other candidates" in line for line in again.lines)
    assert Journal(tmp_path / "run" / "log.jsonl").starts == 2


def test_other_conditions_are_another_run(data, mini_weights, tmp_path):
    resources = Resources(weights_dir=mini_weights, offline=True)
    stopped = Resources(weights_dir=mini_weights, offline=True, progress=Notes("verdict"))
    with pytest.raises(KeyboardInterrupt):
        bench(data, out=tmp_path / "run", options=FAST, resources=stopped)
    with pytest.raises(UsageError, match="other data or other options"):
        bench(data, out=tmp_path / "run", options=make_options(candidates=1), resources=resources)


@pytest.mark.parametrize("columns", [80, 60])
def test_a_plan_fits_the_terminal_and_starts_nothing(data, mini_weights, tmp_path, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)
    code = _run(["bench", str(data), "--plan", "--offline", "--weights", str(mini_weights), "-b", "auto", "-q"])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    lines = printed.out.splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(printed.out.split())
    assert text.startswith("2 of ")
    assert "1. " in text
    assert "Left out (weights not on this machine): " in text
    assert re.search(r"Estimate: nothing to download, and about \d+ s in the networks for \d+ images", text)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_plan_as_json_has_every_figure(data, mini_weights, capsys):
    assert _run(["bench", str(data), "--plan", "--offline", "--weights", str(mini_weights), "--json", "-q"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["download_bytes"] == 0
    assert plan["images"] == sum(1 for path in data.rglob("*") if path.is_file())
    assert plan["seconds"] == pytest.approx(sum(each["seconds"] for each in plan["backbones"]))
    assert {each["chosen"]["name"] for each in plan["backbones"]} == {"vit_mini", "resnet_mini"}


def test_without_weights_and_network_the_command_offers_our_small_ones(data, capsys):
    assert _run(["bench", str(data), "--offline", "-q"]) == 2
    said = capsys.readouterr().err
    assert "--weights FOLDER" in said
    assert "-b vit_mini -b resnet_mini" in said


@pytest.mark.parametrize("start", [bench, plan_bench, partial(compute_part, part=parse_part("1/2"))])
def test_a_wrong_path_is_named_and_not_the_missing_weights(tmp_path, start):
    with pytest.raises(UsageError, match="There is nothing at"):
        start(tmp_path / "nowhere", (), options=BenchOptions(), resources=Resources(offline=True))


def test_a_plan_needs_candidates_from_the_catalogue(data):
    for names in (["vit_mini"], []):
        with pytest.raises(UsageError, match="--plan shows candidates"):
            plan_bench(None if not names else data, names, options=BenchOptions(), resources=Resources(offline=True))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("dataset:oxford-pets", "not on this machine"),
        ("hf:owner/name", "not on this machine"),
        ("s3://bucket/images", "behind a URL"),
    ],
)
def test_a_plan_of_a_data_set_that_is_not_here_has_no_time_and_says_why(mini_weights, data, why):
    resources = Resources(weights_dir=mini_weights, offline=True)
    plan = plan_bench(data, (), options=BenchOptions(), resources=resources)
    assert plan.images is None
    assert why in plan.uncounted
    assert plan.race == "The candidates do not race: 2 candidates are too few."


def test_parts_need_names(data, mini_weights):
    resources = Resources(weights_dir=mini_weights, offline=True)
    with pytest.raises(UsageError, match="each machine might choose others"):
        compute_part(data, (), parse_part("1/2"), options=BenchOptions(), resources=resources)


@pytest.mark.shared
def test_real_photographs_with_the_weights_of_a_folder(shared: Path, tmp_path: Path):
    kinds = sorted((shared / "data" / "flowers_original").iterdir())
    for kind in [path for path in kinds if path.is_dir()][:3]:
        (tmp_path / "flowers" / kind.name).mkdir(parents=True)
        for image in sorted(kind.iterdir())[:12]:
            shutil.copy(image, tmp_path / "flowers" / kind.name)
    run = vitrail.bench(
        tmp_path / "flowers",
        out=tmp_path / "run",
        weights=shared / "weights",
        offline=True,
        candidates=2,
        max_gmacs=2,
        trials=1,
    )
    assert len(run.results.backbones) == 2
    assert all(each.recognised == "names and shapes" for each in run.results.automatic.backbones)
