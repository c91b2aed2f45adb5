"""The splits of VTAB-1k against the numbers that the benchmark's own tests expect."""

from collections import Counter

import pytest

from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.vtab import TASKS

# google-research/task_adaptation d7630d3, task_adaptation/data/*_test.py, `expected_num_samples`: the official images
# of the split from which val comes and of the split from which the test comes; where val begins; images of the test.
EXPECTED = {
    "vtab-caltech-101": (3060, 6084, 2754, 6084),
    "vtab-cifar-100": (50_000, 10_000, 45_000, 10_000),
    "vtab-dtd": (1880, 1880, 0, 1880),
    "vtab-oxford-flowers-102": (1020, 6149, 0, 6149),
    "vtab-oxford-pets": (3680, 3669, 2944, 3669),
    "vtab-sun397": (10_875, 21_750, 0, 21_750),
    "vtab-svhn": (73_257, 26_032, 65_931, 26_032),
    "vtab-patch-camelyon": (32_768, 32_768, 0, 32_768),
    "vtab-eurosat": (27_000, 27_000, 16_200, 5400),
    "vtab-resisc45": (31_500, 31_500, 18_900, 6300),
    "vtab-retinopathy": (10_906, 42_670, 0, 42_670),
    "vtab-clevr-count": (70_000, 15_000, 63_000, 15_000),
    "vtab-clevr-distance": (70_000, 15_000, 63_000, 15_000),
    "vtab-dmlab": (22_628, 22_735, 0, 22_735),
    "vtab-kitti-distance": (423, 711, 0, 711),
    "vtab-dsprites-location": (737_280, 737_280, 589_824, 73_728),
    "vtab-dsprites-orientation": (737_280, 737_280, 589_824, 73_728),
    "vtab-smallnorb-azimuth": (24_300, 24_300, 0, 12_150),
    "vtab-smallnorb-elevation": (24_300, 24_300, 0, 12_150),
}
# `num_classes` in the same files; scripts/run_all_tasks.sh sets 16 for dSprites.
CLASSES = {
    "vtab-caltech-101": 102,
    "vtab-cifar-100": 100,
    "vtab-dtd": 47,
    "vtab-oxford-flowers-102": 102,
    "vtab-oxford-pets": 37,
    "vtab-sun397": 397,
    "vtab-svhn": 10,
    "vtab-patch-camelyon": 2,
    "vtab-eurosat": 10,
    "vtab-resisc45": 45,
    "vtab-retinopathy": 5,
    "vtab-clevr-count": 8,
    "vtab-clevr-distance": 6,
    "vtab-dmlab": 6,
    "vtab-kitti-distance": 4,
    "vtab-dsprites-location": 16,
    "vtab-dsprites-orientation": 16,
    "vtab-smallnorb-azimuth": 18,
    "vtab-smallnorb-elevation": 9,
}


def test_there_are_nineteen_tasks_in_three_groups():
    assert list(TASKS) == list(EXPECTED)
    assert Counter(task.group for task in TASKS.values()) == {"natural": 7, "specialised": 4, "structured": 8}


@pytest.mark.parametrize("name", TASKS)
def test_val_and_test_begin_where_the_benchmark_has_them(name):
    val_pool, test_pool, val_start, test_images = EXPECTED[name]
    task = TASKS[name]
    assert task.val.start(val_pool) == val_start
    assert test_pool - task.test.start(test_pool) == test_images


@pytest.mark.parametrize("name", TASKS)
def test_each_task_has_a_card_with_its_counts_and_classes(name):
    card = load_dataset_cards()[name]
    assert card.layout == "vtab"
    assert card.counts == {"train": 800, "val": 200, "test": EXPECTED[name][3]}
    assert card.classes == CLASSES[name]
    assert card.tfds
    assert any(form.files for form in card.forms) or card.by_hand
