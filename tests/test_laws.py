"""The law battery: what every spectrum obeys, asked at random and by routes that do not use the solver."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

import rfcore as rf
from tests.laws import ACTIVATIONS, DRAWS, contour_moments, floor, two_moments, violations

TWO = rf.Covariance([0.5, 1.5])
WIDE = rf.Covariance([0.0, 0.02, 1.0, 8.0], [0.2, 0.3, 0.4, 0.1])
MODERATE = [
    rf.RandomFeatureModel(8, 4, 0.01, TWO),
    rf.RandomFeatureModel(3, 2, 0.1, TWO, noise_draws=1),
    rf.RandomFeatureModel(2, 0.5, 0.3, WIDE, "relu", 2),
    rf.RandomFeatureModel(0.4, 3, 1.0, WIDE, "erf", 3),
    rf.RandomFeatureModel(5, 1, 0.05, WIDE, "sin"),
    rf.RandomFeatureModel(3, 2, 0.2, TWO, "identity", 5),
]
each_moderate = pytest.mark.parametrize(
    "model", MODERATE, ids=lambda m: f"{m.activation}, m={m.noise_draws:g}, psi_p={m.psi_p:g}"
)


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log10(low), math.log10(high)).map(lambda x: 10.0**x)


@st.composite
def covariances(draw: st.DrawFn) -> rf.Covariance:
    """One to five atoms over six decades, possibly with a zero eigenvalue; variance over four decades."""
    lam = np.array(draw(st.lists(log_uniform(1e-6, 1), min_size=1, max_size=4)))
    if draw(st.booleans()):
        lam = np.append(lam, 0.0)
    w = np.array(draw(st.lists(log_uniform(1e-2, 1), min_size=lam.size, max_size=lam.size)))
    w /= w.sum()
    return rf.Covariance(lam * draw(log_uniform(1e-2, 1e2)) / (w @ lam), w)


@st.composite
def questions(draw: st.DrawFn) -> rf.RandomFeatureModel:
    psi_p, psi_n, t = draw(log_uniform(1e-2, 1e4)), draw(log_uniform(1e-2, 1e4)), draw(log_uniform(1e-3, 3))
    activation, draws = draw(st.sampled_from(ACTIVATIONS)), draw(st.sampled_from(DRAWS))
    return rf.RandomFeatureModel(psi_p, psi_n, t, draw(covariances()), activation, draws)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(questions(), st.integers(0, 2**31))
def test_every_law_of_the_resolvent(model: rf.RandomFeatureModel, seed: int) -> None:
    assert not violations(model, np.random.default_rng(seed), support=False).broken


@settings(derandomize=True, deadline=None, max_examples=120)
@given(questions(), st.integers(0, 2**31))
def test_every_law_of_the_support(model: rf.RandomFeatureModel, seed: int) -> None:
    assert not violations(model, np.random.default_rng(seed), support=True).broken


@settings(derandomize=True, deadline=None, max_examples=20)
@given(questions())
def test_conjugation(model: rf.RandomFeatureModel) -> None:
    scale = two_moments(model)[0]
    z = scale * np.array([0.3 + 0.1j, -1 + 2j, 5 + 1e-3j])
    up, down = rf.theory.resolvent(model, z), rf.theory.resolvent(model, z.conj())
    for name in ("q", "r", "s"):
        np.testing.assert_array_equal(getattr(down, name), getattr(up, name).conj())


def test_the_laws_catch_a_wrong_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A battery that cannot fail is worth nothing: one value moved to another root, of the right sign."""
    model = MODERATE[0]
    z = np.array([1 + 0.3j])
    true = rf.theory.resolvent(model, z)
    wrong = _another_root(model, complex(z[0]), complex(true.q[0]))
    assert wrong.imag > 0
    honest = rf.theory.resolvent

    def lying(question: rf.RandomFeatureModel, points: np.ndarray) -> rf.theory.Resolvent:
        answer = honest(question, points)
        if np.size(points) == 8 and np.all(np.imag(points) > 0):
            points[3], answer.z[3], answer.q[3] = z[0], z[0], wrong
        return answer

    monkeypatch.setattr(rf.theory, "resolvent", lying)
    broken = violations(model, np.random.default_rng(0), support=False).broken
    assert any("Pick matrix of q" in text for text in broken)


def _another_root(model: rf.RandomFeatureModel, z: complex, right: complex) -> complex:
    """Newton from random starts, until it finds a q with Im q > 0 that is not `right`."""
    c, law = model.constants, model.covariance
    alpha2 = math.exp(-2 * model.t) * c.a**2

    def equations(x: np.ndarray) -> np.ndarray:
        u, chi = x
        h = 1 / (1 + (c.b**2 + chi * alpha2 * law.eigenvalues) * u)
        sample = u * (c.v2 + alpha2 * (law.weights @ (law.eigenvalues * h))) / model.psi_n
        return np.array(
            [chi * (1 + sample) - 1, u * (c.s2 - z + chi * c.v2) + 1 - law.weights @ h - model.psi_p]
        )

    rng = np.random.default_rng(0)
    for _ in range(2000):
        x = 3 * (rng.normal(size=2) + 1j * rng.normal(size=2))
        for _ in range(60):
            f, h = equations(x), 1e-7
            jacobian = np.stack([(equations(x + h * e) - f) / h for e in np.eye(2)], axis=1)
            x = x - np.linalg.solve(jacobian, f)
            if not np.all(np.isfinite(x)) or np.abs(x).max() > 1e6:
                break
        else:
            q = complex(x[0] / model.psi_p)
            if np.abs(equations(x)).max() < 1e-10 and q.imag > 0 and abs(q - right) > 1e-3:
                return q
    raise AssertionError("no other root found")


# --- moments -----------------------------------------------------------------------------------------


def twin(model: rf.RandomFeatureModel, d: int, seed: int) -> np.ndarray:
    """Eigenvalues of one Gaussian-equivalent U, from its definition."""
    c, rng = model.constants, np.random.default_rng(seed)
    p, n, m = round(model.psi_p * d), round(model.psi_n * d), model.noise_draws
    M = rng.normal(size=(p, d)) / math.sqrt(d)
    x = math.exp(-model.t) * np.sqrt(model.covariance.quantiles(d))[:, None] * rng.normal(size=(d, n))
    g = c.a * M @ x + math.sqrt(c.v2) * rng.normal(size=(p, n))
    if math.isinf(m):
        return np.linalg.eigvalsh(g @ g.T / n + c.b**2 * M @ M.T + c.s2 * np.eye(p))
    U = np.zeros((p, p))
    for _ in range(int(m)):
        y = g + c.b * M @ rng.normal(size=(d, n)) + math.sqrt(c.s2) * rng.normal(size=(p, n))
        U += y @ y.T / (n * m)
    return np.linalg.eigvalsh(U)


@each_moderate
def test_three_moments_of_a_drawn_matrix(model: rf.RandomFeatureModel) -> None:
    """The third moment from the contour, and the closed forms of the first two, against eight draws.

    Real Gaussian matrices have a bias of O(1/d), taken out by two sizes.
    """
    draws = {
        d: [[np.mean(v**k) for k in (1, 2, 3)] for v in (twin(model, d, s) for s in range(8))]
        for d in (40, 80)
    }
    mean = 2 * np.mean(draws[80], 0) - np.mean(draws[40], 0)
    error = np.sqrt(4 * np.var(draws[80], 0, ddof=1) + np.var(draws[40], 0, ddof=1)) / math.sqrt(8)
    got, radius = contour_moments(model)
    z = radius * np.exp(1j * np.pi * (np.arange(24) + 0.5) / 24)
    third = -np.mean((rf.theory.resolvent(model, z).q * z**4).real)
    theory = np.array([*two_moments(model), third])
    assert np.all(np.abs(mean - theory) < 4 * error + 2e-3 * theory)
    np.testing.assert_allclose(got[1:], theory[:2], rtol=1e-10)


def test_more_draws_narrow_the_spectrum() -> None:
    """m2 falls with m, from closed form and contour alike, to its m = infinity value at rate 1/m."""
    models = [rf.RandomFeatureModel(3, 2, 0.1, TWO, noise_draws=m) for m in (1, 10, 100, 1000, math.inf)]
    second = np.array([contour_moments(m)[0][2] for m in models])
    excess = second[:-1] - second[-1]
    assert np.all(np.diff(second) < 0)
    assert excess[2] / excess[3] == pytest.approx(10, rel=0.01)


# --- limits ------------------------------------------------------------------------------------------


def marchenko_pastur(z: np.ndarray, psi: float) -> np.ndarray:
    root = np.sqrt(z - (1 + psi**0.5) ** 2) * np.sqrt(z - (1 - psi**0.5) ** 2)
    return (1 - psi - z + root) / (2 * psi * z)


@pytest.mark.parametrize("psi", [0.2, 1.0, 7.0])
def test_marchenko_pastur_at_infinite_n(psi: float) -> None:
    """Identity, Sigma = I, n -> infinity: U = M M^T.  First order in 1/psi_n, so extrapolation reaches it."""
    z = (1 + psi) * np.array([0.3 + 0.1j, 1 + 0.2j, 2.5 + 0.1j, -1])
    q = [
        rf.theory.resolvent(rf.RandomFeatureModel(psi, n, 0.1, activation="identity"), z).q
        for n in (2e3, 4e3, 8e3)
    ]
    once = [2 * q[1] - q[0], 2 * q[2] - q[1]]
    np.testing.assert_allclose((4 * once[1] - once[0]) / 3, marchenko_pastur(z, psi), rtol=1e-7)


@pytest.mark.parametrize(("psi_p", "psi_n"), [(0.3, 0.7), (2.0, 5.0), (30.0, 0.1)])
def test_free_product_of_two_wisharts(psi_p: float, psi_n: float) -> None:
    """Identity, Sigma = I, m = 1: U = M (X X^T/n) M^T.  Free probability multiplies S-transforms.

    For the d x d companion with transform qt and w = -1 - z qt: z = (1 + w)(psi_p + w)(1 + w/psi_n)/w.
    """
    z = (1 + psi_p) * (1 + 1 / psi_n) * np.array([0.2 + 0.1j, 1 + 0.5j, -0.3, 3 + 0.1j])
    q = rf.theory.resolvent(
        rf.RandomFeatureModel(psi_p, psi_n, 0.4, activation="identity", noise_draws=1), z
    ).q
    w = -psi_p * (1 + z * q)  # p (q + 1/z) = d (qt + 1/z)
    np.testing.assert_allclose((1 + w) * (psi_p + w) * (1 + w / psi_n) / w, z, rtol=1e-11)


@each_moderate
def test_population_matrix_at_infinite_n(model: rf.RandomFeatureModel) -> None:
    """psi_n -> infinity: U -> C_g + C_h = (v2 + s2) I + M D M^T, one scalar equation on the negative axis."""
    c, law = model.constants, model.covariance
    d = math.exp(-2 * model.t) * c.a**2 * law.eigenvalues + c.b**2
    for z in (-0.05, -1.0):

        def balance(q: float, z: float = z) -> float:
            return q * (c.v2 + c.s2 - z + law.weights @ (d / (1 + d * model.psi_p * q))) - 1

        exact = brentq(balance, 0, 1 / (c.v2 + c.s2 - z), xtol=1e-15)
        off = []
        for psi_n in (1e3, 1e4):
            big = rf.RandomFeatureModel(model.psi_p, psi_n, model.t, law, model.activation, model.noise_draws)
            off.append(complex(rf.theory.resolvent(big, z).q).real / exact - 1)
        assert abs(off[1]) < 0.05
        assert off[0] / off[1] == pytest.approx(10, rel=0.1)


def test_infinitely_many_draws() -> None:
    z = np.array([0.02 + 0.01j, 0.3 + 0.1j, 5 + 0.3j, -0.1])
    q = [
        rf.theory.resolvent(rf.RandomFeatureModel(8, 4, 0.01, TWO, noise_draws=m), z).q
        for m in (1000, 10000, np.inf)
    ]
    np.testing.assert_allclose((q[0] - q[2]) / (q[1] - q[2]), 10, rtol=0.02)


# --- the generating functional -----------------------------------------------------------------------


def functional(model: rf.RandomFeatureModel, z: float, q: float, chi_1: float, chi_2: float) -> float:
    """Phi(q, chi_1, chi_2; z), the limit of (1/p) log det(U - z) at its stationary point."""
    c, law, m = model.constants, model.covariance, model.noise_draws
    contrasts = 0.0 if math.isinf(m) or m == 1 else (m - 1) * (chi_2 - 1 - math.log(chi_2))
    zeta = 1.0 if math.isinf(m) else chi_1 / m + (1 - 1 / m) * chi_2
    kappa = zeta * c.b**2 + chi_1 * math.exp(-2 * model.t) * c.a**2 * law.eigenvalues
    columns = law.weights @ np.log1p(kappa * model.psi_p * q) / model.psi_p
    samples = model.psi_n / model.psi_p * (chi_1 - 1 - math.log(chi_1) + contrasts)
    return float(-math.log(q) + q * (-z + chi_1 * c.v2 + zeta * c.s2) - 1 + columns + samples)


@each_moderate
def test_the_functional_is_stationary(model: rf.RandomFeatureModel) -> None:
    """Central differences in log q, log chi_1, log chi_2 vanish; d Phi/dz = -q."""
    for z in (-0.01, -1.0):
        answer = rf.theory.resolvent(model, z)
        x = np.array([answer.q.real, answer.chi_1.real, answer.chi_2.real])
        for k in range(3):
            h = 1e-3 * np.eye(3)[k]
            near = [functional(model, z, *(x * np.exp(s * h))) for s in (-2, -1, 1, 2)]
            slope = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / 12e-3
            assert abs(slope) < 1e-9
        ends = []
        for s in (-2, -1, 1, 2):
            there = rf.theory.resolvent(model, z * (1 + 1e-3 * s))
            ends.append(
                functional(model, z * (1 + 1e-3 * s), there.q.real, there.chi_1.real, there.chi_2.real)
            )
        slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12e-3 * z)
        assert slope == pytest.approx(-x[0], rel=1e-8)


@each_moderate
def test_the_functional_is_a_log_determinant(model: rf.RandomFeatureModel) -> None:
    """(1/p) log det(U - z) of drawn matrices; log det fluctuates by O(1), so its p-th part by O(1/p)."""
    z, d = -0.05, 80
    drawn = np.array([np.mean(np.log(twin(model, d, s) - z)) for s in range(4)])
    answer = rf.theory.resolvent(model, z)
    phi = functional(model, z, answer.q.real, answer.chi_1.real, answer.chi_2.real)
    assert abs(drawn.mean() - phi) < 2 / (model.psi_p * d)


@each_moderate
def test_the_three_overlaps_of_a_drawn_matrix(model: rf.RandomFeatureModel) -> None:
    """Inside the spectrum, at a height far above the spacing of the eigenvalues."""
    run = rf.simulation.moments(model, 100, 1, features="gaussian")
    values, f = np.linalg.eigh(run.U.numpy())
    M = rf.simulation.setting(model, 100, 1, "gaussian").M.numpy()
    columns = (f.T @ M) ** 2
    z = floor(model) + two_moments(model)[0] * np.array([0.3 + 0.3j, 1 + 1j, -1 + 0.1j])
    kernel = 1 / (values - z[:, None]) / values.size
    answer = rf.theory.resolvent(model, z)
    np.testing.assert_allclose(kernel.sum(1), answer.q, rtol=0.03)
    np.testing.assert_allclose(kernel @ columns.sum(1), answer.s, rtol=0.08)
    np.testing.assert_allclose(kernel @ columns @ model.covariance.quantiles(100), answer.r, rtol=0.12)
