"""Claims of the documents and papers on linear denoisers that no chapter checks."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

import rfcore as rf

Array = npt.NDArray[np.float64]
LAM = np.linspace(0.3, 3, 30)
LAW = rf.Covariance(LAM)


def covariances(n: int, count: int, seed: int) -> Array:
    """Sample covariances of n Gaussian points in the eigenbasis of the population."""
    x = np.random.default_rng(seed).standard_normal((count, n, LAM.size)) * np.sqrt(LAM)
    return np.asarray(np.swapaxes(x, 1, 2) @ x / n)


def root(s: Array) -> Array:
    """S^(1/2), the sampling map from infinite noise."""
    values, vectors = np.linalg.eigh(s)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2))


@pytest.mark.parametrize("c", [0.0, 0.3])
def test_a_linear_denoiser_generates_the_covariance_of_its_training_set(c: float) -> None:
    """The flow with the least-squares denoiser of the training set blurred by c, in small steps.

    D = mu + (S + c)(S + c + sigma^2)^-1 (x - mu); the end of the flow is mu + ((S + c)/(S + c + T))^(1/2) x,
    hence the covariance S + c for x ~ N(0, S + c + T).
    """
    rng = np.random.default_rng(0)
    data = rng.standard_normal((8, 3)) * [0.5, 1, 2] + 0.7
    mean, s = data.mean(0), np.cov(data.T, bias=True) + c * np.eye(3)
    times = np.geomspace(50.0, 1e-4, 4001)
    x = rng.standard_normal((4, 3)) * times[0] + mean
    start = x.copy()

    def slope(y: Array, sigma: float) -> Array:
        denoised = mean + (y - mean) @ s @ np.linalg.inv(s + sigma**2 * np.eye(3))
        return np.asarray((y - denoised) / sigma)

    for now, then in zip(times[:-1], times[1:], strict=True):
        first = slope(x, now)
        second = slope(x + (then - now) * first, then)
        x = x + (then - now) * (first + second) / 2
    values, vectors = np.linalg.eigh(s)
    exact = mean + (start - mean) @ (vectors * np.sqrt(values / (values + times[0] ** 2))) @ vectors.T
    np.testing.assert_allclose(x, exact, rtol=2e-4, atol=2e-4)


def test_gap_of_a_linear_denoiser_is_the_trace_times_the_noise() -> None:
    """Test minus train loss of least squares, from second moments, against c0 tr (Sigma - S)(S + c0)^-2."""
    s, z, d = covariances(12, 1, 0)[0], 0.05, LAM.size
    a, b = 1 / (1 + z), z / (1 + z)
    w = math.sqrt(b) * np.linalg.inv(a * s + b * np.eye(d))

    def loss(c: Array) -> float:
        return float(np.trace(w @ (a * c + b * np.eye(d)) @ w.T) - 2 * math.sqrt(b) * np.trace(w) + d) / d

    g = np.linalg.inv(s + z * np.eye(d))
    gap = z * np.trace((np.diag(LAM) - s) @ g @ g) / d
    assert loss(np.diag(LAM)) - loss(s) == pytest.approx(gap, rel=1e-10)


@pytest.mark.parametrize("n", [20, 45])
def test_agreement_of_two_splits_of_drawn_data(n: int) -> None:
    """Inner product over norm of what two disjoint training sets make of one noise; it grows with n."""
    one, two = root(covariances(n, 60, 1)), root(covariances(n, 60, 2))
    drawn = np.sum(one * two, axis=(1, 2)).mean() / np.sum(one**2, axis=(1, 2)).mean()
    model = rf.LinearModel(gamma=LAM.size / n, noise_variance=1.0, covariance=LAW)
    exact = rf.theory.split_agreement(model, math.inf)
    assert drawn == pytest.approx(exact, abs=0.02)
    less = rf.theory.split_agreement(replace(model, gamma=2 * model.gamma), math.inf)
    assert less < exact < 1


def test_low_variance_directions_are_shrunk_most_and_the_total_variance_is_kept() -> None:
    """Denoiser: mean shrinkage over the population's grows with lambda.  Map: mean low, E f^2 = lambda."""
    n, z = 45, 0.5
    model = rf.LinearModel(gamma=LAM.size / n, noise_variance=z, covariance=LAW)
    relative = rf.theory.denoiser_moments(model).mean / (LAM / (LAM + z))
    assert np.all(relative < 1) and np.all(np.diff(relative) > 0)
    s = covariances(n, 400, 3)
    drawn = np.diagonal((s @ np.linalg.inv(s + z * np.eye(LAM.size))).mean(0)) / (LAM / (LAM + z))
    np.testing.assert_allclose(drawn, relative, atol=0.02)
    maps = root(s)
    mean = np.diagonal(maps.mean(0)) / np.sqrt(LAM)
    square = np.diagonal((maps @ maps).mean(0)) / LAM
    assert np.all(mean < 0.95) and mean[:5].mean() < mean[-5:].mean() - 0.05
    np.testing.assert_allclose(square, 1, atol=0.1)


@pytest.mark.parametrize("law", [LAW, rf.Covariance.power_law(1.5, 50)], ids=["uniform", "power law"])
def test_divergence_is_a_quarter_of_gamma_in_both_directions(law: rf.Covariance) -> None:
    """KL/d = gamma/4 + x gamma^2, with x = 1/12 for generated against data and 5/12 the other way round."""
    small = law.eigenvalues.min() * 1e-9
    gamma = np.array([0.02, 0.01])
    found = [
        rf.theory.kl(rf.LinearModel(gamma=float(g), noise_variance=small, covariance=law)) for g in gamma
    ]
    for name, second in (("generated_to_data", 1 / 12), ("data_to_generated", 5 / 12)):
        excess = (np.array([getattr(k, name) for k in found]) / gamma - 0.25) / gamma
        assert 2 * excess[1] - excess[0] == pytest.approx(second, abs=2e-3)


def test_what_reduces_the_gap_of_a_linear_denoiser() -> None:
    """n = d/2 at small noise: a steeper spectrum, a ridge and an early stop each bring the gap down."""
    flat = rf.LinearModel(gamma=2.0, noise_variance=0.01)
    steep = replace(flat, covariance=rf.Covariance.power_law(2.0, 100))
    ends = {name: rf.theory.minimizer(q) for name, q in (("flat", flat), ("steep", steep))}
    gap = {name: end.test - end.train for name, end in ends.items()}
    assert gap["flat"] > 10 and gap["steep"] < gap["flat"] / 3
    ridged = rf.theory.minimizer(replace(flat, ridge=0.5))
    stopped = rf.theory.loss_curves(flat, np.geomspace(0.1, 1e3, 60))
    best = int(np.argmin(stopped.test))
    assert ridged.test - ridged.train < gap["flat"] / 10
    assert stopped.test[best] - stopped.train[best] < gap["flat"] / 10
    assert stopped.test[best] < 1 < ends["flat"].test


def test_a_linear_denoiser_learns_each_mode_at_its_own_rate() -> None:
    """Gradient descent on the population loss: the e-folding time of mode k is 1/(a lambda_k + b)."""
    z, step = 0.05, 1e-3
    a, b = 1 / (1 + z), z / (1 + z)
    m = a * LAM + b
    w, target, errors = np.zeros_like(LAM), math.sqrt(b) / m, []
    for k in range(2001):
        if k in (1000, 2000):
            errors.append(np.abs(w - target))
        w = w - step * (m * w - math.sqrt(b))
    rate = np.log(errors[0] / errors[1]) / (1000 * step)
    np.testing.assert_allclose(rate, m, rtol=3e-3)
    fast = LAM > 1
    exponent = np.polyfit(np.log(LAM[fast]), np.log(rate[fast]), 1)[0]
    assert exponent == pytest.approx(1, abs=0.1)
    model = rf.LinearModel(gamma=1e-6, noise_variance=z, covariance=LAW)
    curve = rf.theory.loss_curves(model, [1.0])
    h = math.sqrt(b) * -np.expm1(-m) / m
    assert curve.test[0] == pytest.approx(np.mean(1 - 2 * math.sqrt(b) * h + m * h**2), rel=1e-5)
