"""Learning curves."""

from vitrail.delivery.report.curves import draw_curves
from vitrail.search import CurvePoint


def _curve(*val_loss: float) -> list[CurvePoint]:
    return [
        CurvePoint(epoch=i, train_loss=1 / i, val_loss=loss, train_accuracy=1 - 0.5 / i, val_accuracy=1 - loss / 4)
        for i, loss in enumerate(val_loss, start=1)
    ]


def test_the_extremes_are_those_of_the_curve_with_their_epochs() -> None:
    curves = draw_curves(_curve(2.0, 1.0, 1.5), "vit")
    assert curves is not None
    assert (curves.epochs, curves.best_epoch) == (3, 2)
    val_loss = curves.extremes[1]
    assert (val_loss.least, val_loss.least_epoch) == ("1.000", 2)
    assert (val_loss.greatest, val_loss.greatest_epoch) == ("2.000", 1)
    assert val_loss.last == "1.500"
    assert curves.extremes[3].greatest == "75.0%"


def test_a_single_epoch_is_drawn() -> None:
    curves = draw_curves(_curve(2.0), "vit")
    assert curves is not None
    assert "polyline" in curves.loss


def test_what_is_no_number_is_left_out() -> None:
    curves = draw_curves(_curve(2.0, 1.0, float("nan"), float("inf")), "vit")
    assert curves is not None
    assert curves.epochs == 2
    assert "nan" not in curves.loss
    assert draw_curves(_curve(float("nan")), "vit") is None


def test_a_name_is_escaped_where_it_is_read_aloud() -> None:
    curves = draw_curves(_curve(2.0, 1.0), '"><script>')
    assert curves is not None
    assert "<script>" not in curves.loss


def test_without_a_curve_nothing_is_drawn() -> None:
    assert draw_curves((), "vit") is None
