"""Each label rule against the benchmark's own definition: google-research/task_adaptation d7630d3, data/*.py."""

import pytest

from vitrail.data.named.vtab_labels import (
    clevr_count,
    clevr_distance,
    dsprites_location,
    dsprites_orientation,
    kitti_distance,
    published_label,
    smallnorb_azimuth,
    smallnorb_elevation,
)


def places(*depths: float) -> list[float]:
    """Three numbers for each object, of which the third is its depth."""
    return [number for depth in depths for number in (1.0, 2.0, depth)]


def test_the_published_label_is_kept():
    assert published_label({"label": [7]}) == 7


@pytest.mark.parametrize(("objects", "label"), [(3, 0), (4, 1), (10, 7)])
def test_clevr_counts_from_three_objects(objects, label):
    """clevr.py, `_count_preprocess_fn`: the size of objects less 3; 8 classes."""
    assert clevr_count({"objects/size": [0] * objects}) == label


@pytest.mark.parametrize(
    ("depths", "label"),
    [
        ([7.9, 12.0], 0),
        ([8.0], 0),  # (thrs - dist) < 0 is strict
        ([8.01], 1),
        ([8.5], 1),
        ([9.0, 8.6], 2),
        ([9.3], 3),
        ([9.7], 4),
        ([10.0], 4),
        ([11.0, 12.5], 5),
    ],
)
def test_clevr_distances_are_in_six_bins(depths, label):
    """clevr.py, `_closest_object_preprocess_fn`: thresholds 0, 8, 8.5, 9, 9.5, 10, 100."""
    assert clevr_distance({"objects/pixel_coords": places(*depths)}) == label


@pytest.mark.parametrize(
    ("kinds", "distances", "label"),
    [
        ([0], [7.9], 0),
        ([0], [8.0], 0),
        ([1, 2], [30.0, 8.1], 1),
        ([2], [20.5], 2),
        ([0, 3], [40.0, 5.0], 2),  # a pedestrian (3) is no vehicle
        ([3, 5, 7], [1.0, 2.0, 3.0], 3),
        ([], [], 3),
        ([0], [-1.0], 0),
    ],
)
def test_kitti_takes_the_closest_vehicle(kinds, distances, label):
    """kitti.py, `_closest_vehicle_distance_pp`: types below 3; thresholds -100, 8, 20, 999; 1000 if there is none."""
    assert kitti_distance({"objects/type": kinds, "objects/location": places(*distances)}) == label


def test_dsprites_places_are_two_to_a_bin():
    """dsprites.py with num_classes=16: floordiv of 32 places by 2."""
    assert [dsprites_location({"label_x_position": [place]}) for place in range(32)] == [
        place // 2 for place in range(32)
    ]


def test_dsprites_angles_are_two_or_three_to_a_bin():
    """dsprites.py with num_classes=16: floordiv of 40 angles by 2.5."""
    bins = [dsprites_orientation({"label_orientation": [angle]}) for angle in range(40)]
    assert bins[:11] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4]
    assert (bins[-1], len(set(bins))) == (15, 16)


def test_smallnorb_labels_are_those_of_the_data_set():
    """smallnorb.py: the feature itself; azimuths are halved by tensorflow_datasets, smallnorb.py, `_load_chunk`."""
    features = {"label_azimuth": [17], "label_elevation": [8]}
    assert (smallnorb_azimuth(features), smallnorb_elevation(features)) == (17, 8)
