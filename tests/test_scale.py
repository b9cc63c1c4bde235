"""The law of scales, and linear denoisers of elliptical data: theory against drawn data and closed forms."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2

import rfcore as rf

LAW = rf.Covariance(np.linspace(0.3, 3, 60))
TWO = rf.ScaleLaw([0.25, 1.75])


@pytest.mark.parametrize("nu", [2.2, 3.0, 5.0, 30.0])
def test_student_law_against_integrals(nu: float) -> None:
    law = rf.ScaleLaw.student(nu)
    assert law.weights @ law.values == pytest.approx(1, abs=1e-14)
    assert np.all(np.diff(law.values) > 0)
    for w in (0.1, 1.0, 10.0):
        exact, _ = quad(lambda c, w=w: (nu - 2) / (nu - 2 + w * c) * chi2.pdf(c, nu), 0, np.inf, epsabs=1e-10)
        assert law.weights @ (law.values / (law.values + w)) == pytest.approx(exact, abs=law.error + 1e-8)


def test_student_variance() -> None:
    for nu in (6.0, 10.0, 40.0):  # Var tau = 2/(nu - 4); finite for nu > 4 only
        assert rf.ScaleLaw.student(nu, 60).variance == pytest.approx(2 / (nu - 4), rel=3e-3)


def test_law_of_data_and_of_draws() -> None:
    rng = np.random.default_rng(0)
    tau = rf.ScaleLaw.student(5).draw(4000, rng)
    x = rng.standard_normal((4000, 400)) * np.sqrt(tau)[:, None]
    law = rf.ScaleLaw.from_data(x)
    assert np.max(np.abs(law.values / np.sort(tau) * tau.mean() - 1)) < 6 * math.sqrt(2 / 400)
    small = law.compressed(20)
    assert small.values.size <= 20
    w = np.geomspace(1e-2, 1e2, 50)[:, None]
    change = (law.values / (w + law.values)) @ law.weights - (
        small.values / (w + small.values)
    ) @ small.weights
    assert np.max(np.abs(change)) <= small.error * (1 + 1e-9) < 0.02


def test_kappa_check_values() -> None:
    law = rf.Covariance(np.linspace(0.3, 3, 80))
    two = rf.ScaleLaw([0.5, 2], [2 / 3, 1 / 3])
    assert rf.theory.renormalized_noise(law, 2 / 3, 0.5, two) == pytest.approx(0.9967525541, abs=5e-11)
    for nu, value in ((10, 0.92318), (5, 1.04707)):
        found = rf.theory.renormalized_noise(law, 2 / 3, 0.5, rf.ScaleLaw.student(nu))
        assert found == pytest.approx(value, abs=1e-5)


def test_one_scale_is_gaussian() -> None:
    one = rf.ScaleLaw([1.0])
    z = np.geomspace(1e-9, 1e4, 14)
    plain = rf.theory.renormalized_noise(LAW, 1.5, z)
    assert np.allclose(rf.theory.renormalized_noise(LAW, 1.5, z, one), plain, rtol=1e-12)
    for gamma in (0.6, 1.5):
        model = rf.LinearModel(gamma, 0.3, LAW, ridge=0.1)
        with_scale = dataclasses.replace(model, scale=one)
        a, b = rf.theory.minimizer(with_scale), rf.theory.minimizer(model)
        assert [a.train, a.test, a.score_error] == pytest.approx([b.train, b.test, b.score_error], rel=1e-12)
        tau = np.geomspace(0.1, 100, 7)
        u, v = rf.theory.loss_curves(with_scale, tau), rf.theory.loss_curves(model, tau)
        assert np.allclose([u.train, u.test], [v.train, v.test], rtol=1e-12)
        m, k = rf.theory.denoiser_moments(with_scale), rf.theory.denoiser_moments(model)
        assert np.allclose(m.mean, k.mean, rtol=1e-12)
        assert np.allclose(m.scaled_variance, k.scaled_variance, rtol=1e-12)


@pytest.mark.parametrize("law", [TWO, rf.ScaleLaw.student(3)])
def test_kappa_at_zero_does_not_feel_the_scales(law: rf.ScaleLaw) -> None:
    for gamma in (0.5, 1.6):
        plain = float(rf.theory.renormalized_noise(LAW, gamma, 0.0))
        assert rf.theory.renormalized_noise(LAW, gamma, 0.0, law) == plain
        assert rf.theory.renormalized_noise(LAW, gamma, 1e-9, law) == pytest.approx(plain, abs=1e-7)
        assert rf.theory.renormalized_noise(LAW, gamma, 0.3, law) > rf.theory.renormalized_noise(
            LAW, gamma, 0.3
        )


@pytest.mark.parametrize("law", [TWO, rf.ScaleLaw.student(5)])
@pytest.mark.parametrize("gamma", [0.6, 1.6])
def test_losses_against_drawn_data(law: rf.ScaleLaw, gamma: float) -> None:
    model, d, draws = rf.LinearModel(gamma, 0.3, LAW, scale=law), 120, 60
    here = rf.simulation.realized(model, d)
    a, b = rf.theory.minimizer(here), rf.simulation.minimizer(model, d, draws, 1)
    assert b.standard_error is not None
    slack = 0.4 / d  # the leading 1/d correction
    assert abs(a.train - b.train) < 4 * b.standard_error.train + slack
    assert abs(a.test - b.test) < 4 * b.standard_error.test + slack
    plain = rf.theory.minimizer(dataclasses.replace(here, scale=None))
    assert plain.train - a.train > 3 * (4 * b.standard_error.train + slack)
    tau = np.array([0.3, 3.0, 30.0])
    u, v = rf.theory.loss_curves(here, tau), rf.simulation.loss_curves(model, tau, d, draws, 2)
    assert v.standard_error is not None
    assert np.all(np.abs(u.test - v.test) < 4 * v.standard_error.test + slack)
    assert np.all(np.abs(u.train - v.train) < 4 * v.standard_error.train + slack)
    assert np.all(u.error < 1e-9)


def test_curves_end_at_the_minimizer() -> None:
    model = rf.LinearModel(0.6, 0.3, LAW, ridge=0.05, scale=TWO)
    late, end = rf.theory.loss_curves(model, 1e3), rf.theory.minimizer(model)
    assert [float(late.train), float(late.test)] == pytest.approx([end.train, end.test], rel=1e-9)


def test_denoiser_moments_against_drawn_data() -> None:
    law = rf.Covariance(np.linspace(0.3, 3, 80))
    model = rf.LinearModel(80 / 120, 0.5, law, scale=rf.ScaleLaw.student(10))
    a, b = rf.theory.denoiser_moments(model), rf.simulation.denoiser_moments(model, 80, 1200, 3)
    plain = rf.theory.denoiser_moments(dataclasses.replace(model, scale=None))
    assert np.max(np.abs(a.mean - b.mean)) < 8e-3
    ratio, old = b.scaled_variance / a.scaled_variance, b.scaled_variance / plain.scaled_variance
    assert abs(ratio.mean() - 1) < 0.01
    assert abs(np.diagonal(ratio).mean() - 1) < 0.04  # 80 entries, each to sqrt(2/1200)
    assert abs(np.diagonal(old).mean() - 1) > 0.08


def test_what_is_refused() -> None:
    scaled = rf.LinearModel(0.6, 0.3, LAW, scale=TWO)
    for call in (
        lambda: rf.ScaleLaw([]),
        lambda: rf.ScaleLaw([0.0, 2.0]),
        lambda: rf.ScaleLaw([1.0, 2.0]),
        lambda: rf.ScaleLaw([0.5, 1.5], [0.5, 0.6]),
        lambda: rf.ScaleLaw([0.5, 1.5], [1.0]),
        lambda: rf.ScaleLaw([1.0, np.nan]),
        lambda: rf.ScaleLaw.student(2),
        lambda: rf.ScaleLaw.student(5, 0),
        lambda: rf.ScaleLaw.from_data(np.ones((1, 3))),
        lambda: rf.LinearModel(0.6, 0.3, LAW, scale="t"),  # type: ignore[arg-type]
        lambda: rf.theory.kl(scaled),
        lambda: rf.theory.minimizer(scaled, 60),
        lambda: rf.theory.optimal_noise(scaled),
        lambda: rf.theory.sampling_map_moments(scaled, 5.0),
        lambda: rf.theory.variance_factors(scaled, np.ones(60), np.ones(60)),
        lambda: rf.simulation.kl(scaled, 60, 2, 0),
    ):
        with pytest.raises(ValueError, match="is not allowed|not allowed"):
            call()
