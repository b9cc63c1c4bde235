"""The end of training against kernels, closed forms, draws and limits that the solver does not know."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf
from rfcore.theory import decomposition, minimizer, optimal_ridge, ridge_slope, wide_minimizer

Array = npt.NDArray[np.float64]
TWO = rf.Covariance([0.5, 1.5])
WIDE = 1e8  # psi_p of the kernel limit


def ask(psi_p: float, psi_n: float, m: float, ridge: float = 0.0, t: float = 0.1) -> rf.RandomFeatureModel:
    return rf.RandomFeatureModel(psi_p, psi_n, t, TWO, noise_draws=m, ridge=ridge)


# The kernel limit, without features: E_w erf(w.x/sqrt d) erf(w.y/sqrt d) is an arc sine (Williams 1997).


def arc_sine(x: Array, y: Array) -> Array:
    d = x.shape[1]
    norms = np.outer(1 + 2 * np.sum(x**2, axis=1) / d, 1 + 2 * np.sum(y**2, axis=1) / d)
    return np.asarray(2 / np.pi * np.arcsin(2 * (x @ y.T / d) / np.sqrt(norms)))


def kernel_regression(model: rf.RandomFeatureModel, d: int, seed: int) -> tuple[Array, Array]:
    """Eigenvalues of the Gram matrix (n m) and losses (train, test, empirical), by kernel regression."""
    rng = np.random.default_rng(seed)
    n, m = round(model.psi_n * d), int(model.noise_draws)
    root = np.sqrt(model.covariance.quantiles(d))

    def blur(points: Array) -> tuple[Array, Array]:
        xi = rng.standard_normal(points.shape)
        return math.exp(-model.t) * points + math.sqrt(model.delta) * xi, xi

    x = rng.standard_normal((n, d)) * root
    seen, noise = blur(np.repeat(x, m, axis=0))
    gram = arc_sine(seen, seen)
    # U + mu acts on the span of the features as (p/nm)(K + mu nm/p).
    weights = np.linalg.solve(gram + model.ridge * n * m / (model.psi_p * d) * np.eye(n * m), noise)

    def loss(points: Array) -> float:
        fresh, xi = blur(points)
        return float(np.mean((xi - arc_sine(fresh, seen) @ weights) ** 2))

    train = float(np.mean((noise - gram @ weights) ** 2))
    test = loss(rng.standard_normal((3000, d)) * root)
    return np.linalg.eigvalsh(gram), np.array([train, test, loss(np.repeat(x, 3000 // n, axis=0))])


@pytest.mark.parametrize(("m", "ridge"), [(1, 0.0), (3, 0.0), (4, 0.1)])
def test_kernel_limit_of_the_losses(m: int, ridge: float) -> None:
    """psi_p = 1e8 against regression with the kernel itself; what is left falls like 1/d."""
    model = rf.RandomFeatureModel(WIDE, 2, 0.2, TWO, "erf", noise_draws=m, ridge=ridge * WIDE / (2 * m))
    line = minimizer(model)
    exact = np.array([line.train, line.test, line.empirical])
    runs = np.array([kernel_regression(model, 120, seed)[1] for seed in range(3)])
    error = runs.std(axis=0, ddof=1) / math.sqrt(3)
    assert np.all(np.abs(runs.mean(axis=0) - exact) < 3 * error + 2.5 / 120)


def test_kernel_limit_of_the_spectrum() -> None:
    """The bulks at psi_p = 1e8, times n m/p, hold the eigenvalues of the Gram matrix, and as many."""
    model = rf.RandomFeatureModel(WIDE, 4, 0.1, activation="erf", noise_draws=4)
    d, unit = 100, 16 / WIDE
    eigenvalues, _ = kernel_regression(model, d, 0)
    bulks = rf.theory.support(model).bulks
    counts = [round(bulk.mass * WIDE) for bulk in bulks]
    assert counts == [11, 1, 3, 1], "contrasts n (m-1) - d, memorisation d, samples n - d, population d"
    cut = np.cumsum(counts)[:-1] * d
    groups = np.split(eigenvalues, cut)
    for bulk, group in zip(bulks[1:], groups[1:], strict=True):
        middle = math.sqrt(bulk.left * bulk.right) * unit
        assert np.median(group) == pytest.approx(middle, rel=0.25)
    assert groups[3].min() > 0.9 * bulks[3].left * unit
    assert groups[3].max() < 1.1 * bulks[3].right * unit
    assert np.mean(groups[0]) == pytest.approx(model.constants.s2, rel=0.05)


def test_kernel_limit_is_reached_like_one_over_p() -> None:
    for m in (1, 3):
        end = minimizer(ask(1e12, 2, m)).test
        off = [minimizer(ask(p, 2, m)).test - end for p in (1e4, 1e5)]
        assert off[0] / off[1] == pytest.approx(10, rel=0.01)


# Closed forms for d << n, p.


@pytest.mark.parametrize("m", [1, 2, 7, math.inf])
@pytest.mark.parametrize("ratio", [0.2, 0.9, 1.5, 12.0])
@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_wide_limit_has_an_error_of_order_one_over_psi(m: float, ratio: float, ridge: float) -> None:
    names = ("train", "test", "empirical", "score_error")
    wide = wide_minimizer(ask(ratio, 1.0, m, ridge))
    off = []
    for psi in (1e4, 1e5):
        exact = minimizer(ask(ratio * psi, psi, m, ridge))
        off.append([getattr(exact, name) - getattr(wide, name) for name in names])
    first, second = np.abs(np.array(off))
    assert np.all(second <= 0.12 * first + 1e-9 * (1 + wide.score_error))
    assert np.all(first < 0.02 * (1 + wide.score_error))


def test_wide_limit_splits_as_the_decomposition_does() -> None:
    for m in (1, 3, math.inf):
        split, wide = decomposition(ask(2.5e6, 1e6, m)), wide_minimizer(ask(2.5, 1.0, m))
        assert split.bias == pytest.approx(wide.bias, rel=1e-4, abs=1e-6)
        assert split.data == pytest.approx(wide.variance, rel=1e-4)
        assert split.features < 1e-4


def test_one_noise_draw_is_least_squares() -> None:
    """m = 1: L*/(1 - p/n), L*/(1 - n/p), and on the training set L* (1 - p/n)."""
    best = float(np.mean([1 / (1 + ask(1, 1, 1).delta * math.exp(0.2) / lam) for lam in (0.5, 1.5)]))
    for ratio in (0.1, 0.5, 0.99, 1.01, 3.0, 50.0):
        wide = wide_minimizer(ask(ratio, 1, 1))
        assert wide.signal == 1 and wide.bias == 0
        assert wide.test == pytest.approx(best / abs(1 - 1 / max(ratio, 1 / ratio)), rel=1e-12)
        assert wide.train == pytest.approx(best * max(1 - ratio, 0), rel=1e-12, abs=1e-15)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.floats(-2, 3),
    st.floats(-3, 0.5),
    st.sampled_from([1, 2, 9, math.inf]),
    st.sampled_from([0.0, 1e-3, 1.0]),
)
def test_wide_limit_orders_its_parts(log_ratio: float, log_t: float, m: float, ridge: float) -> None:
    ratio = 10**log_ratio
    if ridge == 0 and abs(ratio / m - 1) < 1e-3:
        return
    wide = wide_minimizer(ask(ratio, 1, m, ridge, t=10**log_t))
    assert 0 < wide.signal <= 1 + 1e-12
    assert min(wide.bias, wide.samples, wide.noise, wide.variance) >= 0
    round_off = 1e-10 * (1 + wide.test)
    assert -round_off <= wide.train <= min(wide.empirical, wide.test) + round_off
    if math.isinf(m):
        assert wide.train == pytest.approx(wide.empirical, rel=1e-9)
    more = wide_minimizer(ask(ratio, 1, m, ridge + 0.01, t=10**log_t))
    assert more.signal >= wide.signal - 1e-12 and more.train >= wide.train - round_off


def test_one_frozen_draw_memorises_no_points() -> None:
    """m = 1, d << n: fresh noise costs more on a training point than on a new one."""
    model = ask(40, 4, 1)
    line = minimizer(model)
    runs = [rf.simulation.minimizer(model, 32, seed, features="gaussian") for seed in range(3)]
    assert line.empirical - line.test == pytest.approx(
        float(np.mean([run.empirical - run.test for run in runs])), abs=0.02
    )
    wide = wide_minimizer(ask(1e3, 1, 1, t=0.02))
    assert wide.empirical > wide.test > wide.train == 0


def test_null_directions_carry_no_loss() -> None:
    law = rf.Covariance.low_rank(0.25, variance=0.25)
    full = rf.RandomFeatureModel(3, 1, 0.1, law, noise_draws=2)
    alone = dataclasses.replace(full, covariance=rf.Covariance.isotropic())
    # The same x, omega, Theta (the constants see the variance 0.25 alone), a quarter of the directions.
    wide, exact = wide_minimizer(full), minimizer(dataclasses.replace(full, psi_p=3e6, psi_n=1e6))
    assert wide.test == pytest.approx(exact.test, rel=1e-5)
    assert wide.test < wide_minimizer(alone).test


def test_linear_activation_is_refused_and_the_peak_is_infinite() -> None:
    with pytest.raises(ValueError, match="v\\^2 of the activation"):
        wide_minimizer(rf.RandomFeatureModel(2, 1, 0.1, activation="identity"))
    for m in (1, 3):
        assert wide_minimizer(ask(m, 1, m)).test == math.inf == minimizer(ask(4 * m, 4, m)).test


def test_the_best_width_grows_as_the_root_of_n_d() -> None:
    """Left flank A/psi_p, right flank C p/n: psi_p = sqrt(psi_n A/C), for Sigma = 1."""
    base = rf.RandomFeatureModel(1, 1e8, 0.1, noise_draws=3)
    c, delta = base.constants, base.delta * math.exp(2 * base.t)
    whole, level = c.v2 + c.s2, c.b**2 + math.exp(-2 * base.t) * c.a**2
    left = whole * c.b**2 / level**2
    right = (1 / 3 + delta * (c.v2 + c.s2 / 3) / whole) / (1 + delta) ** 2
    best = math.sqrt(left / right * base.psi_n)
    around = [minimizer(dataclasses.replace(base, psi_p=best * f)).test for f in (0.97, 1.0, 1.03)]
    assert around[1] < min(around[0], around[2])
    excess = around[1] - math.exp(-2 * base.t)
    assert excess == pytest.approx(2 * math.sqrt(left * right / base.psi_n), rel=2e-3)


# Ridge.


@pytest.mark.parametrize(("psi_p", "psi_n", "m"), [(3, 2, 2), (8, 8, 1), (40, 4, math.inf), (1e6, 8, 4)])
def test_ridge_slope_and_optimum(psi_p: float, psi_n: float, m: float) -> None:
    best = optimal_ridge(ask(psi_p, psi_n, m))
    assert abs(best.slope) < 1e-9
    scan = best.ridge * np.geomspace(1e-3, 1e3, 121)
    assert min(minimizer(ask(psi_p, psi_n, m, mu)).test for mu in scan) >= best.minimizer.test - 1e-14
    for factor in (0.1, 0.5, 3.0):
        mu, h = factor * best.ridge, 1e-4
        up, down = (minimizer(ask(psi_p, psi_n, m, mu * math.exp(x))).test for x in (h, -h))
        slope = ridge_slope(ask(psi_p, psi_n, m, mu))
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5)
        assert math.copysign(1, slope) == (1 if factor > 1 else -1)


def test_ridge_slope_needs_a_ridge() -> None:
    with pytest.raises(ValueError, match="ridge = 0"):
        ridge_slope(ask(3, 2, 2))


def test_peak_grows_as_the_inverse_root_of_the_ridge() -> None:
    for m in (1, 2, 5):
        heights = [minimizer(ask(4 * m, 4, m, mu)).test for mu in (1e-9, 1e-11)]
        assert heights[1] / heights[0] == pytest.approx(10, rel=0.01)


# Draws, and other models.


@pytest.mark.parametrize(("m", "ridge"), [(1, 0.0), (2, 1e-3), (math.inf, 0.0)])
def test_minimizer_against_networks(m: float, ridge: float) -> None:
    model, d = ask(5, 3, m, ridge), 64
    runs = [rf.simulation.minimizer(model, d, seed, features="gaussian") for seed in range(4)]
    line = minimizer(model)
    for name in ("train", "test", "empirical"):
        values = np.array([getattr(run, name) for run in runs])
        allowed = 3 * values.std(ddof=1) / 2 + 2 / d * (0.05 + values.mean())
        assert abs(values.mean() - getattr(line, name)) < allowed, name


def test_linear_activation_is_the_linear_denoiser() -> None:
    for psi_n in (0.5, 2.0, 8.0):
        features = minimizer(rf.RandomFeatureModel(3, psi_n, 0.4, TWO, "identity"))
        variance = -math.expm1(-0.8) * math.exp(0.8)
        linear = minimizer(rf.LinearModel(1 / psi_n, variance, TWO))
        for name in ("train", "test", "score_error"):
            assert getattr(features, name) == pytest.approx(getattr(linear, name), rel=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.floats(-1, 3),
    st.floats(-1, 2),
    st.floats(-2.5, 0.4),
    st.sampled_from([1, 2, 5, math.inf]),
    st.sampled_from([0.0, 1e-4, 0.1, 10.0]),
)
def test_gap_is_never_negative_at_the_end(a: float, b: float, log_t: float, m: float, ridge: float) -> None:
    found = minimizer(ask(10**a, 10**b, m, ridge, t=10**log_t))
    assert found.gap >= -1e-12
    assert found.score_error >= 0


def test_late_times_reach_the_minimizer_with_ridge() -> None:
    model = ask(6, 2, 3, 1e-3)
    late, end = rf.theory.loss_curves(model, 1e7), minimizer(model)
    for name in ("train", "test", "empirical"):
        assert abs(float(getattr(late, name)) - getattr(end, name)) < 1e-9
