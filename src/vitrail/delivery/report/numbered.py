"""Numbers beside the points of a drawing, which stand for names that would not fit there."""

from collections.abc import Sequence

from markupsafe import Markup

from vitrail.delivery.report.svg import element

LETTER, LINE = 6.5, 11.0  # of a number

Place = tuple[float, float]  # from the left and from the top
Box = tuple[float, float, float, float]  # left, top, right, bottom


def number_places(places: Sequence[Place], offsets: Sequence[Place], *, radius: float, bounds: Box) -> list[Markup]:
    """A number beside each point, where it hides no point and no other number if there is such a place.

    Args:
        places: of the points, in the order of their numbers.
        offsets: where a number may stand beside its point, the best first.
        radius: of the points.
        bounds: where numbers may stand.
    """
    filled = [(left - radius, top - radius, left + radius, top + radius) for left, top in places]
    texts = []
    for number, place in enumerate(places, start=1):
        boxes = [_box(place, offset, len(str(number))) for offset in offsets]
        choice = next((at for at, box in enumerate(boxes) if _is_free(box, filled, bounds)), 0)
        filled.append(boxes[choice])
        right, down = offsets[choice]
        anchor = "start" if right > 0 else "end"
        texts.append(
            element("text", str(number), class_="number", x=place[0] + right, y=place[1] + down, text_anchor=anchor)
        )
    return texts


def _box(place: Place, offset: Place, letters: int) -> Box:
    start, base, width = place[0] + offset[0], place[1] + offset[1], LETTER * letters
    left = start if offset[0] > 0 else start - width
    return left, base - LINE, left + width, base


def _is_free(box: Box, filled: Sequence[Box], bounds: Box) -> bool:
    left, top, right, bottom = box
    inside = bounds[0] <= left and bounds[1] <= top and right <= bounds[2] and bottom <= bounds[3]
    return inside and not any(
        left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in filled
    )
