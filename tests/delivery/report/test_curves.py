"""Learning curves."""

from collections.abc import Sequence

from tests.delivery.report.pages import parse
from vitrail.delivery.report.curves import Curves, draw_curves
from vitrail.search import CurvePoint


def _curve(*val_loss: float) -> list[CurvePoint]:
    return [
        CurvePoint(epoch=i, train_loss=1 / i, val_loss=loss, train_accuracy=1 - 0.5 / i, val_accuracy=1 - loss / 4)
        for i, loss in enumerate(val_loss, start=1)
    ]


def _draw(curve: Sequence[CurvePoint], name: str = "vit") -> Curves | None:
    return draw_curves({name: curve}, "val").get(name)


def test_the_extremes_are_those_of_the_curve_with_their_epochs() -> None:
    curves = _draw(_curve(2.0, 1.0, 1.5))
    assert curves is not None
    assert (curves.epochs, curves.best_epoch) == (3, 2)
    val_loss = curves.extremes[1]
    assert (val_loss.least, val_loss.least_epoch) == ("1.000", 2)
    assert (val_loss.greatest, val_loss.greatest_epoch) == ("2.000", 1)
    assert val_loss.last == "1.500"
    assert curves.extremes[3].greatest == "75.0%"


def test_a_single_epoch_is_drawn() -> None:
    curves = _draw(_curve(2.0))
    assert curves is not None
    assert "polyline" in curves.loss


def test_what_is_no_number_is_left_out() -> None:
    curves = _draw(_curve(2.0, 1.0, float("nan"), float("inf")))
    assert curves is not None
    assert curves.epochs == 2
    assert "nan" not in curves.loss
    assert _draw(_curve(float("nan"))) is None


def test_a_name_is_escaped_where_it_is_read_aloud() -> None:
    curves = _draw(_curve(2.0, 1.0), '"><script>')
    assert curves is not None
    assert "<script>" not in curves.loss


def test_without_a_curve_nothing_is_drawn() -> None:
    assert _draw(()) is None


def test_all_backbones_have_the_same_axes() -> None:
    curves = draw_curves({"low": _curve(0.2, 0.1), "high": _curve(4.0, 3.0, 2.0), "none": []}, "val")
    assert list(curves) == ["low", "high"]
    for chart in ("loss", "accuracy"):
        low, high = (_axis_texts(getattr(curves[name], chart)) for name in ("low", "high"))
        assert low == high


def _axis_texts(chart: str) -> list[tuple[str, str, str]]:
    texts = [text for text in parse(chart).all("text") if "name" not in text.attributes.get("class", "")]
    return [(text.text, text.attributes["x"], text.attributes["y"]) for text in texts]


def test_without_a_val_the_curve_is_called_that_of_a_fold() -> None:
    curves = draw_curves({"vit": _curve(2.0, 1.0)}, "fold")["vit"]
    assert [row.name for row in curves.extremes] == ["train loss", "fold loss", "train accuracy", "fold accuracy"]
    assert parse(curves.loss).one("text", "val-name").text == "fold"
