"""What published figures need, and where it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.checks.test_verify import FAST
from tests.data.named.layouts.test_oxford_flowers import archives
from tests.pictures import draw_folder
from vitrail.core.errors import UsageError
from vitrail.core.resources import Resources
from vitrail.reproduce.plan import CellRequest, estimate_times, plan_cells, read_given, say_missing
from vitrail.reproduce.published import list_cells, load_published


def plan(figures, *chosen: str, out: Path, backbones=(), data=(), fetch=False, data_dir=None):
    cells, resources = list_cells(load_published(figures), chosen), Resources(data_dir=data_dir)
    weights, images = read_given(cells, backbones, data, resources)
    request = CellRequest(
        out=out, options=FAST, resources=resources, command="", fetch=fetch, weights=weights, images=images
    )
    return plan_cells(cells, request), request


@pytest.mark.parametrize(
    ("cell", "images", "gmacs"),
    [
        ("vit-l16-i21k/cifar-10", 60_000, 61.555),  # images of the data set's card, PEERS: torch's counter
        ("vit-h14-jft/oxford-pets", 7_349, 167.295),
        ("bit-l/cifar-100", 60_000, 182.777),
        ("vit-l16-jft/imagenet-real", 1_331_167, 61.555),
    ],
)
def test_multiply_adds_are_those_of_one_pass_over_all_images(tmp_path, cell, images, gmacs):
    (planned,), _ = plan("vit-table2", cell, out=tmp_path)
    assert planned.images == images
    assert planned.gmacs == pytest.approx(images * gmacs, rel=1e-4)
    assert planned.gmacs_left == planned.gmacs


def test_vtab_needs_a_run_for_each_task(tmp_path):
    (planned,), request = plan("vit-table2", "vit-l16-i21k/vtab", out=tmp_path, fetch=True)
    assert len(set(planned.runs.values())) == 19
    assert planned.data.state == "by hand"
    assert planned.data.where.startswith("4 of 19 that are needed; ")
    assert say_missing(planned, request) == "images by hand"


def test_what_is_missing_is_fetched_only_if_that_was_asked_for(tmp_path):
    (planned,), request = plan("vit-table2", "vit-l16-i21k/cifar-10", out=tmp_path)
    assert planned.weights.where == "https://huggingface.co/timm/vit_large_patch16_224.orig_in21k"
    assert say_missing(planned, request) == "weights to fetch, images to fetch"
    assert say_missing(planned, replace(request, fetch=True)) == ""


def test_what_vitrail_has_no_card_for_is_never_run(tmp_path):
    planned, request = plan("probes", "mae-h14/food-101", "dinov2-s14/voc-2007", out=tmp_path, fetch=True)
    assert [say_missing(each, request) for each in planned] == [
        "weights unknown to Vitrail",
        "images unknown to Vitrail",
    ]
    assert planned[0].gmacs is None
    assert planned[0].runs == {}
    assert planned[1].images is None


def test_cells_with_the_same_question_share_a_run(tmp_path):
    planned, _ = plan("vit-table2", "imagenet", "imagenet-real", out=tmp_path)
    runs = {each.cell.name: list(each.runs.values()) for each in planned}
    assert runs["vit-l16-jft/imagenet"] == runs["vit-l16-i21k/imagenet-real"]
    assert runs["vit-l16-jft/imagenet"] != runs["vit-h14-jft/imagenet"]


def test_other_options_weights_or_images_have_another_folder(tmp_path):
    weights = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for file in weights:
        file.write_bytes(file.name.encode())
    pictures = draw_folder(tmp_path / "pictures", per_class=3)
    cell, name = "resnet50-supervised/oxford-flowers-102", "resnet50.tv_in1k"
    plans = [
        plan("probes", cell, out=tmp_path),
        plan("probes", cell, out=tmp_path, data=[f"flowers={pictures}"]),
        *(plan("probes", cell, out=tmp_path, backbones=[f"{name}={file}"]) for file in weights),
    ]
    folders = [folder for (planned,), _ in plans for folder in planned.runs.values()]
    _, request = plans[0]
    other = replace(request, options=replace(FAST, seed=1))
    assert len({*folders, other.folder_of("oxford-flowers-102", name)}) == 5
    assert plans[1][0][0].images == 9
    assert plans[1][0][0].data.where == str(pictures)


def test_images_of_the_user_are_found_packed_and_unpacked(tmp_path):
    cell = "resnet50-supervised/oxford-flowers-102"
    folder = tmp_path / "flowers-102"
    folder.mkdir()
    files = archives()
    for name in ("imagelabels.mat", "setid.mat"):
        (folder / name).write_bytes(files[name])
    (planned,), _ = plan("probes", cell, out=tmp_path / "runs", data_dir=tmp_path)
    assert planned.data.state == "to fetch"  # without the archive
    (folder / "102flowers.tgz").write_bytes(files["102flowers.tgz"])
    (planned,), _ = plan("probes", cell, out=tmp_path / "runs", data_dir=tmp_path)
    assert (planned.data.state, planned.data.where) == ("here", str(folder))
    (folder / "102flowers.tgz").unlink()
    (folder / "jpg").mkdir()
    (planned,), _ = plan("probes", cell, out=tmp_path / "runs", data_dir=tmp_path)
    assert (planned.data.state, planned.data.where) == ("here", str(folder))


def test_hours_are_multiply_adds_divided_by_the_measured_speed(tmp_path):
    planned, _ = plan("vit-table2", "cifar-10", "noisy-student", out=tmp_path)
    timed, speeds = estimate_times(planned, Resources())
    assert set(speeds) == {"transformer", "convolutional"}
    by_name = {each.cell.name: each for each in timed}
    large, huge = by_name["vit-l16-i21k/cifar-10"], by_name["vit-h14-jft/cifar-10"]
    assert large.seconds == pytest.approx(large.gmacs / speeds["transformer"].gmacs_per_s)
    assert huge.seconds / large.seconds == pytest.approx(167.295 / 61.555, rel=1e-3)
    assert by_name["noisy-student/imagenet"].seconds is None


@pytest.mark.parametrize(
    ("backbones", "data", "message"),
    [
        (["resnet50.tv_in1k"], [], r"-b resnet50\.tv_in1k needs a file here: give NAME=FILE"),
        (["vit_mini={file}"], [], r"-b vit_mini is not needed .* they need resnet50\.tv_in1k\."),
        (["resnet50.tv_in1k={file}"] * 2, [], r"-b resnet50\.tv_in1k was given twice"),
        ([], ["oxford-pets"], r"--data oxford-pets cannot be used: give NAME=DATA"),
        ([], ["dtd={file}"], r"--data dtd is not needed .* they need oxford-pets"),
        ([], ["oxford-pets={file}/nothing"], r"nothing"),
        ([], ["no-such-set={file}"], r"There is no data set 'no-such-set'"),
    ],
)
def test_files_that_no_cell_needs_are_refused(tmp_path, backbones, data, message):
    file = tmp_path / "file.csv"
    file.write_text("path,label\n")
    given = [[text.format(file=file) for text in texts] for texts in (backbones, data)]
    with pytest.raises(UsageError, match=message):
        plan("probes", "resnet50-supervised/oxford-pets", out=tmp_path, backbones=given[0], data=given[1])
