"""The process: scales, forward law, and the exact Gaussian solution against integration of its equations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

import rfcore as rf

times = st.floats(1e-6, 8.0)
variances = st.floats(0.0, 50.0)
quick = settings(derandomize=True, deadline=None, max_examples=40)
D = rf.diffusion


@quick
@given(times)
def test_signal_and_noise_variance_add_up(t):
    assert D.signal(t) ** 2 + D.noise_variance(t) == pytest.approx(1, rel=1e-15)


def test_small_times_keep_their_digits():
    # Delta_t = 2t - 2t^2 + 4t^3/3 - ...: the series is the independent way; 1 - exp(-2t) would be off by 1e-6
    for t in (1e-12, 1e-10, 1e-8):
        assert D.noise_variance(t) == pytest.approx(2 * t - 2 * t**2 + 4 * t**3 / 3, rel=1e-15)


def test_scales_follow_the_ito_isometry():
    # Delta_t is the variance of int_0^t e^{-(t-u)} sqrt(2) dB_u
    for t in (0.1, 1.0, 3.0):
        assert D.noise_variance(t) == pytest.approx(
            quad(lambda u, t=t: 2 * math.exp(-2 * (t - u)), 0, t)[0], rel=1e-13
        )


@quick
@given(times)
def test_unit_variance_is_stationary(t):
    assert D.mode_variance(1.0, t) == pytest.approx(1, rel=1e-15)


def test_forward_has_the_stated_mean_and_variance():
    m, t = 200_000, 0.4
    x = D.forward(np.tile([2.0, -1.0], (m, 1)), t, seed=1)
    z_mean = (x.mean(axis=0) - math.exp(-t) * np.array([2.0, -1.0])) / math.sqrt(D.noise_variance(t) / m)
    z_variance = (x.var(axis=0) / D.noise_variance(t) - 1) / math.sqrt(2 / m)
    assert np.max(np.abs([z_mean, z_variance])) < 4


def test_forward_euler_maruyama_path_has_the_same_law():
    # 400 small steps of dX = -X dt + sqrt(2) dB, whose variance is known to O(h)
    rng, steps, t = np.random.default_rng(2), 400, 1.0
    h, x = t / steps, np.full(50_000, 1.5)
    for _ in range(steps):
        x += -x * h + math.sqrt(2 * h) * rng.standard_normal(x.size)
    exact = D.forward(np.full((50_000, 1), 1.5), t, seed=3)[:, 0]
    error = 4 * math.sqrt(2 / x.size)
    assert abs(x.mean() - exact.mean()) < error + h
    assert abs(x.var() - exact.var()) < 2 * error + h


@quick
@given(variances, st.floats(0.05, 4.0), st.floats(0.01, 0.99))
def test_flow_factor_solves_the_flow(lam, t, part):
    t_next = part * t
    # dy/dt = -(y + s) with s = -y/Gamma_t
    solution = solve_ivp(
        lambda u, y: -y * (1 - 1 / D.mode_variance(lam, u)), (t, t_next), [1.0], rtol=1e-11, atol=1e-13
    )
    assert D.flow_factor(lam, t, t_next) == pytest.approx(solution.y[0, -1], rel=1e-8)


@quick
@given(variances, st.floats(0.05, 4.0), st.floats(0.01, 0.99))
def test_reverse_kernel_solves_the_reverse_moment_equations(lam, t, part):
    t_next = part * t

    def rates(
        u, state
    ):  # in falling time: d/dt of (mean factor, variance) of dy = (1 - 2/Gamma) y dtau + sqrt2 dB
        pull = 1 - 2 / D.mode_variance(lam, u)
        return [-pull * state[0], -(2 * pull * state[1] + 2)]

    solution = solve_ivp(rates, (t, t_next), [1.0, 0.0], rtol=1e-11, atol=1e-13)
    assert D.reverse_kernel(lam, t, t_next) == pytest.approx(solution.y[:, -1], rel=1e-8, abs=1e-11)


@quick
@given(st.floats(0.0, 50.0), st.floats(0.01, 3.0), st.floats(0.01, 3.0))
def test_reverse_kernel_is_bayes_rule(lam, t_next, h):
    # Joint law of (X_{t'}, X_t): variances Gamma_{t'}, Gamma_t, covariance e^{-h} Gamma_{t'}
    t = t_next + h
    phi, v = D.reverse_kernel(lam, t, t_next)
    g, g_next = D.mode_variance(lam, t), D.mode_variance(lam, t_next)
    assert phi == pytest.approx(math.exp(-h) * g_next / g, rel=1e-12)
    assert v == pytest.approx(g_next - phi**2 * g, rel=1e-8, abs=1e-12)


def test_both_reversals_carry_the_marginal():
    lam = np.array([0.0, 0.3, 1.0, 4.0])
    g, g_next = D.mode_variance(lam, 2.0), D.mode_variance(lam, 0.2)
    phi, v = D.reverse_kernel(lam, 2.0, 0.2)
    assert D.flow_factor(lam, 2.0, 0.2) ** 2 * g == pytest.approx(g_next, rel=1e-14)
    assert phi**2 * g + v == pytest.approx(g_next, rel=1e-14)


def test_denoising_and_noise_prediction_recombine():
    score = D.GaussianScore([1.0, -2.0], [[2.0, 0.5], [0.5, 0.3]])
    x, t = score.draw(50, 0.7, seed=0), 0.7
    s = score(x, t)
    rebuilt = D.signal(t) * D.denoised(x, s, t) + math.sqrt(D.noise_variance(t)) * D.predicted_noise(s, t)
    assert rebuilt == pytest.approx(x, abs=1e-14)


def test_drifts_differ_by_one_score():
    x, s = np.array([[1.0, 2.0]]), np.array([[0.5, -3.0]])
    assert np.array_equal(D.reverse_drift(x, s), [[2.0, -4.0]])
    assert np.array_equal(D.flow_drift(x, s), [[1.5, -1.0]])


def test_forward_follows_kind_and_dtype():
    torch = pytest.importorskip("torch")
    x = torch.full((20_000, 2, 3), 2.0, dtype=torch.float32)
    y = D.forward(x, 0.5, seed=4)
    assert y.dtype == torch.float32
    assert y.shape == x.shape
    assert torch.equal(y, D.forward(x, 0.5, seed=4))
    assert float(y.var()) == pytest.approx(D.noise_variance(0.5), rel=4 * math.sqrt(2 / y.numel()))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: D.signal(-1.0), "t"),
        (lambda: D.noise_variance(float("nan")), "t"),
        (lambda: D.mode_variance(-0.1, 1.0), "variance"),
        (lambda: D.mode_variance(1.0, "soon"), "t"),
        (lambda: D.reverse_kernel(1.0, 1.0, 2.0), "t_next"),
        (lambda: D.flow_factor(0.0, 0.0, 1.0), "t"),
        (lambda: D.forward(np.zeros((2, 2)), 1.0, seed=-1), "seed"),
        (lambda: D.forward(np.zeros((2, 2), dtype=int), 1.0, seed=0), "dtype of x"),
        (lambda: D.forward([[0.0]], 1.0, seed=0), "type of x"),
    ],
)
def test_bad_input(call, name):
    with pytest.raises(ValueError, match=rf"^{name} = .* is not allowed"):
        call()
