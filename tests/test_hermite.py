"""Hermite expansions of activations: their sums are the constants, and known coefficients."""

import math

import numpy as np
import pytest

from rfcore.gaussian import constants, hermite_coefficients


@pytest.mark.parametrize("name", ["tanh", "relu", "erf", "sin"])
@pytest.mark.parametrize(("variance", "t"), [(0.5, 0.3), (1.0, 1.5)])
def test_hermite_sums_give_the_constants(name, variance, t):
    delta, signal = -math.expm1(-2 * t), math.exp(-2 * t) * variance
    gamma2 = signal + delta
    rho = signal / gamma2
    order = 160
    expansion = hermite_coefficients(name, math.sqrt(gamma2), order)
    c, k = expansion.coefficients, np.arange(order + 1)
    found = constants(name, variance, t)
    assert c[0] == pytest.approx(found.mean, abs=1e-14)
    assert c[1] / math.sqrt(gamma2) == pytest.approx(found.a, rel=1e-13)
    assert float(c[2:] ** 2 @ rho ** k[2:]) == pytest.approx(found.v2, rel=1e-11)
    # Every term beyond the order adds c_k^2 (1 - rho^k) to s2, at most what Parseval says is missing.
    missing = expansion.theta_1 - float(c[1:] @ c[1:])
    partial = float(c[2:] ** 2 @ -np.expm1(k[2:] * math.log(rho)))
    assert -1e-13 <= missing
    assert partial - 1e-13 <= found.s2 <= partial + missing + 1e-13
    assert expansion.theta_1 - expansion.theta_2 == pytest.approx(found.v2 + found.s2, rel=1e-11)


def test_hermite_coefficients_of_a_polynomial():
    """y^3 + y = sqrt(6) h_3 + 4 h_1, and of scale y: 3 h_1 scale^3 and so on."""
    for scale in (0.2, 1.0, 3.0):
        found = hermite_coefficients(lambda x: x**3 + x, scale, 12)
        expected = np.zeros(13)
        expected[1], expected[3] = 3 * scale**3 + scale, math.sqrt(6) * scale**3
        assert np.max(np.abs(found.coefficients - expected)) <= 1e-13 * math.sqrt(found.theta_1)
        assert found.theta_1 == pytest.approx(expected @ expected, rel=1e-13)
        assert found.error < 1e-12


def test_hermite_coefficients_of_high_order_decay_at_the_known_rate():
    """Of sin(G y): c_k^2 = exp(-G^2) G^(2k)/k! for odd k, from E_r[sin sin]."""
    found = hermite_coefficients("sin", 4.0, 150).coefficients
    k = np.arange(1, 151, 2)
    exact = np.exp(-8 + k * math.log(4.0) - np.array([math.lgamma(i + 1) for i in k]) / 2)
    assert np.max(np.abs(np.abs(found[1::2]) - exact)) < 1e-14
    assert np.max(np.abs(found[::2])) < 1e-14


def test_bad_expansions_are_refused():
    with pytest.raises(ValueError, match="scale"):
        hermite_coefficients("tanh", -1.0, 3)
    with pytest.raises(ValueError, match="order"):
        hermite_coefficients("tanh", 1.0, 0)
    with pytest.raises(ValueError, match="activation"):
        hermite_coefficients("gelu", 1.0, 3)
