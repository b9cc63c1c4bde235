"""U and V of the true network against quadrature, closed forms and explicit draws."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import ndtr

import rfcore as rf
from rfcore.simulation import descent, noise
from rfcore.simulation.features import population, training
from rfcore.simulation.setting import setting

TWO_ATOMS = rf.Covariance([0.5, 1.5], [0.5, 0.5])
NUMPY = {
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf),
    "sin": np.sin,
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
}


def model(**changes):
    return rf.RandomFeatureModel(
        **{"psi_p": 3, "psi_n": 2, "t": 0.1, "covariance": TWO_ATOMS, "activation": "tanh", **changes}
    )


def gauss(count=420, reach=10.0):
    """Equidistant nodes and Gaussian weights."""
    g = np.linspace(-reach, reach, count)
    return g, np.exp(-(g**2) / 2) * (g[1] - g[0]) / math.sqrt(2 * math.pi)


def geometry(m, d, seed=0):
    s = setting(m, d, seed)
    return s, s.M.numpy(), s.signal * (s.x @ s.M.T).numpy()


@pytest.mark.parametrize("activation", ["tanh", "erf", "sin", "identity"])
def test_u_and_v_equal_two_dimensional_quadrature(activation):
    m = model(psi_p=0.25, psi_n=0.25, t=0.4, activation=activation)
    s, M, u = geometry(m, 12)
    U, V, _, error = training(s)
    f, tau = NUMPY[activation], math.sqrt(m.delta) * np.linalg.norm(M, axis=1)
    g, w = gauss()
    for i in range(3):
        one = [w @ (g * f(row[i] + tau[i] * g)) for row in u]
        np.testing.assert_allclose(V[i], np.mean(one) * M[i] / np.linalg.norm(M[i]), atol=1e-13)
        for j in range(3):
            r = M[i] @ M[j] / np.linalg.norm(M[i]) / np.linalg.norm(M[j])
            other = r * g[:, None] + math.sqrt(max(1 - r**2, 0)) * g
            both = [
                f(row[i] + tau[i] * g) @ (w[:, None] * w * f(row[j] + tau[j] * other)).sum(1) for row in u
            ]
            assert abs(float(U[i, j]) - np.mean(both)) < error + 1e-12


def test_relu_equals_a_one_dimensional_integral():
    m = model(psi_p=0.25, psi_n=0.1, t=0.4, activation="relu")
    s, M, u = geometry(m, 12)
    U, _, _, error = training(s)
    norm, width, c0 = np.linalg.norm(M, axis=1), math.sqrt(m.delta), m.constants.mean

    def mean(shift, scale):
        z = shift / scale
        return shift * ndtr(z) + scale * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    for i, j in [(0, 1), (0, 2), (1, 2), (2, 0)]:
        r = M[i] @ M[j] / norm[i] / norm[j]

        def integrand(g, i=i, j=j, r=r):
            inner = mean(u[0, j] + width * norm[j] * r * g, width * norm[j] * math.sqrt(1 - r**2))
            return (u[0, i] + width * norm[i] * g) * inner * math.exp(-(g**2) / 2) / math.sqrt(2 * math.pi)

        kink = -u[0, i] / (width * norm[i])
        product = quad(integrand, kink, 12, epsabs=1e-13, epsrel=1e-12)[0]
        single = mean(u[0, i], width * norm[i]), mean(u[0, j], width * norm[j])
        assert abs(float(U[i, j]) - (product - c0 * sum(single) + c0**2)) < error + 1e-12


def test_sin_equals_its_closed_form_at_every_entry():
    m = model(t=0.3, activation="sin")
    s, M, u = geometry(m, 30)
    U, V, _, error = training(s)
    noise_part = m.delta * M @ M.T
    power = np.diag(noise_part)
    half = (power[:, None] + power) / 2
    same = (np.cos(u).T @ np.cos(u) + np.sin(u).T @ np.sin(u)) / len(u)
    opposite = (np.cos(u).T @ np.cos(u) - np.sin(u).T @ np.sin(u)) / len(u)
    exact = (np.exp(noise_part - half) * same - np.exp(-noise_part - half) * opposite) / 2
    assert np.linalg.norm(U.numpy() - exact) < error + 1e-12 * np.linalg.norm(exact)
    slope = np.mean(np.cos(u), axis=0) * np.exp(-power / 2)
    np.testing.assert_allclose(V, math.sqrt(m.delta) * slope[:, None] * M, atol=1e-14)


@pytest.mark.parametrize("activation", ["sin", "erf", "relu"])
@pytest.mark.parametrize("variance", [1.0, 100.0])
def test_population_matrices_equal_their_closed_forms(activation, variance):
    m = model(t=0.3, activation=activation, covariance=rf.Covariance.isotropic(variance))
    s, M, _ = geometry(m, 30)
    Ut, Vt, error = population(s)
    C = (math.exp(-2 * m.t) * variance + m.delta) * M @ M.T
    diagonal = np.diag(C)
    if activation == "sin":
        exact = np.exp(-(diagonal[:, None] + diagonal) / 2) * np.sinh(C)
        slope = np.exp(-diagonal / 2)
    elif activation == "erf":
        exact = 2 / math.pi * np.arcsin(2 * C / np.sqrt(np.outer(1 + 2 * diagonal, 1 + 2 * diagonal)))
        slope = 2 / np.sqrt(math.pi * (1 + 2 * diagonal))
    else:
        deviation = np.sqrt(diagonal)
        angle = np.arccos(np.clip(C / np.outer(deviation, deviation), -1, 1))
        exact = np.outer(deviation, deviation) * (np.sin(angle) + (math.pi - angle) * np.cos(angle))
        mean = deviation / math.sqrt(2 * math.pi)
        c0 = m.constants.mean
        exact = exact / (2 * math.pi) - c0 * (mean[:, None] + mean) + c0**2
        slope = np.full(len(M), 0.5)
    # arccos near the diagonal costs half the digits of C there
    assert np.max(np.abs(Ut.numpy() - exact)) < error + 1e-12 * np.max(np.abs(exact)) + 1e-15 * variance
    np.testing.assert_allclose(Vt, math.sqrt(m.delta) * slope[:, None] * M, rtol=0, atol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_exact_noise_is_the_limit_of_many_draws(activation):
    m = model(psi_p=1, psi_n=0.5, t=0.3, activation=activation)
    U, V, _, _ = training(setting(m, 12, 3))
    total = torch.zeros(2, 12, 12)
    square, count = torch.zeros(2, 12, 12), 4000
    drawn = rf.RandomFeatureModel(1, 0.5, 0.3, TWO_ATOMS, activation, noise_draws=count)
    phi, xi = descent.sample(drawn, 12, 3)
    for p, x in zip(phi.split(6), xi.split(6), strict=True):
        both = torch.stack([p.T @ p / 6, p.T @ x / 6])
        total += both
        square += both**2
    mean = total / count
    deviation = torch.sqrt((square / count - mean**2) / count)
    z = (mean - torch.stack([U, V])) / deviation
    assert float(z.abs().max()) < 4.5
    assert 0.8 < float((z**2).mean()) < 1.25


@pytest.mark.parametrize("activation", ["tanh", "relu", "erf"])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6])
def test_error_bounds_what_a_truncated_series_leaves_out(monkeypatch, activation, tolerance):
    m = model(t=0.5, activation=activation)
    exact = training(setting(m, 20, 0))[0]
    monkeypatch.setattr(noise, "TOLERANCE", tolerance)
    monkeypatch.setattr(noise, "_BLOCK", 4)
    truncated, _, _, error = training(setting(m, 20, 0))
    left_out = float(torch.linalg.norm(truncated - exact))
    assert 1e-12 < left_out <= error <= tolerance * float(torch.linalg.norm(torch.diagonal(exact)))


@pytest.mark.parametrize(
    ("built_in", "callable_"),
    [("tanh", np.tanh), ("sin", lambda x: np.sin(x) + 3), ("relu", lambda x: x * (x > 0))],
)
def test_callables_give_what_built_in_activations_give(built_in, callable_):
    a = rf.simulation.moments(model(psi_p=2, psi_n=1, activation=built_in), 20, 0)
    b = rf.simulation.moments(model(psi_p=2, psi_n=1, activation=callable_), 20, 0)
    for name in ("U", "V", "Ut", "Vt"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=0, atol=1e-9)


def test_given_data_are_averaged_like_drawn_ones():
    s = setting(model(), 16, 5)
    again = setting(model(), 16, 5, x=s.x.numpy(), x_test=s.x.numpy()[:7])
    torch.testing.assert_close(training(s)[0], training(again)[0], rtol=0, atol=0)
    U, V, _ = population(again)
    few = training(setting(model(psi_n=7 / 16), 16, 5, x=s.x.numpy()[:7]))
    torch.testing.assert_close(U, few[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(V, few[1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("features", ["nonlinear", "gaussian"])
def test_m_draws_give_rank_p_or_nm_and_the_noise_that_was_drawn(features):
    for draws in (1, 2, 3):
        m = model(psi_p=4, psi_n=1.5, noise_draws=draws)
        moments = rf.simulation.moments(m, 20, 0, features)
        assert int(torch.linalg.matrix_rank(moments.U)) == min(80, 30 * draws)
        phi, xi = descent.sample(m, 20, 0, features)
        torch.testing.assert_close(moments.U, phi.T @ phi / len(phi), rtol=0, atol=1e-13)
        torch.testing.assert_close(moments.V, phi.T @ xi / len(phi), rtol=0, atol=1e-13)
        assert moments.noise_power == pytest.approx(float((xi**2).mean()), rel=1e-13)


def test_gaussian_twin_has_the_moments_of_the_limit():
    m = model(psi_p=3, psi_n=2)
    c, alpha2 = m.constants, math.exp(-0.2) * m.constants.a**2
    D = alpha2 * TWO_ATOMS.eigenvalues + c.b**2
    first = c.v2 + c.s2 + D.mean()
    second = first**2 + 3 * np.mean(D**2) + 1.5 * (alpha2 + c.v2) ** 2
    traces = []
    for seed in range(8):
        values = rf.simulation.eigenvalues(m, 60, seed, features="gaussian")
        traces.append([values.mean(), np.mean(values**2)])
    spread = np.std(traces, axis=0, ddof=1) / math.sqrt(8)
    # the finite-d bias of second moments is of relative order 1/d
    assert np.all(np.abs(np.mean(traces, axis=0) - [first, second]) < 4 * spread + [0, second / 60])


def test_the_two_kinds_of_features_share_first_layer_and_data():
    a, b = (setting(model(), 10, 1, kind) for kind in ("nonlinear", "gaussian"))
    assert torch.equal(a.M, b.M) and torch.equal(a.x, b.x)
    assert torch.equal(a.M, setting(model(noise_draws=3), 10, 1).M)


def test_seeds_reproduce_and_differ():
    first, again, other = (rf.simulation.eigenvalues(model(noise_draws=2), 15, s) for s in (4, 4, 5))
    assert np.array_equal(first, again)
    assert np.min(np.abs(first[-5:] - other[-5:])) > 0


@pytest.mark.parametrize("activation", [lambda x: np.clip(x, -1, 1), lambda x: x + np.sign(x - 0.3)])
def test_rough_callables_are_refused_at_exact_noise_but_not_with_draws(activation):
    with pytest.raises(ValueError, match="activation"):
        rf.simulation.eigenvalues(model(activation=activation), 15, 0)


def test_nearly_parallel_rows_are_refused_rather_than_truncated():
    with pytest.raises(ValueError, match="larger d"):
        rf.simulation.eigenvalues(model(psi_p=20, activation="relu"), 2, 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"d": 0}, "d = 0"),
        ({"d": 2.5}, "d = 2.5"),
        ({"seed": -1}, "seed"),
        ({"features": "linear"}, "features"),
        ({"model": 3}, "model"),
        ({"device": "abacus"}, "device"),
        ({"device": "cuda:99"}, "device"),
        ({"model": rf.RandomFeatureModel(0.01, 2, 0.1)}, "psi_p"),
        ({"model": rf.RandomFeatureModel(2, 0.01, 0.1)}, "psi_n"),
        ({"x": np.zeros((3, 10))}, "x has shape"),
        ({"x": np.full((20, 10), np.nan)}, "x"),
        ({"x": np.ones((20, 10))}, "x_test"),
        ({"x_test": np.ones((20, 10))}, "x_test"),
        ({"x": np.ones((20, 10)), "x_test": np.ones((0, 10))}, "x_test"),
    ],
)
def test_bad_input_is_named(changes, named):
    with pytest.raises(ValueError, match=named):
        rf.simulation.moments(**{"model": model(), "d": 10, "seed": 0, **changes})


def test_read_only_data_is_taken_without_a_warning_and_left_alone():
    x = np.random.default_rng(0).standard_normal((20, 10))
    x.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = setting(model(psi_n=2.0), 10, 0, x=x, x_test=x)
    drawn.x.zero_()
    assert np.all(x != 0)
