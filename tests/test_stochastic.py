"""Descent by mini-batches: the deterministic equation against its Volterra form, exact means and runs."""

import math
from dataclasses import replace

import numpy as np
import pytest

import rfcore as rf
from rfcore.simulation import optimizers
from rfcore.simulation.setting import setting
from rfcore.theory import _steps, stochastic
from rfcore.theory._equations import parameters
from rfcore.theory._traces import solved

MODEL = rf.RandomFeatureModel(psi_p=4, psi_n=3, t=0.3, covariance=rf.Covariance([0.5, 1.5]))
WAYS = [(math.inf, {}), (1, {}), (2, {"momentum": 0.7}), (math.inf, {"momentum": 0.7, "average": 0.9})]


def asked(draws, share, batch, ridge=0.0, **way):
    """A question with a step of a share of the edge of stability."""
    model = replace(MODEL, noise_draws=draws, ridge=ridge)
    unit = rf.Descent(model, 1.0, **way)
    top = rf.theory.support(model).bulks[-1].right + ridge
    return replace(unit, step=share * unit.edge / (unit.h * top), batch=batch)


@pytest.mark.parametrize(("draws", "way"), WAYS)
def test_volterra_equation_with_kernels_from_a_contour(draws, way):
    """K_i = (h^2 psi_p/batch) (1/p) tr U^2 y_i(U)^2, y_i from r_k = 1 - h x sum_i y_i, on a circle."""
    question = replace(asked(draws, 0.3, 2.5, 0.02, **way), average=0.0)
    model, steps = question.model, 40
    n = 512
    rho = 10 ** (10 / n) * np.exp(1j * np.pi * (2 * np.arange(n // 2) + 1) / n)
    z, slope = _steps._plane(question, rho)
    trace = solved(parameters(model), z - model.ridge).u / model.psi_p
    r = np.array(list(replace(question, batch=math.inf).residuals(z, steps + 1)))
    y = -np.diff(r, axis=0) / (question.h * z)
    x = z - model.ridge
    kernel = (
        -2 * np.real((y**2 * x**2 * z * slope / n) @ trace) * question.h**2 * model.psi_p / question.batch
    )
    plain = rf.theory.loss_curves(replace(question, batch=math.inf), np.arange(steps + 1)).train
    loss = []
    for k in range(steps + 1):
        loss.append(plain[k] + sum(kernel[k - 1 - j] * loss[j] for j in range(k)))
    curve = rf.theory.loss_curves(question, np.arange(steps + 1))
    np.testing.assert_allclose(curve.train, loss, atol=2e-8)


@pytest.mark.parametrize(("draws", "way"), [(1, {}), (2, {"momentum": 0.6})])
def test_exact_mean_is_the_mean_over_many_runs(draws, way):
    question = asked(draws, 0.3, 1.0, 0.02, **way)
    d, steps, count = 5, np.array([1, 4, 12]), 400
    s, m = setting(question.model, d, 0), rf.simulation.moments(question.model, d, 0)
    sources = np.random.SeedSequence(9).spawn(count)
    runs = np.array([optimizers._run(question, s, m, steps, source)[:2] for source in sources])
    exact = rf.simulation.expected_loss_curves(question, steps, d, 0)
    mean, error = runs.mean(axis=0), runs.std(axis=0, ddof=1) / math.sqrt(count)
    assert np.max(np.abs(mean - [exact.train, exact.test]) / error) < 4
    assert np.max(error / mean) < 0.03


@pytest.mark.parametrize("way", [{}, {"momentum": 0.7}])
def test_exact_means_tend_to_the_theory(way):
    """The distance is O(1/d): it shrinks by more than half from d = 12 to d = 48."""
    question = asked(1, 0.3, 0.0 + 2.0, **way)
    steps = np.array([2, 10, 40])
    line = rf.theory.loss_curves(question, steps)
    gaps = []
    for d, seeds in ((12, 24), (48, 6)):
        runs = [rf.simulation.expected_loss_curves(question, steps, d, k) for k in range(seeds)]
        gap = [
            np.mean([getattr(run, name) for run in runs], axis=0) / getattr(line, name) - 1
            for name in ("train", "test", "empirical")
        ]
        gaps.append(float(np.max(np.abs(gap))))
    assert gaps[1] < 0.06
    assert gaps[1] < gaps[0] / 2


@pytest.mark.parametrize("features", ["nonlinear", "gaussian"])
def test_runs_with_fresh_noise_follow_the_theory(features):
    question = asked(math.inf, 0.3, 1.0, average=0.8)
    steps = np.array([3, 20, 100])
    line = rf.theory.loss_curves(question, steps)
    runs = [rf.simulation.loss_curves(question, steps, 48, k, features) for k in range(6)]
    for name in ("train", "test"):
        mean = np.mean([getattr(run, name) for run in runs], axis=0)
        np.testing.assert_allclose(mean, getattr(line, name), rtol=0.03)


@pytest.mark.parametrize("way", [{}, {"momentum": 0.8}])
def test_noise_multiplies_the_last_loss(way):
    question = asked(math.inf, 0.3, 1e6, **way)
    least = rf.theory.critical_batch(question)
    question = replace(question, batch=2 * least)
    late = rf.theory.loss_curves(question, 100_000 if not way else 30_000)
    assert float(late.train) == pytest.approx(2 * rf.theory.minimizer(question.model).train, rel=1e-3)
    with pytest.raises(ValueError, match="critical batch"):
        rf.theory.loss_curves(replace(question, batch=0.99 * least), 3)


def test_critical_batch_of_small_steps_is_a_trace():
    question = replace(asked(math.inf, 1e-4, 1e6), momentum=0.5)
    c = MODEL.constants
    trace = c.b**2 + c.v2 + c.s2 + math.exp(-2 * MODEL.t) * c.a**2 * MODEL.covariance.variance
    least = rf.theory.critical_batch(question)
    assert least == pytest.approx(MODEL.psi_p * question.h * trace / 2 / 0.5, rel=1e-3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="noise_draws"):
        rf.simulation.expected_loss_curves(asked(math.inf, 0.3, 2.0), 3, 8, 0)
    with pytest.raises(ValueError, match="average"):
        rf.simulation.expected_loss_curves(asked(1, 0.3, 2.0, average=0.5), 3, 8, 0)
    with pytest.raises(ValueError, match="batch"):
        rf.simulation.loss_curves(asked(1, 0.3, 0.01), 3, 8, 0)
    tails = replace(asked(math.inf, 0.3, 2.0).model, scale=rf.ScaleLaw([0.5, 1.5]))
    with pytest.raises(ValueError, match="scale"):
        rf.simulation.loss_curves(rf.Descent(tails, 0.1, batch=2.0), 3, 8, 0)
    with pytest.raises(ValueError, match="nesterov"):
        stochastic.critical_batch(rf.Descent(MODEL, 0.1, nesterov=True))
