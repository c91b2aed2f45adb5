"""How VTAB makes the label of an image from what a data set says of it; one function a rule.

Each takes the features of an image under the names of TensorFlow Datasets. A feature of each object is a list; a place
in space is three numbers in a row. Lines are those of google-research/task_adaptation d7630d3, task_adaptation/data/.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Features = Mapping[str, Sequence[Any]]

CLEVR_FEWEST = 3  # objects in a scene
CLEVR_DISTANCES = (0.0, 8.0, 8.5, 9.0, 9.5, 10.0, 100.0)
KITTI_DISTANCES, KITTI_NONE = (-100.0, 8.0, 20.0, 999.0), 1000.0  # metres
KITTI_VEHICLES = 3  # the first types: car, van, truck
DSPRITES_BINS, DSPRITES_PLACES, DSPRITES_ANGLES = 16, 32, 40


def published_label(features: Features) -> int | str:
    """The class that the data set itself gives."""
    label: int | str = features["label"][0]
    return label


def clevr_count(features: Features) -> int:
    """The number of objects, from 3 to 10, as classes 0 to 7.

    Source: clevr.py, `_count_preprocess_fn`.
    """
    return len(features["objects/size"]) - CLEVR_FEWEST


def clevr_distance(features: Features) -> int:
    """The depth of the closest object, in six bins.

    Source: clevr.py, `_closest_object_preprocess_fn`; the depth is the third of `pixel_coords`.
    """
    return _last_below(CLEVR_DISTANCES, min(features["objects/pixel_coords"][2::3]))


def kitti_distance(features: Features) -> int:
    """The distance of the closest car, van or truck in three bins, or class 3 if there is none.

    Source: kitti.py, `_closest_vehicle_distance_pp`; the distance is the third of `location`.
    """
    distances = zip(features["objects/type"], features["objects/location"][2::3], strict=True)
    vehicles = [distance for kind, distance in distances if kind < KITTI_VEHICLES]
    return _last_below(KITTI_DISTANCES, min([*vehicles, KITTI_NONE]))


def dsprites_location(features: Features) -> int:
    """The horizontal place, of 32, in 16 bins.

    Source: dsprites.py, `preprocess_fn`, with predicted_attribute="label_x_position" and num_classes=16.
    """
    return int(features["label_x_position"][0] // (DSPRITES_PLACES / DSPRITES_BINS))


def dsprites_orientation(features: Features) -> int:
    """The angle, of 40, in 16 bins of 2.5 angles; so some bins have two and others three.

    Source: dsprites.py, `preprocess_fn`, with predicted_attribute="label_orientation" and num_classes=16.
    """
    return int(features["label_orientation"][0] // (DSPRITES_ANGLES / DSPRITES_BINS))


def smallnorb_azimuth(features: Features) -> int:
    """The azimuth, of 18; 20 degrees lie between two.

    Source: smallnorb.py, `preprocess_fn`, with predicted_attribute="label_azimuth".
    """
    return int(features["label_azimuth"][0])


def smallnorb_elevation(features: Features) -> int:
    """The elevation of the camera, of 9; 5 degrees lie between two.

    Source: smallnorb.py, `preprocess_fn`, with predicted_attribute="label_elevation".
    """
    return int(features["label_elevation"][0])


def _last_below(thresholds: Sequence[float], distance: float) -> int:
    """The place of the last threshold below a distance, in single precision as TensorFlow compares."""
    below = np.asarray(thresholds, np.float32) < np.float32(distance)
    return int(np.flatnonzero(below)[-1])
