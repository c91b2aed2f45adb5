"""Both means of VTAB."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.checks.test_verify import FAST
from tests.pictures import draw_folder
from vitrail.benchmark import bench
from vitrail.cli.main import _run
from vitrail.core.errors import UsageError
from vitrail.data.dataset import SetAside
from vitrail.data.named.vtab import TASKS
from vitrail.reproduce.vtab import summarise_vtab, vtab_means
from vitrail.runs.folder import RESULTS
from vitrail.runs.receipt import write_receipt
from vitrail.runs.results import results_to_json
from vitrail.runs.run import load_run
from vitrail.statistics.intervals import wilson


def test_the_two_means_differ_as_the_groups_weigh():
    """Natural tasks at 90%, specialised at 80%, structured at 30%: 7, 4 and 8 of the 19."""
    level = {"natural": 90, "specialised": 80, "structured": 30}
    means = vtab_means({task: wilson(level[TASKS[task].group], 100) for task in TASKS})
    assert means.mean_of_tasks.value == pytest.approx((7 * 0.9 + 4 * 0.8 + 8 * 0.3) / 19)
    assert means.mean_of_groups.value == pytest.approx((0.9 + 0.8 + 0.3) / 3)
    assert {group: mean.value for group, mean in means.groups.items()} == pytest.approx(
        {"natural": 0.9, "specialised": 0.8, "structured": 0.3}
    )
    assert means.missing == []
    assert means.mean_of_tasks.low < means.mean_of_tasks.value < means.mean_of_tasks.high


def test_missing_tasks_are_named():
    means = vtab_means({"vtab-svhn": wilson(1, 2), "vtab-dtd": wilson(1, 2)})
    assert means.mean_of_tasks.value == means.mean_of_groups.value == 0.5
    assert len(means.missing) == 17


def test_tasks_with_another_number_of_test_images_are_named():
    means = vtab_means({"vtab-dtd": wilson(1_000, 1_880), "vtab-dsprites-orientation": wilson(10, 73_000)})
    assert means.other_tests == {"vtab-dsprites-orientation": 73_728}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs on tasks: copies of a small run under their names, which a run has from its data set."""
    root = tmp_path_factory.mktemp("vtab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(root / "cache"))
        patch.setenv("VITRAIL_CONFIG", str(root / "config"))
        bench(draw_folder(root / "pictures", per_class=20), ["vit_mini"], out=root / "other", options=FAST)
    results = load_run(root / "other").results
    for task in ("vtab-dtd", "vtab-dmlab"):
        shutil.copytree(root / "other", root / task)
        renamed = replace(results, data=replace(results.data, name=task))
        (root / task / RESULTS).write_bytes(results_to_json(renamed))
        write_receipt(root / task, renamed)
    return root


def test_runs_are_summed_up_and_what_is_missing_is_said(made, capsys):
    assert _run(["reproduce", "vtab", str(made / "vtab-dtd"), str(made / "vtab-dmlab")]) == 0
    shown = capsys.readouterr().out
    top1 = load_run(made / "vtab-dtd").backbone("vit_mini").test.top1
    assert f"vtab-dtd                   {top1.value:.1%} ({top1.low:.1%} to {top1.high:.1%})" in shown
    assert "mean of tasks (2)" in shown
    assert "mean of groups (2)" in shown
    assert f"vtab-dtd was scored on {top1.n} test images; the benchmark has 1,880." in shown
    assert "These are not VTAB's means: there is no run of vtab-caltech-101, " in shown
    assert _run(["reproduce", "vtab", str(made / "vtab-dtd"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vit_mini"]["mean_of_tasks"]["value"] == pytest.approx(top1.value)


def test_images_that_nobody_can_have_right_count_as_wrong(made):
    record = load_run(made / "vtab-dtd")
    top1 = record.backbone("vit_mini").test.top1
    reason = "the 800 training images have none of its class: it is in "
    aside = tuple(SetAside(path=str(n), reason=reason + ["test", "val"][n % 2]) for n in range(40))
    changed = replace(record, results=replace(record.results, data=replace(record.results.data, set_aside=aside)))
    mean = summarise_vtab([changed])["vit_mini"].mean_of_tasks
    assert (mean.value, mean.n) == (pytest.approx(top1.value * top1.n / (top1.n + 20)), top1.n + 20)


def test_runs_that_are_no_tasks_or_the_same_task_are_one_sentence(made):
    runs = {name: load_run(made / name) for name in ("vtab-dtd", "other")}
    with pytest.raises(UsageError, match="is not a task of VTAB: give runs of data sets such as vtab-caltech-101"):
        summarise_vtab([runs["other"]])
    with pytest.raises(UsageError, match="are both runs on vtab-dtd: give one of them"):
        summarise_vtab([runs["vtab-dtd"], runs["vtab-dtd"]])
