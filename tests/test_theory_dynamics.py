"""Loss curves, the minimiser, shares, time scales at d = infinity, each against another way to it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rfcore as rf

TWO = rf.Covariance([0.5, 1.5], [0.5, 0.5])
BASE = rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.1, covariance=TWO)
TAU = np.array([1, 1e1, 1e2, 1e3, 1e4, 1e5])


def ask(**change: object) -> rf.RandomFeatureModel:
    return dataclasses.replace(BASE, **change)  # type: ignore[arg-type]


@st.composite
def questions(draw: st.DrawFn) -> rf.RandomFeatureModel:
    lam = 10 ** np.array(draw(st.lists(st.floats(-1.5, 1), min_size=1, max_size=4)))
    return rf.RandomFeatureModel(
        psi_p=10 ** draw(st.floats(-1, 2)),
        psi_n=10 ** draw(st.floats(-1, 2)),
        t=10 ** draw(st.floats(-2, 0.3)),
        covariance=rf.Covariance(lam),
        activation=draw(st.sampled_from(["tanh", "relu", "erf", "sin", "identity"])),
        noise_draws=draw(st.sampled_from([1, 2, 5, 100, math.inf])),
        ridge=draw(st.sampled_from([0.0, 1e-4, 0.1])),
    )


QUICK = settings(max_examples=25, derandomize=True, deadline=None)


def test_public_values() -> None:
    curves = rf.theory.loss_curves(BASE, TAU)
    np.testing.assert_allclose(curves.test, [0.95925, 0.84296, 0.92873, 1.16137, 1.20278, 1.20278], atol=6e-6)
    one = rf.theory.loss_curves(ask(noise_draws=1), TAU)
    np.testing.assert_allclose(one.test, [0.97043, 1.0298, 1.37363, 2.13223, 2.95404, 2.97174], atol=6e-6)
    np.testing.assert_allclose(one.empirical, [0.9723, 1.0134, 1.1556, 1.6079, 2.1098, 2.1205], atol=6e-5)


SIMULATED = [
    ask(),
    ask(noise_draws=1),
    ask(noise_draws=2, ridge=0.02),
    ask(noise_draws=5, psi_p=1.5, psi_n=4.0, activation="relu"),
    ask(psi_p=0.5, psi_n=3.0, activation="erf", ridge=1e-3, covariance=rf.Covariance.isotropic(2.0)),
]


@pytest.mark.parametrize(
    "model", SIMULATED, ids=lambda m: f"m={m.noise_draws:g}, {m.activation}, mu={m.ridge:g}"
)
def test_gaussian_twin(model: rf.RandomFeatureModel) -> None:
    """Six drawn Gaussian-equivalent networks: within 5 standard errors plus the O(1/d) bias of a few 1/d."""
    d, draws = 80, 6
    tau = np.array([0.3, 3.0, 30.0, 1e3, 1e6])
    theory = rf.theory.loss_curves(model, tau)
    runs = [rf.simulation.loss_curves(model, tau, d, seed, features="gaussian") for seed in range(draws)]
    for name in ("train", "test", "empirical"):
        values = np.array([getattr(run, name) for run in runs])
        standard_error = values.std(axis=0, ddof=1) / math.sqrt(draws)
        exact = getattr(theory, name)
        assert np.all(
            np.abs(values.mean(axis=0) - exact) < 5 * standard_error + 1.5 / d * np.maximum(exact, 1)
        ), name


@given(questions())
@QUICK
def test_laws(model: rf.RandomFeatureModel) -> None:
    tau = np.concatenate([[0.0], np.geomspace(1e-3, 1e9, 40)])
    curves = rf.theory.loss_curves(model, tau)
    size = np.maximum(1, np.abs(curves.test))
    assert np.all(curves.error <= 1e-8 * size), "the error estimate meets the promise"
    assert curves.train[0] == curves.test[0] == curves.empirical[0] == 1
    penalised = curves.train
    if model.ridge == 0:
        assert np.all(np.diff(penalised) <= 1e-9), "gradient flow never increases the train loss"
    assert np.all(curves.train >= -1e-9)
    assert np.all(curves.score_error >= -1e-8 * size / model.delta), "no score beats the exact one"
    assert np.all(curves.empirical >= curves.train - 1e-8 * size), "fresh noise is never easier on average"
    if math.isinf(model.noise_draws):
        np.testing.assert_array_equal(curves.empirical, curves.train)


@given(questions())
@QUICK
def test_the_curves_end_at_the_minimizer(model: rf.RandomFeatureModel) -> None:
    """Two formulas for tau = infinity: the contour at a late time, and one point z = -mu."""
    end = rf.theory.minimizer(model)
    slow = max(1.0, 1 / (model.constants.s2 + model.ridge + 1e-300)) if not model.ridge else 1 / model.ridge
    late = rf.theory.loss_curves(model, 1e9)
    settled = model.delta * 1e9 / model.psi_p / slow > 30
    assume(settled and end.test <= 1e3)  # others are drawn in their place
    size = max(1.0, end.test)
    assert float(late.train) == pytest.approx(end.train, abs=1e-8)
    assert float(late.test) == pytest.approx(end.test, abs=1e-8 * size)
    assert float(late.empirical) == pytest.approx(end.empirical, abs=1e-8 * size)
    if model.ridge == 0:
        assert end.gap >= -1e-9


def test_initial_slopes_are_moments() -> None:
    """dL/dtau at 0 = -4 Delta/psi_p (1/d) tr V^T V = -4 Delta b^2 at m = infinity, for both losses."""
    slope = 4 * BASE.delta * BASE.constants.b**2
    tau = np.array([1e-5, 2e-5])
    for losses in (rf.theory.loss_curves(BASE, tau).train, rf.theory.loss_curves(BASE, tau).test):
        drop = 1 - losses
        assert 2 * drop[0] - drop[1] / 2 == pytest.approx(slope * tau[0], rel=1e-5)


def test_many_draws_become_the_exact_average() -> None:
    exact = rf.theory.loss_curves(BASE, TAU)
    gaps = [
        np.max(np.abs(rf.theory.loss_curves(ask(noise_draws=m), TAU).test - exact.test))
        for m in (10**3, 10**5)
    ]
    assert gaps[1] == pytest.approx(gaps[0] / 100, rel=0.05), "the difference falls like 1/m"


def test_many_points_become_the_population() -> None:
    """n = infinity: train and test agree, and are flow on the population matrix, here at m = infinity."""
    curves = rf.theory.loss_curves(ask(psi_n=1e9), TAU)
    np.testing.assert_allclose(curves.gap, 0, atol=1e-7)


def test_linear_network_reaches_the_exact_score() -> None:
    """Identity activation, n = infinity, p > d: the score of Gaussian data is linear; nothing is missed."""
    end = rf.theory.minimizer(ask(activation="identity", psi_n=1e9))
    assert end.score_error == pytest.approx(0, abs=1e-7)


def test_interpolation() -> None:
    assert rf.theory.minimizer(ask(noise_draws=1)).train == pytest.approx(0, abs=1e-12)
    peak = rf.theory.minimizer(ask(noise_draws=1, psi_p=2.0))
    assert math.isinf(peak.test) and peak.train == 0
    heights = [rf.theory.minimizer(ask(noise_draws=1, psi_p=2.0, ridge=mu)).test for mu in (1e-4, 1e-6, 1e-8)]
    slopes = np.diff(np.log(heights)) / np.log(100)
    np.testing.assert_allclose(slopes, 0.5, atol=0.02, err_msg="the test loss diverges like 1/sqrt(mu)")


def test_shares_add_up() -> None:
    for model in (ask(), ask(noise_draws=3), ask(noise_draws=1, ridge=0.01), ask(psi_p=0.4, psi_n=7)):
        total = sum(part.drop for part in rf.theory.shares(model))
        assert total == pytest.approx(1 - rf.theory.minimizer(model).train, abs=1e-9)


def test_shares_add_up_where_bulks_all_but_touch() -> None:
    """The covariance of digits at psi_p = 32, psi_n = 4: a gap of one part in a hundred, six bulks."""
    model = rf.RandomFeatureModel(32, 4, 0.1, rf.datasets.digits().covariance)
    total = sum(share.drop for share in rf.theory.shares(model))
    assert total == pytest.approx(1 - rf.theory.minimizer(model).train, abs=1e-9)
    assert math.isfinite(rf.theory.timescales(model).memorize)


def test_third_bulk_carries_the_drop() -> None:
    """Values of a drawn Gaussian-equivalent network at d = 64, psi_p = 64, psi_n = 8, t = .01."""
    third, sample, population = rf.theory.shares(rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01))
    assert third.drop == pytest.approx(0.642, abs=0.005)
    assert sample.drop == pytest.approx(0.003, abs=5e-4)
    assert population.drop == pytest.approx(0.022, abs=5e-4)


def test_timescales() -> None:
    model = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
    times = rf.theory.timescales(model)
    half = rf.theory.loss_curves(model, times.loss_half_time).train
    below = rf.theory.shares(model)[:2]
    assert float(half) == pytest.approx(
        rf.theory.minimizer(model).train + sum(s.drop for s in below) / 2, abs=1e-8
    )
    edge = rf.theory.support(model).bulks[-1].left
    assert times.generalize == pytest.approx(model.psi_p / (model.delta * edge), rel=1e-12)
    around = rf.theory.loss_curves(model, times.stop_best * np.array([0.9, 1.0, 1.1])).test
    assert around[1] < around[0] and around[1] < around[2]
    level = around[1] + 0.1 * (1 - around[1])
    np.testing.assert_allclose(rf.theory.loss_curves(model, np.array(times.window)).test, level, atol=1e-9)
    assert times.reason == ""


def test_tau_mem_is_linear_in_n() -> None:
    """Once v^2 Delta p/n >> s^2, tau_mem grows like n, and tau_gen does not move."""
    times = [rf.theory.timescales(rf.RandomFeatureModel(psi_p=1e6, psi_n=n, t=0.3)) for n in (100.0, 200.0)]
    assert times[1].memorize / times[0].memorize == pytest.approx(2, rel=0.02)
    assert times[1].generalize / times[0].generalize == pytest.approx(1, rel=0.08)


def test_timescales_without_meaning() -> None:
    merged = rf.theory.timescales(rf.RandomFeatureModel(psi_p=0.5, psi_n=30, t=0.1))
    assert math.isnan(merged.memorize) and "memorize" in merged.reason
    assert math.isinf(rf.theory.timescales(rf.RandomFeatureModel(psi_p=0.1, psi_n=3000, t=1.0)).stop_best)


@pytest.mark.parametrize("tau", [-1.0, math.nan, [1.0, -2.0], "soon"])
def test_bad_times(tau: object) -> None:
    with pytest.raises(ValueError, match="tau = .* is not allowed"):
        rf.theory.loss_curves(BASE, tau)  # type: ignore[arg-type]


POWER = rf.Covariance.power_law(1.5, 20)
HARD = {  # what makes a bulk hard to integrate over
    "two bulks that have just met": rf.RandomFeatureModel(2, 16, 1e-3, POWER, "erf", ridge=1e-3),
    "a bulk of relative width 4e-10": rf.RandomFeatureModel(1000, 0.05, 5),
    "a hard edge at 1e-10 of its place": rf.RandomFeatureModel(56.1, 55.1, 5.6, POWER, "relu", ridge=0.01),
    "a hard edge beside a pole": rf.RandomFeatureModel(0.4, 0.4, 4e-4, POWER, "relu", 1, ridge=1e-6),
    "an edge at 1e-12": rf.RandomFeatureModel(8.0001, 8, 0.1, noise_draws=1),
}


@pytest.mark.parametrize("model", HARD.values(), ids=HARD)
def test_shares_add_up_over_bulks_of_every_shape(model) -> None:
    parts = rf.theory.shares(model)
    error = 1e-14 + sum(part.drop * part.error for part in parts)
    assert 1 - sum(part.drop for part in parts) == pytest.approx(rf.theory.minimizer(model).train, abs=error)
    for part in parts:
        left, right = part.bulk.left + model.ridge, part.bulk.right + model.ridge
        slack = 1 + 1e-12 + part.error
        assert left / slack <= part.harmonic <= right * slack


@pytest.mark.parametrize("draws, width", [(1, 1.0), (2, 2.0)])
def test_where_eigenvalues_reach_zero_memorising_never_ends(draws, width):
    question = rf.RandomFeatureModel(4 * width, 4.0, 0.1, noise_draws=draws)  # p = n m
    parts, times = rf.theory.shares(question), rf.theory.timescales(question)
    error = 1e-14 + sum(part.drop * part.error for part in parts)
    assert 1 - sum(part.drop for part in parts) == pytest.approx(0, abs=error)  # what is left in the end
    assert parts[0].harmonic == 0 and times.memorize == math.inf and "p = n m" in times.reason
    near = [
        rf.theory.timescales(dataclasses.replace(question, psi_p=4 * width * (1 + gap)))
        for gap in (1e-2, 1e-3)
    ]
    assert near[0].memorize < near[1].memorize < math.inf
    assert times.loss_half_time == pytest.approx(near[1].loss_half_time, rel=5e-3)
    assert times.window == pytest.approx(near[1].window, rel=5e-3)
    # The train loss ends as tau^(-1/2), so a hundred times later a tenth is left.
    late = rf.theory.loss_curves(question, [1e8, 1e10]).train
    assert late[1] / late[0] == pytest.approx(0.1, rel=1e-6)


def test_where_all_eigenvalues_belong_to_the_population_and_reach_zero_it_never_ends_learning():
    times = rf.theory.timescales(rf.RandomFeatureModel(0.1, 0.1, 0.1, noise_draws=1))  # p = n < d
    assert times.generalize == math.inf and math.isnan(times.memorize)
    assert "generalize is inf" in times.reason
