"""The published figures are well formed, and those of the papers."""

import pytest

from vitrail.backbones import find_card
from vitrail.core.errors import UsageError
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.vtab import TASKS
from vitrail.reproduce.published import list_cells, load_published

FILES = ("vit-table2", "probes")


@pytest.mark.parametrize("name", FILES)
def test_every_name_stands_for_a_card_or_says_why_there_is_none(name):
    published = load_published(name)
    for cell in list_cells(published):
        if cell.network.backbone:
            find_card(cell.network.backbone)
        else:
            assert cell.network.weights.startswith("The catalogue has no ")
        assert all(load_dataset_cards()[data].layout for data in cell.images.data)
        assert (len(cell.images.data) > 1) == (cell.metric == "mean of tasks")
        assert 0 < cell.percent < 100


@pytest.mark.parametrize("name", FILES)
def test_names_are_unique_and_figures_and_notes_are_of_known_images(name):
    published = load_published(name)
    cells = [cell.name for cell in list_cells(published)]
    assert len(set(cells)) == len(cells)
    for table in published.tables:
        assert table.metrics.keys() <= {images for network in table.networks for images in network.figures}
        assert all(network.notes.keys() <= network.figures.keys() for network in table.networks)


def test_no_data_set_is_compared_by_a_metric_that_vitrail_does_not_have():
    for cell in list_cells(load_published("probes")):
        assert cell.metric != "mean average precision" or not cell.images.data


def test_table_2_has_every_row_and_column():
    cells = {cell.name: cell for cell in list_cells(load_published("vit-table2"))}
    assert len(cells) == 4 * 7 + 2
    cell = cells["vit-h14-jft/imagenet"]
    assert (cell.percent, cell.plus_minus, cell.network.core_days) == (88.55, 0.04, 2500)
    assert cells["bit-l/imagenet-real"].plus_minus is None
    assert cells["vit-l16-i21k/vtab"].images.data == tuple(TASKS)
    assert cells["noisy-student/imagenet"].note


def test_weights_that_were_never_released_are_named_with_what_is_measured():
    for network in load_published("vit-table2").tables[0].networks:
        if "JFT" in network.title:
            assert "never released" in network.weights
            assert "imagenet-21k" in find_card(network.backbone).pretraining


def test_metrics_of_the_transfer_sets_are_those_of_the_papers():
    metrics = {cell.name: cell.metric for cell in list_cells(load_published("probes"), ["dinov2-s14", "vpt-b16"])}
    assert metrics["dinov2-s14/oxford-pets"] == "mean per class"
    assert metrics["dinov2-s14/cifar-10"] == "accuracy"
    assert metrics["vpt-b16/oxford-flowers-102"] == "accuracy"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["vit-l16-i21k/cifar-10"], ["vit-l16-i21k/cifar-10"]),
        (["noisy-student"], ["noisy-student/imagenet", "noisy-student/imagenet-real"]),
        (["vtab", "bit-l/cifar-10"], ["vit-h14-jft/vtab", "vit-l16-jft/vtab", "vit-l16-i21k/vtab"]),
    ],
)
def test_cells_are_chosen_by_network_by_images_or_both(chosen, expected):
    names = [cell.name for cell in list_cells(load_published("vit-table2"), chosen)]
    assert names[: len(expected)] == expected
    assert all(any(choice in (name, *name.split("/")) for choice in chosen) for name in names)


def test_an_unknown_cell_is_answered_with_the_names():
    with pytest.raises(
        UsageError, match=r"--cells vit-b16 is not one of these figures.*bit-l, .*images are imagenet, "
    ):
        list_cells(load_published("vit-table2"), ["vit-b16"])
