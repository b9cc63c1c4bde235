"""Descent in steps with the whole loss: contours against recursions, gradient flow and explicit runs."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import rfcore as rf
from rfcore.simulation import descent as explicit
from rfcore.simulation import dynamics as finite
from rfcore.theory import _steps, descent, dynamics

MODEL = rf.RandomFeatureModel(psi_p=6, psi_n=2, t=0.1, covariance=rf.Covariance([0.5, 1.5]))
WAYS = [
    {},
    {"momentum": 0.8},
    {"momentum": 0.8, "nesterov": True},
    {"average": 0.9},
    {"momentum": 0.6, "average": 0.97},
    {"momentum": 0.7, "nesterov": True, "average": 0.5},
]
NAMES = ["plain", "heavy ball", "Nesterov", "averaged", "heavy ball averaged", "Nesterov averaged"]
ways = pytest.mark.parametrize("way", WAYS, ids=NAMES)


def at_share(model, share, **way):
    """A question whose step is a share of the edge of stability."""
    unit = rf.Descent(model, 1.0, **way)
    top = rf.theory.support(model).bulks[-1].right + model.ridge
    return replace(unit, step=share * unit.edge / (unit.h * top))


@ways
@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize(("draws", "ridge"), [(math.inf, 0.0), (2, 0.01)])
def test_early_and_late_contours_agree_where_both_hold(way, share, draws, ridge):
    question = at_share(replace(MODEL, noise_draws=draws, ridge=ridge), share, **way)
    for k in (_steps.early(question), _steps.early(question) + 13):
        early = [
            _steps.circle(question, np.array([k]), *rule)
            for rule in (descent.EARLY_FINE, descent.EARLY_COARSE)
        ]
        late = [_steps.talbot_steps(question, k, points, True) for points in (24, 20)]
        a, b = (descent._compared(question, rules)[:, 0] for rules in (early, late))
        assert np.max(np.abs(a - b)[:3]) <= 1e-9
        assert a[3] + b[3] < 1e-6


@ways
def test_small_steps_are_gradient_flow_to_first_order(way):
    """k steps of size eta come to the time k eta/(1 - beta), less the delay of the average."""
    question = at_share(MODEL, 1e-3, **way)
    beta, gamma = question.momentum, question.average
    gaps = []
    for shrink in (1, 4):
        finer = replace(question, step=question.step / shrink)
        k = 3000 * shrink
        late = beta / (1 - beta) * (0 if question.nesterov else 1) + gamma / (1 - gamma)
        curve = rf.theory.loss_curves(finer, k)
        flow = dynamics.loss_curves(MODEL, finer.step * (k - late) / (1 - beta))
        gaps.append(abs(float(curve.test - flow.test)))
    assert gaps[0] < 1e-2
    assert gaps[1] < gaps[0] / 3


def test_after_one_and_two_steps_the_loss_is_a_known_polynomial_of_moments():
    """L_train after k steps is a polynomial of tr V^T U^j V, taken here from T_1's expansion at infinity."""
    question = at_share(MODEL, 0.7, momentum=0.6)
    z = 1e3 * np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)
    par = descent.parameters(MODEL)
    trace = descent.t_train(par, descent.solved(par, z))
    moment = [float(np.real(np.mean(-trace * z ** (j + 1)))) for j in range(4)]
    h, beta = question.h, question.momentum
    first = np.polynomial.Polynomial([h])
    second = np.polynomial.Polynomial([2 * h + beta * h, -h * h])
    for k, g in ((1, first), (2, second)):
        drop = g * g * np.polynomial.Polynomial([0, 1]) - 2 * g
        expected = 1 + sum(c * moment[j] for j, c in enumerate(drop.coef))
        assert float(rf.theory.loss_curves(question, k).train) == pytest.approx(expected, abs=1e-9)


@ways
def test_simulation_filters_are_explicit_descent(way):
    """The eigenvalue recursion against autograd on explicit features, with torch's own optimiser."""
    model = replace(MODEL, psi_p=3, noise_draws=2)
    question = at_share(model, 0.3, **way)
    d, seed, steps = 8, 3, 25
    phi, xi = explicit.sample(model, d, seed)
    now = last = mean = torch.zeros((d, phi.shape[1]), dtype=torch.float64)
    for _ in range(steps):
        ahead = now + question.momentum * (now - last)
        slope = explicit.gradient(ahead if question.nesterov else now, phi, xi, model.delta)
        now, last = ahead - question.step * d**2 * slope, now
        mean = question.average * mean + (1 - question.average) * now
    train, test = finite.losses(rf.simulation.moments(model, d, seed), mean)
    curve = rf.simulation.loss_curves(question, steps, d, seed)
    assert float(curve.train) == pytest.approx(train, abs=1e-12)
    assert float(curve.test) == pytest.approx(test, abs=1e-12)


def test_heavy_ball_is_torchs_momentum():
    model = replace(MODEL, psi_p=3, noise_draws=2)
    question = at_share(model, 0.3, momentum=0.7)
    phi, xi = explicit.sample(model, 8, 3)
    A = torch.zeros((8, phi.shape[1]), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([A], question.step * 64, momentum=0.7)
    for _ in range(25):
        optimizer.zero_grad()
        explicit.denoising_loss(A, phi, xi, model.delta).backward()
        optimizer.step()
    train, _ = finite.losses(rf.simulation.moments(model, 8, 3), A.detach())
    assert float(rf.simulation.loss_curves(question, 25, 8, 3).train) == pytest.approx(train, abs=1e-12)


@pytest.mark.parametrize(("draws", "ridge"), [(math.inf, 0.0), (1, 0.05)])
def test_theory_is_the_limit_of_drawn_matrices(draws, ridge):
    question = at_share(replace(MODEL, psi_p=3, noise_draws=draws, ridge=ridge), 0.4, momentum=0.8)
    steps = np.array([3, 30, 300, 3000])
    line = rf.theory.loss_curves(question, steps)
    runs = [rf.simulation.loss_curves(question, steps, 100, k, features="gaussian") for k in range(4)]
    for name in ("train", "test", "empirical"):
        mean = np.mean([getattr(run, name) for run in runs], axis=0)
        np.testing.assert_allclose(mean, getattr(line, name), rtol=0.015)


def test_weight_decay_beside_the_gradient_is_a_ridge():
    """A <- (1 - w) A - eta d^2 grad L is the ridge mu = w/h, step by step."""
    model, w = replace(MODEL, psi_p=3, noise_draws=2), 0.02
    question = at_share(model, 0.3)
    phi, xi = explicit.sample(model, 8, 3)
    A = torch.zeros((8, phi.shape[1]), dtype=torch.float64)
    for _ in range(40):
        A = (1 - w) * A - question.step * 64 * explicit.gradient(A, phi, xi, model.delta)
    train, test = finite.losses(rf.simulation.moments(model, 8, 3), A)
    decayed = replace(question, model=replace(model, ridge=w / question.h))
    curve = rf.simulation.loss_curves(decayed, 40, 8, 3)
    assert [float(curve.train), float(curve.test)] == pytest.approx([train, test], abs=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_edge_of_stability_is_where_runs_diverge(nesterov):
    question = at_share(MODEL, 1.0, momentum=0.8, nesterov=nesterov)
    top = question.edge / question.h
    for factor, decays in ((0.999, True), (1.001, False)):
        late = [abs(float(r)) for r in question.residuals(np.array(top * factor), 20_000)]
        assert (max(late[-2:]) < 1e-3) == decays
    with pytest.raises(ValueError, match="edge of stability"):
        rf.theory.loss_curves(replace(question, step=question.step * 1.001), 3)


def test_shapes_and_no_steps():
    question = at_share(MODEL, 0.5, momentum=0.5)
    curves = rf.theory.loss_curves(question, [[0, 5], [5, 100]])
    assert curves.train.shape == (2, 2)
    assert curves.train[0, 0] == curves.test[0, 0] == 1
    assert curves.test[0, 1] == curves.test[1, 0]
    np.testing.assert_allclose(curves.tau, question.step * np.array([[0, 5], [5, 100]]))


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ({"step": 0}, "step"),
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": -0.1}, "momentum"),
        ({"average": 1}, "average"),
        ({"nesterov": 1}, "nesterov"),
        ({"batch": 0}, "batch"),
        ({"batch": 2.0, "nesterov": True}, "batch"),
        ({"model": None}, "model"),
    ],
)
def test_bad_input_is_refused_by_name(bad, name):
    with pytest.raises(ValueError, match=f"{name} = .* is not allowed"):
        rf.Descent(**{"model": MODEL, "step": 1.0, **bad})


@pytest.mark.parametrize("steps", [-1, 0.5, [1, "a"]])
def test_steps_are_whole(steps):
    with pytest.raises(ValueError, match="steps"):
        rf.theory.loss_curves(rf.Descent(MODEL, 0.1), steps)
