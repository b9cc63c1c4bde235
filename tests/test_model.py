"""The questions: what they accept, what they refuse, and what they promise about themselves."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf

LAWS = st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.05, 1.0)), min_size=1, max_size=12)
FEW = settings(max_examples=40, deadline=None, derandomize=True)


def law(pairs):
    """A covariance law with the pairs' eigenvalues and (normalised) weights, and one positive atom."""
    eigenvalues, weights = np.array([*pairs, (1.0, 0.5)]).T
    return rf.Covariance(eigenvalues, weights / weights.sum())


def share(covariance, w):
    """I(w) = <lambda/(w + lambda)>."""
    return float(covariance.weights @ (covariance.eigenvalues / (w + covariance.eigenvalues)))


def test_variance_is_the_trace_of_a_matrix():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 9))
    s = x.T @ x / 50
    found = rf.Covariance.from_matrix(s)
    assert found.variance == pytest.approx(np.trace(s) / 9, rel=1e-13)
    assert np.all(np.diff(found.eigenvalues) >= 0)
    # det(S + 1) from the eigenvalues and from elimination
    assert float(np.sum(np.log1p(found.eigenvalues))) == pytest.approx(np.linalg.slogdet(s + np.eye(9))[1])


def test_from_data_subtracts_the_mean():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((40, 6)) @ np.diag(np.arange(1.0, 7.0)) + 100.0
    expected = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / 40
    assert rf.Covariance.from_data(x).eigenvalues == pytest.approx(np.sort(expected), rel=1e-10)
    # fewer samples than dimensions: the round-off below zero becomes zero
    few = rf.Covariance.from_data(x[:3]).eigenvalues
    assert few.min() == 0.0
    assert np.sum(few > 1e-8) == 2


def test_only_round_off_is_clipped():
    q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))

    def matrix(lowest):
        return q @ np.diag([lowest, 0.5, 1.0, 2.0, 4.0]) @ q.T

    assert rf.Covariance.from_matrix(matrix(-1e-12)).eigenvalues[0] == 0.0
    with pytest.raises(ValueError, match="smallest eigenvalue"):
        rf.Covariance.from_matrix(matrix(-1e-10))


def test_power_law():
    found = rf.Covariance.power_law(1.5, atoms=64)
    k = np.arange(1, 65)
    slope = np.polyfit(np.log(k), np.log(found.eigenvalues), 1)[0]
    assert slope == pytest.approx(-1.5, rel=1e-12)
    assert found.variance == pytest.approx(1.0, rel=1e-14)
    assert rf.Covariance.power_law(0.0, atoms=3) == rf.Covariance(np.ones(3))


def test_low_rank():
    found = rf.Covariance.low_rank(0.25, variance=2.0)
    assert found.variance == pytest.approx(2.0)
    assert found.eigenvalues.tolist() == [0.0, 8.0]
    assert np.sum(found.quantiles(100) > 0) == 25
    assert rf.Covariance.low_rank(1.0, variance=2.0) == rf.Covariance.isotropic(2.0)


@FEW
@given(LAWS, st.integers(1, 60))
def test_quantiles_follow_the_law(pairs, d):
    covariance = law(pairs)
    q = covariance.quantiles(d)
    assert q.shape == (d,)
    assert np.all(np.diff(q) >= 0)
    # The distribution function of the quantiles is within half a step of that of the law.
    for x in covariance.eigenvalues:
        exact = covariance.weights[covariance.eigenvalues <= x].sum()
        assert abs(np.mean(q <= x) - exact) <= 0.5 / d + 1e-9


def test_quantiles_of_a_finite_sigma_are_its_eigenvalues():
    rng = np.random.default_rng(4)
    lam = rng.uniform(0.1, 3, 37)
    assert np.array_equal(rf.Covariance(lam).quantiles(37), np.sort(lam))
    two = rf.Covariance([0.5, 1.5], [0.5, 0.5])
    for d in (2, 10, 64, 1000):
        assert np.sum(two.quantiles(d) == 0.5) == d // 2


def test_the_least_of_all_numbers_is_compressed_too():
    small = rf.Covariance([0.0, 5e-324, 1.0], [0.4, 0.4, 0.2]).compressed(1)
    assert small.variance == pytest.approx(0.2)
    assert math.isfinite(small.error)


@FEW
@given(LAWS, st.integers(1, 8))
def test_compressed_keeps_the_mean_and_states_its_error(pairs, atoms):
    covariance = law(pairs)
    small = covariance.compressed(atoms)
    assert small.eigenvalues.size <= max(atoms, 1)
    assert small.variance == pytest.approx(covariance.variance, rel=1e-12)
    for w in np.geomspace(1e-4, 1e4, 33):
        assert abs(share(small, w) - share(covariance, w)) <= 1.01 * small.error + 1e-15


def test_compression_converges():
    covariance = rf.Covariance.power_law(2.0, atoms=600)
    errors = [covariance.compressed(k).error for k in (4, 8, 16, 32, 64, 128)]
    assert all(b < a / 2 for a, b in zip(errors, errors[1:], strict=False))
    assert covariance.compressed(600) is covariance
    twice = covariance.compressed(32).compressed(8)
    assert twice.error >= covariance.compressed(32).error
    assert abs(share(twice, 0.1) - share(covariance, 0.1)) <= twice.error


def test_compression_keeps_the_null_space():
    rank = rf.Covariance(np.concatenate([np.zeros(50), np.linspace(1, 2, 50)]))
    small = rank.compressed(4)
    assert small.eigenvalues[0] == 0.0
    assert small.weights[0] == pytest.approx(0.5)


def test_questions_are_values():
    one, other = (rf.Covariance([0.5, 1.5], [0.5, 0.5]) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != rf.Covariance([0.5, 1.5], [0.4, 0.6])
    assert one != "a covariance"
    models = {rf.RandomFeatureModel(3, 2, 0.1, covariance=c) for c in (one, other)}
    assert len(models) == 1
    assert rf.RandomFeatureModel(3, 2, 0.1) != rf.RandomFeatureModel(3, 2, 0.1, ridge=0.1)


def test_questions_cannot_be_changed():
    lam = np.array([1.0, 2.0])
    covariance = rf.Covariance(lam)
    lam[0] = 100.0  # the caller's array stays the caller's
    assert covariance.eigenvalues[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        covariance.eigenvalues[0] = 3.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        covariance.weights = np.ones(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        rf.RandomFeatureModel(3, 2, 0.1).t = 1.0


def test_model_numbers():
    model = rf.RandomFeatureModel(
        3, 2, 1e-9, noise_draws=np.float64(4), covariance=rf.Covariance.isotropic(2.0)
    )
    assert model.delta == pytest.approx(2e-9, rel=1e-8)
    assert (model.psi_p, model.noise_draws) == (3.0, 4)
    assert math.isinf(rf.RandomFeatureModel(3, 2, 0.1).noise_draws)
    assert model.constants == rf.RandomFeatureModel(9, 9, 1e-9, rf.Covariance.isotropic(2.0)).constants


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rf.Covariance([]), "eigenvalues"),
        (lambda: rf.Covariance([-0.1, 1.0]), "eigenvalues = -0.1"),
        (lambda: rf.Covariance([0.0, 0.0]), "at least one eigenvalue > 0"),
        (lambda: rf.Covariance([1.0, math.nan]), "eigenvalues = nan"),
        (lambda: rf.Covariance([[1.0]]), "eigenvalues has shape"),
        (lambda: rf.Covariance(["one"]), "eigenvalues"),
        (lambda: rf.Covariance([1.0, 2.0], [1.0]), "weights has shape"),
        (lambda: rf.Covariance([1.0, 2.0], [0.5, 0.4]), "sum of weights = 0.9"),
        (lambda: rf.Covariance([1.0, 2.0], [1.0, 0.0]), "weights = 0.0"),
        (lambda: rf.Covariance([1.0], error=-1.0), "error"),
        (lambda: rf.Covariance.isotropic(0.0), "variance"),
        (lambda: rf.Covariance.from_matrix(np.ones((2, 3))), "square"),
        (lambda: rf.Covariance.from_matrix([[1.0, 0.5], [0.0, 1.0]]), "asymmetry"),
        (lambda: rf.Covariance.from_matrix(np.ones(3)), "axes"),
        (lambda: rf.Covariance.from_data(np.ones((1, 3))), "at least 2 samples"),
        (lambda: rf.Covariance.from_data(np.ones((5, 3))), "at least one eigenvalue > 0"),
        (lambda: rf.Covariance.power_law(-1.0), "exponent"),
        (lambda: rf.Covariance.power_law(1.0, atoms=0), "atoms"),
        (lambda: rf.Covariance.low_rank(0.0), "fraction"),
        (lambda: rf.Covariance.low_rank(1.5), "fraction"),
        (lambda: rf.Covariance.isotropic().quantiles(0), "d = 0"),
        (lambda: rf.Covariance.isotropic().quantiles(2.5), "d = 2.5"),
        (lambda: rf.Covariance.isotropic().compressed(0), "atoms = 0"),
        (lambda: rf.RandomFeatureModel(0, 2, 0.1), "psi_p"),
        (lambda: rf.RandomFeatureModel(3, -2, 0.1), "psi_n"),
        (lambda: rf.RandomFeatureModel(3, math.inf, 0.1), "psi_n"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.0), "t = 0.0"),
        (lambda: rf.RandomFeatureModel(3, 2, math.nan), "t = nan"),
        (lambda: rf.RandomFeatureModel(3, 2, "0.1"), "t = '0.1'"),
        (lambda: rf.RandomFeatureModel(True, 2, 0.1), "psi_p = True"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, covariance=np.eye(2)), "covariance"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, activation="gelu"), "activation = 'gelu'"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, activation=None), "activation = None"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, noise_draws=0), "noise_draws = 0"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, noise_draws=1.5), "noise_draws = 1.5"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, noise_draws=-math.inf), "noise_draws = -inf"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, noise_draws=True), "noise_draws = True"),
        (lambda: rf.RandomFeatureModel(3, 2, 0.1, ridge=-1e-3), "ridge"),
    ],
)
def test_bad_questions_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
