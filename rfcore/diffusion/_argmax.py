"""Quadrature of the exact law of the nearest point, :func:`rfcore.diffusion.collapse.argmax_law`."""

import math
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaincinv, gammaln, ive, ndtr, xlogy
from scipy.stats import ncx2

Array = npt.NDArray[np.float64]
NODES = (80, 200, 48)  # for |xi|, for |x|, for the segments of the ball
FEWER_NODES = (64, 160, 40)


def argmax_probability(n: int, d: int, variance: float, t: float, nodes: tuple[int, int, int]) -> float:
    """E[ (1 - P(|y| < centre))^{n-1} ] with y ~ N(|x|/sqrt(v) e_1, 1), centre = sqrt(Delta/v) |xi|."""
    ratio = math.expm1(2 * t) / variance  # Delta/v
    # Radii, not squares: their densities are smooth at 0 for every d >= 1. The variable is asinh(centre),
    # since the answer changes at centre of order 1, far below the typical centre when t is large.
    scale = math.sqrt(ratio)
    low, high = _range(d)
    u, weight_u = _legendre(math.asinh(scale * low), math.asinh(scale * high), nodes[0])
    xi = np.sinh(u) / scale
    total = 0.0
    for radius, weight in zip(xi, weight_u * np.cosh(u) / scale * _chi(xi, d), strict=True):
        centre = scale * radius
        # |x|/sqrt(v) lies within 9 standard deviations (each at most 1) of sqrt(d + centre^2). The excess
        # over centre is the variable: centre grows as e^t, and the others are then a small part of it.
        middle = d / (math.hypot(math.sqrt(d), centre) + centre)
        excess, weight_x = _legendre(max(middle - 9, -centre), middle + 9, nodes[1])
        with np.errstate(divide="ignore"):  # a nearer point for sure: log 0, and the probability is 0
            none_nearer = np.exp((n - 1) * np.log1p(-_ball(excess, centre, d, nodes[2])))
        total += weight * float(np.sum(weight_x * _noncentral_chi(excess, centre, d) * none_nearer))
    return total


def _ball(excess: Array, centre: float, d: int, nodes: int) -> Array:
    """P(|y| < centre) for y ~ N(r e_1, 1) in d dimensions, r = centre + excess, shape of r.

    The ball is cut into segments along e_1, at distance centre sin(angle) from that axis.
    """
    r = centre + excess
    if d == 1:
        return np.asarray(ndtr(-excess) - ndtr(-centre - r))
    low, high = (min(q, centre) for q in _range(d - 1))
    angle, weight = _legendre(math.asin(low / centre), math.asin(high / centre), nodes)
    off, half = centre * np.sin(angle), centre * np.cos(angle)
    # half - r without cancellation: centre - half = off^2/(centre + half)
    end = -(off**2) / (centre + half) - excess[:, None]
    inside = ndtr(end)
    if half[-1] + r[0] < 9:  # the far end of the segments: below 1e-18 otherwise
        inside = inside - ndtr(-half - r[:, None])
    return np.asarray(np.clip(inside @ (weight * half * _chi(off, d - 1)), 0.0, 1.0))


def _noncentral_chi(excess: Array, centre: float, d: int) -> Array:
    """Density of |y|, y ~ N(centre e_1, 1) in d dimensions, at r = centre + excess.

    r (r/centre)^nu I_nu(r centre) exp(-(r^2 + centre^2)/2), nu = d/2 - 1, with the scaled Bessel function
    (its asymptotic series where that has converged); through scipy's noncentral chi2 at small centre.
    """
    r, nu = centre + excess, d / 2 - 1
    if centre * math.hypot(math.sqrt(d), centre) < nu**2 + 1:
        return np.asarray(2 * r * ncx2.pdf(r**2, d, centre**2))
    z = r * centre
    series, term = np.ones_like(z), np.ones_like(z)
    for k in range(1, 9):
        term = -term * (4 * nu**2 - (2 * k - 1) ** 2) / (8 * k * np.maximum(z, 1e-300))
        series += term
    far = z > 1e5 * (nu**2 + 1)
    asymptotic = series / np.sqrt(2 * math.pi * np.maximum(z, 1e-300))
    bessel = np.where(far, asymptotic, ive(nu, np.where(far, 1.0, z)))
    return np.asarray(r * (r / centre) ** nu * np.exp(-(excess**2) / 2) * bessel)


def _chi(r: Array, d: int) -> Array:
    """Density of the radius of N(0, 1) in d dimensions."""
    return np.asarray(2 * np.exp(xlogy(d - 1, r) - r**2 / 2 - gammaln(d / 2) - d / 2 * math.log(2)))


@cache
def _range(d: int) -> tuple[float, float]:
    """Where that radius lies but for a probability of 1e-18 on either side."""
    low, high = gammaincinv(d / 2, 1e-18), gammainccinv(d / 2, 1e-18)
    return math.sqrt(2 * low), math.sqrt(2 * high)


@cache
def _nodes(count: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(count)


def _legendre(low: float, high: float, count: int) -> tuple[Array, Array]:
    x, w = _nodes(count)
    half = (high - low) / 2
    return low + half * (x + 1), half * w
