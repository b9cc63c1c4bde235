"""The density of the guided flow: its own flow forwards, its integral, and samples of the guided score."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from rfcore import diffusion
from rfcore.diffusion import guided_classes, guided_density


@pytest.mark.parametrize(("w", "s", "prior"), [(0.5, 1.0, 0.5), (2.0, 3.0, 0.5), (4.0, 2.0, 0.1)])
def test_density_is_that_of_the_images_of_gaussian_numbers(w, s, prior):
    """Mass between two images against the Gaussian mass between their origins: nothing is differentiated."""
    z = np.linspace(-3, 3, 7)
    ends = guided_classes(w, [s], z, prior)[0]
    mass = []
    for low, high in zip(ends, ends[1:], strict=False):
        nodes, weights = np.polynomial.legendre.leggauss(40)
        y = (low + high) / 2 + (high - low) / 2 * nodes
        mass.append(weights @ guided_density(w, s, y, prior) * (high - low) / 2)
    exact = [(math.erf(b / 2**0.5) - math.erf(a / 2**0.5)) / 2 for a, b in zip(z, z[1:], strict=False)]
    np.testing.assert_allclose(mass, exact, rtol=1e-8)


def test_samples_of_the_guided_score_have_this_density():
    mu, sigma, w = 1.5, 0.5, 1.0
    both = diffusion.MixtureScore([0.5, 0.5], [[mu], [-mu]], np.full((2, 1, 1), sigma**2))
    score = diffusion.GuidedScore(diffusion.GaussianScore([mu], [[sigma**2]]), both, w)
    z = np.random.default_rng(0).standard_normal((1500, 1))
    t = np.concatenate([np.linspace(10, 1, 150), np.geomspace(1, 1e-4, 250)[1:]])
    x = diffusion.sample(score, z, t, "heun")[:, 0] / sigma
    grid = np.linspace(-3, 9, 2001)
    below = np.cumsum(guided_density(w, mu / sigma, grid)) * (grid[1] - grid[0])
    assert below[-1] == pytest.approx(1, abs=1e-6)
    assert kstest(x, lambda y: np.interp(y, grid, below)).pvalue > 1e-3


def test_no_separation_and_no_guidance_leave_a_gaussian():
    y = np.array([[0.0, 1.0], [-2.0, 3.5]])
    bell = np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_array_equal(guided_density(3.0, 0.0, y), bell)
    np.testing.assert_allclose(guided_density(0.0, 4.0, y + 4), bell, rtol=1e-8)
    assert guided_density(1.0, 1.0, []).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1.0, 1.0, [0.0]), "weight"),
        ((1.0, -1.0, [0.0]), "separation"),
        ((1.0, 1.0, [math.nan]), "y"),
        ((1.0, 1.0, [0.0], 1.0), "prior"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, named):
    with pytest.raises(ValueError, match=rf"^{named} = .* is not allowed"):
        guided_density(*arguments)
