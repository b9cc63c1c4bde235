"""Stochastic Lanczos quadrature against full eigendecompositions, traces and the limit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf
from rfcore.simulation import products
from rfcore.simulation.features import training
from rfcore.simulation.lanczos import Spectrum, lanczos
from rfcore.simulation.products import product
from rfcore.simulation.setting import setting

KINDS = [("gaussian", math.inf), ("gaussian", 3), ("nonlinear", 3), ("nonlinear", math.inf)]
EPS = 2.2e-16


def model(**changes):
    return rf.RandomFeatureModel(**{"psi_p": 8, "psi_n": 2, "t": 0.05, **changes})


def symmetric(size, seed, decades=4):
    """A matrix with eigenvalues over some decades, as spectra of U have, and a start vector."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    values = 10 ** rng.uniform(-decades, 0, size)
    return torch.as_tensor(basis * values @ basis.T), rng.standard_normal(size)


def run(matrix, start, steps):
    diagonal, off, error = lanczos(lambda v: v @ matrix, torch.as_tensor(np.atleast_2d(start)), steps)
    return Spectrum(diagonal, off, 0.0, 0.0, len(matrix), error)


@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_moments_below_twice_the_steps_equal_traces(steps):
    """With all unit vectors as probes the mean over probes is the trace itself."""
    matrix, _ = symmetric(40, steps)
    found = run(matrix, np.eye(40), steps)
    for power in range(2 * steps):
        exact = float(torch.trace(torch.matrix_power(matrix, power))) / 40
        assert found.integral(lambda x, k=power: x**k).value == pytest.approx(
            exact, rel=50 * EPS * (power + 1)
        )
    assert found.error < 20 * EPS


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), steps=st.integers(2, 25), level=st.floats(-4, 0))
def test_staircases_are_at_most_one_step_away_from_the_measure(seed, steps, level):
    matrix, start = symmetric(30, seed)
    values, vectors = np.linalg.eigh(matrix.numpy())
    share = (start @ vectors) ** 2 / (start @ start)
    (nodes,), (weights,) = run(matrix, start, steps).rule
    x = 10**level
    exact, step = share[values < x].sum(), np.concatenate([[0], np.cumsum(weights), [1]])
    j = int(np.sum(nodes < x))
    assert step[max(j - 1, 0)] - 1e-12 <= exact <= step[min(j + 1, steps)] + 1e-12
    assert run(matrix, start, steps).below(x).value == pytest.approx(step[j], abs=1e-14)


@pytest.mark.parametrize(("features", "draws"), KINDS)
def test_as_many_steps_as_dimensions_give_all_eigenvalues(features, draws):
    """p = 512: every eigenvalue to round-off, by the smaller of U and its dual."""
    m = model(noise_draws=draws)
    values = rf.simulation.eigenvalues(m, 64, 1, features)
    size = {("gaussian", math.inf): 192, ("nonlinear", math.inf): 512}.get((features, draws), 384)
    found = rf.simulation.spectrum(m, 64, 1, features, probes=1, steps=size)
    nodes, weights = found.rule
    assert np.all(weights > 0)
    assert found.floor_mass == 1 - nodes.size / 512
    full = np.sort(np.append(nodes[0], np.full(512 - nodes.size, found.floor)))
    assert np.max(np.abs(full - values)) < EPS * 512 * values[-1]


@pytest.mark.parametrize("memory", [1.0, 1e9])
@pytest.mark.parametrize(("features", "draws"), KINDS[:3])
@pytest.mark.parametrize("psi_p", [0.7, 12])
def test_products_in_parts_are_products_with_u(monkeypatch, memory, features, draws, psi_p):
    monkeypatch.setattr(products, "PART", 120)  # a few samples at a time
    s = setting(model(psi_p=psi_p, noise_draws=draws), 20, 2, features)
    U, p = training(s)[0], len(s.M)
    found = product(s, memory)
    matrix = found.apply(torch.eye(found.size, dtype=U.dtype))
    again = found.apply(torch.eye(found.size, dtype=U.dtype))
    assert torch.equal(matrix, again), "parts made again are the same parts"
    if found.size == p:
        torch.testing.assert_close(
            matrix + found.shift * torch.eye(p, dtype=U.dtype),
            U,
            rtol=0,
            atol=1e-14 * float(U.abs().max()) * p,
        )
    values = torch.linalg.eigvalsh(matrix) + found.shift
    values = torch.cat([values, values.new_full((p - found.size,), found.shift)]).sort().values
    scale = float(values.max())
    torch.testing.assert_close(values, torch.linalg.eigvalsh(U), rtol=0, atol=EPS * p * scale)
    assert found.size == min(p, 60 if draws == math.inf else 120)


def test_parts_are_kept_if_they_fit_and_made_again_if_not(monkeypatch):
    made = []
    monkeypatch.setattr(products, "sample_parts", lambda s, rows: made.append(rows) or iter([s.x @ s.M.T]))
    for memory, passes in ((1e9, 1), (1.0, 3)):
        made.clear()
        found = product(setting(model(psi_p=0.7), 20, 0, "gaussian"), memory)
        for _ in range(3):
            found.apply(torch.ones(1, found.size, dtype=torch.float64))
        assert len(made) == passes


def test_standard_errors_cover_the_traces():
    z = []
    for seed in range(24):
        m = model(noise_draws=4, psi_p=3)
        values = rf.simulation.eigenvalues(m, 24, seed)
        found = rf.simulation.spectrum(m, 24, seed, probes=10, steps=30)
        for f in (lambda x: x, lambda x: x**2, lambda x: 1 / (1 + x)):
            estimate = found.integral(f)
            assert estimate.resolution < 1e-6
            z.append((estimate.value - np.mean(f(values))) / estimate.standard_error)
    # Student's t with nine degrees of freedom has variance 9/7
    assert 0.7 < np.mean(np.square(z)) < 2.1
    assert np.max(np.abs(z)) < 6


def test_masses_are_those_of_the_bulks_of_the_limit():
    """p = 4096: atom, third bulk, sample bulk and population bulk, at 55, 1, 7 and 1 in 64."""
    m = rf.RandomFeatureModel(64, 8, 0.01)
    support = rf.theory.support(m)
    cuts = [(support.atom.location + support.bulks[0].left) / 2]
    cuts += [math.sqrt(left * right) for left, right in support.gaps]
    found = rf.simulation.spectrum(m, 64, 0, "gaussian", probes=6, steps=90).masses(cuts)
    exact = np.array([support.atom.mass, *(bulk.mass for bulk in support.bulks)])
    assert found.value[0] == pytest.approx(exact[0], abs=1e-12), "the atom is known from the rank"
    assert np.all(np.abs(found.value - exact)[1:] < 4 * found.standard_error[1:] + found.resolution[1:])
    assert np.all(found.standard_error[1:] < 0.1 * exact[1:])
    assert np.all(found.resolution < 0.01 * exact)


@pytest.mark.parametrize("draws", [2, math.inf])
def test_resolvent_is_that_of_the_limit(draws):
    m = model(noise_draws=draws)
    z = np.array([0.05 + 0.05j, 1 + 0.5j, 5 + 1j, -0.1])
    exact = rf.theory.resolvent(m, z).q
    found = rf.simulation.spectrum(m, 128, 0, "gaussian", probes=8, steps=60).resolvent(z)
    assert np.all(np.abs(found.value - exact) < 4 * found.standard_error + 0.5 * np.abs(exact) / 128)
    assert np.all(found.resolution < 1e-3 * np.abs(exact))


def test_an_exhausted_run_gives_weight_to_no_further_node():
    matrix = torch.diag(torch.tensor([1.0, 1, 1, 2, 2, 7], dtype=torch.float64))
    found = run(matrix, np.ones(6), 6)
    nodes, weights = found.rule
    real = weights[0] > 0.01
    assert found.error < 1e-14, "no vectors made of round-off"
    np.testing.assert_allclose(nodes[0][real], [1, 2, 7], rtol=1e-14)
    np.testing.assert_allclose(weights[0][real], [1 / 2, 1 / 3, 1 / 6], rtol=1e-13)
    assert np.sum(weights[0][~real]) < 1e-25


def test_one_probe_has_no_standard_error_and_seeds_reproduce():
    first, again = (rf.simulation.spectrum(model(), 16, 3, "gaussian", probes=1, steps=9) for _ in range(2))
    assert np.array_equal(first.diagonal, again.diagonal)
    assert np.isnan(first.below(1.0).standard_error)
    other = rf.simulation.spectrum(model(), 16, 4, "gaussian", probes=1, steps=9)
    assert not np.array_equal(first.diagonal, other.diagonal)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"probes": 0}, "probes"),
        ({"steps": 0}, "steps"),
        ({"steps": 500}, "steps = 500"),
        ({"memory": -1}, "memory"),
        ({"seed": 0.5}, "seed"),
        ({"features": "linear"}, "features"),
    ],
)
def test_bad_input_is_named(changes, named):
    with pytest.raises(ValueError, match=named):
        rf.simulation.spectrum(**{"model": model(), "d": 10, "seed": 0, "steps": 5, **changes})


def test_a_matrix_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(products, "_memory", lambda device: 1e4)
    with pytest.raises(ValueError, match=r"d = 10 .* at most 12"):
        rf.simulation.spectrum(model(), 10, 0)
    with pytest.raises(ValueError, match="ascending"):
        rf.simulation.spectrum(model(), 10, 0, "gaussian", steps=5).masses([1.0, 0.5])
