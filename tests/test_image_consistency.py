"""Pairs of models: linear ones, whose agreement is known exactly and on average, and hand-made samples."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import rfcore as rf
from rfcore.datasets import digits
from rfcore.diffusion import sample
from rfcore.images import consistency as cs
from rfcore.images import networks, schedule

Array = np.ndarray
START = float(schedule.clock(999))


@pytest.fixture(scope="module")
def noise() -> Array:
    return np.random.default_rng(0).standard_normal((1000, 64))


@pytest.fixture(scope="module")
def maps() -> list[cs.LinearMap]:
    data = digits()
    return [cs.linear_map(data.images[data.train(200, split)], [START, 0]) for split in (0, 1)]


# --- linear models


def test_linear_map_is_the_probability_flow() -> None:
    """Against small steps of a second-order solver with the exact score of the fitted Gaussian."""
    rng = np.random.default_rng(1)
    training = rng.standard_normal((30, 5)) * [2, 1, 0.5, 0.2, 0.1] + 1
    score = rf.diffusion.GaussianScore(training.mean(axis=0), np.cov(training.T, bias=True))
    z = rng.standard_normal((7, 5))
    found = cs.linear_map(training, [2.0, 0.01])(z)
    errors = []
    for steps in (200, 400):
        times = np.geomspace(2.0, 0.01, steps + 1)
        errors.append(np.abs(sample(score, z, times, "heun") - found).max())
    assert errors[1] < 1e-3 and errors[0] / errors[1] == pytest.approx(4, rel=0.1)  # order 2


@pytest.mark.parametrize("final", ["x0", "state"])
def test_linear_map_of_the_sampler(final: str, noise: Array) -> None:
    """The map for "ddim" is what 20 steps of the sampler do with the linear network, to round-off."""
    data = digits()
    training = data.images[data.train(100)]
    times = schedule.sampling_times(20, final=final)
    score = schedule.NetworkScore(networks.LinearDenoiser.fit(training))
    z = torch.from_numpy(noise[:50]).reshape(-1, 1, 8, 8)
    drawn = sample(score, z, times, "ddim").flatten(1).numpy()
    assert np.abs(cs.linear_map(training, times, "ddim")(z) - drawn).max() < 1e-9


def test_many_steps_lead_to_the_flow(noise: Array) -> None:
    training = digits().images[digits().train(100)]
    exact, far = cs.linear_map(training, [START, 0.01])(noise[:50]), []
    for steps in (100, 200, 400):
        times = np.log1p(np.geomspace(math.expm1(2 * START), math.expm1(0.02), steps + 1)) / 2
        far.append(np.abs(cs.linear_map(training, times, "ddim")(noise[:50]) - exact).max())
    assert far[0] / far[1] == pytest.approx(2, rel=0.1) and far[1] / far[2] == pytest.approx(2, rel=0.05)


def test_gaussian_pair_is_exact(maps: list[cs.LinearMap], noise: Array) -> None:
    """Two linear models: samples against traces, in every number and along every eigenvector."""
    data = digits()
    exact = cs.linear_pair(*maps, data.images)
    found = cs.agreement(*(each(noise) for each in maps), data.images)
    assert abs(found.d2 - exact.d2) < 4 * found.d2_error and found.d2_error < 0.03 * exact.d2
    assert abs(found.rho2 - exact.rho2) < 4 * found.rho2_error and found.rho2_error < 0.005
    off = np.abs(found.modes - exact.modes) / np.maximum(found.modes_error, 1e-12)
    assert off.max() < 4.5 and np.mean(off < 2) > 0.85
    assert found.modes.sum() == pytest.approx(64 * found.d2, rel=1e-10) and exact.error < 1e-12
    assert np.nanmax(np.abs(found.ratio - exact.ratio) / found.ratio_error) < 4.5
    assert np.isnan(exact.ratio).sum() == 3  # pixels that are the same in every digit
    assert np.all(np.diff(found.eigenvalues) <= 0)


@pytest.mark.parametrize(("n", "start", "end"), [(20, 3.0, 0.0), (80, START, 0.0), (40, 0.8, 0.2)])
def test_theory_against_drawn_training_sets(n: int, start: float, end: float) -> None:
    """Average over 250 pairs of Gaussian training sets, and its modes; d = 40, correction of order 1/d."""
    rng = np.random.default_rng(2)
    lam, mu = 1 / np.arange(1, 41.0), 2 * rng.standard_normal(40)
    corners = np.diag(np.sqrt(40 * lam))
    reference = np.concatenate([corners, -corners])  # its covariance is diag(lam)
    prediction = cs.predicted_pair(np.diag(lam), mu, n, start, end)
    found = []
    for _ in range(250):
        draws = mu + rng.standard_normal((2, n, 40)) * np.sqrt(lam)
        found.append(cs.linear_pair(*(cs.linear_map(each, [start, end]) for each in draws), reference))
    d2 = np.array([each.d2 for each in found])
    assert abs(d2.mean() / prediction.d2 - 1) < 0.015 + 3 * d2.std() / d2.mean() / math.sqrt(250)
    assert prediction.error < 0.05
    assert prediction.rho2 == pytest.approx(np.mean([each.rho2 for each in found]), abs=0.004)
    modes = np.array([each.modes for each in found])
    error = modes.std(axis=0) / math.sqrt(250)
    assert np.all(np.abs(modes.mean(axis=0) - prediction.modes) < 4 * error + 0.04 * prediction.modes)
    assert np.allclose(prediction.eigenvalues, lam)


def test_theory_on_disjoint_halves_of_digits() -> None:
    """Twenty pairs of real training sets: the mean D2 is the prediction, for real data within 5 per cent."""
    data, rng = digits(), np.random.default_rng(6)
    for n in (200, 600):
        prediction, found = cs.predicted_pair(data.sigma, data.mean, n, START), []
        for _ in range(20):
            order = rng.permutation(1797)
            pair = [cs.linear_map(data.images[part], [START, 0]) for part in (order[:n], order[n : 2 * n])]
            found.append(cs.linear_pair(*pair, data.images).d2)
        error = np.std(found, ddof=1) / math.sqrt(20)
        assert abs(np.mean(found) - prediction.d2) < 3 * error + 0.05 * prediction.d2
        assert error < 0.04 * prediction.d2
    # The agreement of rf.theory leaves out the shift of the mean: close to ours, from above.
    question = rf.LinearModel(64 / 600, 1.0, rf.Covariance.from_matrix(data.sigma))
    without = rf.theory.split_agreement(question, math.expm1(2 * START))
    assert prediction.rho2 < without < prediction.rho2 + 0.003


# --- samples made by hand


def test_identical_and_unrelated_samples(noise: Array, maps: list[cs.LinearMap]) -> None:
    reference = digits().images
    a, b = maps[0](noise), maps[0](noise[::-1])
    same = cs.agreement(torch.from_numpy(a), a, reference)
    assert (same.d2, same.rho2, same.nearest) == (0, 1, 1) and same.cosine == pytest.approx(1)
    assert same.nearest_error > 0 and np.all(same.modes == 0)
    apart = cs.agreement(a, b, reference)
    assert abs(apart.rho2) < 4 * apart.rho2_error and abs(apart.nearest - apart.nearest_control) < 0.02
    # Unrelated samples of one law have the ratio 1 along each eigenvector of that law.
    lam = np.abs(cs.linear_pair(maps[0], maps[0], reference).eigenvalues)
    assert np.nanmedian(apart.ratio[lam > 0.05]) == pytest.approx(1, rel=0.15)
    # What the controls are: all pairs of different noises, one by one.
    b = maps[1](noise)
    square = ((a[:60, None] - b[None, :60]) ** 2).sum(axis=2) / 64
    few = cs.agreement(a[:60], b[:60], reference)
    different = ~np.eye(60, dtype=bool)
    assert few.control == pytest.approx(square[different].mean(), rel=1e-10)
    first, second = (cdist(each[:60], reference.reshape(1797, -1)).argmin(axis=1) for each in (a, b))
    assert few.nearest == np.mean(first == second)
    assert few.nearest_control == pytest.approx(np.mean((first[:, None] == second)[different]), abs=1e-15)


@pytest.mark.parametrize("rho", [0.3, 0.95])
def test_known_correlation(rho: float) -> None:
    """x_B = rho x_A + sqrt(1 - rho^2) x': rho2 is rho, D2 = 2 (1 - rho) lambda along each mode."""
    rng = np.random.default_rng(3)
    scale = np.sqrt(np.linspace(0.2, 2, 12))
    reference = rng.standard_normal((5000, 12)) * scale
    found = []
    for _ in range(40):
        a, other = rng.standard_normal((2, 200, 12)) * scale
        found.append(cs.agreement(a, rho * a + math.sqrt(1 - rho**2) * other, reference))
    for name, exact in {"rho2": rho, "d2": 2 * (1 - rho) * np.mean(scale**2)}.items():
        values = np.array([getattr(each, name) for each in found])
        assert abs(values.mean() - exact) < 4 * values.std() / math.sqrt(40)
        stated = np.mean([getattr(each, f"{name}_error") for each in found])
        assert stated == pytest.approx(values.std(ddof=1), rel=0.3)
    if rho > 0.9:  # then the nearest picture is often enough the same to speak of a spread
        same = np.array([each.nearest for each in found])
        stated = np.mean([each.nearest_error for each in found])
        assert stated == pytest.approx(same.std(ddof=1), rel=0.35)
    modes = np.mean([each.ratio for each in found], axis=0)
    assert np.abs(modes / (1 - rho) - 1).max() < 0.1


# --- the share that a linear map says


def test_share_of_a_linear_network_is_one(maps: list[cs.LinearMap], noise: Array) -> None:
    reference = digits().images
    own = cs.linear_share(maps[0](noise), noise, maps[0], reference)
    assert own.share == pytest.approx(1, abs=1e-12) and np.nanmin(own.modes) > 1 - 1e-9
    other = cs.linear_share(maps[1](noise), noise, maps[0], reference)
    assert own.share > other.share > 0.9 and other.control < -0.8
    assert other.each.shape == (1000,) and np.median(other.each) > 0.9


def test_share_of_a_linear_map_with_noise(maps: list[cs.LinearMap], noise: Array) -> None:
    """x = l(z) + e with |e|^2 a known part of the variance: the share is what is left."""
    rng, linear = np.random.default_rng(4), maps[0]
    power = np.sum(linear.matrix**2)
    for part in (0.1, 0.5):
        extra = rng.standard_normal((1000, 64)) * math.sqrt(power / 64 * part / (1 - part))
        found = cs.linear_share(linear(noise) + extra, noise, linear, digits().images)
        # The offset is not quite the mean of the training set: a part e^{-2 START} of it is missing.
        assert abs(found.share - (1 - part)) < 4 * found.error + 1e-3 and found.error < 0.01
        lam = found.eigenvalues
        known = np.isfinite(found.modes)
        along = np.sort(np.linalg.eigvalsh(linear.matrix) ** 2)[::-1]
        rough = along / (along + power / 64 * part / (1 - part))
        assert np.abs(found.modes - rough)[known & (lam > 0.3)].max() < 0.15


def test_error_of_the_share_is_its_spread(maps: list[cs.LinearMap]) -> None:
    """Samples that follow another map: shares of forty sets of noise."""
    rng, reference, found = np.random.default_rng(7), digits().images, []
    for _ in range(40):
        z = rng.standard_normal((100, 64))
        found.append(cs.linear_share(maps[1](z) ** 3, z, maps[0], reference))
    shares = np.array([each.share for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(shares.std(ddof=1), rel=0.35)


def test_same_share_from_the_networks_sampler(noise: Array) -> None:
    """A sampler of few steps is matched by its own map, not by the flow."""
    data = digits()
    training, times = data.images[data.train(100)], schedule.sampling_times(12)
    z = torch.from_numpy(noise[:200]).reshape(-1, 1, 8, 8)
    score = schedule.NetworkScore(networks.LinearDenoiser.fit(training))
    drawn = sample(score, z, times, "ddim")
    matched = cs.linear_share(drawn, z, cs.linear_map(training, times, "ddim"), data.images)
    flow = cs.linear_share(drawn, z, cs.linear_map(training, [START, 0]), data.images)
    assert matched.share > 1 - 1e-12 and flow.share < 1 - 1e-5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: cs.agreement(x[:19], x[:19], x), "a"),
        (lambda x: cs.agreement(x, x[:-1], x), "b"),
        (lambda x: cs.agreement(x, x, x[:, :3]), "reference"),
        (lambda x: cs.agreement(x, x * np.nan, x), "b"),
        (lambda x: cs.linear_map(x, [0, 1]), "times"),
        (lambda x: cs.linear_map(x, [1, -1]), "times"),
        (lambda x: cs.linear_map(x, [1, 0], "heun"), "method"),
        (lambda x: cs.linear_map(x[:1], [1, 0]), "training"),
        (lambda x: cs.linear_map(x, [1, 0])(x[:, :3]), "z"),
        (lambda x: cs.linear_pair(cs.linear_map(x, [1, 0]), cs.linear_map(x, [1, 0]), x[:, :3]), "reference"),
        (lambda x: cs.linear_share(x, x[:-1], cs.linear_map(x, [1, 0]), x), "noise"),
        (lambda x: cs.predicted_pair(np.eye(4), np.zeros(3), 9, 1.0), "covariance"),
        (lambda x: cs.predicted_pair(-np.eye(4), np.zeros(4), 9, 1.0), "S|eigenvalue|matrix"),
        (lambda x: cs.predicted_pair(np.eye(4), np.zeros(4), 1, 1.0), "n = 1"),
        (lambda x: cs.predicted_pair(np.eye(4), np.zeros(4), 9, 1.0, 2.0), "end"),
    ],
)
def test_bad_input(call: Callable[[Array], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(5).standard_normal((24, 4)))
