"""Random features on elliptical data: spectrum and losses against the network, its twin, and themselves."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rfcore as rf

LAW = rf.Covariance([0.5, 1.5])
TWO = rf.ScaleLaw([0.25, 1.75])
TAIL = rf.ScaleLaw.student(4, 20)
TAU = np.geomspace(0.3, 1e5, 8)
MODEL = rf.RandomFeatureModel(3, 2, 0.1, LAW)


def scaled(law: rf.ScaleLaw = TWO, **changes: Any) -> rf.RandomFeatureModel:
    return dataclasses.replace(MODEL, scale=law, **changes)


@pytest.mark.parametrize("draws", [1, 3, math.inf])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_one_scale_is_gaussian(draws: float, activation: str) -> None:
    plain = dataclasses.replace(MODEL, noise_draws=draws, activation=activation, ridge=1e-3)
    one = dataclasses.replace(plain, scale=rf.ScaleLaw([1.0]))
    z = np.array([1 + 0.5j, 0.1 + 0.05j, 5 - 1j, -0.2, 0.7, 3.0])
    a, b = rf.theory.resolvent(one, z), rf.theory.resolvent(plain, z)
    for name in ("q", "r", "s", "chi_1"):
        assert np.allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-13)
    u, v = rf.theory.loss_curves(one, TAU), rf.theory.loss_curves(plain, TAU)
    x, y = rf.theory.minimizer(one), rf.theory.minimizer(plain)
    for name in ("train", "test", "empirical", "score_error"):
        assert np.allclose(getattr(u, name), getattr(v, name), rtol=1e-12)
        assert getattr(x, name) == pytest.approx(getattr(y, name), rel=1e-12)


def test_two_equal_scales_are_one() -> None:
    """Atoms that coincide, and a scale law of the whole covariance: tau = 1 split in three."""
    split = scaled(rf.ScaleLaw([1.0, 1.0, 1.0], [0.2, 0.3, 0.5]), noise_draws=3)
    u, v = (
        rf.theory.loss_curves(split, TAU),
        rf.theory.loss_curves(dataclasses.replace(MODEL, noise_draws=3), TAU),
    )
    assert np.allclose([u.train, u.test, u.empirical], [v.train, v.test, v.empirical], rtol=1e-12)


@pytest.mark.parametrize("draws", [1, 2, math.inf])
@pytest.mark.parametrize("law", [TWO, TAIL])
def test_resolvent_of_the_twin(draws: float, law: rf.ScaleLaw) -> None:
    """q against the mean of (1/p) tr (U - z)^-1 over drawn twins, off the spectrum."""
    model, d = scaled(law, noise_draws=draws), 80
    z = np.array([0.4 + 0.4j, 2 + 1j, -0.1])
    found = []
    for seed in range(8):
        values = rf.simulation.eigenvalues(model, d, seed, "gaussian")
        found.append(np.mean(1 / (values - z[:, None]), axis=1))
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / math.sqrt(8)
    answer = rf.theory.resolvent(model, z)
    assert np.all(answer.converged)
    allowed = 4 * spread + 0.2 / d * np.abs(answer.q)
    assert np.all(np.abs(mean - answer.q) < allowed)
    plain = rf.theory.resolvent(dataclasses.replace(model, scale=None), z)
    assert np.max(np.abs(mean - plain.q) / allowed) > 1  # the law of scales is seen


@pytest.mark.parametrize("law", [TWO, TAIL])
@pytest.mark.parametrize(("psi_p", "psi_n"), [(3, 2), (8, 4), (1, 4)])
def test_density_carries_all_mass(law: rf.ScaleLaw, psi_p: float, psi_n: float) -> None:
    model = scaled(law, psi_p=psi_p, psi_n=psi_n)
    floor = float(model.scale_constants.weights @ model.scale_constants.s2)
    x = floor + np.geomspace(1e-12, 100, 8000)
    y = (x - floor) * rf.theory.density(model, x)
    mass = float(np.sum((y[1:] + y[:-1]) / 2 * np.diff(np.log(x - floor))))
    atom = max(0.0, 1 - (1 + psi_n) / psi_p)
    assert mass == pytest.approx(1 - atom, abs=3e-3)


@pytest.mark.parametrize("features", ["gaussian", "nonlinear"])
@pytest.mark.parametrize("draws", [1, 3, math.inf])
def test_losses_against_networks(features: str, draws: float) -> None:
    model, d, count = scaled(noise_draws=draws, ridge=2e-3), 60, 8
    tau = np.geomspace(1, 1e3, 4)
    theory = rf.theory.loss_curves(model, tau)
    drawn = [rf.simulation.loss_curves(model, tau, d, seed, features) for seed in range(count)]
    plain = rf.theory.loss_curves(dataclasses.replace(model, scale=None), tau)
    for name in ("train", "test", "empirical"):
        values = np.array([getattr(c, name) for c in drawn])
        spread = values.std(axis=0, ddof=1) / math.sqrt(count)
        allowed = 4 * spread + (1.5 / d if features == "nonlinear" else 0.5 / d)
        assert np.all(np.abs(values.mean(axis=0) - getattr(theory, name)) < allowed), name
    if features == "gaussian":
        assert plain.empirical[-1] - theory.empirical[-1] > 2 * allowed[-1]


@pytest.mark.parametrize("law", [TWO, TAIL])
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_two_routes_to_the_train_loss(law: rf.ScaleLaw, ridge: float) -> None:
    """At m = infinity the train loss is a one-point function, and a mean of two-point functions by scale."""
    model = scaled(law, ridge=ridge)
    curves, by_scale = rf.theory.loss_curves(model, TAU), rf.theory.scale_curves(model, TAU)
    assert np.allclose(by_scale.empirical @ by_scale.weights, curves.train, rtol=1e-11)
    assert np.allclose(by_scale.test @ by_scale.weights, curves.test, rtol=1e-12)
    end = rf.theory.minimizer(model)
    assert end.empirical == end.train or end.empirical == pytest.approx(end.train, rel=1e-11)
    late = rf.theory.loss_curves(model, 1e9)
    assert [float(late.train), float(late.test)] == pytest.approx([end.train, end.test], rel=1e-8)
    assert np.all(curves.error < 1e-9)


def test_scale_by_scale_against_a_network() -> None:
    model, d, count = scaled(), 60, 6
    tau = np.geomspace(1, 1e3, 4)
    theory = rf.theory.scale_curves(model, tau)
    drawn = [rf.simulation.scale_curves(model, tau, d, seed) for seed in range(count)]
    for name in ("test", "empirical"):
        values = np.array([getattr(c, name) for c in drawn])
        spread = values.std(axis=0, ddof=1) / math.sqrt(count)
        assert np.all(np.abs(values.mean(axis=0) - getattr(theory, name)) < 4 * spread + 1.5 / d), name
    pooled = rf.simulation.loss_curves(model, tau, d, 0)
    assert np.allclose((drawn[0].empirical * drawn[0].weights).sum(axis=1), pooled.empirical, rtol=1e-9)
    gap = (theory.test - theory.empirical)[2]
    assert gap[1] > 2 * gap[0] > 0.05  # samples of large scale are memorised first


def test_groups_of_given_points() -> None:
    model, d = scaled(), 40
    rng = np.random.default_rng(5)
    tau = TWO.draw(80 + 200, rng)
    x = rng.standard_normal((280, d)) * np.sqrt(tau)[:, None] * np.sqrt(LAW.quantiles(d))
    given = rf.simulation.scale_curves(model, TAU, d, 0, x=x[:80], x_test=x[80:], edges=[0.7])
    pooled = rf.simulation.loss_curves(model, TAU, d, 0, x=x[:80], x_test=x[80:])
    assert given.scales.size == 2
    assert np.allclose(given.empirical @ given.weights, pooled.train, rtol=1e-8)


def test_grouped_curves_keep_means() -> None:
    curves = rf.theory.scale_curves(scaled(TAIL), [10.0, 1e3])
    pooled = curves.grouped([0.5, 2.0])
    assert pooled.scales.size == 3
    assert pooled.weights @ pooled.scales == pytest.approx(1, rel=1e-12)
    assert np.allclose(pooled.empirical @ pooled.weights, curves.empirical @ curves.weights, rtol=1e-12)


def test_moments_of_u() -> None:
    """First two moments at m = infinity in closed form, against the expansion of q at large z."""
    c, psi_p, psi_n = scaled().scale_constants, 3, 2
    w, lam = c.weights, LAW.eigenvalues
    d_mean = float(w @ c.alpha2) * lam + float(w @ c.b**2)
    m1 = float(w @ (c.v2 + c.s2)) + d_mean.mean()
    sample = float(w @ (c.alpha2 * LAW.variance + c.v2) ** 2)
    m2 = m1**2 + psi_p * float(np.mean(d_mean**2)) + psi_p / psi_n * sample
    z = np.array([-1e3, -2e3, -4e3])
    q = rf.theory.resolvent(scaled(), z).q.real
    first = -(q * z + 1) * z  # m1 + m2/z + m3/z^2
    second = (first - m1) * z
    limit = np.polyfit(1 / z, second, 2)[-1]
    assert first[-1] == pytest.approx(m1, rel=3e-3)
    assert limit == pytest.approx(m2, rel=1e-5)


@pytest.mark.parametrize(("psi_p", "psi_n"), [(64, 8), (4, 8), (8, 8), (9, 8)])
def test_support_of_one_scale(psi_p: float, psi_n: float) -> None:
    plain = rf.RandomFeatureModel(psi_p, psi_n, 0.01)
    a = rf.theory.support(dataclasses.replace(plain, scale=rf.ScaleLaw([1.0])))
    b = rf.theory.support(plain)
    assert len(a.bulks) == len(b.bulks)
    assert a.atom == b.atom or a.atom and b.atom and a.atom.mass == pytest.approx(b.atom.mass, rel=1e-12)
    for x, y in zip(a.bulks, b.bulks, strict=True):
        assert (x.hard, x.mass) == (y.hard, pytest.approx(y.mass, abs=1e-12))
        assert [x.right_offset, x.left] == pytest.approx([y.right_offset, y.left], rel=1e-9)
        assert x.hard or x.left_offset == pytest.approx(y.left_offset, rel=1e-8)


def test_every_scale_has_its_bulks() -> None:
    """Two scales, p >> n_k > d: a third bulk of d and a sample bulk of n_k - d eigenvalues for each."""
    model = rf.RandomFeatureModel(32, 8, 0.01, scale=rf.ScaleLaw([0.1, 1.9]))
    answer = rf.theory.support(model)
    assert [b.mass * 32 for b in answer.bulks] == pytest.approx([1, 3, 1, 3, 1], abs=1e-9)
    assert answer.mass == pytest.approx(1, abs=1e-12)
    for bulk in answer.bulks:  # the density integrates to the mass that the signs give
        x, dx = bulk.nodes(120)
        assert float(rf.theory.density(model, x) @ dx) == pytest.approx(bulk.mass, rel=1e-8)
    d = 60
    values = rf.simulation.eigenvalues(model, d, 0, "gaussian")
    walls = [0.5 * (a.right + b.left) for a, b in zip(answer.bulks[1:], answer.bulks[2:], strict=False)]
    counts = np.diff([0, *np.searchsorted(values, walls), values.size])[1:]
    atoms = rf.simulation.setting(model, d, 0).atom
    assert atoms is not None
    assert list(counts) == [d, int(np.sum(atoms == 1)) - d, d]


@pytest.mark.parametrize("draws", [1, 2, math.inf])
def test_rare_scales_have_bulks_that_no_scan_meets_by_chance(draws: float) -> None:
    """The heavy tail of Student data: bulks of 1e-10 of the eigenvalues, 1e-4 of their place wide."""
    model = rf.RandomFeatureModel(2, 4, 0.1, noise_draws=draws, scale=rf.ScaleLaw.student(10))
    answer = rf.theory.support(model)
    assert answer.converged and answer.mass == pytest.approx(1, abs=1e-12)
    rare = [bulk for bulk in answer.bulks if bulk.mass < 1e-3]
    assert min(bulk.mass for bulk in rare) < 1e-9
    for bulk in rare:
        x, dx = bulk.nodes(120)
        # A mass is a difference of counts near 1/2, which are rounded.
        assert float(rf.theory.density(model, x) @ dx) == pytest.approx(bulk.mass, rel=1e-10, abs=2e-16)


def test_edges_where_the_solver_stops_short_of_them() -> None:
    """Ten variances times twenty scales: within 1e-6 of some edges no solution is reached."""
    law = rf.Covariance.power_law(1.0, 10)
    model = rf.RandomFeatureModel(64, 8, 0.1, law, scale=rf.ScaleLaw.student(3, 20))
    answer = rf.theory.support(model)
    assert answer.converged and len(answer.bulks) == 19
    assert answer.mass == pytest.approx(1, abs=1e-12)
    for bulk in answer.bulks:
        coarse, fine = (float(rf.theory.density(model, x) @ dx) for x, dx in map(bulk.nodes, (400, 800)))
        assert fine == pytest.approx(bulk.mass, abs=2e-16 + 2 * abs(fine - coarse), rel=1e-10)


def test_the_scan_reaches_the_eigenvalues_of_samples_far_larger_than_the_rest() -> None:
    """With relu a sample of scale 700 has an eigenvalue 700 times that of a common one."""
    for nu, atoms in ((5, 40), (2.5, 20)):
        model = rf.RandomFeatureModel(
            1.9, 1.9, 0.003, activation="relu", scale=rf.ScaleLaw.student(nu, atoms)
        )
        answer = rf.theory.support(model)
        assert answer.mass == pytest.approx(1, abs=1e-12)
        x, dx = answer.bulks[-1].nodes(200)
        assert float(rf.theory.density(model, x) @ dx) == pytest.approx(
            answer.bulks[-1].mass, rel=1e-12, abs=2e-16
        )


REFUSED: list[Callable[[], Any]] = [
    lambda: dataclasses.replace(MODEL, scale=2.0),
    lambda: scaled().constants,
    lambda: rf.theory.shares(scaled()),
    lambda: rf.theory.timescales(scaled()),
    lambda: rf.theory.loss_curves(scaled(), [-1.0]),
    lambda: rf.theory.scale_curves(scaled(), [-1.0]),
    lambda: rf.simulation.scale_curves(scaled(), [-1.0], 20, 0),
    lambda: rf.simulation.scale_curves(scaled(), [1.0], 20, 0, x=np.ones((40, 20))),
    lambda: rf.simulation.loss_curves(
        scaled(), [1.0], 20, 0, features="gaussian", x=np.ones((40, 20)), x_test=np.ones((4, 20))
    ),
    lambda: rf.theory.scale_curves(scaled(), [1.0]).grouped([0.5, 0.6]),
]


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        call()
