"""Quadrature for E Z^k, k = 1 and 2, see :func:`rfcore.theory.partition.replicated_moment`.

X and Y are Wishart matrices of k = 1 or 2 dimensions.  At k = 2 write X = a (1 + rho N) with a traceless
reflection N: a is Gamma(p) distributed, rho^2 is Beta(1, (p - 1)/2), the direction of N is uniform, all
three independent; likewise for Y.  The integrand depends on the directions through one angle only.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp, roots_jacobi

from rfcore.checks import Array

CHUNK = 1_000_000  # numbers per array
DEPTH = 45.0  # e-folds below its top at which the integrand is cut off
LEAST = 1e3  # standard deviations at which widening the box has gone wrong


@dataclass(frozen=True)
class Integrand:
    """The integrand of E Z^k in x = (log q, log chi), where w p q and n chi are the means of X and Y.

    w = s^2 - z; b2, v2 = b^2, v^2; signal, count: alpha^2 lambda and how many of the d directions have it;
    centre (2,), axes (2, 2): x = centre + axes @ t with t close to standard normal.
    """

    k: int
    p: int
    n: int
    d: int
    w: float
    b2: float
    v2: float
    signal: Array
    count: Array
    centre: Array
    axes: Array


def log_integral(f: Integrand, step: float, nodes: int) -> float:
    """log E Z^k from a grid of ``step`` standard deviations and Gauss rules of ``nodes`` points."""
    low, high = _box(f)
    sides = [np.arange(math.floor(a / step), math.ceil(b / step) + 1) for a, b in zip(low, high, strict=True)]
    t = step * np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    area = step**2 * abs(float(np.linalg.det(f.axes)))
    half = [f.k * f.p / 2, f.k * f.n / 2]
    norm = sum(x * math.log(x) - float(gammaln(x)) for x in half)
    return float(logsumexp(_log_values(f, t, *_shapes(f, nodes)))) + math.log(area) + norm


def _shapes(f: Integrand, nodes: int) -> tuple[Array, Array]:
    """Log weights (I,) and shapes (3, I): rho_X^2, rho_Y^2 and rho_X rho_Y cos(angle)."""
    if f.k == 1:
        return np.zeros(1), np.zeros((3, 1))
    rules = []
    for freedom in (f.p, f.n):
        x, weight = roots_jacobi(nodes, (freedom - 3) / 2, 0.0)
        rules.append(((1 + x) / 2, np.log(weight / weight.sum())))
    cosine = np.cos((np.arange(nodes) + 0.5) * math.pi / nodes)
    u_x, u_y, c = (g.ravel() for g in np.meshgrid(rules[0][0], rules[1][0], cosine, indexing="ij"))
    weight = np.add.outer(rules[0][1], rules[1][1])[:, :, None] - math.log(nodes) + np.zeros(nodes)
    return weight.ravel(), np.stack([u_x, u_y, np.sqrt(u_x * u_y) * c])


def _log_values(f: Integrand, t: Array, log_weight: Array, shape: Array) -> Array:
    """Logarithm of the integrand at t (N, 2), summed over the shapes, (N,)."""
    rows = max(1, CHUNK // log_weight.size)
    return np.concatenate([_log_rows(f, t[k : k + rows], log_weight, shape) for k in range(0, len(t), rows)])


def _log_rows(f: Integrand, t: Array, log_weight: Array, shape: Array) -> Array:
    log_q, log_chi = (f.centre + t @ f.axes.T).T
    q, chi = np.exp(log_q)[:, None], np.exp(log_chi)[:, None]
    u_x, u_y, tilt = shape
    exponent = log_weight - f.k / 2 * f.p * f.v2 * q * chi * (1 + tilt)
    u = f.p / f.d * q
    for signal, count in zip(f.signal, f.count, strict=True):
        g = signal * chi
        kappa = f.b2 + g
        if f.k == 1:
            log_det = np.log1p(u * kappa)
        else:
            log_det = np.log1p(2 * u * (kappa + g * tilt) + u**2 * (1 - u_x) * (kappa**2 - g**2 * u_y))
        exponent = exponent - count / 2 * log_det
    free = f.p * (log_q - f.w * np.exp(log_q)) + f.n * (log_chi - np.exp(log_chi))
    return np.asarray(f.k / 2 * free + logsumexp(exponent, axis=1))


def _box(f: Integrand) -> tuple[Array, Array]:
    """A rectangle in t outside of which the integrand is negligible."""
    low, high = np.full(2, -10.0), np.full(2, 10.0)
    shapes = _shapes(f, 4)
    while True:
        grids = [np.linspace(a, b, 41) for a, b in zip(low, high, strict=True)]
        t = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1)
        value = _log_values(f, t.reshape(-1, 2), *shapes).reshape(41, 41)
        floor = value.max() - DEPTH
        wide = np.array([value[0].max(), value[:, 0].max()]) > floor
        tall = np.array([value[-1].max(), value[:, -1].max()]) > floor
        if not (wide.any() or tall.any()):
            return low, high
        if max(high.max(), -low.min()) > LEAST:
            raise RuntimeError(f"E Z^{f.k} at p = {f.p}, n = {f.n}, d = {f.d}: no box holds the integrand")
        low, high = np.where(wide, 1.4 * low, low), np.where(tall, 1.4 * high, high)
