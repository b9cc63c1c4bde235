"""Scores against derivatives of their densities, against each other, and population identities."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal

import rfcore as rf

D = rf.diffusion
rng = np.random.default_rng(0)
COVARIANCE = np.array([[2.0, 0.6], [0.6, 0.4]])
GAUSSIAN = D.GaussianScore([1.0, -0.5], COVARIANCE)
MIXTURE = D.MixtureScore(
    [0.2, 0.5, 0.3], [[-2.0, 0.0], [1.0, 1.0], [0.0, 3.0]], [COVARIANCE, 0.1 * np.eye(2), np.diag([0.0, 1.0])]
)
EMPIRICAL = D.EmpiricalScore(rng.standard_normal((30, 2)))
ALL = pytest.mark.parametrize(
    "score", [GAUSSIAN, MIXTURE, EMPIRICAL], ids=["gaussian", "mixture", "empirical"]
)


@ALL
@pytest.mark.parametrize("t", [0.05, 0.5, 2.0])
def test_score_is_the_gradient_of_log_density(score, t):
    x = 2 * np.random.default_rng(1).standard_normal((20, 2))
    h = 1e-3 * math.sqrt(D.noise_variance(t))
    # fourth-order central differences: truncation (h/width)^4, round-off 1e-16/h
    stencil = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
    for k in range(2):
        e = np.eye(2)[k]
        difference = sum(c * score.log_density(x + j * h * e, t) for j, c in stencil) / h
        scale = 1 / math.sqrt(D.noise_variance(t))
        assert np.max(np.abs(score(x, t)[:, k] - difference)) < 2e-9 * scale * (1 + np.abs(x).max() * scale)


@ALL
def test_score_is_the_gradient_by_autograd(score):
    torch = pytest.importorskip("torch")
    t = 0.3
    x = torch.tensor(np.random.default_rng(2).standard_normal((10, 2)), requires_grad=True)
    if score is EMPIRICAL:
        means, covariances, weights = score.points, np.zeros((30, 2, 2)), np.full(30, 1 / 30)
    else:
        parts = getattr(score, "components", [score])
        means, covariances = [p.mean for p in parts], [p.covariance for p in parts]
        weights = getattr(score, "proportions", np.ones(1))
    logs = [
        torch.distributions.MultivariateNormal(
            torch.tensor(math.exp(-t) * m),
            torch.tensor(math.exp(-2 * t) * c + D.noise_variance(t) * np.eye(2)),
        ).log_prob(x)
        + math.log(w)
        for m, c, w in zip(means, covariances, weights, strict=True)
    ]
    log_density = torch.logsumexp(torch.stack(logs), dim=0)
    log_density.sum().backward()
    assert score(x.detach().numpy(), t) == pytest.approx(x.grad.numpy(), abs=1e-12)
    assert score.log_density(x.detach().numpy(), t) == pytest.approx(log_density.detach().numpy(), abs=1e-12)


def test_gaussian_density_is_scipys():
    x, t = GAUSSIAN.draw(20, 0.3, seed=5), 0.3
    law = multivariate_normal(
        math.exp(-t) * GAUSSIAN.mean, math.exp(-2 * t) * COVARIANCE + D.noise_variance(t) * np.eye(2)
    )
    assert GAUSSIAN.log_density(x, t) == pytest.approx(law.logpdf(x), abs=1e-13)


def test_densities_integrate_to_one_and_noise_adds_by_convolution():
    score = D.MixtureScore([0.3, 0.7], [[-2.0], [1.0]], [[[0.2]], [[0.5]]])
    t = 0.4

    def density(x, time):
        return math.exp(score.log_density([[x]], time)[0])

    def noise(x):
        return math.exp(-(x**2) / (2 * D.noise_variance(t))) / math.sqrt(2 * math.pi * D.noise_variance(t))

    assert quad(density, -15, 15, args=(t,), points=[-2, 1])[0] == pytest.approx(1, abs=1e-9)
    convolved = quad(lambda y: density(y, 0.0) * noise(0.2 - math.exp(-t) * y), -15, 15, points=[-2, 1])[0]
    assert density(0.2, t) == pytest.approx(convolved, rel=1e-9)


def test_two_classes_have_the_tanh_score():
    # classes at +-m with variance 1/2: s = (M tanh(M.x/Gamma) - x)/Gamma, M = e^{-t} m
    m, t = np.array([1.5, -0.5]), 0.6
    score = D.MixtureScore([0.5, 0.5], [m, -m], [0.5 * np.eye(2)] * 2)
    x = np.random.default_rng(3).standard_normal((40, 2))
    shift, gamma = math.exp(-t) * m, 0.5 * math.exp(-2 * t) + D.noise_variance(t)
    expected = (shift * np.tanh(x @ shift / gamma)[:, None] - x) / gamma
    assert score(x, t) == pytest.approx(expected, abs=1e-13)


def test_empirical_score_is_a_mixture_of_point_masses():
    points = EMPIRICAL.points
    mixture = D.MixtureScore(np.full(30, 1 / 30), points, np.zeros((30, 2, 2)))
    x = np.random.default_rng(4).standard_normal((25, 2))
    for t in (0.01, 0.3, 2.0):
        assert EMPIRICAL(x, t) == pytest.approx(mixture(x, t), rel=1e-11, abs=1e-11)
        assert EMPIRICAL.weights(x, t) == pytest.approx(mixture.weights(x, t), abs=1e-12)
        assert EMPIRICAL.log_density(x, t) == pytest.approx(mixture.log_density(x, t), abs=1e-10)


def test_one_point_is_known_exactly():
    score = D.EmpiricalScore([[1.0, 0.0]])
    assert score(np.zeros((1, 2)), 0.5) == pytest.approx(
        np.array([[math.exp(-0.5) / (1 - math.exp(-1)), 0.0]])
    )


def test_repeated_points_merge_their_weights():
    data = np.array([[3.0, 0.0], [1.0, 2.0], [3.0, 0.0], [0.0, 0.0], [3.0, 0.0]])
    score = D.EmpiricalScore(data)
    assert np.array_equal(score.points, [[3.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    assert np.array_equal(score.counts, [3, 1, 1])
    assert np.array_equal(score.points[score.index], data)
    x = np.random.default_rng(5).standard_normal((6, 2))
    weighted = D.MixtureScore([0.6, 0.2, 0.2], score.points, np.zeros((3, 2, 2)))
    assert score.weights(x, 0.8) == pytest.approx(weighted.weights(x, 0.8), abs=1e-13)
    assert score.log_density(x, 0.8) == pytest.approx(weighted.log_density(x, 0.8), abs=1e-12)
    # far from every point in time, the weights are the multiplicities
    assert score.weights(x, 20.0) == pytest.approx(np.tile([0.6, 0.2, 0.2], (6, 1)), abs=1e-7)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.floats(1e-6, 5.0), st.floats(-1e3, 1e3), st.integers(0, 2**20))
def test_empirical_score_survives_any_time_and_shift(t, shift, seed):
    # moving the data by c moves X_t by e^{-t} c and changes nothing else
    local = np.random.default_rng(seed)
    points, x = local.standard_normal((8, 3)), local.standard_normal((5, 3))
    moved = D.EmpiricalScore(points + shift).weights(x + math.exp(-t) * shift, t)
    weights = D.EmpiricalScore(points).weights(x, t)
    assert np.all(np.isfinite(weights))
    assert weights.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-14)
    # exponents |x - e^{-t} x_i|^2/(2 Delta): round-off of the shifted numbers, divided by Delta
    assert moved == pytest.approx(weights, abs=1e-14 * (10 + abs(shift)) / D.noise_variance(t) + 1e-13)


def test_at_small_times_the_nearest_point_wins():
    x = EMPIRICAL.points + 1e-4
    for t in (1e-8, 1e-10):
        assert np.array_equal(EMPIRICAL.weights(x, t).argmax(axis=1), np.arange(30))
        assert EMPIRICAL.denoise(x, t) == pytest.approx(EMPIRICAL.points, abs=1e-12)


def test_blocks_do_not_change_the_answer(monkeypatch):
    x = np.random.default_rng(6).standard_normal((101, 2))
    whole = EMPIRICAL(x, 0.1), EMPIRICAL.log_density(x, 0.1)
    monkeypatch.setattr("rfcore.diffusion.scores._BLOCK", 30 * 7)
    assert EMPIRICAL(x, 0.1) == pytest.approx(whole[0], rel=1e-13, abs=1e-12)
    assert EMPIRICAL.log_density(x, 0.1) == pytest.approx(whole[1], rel=1e-13)


def test_empirical_score_and_denoiser_agree_by_tweedie():
    x = np.random.default_rng(7).standard_normal((9, 2))
    assert D.denoised(x, EMPIRICAL(x, 0.4), 0.4) == pytest.approx(EMPIRICAL.denoise(x, 0.4), abs=1e-14)
    assert EMPIRICAL.denoise(x, 0.4) == pytest.approx(EMPIRICAL.weights(x, 0.4) @ EMPIRICAL.points, abs=1e-14)


@pytest.mark.parametrize("factor", [1.0, 0.5])
@pytest.mark.parametrize("score", [GAUSSIAN, MIXTURE], ids=["gaussian", "mixture"])
def test_denoising_score_matching_identity(score, factor):
    # E|f + xi/sqrt(Delta)|^2 = E|f - s|^2 + d/Delta - E|s|^2 for f = factor * s, in pairs
    m, t = 400_000, 0.7
    xi = np.random.default_rng(8).standard_normal((m, 2))
    delta = D.noise_variance(t)
    x = D.signal(t) * score.draw(m, 0.0, seed=9) + math.sqrt(delta) * xi
    s = score(x, t)
    denoising = ((factor * s + xi / math.sqrt(delta)) ** 2).sum(axis=1)
    difference = denoising - ((factor - 1) ** 2 - 1) * (s**2).sum(axis=1) - 2 / delta
    assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(m)
    assert difference.std() / math.sqrt(m) < 0.01


def test_fisher_information_of_gaussian_data():
    m, t = 200_000, 0.7
    square = (GAUSSIAN(GAUSSIAN.draw(m, t, seed=10), t) ** 2).sum(axis=1)
    expected = (1 / D.mode_variance(GAUSSIAN.eigenvalues, t)).sum()
    assert abs(square.mean() - expected) < 4 * square.std() / math.sqrt(m)


@pytest.mark.parametrize("t", [0.0, 0.8])
def test_draws_have_the_moments_of_the_mixture(t):
    m = 200_000
    x = MIXTURE.draw(m, t, seed=11)
    pi = MIXTURE.proportions
    means = np.array([c.mean for c in MIXTURE.components])
    mean = pi @ means
    second = sum(
        p * (c.covariance + np.outer(c.mean, c.mean)) for p, c in zip(pi, MIXTURE.components, strict=True)
    )
    covariance = math.exp(-2 * t) * (second - np.outer(mean, mean)) + D.noise_variance(t) * np.eye(2)
    error = 5 * np.sqrt(np.diag(covariance) / m)
    assert np.all(np.abs(x.mean(axis=0) - math.exp(-t) * mean) < error)
    assert np.cov(x.T) == pytest.approx(covariance, abs=6 * covariance.max() * math.sqrt(2 / m))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: D.GaussianScore([0.0], [[-1.0]]), "smallest eigenvalue of covariance"),
        (lambda: D.GaussianScore([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]]), "asymmetry of covariance"),
        (lambda: D.GaussianScore([0.0, 0.0], [[1.0]]), "shape of covariance"),
        (lambda: GAUSSIAN(np.zeros((2, 3)), 1.0), "shape of x"),
        (lambda: GAUSSIAN(np.full((2, 2), np.nan), 1.0), "x"),
        (lambda: GAUSSIAN(np.zeros((2, 2)), -1.0), "t"),
        (lambda: GAUSSIAN.draw(0, 1.0, seed=0), "m"),
        (lambda: D.GaussianScore([0.0], [[0.0]])(np.zeros((1, 1)), 0.0), "t"),
        (lambda: D.MixtureScore([0.5, 0.6], [[0.0], [1.0]], [[[1.0]], [[1.0]]]), "sum of weights"),
        (lambda: D.MixtureScore([1.0, 0.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]]), "weights"),
        (lambda: D.MixtureScore([1.0], [[0.0], [1.0]], [[[1.0]], [[1.0]]]), "number of means, covariances"),
        (lambda: D.EmpiricalScore(np.zeros((0, 3))), "shape of data"),
        (lambda: EMPIRICAL(np.zeros((1, 2)), 0.0), "t"),
        (lambda: EMPIRICAL.weights(np.zeros((1, 3)), 1.0), "shape of x"),
    ],
)
def test_bad_input(call, name):
    with pytest.raises(ValueError, match=rf"^{name} = .* is not allowed"):
        call()


def test_wrong_number_of_axes_is_named():
    with pytest.raises(ValueError, match=r"^data has shape \(3,\), which is not allowed"):
        D.EmpiricalScore([1.0, 2.0, 3.0])
