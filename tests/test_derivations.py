"""Three derivations of one set of equations: leave-one-out (the solver), replicas, linear pencil."""

import math

import numpy as np
import pytest

import rfcore as rf
from rfcore.theory.derivations import reduced_action, replica_action, replica_gradient, replica_saddle
from rfcore.theory.pencil import solve_pencil

TWO = rf.Covariance([0.5, 1.5], [0.5, 0.5])
QUESTIONS = [
    rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO),
    rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO, noise_draws=1),
    rf.RandomFeatureModel(psi_p=0.5, psi_n=4, t=0.5, activation="relu", noise_draws=3),
    rf.RandomFeatureModel(
        psi_p=64, psi_n=8, t=0.01, covariance=rf.Covariance.power_law(1.0, 5), noise_draws=20
    ),
]
IDS = [f"psi_p={m.psi_p:g}, m={m.noise_draws:g}" for m in QUESTIONS]


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
@pytest.mark.parametrize("z", [-3.0, -0.1, -1e-3])
def test_replica_saddle_is_the_resolvent(model: rf.RandomFeatureModel, z: float) -> None:
    saddle, answer = replica_saddle(model, z), rf.theory.resolvent(model, z)
    assert saddle.gradient < 1e-12
    got = [saddle.q, saddle.r, saddle.s, saddle.r_hat, saddle.s_hat]
    zeta = answer.chi_1.real
    if model.noise_draws != 1:
        eps = 1 / model.noise_draws
        zeta = eps * answer.chi_1.real + (1 - eps) * answer.chi_2.real
    c = model.constants
    hats = [math.exp(-2 * model.t) * c.a**2 * answer.chi_1.real, zeta * c.b**2]
    np.testing.assert_allclose(got, [answer.q.real, answer.r.real, answer.s.real, *hats], rtol=1e-11)


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
def test_gradient_is_the_gradient_of_the_action(model: rf.RandomFeatureModel) -> None:
    """At a point that is not the saddle, by complex-step-free central differences."""
    z, order = -0.7, np.array([0.4, 0.3, 0.5, 0.2, 0.1])
    step = 1e-5
    numeric = []
    for k in range(5):
        up, down = order.copy(), order.copy()
        up[k] *= 1 + step
        down[k] *= 1 - step
        numeric.append((replica_action(model, z, up) - replica_action(model, z, down)) / (2 * step))
    np.testing.assert_allclose(replica_gradient(model, z, order), numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
def test_derivative_of_the_action_is_minus_q(model: rf.RandomFeatureModel) -> None:
    z, step = -0.5, 1e-4
    slope = (replica_saddle(model, z + step).action - replica_saddle(model, z - step).action) / (2 * step)
    assert slope == pytest.approx(-replica_saddle(model, z).q, rel=1e-6)


@pytest.mark.parametrize("model", [QUESTIONS[0], QUESTIONS[2]], ids=[IDS[0], IDS[2]])
def test_action_is_the_log_determinant(model: rf.RandomFeatureModel) -> None:
    """(1/p) log det(U - z) of drawn Gaussian-equivalent matrices at three z; it fluctuates by O(1/p)."""
    d = 120
    values = np.array([rf.simulation.eigenvalues(model, d, seed, features="gaussian") for seed in range(6)])
    for z in (-2.0, -0.2, -0.02):
        drawn = np.log(values - z).mean(axis=1)
        allowed = 5 * drawn.std(ddof=1) / math.sqrt(6) + 1 / values.shape[1]
        assert abs(drawn.mean() - replica_saddle(model, z).action) < allowed


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
@pytest.mark.parametrize("z", [-2.0, -0.02])
def test_reduced_action_has_its_minimum_at_the_resolvent(model: rf.RandomFeatureModel, z: float) -> None:
    """Its value is that of the saddle, and every other point, near or far, lies higher."""
    answer, rng = rf.theory.resolvent(model, z), np.random.default_rng(0)
    least = np.array([answer.q.real, answer.chi_1.real, answer.chi_2.real])
    if model.noise_draws == 1:
        least[2] = 1.0
    action = replica_saddle(model, z).action
    assert reduced_action(model, z, *least) == pytest.approx(action, abs=1e-12)
    for size in (1e-3, 0.1, 3.0):
        away = least * np.exp(size * rng.normal(size=(200, 3)))
        assert np.all(reduced_action(model, z, *away.T) > action)


@pytest.mark.parametrize("model", QUESTIONS, ids=IDS)
@pytest.mark.parametrize("z", [0.5 + 0.5j, 2 + 0.1j, -0.3])
def test_pencil_is_the_resolvent(model: rf.RandomFeatureModel, z: complex) -> None:
    solution, answer = solve_pencil(model, z), rf.theory.resolvent(model, z)
    got, expected = [solution.q, solution.r, solution.s], [answer.q, answer.r, answer.s]
    np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="z = 0.5 is not allowed"):
        replica_saddle(QUESTIONS[0], 0.5)
    with pytest.raises(ValueError, match="chi_1 = -1.0 is not allowed"):
        reduced_action(QUESTIONS[0], -1.0, 1.0, [0.5, -1.0])
    for order in ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0, math.nan]):
        for function in (replica_action, replica_gradient):
            with pytest.raises(ValueError, match="order"):
                function(QUESTIONS[0], -1.0, order)
    with pytest.raises(ValueError, match="z = .* is not allowed"):
        solve_pencil(QUESTIONS[0], 1.0)
