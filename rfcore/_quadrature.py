"""Quadrature under the standard Gaussian weight: two rules, both with a controlled step.

Gauss-Hermite is not among them: tanh(G x) has poles at distance pi/(2 G) from the real axis, so a
polynomial rule on the whole line converges slowly (relative error .3 in s2 with 100 nodes at G = 10).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
REACH = 10.0  # the Gaussian weight beyond is below 1e-22
NODES = 16  # Gauss-Legendre nodes per panel


def density(x: Array) -> Array:
    """Standard Gaussian density."""
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def trapezoid(step: float) -> tuple[Array, Array]:
    """Nodes and Gaussian weights (N,), (N,) of the trapezoid rule on [-REACH, REACH].

    For a function analytic in a strip of half-width c the error is of order exp(-2 pi c/step).
    """
    half = math.ceil(REACH / step)
    x = np.arange(-half, half + 1) * (REACH / half)
    return x, density(x) * (REACH / half)


def legendre(left: float, right: float, nodes: int = 32) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [left, right], without the Gaussian weight."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    half = (right - left) / 2
    return left + half * (1 + x), half * w


def panels(edges: Array) -> tuple[Array, Array]:
    """Composite Gauss-Legendre with Gaussian weight on panels [edges_i, edges_i+1].

    edges (..., K + 1), ascending on the last axis; returns two arrays (..., K * NODES).  A panel of
    width zero has weight zero.
    """
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges, axis=-1)[..., None] / 2
    nodes = edges[..., :-1, None] + half * (1 + x)
    weights = half * w * density(nodes)
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), weights.reshape(shape)


def graded_edges(width: float, centres: Sequence[float], smallest: float) -> Array:
    """Edges on [-REACH, REACH] at most ``width`` apart, refined geometrically towards each centre.

    Next to a centre the panels have width ``smallest`` and double from there outwards.
    """
    count = math.ceil(2 * REACH / width)
    edges = [np.linspace(-REACH, REACH, count + 1)]
    levels = max(0, math.ceil(math.log2(width / smallest))) if smallest < width else 0
    steps = smallest * 2.0 ** np.arange(levels + 1)
    for centre in centres:
        edges.append(centre + np.concatenate([-steps, [0.0], steps]))
    return np.unique(np.clip(np.concatenate(edges), -REACH, REACH))
