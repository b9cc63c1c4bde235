"""Edges, masses and atoms against closed forms, drawn matrices, integrated densities and published values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rfcore as rf
from rfcore.theory import density, resolvent, support

TWO = rf.Covariance([0.5, 1.5], [0.5, 0.5])


def edges(answer, offset=False):
    names = ("left_offset", "right_offset") if offset else ("left", "right")
    return np.array([getattr(bulk, name) for bulk in answer.bulks for name in names])


def masses(answer):
    return np.array([bulk.mass for bulk in answer.bulks])


def drawn(model, d, seed, noise=True):
    """Eigenvalues of one Gaussian-equivalent U, built by its definition; without the s^2 I if not noise."""
    rng = np.random.default_rng(seed)
    p, n = round(model.psi_p * d), round(model.psi_n * d)
    c, m = model.constants, model.noise_draws
    root = np.sqrt(model.covariance.quantiles(d)) * math.exp(-model.t) * c.a
    M = rng.standard_normal((p, d)) / np.sqrt(d)
    G = M * root @ rng.standard_normal((d, n)) + math.sqrt(c.v2) * rng.standard_normal((p, n))
    if math.isinf(m):
        return np.linalg.eigvalsh(G @ G.T / n + c.b**2 * M @ M.T + noise * c.s2 * np.eye(p))
    U = np.zeros((p, p))
    for _ in range(m):
        F = G + c.b * M @ rng.standard_normal((d, n)) + math.sqrt(c.s2) * rng.standard_normal((p, n))
        U += F @ F.T / (n * m)
    return np.linalg.eigvalsh(U)


def mass_by_quadrature(model, bulk, points=120):
    """Integral of the density, with x = s^2 + exp(h + c cos theta) (x itself if the bulk straddles s^2)."""
    theta = (np.arange(points) + 0.5) * np.pi / points
    straddles = bulk.left_offset <= 0
    low, high = (bulk.left, bulk.right) if straddles else (bulk.left_offset, bulk.right_offset)
    h, c = math.log(low * high) / 2, math.log(high / low) / 2
    y = np.exp(h + c * np.cos(theta))
    x = y if straddles else model.constants.s2 + y
    return np.sum(density(model, x) * y * c * np.sin(theta)) * np.pi / points


# ------------------------------------------------------------------------------- published values


def test_isotropic_check_values():
    answer = support(rf.RandomFeatureModel(64, 8, 0.01))
    want = [
        0.0036831714791,
        0.0101885324395,
        0.0913296405670,
        0.3594744930192,
        9.8358772785305,
        44.692971576300,
    ]
    np.testing.assert_allclose(edges(answer), want, rtol=1e-11)
    np.testing.assert_allclose(masses(answer), [1 / 64, 7 / 64, 1 / 64], rtol=1e-13)
    assert answer.atom.mass == pytest.approx(55 / 64, rel=1e-13)
    assert answer.atom.location == pytest.approx(0.00187354959, rel=1e-8)


@pytest.mark.parametrize(
    "psi_p, psi_n, t, m, left, right",
    [
        (64, 8, 0.01, 200, 0.0038, 0.0102),
        (64, 8, 0.01, 50, 0.0041, 0.0103),
        (64, 8, 0.01, 20, 0.0047, 0.0106),
        (32, 8, 0.03, 50, 0.0079, 0.0143),
        (64, 8, 0.1, 50, 0.0267, 0.0481),
    ],
)
def test_third_bulk_with_finite_noise_draws(psi_p, psi_n, t, m, left, right):
    """The table of the theory sheet (read off a density grid)."""
    bulk = support(rf.RandomFeatureModel(psi_p, psi_n, t, noise_draws=m)).bulks[1]
    assert (bulk.left, bulk.right) == (pytest.approx(left, rel=0.01), pytest.approx(right, rel=0.01))
    assert bulk.mass == pytest.approx(1 / psi_p, rel=1e-12)


@pytest.mark.parametrize(
    "t, psi_n, ratio", [(0.01, 8, 1.184), (0.03, 4, 1.697), (0.1, 4, 3.97), (0.1, 32, 2.10)]
)
def test_detachment_thresholds(t, psi_n, ratio):
    """p/n at which the third bulk separates, by the theory sheet."""
    last = 1.5 if ratio > 3 else 0.6
    below = support(rf.RandomFeatureModel(psi_n * (ratio - last * 0.01), psi_n, t))
    above = support(rf.RandomFeatureModel(psi_n * (ratio + last * 0.01), psi_n, t))
    assert (len(below.bulks), len(above.bulks)) == (2, 3)


# ------------------------------------------------------------------------------- independent routes


@pytest.mark.parametrize(
    "model, seed",
    [
        (rf.RandomFeatureModel(12, 2, 0.05), 1),
        (rf.RandomFeatureModel(6, 3, 0.1, covariance=TWO), 2),
        (rf.RandomFeatureModel(5, 2, 0.1, covariance=TWO, noise_draws=1), 3),
        (rf.RandomFeatureModel(10, 2, 0.05, noise_draws=20), 4),
        (rf.RandomFeatureModel(4, 2, 0.3, covariance=TWO, activation="identity", noise_draws=3), 5),
        (rf.RandomFeatureModel(6, 2, 0.3, covariance=rf.Covariance.low_rank(0.4), activation="relu"), 6),
        (rf.RandomFeatureModel(0.4, 3, 0.2, covariance=TWO, noise_draws=2), 7),
    ],
)
def test_against_a_drawn_matrix(model, seed):
    """Eigenvalues per bulk are counted exactly (they are rigid), and the edges agree to their fluctuation."""
    d = 100
    answer = support(model)
    x = drawn(model, d, seed)
    p = x.size
    slack = 4 * p ** (-2 / 3)  # edges fluctuate on this relative scale
    count = 0
    if answer.atom:
        low = answer.bulks[0].left
        count = np.count_nonzero(x < (answer.atom.location + low) / 2)
        assert count == pytest.approx(answer.atom.mass * p, abs=1e-6)
    for bulk, gap in zip(answer.bulks, [*answer.gaps, (answer.bulks[-1].right, 1e9)], strict=True):
        inside = np.sort(x)[count : count + round(bulk.mass * p)]
        width = bulk.right - bulk.left
        assert inside[0] > bulk.left - slack * width and inside[-1] < bulk.right + slack * width
        assert np.ptp(inside) > 0.7 * width
        assert inside[-1] < (gap[0] + gap[1]) / 2
        count += inside.size
    assert count == p


@pytest.mark.parametrize("m", [math.inf, 50, 5, 2, 1])
@pytest.mark.parametrize("psi_p, psi_n, t", [(3, 2, 0.1), (64, 8, 0.01), (0.5, 4, 0.3), (7, 0.3, 1.0)])
def test_masses_are_integrals_of_the_density(psi_p, psi_n, t, m):
    model = rf.RandomFeatureModel(psi_p, psi_n, t, covariance=TWO, noise_draws=m)
    for bulk in support(model).bulks:
        assert mass_by_quadrature(model, bulk) == pytest.approx(bulk.mass, rel=1e-9)


@pytest.mark.parametrize("m", [math.inf, 7, 1])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_square_root_law(m, activation):
    """density^2 is linear at an edge: extrapolated from two points inside it vanishes there."""
    model = rf.RandomFeatureModel(8, 3, 0.1, covariance=TWO, activation=activation, noise_draws=m)
    for bulk in support(model).bulks:
        h = 1e-5 * min(bulk.right - bulk.left, abs(bulk.left_offset))
        for edge, step in ((bulk.left, h), (bulk.right, -h)):
            one, two, four = density(model, edge + step * np.array([1.0, 2.0, 4.0])) ** 2
            assert two / one == pytest.approx(2, rel=0.02)
            # The value at distance 0 of the parabola through the three.
            assert abs(8 * one - 6 * two + four) / 3 < 1e-6 * one


@pytest.mark.parametrize(
    "model",
    [
        rf.RandomFeatureModel(5, 4, 0.1, covariance=TWO),
        rf.RandomFeatureModel(6, 2, 0.1, covariance=TWO, noise_draws=3),
        rf.RandomFeatureModel(1, 2, 0.1, covariance=TWO, activation="identity"),
        rf.RandomFeatureModel(7, 1, 0.1, covariance=TWO, activation="identity", noise_draws=1),
    ],
)
def test_hard_edges(model):
    """p = n + d, p = n m, p = d, n = d: the density grows like an inverse square root."""
    answer = support(model)
    bulk = answer.bulks[0]
    place = model.constants.s2 if math.isinf(model.noise_draws) else 0.0
    assert bulk.hard and bulk.left == place
    y = bulk.right_offset * np.array([1e-8, 4e-8]) if place else bulk.right * np.array([1e-8, 4e-8])
    one, two = density(model, place + y)
    assert one / two == pytest.approx(2, rel=1e-3)
    assert answer.mass == pytest.approx(1, abs=1e-12)


# ------------------------------------------------------------------------------- limits


def test_marchenko_pastur_for_the_identity():
    """At large n U = (alpha^2 lambda + b^2) M M^T, whose edges are those of Marchenko and Pastur."""
    for psi_p in (0.3, 5.0):
        model = rf.RandomFeatureModel(psi_p, 1e4, 0.3, rf.Covariance.isotropic(2.0), "identity")
        c = model.constants
        level = c.a**2 * math.exp(-0.6) * 2 + c.b**2
        (bulk,) = support(model).bulks
        want = level * (1 + np.array([-1, 1]) * math.sqrt(psi_p)) ** 2
        # The sample covariance at n = 1e4 d is off by 1/psi_n in each moment at leading order.
        np.testing.assert_allclose([bulk.left, bulk.right], want, rtol=3e-4)
        model = rf.RandomFeatureModel(psi_p, 1e4, 0.3, rf.Covariance.isotropic(2e-9), "identity")
        (bulk,) = support(model).bulks  # hardly any data: U = b^2 M M^T, whatever n is
        want = model.constants.b**2 * (1 + np.array([-1, 1]) * math.sqrt(psi_p)) ** 2
        np.testing.assert_allclose([bulk.left, bulk.right], want, rtol=1e-8)


def test_one_sample_draw_of_the_identity_is_a_product_of_two_laws():
    """m = 1, identity: M (YY^T/n) M^T scaled; its edges solve the discriminant of a known cubic."""
    psi_p, psi_n = 3.0, 2.0
    model = rf.RandomFeatureModel(psi_p, psi_n, 0.3, activation="identity", noise_draws=1)
    level = model.constants.a**2 * math.exp(-0.6) + model.constants.b**2
    # With the S-transforms S(x) = 1/(psi_p + x) and 1/(1 + x/psi_n) of the d x d factors, the inverse
    # function of the moment series is z = (1 + x)(psi_p + x)(1 + x/psi_n)/x.
    slope = np.polynomial.Polynomial([-psi_p * psi_n, 0, 1 + psi_p + psi_n, 2])
    x = np.real([r for r in slope.roots() if abs(r.imag) < 1e-12])
    z = level * (1 + x) * (psi_p + x) * (1 + x / psi_n) / x
    (bulk,) = support(model).bulks
    assert min(abs(z / bulk.right - 1)) < 1e-12
    assert min(abs(z / bulk.left - 1)) < 1e-12


def test_many_noise_draws_are_the_exact_average():
    exact = support(rf.RandomFeatureModel(64, 8, 0.01))
    error = []
    for m in (10**4, 10**5, 10**6):
        answer = support(rf.RandomFeatureModel(64, 8, 0.01, noise_draws=m))
        contrast = answer.bulks[0]  # the atom at s^2, broadened by sqrt(p/(n m))
        assert contrast.mass == pytest.approx(exact.atom.mass, abs=1e-12)
        half = (contrast.right - contrast.left) / 2 / exact.atom.location
        assert half == pytest.approx(2 * math.sqrt(8 / m * (1 - 1 / 64 - 8 / 64)), rel=0.05)
        error.append(np.max(np.abs(edges(answer)[2:] / edges(exact) - 1)))
    order = -np.diff(np.log10(error))
    np.testing.assert_allclose(order, 1, atol=0.05)


def test_bulks_that_crowd_at_large_times():
    """t = 3: v^2/s^2 ~ 1e-8.  A drawn U - s^2 has the theory's counts, in units of the distance to s^2."""
    model = rf.RandomFeatureModel(6, 2, 2.9, noise_draws=math.inf)
    answer = support(model)
    offsets = edges(answer, offset=True)
    assert offsets[0] < 1e-5 * model.constants.s2 and np.all(np.diff(offsets) > 0)
    d = 60
    x = drawn(model, d, 0, noise=False)[(6 - 2 - 1) * d :]
    cuts = np.cumsum(np.round(masses(answer) * 6 * d).astype(int))[:-1]
    for bulk, part in zip(answer.bulks, np.split(x, cuts), strict=True):
        width = bulk.right_offset - bulk.left_offset
        assert bulk.left_offset - 0.15 * width < part[0] and part[-1] < bulk.right_offset + 0.15 * width


def test_what_is_closer_than_1e12_is_one_bulk():
    """At t = 3 and n = 1e4 d the sample bulk is narrower than the resolution of x, not of x - s^2."""
    answer = support(rf.RandomFeatureModel(2e3, 1e2, 3.0, rf.Covariance([1e-4, 1e-2])))
    assert answer.mass == pytest.approx(1, abs=1e-12)
    gaps = [(b.left - a.right) / b.left for a, b in zip(answer.bulks, answer.bulks[1:], strict=False)]
    assert min(gaps) > 1e-12
    assert all(b.right_offset > b.left_offset for b in answer.bulks)


# ------------------------------------------------------------------------------- any question


@st.composite
def questions(draw):
    exponent = st.floats(-1, 1)
    size = draw(st.integers(1, 8))
    lam = [10.0 ** draw(st.floats(-3, 1.5)) for _ in range(size)]
    if size > 1 and draw(st.booleans()):
        lam[0] = 0.0
    weights = np.array([draw(st.integers(1, 20)) for _ in range(size)], dtype=float)
    return rf.RandomFeatureModel(
        10 ** (1 + 3 * draw(exponent)),
        10 ** (1 + 3 * draw(exponent)),
        10 ** (-1.25 + 1.7 * draw(exponent)),
        rf.Covariance(lam, weights / weights.sum()),
        draw(st.sampled_from(["tanh", "relu", "erf", "sin", "identity"])),
        draw(st.sampled_from([math.inf, 1, 2, 5, 50, 10**6])),
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(questions())
def test_any_question(model):
    answer = support(model)
    assert answer.converged and answer.edge_error < 1e-10 and answer.mass_error < 1e-9
    assert answer.mass == pytest.approx(1, abs=1e-9)
    assert np.all(masses(answer) > 0)
    assert np.all(np.diff(edges(answer, offset=True)) > 0)
    low, high = np.array([[b.left_offset, b.right_offset] for b in answer.bulks]).T
    centre = model.constants.s2 + np.where(low > 0, np.sqrt(np.abs(low * high)), (low + high) / 2)
    wide = high - low > 1e-9 * model.constants.s2
    q = resolvent(model, centre[wide]).q
    assert np.all(q.imag > 1e-7 * np.abs(q))
    gaps = np.array([(a + b) / 2 for a, b in answer.gaps if b - a > 1e-8 * b])
    if gaps.size:
        q = resolvent(model, gaps).q
        assert np.all(np.abs(q.imag) < 1e-9 * np.abs(q))


@pytest.mark.parametrize("m", [math.inf, 20])
def test_two_hundred_atoms(m):
    model = rf.RandomFeatureModel(16, 4, 0.05, rf.Covariance.power_law(1.5, 200), noise_draws=m)
    answer = support(model)
    assert answer.mass == pytest.approx(1, abs=1e-12) and answer.edge_error < 1e-10
    assert len(answer.bulks) > 3
    total = sum(mass_by_quadrature(model, bulk, 40) for bulk in answer.bulks[-3:])
    assert total == pytest.approx(sum(b.mass for b in answer.bulks[-3:]), rel=1e-9)


def test_an_eigenvalue_far_above_the_others_needs_a_fine_scan() -> None:
    """Two bulks split by the sign rule at 1 - n/p, where the coarse scans see contradictory gaps."""
    lam = [
        0.10343266425312171,
        0.42755268405097874,
        548.4097054735442,
        0.32207083815342036,
        0.5530367470334019,
    ]
    weights = [
        0.7186205509995592,
        0.013661338525221953,
        0.012150573393442207,
        0.2423192941213812,
        0.013248242960395349,
    ]
    law = rf.Covariance(lam, weights)
    model = rf.RandomFeatureModel(
        0.12201633561402936, 0.02469407694313151, 0.0010671694214602835, law, "sin", 1000
    )
    answer = rf.theory.support(model)
    assert [bulk.mass for bulk in answer.bulks] == pytest.approx(
        [1 - model.psi_n / model.psi_p, model.psi_n / model.psi_p], abs=1e-12
    )
    inside = [math.sqrt(bulk.left * bulk.right) for bulk in answer.bulks]
    assert np.all(rf.theory.density(model, inside) > 0)
    (left, right), *_ = answer.gaps
    assert np.all(rf.theory.density(model, np.linspace(1.01 * left, 0.99 * right, 50)) < 1e-9)
