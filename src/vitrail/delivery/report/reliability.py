"""Accuracy against confidence: what a backbone's probabilities are worth, as a drawing."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from vitrail.delivery.report.svg import drawing, element
from vitrail.statistics.calibration_error import ReliabilityBin

SIDE, EDGE, RIM = 320.0, 54.0, 16.0
LARGEST_DOT = 9.0
GRID = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw_reliability(bins: Sequence[ReliabilityBin], name: str) -> Markup:
    """A dot a bin, the larger the more test images it holds; on the diagonal confidence equals accuracy.

    `name` is the backbone's, for screen readers.
    """
    most = max(filled.n for filled in bins)
    frame = [element("line", class_="grid", x1=_x(0), x2=_x(1), y1=_y(tick), y2=_y(tick)) for tick in GRID]
    words = [
        element("text", f"{tick:.0%}", x=_x(tick), y=_y(0) + 17.0, text_anchor="middle") for tick in (0.0, 0.5, 1.0)
    ] + [element("text", f"{tick:.0%}", x=EDGE - 6.0, y=_y(tick) + 4.0, text_anchor="end") for tick in (0.0, 0.5, 1.0)]
    titles = [
        element("text", "confidence of the answer", x=_x(0.5), y=SIDE - 9.0, text_anchor="middle"),
        element(
            "text", "share that is right", text_anchor="middle", transform=f"translate(13 {_y(0.5):.1f}) rotate(-90)"
        ),
    ]
    diagonal = element("line", class_="zero", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1))
    dots = [
        element(
            "circle",
            element(
                "title",
                f"{filled.n:,} images: {100 * filled.confidence:.1f}% sure on average, "
                f"{100 * filled.accuracy:.1f}% right",
            ),
            class_="dot",
            cx=_x(filled.confidence),
            cy=_y(filled.accuracy),
            r=max(2.5, LARGEST_DOT * math.sqrt(filled.n / most)),
        )
        for filled in bins
    ]
    label = f"Accuracy against confidence of {name}, {len(bins)} bins"
    return drawing(
        *frame, *words, *titles, diagonal, *dots, width=SIDE, height=SIDE, class_="chart reliability", label=label
    )


def _x(share: float) -> float:
    return EDGE + share * (SIDE - EDGE - RIM)


def _y(share: float) -> float:
    return SIDE - EDGE - share * (SIDE - EDGE - RIM)
