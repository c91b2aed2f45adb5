"""Numbers beside points: no two in one place, and none outside of the drawing while there is room in it."""

import re

from vitrail.delivery.report.numbered import number_places

OFFSETS = tuple((right, down) for down in (4.0, -6.0, 14.0, -16.0, 24.0) for right in (8.0, -8.0))
BOUNDS = (0.0, 0.0, 200.0, 100.0)


def corners(text: str) -> tuple[float, float]:
    found = {name: float(value) for name, value in re.findall(r'\b(x|y)="([\d.]+)"', text)}
    return found["x"], found["y"]


def test_crowded_points_have_numbers_in_different_places():
    texts = [
        str(text)
        for text in number_places([(100.0, 50.0 + down) for down in (0, 1, 2)], OFFSETS, radius=3.5, bounds=BOUNDS)
    ]
    assert len({corners(text) for text in texts}) == 3
    assert [re.search(r">(\d+)<", text)[1] for text in texts] == ["1", "2", "3"]


def test_a_point_at_the_edge_has_its_number_inside():
    (text,) = number_places([(197.0, 98.0)], OFFSETS, radius=3.5, bounds=BOUNDS)
    left, bottom = corners(str(text))
    assert left < 197
    assert bottom <= 100
