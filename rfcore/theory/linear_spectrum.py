r"""Averages over the sample covariance S as a sum over nodes: E f(S)_kk = sum_q weights[k, q] f(x_q) + ...

On the real axis kappa(-x + i0) = -u + i w.  Its imaginary part vanishes outside of the support, and inside
it solves an equation that is monotone in w^2, for each u on its own,

    gamma <lambda^2/D> = 1,   D = (lambda - u)^2 + w^2,

and u -> x(u) = |kappa|^2 gamma <lambda/D> increases.  So the support is a set of intervals of u, found
gap by gap, and an integral over eigenvalues is one over u, with the density of mode k

    rho_k(x) = lambda_k w/(pi x D_k),   dx/du = 2 (w^2 M^2 + N^2)/M,
    M = gamma <lambda^2/D^2>,   N = gamma <lambda^2 (lambda - u)/D^2>.

Midpoints in phi, u = cos phi on a logarithmic scale, converge geometrically: w vanishes like sin phi.
Source: Marchenko and Pastur (1967); Silverstein and Choi (1995) for the support.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.model import Covariance
from rfcore.theory._kappa import smallest_kappa
from rfcore.theory._rank import positive

Floats = npt.NDArray[np.float64]
START, LARGEST = 24, 3072  # nodes of an interval; doubled until the masses are right
TOLERANCE = 1e-11


@dataclass(frozen=True, eq=False)
class SpectralRule:
    """Nodes and weights for E f(S)_kk = sum_q weights[k, q] f(x_q) + zero[k] f(0).

    x : (Q,) eigenvalues of S; weights : (K, Q); zero : (K,) share of mode k in the null space of S
    energy : (Q,) xi(x) = u^T Sigma u for the eigenvector u of S at x; null_energy : the same at x = 0, a mean
    over the null space (nan where there is none)
    error : largest error of the masses sum_q weights[k, q] + zero[k] = 1
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
    """The nodes and weights of a question, with as many nodes per interval as it takes for ``TOLERANCE``."""
    live = positive(covariance)
    lam, w = covariance.eigenvalues[live], covariance.weights[live]
    kappa_0 = smallest_kappa(covariance, gamma)
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
    share = gamma * np.bincount(inverse, w) * value**2  # numerators
    outer = _edge(value, share, value[0], -1), _edge(value, share, value[-1], 1)
    edges = [outer[0], *_gaps(value, share).tolist(), outer[1]]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _excess(value: Floats, share: Floats, u: Floats) -> tuple[Floats, Floats]:
    """g(u) = sum share/(value - u)^2 - 1 and its derivative."""
    inverse = 1 / (value[:, None] - u)
    return share @ inverse**2 - 1, 2 * share @ inverse**3


def _edge(value: Floats, share: Floats, atom: float, side: int) -> float:
    """The outermost root, beyond the extreme atom on one side: Newton on 1/sqrt(g + 1), nearly linear."""
    own = share[0] if side < 0 else share[-1]
    u = np.array([atom + side * math.sqrt(own)])  # the own atom alone: always inside
    for _ in range(100):
        g, slope = _excess(value, share, u)
        h = 1 / np.sqrt(g + 1)
        step = (1 - h) / (-slope * h**3 / 2)
        u = u + step
        if abs(step[0]) <= 4e-16 * max(abs(u[0]), abs(atom)):
            break
    return float(u[0])


def _gaps(value: Floats, share: Floats) -> Floats:
    """The two roots of g in each gap between neighbouring atoms where its minimum is negative, flat."""
    root = np.cbrt(share)
    # The two neighbours alone have the minimum (a^(1/3) + b^(1/3))^3/distance^2: most gaps are closed.
    wide = (root[:-1] + root[1:]) ** 3 < np.diff(value) ** 2
    below, above = value[:-1][wide], value[1:][wide]
    lowest = _bisect(below, above, lambda u: _excess(value, share, u)[1] > 0)
    opened = _excess(value, share, lowest)[0] < 0
    below, above, lowest = below[opened], above[opened], lowest[opened]
    left = _bisect(below, lowest, lambda u: _excess(value, share, u)[0] < 0)
    right = _bisect(lowest, above, lambda u: _excess(value, share, u)[0] > 0)
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
    """x, weights (K, Q) and xi(x) of one interval, refined until the mass of each mode settles."""
    scale = float(lam[(lam > left) & (lam < right)].min())
    shift = max(0.0, scale - 2 * left)
    before: Floats | float = math.inf
    count = START
    while True:
        u, weight = _nodes(left, right, shift, count)
        answer = _weigh(lam, w, gamma, u, weight)
        mass = answer[1].sum(axis=1)
        if np.max(np.abs(mass - before)) < TOLERANCE or 2 * count > LARGEST:
            return answer
        before, count = mass, 2 * count


def _nodes(left: float, right: float, shift: float, count: int) -> tuple[Floats, Floats]:
    """Midpoints in phi, with log(u + shift) = middle + half cos phi."""
    phi = (np.arange(count) + 0.5) * math.pi / count
    low, high = math.log(left + shift), math.log(right + shift)
    moved = np.exp((low + high) / 2 + (high - low) / 2 * np.cos(phi))
    return moved - shift, moved * (high - low) / 2 * np.sin(phi) * math.pi / count


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
    square = np.zeros(u.size)
    nearest = np.argmin(distance, axis=0)
    floor = share[nearest] * 1e-8  # keeps off the pole where u meets an atom; below the root
    square = np.where(distance[nearest, np.arange(u.size)] < floor, floor, 0.0)
    for _ in range(60):
        inverse = 1 / (distance + square)
        total = share @ inverse
        step = (total - 1) * total / (share @ inverse**2)
        square = np.maximum(square + step, 0)
        # Newton is quadratic: a relative step of 1e-8 was the last one; next to an edge w^2 is round-off.
        if np.all((np.abs(step) <= 1e-8 * square) | (np.abs(total - 1) <= 1e-14)):
            break
    return square
