import numpy as np
import pytest

from vitrail.training.formulas import FAMILIES, Shape, contours, fractals, strokes


def drawn(family, label=3, instance=0) -> Shape:
    return family(np.random.default_rng((0, label)), np.random.default_rng((0, label, instance + 1)))


@pytest.mark.parametrize("family", [strokes, contours, fractals])
def test_a_formula_and_an_instance_give_the_same_shape_every_time(family):
    first, second = drawn(family), drawn(family)
    for one, other in zip((*first.lines, first.dots), (*second.lines, second.dots), strict=True):
        assert (one is None and other is None) or np.array_equal(one, other)


@pytest.mark.parametrize("family", [strokes, contours, fractals])
def test_instances_of_a_formula_read_its_constants_to_the_same_place(family):
    """Else a constant of the class would depend on how an instance wobbles, and the class would fall apart."""
    states = []
    for instance in range(5):
        formula = np.random.default_rng((0, 7))
        family(formula, np.random.default_rng((0, 7, instance + 1)))
        states.append(formula.bit_generator.state["state"])
    assert all(state == states[0] for state in states)


@pytest.mark.parametrize("family", [strokes, contours, fractals])
@pytest.mark.parametrize("label", range(40))
def test_every_shape_is_finite_and_lies_about_the_square(family, label):
    shape = drawn(family, label)
    points = np.concatenate(shape.lines) if shape.dots is None else shape.dots
    assert np.isfinite(points).all()
    assert np.abs(points).max() < 12
    assert np.mean(np.abs(points).max(axis=1) <= 1.0 + 1e-9) > 0.6
    assert points.std(axis=0).max() > 0.1


def test_strokes_fill_the_square_in_their_longer_direction():
    for label in range(30):
        points = np.concatenate(drawn(strokes, label).lines)
        assert np.isclose((points.max(axis=0) - points.min(axis=0)).max(), 2.0)


def test_contours_are_closed():
    for line in drawn(contours).lines:
        assert np.allclose(line[0], line[-1])


def test_most_fractals_are_neither_dust_nor_a_filled_square():
    """The reason for choosing singular values: of entries drawn evenly, as in FractalDB, most are thrown away."""
    shares = []
    for label in range(60):
        cells = np.floor((np.clip(drawn(fractals, label).dots, -0.999, 0.999) + 1) * 16).astype(int)
        shares.append(len(np.unique(cells[:, 0] * 32 + cells[:, 1])) / 32**2)
    assert np.mean((np.array(shares) > 0.08) & (np.array(shares) < 0.9)) > 0.9


def test_every_family_is_in_the_table():
    assert set(FAMILIES) == {strokes, contours, fractals}
