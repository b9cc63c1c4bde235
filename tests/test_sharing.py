"""When to separate classes: against drawn data, the leading order, and limits that are known by hand."""

import dataclasses
import math

import numpy as np
import pytest

import rfcore as rf

LAWS = (rf.Covariance([0.3, 3.0, 1.0]), rf.Covariance([3.0, 0.3, 1.0]))


def question(laws=LAWS, noise=1e-9, weights=None):
    weights = weights or (1 / len(laws),) * len(laws)
    return rf.ConditionalModel(rf.LinearModel(0.5, noise), weights, laws)


def test_gap_is_the_divergence_that_a_shared_matrix_keeps_with_endless_data():
    model = question(weights=(0.2, 0.8))
    base = dataclasses.replace(model.base, gamma=1e-9)
    endless = dataclasses.replace(model, base=base, readout="shared")
    assert rf.theory.sharing(model).gap == pytest.approx(rf.theory.kl(endless).data_to_generated, rel=1e-6)


def test_leading_order_holds_with_an_error_that_shrinks_with_the_gap():
    def excess(spread):
        tilt = spread * np.linspace(-1, 1, 30) * np.array([[-1.0], [0.2], [1.0]])
        found = rf.theory.sharing(question(tuple(rf.Covariance(v) for v in np.exp(tilt))))
        assert found.leading == pytest.approx(2 / (4 * found.gap))
        return found.crossing / found.leading - 1

    far, near = excess(0.4), excess(0.1)
    assert 0 < near < 0.02
    assert far / near == pytest.approx(16, rel=0.1)


def test_drawn_data_change_sides_at_the_crossing():
    """On drawn data below n* the divergence of separate readouts is the higher one, above n* the lower."""
    model = question()
    crossing = rf.theory.sharing(model).crossing
    signs = []
    for factor in (0.7, 1.5):
        asked = dataclasses.replace(model, base=rf.LinearModel(1 / (factor * crossing), 1e-9))
        pair = [dataclasses.replace(asked, readout=r) for r in ("separate", "shared")]
        both = [rf.simulation.kl(m, 60, 20, 0).data_to_generated for m in pair]
        signs.append(both[0] > both[1])
    assert signs == [True, False]


def test_equal_classes_should_always_share():
    found = rf.theory.sharing(question((LAWS[0],) * 3))
    assert (found.gap, found.crossing, found.leading) == (0.0, math.inf, math.inf)


def test_noise_that_hides_the_difference_is_told():
    near = tuple(rf.Covariance(v) for v in ([1.0, 1.01], [1.01, 1.0]))
    with pytest.raises(RuntimeError, match="no crossing between"):
        rf.theory.sharing(question(near, noise=100.0))


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (rf.LinearModel(0.5, 0.1), "model"),
        (rf.ConditionalModel(rf.RandomFeatureModel(2, 2, 0.1), (0.5, 0.5)), "model"),
        (question((rf.Covariance([0.0, 1.0]), rf.Covariance([1.0, 1.0]))), "covariances"),
    ],
)
def test_bad_input_is_refused_by_name(model, named):
    with pytest.raises(ValueError, match=rf"^{named} = .* is not allowed"):
        rf.theory.sharing(model)
