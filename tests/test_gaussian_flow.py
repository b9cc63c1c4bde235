"""Closed forms for Gaussian data: public check values, orders, and each ingredient derived another way."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

import rfcore as rf

D = rf.diffusion
GRID = np.linspace(3.0, 0.1, 21)
SDE_ERROR = ("euler_maruyama", "exponential_sde")

# mean, variance, KL of 20 steps from 3 to 0.1, mu = 0.7, exact marginal as start.  Each number was
# recomputed with 40 digits; all are printed to the last digit.
TABLE = {
    (0.3, "euler_maruyama"): ("0.6172830119", "0.5740880508", "2.4583604701e-02"),
    (0.3, "exponential_sde"): ("0.6333861926", "0.6156066120", "3.7996484668e-02"),
    (0.3, "euler_ode"): ("0.5993027874", "0.4964421454", "7.3544137890e-03"),
    (0.3, "exponential_ode"): ("0.6333861926", "0.4698247974", "2.3713305834e-03"),
    (0.3, "heun"): ("0.6353050440", "0.4173304045", "1.3154428521e-04"),
    (0.3, "ddim"): ("0.6333861926", "0.3838896549", "2.7207604349e-03"),
    (0.3, "ddpm"): ("0.6333861926", "0.3368931774", "1.2970006744e-02"),
    (4.0, "euler_maruyama"): ("0.5958399350", "3.1932188003", "1.7291509374e-03"),
    (4.0, "exponential_sde"): ("0.6333861926", "3.6194873893", "5.4109460716e-04"),
    (4.0, "euler_ode"): ("0.5760926503", "3.0278688091", "4.6644705487e-03"),
    (4.0, "exponential_ode"): ("0.6333861926", "3.2843459077", "6.3933433906e-04"),
    (4.0, "heun"): ("0.6333051226", "3.4571992668", "2.2169828088e-08"),
    (4.0, "ddim"): ("0.6333861926", "3.1142748287", "2.6211081819e-03"),
    (4.0, "ddpm"): ("0.6333861926", "2.7546163741", "1.1949152562e-02"),
}
STRONG = {
    (0.3, "euler_maruyama"): "1.9062521432e-02",
    (0.3, "exponential_sde"): "3.6558232091e-02",
    (4.0, "euler_maruyama"): "8.7234761651e-03",
    (4.0, "exponential_sde"): "2.3372278327e-02",
}
both = pytest.mark.parametrize("lam", [0.3, 4.0])
every = pytest.mark.parametrize("method", D.METHODS)


@every
@both
def test_public_check_values(lam, method):
    law = D.moments(method, lam, GRID, mean=0.7)
    # KL of heun at lam = 4 is 2e-8: nine digits are left of it
    digits = 6 if (lam, method) == (4.0, "heun") else 10
    printed = f"{law.mean:.10f}", f"{law.variance:.10f}", f"{law.kl:.{digits}e}"
    expected = *TABLE[lam, method][:2], f"{float(TABLE[lam, method][2]):.{digits}e}"
    assert printed == expected
    assert f"{law.target_mean:.10f}" == "0.6333861926"
    assert f"{law.target_variance:.10f}" == {0.3: "0.4268884728", 4.0: "3.4561922592"}[lam]


@pytest.mark.parametrize("method", SDE_ERROR)
@both
def test_public_strong_errors(lam, method):
    assert f"{D.strong_error(method, lam, GRID) ** 2:.10e}" == STRONG[lam, method]


def test_public_wrong_starts():
    flow, sde = D.wrong_start([0.3, 4.0], 3.0, 0.1)
    assert [f"{v:.10f}" for v in flow] == ["0.4276304658", "3.4306808365"]
    assert [f"{v:.10f}" for v in sde] == ["0.4268894335", "3.4559272830"]


@every
@both
def test_weak_order(lam, method):
    def errors(steps):
        law = D.moments(method, lam, np.linspace(3.0, 0.1, steps + 1), mean=0.7)
        return abs(law.variance - law.target_variance), law.kl

    (v1, kl1), (v2, kl2) = errors(800), errors(1600)
    order = 2 if method == "heun" else 1
    assert math.log2(v1 / v2) == pytest.approx(order, abs=0.01)
    # KL is quadratic in the error of the moments; for heun it sinks into round-off
    if method != "heun":
        assert math.log2(kl1 / kl2) == pytest.approx(2 * order, abs=0.02)


@both
def test_kl_of_heun_has_order_four(lam):
    kl1, kl2 = (D.moments("heun", lam, np.linspace(3.0, 0.1, n + 1), mean=0.7).kl for n in (80, 160))
    assert math.log2(kl1 / kl2) == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("method", SDE_ERROR)
@both
def test_strong_order_is_one(lam, method):
    e1, e2 = (D.strong_error(method, lam, np.linspace(3.0, 0.1, n + 1)) for n in (400, 800))
    assert math.log2(e1 / e2) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, 1.0 + 1e-9, 4.0, 1e4])
@pytest.mark.parametrize("method", SDE_ERROR)
def test_strong_error_with_noise_covariances_by_quadrature(lam, method):
    # One step from t to u: exact noise int Phi(s, u) sqrt2 dB, and the noise of the method
    t, u = 0.7, 0.5

    def kernel(s):
        return D.reverse_kernel(lam, s, u)[0]

    own = (lambda s: 1.0) if method == "euler_maruyama" else (lambda s: math.exp(s - u))
    cross = quad(lambda s: 2 * kernel(s) * own(s), u, t, epsabs=1e-14)[0]
    exact = quad(lambda s: 2 * kernel(s) ** 2, u, t, epsabs=1e-14)[0]
    numerical = quad(lambda s: 2 * own(s) ** 2, u, t, epsabs=1e-14)[0]
    (a, _), phi, start = D.step_law(method, lam, t, u), D.reverse_kernel(lam, t, u)[0], 0.9
    expected = (phi - a) ** 2 * start + exact - 2 * cross + numerical
    assert D.strong_error(method, lam, [t, u], start_variance=start) ** 2 == pytest.approx(
        expected, rel=1e-9, abs=1e-13
    )


@pytest.mark.parametrize("method", ["euler_ode", "exponential_ode", "heun"])
def test_unit_variance_does_not_move_under_the_flow(method):
    assert D.moments(method, 1.0, GRID).variance == pytest.approx(1, abs=1e-14)


def test_ddim_and_ddpm_end_on_the_denoiser_at_time_zero():
    # the step to t' = 0 returns E[x_0 | x] = e^{-t} lam/Gamma_t x, without noise
    for method in ("ddim", "ddpm"):
        a, b = D.step_law(method, [0.3, 4.0], 0.2, 0.0)
        shrinkage = math.exp(-0.2) * np.array([0.3, 4.0]) / D.mode_variance(np.array([0.3, 4.0]), 0.2)
        assert a == pytest.approx(shrinkage, rel=1e-14)
        assert b == 0


def test_ddpm_is_the_exact_posterior_of_a_point():
    # data of variance 0: ancestral sampling draws from the law of X_{t'} given X_t and x_0
    a, b = D.step_law("ddpm", 0.0, 1.2, 0.8)
    assert (a, b) == pytest.approx(D.reverse_kernel(0.0, 1.2, 0.8), rel=1e-13)


def test_wrong_start_is_the_limit_of_the_samplers():
    lam, times = np.array([0.3, 4.0]), np.linspace(3.0, 0.1, 4001)
    flow, sde = D.wrong_start(lam, 3.0, 0.1)
    assert D.moments("heun", lam, times, start_variance=1.0).variance == pytest.approx(flow, rel=1e-5)
    coarse, fine = (
        D.moments("exponential_sde", lam, grid, start_variance=1.0).variance for grid in (times[::2], times)
    )
    assert 2 * fine - coarse == pytest.approx(sde, rel=1e-5)


def test_start_can_be_prescribed():
    law = D.moments("ddim", 4.0, [1.0, 0.5], mean=2.0, start_mean=0.0, start_variance=0.0)
    a, _ = D.step_law("ddim", 4.0, 1.0, 0.5)
    assert law.variance == 0
    assert law.mean == pytest.approx(a * (0 - math.exp(-1) * 2) + math.exp(-0.5) * 2, rel=1e-14)
    assert math.isinf(law.kl)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: D.moments("euler", 1.0, GRID), "method"),
        (lambda: D.moments("ddim", -1.0, GRID), "variance"),
        (lambda: D.moments("ddim", 1.0, GRID[::-1]), "times"),
        (lambda: D.moments("ddim", 1.0, GRID, start_variance=-1.0), "start_variance"),
        (lambda: D.strong_error("ddpm", 1.0, GRID), "method"),
        (lambda: D.wrong_start(1.0, 0.1, 3.0), "t_next"),
        (lambda: D.step_law("ddim", 1.0, 0.5, 0.5), "times"),
    ],
)
def test_bad_input(call, name):
    with pytest.raises(ValueError, match=rf"^{name} = .* is not allowed"):
        call()
