"""Closed forms of the training dynamics against autograd, matrix exponentials, descent and sampling."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import rfcore as rf
from rfcore.simulation import descent, dynamics
from rfcore.simulation.setting import setting

TWO_ATOMS = rf.Covariance([0.5, 1.5], [0.5, 0.5])
TAU = np.array([1, 1e1, 1e2, 1e3, 1e4, 1e5])
LIMIT = np.array([0.95925, 0.84296, 0.92873, 1.16137, 1.20278, 1.20278])
LIMIT_ONE_DRAW = np.array([0.97043, 1.0298, 1.37363, 2.13223, 2.95404, 2.97174])
EMPIRICAL_ONE_DRAW = np.array([0.9723, 1.0134, 1.1556, 1.6079, 2.1098, 2.1205])


def model(**changes):
    return rf.RandomFeatureModel(**{"psi_p": 3, "psi_n": 2, "t": 0.1, "covariance": TWO_ATOMS, **changes})


def sampled(d=8, seed=0, **changes):
    m = model(**{"noise_draws": 2, **changes})
    return rf.simulation.moments(m, d, seed), *descent.sample(m, d, seed), m


def random_readout(moments, seed=1):
    d, p = moments.V.shape[1], moments.V.shape[0]
    return torch.as_tensor(np.random.default_rng(seed).standard_normal((d, p)))


def test_gradient_prefactors_equal_automatic_differentiation():
    moments, phi, xi, m = sampled()
    A = random_readout(moments)
    d, p = A.shape
    by_hand = 2 * m.delta / (d * p) * A @ moments.U + 2 * math.sqrt(m.delta / p) / d * moments.V.T
    torch.testing.assert_close(descent.gradient(A, phi, xi, m.delta), by_hand, rtol=0, atol=1e-15)


def test_quadratic_form_equals_the_loss_summed_over_samples():
    moments, phi, xi, m = sampled()
    A = random_readout(moments)
    train, _ = dynamics.losses(moments, A)
    assert train == pytest.approx(float(descent.denoising_loss(A, phi, xi, m.delta)), rel=1e-13)


@pytest.mark.parametrize("ridge", [0.0, 0.05])
@pytest.mark.parametrize("draws", [1, math.inf])
def test_readout_equals_the_matrix_exponential_of_the_flow(ridge, draws):
    moments = rf.simulation.moments(model(psi_n=1, noise_draws=draws), 6, 2)
    p, d = moments.V.shape
    c = 2 * moments.delta / moments.psi_p
    flow = np.zeros((p + d, p + d))
    flow[:p, :p] = -c * (moments.U.numpy() + ridge * np.eye(p))
    flow[:p, p:] = -c / math.sqrt(moments.delta) * moments.V.numpy()
    for tau in (0.3, 10.0, 300.0):
        B = expm(tau * flow)[:p, p:].T
        A = dynamics.readout(moments, tau, ridge)
        np.testing.assert_allclose(A, math.sqrt(p) * B, rtol=0, atol=1e-10 * np.abs(B).max() * math.sqrt(p))


def test_gradient_descent_converges_to_the_flow_at_first_order():
    moments, phi, xi, m = sampled()
    target, start = dynamics.readout(moments, 4.0), torch.zeros(8, 24, dtype=torch.float64)
    errors = [
        float(torch.linalg.norm(descent.descend(start, phi, xi, m.delta, 4 / k, k) - target))
        for k in (200, 400, 800)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(orders - 1) < 0.02)
    assert errors[-1] < 1e-2 * float(torch.linalg.norm(target))


def test_minibatch_descent_is_unbiased_around_the_flow():
    moments, phi, xi, m = sampled()
    start = torch.zeros(8, 24, dtype=torch.float64)
    runs = [descent.descend(start, phi, xi, m.delta, 0.02, 50, batch=4, seed=s) for s in range(40)]
    full = descent.descend(start, phi, xi, m.delta, 0.02, 50)
    mean, spread = torch.stack(runs).mean(dim=0), torch.stack(runs).std(dim=0) / math.sqrt(40)
    z = (mean - full) / spread
    assert float(spread.min()) > 0
    assert 0.7 < float((z**2).mean()) < 1.4


@pytest.mark.parametrize(
    "changes", [{}, {"ridge": 0.02}, {"noise_draws": 2}, {"noise_draws": 2, "ridge": 0.02}]
)
def test_loss_curves_equal_the_losses_of_the_readout(changes):
    m = model(**changes)
    moments = rf.simulation.moments(m, 10, 0)
    curves = rf.simulation.loss_curves(m, TAU, 10, 0)
    for k, tau in enumerate(TAU):
        train, test = dynamics.losses(moments, dynamics.readout(moments, tau, m.ridge))
        tolerance = 1e-11 + 10 * curves.error[k]
        assert abs(curves.train[k] - train) < tolerance and abs(curves.test[k] - test) < tolerance
    end, late = rf.simulation.minimizer(m, 10, 0), rf.simulation.loss_curves(m, 1e13, 10, 0)
    for name in ("train", "test", "empirical", "score_error"):
        assert getattr(end, name) == pytest.approx(float(getattr(late, name)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("psi_p", "draws"), [(1.5, 1), (6, 1), (6, math.inf)])
def test_mode_drops_add_up_to_the_train_loss(psi_p, draws):
    m = model(psi_p=psi_p, noise_draws=draws)
    moments = rf.simulation.moments(m, 12, 0)
    values, drops = dynamics.train_drops(moments)
    faded = np.exp(-4 * m.delta / m.psi_p * np.outer(TAU, values))
    curve = rf.simulation.loss_curves(m, TAU, 12, 0)
    np.testing.assert_allclose(moments.noise_power - (1 - faded) @ drops, curve.train, rtol=0, atol=1e-11)
    assert np.all(drops >= 0)


@pytest.mark.parametrize("psi_p", [1.5, 6])
def test_minimiser_solves_the_normal_equations_with_least_norm(psi_p):
    m = model(psi_p=psi_p, noise_draws=1)
    moments, phi, xi, _ = sampled(12, 0, psi_p=psi_p, noise_draws=1)
    p = moments.V.shape[0]
    # lstsq returns the minimum-norm solution of sqrt(Delta) phi B^T = -xi
    B = torch.linalg.lstsq(math.sqrt(m.delta) * phi, -xi, driver="gelsd").solution.T
    A = dynamics.readout(moments, math.inf)
    torch.testing.assert_close(A, math.sqrt(p) * B, rtol=0, atol=1e-7 * float(A.abs().max()))
    end = rf.simulation.minimizer(m, 12, 0)
    assert end.train == pytest.approx(float(descent.denoising_loss(A, phi, xi, m.delta)), abs=1e-9)
    assert (abs(end.train) < 1e-9) == (p > 24)


def test_ridge_minimiser_has_zero_penalised_gradient():
    moments, phi, xi, m = sampled(ridge=0.03)
    A = dynamics.readout(moments, math.inf, 0.03).requires_grad_(True)
    d, p = A.shape
    penalised = descent.denoising_loss(A, phi, xi, m.delta) + m.delta * 0.03 / (d * p) * (A**2).sum()
    assert float(torch.autograd.grad(penalised, A)[0].abs().max()) < 1e-14


@pytest.mark.parametrize("features", ["nonlinear", "gaussian"])
def test_fresh_losses_and_score_error_equal_sampled_ones(features):
    """Test, empirical and score losses of one readout, each from 20,000 fresh samples."""
    m = model(noise_draws=2)
    d, tau, count = 12, 30.0, 20_000
    moments, s = rf.simulation.moments(m, d, 0, features), setting(m, d, 0, features)
    curves = dynamics.loss_curves(moments, tau)
    B = dynamics.readout(moments, tau).numpy() / math.sqrt(len(s.M))
    rng = np.random.default_rng(7)
    spectrum, M, width = s.spectrum.numpy(), s.M.numpy(), math.sqrt(m.delta)

    def score(x, xi):
        if features == "nonlinear":
            return np.tanh((s.signal * x + width * xi) @ M.T) @ B.T
        c = m.constants
        omega = rng.standard_normal((len(x), len(M)))
        return (s.signal * c.a * x @ M.T + c.b * xi @ M.T + math.sqrt(c.v2 + c.s2) * omega) @ B.T

    def agrees(values, want):
        return abs(values.mean() - want) < 4 * values.std() / math.sqrt(len(values))

    xi = rng.standard_normal((count, d))
    x = rng.standard_normal((count, d)) * np.sqrt(spectrum)
    found = score(x, xi)
    assert agrees(((width * found + xi) ** 2).mean(axis=1), curves.test)
    if features == "nonlinear":
        exact = -(s.signal * x + width * xi) / (s.signal**2 * spectrum + m.delta)
        assert agrees(((found - exact) ** 2).mean(axis=1), curves.score_error)
        again = s.x.numpy()[rng.integers(len(s.x), size=count)]
        assert agrees(((width * score(again, xi) + xi) ** 2).mean(axis=1), curves.empirical)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    psi_p=st.floats(0.2, 5),
    psi_n=st.floats(0.2, 5),
    t=st.floats(0.01, 2),
    activation=st.sampled_from(["tanh", "erf", "sin", "identity"]),
    draws=st.sampled_from([1, 3, math.inf]),
    features=st.sampled_from(["nonlinear", "gaussian"]),
)
def test_train_loss_falls_from_one_and_losses_stay_nonnegative(psi_p, psi_n, t, activation, draws, features):
    m = model(psi_p=psi_p, psi_n=psi_n, t=t, activation=activation, noise_draws=draws)
    tau = np.concatenate([[0], np.logspace(-2, 6, 30)])
    curves = rf.simulation.loss_curves(m, tau, 12, 0, features)
    slack = 1e-9 + 10 * curves.error
    assert np.all(np.diff(curves.train) <= slack[1:])
    assert curves.test[0] == pytest.approx(1, abs=1e-12)
    for values in (curves.train, curves.test, curves.empirical, curves.score_error):
        assert np.all(values >= -slack)
    if draws == math.inf:
        assert np.array_equal(curves.train, curves.empirical)


def test_error_estimate_covers_a_perturbation_of_u():
    moments = rf.simulation.moments(model(), 20, 0)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(moments.U.shape)
    noise = torch.as_tensor(noise + noise.T)
    noise *= 1e-9 / float(torch.linalg.norm(noise))
    shifted = rf.simulation.Moments(
        **{**vars(moments), "U": moments.U + noise, "Ue": moments.U + noise, "error": 1e-9}
    )
    a, b = dynamics.loss_curves(moments, TAU), dynamics.loss_curves(shifted, TAU)
    change = np.maximum(np.abs(a.test - b.test), np.abs(a.train - b.train))
    assert np.all(change <= b.error)
    assert np.all(change[2:] > 0)


def test_the_true_network_reaches_the_limit_at_order_one_over_d():
    dimensions, deviations = np.array([25, 50, 100, 200]), []
    for d in dimensions:
        seeds = range(max(2, 400 // d))
        mean = np.mean([rf.simulation.loss_curves(model(), TAU, d, s).test for s in seeds], axis=0)
        deviations.append(np.max(np.abs(mean - LIMIT)))
    assert deviations[2] < 0.025
    slope = np.polyfit(np.log(dimensions), np.log(deviations), 1)[0]
    assert -1.35 < slope < -0.65


def test_the_gaussian_twin_reaches_the_limit():
    twins = [rf.simulation.loss_curves(model(), TAU, 100, s, features="gaussian").test for s in range(24)]
    error = np.std(twins, axis=0, ddof=1) / math.sqrt(24)
    assert np.all(error < 1e-3)
    assert np.all(np.abs(np.mean(twins, axis=0) - LIMIT) < 4 * error + 1e-3)


def test_one_noise_draw_overfits_as_the_limit_says():
    m = model(noise_draws=1)
    runs = [rf.simulation.loss_curves(m, TAU, 160, s, features="gaussian") for s in range(6)]
    for name, want in (("test", LIMIT_ONE_DRAW), ("empirical", EMPIRICAL_ONE_DRAW)):
        values = np.array([getattr(run, name) for run in runs])
        error = values.std(axis=0, ddof=1) / math.sqrt(len(runs))
        assert np.all(np.abs(values.mean(axis=0) - want) < 4 * error + 0.01 * want)
    assert np.all(np.abs([run.train[-1] for run in runs]) < 1e-6)


def test_eigenvalues_are_those_of_u_in_ascending_order():
    values = rf.simulation.eigenvalues(model(), 20, 0)
    U = rf.simulation.moments(model(), 20, 0).U
    assert values.dtype == np.float64 and np.all(np.diff(values) >= 0)
    for power in (1, 2, 3):
        assert np.sum(values**power) == pytest.approx(
            float(torch.trace(torch.matrix_power(U, power))), rel=1e-12
        )


def test_realised_ratios_are_those_of_whole_numbers():
    real = rf.simulation.realized(model(psi_p=0.33, psi_n=1.01), 10)
    assert (real.psi_p, real.psi_n) == (0.3, 1.0)
    moments = rf.simulation.moments(model(psi_p=0.33, psi_n=1.01), 10, 0)
    assert (moments.psi_p, moments.psi_n) == (0.3, 1.0)


@pytest.mark.parametrize("tau", [-1.0, [0, -1e-3], math.inf, math.nan, "late"])
def test_bad_times_are_named(tau):
    with pytest.raises(ValueError, match="tau"):
        rf.simulation.loss_curves(model(), tau, 6, 0)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: descent.sample(model(), 6, 0), "noise_draws"),
        (lambda: descent.descend(torch.zeros(2, 3), torch.ones(4, 3), torch.ones(4, 2), 0.5, -1, 3), "step"),
        (lambda: descent.descend(torch.zeros(2, 3), torch.ones(4, 3), torch.ones(4, 2), 0.5, 1, 0), "steps"),
        (
            lambda: descent.descend(torch.zeros(2, 3), torch.ones(4, 3), torch.ones(4, 2), 0.5, 1, 1, 9),
            "batch",
        ),
        (lambda: dynamics.flow(rf.simulation.moments(model(), 6, 0), -0.1), "ridge"),
    ],
)
def test_bad_input_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
