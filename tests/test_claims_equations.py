"""Steps of derivations that have a label of their own and no check in their chapter."""

import math

import numpy as np
import numpy.typing as npt
import pytest

import rfcore as rf
from rfcore.gaussian import hermite_coefficients

Array = npt.NDArray[np.float64]


def test_hermite_recursion_and_generating_function() -> None:
    """eq-hermite: the recursion is orthonormal.  eq-generating: it sums to exp(sy - s^2/2)."""
    y, w = np.polynomial.hermite_e.hermegauss(40)
    h = [np.ones_like(y), y]
    for k in range(1, 24):
        h.append((y * h[k] - math.sqrt(k) * h[k - 1]) / math.sqrt(k + 1))
    table = np.array(h)
    np.testing.assert_allclose((table * w / w.sum()) @ table.T, np.eye(25), atol=1e-10)
    s, near = 0.4, np.abs(y) < 3
    series = sum(s**k / math.sqrt(math.factorial(k)) * table[k] for k in range(25))
    np.testing.assert_allclose(series[near], np.exp(s * y - s * s / 2)[near], rtol=1e-9)


def test_sherman_morrison_and_concentration() -> None:
    """eq-sherman exactly; eq-concentration: a form in an independent column is its trace, error d^(-1/2)."""
    z, spread = 1 + 0.5j, []
    for d in (50, 200):
        off = []
        for k in range(12):
            m = np.random.default_rng(k).standard_normal((3 * d, d)) / math.sqrt(d)
            whole = np.linalg.inv(m @ m.T - z * np.eye(3 * d))
            without = np.linalg.inv(m[:, 1:] @ m[:, 1:].T - z * np.eye(3 * d))
            form = m[:, 0] @ without @ m[:, 0]
            np.testing.assert_allclose(whole @ m[:, 0], without @ m[:, 0] / (1 + form), rtol=1e-9, atol=1e-12)
            off.append(abs(form - np.trace(whole) / d))
        spread.append(np.sqrt(np.mean(np.square(off))))
    assert spread[1] < 0.15
    assert 0.3 < spread[1] / spread[0] < 0.8


def test_means_and_contrasts_of_the_draws() -> None:
    """eq-groups: the sum over draws is one over means and contrasts, in which the sample cancels."""
    n, m, p = 5, 4, 7
    rng = np.random.default_rng(0)
    own, fresh = rng.standard_normal((n, 1, p)), rng.standard_normal((n, m, p))
    y = own + fresh
    rotation = np.linalg.qr(np.column_stack([np.ones(m), rng.standard_normal((m, m - 1))]))[0].T
    turned = np.einsum("lj,njp->nlp", rotation, y)
    u = np.einsum("njp,njq->pq", y, y) / (n * m)
    mean = y.mean(axis=1)
    contrasts = turned[:, 1:].reshape(-1, p)
    np.testing.assert_allclose(u, mean.T @ mean / n + contrasts.T @ contrasts / (n * m), atol=1e-12)
    without = np.einsum("lj,njp->nlp", rotation, fresh)[:, 1:]
    np.testing.assert_allclose(turned[:, 1:], without, atol=1e-12)


def test_deterministic_equivalent_and_its_columns() -> None:
    """eq-equivalent: traces of R against a fixed matrix, given M.  eq-column: forms in one column of M."""
    law = rf.Covariance([0.5, 1.5])
    model = rf.RandomFeatureModel(3, 2, 0.1, law, noise_draws=2)
    c, d, z = model.constants, 160, 0.4 + 0.4j
    answer = rf.theory.resolvent(model, z)
    zeta = (answer.chi_1 + answer.chi_2) / 2
    drawn = rf.simulation.moments(model, d, 0, "gaussian")
    m = drawn.Vt.numpy() / c.b
    lam = law.quantiles(d)
    k = answer.chi_1 * (math.exp(-model.t) * c.a) ** 2 * lam + zeta * c.b**2
    p = len(m)
    bar = np.linalg.inv((m * k) @ m.T - (z - answer.chi_1 * c.v2 - zeta * c.s2) * np.eye(p))
    r = np.linalg.inv(drawn.U.numpy() - z * np.eye(p))
    probe = np.diag(np.random.default_rng(1).uniform(0, 1, p)) + m @ m.T
    assert np.trace(probe @ bar) == pytest.approx(np.trace(probe @ r), rel=0.03)
    u = model.psi_p * answer.q
    forms = np.einsum("pi,pq,qi->i", m, bar, m)
    for value in law.eigenvalues:
        kappa = answer.chi_1 * (math.exp(-model.t) * c.a) ** 2 * value + zeta * c.b**2
        assert forms[lam == value].mean() == pytest.approx(u / (1 + kappa * u), rel=0.05)


def test_what_the_equivalence_drops() -> None:
    """eq-dropped: the bent parts of two neurons of cosine r share c_2^2 r^2 + O(r^3)."""
    shape = hermite_coefficients("relu", 1.0, 2)
    c0, c1, c2 = shape.coefficients
    y, w = np.polynomial.legendre.leggauss(200)
    y = 6 * (y + 1)
    w = 6 * w * np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
    left = []
    for r in (0.02, 0.04):
        # E[f(x) | y] in closed form for the kink; a mean over y is then smooth.
        s = math.sqrt(1 - r * r)
        cdf = np.array([0.5 * math.erfc(-r * v / (s * math.sqrt(2))) for v in y])
        inner = r * y * cdf + s * np.exp(-((r * y / s) ** 2) / 2) / math.sqrt(2 * math.pi)
        both = float(w @ (y * inner))
        left.append((both - c0**2 - c1**2 * r) / r**2)
    np.testing.assert_allclose(2 * left[0] - left[1], c2**2, rtol=1e-2)


def test_window_of_the_sample_bulk() -> None:
    """eq-window and eq-window-m: the solved chi, inserted, returns z; the error goes as 1/psi."""
    for m in (math.inf, 5):
        off = []
        for scale in (500.0, 1000.0):
            model = rf.RandomFeatureModel(8 * scale, scale, 0.03, noise_draws=m)
            c, e = model.constants, 0 if m == math.inf else 1 / m
            z = (c.s2 + c.v2 * 8) * (1 + 0.5j)
            found = rf.theory.resolvent(model, z)
            y = 8 * found.q
            chi_1, chi_2 = 1 / (1 + y * (c.v2 + e * c.s2)), 1 / (1 + y * e * c.s2)
            back = chi_1 * c.v2 + (e * chi_1 + (1 - e) * chi_2) * c.s2 - 8 / y
            off.append(abs(complex(back) / z - 1))
            if m == math.inf:
                direct = c.s2 + c.v2 * found.chi_1 * (1 - 8 / (1 - found.chi_1))
                assert abs(complex(direct) / z - 1) < 0.01
        assert off[1] < 0.01
        assert off[0] / off[1] == pytest.approx(2, rel=0.1)


def test_third_bulk_from_the_sample_covariance() -> None:
    """eq-third-direct: for p >> n the d eigenvalues belong to the eigenvalues of the sample covariance."""
    d, n, p, t = 12, 36, 6000, 0.1
    c = rf.RandomFeatureModel(p / d, n / d, t).constants
    delta, rng = -math.expm1(-2 * t), np.random.default_rng(0)
    m, x = rng.standard_normal((p, d)) / math.sqrt(d), rng.standard_normal((d, n))
    g = math.exp(-t) * c.a * m @ x + math.sqrt(c.v2) * rng.standard_normal((p, n))
    k = np.column_stack([g / math.sqrt(n), c.b * m])
    low = np.linalg.eigvalsh(k.T @ k)[:d]
    shat = np.linalg.eigvalsh(x @ x.T / n)[::-1]
    wanted = p / n * c.v2 * delta / (delta + math.exp(-2 * t) * shat)
    np.testing.assert_allclose(low, wanted, rtol=0.2)
    assert np.mean(low / wanted) == pytest.approx(1, abs=0.1)
