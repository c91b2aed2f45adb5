"""Cells measured on miniatures of data sets in their official layouts."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.checks.test_verify import FAST
from tests.data.named.layouts.test_imagenet import IDS, TRUTH, VAL, train, unpack
from tests.data.named.layouts.test_oxford_flowers import archives
from tests.pictures import draw_folder
from vitrail.backbones import find_card
from vitrail.backbones.build import build_net
from vitrail.cli.main import _run
from vitrail.core.errors import DataError, DownloadError
from vitrail.core.resources import Resources
from vitrail.data.named import real_labels
from vitrail.data.named.cards import load_dataset_cards
from vitrail.reproduce import cells as cells_module
from vitrail.reproduce import real
from vitrail.reproduce.cells import Comparison, compare_cells, describe_comparison
from vitrail.reproduce.plan import CellRequest, plan_cells, read_given
from vitrail.reproduce.published import (
    ImageSet,
    Metric,
    Published,
    PublishedNetwork,
    PublishedTable,
    list_cells,
)
from vitrail.reproduce.vtab import vtab_means
from vitrail.runs import load_run

NETWORK = PublishedNetwork(name="small", title="Small", backbone="vit_mini", figures={"images": (50.0, 0.1)})
FLOWERS = "oxford-flowers-102"


def published(*data: str, metric: Metric = "accuracy", network: PublishedNetwork = NETWORK) -> Published:
    """A table of one figure, of a small network that comes with Vitrail."""
    return Published(
        title="A paper's table",
        sets={"images": ImageSet(title="Images", data=data, protocol="Said of the images.")},
        tables=(
            PublishedTable(
                title="Table",
                source="A paper",
                read_in="primary source",
                method="Published heads are linear.",
                networks=(network,),
                metrics={"images": metric},
            ),
        ),
    )


def compare(
    figures: Published, out: Path, *, data_dir: Path | None = None, images: Mapping[str, Path] | None = None
) -> Comparison:
    cells, resources = list_cells(figures), Resources(data_dir=data_dir, offline=True)
    data = [f"{name}={path}" for name, path in (images or {}).items()]
    weights, given = read_given(cells, [], data, resources)
    request = CellRequest(
        out=out, options=FAST, resources=resources, command="", fetch=False, weights=weights, images=given
    )
    (comparison,) = compare_cells(plan_cells(cells, request), request)
    return comparison


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a miniature of Flowers-102 in its official archives, whose digests its card states."""
    files = archives()
    card = load_dataset_cards()[FLOWERS]
    changed = [replace(file, bytes=len(files[file.name]), sha256="") for file in card.forms[0].files]
    monkeypatch.setitem(
        load_dataset_cards(),
        FLOWERS,
        replace(card, forms=(replace(card.forms[0], files=tuple(changed)),)),
    )
    write(tmp_path / "data" / "flowers-102", files)
    return tmp_path / "data"


def test_a_cell_is_a_benchmark_that_is_run_once(flowers, tmp_path, monkeypatch):
    comparison = compare(published(FLOWERS), tmp_path / "out", data_dir=flowers)
    (folder,) = comparison.planned.runs.values()
    top1 = load_run(folder).backbone("vit_mini").test.top1
    assert folder.parent == tmp_path / "out"
    assert comparison.measured == top1
    assert comparison.difference == pytest.approx(100 * top1.value - 50)
    assert comparison.within == (top1.low <= 0.5 <= top1.high)
    assert comparison.departures == (
        "Measured with 30 images in 3 classes, 12 of them for the test; Oxford Flowers-102 has 8,189 in 102, 6,149 of "
        "them for the test.",
        "Said of the images.",
    )

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a finished run was computed again")

    monkeypatch.setattr(cells_module, "bench", refuse)
    again = compare(published(FLOWERS), tmp_path / "out")  # without the images
    assert again.planned.gmacs_left == 0
    assert again.planned.data.where == "the finished run"
    assert again.measured == comparison.measured


def test_after_a_failure_the_cells_before_it_are_kept(tmp_path):
    """Two sets of images; the second one is not a data set at all."""
    pictures = draw_folder(tmp_path / "pictures", per_class=12)
    (tmp_path / "empty").mkdir()
    figures = published("vtab-dtd", "vtab-dmlab", metric="mean of tasks")
    with pytest.raises(DataError):
        compare(figures, tmp_path / "out", images={"vtab-dtd": pictures, "vtab-dmlab": tmp_path / "empty"})
    assert [load_run(folder).results.data.name for folder in (tmp_path / "out").iterdir()] == ["pictures"]


def test_the_mean_of_tasks_is_that_of_a_run_for_each(tmp_path):
    tasks = {
        "vtab-dtd": draw_folder(tmp_path / "a", per_class=12),
        "vtab-dmlab": draw_folder(tmp_path / "b", per_class=12, seed=1),
    }
    comparison = compare(published(*tasks, metric="mean of tasks"), tmp_path / "out", images=tasks)
    top1 = {name: load_run(folder).backbone("vit_mini").test.top1 for name, folder in comparison.planned.runs.items()}
    assert comparison.measured == vtab_means(top1).mean_of_tasks


def test_the_mean_per_class_is_compared_with_the_same(tmp_path):
    pictures = draw_folder(tmp_path / "pictures", per_class=12)
    comparison = compare(
        published("caltech-101", metric="mean per class"), tmp_path / "o", images={"caltech-101": pictures}
    )
    (folder,) = comparison.planned.runs.values()
    assert comparison.measured == load_run(folder).backbone("vit_mini").test.balanced_accuracy
    assert "Both figures are the mean of the classes' accuracies." in comparison.departures
    assert any(text.endswith("Caltech-101 has 101 classes.") for text in comparison.departures)


def test_a_figure_by_any_right_label_needs_the_labels_and_uses_the_run_of_imagenet(tmp_path, monkeypatch):
    files = {f"train/{synset}/{name}": image for synset in IDS.values() for name, image in train(synset).items()}
    files |= {f"val/{IDS[number]}/{name}": content for (name, content), number in zip(VAL.items(), TRUTH, strict=True)}
    unpack(tmp_path / "imagenet", files)
    plain = compare(published("imagenet-1k"), tmp_path / "out", data_dir=tmp_path)
    without = compare(published("imagenet-1k", metric="any right label"), tmp_path / "out", data_dir=tmp_path)
    assert without.not_run == "images to fetch"  # the labels
    assert plain.planned.runs == without.planned.runs

    labels = json.dumps([list(range(1000))] * 6 + [[]] * 6).encode()
    (tmp_path / "real.json").write_bytes(labels)
    cards = dict(load_dataset_cards())
    card = cards[real_labels.CARD]
    file = replace(card.forms[0].files[0], bytes=len(labels), sha256="")
    cards[real_labels.CARD] = replace(card, forms=(replace(card.forms[0], files=(file,)),))
    monkeypatch.setattr(real, "load_dataset_cards", lambda: cards)
    scored = compare(published("imagenet-1k", metric="any right label"), tmp_path / "out", data_dir=tmp_path)
    assert (scored.measured.value, scored.measured.n) == (1.0, 6)


def test_an_archive_that_is_not_the_published_one_is_not_replaced_by_a_download(flowers, tmp_path):
    """It has the official name, so the cell is run; nobody asked for a download."""
    (flowers / "flowers-102" / "setid.mat").write_bytes(b"another file")
    cells = list_cells(published(FLOWERS))
    request = CellRequest(out=tmp_path / "out", options=FAST, resources=Resources(data_dir=flowers), command="")
    with pytest.raises(DownloadError, match=r"setid\.mat of oxford-flowers-102 is not on this machine"):
        compare_cells(plan_cells(cells, request), request)


def test_what_is_not_at_hand_is_said_and_not_run(tmp_path):
    comparison = compare(published("cifar-10"), tmp_path / "out")
    assert comparison.not_run == "images to fetch"
    facts = describe_comparison(comparison)
    assert facts["measured"] is facts["difference"] is facts["within"] is None
    json.dumps(facts)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_measures_a_cell_on_a_miniature_with_local_weights(flowers, tmp_path, capsys, monkeypatch):
    """Random weights of a ResNet-50 under its card's name, as a file."""
    monkeypatch.setenv("COLUMNS", "80")
    torch.manual_seed(0)
    state = build_net(find_card("resnet50.tv_in1k"), classes=0).state_dict()
    save_file(state, tmp_path / "random.safetensors")
    arguments = ["reproduce", "probes", "--cells", f"resnet50-supervised/{FLOWERS}", "--data-dir", str(flowers)]
    arguments += ["-b", f"resnet50.tv_in1k={tmp_path / 'random.safetensors'}", "--out", str(tmp_path / "out")]
    arguments += ["--engine", "torch", "--trials", "1", "--offline", "--quiet"]
    assert _run([*arguments, "--plan", "--json"]) == 0
    (planned,) = json.loads(capsys.readouterr().out)["cells"]
    assert (planned["weights"]["state"], planned["data"]["state"], planned["done"]) == ("here", "here", False)
    assert _run(arguments) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    said = " ".join(shown.split())
    assert "Oxford Flowers-102 94.70 " in said
    assert "The weights are a local file that Vitrail does not know; they may not be those of resnet50.tv_in1k." in said
    assert "Both figures are the mean of the classes' accuracies." in said
    assert "1 of 1 figures measured." in said
    assert _run([*arguments, "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    (folder,) = facts["runs"].values()
    assert facts["measured"]["value"] == load_run(Path(folder)).results.backbones[0].test.balanced_accuracy.value
    assert np.isclose(facts["difference"], 100 * facts["measured"]["value"] - 94.7)
    assert _run([*arguments, "--plan"]) == 0
    assert " done " in capsys.readouterr().out
    assert _run(["verify", folder]) == 0
