"""The constants against the sheet's values, 60-digit references and independent quadrature."""

import math
from functools import lru_cache

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import erf

import rfcore as rf
from rfcore.gaussian import constants, function, hermite_coefficients, sample_constants

BOX = [(v, t) for v in (1e-2, 0.3, 1.0, 1e2) for t in (1e-3, 0.05, 0.7, 3.0)]
PI = 4 * np.arctan(np.longdouble(1))
NAMES = ("a", "b", "v2", "s2")
CALLABLES = {
    "tanh": lambda x: np.tanh(x),
    "relu": lambda x: np.maximum(x, 0.0),
    "erf": lambda x: erf(x),
    "sin": lambda x: np.sin(x),
}


def differences(found, expected):
    """Relative differences of a, b, v2, s2."""
    return [abs(getattr(found, k) - float(e)) / abs(float(e)) for k, e in zip(NAMES, expected, strict=True)]


def mixture(variance, t):
    """signal, delta, Gamma^2, rho as 60-digit numbers."""
    variance, t = mp.mpf(variance), mp.mpf(t)
    signal, delta = mp.exp(-2 * t) * variance, 1 - mp.exp(-2 * t)
    return signal, delta, signal + delta, signal / (signal + delta)


def covariance_of(name, g2, r):
    """E_r[sigma sigma], c_0 and a in closed form: textbook kernels (Cho and Saul; Williams)."""
    if name == "relu":
        theta = mp.acos(r)
        value = g2 / (2 * mp.pi) * (mp.sin(theta) + (mp.pi - theta) * mp.cos(theta))
        return value, mp.sqrt(g2 / (2 * mp.pi)), mp.mpf(1) / 2
    if name == "erf":
        return 2 / mp.pi * mp.asin(2 * g2 * r / (1 + 2 * g2)), 0, 2 / mp.sqrt(mp.pi * (1 + 2 * g2))
    return mp.exp(-g2) * mp.sinh(g2 * r), 0, mp.exp(-g2 / 2)


@pytest.mark.parametrize("name", ["relu", "erf", "sin"])
@pytest.mark.parametrize(("variance", "t"), BOX)
def test_closed_forms_against_sixty_digits_by_subtraction(name, variance, t):
    with mp.workdps(60):
        _, delta, g2, rho = mixture(variance, t)
        partly, c0, a = covariance_of(name, g2, rho)
        fully, _, _ = covariance_of(name, g2, mp.mpf(1))
        v2 = partly - c0**2 - a**2 * g2 * rho
        s2 = fully - partly - a**2 * g2 * (1 - rho)
        expected = (a, mp.sqrt(delta) * a, v2, s2)
        found = constants(name, variance, t)
        worst = max(differences(found, expected))
    assert worst <= 1e-12
    assert worst <= found.error


@lru_cache(maxsize=64)
def tanh_by_definition(variance, t):
    """The four constants as they are defined, by subtraction, in 80-bit arithmetic: (values, digits lost)."""
    long = np.longdouble
    delta = -np.expm1(-2 * long(t))
    signal = np.exp(-2 * long(t)) * long(variance)
    gamma2 = signal + delta

    def rule(scale2):
        half = math.ceil(10.5 / min(0.4, math.pi / (2 * math.sqrt(float(scale2))) / 9))
        x = np.arange(-half, half + 1, dtype=np.longdouble) * (long(10.5) / half)
        return x, np.exp(-x * x / 2) * (long(10.5) / half) / np.sqrt(2 * PI)

    eta, weta = rule(signal)
    xi, wxi = rule(delta)
    inner = np.array([wxi @ np.tanh(np.sqrt(signal) * y + np.sqrt(delta) * xi) for y in eta])
    u, wu = rule(gamma2)
    total = wu @ np.tanh(np.sqrt(gamma2) * u) ** 2
    a = (wu @ (u * np.tanh(np.sqrt(gamma2) * u))) / np.sqrt(gamma2)
    b = weta @ np.array([wxi @ (xi * np.tanh(np.sqrt(signal) * y + np.sqrt(delta) * xi)) for y in eta])
    smoothed = weta @ inner**2
    v2 = smoothed - a**2 * signal
    s2 = total - a**2 * signal - v2 - b**2
    return (a, b, v2, s2), float(max(smoothed / v2, total / s2))


@pytest.mark.parametrize(("variance", "t"), BOX)
def test_tanh_against_the_definition(variance, t):
    expected, lost = tanh_by_definition(variance, t)
    found = constants("tanh", variance, t)
    wrong = dict(zip(NAMES, differences(found, expected), strict=True))
    assert found.error <= 1e-12
    assert max(wrong["a"], wrong["b"]) <= 1e-15
    assert max(wrong["v2"], wrong["s2"]) <= found.error + 3e-17 * lost  # the reference's own round-off


@pytest.mark.parametrize(("variance", "t"), [(1e-2, 3.0), (0.3, 3.0), (1.0, 3.0), (1e2, 3.0), (1e-2, 0.7)])
def test_tanh_at_large_time_against_thirty_digit_hermite_coefficients(variance, t):
    with mp.workdps(30):
        _, _, g2, rho = mixture(variance, t)
        v2, k = mp.mpf(0), 3
        while rho ** (k - 3) > 1e-16:

            def weight(y, k=k):
                return mp.exp(-y * y / 2) * mp.hermite(k, y / mp.sqrt(2)) * mp.tanh(mp.sqrt(g2) * y)

            points = [0, 0.5, 1, 2, 3, 4, 6, 8, 11]
            c = 2 * mp.quad(weight, points) / mp.sqrt(2 * mp.pi) / mp.sqrt(mp.mpf(2) ** k * mp.factorial(k))
            v2, k = v2 + c**2 * rho**k, k + 2
        found = constants("tanh", variance, t)
        assert abs(found.v2 - v2) / v2 <= 1e-13


@pytest.mark.parametrize(("variance", "t"), [(1e-2, 1e-3), (1.0, 0.05), (1.0, 1.0), (8.0, 0.05)])
def test_tanh_against_price_theorem(variance, t):
    """v2 and s2 from E_r[sigma'' sigma''], the cancellation-free form of the theory sheet."""
    delta, signal = -math.expm1(-2 * t), math.exp(-2 * t) * variance
    gamma2 = signal + delta
    rho = signal / gamma2
    gamma = math.sqrt(gamma2)
    x, w = np.polynomial.legendre.leggauss(400)
    u, wu = 9 * x, 9 * w * np.exp(-(81 * x * x) / 2) / math.sqrt(2 * math.pi)

    def curve(y):
        return -2 * np.tanh(y) / np.cosh(y) ** 2

    def pair(r):
        inner = curve(gamma * (r * u[:, None] + math.sqrt(1 - r * r) * u[None, :])) @ wu
        return float((wu * curve(gamma * u)) @ inner)

    left = integrate.quad(lambda r: (rho - r) * pair(r), 0, rho, epsrel=1e-10)[0]
    both = integrate.quad(lambda r: min(1 - r, 1 - rho) * pair(r), 0, 1, points=[rho], epsrel=1e-10)[0]
    found = constants("tanh", variance, t)
    assert found.v2 == pytest.approx(gamma2**2 * left, rel=1e-8)
    assert found.s2 == pytest.approx(gamma2**2 * both, rel=1e-8)


def test_public_values():
    found = constants("tanh", 1.0, 0.01)
    expected = (0.6057055096, 0.0852331754, 0.0255417764, 0.00187354959)
    assert max(differences(found, expected)) < 5e-9  # the digits given
    model = rf.RandomFeatureModel(psi_p=2, psi_n=3, t=0.01, covariance=rf.Covariance([0.5, 1.5], [0.5, 0.5]))
    assert model.constants == found


@pytest.mark.parametrize("name", CALLABLES)
@pytest.mark.parametrize(("variance", "t"), [(1e-2, 1e-3), (1e-2, 3.0), (1.0, 0.05), (1e2, 0.05), (1e2, 3.0)])
def test_callable_gives_the_same_as_the_built_in(name, variance, t):
    built_in = constants(name, variance, t)
    if built_in.a**2 * variance < 1e-16:
        with pytest.raises(ValueError, match="no linear part"):
            constants(CALLABLES[name], variance, t)
        return
    found = constants(CALLABLES[name], variance, t)
    worst = max(differences(found, [getattr(built_in, k) for k in NAMES]))
    assert worst <= found.error + built_in.error <= 2e-12
    assert found.mean == pytest.approx(built_in.mean, rel=1e-13, abs=1e-13)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.floats(-2, 2), st.floats(-4.5, 4.5), st.floats(-6.5, 1.0))
def test_breaks_anywhere_are_found(place, log_variance, log_t):
    """A kink at any place: relu(x - place) against one-dimensional integrals of its derivatives."""
    variance, t = math.exp(log_variance), math.exp(log_t)
    delta, signal = -math.expm1(-2 * t), math.exp(-2 * t) * variance
    gamma = math.sqrt(signal + delta)
    if abs(place) > 3 * gamma:
        return
    found = constants(lambda x: np.maximum(x - place, 0.0), variance, t)
    slope = 0.5 * math.erfc(place / gamma / math.sqrt(2))
    # Price: d/dr E_r[sigma sigma] = Gamma^2 P_r(both arguments above place), and once more for the density.
    k = place / gamma
    rho = signal / gamma**2

    def curve(r):
        return math.exp(-k * k / (1 + r)) / (2 * math.pi * math.sqrt(1 - r * r))

    v2 = integrate.quad(lambda r: (rho - r) * curve(r), 0, rho, epsabs=0, epsrel=1e-11)[0]
    s2 = integrate.quad(lambda r: (1 - rho) * curve(r), 0, rho, epsabs=0, epsrel=1e-11)[0]

    def near(y):  # r = 1 - y^2
        return 2 * y**3 * curve(1 - y * y)

    s2 += integrate.quad(near, 0, math.sqrt(1 - rho), epsabs=0, epsrel=1e-11)[0]
    expected = (slope, math.sqrt(delta) * slope, gamma**2 * v2, gamma**2 * s2)
    assert max(differences(found, expected)) <= 1e-9 + found.error


@pytest.mark.parametrize("name", ["tanh", "relu", "erf", "sin"])
def test_b_from_its_own_definition(name):
    """b = E[xi f] by plain quadrature, against sqrt(Delta) a."""
    variance, t = 0.8, 0.2
    delta, signal = -math.expm1(-2 * t), math.exp(-2 * t) * variance
    x, w = np.polynomial.legendre.leggauss(1200)
    x, w = 9 * x, 9 * w * np.exp(-(81 * x * x) / 2) / math.sqrt(2 * math.pi)
    f = function(name)(math.sqrt(signal) * x[:, None] + math.sqrt(delta) * x)
    tolerance = 1e-6 if name == "relu" else 1e-13  # a kink across the nodes
    assert constants(name, variance, t).b == pytest.approx(float(w @ f @ (w * x)), rel=tolerance)


def test_sample_constants_are_covariances_over_neurons():
    """a |x|^2/d = E_w[(w.x) sigma(w.(x) + noise)] and E[f f'] of two noises, by Monte Carlo over neurons."""
    rng = np.random.default_rng(5)
    x = np.array([0.4, 1.0, 2.5])[:, None] * rng.standard_normal((3, 20))
    t, delta = 0.3, -math.expm1(-0.6)
    a, b, v2, s2 = sample_constants("tanh", x, t)
    w = rng.standard_normal((400_000, 20)) / math.sqrt(20)
    h = math.exp(-t) * w @ x.T  # (neurons, samples)
    one, two = (np.tanh(h + math.sqrt(delta) * rng.standard_normal(h.shape)) for _ in range(2))
    signal = np.mean(x**2, axis=1) * math.exp(-2 * t)
    error = 5 / math.sqrt(len(w))
    assert a == pytest.approx(np.mean(h * one, axis=0) / signal, abs=error / math.sqrt(signal.min()))
    assert v2 + a**2 * signal == pytest.approx(np.mean(one * two, axis=0), abs=error)
    assert s2 + b**2 == pytest.approx(np.mean(one * (one - two), axis=0), abs=error)
    with pytest.raises(ValueError, match="variance"):
        sample_constants("tanh", np.zeros((2, 3)), t)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.sampled_from(["tanh", "relu", "erf", "sin", "identity"]),
    st.floats(math.log(1e-2), math.log(1e2)),
    st.floats(math.log(1e-3), math.log(3)),
)
def test_laws_anywhere_in_the_box(name, log_variance, log_t):
    variance, t = math.exp(log_variance), math.exp(log_t)
    found = constants(name, variance, t)
    delta = -math.expm1(-2 * t)
    gamma2 = math.exp(-2 * t) * variance + delta
    assert found.error <= 1e-12
    assert found.b == pytest.approx(math.sqrt(delta) * found.a, rel=1e-15)
    assert found.v2 >= 0 and found.s2 >= 0
    # v2 + s2 + Gamma^2 a^2 is the variance of the activation, computed without splitting it.
    x, w = np.polynomial.legendre.leggauss(64)
    edges = np.linspace(-10, 10, 101)
    u = (edges[:-1, None] + 0.1 * (1 + x)).ravel()
    weight = (0.1 * w * np.exp(-(u.reshape(100, 64) ** 2) / 2)).ravel() / math.sqrt(2 * math.pi)
    f = function(name)(math.sqrt(gamma2) * u)
    variance_f = weight @ f**2 - (weight @ f) ** 2
    assert found.v2 + found.s2 + gamma2 * found.a**2 == pytest.approx(variance_f, rel=1e-12)
    # Hermite: s2 = sum c_k^2 (1 - rho^k) and (1 - rho^k)/rho^k is smallest at k = 2.
    rho = 1 - delta / gamma2
    assert found.s2 * rho**2 >= found.v2 * (1 - rho**2) * (1 - 1e-9)


@pytest.mark.parametrize("shift", [3.0, -250.0])
def test_the_mean_is_subtracted(shift):
    plain = constants("relu", 1.3, 0.2)
    shifted = constants(lambda x: np.maximum(x, 0.0) + shift, 1.3, 0.2)
    assert max(differences(shifted, [getattr(plain, k) for k in NAMES])) <= 1e-11
    assert shifted.mean - shift == pytest.approx(plain.mean, abs=1e-12)


def test_limits():
    late = constants("tanh", 1.0, 300.0)  # the data are forgotten: all residual is per-draw
    c = hermite_coefficients("tanh", 1.0, 3)
    assert late.v2 == 0.0
    assert late.s2 == pytest.approx(c.theta_1 - c.theta_2, rel=1e-12)
    early = constants("tanh", 1.0, 1e-9)  # hardly any noise: all residual is per-sample
    assert early.v2 == pytest.approx(late.s2, rel=1e-8)
    # s2 -> 2 t (E sigma'^2 - a^2) with E tanh'^2 by quadrature.
    x, w = np.polynomial.legendre.leggauss(300)
    square = float((9 * w * np.exp(-81 * x**2 / 2) / math.sqrt(2 * math.pi)) @ np.cosh(9 * x) ** -4.0)
    assert early.s2 == pytest.approx(2e-9 * (square - early.a**2), rel=1e-6)


def test_linear_functions_leave_no_residual():
    assert constants("identity", 2.0, 0.1) == constants("identity", 3.0, 0.1)
    for f in (lambda x: 3.0 * x - 2.0, lambda x: x):
        found = constants(f, 1.7, 0.4)
        assert (found.v2, found.s2) == (0.0, 0.0)
    assert constants(lambda x: -3.0 * x, 1.7, 0.4).a == pytest.approx(-3.0, rel=1e-14)


class Unhashable:
    __hash__ = None

    def __call__(self, x):
        return np.tanh(x)


def test_a_callable_that_cannot_be_remembered():
    assert constants(Unhashable(), 1.0, 0.1).v2 == pytest.approx(constants("tanh", 1.0, 0.1).v2, rel=1e-12)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("swish", "activation = 'swish' is not allowed: one of"),
        (lambda x: x.sum(), "keep the shape"),
        (lambda x: x.ravel()[:5], "keep the shape"),
        (lambda x: np.where(x > 0, np.nan, x), "not finite at"),
        (lambda x: x + 0j, "real numbers"),
        (lambda x: x**2, "no linear part"),
        (lambda x: 0 * x + 4, "no linear part"),
        (np.cos, "no linear part"),
        (lambda x: np.tanh(x.astype(np.float32)), "double precision"),
        (lambda x: np.floor(20 * x), "jumps or oscillates"),
        (lambda x: np.sign(x) * np.abs(x) ** 0.1, "too rough"),
        (lambda x: np.exp(3 * x), "too rough"),
    ],
)
def test_bad_activations_are_refused(activation, message):
    with pytest.raises(ValueError, match=message):
        constants(activation, 1.0, 0.1)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("tanh", 0.0, 0.1), "variance"),
        (("tanh", math.inf, 0.1), "variance"),
        (("tanh", 1.0, 0.0), "t ="),
        (("tanh", 1.0, -1.0), "t ="),
        (("tanh", 1.0, math.nan), "t ="),
    ],
)
def test_bad_numbers_are_refused(arguments, name):
    with pytest.raises(ValueError, match=name):
        constants(*arguments)
