"""The real curve, where bulks merge, and the leading-order places of the bulks."""

import dataclasses
import math

import numpy as np
import pytest

import rfcore as rf
from rfcore.theory.asymptotic import third_bulk, two_bulks
from rfcore.theory.inverse_map import real_curve
from rfcore.theory.quantiles import quantiles
from rfcore.theory.resolvent import density, resolvent
from rfcore.theory.support import support
from rfcore.theory.transition import bulk_transition

TWO = rf.Covariance([0.5, 1.5], [0.5, 0.5])


@pytest.mark.parametrize("m", [math.inf, 100, 7, 2, 1])
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_real_curve_is_the_resolvent_in_gaps_and_only_there(m, activation):
    """Each point of a gap is the resolvent at its z; every point not so marked is another solution."""
    model = rf.RandomFeatureModel(6, 2, 0.2, TWO, activation, m)
    wide = np.geomspace(1e-3, 40, 60)
    curve = real_curve(model, np.concatenate([-wide[::-1], wide]))
    found = np.isfinite(curve.z) & (np.abs(curve.z) > 1e-9)
    z = curve.z[found]
    q = resolvent(model, z).q
    same = np.abs(q - curve.q[found]) < 1e-7 * np.abs(q)
    assert np.array_equal(same, curve.gap[found])
    assert curve.gap.sum() > 20 and (found & ~curve.gap).sum() > 20
    mass_below = [sum(b.mass for b in support(model).bulks if b.right < x) for x in curve.z[curve.gap]]
    atom = support(model).atom
    below_atom = curve.z[curve.gap] > (atom.location if atom else math.inf)
    np.testing.assert_allclose(
        curve.below[curve.gap], mass_below + below_atom * (atom.mass if atom else 0), atol=1e-12
    )


def test_narrow_gaps_are_found():
    """On both sides of a threshold that is found from afar the number of bulks is right."""

    def question(ratio):
        return rf.RandomFeatureModel(8 * ratio, 8, 0.01)

    found = bulk_transition(question, 1.02, 4.0, tolerance=1e-10)
    near = [
        len(support(question(found.value * (1 + x))).bulks) for x in (-1e-3, -1e-6, -1e-8, 1e-8, 1e-6, 1e-3)
    ]
    assert near == [2, 2, 2, 3, 3, 3]


def test_slope_is_the_derivative():
    model = rf.RandomFeatureModel(6, 2, 0.2, TWO, noise_draws=5)
    w = np.geomspace(0.2, 30, 40)
    h = 1e-5
    low, here, high = (real_curve(model, w * f) for f in (1 - h, 1.0, 1 + h))
    gap = here.gap & low.gap & high.gap
    ratio = (high.z - low.z)[gap] / (1 / low.q - 1 / high.q)[gap]
    np.testing.assert_allclose(ratio, here.slope[gap], rtol=1e-5)


def test_nodes_integrate_over_a_bulk():
    model = rf.RandomFeatureModel(6, 3, 0.1, TWO)
    for bulk in support(model).bulks:
        x, dx = bulk.nodes(80)
        assert np.all(np.diff(x) > 0)
        assert density(model, x) @ dx == pytest.approx(bulk.mass, rel=1e-10)
        assert dx.sum() == pytest.approx(bulk.right - bulk.left, rel=1e-3)


def test_transition_brackets_a_merger():
    found = bulk_transition(lambda r: rf.RandomFeatureModel(8 * r, 8, 0.01), 1.02, 4.0)
    assert (found.before, found.after) == (2, 3) and found.error < 1e-6 * found.value
    # A gap opens like the power 3/2 of the distance to the threshold.
    gaps = []
    for excess in (1e-4, 4e-4):
        model = rf.RandomFeatureModel(8 * found.value * (1 + excess), 8, 0.01)
        gaps.append(np.diff(support(model).gaps[0])[0])
    assert math.log(gaps[1] / gaps[0], 4) == pytest.approx(1.5, abs=0.05)


def test_transition_among_integers():
    def question(m):
        return rf.RandomFeatureModel(64, 8, 0.01, noise_draws=m)

    found = bulk_transition(question, 5, 10**4, whole=True)
    count = [len(support(question(m)).bulks) for m in (found.value - 1, found.value)]
    assert count == [found.before, found.after] == [3, 4]


def test_published_edges_are_reached_at_the_stated_rates():
    """Sample bulk: error 1/psi_n; population bulk: error psi_n^-1/2 (fluctuating sample covariance)."""
    psi_n = np.array([64.0, 256.0, 1024.0])
    sample, population = [], []
    for n in psi_n:
        model = rf.RandomFeatureModel(8 * n, n, 0.01)
        exact, limit = support(model).bulks, two_bulks(model)
        sample.append(exact[1].left / limit.sample[0] - 1)
        population.append(exact[2].right / limit.population[1] - 1)
        assert exact[1].mass == pytest.approx(limit.sample_mass - 1 / model.psi_p, rel=1e-12)
        assert exact[2].mass == pytest.approx(limit.population_mass, rel=1e-12)
    for error, order in ((sample, -1.0), (population, -0.5)):
        slope = np.diff(np.log(error)) / np.diff(np.log(psi_n))
        np.testing.assert_allclose(slope, order, atol=0.05)


@pytest.mark.parametrize("m", [math.inf, 30])
def test_third_bulk_is_where_the_limit_says(m):
    """Mean eigenvalue against lambda_3, atom by atom of the covariance: error of order 1/psi_n."""
    law = rf.Covariance([0.25, 4.0], [0.25, 0.75])
    error = []
    for n in (300.0, 1200.0):
        model = rf.RandomFeatureModel(8 * n, n, 0.03, law, noise_draws=m)
        limit = third_bulk(model)
        assert limit.separate.all()
        low = np.array([b for b in support(model).bulks if b.mass < 0.9 / model.psi_p][:2])
        places = []
        for bulk, weight in zip(low, [0.75, 0.25], strict=True):
            assert bulk.mass == pytest.approx(weight / model.psi_p, rel=1e-9)
            x, dx = bulk.nodes()
            places.append((density(model, x) * x) @ dx / bulk.mass)
        error.append(np.abs(np.array(places)[::-1] / limit.location - 1))
    assert np.all(error[1] < 0.01)
    np.testing.assert_allclose(error[0] / error[1], 4, rtol=0.3)


def test_weight_of_the_third_bulk():
    """The residue of (1/d) tr V^T R V = b^2 psi_p s is the integral of its density over the bulk."""
    model = rf.RandomFeatureModel(8000, 1000, 0.03)
    x, dx = support(model).bulks[0].nodes()
    carried = model.constants.b**2 * model.psi_p * resolvent(model, x).s.imag / math.pi @ dx
    assert carried == pytest.approx(third_bulk(model).weight[0], rel=5e-3)


def test_detachment_is_at_the_published_limit_of_large_samples():
    """gamma = (1 + delta)^2, approached slowly: the distance falls like psi_n^(-1/3)."""
    law, limit = rf.Covariance.isotropic(), math.exp(4 * 0.1)
    psi_n = np.array([64.0, 256.0, 1024.0])
    found = [
        bulk_transition(lambda r, n=n: rf.RandomFeatureModel(r * n, n, 0.1, law), 1.2, 8.0).value
        for n in psi_n
    ]
    slope = np.diff(np.log(np.array(found) - limit)) / np.diff(np.log(psi_n))
    assert np.all((slope > -0.45) & (slope < -0.28)) and abs(slope[1] + 1 / 3) < abs(slope[0] + 1 / 3)


def test_kernel_limit_of_finite_draws():
    """gamma -> infinity: lambda_3/gamma is the memorisation bulk of the Gram matrix (Urfin et al. 2026)."""
    model = rf.RandomFeatureModel(1e4, 1e-2, 0.2, TWO, noise_draws=9)
    c, gamma = model.constants, 1e6
    spread = math.exp(-0.4) * TWO.eigenvalues + model.delta
    want = c.v2 * (1 - 1 / 9) * model.delta / spread + c.s2 / 9
    np.testing.assert_allclose(third_bulk(model).location / gamma, want, rtol=1e-5)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: support("question"), "model = 'question' is not allowed"),
        (lambda: real_curve(rf.RandomFeatureModel(2, 2, 0.1, TWO), [-0.5]), "w = -0.5 is not allowed"),
        (lambda: real_curve(rf.RandomFeatureModel(2, 2, 0.1, TWO), [math.nan]), "w = nan is not allowed"),
        (lambda: two_bulks(rf.RandomFeatureModel(2, 2, 0.1, TWO)), "number of eigenvalues of covariance = 2"),
        (lambda: two_bulks(rf.RandomFeatureModel(2, 2, 0.1, noise_draws=3)), "noise_draws = 3"),
        (lambda: third_bulk(rf.RandomFeatureModel(2, 2, 0.1, noise_draws=1)), "noise_draws = 1"),
        (lambda: bulk_transition(lambda r: rf.RandomFeatureModel(r, 8, 0.1), 2, 1), "low = 2"),
        (lambda: bulk_transition(lambda r: rf.RandomFeatureModel(r, 8, 0.1), 2, 2.1), "both have"),
        (lambda: bulk_transition(lambda r: rf.RandomFeatureModel(r, 8, 0.1), -1, 2), "low = -1"),
        (
            lambda: bulk_transition(lambda r: rf.RandomFeatureModel(r, 8, 0.1), 1.5, 4, whole=True),
            "low = 1.5",
        ),
        (lambda: support(rf.RandomFeatureModel(2, 2, 0.1)).bulks[0].nodes(0), "points = 0"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match="not allowed") as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize("m", [math.inf, 3])
def test_quantiles(m):
    """Closed form of the mean eigenvalue; monotone; on the atom exactly; each level inside its bulk."""
    model = rf.RandomFeatureModel(5, 3, 0.2, TWO, noise_draws=m)
    x = quantiles(model, 2000)
    c = model.constants
    mean = c.v2 + c.s2 + c.b**2 + math.exp(-0.4) * c.a**2 * 1.0  # (1/p) tr U = <D> + v^2 + s^2
    assert x.mean() == pytest.approx(mean, rel=1e-3) and np.all(np.diff(x) >= 0)
    answer = support(model)
    if answer.atom:
        assert np.count_nonzero(x == answer.atom.location) == round(answer.atom.mass * 2000)
    for bulk in answer.bulks:
        assert np.count_nonzero((x > bulk.left) & (x < bulk.right)) == round(bulk.mass * 2000)


def test_questions_are_compared_at_equal_limits():
    """The same question with another activation moves every bulk, but no mass."""
    model = rf.RandomFeatureModel(64, 8, 0.01)
    other = dataclasses.replace(model, activation="erf")
    masses = [[b.mass for b in support(x).bulks] for x in (model, other)]
    np.testing.assert_allclose(masses[0], masses[1], rtol=1e-12)
