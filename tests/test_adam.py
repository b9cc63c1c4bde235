"""Adam on the random-feature model against torch's, its preconditioner, and rates against roots."""

import math

import numpy as np
import pytest
import torch

import rfcore as rf
from rfcore.simulation import descent as explicit
from rfcore.simulation import dynamics
from rfcore.simulation.adam import adam, preconditioned

MODEL = rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, noise_draws=2)


def test_a_run_is_torchs_adam_on_the_explicit_loss():
    """Adam does not see a common factor of the gradient, so A = sqrt(p) B moves at sqrt(p) times the rate."""
    d, seed, steps, rate = 8, 1, 30, 0.01
    phi, xi = explicit.sample(MODEL, d, seed)
    p = phi.shape[1]
    A = torch.zeros((d, p), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([A], rate * math.sqrt(p), eps=1e-30)
    for _ in range(steps):
        optimizer.zero_grad()
        explicit.denoising_loss(A, phi, xi, MODEL.delta).backward()
        optimizer.step()
    run = adam(MODEL, rate, [0, steps], d, seed, epsilon=1e-30)
    np.testing.assert_allclose(run.weights[1], A.detach().numpy() / math.sqrt(p), atol=1e-11)
    train, test = dynamics.losses(run.moments, A.detach())
    assert run.curves.train[1] == pytest.approx(train, abs=1e-11)
    assert run.curves.test[1] == pytest.approx(test, abs=1e-11)
    assert run.curves.train[0] == pytest.approx(run.moments.noise_power)


def test_small_batches_make_a_preconditioner_of_noise():
    """Gradients of few rows are noise of variance L U_aa/(S Delta): P is nearly one number."""
    d, batch = 32, 0.25
    run = adam(MODEL, 1e-5, [400], d, 0, batch=batch, beta_2=0.999)
    U = run.moments.U.numpy()
    expected = np.sqrt(run.curves.train[-1] * np.diag(U) / (batch * d * run.moments.delta))
    np.testing.assert_allclose(np.sqrt(np.mean(run.preconditioner[-1] ** 2, axis=0)), expected, rtol=0.15)
    assert np.mean(run.preconditioner[-1]) == pytest.approx(expected.mean(), rel=0.05)


def test_modes_of_the_preconditioned_matrix():
    rng = np.random.default_rng(0)
    X, P = rng.standard_normal((6, 20)), rng.uniform(0.5, 3, 6)
    U = X @ X.T / 20
    eigenvalues, modes = preconditioned(U, P)
    np.testing.assert_allclose(eigenvalues, np.sort(np.linalg.eigvals(U / P[:, None]).real), rtol=1e-12)
    np.testing.assert_allclose(modes @ (U / P[:, None]), eigenvalues[:, None] * modes, atol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_rates_are_those_of_the_polynomials(nesterov):
    question = rf.Descent(MODEL, 1.0, momentum=0.8, nesterov=nesterov)
    x = np.array([1e-3, 0.005, 0.3]) / question.h
    late = [np.max(np.abs(list(question.residuals(x, k + 20))[-20:]), axis=0) for k in (200, 400)]
    slope = np.log(late[0] / late[1]) / 200
    np.testing.assert_allclose(slope[:2], question.rates(x)[:2], rtol=1e-6)
    assert slope[2] == pytest.approx(question.rates(x)[2], rel=0.02)


@pytest.mark.parametrize(
    ("bad", "name"), [({"rate": 0}, "rate"), ({"beta_1": 1}, "beta_1"), ({"epsilon": -1}, "epsilon")]
)
def test_bad_input_is_refused(bad, name):
    arguments = {"rate": 0.1, "steps": [1], "d": 8, "seed": 0, **bad}
    with pytest.raises(ValueError, match=f"{name} = .* is not allowed"):
        adam(MODEL, **arguments)
