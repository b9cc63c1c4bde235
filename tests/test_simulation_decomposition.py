"""Bias and variances, integrated error and optimal ridge at finite d: against sampling and the limit."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import rfcore as rf
from rfcore.simulation import dynamics
from rfcore.simulation.features import draws
from rfcore.simulation.ridge import _test
from rfcore.simulation.setting import setting

BASE = rf.RandomFeatureModel(3, 2, 0.2, rf.Covariance([0.5, 1.5]), noise_draws=2, ridge=0.05)
PARTS = ("bias", "features", "data")


def values(answer):
    return np.array([getattr(answer, name) for name in PARTS])


def trained(model, d, seed, layer_seed, features):
    """B of one training set by ridge regression on its explicit features, and the first layer."""
    s = dataclasses.replace(setting(model, d, seed, features), M=setting(model, d, layer_seed, features).M)
    phi, xi = (torch.cat(parts) for parts in zip(*draws(s), strict=True))
    U = phi.T @ phi / len(phi) + model.ridge * torch.eye(phi.shape[1], dtype=phi.dtype)
    return -torch.linalg.solve(U, phi.T @ xi / len(phi)).T / math.sqrt(model.delta), s


def test_parts_equal_products_of_scores_on_fresh_samples():
    """The estimators from values of the scores at 40,000 points: nothing of U, V or Ut is used."""
    d, layers, sets, count = 12, 3, 2, 40_000
    found = rf.simulation.decomposition(BASE, d, layers, sets, 5)
    rng = np.random.default_rng(0)
    scores = []
    for layer in range(layers):
        first = 5 + sets * layer
        for k in range(sets):
            B, s = trained(BASE, d, first + k, first, "nonlinear")
            scores.append((B.numpy(), s.M.numpy()))
    x = rng.standard_normal((count, d)) * np.sqrt(s.spectrum.numpy())
    noisy = s.signal * x + s.width * rng.standard_normal((count, d))
    truth = -noisy / (s.signal**2 * s.spectrum.numpy() + BASE.delta)
    deviations = np.array([np.tanh(noisy @ M.T) @ B.T - truth for B, M in scores])
    products = np.einsum("ind,jnd->ijn", deviations, deviations) / d
    layer_of = np.repeat(np.arange(layers), sets)
    same = layer_of[:, None] == layer_of
    own = np.eye(layers * sets, dtype=bool)
    total, layer, apart = (products[mask].mean(axis=0) for mask in (own, same & ~own, ~same))
    for name, sample in zip(PARTS, (apart, layer - apart, total - layer), strict=True):
        error = sample.std() / math.sqrt(count)
        assert abs(getattr(found, name) - sample.mean()) < 4 * error
        assert error < 0.03 * found.total


@pytest.mark.parametrize(("features", "allowance"), [("gaussian", 0.3), ("nonlinear", 1.5)])
@pytest.mark.parametrize("changes", [{}, {"noise_draws": math.inf, "ridge": 0.0, "psi_p": 1.5}])
def test_parts_are_those_of_the_limit(features, allowance, changes):
    """Within standard error plus a finite-size term of order 1/d."""
    model, d = dataclasses.replace(BASE, **changes), 64
    exact = rf.theory.decomposition(rf.simulation.realized(model, d))
    found = rf.simulation.decomposition(model, d, 8, 3, 0, features)
    slack = 4 * values(found.standard_error) + allowance * exact.total / d
    assert np.all(np.abs(values(found) - values(exact)) < slack)
    assert np.all(values(found.standard_error)[1:] < 0.2 * values(exact)[1:])
    assert found.total == pytest.approx(exact.total, abs=slack.sum())


def test_jackknife_errors_are_the_spread_between_repetitions():
    runs = [rf.simulation.decomposition(BASE, 16, 6, 2, 100 * k, "gaussian") for k in range(40)]
    spread = np.std([values(run) for run in runs], axis=0, ddof=1)
    claimed = np.sqrt(np.mean([values(run.standard_error) ** 2 for run in runs], axis=0))
    # The jackknife is biased upwards; forty repetitions know their spread to a tenth.
    assert np.all(claimed / spread > 0.75) and np.all(claimed / spread < 1.6)


def test_optimal_ridge_is_that_of_the_limit():
    for changes in ({}, {"noise_draws": math.inf}, {"noise_draws": 1, "psi_p": 1.0}):
        model = dataclasses.replace(BASE, **changes)
        exact = rf.theory.optimal_ridge(rf.simulation.realized(model, 64))
        found = rf.simulation.optimal_ridge(model, 64, 8, 0, features="gaussian")
        assert abs(found.ridge - exact.ridge) < 4 * found.standard_error + 0.5 * exact.ridge / 64
        error = found.minimizer.standard_error.test
        assert abs(found.minimizer.test - exact.minimizer.test) < 4 * error + 0.5 / 64
        assert found.standard_error < 0.1 * exact.ridge and abs(found.slope) < 1e-9


def test_optimal_ridge_minimises_the_mean_of_the_drawn_losses():
    best = rf.simulation.optimal_ridge(BASE, 24, 3, 7)

    def mean(ridge):
        model = dataclasses.replace(BASE, ridge=ridge)
        return np.mean([rf.simulation.minimizer(model, 24, 7 + k).test for k in range(3)])

    assert best.minimizer.test == pytest.approx(mean(best.ridge), rel=1e-12)
    for factor in (0.01, 0.9, 1.1, 100):
        assert mean(best.ridge * factor) > best.minimizer.test


def test_standard_errors_of_the_ridge_are_the_spread_between_repetitions():
    runs = [rf.simulation.optimal_ridge(BASE, 24, 4, 10 * k, features="gaussian") for k in range(40)]
    claimed = math.sqrt(np.mean([run.standard_error**2 for run in runs]))
    assert 0.6 < np.std([run.ridge for run in runs], ddof=1) / claimed < 1.5


@pytest.mark.parametrize("draws", [1, math.inf])
def test_slope_is_the_derivative_of_the_loss(draws):
    f = dynamics.flow(rf.simulation.moments(dataclasses.replace(BASE, noise_draws=draws), 16, 0))
    for mu in (1e-4, 0.03, 2.0):
        h = 1e-4
        (low, high), _ = _test(f, mu * np.exp([-h, h]))
        assert _test(f, np.array([mu]))[1][0] == pytest.approx((high - low) / (2 * h), rel=1e-5, abs=1e-9)


def test_no_ridge_helps_where_nothing_is_noisy():
    model = rf.RandomFeatureModel(psi_p=0.5, psi_n=40, t=0.5, activation="identity")
    found = rf.simulation.optimal_ridge(model, 20, 2, 0)
    assert found.ridge < 0.02
    alone = rf.simulation.optimal_ridge(model, 20, 1, 0)
    assert math.isnan(alone.minimizer.standard_error.test)


def test_integrated_error_is_that_of_the_limit_and_adds_up():
    d, draws = 48, 6
    exact = rf.theory.integrated_score_error(BASE, 0.02, 2.0)
    found = rf.simulation.integrated_score_error(BASE, 0.02, 2.0, d, draws, 0, "gaussian")
    assert abs(found.value - exact.value) < 4 * found.standard_error + exact.value / d
    assert found.standard_error < 0.05 * exact.value and found.error < 1e-3 * exact.value
    parts = [
        rf.simulation.integrated_score_error(BASE, a, b, d, draws, 0, "gaussian")
        for a, b in ((0.02, 0.3), (0.3, 2.0))
    ]
    assert found.value == pytest.approx(sum(part.value for part in parts), abs=10 * found.error)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: rf.simulation.decomposition(BASE, 8, 2, 2, 0), "layers"),
        (lambda: rf.simulation.decomposition(BASE, 8, 3, 1, 0), "sets"),
        (
            lambda: rf.simulation.decomposition(dataclasses.replace(BASE, psi_p=4, ridge=0), 8, 3, 2, 0),
            "psi_p = 4",
        ),
        (lambda: rf.simulation.integrated_score_error(BASE, 1.0, 0.5, 8, 2, 0), "end"),
        (lambda: rf.simulation.integrated_score_error(BASE, 0.1, 0.5, 8, 0, 0), "draws"),
        (lambda: rf.simulation.optimal_ridge(BASE, 8, 0, 0), "draws"),
        (lambda: rf.simulation.optimal_ridge(BASE, 8, 2, -1), "seed"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
