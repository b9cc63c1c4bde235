"""Quadrature under the standard Gaussian weight: two composite rules, both with a controlled step.

Gauss-Hermite is not among them: tanh(G x) has poles at distance pi/(2 G) from the real axis, so a
polynomial rule on the whole line converges slowly (relative error .3 in s2 with 100 nodes at G = 10).
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
REACH = 10.0  # the Gaussian weight beyond is below 1e-22
NODES = 16  # Gauss-Legendre nodes per panel
MOST_BREAKS = 16


def density(x: Array) -> Array:
    """Standard Gaussian density."""
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def trapezoid(step: float) -> tuple[Array, Array]:
    """Nodes and Gaussian weights (N,), (N,) of the trapezoid rule on [-REACH, REACH].

    For a function analytic in a strip of half-width c the error is of order exp(-2 pi c/step).
    """
    half = math.ceil(REACH / step)
    x = np.asarray(np.arange(-half, half + 1, dtype=np.float64) * (REACH / half))
    return x, density(x) * (REACH / half)


@lru_cache(maxsize=8)
def unit_legendre(nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    return np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)


def legendre(left: float, right: float, nodes: int = 32) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [left, right], without the Gaussian weight."""
    x, w = unit_legendre(nodes)
    half = (right - left) / 2
    return left + half * (1 + x), half * w


def panels(edges: Array) -> tuple[Array, Array]:
    """Composite Gauss-Legendre with Gaussian weight on the panels [edges_k, edges_k+1].

    edges (..., K + 1), ascending on the last axis; returns two arrays (..., K * NODES).  A panel of
    width zero has weight zero.
    """
    x, w = unit_legendre(NODES)
    half = np.diff(edges, axis=-1)[..., None] / 2
    nodes = edges[..., :-1, None] + half * (1 + x)
    weights = half * w * density(nodes)
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), weights.reshape(shape)


def graded_edges(width: float, centres: Sequence[float], smallest: float, reach: float = REACH) -> Array:
    """Edges on [-reach, reach] at most ``width`` apart, refined geometrically towards each centre.

    Next to a centre the panels have width ``smallest`` and double from there outwards.
    """
    edges = [np.linspace(-reach, reach, math.ceil(2 * reach / width) + 1)]
    doublings = max(0, math.ceil(math.log2(width / smallest)))
    steps = smallest * 2.0 ** np.arange(doublings + 1)
    for centre in centres:
        edges.append(centre + np.concatenate([-steps, [0.0], steps]))
    return np.unique(np.clip(np.concatenate(edges), -reach, reach))


def breakpoints(f: Callable[[Array], Array], reach: float) -> list[float] | None:
    """Places in [-reach, reach] where f or a low derivative of it jumps, found by bisection.

    A panel counts as resolved when the last Chebyshev coefficients of f on it are negligible.  What
    is not resolved at width 1/64 holds a break, which is then located to round-off (jump) or to
    where it no longer matters (kink).  None if there are more than MOST_BREAKS of them.
    """
    # The offset keeps breaks at round numbers away from panel edges, where they would go unseen.
    width = 0.5
    left = np.arange(-reach - 0.1234567 * width, reach, width)
    scale = float(np.max(np.abs(f(np.linspace(-reach, reach, 101) * 0.3))))
    while width > 1 / 64:
        left = left[_unresolved(f, left, width, scale)]
        left, width = np.concatenate([left, left + width / 2]), width / 2
        if left.size > 20_000:
            return None
    left = np.sort(left[_unresolved(f, left, width, scale)])
    if left.size > 2 * MOST_BREAKS:
        return None
    found = sorted(_locate(f, float(start), width, scale) for start in left)
    distinct = [x for k, x in enumerate(found) if k == 0 or x - found[k - 1] > 1e-9]
    return distinct if len(distinct) <= MOST_BREAKS else None


def _locate(f: Callable[[Array], Array], left: float, width: float, scale: float) -> float:
    while width > 4e-16 * max(1.0, abs(left)):
        halves = np.array([left, left + width / 2])
        rough = _roughness(f, halves, width / 2, scale)
        if rough.max() <= 1:
            break
        left, width = float(halves[np.argmax(rough)]), width / 2
    return left + width / 2


def _unresolved(f: Callable[[Array], Array], left: Array, width: float, scale: float) -> Mask:
    return np.asarray(_roughness(f, left, width, scale) > 1)


def _roughness(f: Callable[[Array], Array], left: Array, width: float, scale: float) -> Array:
    """Size of the last three Chebyshev coefficients of f on each panel, in units of round-off.

    That is 1e-13 of ``scale`` or of the largest value on the panel, whichever is more.  The nodes
    include the ends of a panel: a break between the last node and an edge would go unseen.
    """
    angle = np.linspace(0, math.pi, NODES)
    values = f(left[:, None] + width / 2 * (1 + np.cos(angle)))
    weight = np.where((angle == 0) | (angle == math.pi), 0.5, 1.0)[:, None]
    basis = np.cos(angle[:, None] * np.arange(NODES - 3, NODES)) * weight * (2 / (NODES - 1))
    size = np.maximum(np.max(np.abs(values), axis=1), max(scale, 1e-300))
    return np.asarray(np.max(np.abs(values @ basis), axis=1) / (1e-13 * size))
