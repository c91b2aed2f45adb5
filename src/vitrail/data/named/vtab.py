"""The 19 tasks of VTAB-1k: group, label rule, and which images are train, val and test.

Source: google-research/task_adaptation d7630d3, task_adaptation/data/*.py and scripts/run_all_tasks.sh, lines 22 to 40;
groups: Zhai et al. 2019, arXiv:1910.04867.

Each task has 800 training images, the first of a split in the order of TensorFlow Datasets; 200 images of val; and a
test. Val and test begin after so many per cent of a split.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vitrail.data.named import vtab_labels as rules

Group = Literal["natural", "specialised", "structured"]

TRAIN_IMAGES, VAL_IMAGES = 800, 200
UNTRAINED = f"the {TRAIN_IMAGES} training images have none of its class"  # so every answer for such an image is wrong


@dataclass(frozen=True, slots=True)
class Part:
    """The images of a split of TensorFlow Datasets after so many per cent, of which each is rounded down."""

    split: str
    after: tuple[int, ...] = ()

    def start(self, images: int) -> int:
        """The place of the first image among all of the split."""
        return sum(percent * images // 100 for percent in self.after)


@dataclass(frozen=True, slots=True)
class VtabTask:
    """One task."""

    group: Group
    val: Part
    test: Part
    rule: Callable[[Mapping[str, Sequence[Any]]], int | str] = rules.published_label


_VALIDATION, _TEST = Part("validation"), Part("test")
_LAST_TENTH = Part("train", (90,))

TASKS: Mapping[str, VtabTask] = {
    "vtab-caltech-101": VtabTask("natural", _LAST_TENTH, _TEST),
    "vtab-cifar-100": VtabTask("natural", _LAST_TENTH, _TEST),
    "vtab-dtd": VtabTask("natural", _VALIDATION, _TEST),
    "vtab-oxford-flowers-102": VtabTask("natural", _VALIDATION, _TEST),
    "vtab-oxford-pets": VtabTask("natural", Part("train", (80,)), _TEST),
    "vtab-sun397": VtabTask("natural", _VALIDATION, _TEST),
    "vtab-svhn": VtabTask("natural", _LAST_TENTH, _TEST),
    "vtab-patch-camelyon": VtabTask("specialised", _VALIDATION, _TEST),
    "vtab-eurosat": VtabTask("specialised", Part("train", (60,)), Part("train", (60, 20))),
    "vtab-resisc45": VtabTask("specialised", Part("train", (60,)), Part("train", (60, 20))),
    "vtab-retinopathy": VtabTask("specialised", _VALIDATION, _TEST),
    "vtab-clevr-count": VtabTask("structured", _LAST_TENTH, _VALIDATION, rules.clevr_count),
    "vtab-clevr-distance": VtabTask("structured", _LAST_TENTH, _VALIDATION, rules.clevr_distance),
    "vtab-dmlab": VtabTask("structured", _VALIDATION, _TEST),
    "vtab-kitti-distance": VtabTask("structured", _VALIDATION, _TEST, rules.kitti_distance),
    "vtab-dsprites-location": VtabTask(
        "structured", Part("train", (80,)), Part("train", (80, 10)), rules.dsprites_location
    ),
    "vtab-dsprites-orientation": VtabTask(
        "structured", Part("train", (80,)), Part("train", (80, 10)), rules.dsprites_orientation
    ),
    "vtab-smallnorb-azimuth": VtabTask("structured", _TEST, Part("test", (50,)), rules.smallnorb_azimuth),
    "vtab-smallnorb-elevation": VtabTask("structured", _TEST, Part("test", (50,)), rules.smallnorb_elevation),
}
