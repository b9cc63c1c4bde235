"""Collapse and speciation: public values, laws against draws, limits, monotonicity, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from rfcore import diffusion as df

QUICK = settings(derandomize=True, deadline=None, max_examples=25)
positive = st.floats(0.05, 20)


def test_public_values() -> None:
    assert df.collapse_time(403, 12, 1.0) == pytest.approx(0.2293891546, abs=6e-11)
    assert df.collapse_time(2981, 16, 1.0) == pytest.approx(0.2293370601, abs=6e-11)
    mixed = df.gaussian_collapse_time(1000, np.linspace(0.3, 3, 60))
    assert mixed == pytest.approx(0.9882399801, abs=6e-11)
    t = df.collapse_time(403, 12, 1.0)
    law = df.finite_size_law(403, np.ones(12), t)
    assert law.entropy == pytest.approx(1.3102313820, abs=6e-11)
    assert law.cloning == pytest.approx(0.5, abs=1e-12) and law.majority == pytest.approx(0.5, abs=1e-12)
    expected = [0.6750567023, 0.7752002454, 0.8844908890]
    assert df.speciation_cloning([0.5, 1, 2]) == pytest.approx(expected, abs=6e-11)
    # The last two digits of the first public value, 0.6880204022, were an artefact of a cut-off range.
    exact = df.argmax_law(403, 12, 1.0, t)
    assert exact.probability == pytest.approx(0.6880204050, abs=6e-11) and exact.error < 1e-11


@QUICK
@given(n=st.integers(2, 10**6), d=st.integers(1, 300), variance=positive)
def test_general_collapse_time_contains_the_isotropic_one(n: int, d: int, variance: float) -> None:
    lam = np.concatenate([np.full(d, variance), np.zeros(7)])  # silent directions change nothing
    assert df.gaussian_collapse_time(n, lam) == pytest.approx(df.collapse_time(n, d, variance), rel=1e-10)


@QUICK
@given(n=st.integers(2, 10**9), lam=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40))
def test_collapse_time_solves_its_equation(n: int, lam: list[float]) -> None:
    t = df.gaussian_collapse_time(n, lam)
    if t > 1e-200:
        assert df.information(lam, t) == pytest.approx(math.log(n), rel=1e-9)
        assert df.finite_size_law(n, lam, t).mean == pytest.approx(0, abs=1e-8 * math.log(n))
    assert df.gaussian_collapse_time(2 * n, lam) < t


def test_information_is_mutual_information() -> None:
    """I(x_0; X_t) from the definition in one dimension: E log p(x | x0)/p(x), by quadrature over x and x0."""
    lam, t = 1.7, 0.4
    e, delta = math.exp(-t), -math.expm1(-2 * t)
    gamma = lam * e**2 + delta

    def gain(x0: float) -> float:
        def inner(xi: float) -> float:
            x = e * x0 + math.sqrt(delta) * xi
            difference = norm.logpdf(x, e * x0, math.sqrt(delta)) - norm.logpdf(x, 0, math.sqrt(gamma))
            return difference * norm.pdf(xi)

        return quad(inner, -9, 9)[0] * norm.pdf(x0, 0, math.sqrt(lam))

    exact = quad(gain, -9 * math.sqrt(lam), 9 * math.sqrt(lam))[0]
    assert df.information([lam], t) == pytest.approx(exact, rel=1e-8)


def test_limits_of_the_collapse_time() -> None:
    """With alpha = log n/d -> 0: (1/2) log(1 + variance/(2 alpha)); n -> inf: variance n^{-2/d}/2."""
    alpha = math.log(50) / 10**6
    assert df.collapse_time(50, 10**6, 0.8) == pytest.approx(0.5 * math.log1p(0.8 / (2 * alpha)), rel=1e-5)
    assert df.collapse_time(10**12, 3, 0.8) == pytest.approx(0.8 * 10**-8 / 2, rel=1e-7)
    assert df.collapse_time(10**400, 1, 1.0) == 0.0
    assert df.collapse_time(round(math.e**40), 80, 1.0) == pytest.approx(
        0.5 * math.log1p(1 / math.expm1(1)), rel=1e-12
    )


def test_excess_entropy() -> None:
    lam, n = np.array([0.2, 1.0, 3.0]), 50
    t = df.gaussian_collapse_time(n, lam) * np.array([0.3, 0.999, 1.001, 4.0, 1e4])
    h = df.excess_entropy(n, lam, t)
    assert np.all(h[:2] == 0) and np.all(np.diff(h[1:]) > 0)
    assert h[-1] == pytest.approx(math.log(n) / 3, rel=1e-10)


@pytest.mark.parametrize(("n", "d", "variance"), [(7, 1, 0.6), (40, 2, 1.0), (60, 12, 2.0)])
def test_argmax_law_against_draws(n: int, d: int, variance: float) -> None:
    rng, rounds = np.random.default_rng(11), 40_000
    times = df.collapse_time(n, d, variance) * np.array([0.5, 1.0, 3.0])
    law = df.argmax_law(n, d, variance, times)
    for t, p in zip(times, law.probability, strict=True):
        e, delta = math.exp(-t), -math.expm1(-2 * t)
        hits = 0
        for _ in range(20):
            x = rng.standard_normal((rounds // 20, n, d)) * math.sqrt(variance)
            noisy = e * x[:, 0] + math.sqrt(delta) * rng.standard_normal((rounds // 20, d))
            hits += int(np.sum(np.argmin(((noisy[:, None] - e * x) ** 2).sum(axis=2), axis=1) == 0))
        assert abs(hits / rounds - p) < 4 * math.sqrt(p * (1 - p) / rounds)
    assert law.error.max() < 1e-10


def test_argmax_law_in_one_dimension() -> None:
    """Two points on a line: the origin wins unless the other is nearer; a double integral by quad."""
    t, variance = 0.35, 1.4
    e, delta = math.exp(-t), -math.expm1(-2 * t)
    s = e * math.sqrt(variance)

    def others(x0: float, xi: float) -> float:
        x, reach = s * x0 + math.sqrt(delta) * xi, math.sqrt(delta) * abs(xi)
        nearer = norm.cdf((x + reach) / s) - norm.cdf((x - reach) / s)
        return (1 - nearer) * norm.pdf(x0) * norm.pdf(xi)

    exact = quad(lambda xi: 2 * quad(others, -9, 9, args=(xi,))[0], 0, 9)[0]
    assert df.argmax_law(2, 1, variance, t).probability == pytest.approx(exact, abs=1e-8)


@settings(QUICK, max_examples=12)
@given(n=st.integers(2, 2000), d=st.integers(1, 150), variance=positive)
def test_argmax_law_falls_from_one_to_one_in_n(n: int, d: int, variance: float) -> None:
    times = np.array([1e-13, 0.01, 0.3, 2.0, 25.0])
    law = df.argmax_law(n, d, variance, times)
    assert np.all(np.diff(law.probability) < law.error[1:] + 1e-12)
    assert law.probability[0] == pytest.approx(1, abs=1e-3)
    assert law.probability[-1] == pytest.approx(1 / n, rel=1e-6)
    assert law.error.max() < 1e-8


def test_gap_to_the_collapse_time_closes_as_d_grows() -> None:
    """At fixed alpha = 1/2, P(argmax = own) = 1/2 moves towards t_C: the public values of the sheet."""
    found = []
    for d, published in ((6, 1.707), (10, 1.432), (14, 1.322), (18, 1.260), (30, 1.170), (40, 1.134)):
        n, tolerance = round(math.exp(d / 2)), 6e-4
        t = published * df.collapse_time(n, d, 1.0) * np.array([1 - tolerance, 1 + tolerance])
        above, below = df.argmax_law(n, d, 1.0, t).probability
        assert above > 0.5 > below
        found.append(published)
    assert found == sorted(found, reverse=True)


def test_finite_size_law_is_the_law_of_its_exponent() -> None:
    """L = log n + log p_t(x) - log p(x | x0) for fresh x0 from N(0, Sigma): mean, variance, averages."""
    lam, n, rows = np.geomspace(0.1, 4, 40), 300, 200_000
    score, t = df.GaussianScore(np.zeros(40), np.diag(lam)), 0.9 * df.gaussian_collapse_time(300, lam)
    x0 = score.draw(rows, 0.0, seed=1)
    x = df.forward(x0, t, seed=2)
    delta = df.noise_variance(t)
    own = -0.5 * ((x - math.exp(-t) * x0) ** 2).sum(axis=1) / delta - 20 * math.log(2 * math.pi * delta)
    exponent = math.log(n) + score.log_density(x, t) - own
    law = df.finite_size_law(n, lam, t)
    error = exponent.std() / math.sqrt(rows)
    assert abs(exponent.mean() - law.mean) < 4 * error
    assert exponent.var() == pytest.approx(law.variance, rel=4 * math.sqrt(3 / rows))
    # The Gaussian form of the law is right up to the skewness of sums of 40 squares.
    assert np.mean(1 / (1 + np.exp(exponent))) == pytest.approx(law.cloning, abs=0.01)
    assert np.mean(np.logaddexp(0, exponent)) == pytest.approx(law.entropy, abs=0.02)
    assert np.mean(exponent < 0) == pytest.approx(law.majority, abs=0.02)


def test_finite_size_law_misses_condensation_in_the_known_direction() -> None:
    """At t_C it gives too little cloning and too much entropy; far from t_C it is accurate."""
    lam, n = np.ones(20), round(math.exp(10))
    t = df.collapse_time(n, 20, 1.0) * np.array([0.3, 1.0, 2.5])
    law = df.finite_size_law(n, lam, t)
    data = np.random.default_rng(2).standard_normal((n, 20))
    drawn = df.weight_statistics(data, t, draws=600, seed=5)
    assert drawn.square.mean[[0, 2]] == pytest.approx(law.cloning[[0, 2]], abs=0.04)
    assert drawn.square.mean[1] > law.cloning[1] + 0.03
    assert 0.06 < drawn.entropy.mean[1] / 20 < 0.075 < law.entropy[1] / 20 < 0.0796


@QUICK
@given(mean=st.floats(-8, 8), spread=st.floats(0.05, 40))
def test_gaussian_averages_of_the_finite_size_law(mean: float, spread: float) -> None:
    """E 1/(1+e^L) and E log(1+e^L) against adaptive quadrature, through a covariance that realises them."""
    from rfcore.diffusion.collapse import _gaussian_mean

    mu, s = np.array(mean), np.array(spread)
    points = sorted({0.0, *(p for p in (-mean / spread,) if abs(p) < 11)})
    for f in (np.tanh, lambda x: np.logaddexp(0, x)):
        exact = quad(lambda g, f=f: f(mean + spread * g) * norm.pdf(g), -11, 11, points=points, limit=400)[0]
        assert _gaussian_mean(f, mu, s) == pytest.approx(exact, abs=1e-7 * max(1, spread))


def test_speciation() -> None:
    assert df.speciation_time(math.e**2) == pytest.approx(1, rel=1e-14)
    s = np.linspace(0, 30, 61)
    phi = df.speciation_cloning(s)
    assert phi[0] == 0.5 and np.all(np.diff(phi) > 0) and phi[-1] == pytest.approx(1, abs=1e-6)
    # small s: phi = 1/2 + s/2 + O(s^2), since E tanh = E tanh^2 = s + O(s^2)
    assert df.speciation_cloning(1e-4) == pytest.approx(0.5 + 5e-5, abs=1e-8)
    # E tanh = E tanh^2, the other form of the cloning probability
    for value in (0.3, 2.0, 9.0):
        square = quad(lambda g, v=value: np.tanh(v + math.sqrt(v) * g) ** 2 * norm.pdf(g), -11, 11)[0]
        assert df.speciation_cloning(value) == pytest.approx(0.5 * (1 + square), abs=1e-9)


def test_speciation_cloning_against_the_mixture_posterior() -> None:
    """P(same class) = E[r^2 + (1 - r)^2] with the posterior r of the exact mixture score."""
    m, within, t = np.array([2.0, 1.0]), 0.5, 0.6
    mixture = df.MixtureScore([0.5, 0.5], [m, -m], [within * np.eye(2)] * 2)
    r = mixture.weights(mixture.draw(200_000, t, seed=4), t)
    signal = math.exp(-2 * t) * m @ m / df.mode_variance(within, t)
    same = (r**2).sum(axis=1)
    error = same.std() / math.sqrt(same.size)
    assert abs(same.mean() - df.speciation_cloning(signal)) < 4 * error and error < 5e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: df.collapse_time(1, 3, 1.0), "n = 1 "),
        (lambda: df.collapse_time(10, 0, 1.0), "d = 0 "),
        (lambda: df.collapse_time(10, 2.5, 1.0), "d = 2.5"),
        (lambda: df.collapse_time(10, 3, -1.0), r"variance = -1\.0"),
        (lambda: df.collapse_time(10, 3, math.nan), "variance = nan"),
        (lambda: df.gaussian_collapse_time(10, [0.0, 0.0]), "eigenvalues"),
        (lambda: df.gaussian_collapse_time(10, [1.0, -0.5]), r"eigenvalues = -0\.5"),
        (lambda: df.gaussian_collapse_time(10, []), "eigenvalues"),
        (lambda: df.information([1.0], 0.0), r"t = 0\.0"),
        (lambda: df.excess_entropy(10, [1.0], -1.0), r"t = -1\.0"),
        (lambda: df.argmax_law(10, 3, 1.0, [0.1, math.inf]), "t = inf"),
        (lambda: df.argmax_law(1, 3, 1.0, 0.1), "n = 1 "),
        (lambda: df.argmax_law(10**13, 3, 1.0, 0.1), "n = 10000000000000 .* at most"),
        (lambda: df.finite_size_law(10, [[1.0]], 0.1), "eigenvalues has shape"),
        (lambda: df.speciation_time(0.5), r"largest_eigenvalue = 0\.5"),
        (lambda: df.speciation_time(0.0), "largest_eigenvalue"),
        (lambda: df.speciation_cloning(-0.1), r"signal = -0\.1"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
