r"""Averages over the sample covariance S as a sum over nodes: E f(S)_kk = sum_q weights[k, q] f(x_q) + ...

On the real axis kappa(-x + i0) = -u + i w.  Its imaginary part vanishes outside of the support, and inside
it solves an equation that is monotone in w^2, for each u on its own,

    gamma <lambda^2/D> = 1,   D = (lambda - u)^2 + w^2,

and u -> x(u) = |kappa|^2 gamma <lambda/D> increases.  So the support is a set of intervals of u, found
gap by gap, and an integral over eigenvalues is one over u, with the density of mode k

    rho_k(x) = lambda_k w/(pi x D_k),   dx/du = 2 (w^2 M^2 + N^2)/M,
    M = gamma <lambda^2/D^2>,   N = gamma <lambda^2 (lambda - u)/D^2>.

Midpoints in phi, u - left = cos phi on a logarithmic scale, converge geometrically: w vanishes like sin phi.
Source: Marchenko and Pastur (1967); Silverstein and Choi (1995) for the support.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.covariance import Covariance
from rfcore.theory._kappa import SQUARE, smallest_kappa
from rfcore.theory._rank import positive

Floats = npt.NDArray[np.float64]
START, LARGEST = 24, 3072  # nodes of an interval; doubled until the masses are right
TOLERANCE = 1e-11
EDGE = 1e-22  # the finest scale of u next to n = rank
ALMOST = 1e-9


@dataclass(frozen=True, eq=False)
class SpectralRule:
    """Nodes and weights for E f(S)_kk = sum_q weights[k, q] f(x_q) + zero[k] f(0).

    x : (Q,) eigenvalues of S, ascending; weights : (K, Q); zero : (K,) share of mode k in the null space of S
    energy : (Q,) xi(x) = u^T Sigma u for the eigenvector u of S at x; null_energy : the same at x = 0, a mean
    over the null space (nan where there is none)
    error : largest error of the masses sum_q weights[k, q] + zero[k] = 1

    >>> rule = rf.theory.spectral_rule(rf.Covariance.isotropic(), gamma=2.0)
    >>> print(rule.zero.round(6), rule.modes(rule.x, np.array(0.0)).round(6))
    [0.5] [1.]
    """

    x: Floats
    weights: Floats
    zero: Floats
    energy: Floats
    null_energy: float
    error: float

    def modes(self, values: Floats, at_zero: float) -> Floats:
        """E f(S)_kk from f at the nodes (..., Q) and at 0, (..., K)."""
        return np.asarray(values @ self.weights.T + self.zero * at_zero)


@lru_cache(maxsize=8)
def spectral_rule(covariance: Covariance, gamma: float) -> SpectralRule:
    """The nodes and weights of a question, with as many nodes per interval as it takes for ``TOLERANCE``.

    covariance : the law of Sigma;  gamma : d/n > 0

    Raises nothing for gamma > 0.  Source: chapter 11 of the book.

    >>> rule = rf.theory.spectral_rule(rf.Covariance.isotropic(), gamma=0.5)
    >>> print(rule.x.min().round(2), rule.x.max().round(2))  # Marchenko-Pastur: (1 -/+ sqrt gamma)^2
    0.09 2.91
    """
    live = positive(covariance)
    lam, w = covariance.eigenvalues[live], covariance.weights[live]
    kappa_0, load = smallest_kappa(covariance, gamma), gamma * float(w.sum())
    if abs(load - 1) < ALMOST:  # the edge is closer to 0 than double precision resolves
        gamma /= load
    zero = kappa_0 / (lam + kappa_0) if kappa_0 > 0 else np.zeros(lam.size)
    parts = [_interval(lam, w, gamma, left, right) for left, right in support_of_u(lam, w, gamma)]
    x, energy = (np.concatenate([part[k] for part in parts]) for k in (0, 2))
    share = np.concatenate([part[1] for part in parts], axis=1)
    error = float(np.max(np.abs(share.sum(axis=1) + zero - 1)))
    full, null = np.zeros((live.size, x.size)), np.ones(live.size)
    full[live], null[live] = share, zero
    weights = covariance.weights
    mass = float(weights @ null)
    held = float(weights @ (null * np.where(live, covariance.eigenvalues, 0)))
    return SpectralRule(x, full, null, energy, held / mass if mass > 0 else math.nan, error)


def support_of_u(lam: Floats, w: Floats, gamma: float) -> list[tuple[float, float]]:
    """Intervals of u where gamma <lambda^2/(lambda - u)^2> > 1: the function is convex between atoms."""
    value, inverse = np.unique(lam, return_inverse=True)
    mass: Floats = gamma * np.bincount(inverse, w).astype(np.float64)
    outer = _edge(value, mass, 0, -1), _edge(value, mass, -1, 1)
    edges = [outer[0], *_gaps(value, mass).tolist(), outer[1]]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _excess(value: Floats, mass: Floats, u: Floats, square: Floats | float = 0.0) -> Floats:
    """sum mass value^2/D - 1, D = (value - u)^2 + square.

    Next to n = rank, where sum mass = 1 and the spectrum starts at u = 0, the 1 is taken out of each term.
    """
    spread = (value[:, None] - u) ** 2 + square
    total = float(mass.sum())
    if total > 2:
        return np.asarray((mass * value**2) @ (1 / spread) - 1)
    rest = mass @ ((2 * value[:, None] * u - u**2 - square) / spread)
    return np.asarray(rest + (total - 1 if abs(total - 1) > SQUARE else 0.0))


def _slope(value: Floats, mass: Floats, u: Floats) -> Floats:
    """Derivative of the excess in u, at square 0."""
    return np.asarray(2 * (mass * value**2) @ (1 / (value[:, None] - u) ** 3))


def _edge(value: Floats, mass: Floats, end: int, side: int) -> float:
    """The outermost root, beyond the extreme atom on one side: Newton on 1/sqrt(g + 1), nearly linear."""
    atom = value[end]
    u = np.array([atom * (1 + side * math.sqrt(mass[end]))])  # the own atom alone: always inside
    for _ in range(100):
        g = _excess(value, mass, u)
        h = 1 / np.sqrt(1 + g)
        step = np.expm1(-np.log1p(g) / 2) / (_slope(value, mass, u) * h**3 / 2)
        u = u + step
        if abs(step[0]) <= 4e-16 * abs(u[0]) or abs(u[0]) < 1e-30 * atom:
            break
    return float(u[0])


def _gaps(value: Floats, mass: Floats) -> Floats:
    """The two roots of g in each gap between neighbouring atoms where its minimum is negative, flat."""
    root = np.cbrt(mass * value**2)
    # The two neighbours alone have the minimum (a^(1/3) + b^(1/3))^3/distance^2: most gaps are closed.
    wide = (root[:-1] + root[1:]) ** 3 < np.diff(value) ** 2
    below, above = value[:-1][wide], value[1:][wide]
    lowest = _bisect(below, above, lambda u: _slope(value, mass, u) > 0)
    opened = _excess(value, mass, lowest) < 0
    below, above, lowest = below[opened], above[opened], lowest[opened]
    left = _bisect(below, lowest, lambda u: _excess(value, mass, u) < 0)
    right = _bisect(lowest, above, lambda u: _excess(value, mass, u) > 0)
    return np.stack([left, right], axis=1).ravel()


def _bisect(low: Floats, high: Floats, above: Callable[[Floats], Any]) -> Floats:
    """Where ``above`` turns true between low and high, to round-off."""
    for _ in range(56 if low.size else 0):
        middle = (low + high) / 2
        up = above(middle)
        low, high = np.where(up, low, middle), np.where(up, middle, high)
    return np.asarray((low + high) / 2)


def _interval(
    lam: Floats, w: Floats, gamma: float, left: float, right: float
) -> tuple[Floats, Floats, Floats]:
    """x, weights (K, Q) and xi(x) of one interval, refined until masses and resolvents settle."""
    scale = float(lam[(lam > left) & (lam < right)].min())
    # x is of order left^2/scale + (u - left): logarithmic in u - left, from where the first term ends.
    finest = max(abs(left) * min(1.0, abs(left) / scale), EDGE * scale)
    before, probes, count = np.zeros((0, 0)), np.zeros(0), START
    while True:
        u, weight = _nodes(left, right - left, finest, count)
        answer = _weigh(lam, w, gamma, u, weight)
        x = answer[0]
        if probes.size == 0:
            probes = np.geomspace(max(x[0], 1e-8 * scale), x[-1], 4)
        size = answer[1].sum(axis=1, keepdims=True)
        seen = np.hstack([size, answer[1] @ (probes / (x[:, None] + probes))])
        change = np.abs(seen - before) if before.size else np.ones(1)
        if np.max(change) < TOLERANCE or 2 * count > LARGEST:
            return answer
        before, count = seen, 2 * count


def _nodes(left: float, width: float, finest: float, count: int) -> tuple[Floats, Floats]:
    """Midpoints in phi, with log(u - left + finest) = middle - half cos phi."""
    phi = (np.arange(count) + 0.5) * math.pi / count
    length = math.log1p(width / finest)
    grown = finest * np.expm1(length * np.sin(phi / 2) ** 2)  # u - left, without cancellation
    return left + grown, (finest + grown) * length / 2 * np.sin(phi) * math.pi / count


def _weigh(lam: Floats, w: Floats, gamma: float, u: Floats, du: Floats) -> tuple[Floats, Floats, Floats]:
    """Eigenvalues x, their weights in each mode (K, Q), and xi(x)."""
    square = _squared_width(lam, w, gamma, u)
    distance = lam[:, None] - u
    spread = distance**2 + square
    over = gamma * (w * lam) @ (1 / spread)  # 1/xi
    x = (u**2 + square) * over
    m = gamma * (w * lam**2) @ (1 / spread**2)
    n = gamma * (w * lam**2) @ (distance / spread**2)
    slope = 2 * (square * m**2 + n**2) / m
    share = lam[:, None] / spread * (np.sqrt(square) * slope * du / (math.pi * x))
    return x, share, 1 / over


def _squared_width(lam: Floats, w: Floats, gamma: float, u: Floats) -> Floats:
    """w^2 at u: Newton on 1/(gamma <lambda^2/D>) - 1, increasing and concave, so monotone from 0."""
    distance = (lam[:, None] - u) ** 2
    share = gamma * w * lam**2
    nearest = np.argmin(distance, axis=0)
    floor = share[nearest] * 1e-8  # keeps off the pole where u meets an atom; below the root
    square = np.where(distance[nearest, np.arange(u.size)] < floor, floor, 0.0)
    for _ in range(60):
        excess = _excess(lam, gamma * w, u, square)
        step = excess * (1 + excess) / (share @ (1 / (distance + square) ** 2))
        square = np.maximum(square + step, 0)
        # Newton is quadratic: a relative step of 1e-8 was the last one; next to an edge w^2 is round-off.
        if np.all((np.abs(step) <= 1e-8 * square) | (np.abs(excess) <= 1e-15)):
            break
    return square
