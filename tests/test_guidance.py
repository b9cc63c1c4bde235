"""Guided laws in closed form, against integration of the flow and of the moments, and against samples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from rfcore import diffusion
from rfcore.diffusion import guided_classes, guided_moments, tilted_classes

LAST = 14.0
POSITIVE = st.floats(0.1, 4.0)


def moments_by_integration(m, v, m0, v0, w, noise):
    """Mean and variance at t = 0 of the linear flow (noise 0) or SDE (noise 1), from N(0, 1) at t = LAST."""

    def velocity(s, y):
        u = math.exp(-(LAST - s))
        a, b = 1 + (v - 1) * u * u, 1 + (v0 - 1) * u * u
        f = 1 + noise
        pull, push = (1 + w) / a - w / b, (1 + w) * u * m / a - w * u * m0 / b
        return [y[0] * (1 - f * pull) + f * push, 2 * y[1] * (1 - f * pull) + 2 * noise]

    return solve_ivp(velocity, (0, LAST), [0.0, 1.0], "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]


@settings(derandomize=True, deadline=None, max_examples=20)
@given(POSITIVE, POSITIVE, st.floats(0, 4), st.sampled_from([("flow", 0), ("sde", 1)]))
def test_closed_moments_solve_the_equations_of_motion(v, v0, w, kind):
    law = guided_moments(1.3, v, -0.4, v0, w, kind[0])
    mean, variance = moments_by_integration(1.3, v, -0.4, v0, w, kind[1])
    assert float(law.mean) == pytest.approx(mean, rel=3e-5, abs=3e-5)
    assert float(law.variance) == pytest.approx(variance, rel=1e-7)


@pytest.mark.parametrize("law", diffusion.guidance.LAWS)
def test_guidance_does_nothing_at_zero_and_shifts_at_equal_variances(law):
    none = guided_moments(1.3, 0.5, 0.2, 2.0, 0.0, law)
    assert (float(none.mean), float(none.variance)) == pytest.approx((1.3, 0.5), rel=1e-12)
    near = [guided_moments(1.3, 0.5, 0.2, 0.5 * (1 + e), 2.0, law) for e in (0.0, 1e-7, -2e-6, 2e-6)]
    for each in near:
        assert float(each.mean) == pytest.approx(3 * 1.3 - 2 * 0.2, abs=2e-5)
        assert float(each.variance) == pytest.approx(0.5, abs=1e-5)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.floats(0.05, 0.95), st.floats(0.05, 6))
def test_the_flow_shrinks_most_and_the_tilted_law_is_another(r, w):
    flow, sde, tilted = (
        float(guided_moments(1, r, 0, 1, w, law).variance) for law in ("flow", "sde", "tilted")
    )
    assert flow < sde and flow < tilted


def test_the_tilted_density_is_the_product_of_powers():
    w, s, prior = 1.7, 0.9, 0.3

    def power(y):
        inside, other = math.exp(-((y - s) ** 2) / 2), math.exp(-((y + s) ** 2) / 2)
        return inside ** (1 + w) / (prior * inside + (1 - prior) * other) ** w

    total = quad(power, -12, 14, points=[0, s])[0]
    y = np.array([-1.0, 0.3, 2.5])
    np.testing.assert_allclose(tilted_classes(w, s, y, prior), [power(v) / total for v in y], rtol=1e-9)


@pytest.mark.parametrize("prior", [0.5, 0.1])
def test_the_reduced_flow_is_the_flow_of_the_guided_score(prior):
    """One equation without mu and sigma against the sampler with mixture scores, in two dimensions."""
    mu, sigma, w = 1.2, 0.8, 1.5
    both = diffusion.MixtureScore([prior, 1 - prior], [[mu, 0], [-mu, 0]], [sigma**2 * np.eye(2)] * 2)
    one = diffusion.GaussianScore([mu, 0], sigma**2 * np.eye(2))
    z = np.random.default_rng(0).standard_normal((20, 2))
    t = np.concatenate([np.linspace(12, 1, 600), np.geomspace(1, 1e-6, 1200)[1:]])
    x = diffusion.sample(diffusion.GuidedScore(one, both, w), z, t, "heun")
    np.testing.assert_allclose(x[:, 0] / sigma, guided_classes(w, [mu / sigma], z[:, 0], prior)[0], atol=2e-3)
    np.testing.assert_allclose(x[:, 1], sigma * z[:, 1], atol=2e-4)


def test_without_guidance_the_classes_are_left_alone():
    z = np.linspace(-3, 3, 7)
    found = guided_classes(0.0, [0.0, 1.0, 5.0], z)
    np.testing.assert_allclose(found, [z, z + 1, z + 5], atol=1e-9)


def test_decisions_come_when_one_point_has_half_of_the_weight():
    """Two points at +-1: the heavier weight is 1/(1 + exp(-2 e^-t |x|/Delta)), never half, but just above."""
    data = np.array([[1.0], [-1.0], [0.0]])
    t = np.array([3.0, 1.0, 0.1])
    path = np.array([[[0.0], [3.0]], [[0.0], [3.0]], [[0.02], [0.9]]])
    weights = np.stack(
        [diffusion.EmpiricalScore(data).weights(x, s).max(axis=1) for x, s in zip(path, t, strict=True)]
    )
    found = diffusion.decision_times(data, path, t)
    for k in range(2):
        open_at = t[weights[:, k] <= 0.5]
        assert found[k] == (open_at.min() if open_at.size else t[0])


def test_empirical_guidance_ends_on_points_of_its_class():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((30, 4))
    scores = diffusion.EmpiricalScore(points[:6]), diffusion.EmpiricalScore(points)
    t = np.geomspace(4, 1e-4, 150)
    for w in (0.0, 2.0, 5.0):
        x = diffusion.sample(diffusion.GuidedScore(*scores, w), rng.standard_normal((40, 4)), t, "ddim")
        distance = np.linalg.norm(x[:, None] - points[:6], axis=2).min(axis=1)
        assert np.quantile(distance, 0.9) < 0.05


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: diffusion.GuidedScore(None, None, -1.0), "weight"),
        (lambda: guided_moments(0, -1.0, 0, 1, 1), "variance"),
        (lambda: guided_moments(0, 1.0, 0, 0.0, 1), "free_variance"),
        (lambda: guided_moments(0, 1.0, 0, 1, -1), "weight"),
        (lambda: guided_moments(0, 1.0, 0, 1, 1, "other"), "law"),
        (lambda: guided_moments(0, 3.0, 0, 1, 1, "tilted"), r"1 \+ w - w r"),
        (lambda: guided_classes(-1, [1.0], [0.0]), "weight"),
        (lambda: guided_classes(1, [-1.0], [0.0]), "separation"),
        (lambda: guided_classes(1, [1.0], [0.0], 1.0), "prior"),
        (lambda: tilted_classes(1, 1.0, [0.0], 1.5), "prior"),
        (lambda: diffusion.decision_times(np.ones((3, 1)), np.ones((2, 3, 1)), [1.0, 2.0]), "times"),
    ],
)
def test_bad_input_is_refused_by_name(make, named):
    with pytest.raises(ValueError, match=rf"^{named} = .* is not allowed"):
        make()
