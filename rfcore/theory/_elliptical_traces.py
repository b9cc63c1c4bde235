"""Deterministic equivalents of the traces in the losses for elliptical data.

Every covariance that occurs is a sum of E_0 = 1, E_1 = M M^T and E_2 = M Sigma M^T: a sample of scale tau has
C_1 = (v^2 + eps s^2, eps b^2, alpha^2) for the mean of its draws and C_2 = (s^2, b^2, 0) for its contrasts.
So two resolvents with any of them between need three numbers, T_i = (1/n) tr E_i R_1 B R_2, which obey a
linear equation with the 3 x 3 matrices G_ij = (1/p) tr E_i Rbar_1 E_j Rbar_2 and W, an average over scales.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.theory._continuation import solve
from rfcore.theory._elliptical import EllipticalParameters, sample_factors
from rfcore.theory._traces import Pair, Solved, Triple, all_pairs

Array = npt.NDArray[Any]
BASIS: tuple[Triple, ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Point:
    """A solution at points z (...,): what Pair needs, and for each scale, on the last axis, the factors.

    chi_1, chi_2 (..., K); own = chi_1 t_C (..., K); k (...,) = E[zeta b]; zeta (...,) = E zeta.
    """

    solved: Solved
    chi_1: Array
    chi_2: Array
    own: Array
    k: Array
    zeta: Array

    def conj(self) -> "Point":
        """The solution at the conjugate points."""
        rest = (self.chi_1, self.chi_2, self.own, self.k, self.zeta)
        return Point(self.solved.conj(), *(np.conj(f) for f in rest))


def point(par: EllipticalParameters, z: Array) -> Point:
    """Solve at points z off the spectrum, of any shape."""
    flat = np.asarray(z, dtype=np.complex128).ravel()
    lower = flat.imag < 0
    x, residual = solve(par, np.where(lower, np.conj(flat), flat) - par.floor)
    x = np.where(lower, np.conj(x), x)
    return from_unknowns(par, x, residual, z.shape)


def from_unknowns(par: EllipticalParameters, x: Array, residual: Array, shape: tuple[int, ...]) -> Point:
    """Complete a solution x (3, N), rows u, c_1, c_0."""
    u, c1, c0 = x
    h = 1 / ((u * par.alpha2 * c1)[:, None] * par.lam + (1 + u * par.b2 * c0)[:, None])
    h0, h1 = h @ par.powers[0], h @ par.powers[1]
    chi_1, chi_2 = (f.T for f in sample_factors(par, u, h0, h1))
    zeta = par.eps * chi_1 + (1 - par.eps) * chi_2
    v2, alpha2 = par.squares[:2]
    own = chi_1 * (u[:, None] * v2 + (u * h1)[:, None] * alpha2) / par.psi_n
    w, b = par.constants.weights, par.constants.b

    def put(f: Array) -> Array:
        return np.asarray(f.reshape(*shape, *f.shape[1:]))

    inner = Solved(put(u), put(c1), put(np.ones_like(c1)), put(c0), put(h), put(u * h0), put(residual))
    return Point(inner, put(chi_1), put(chi_2), put(own), put(zeta @ (w * b)), put(zeta @ w))


@dataclass(frozen=True, eq=False)
class Double:
    """At pairs of points (..., I, J): t2 (3, ..., I, J) = (1/d) tr V^T R_1 E_i R_2 V, and what T_e needs."""

    t2: Array
    shared: Array  # k_1 psi_p s_1 + k_2 psi_p s_2


def one_point(par: EllipticalParameters, a: Point) -> tuple[Array, Array]:
    """T_1 = (1/d) tr V^T R V and (1/d) tr M^T R V, of which T_x is E b times the latter."""
    cross = a.k * a.solved.psi_s
    return 1 - a.zeta + a.k * cross, cross


def double(par: EllipticalParameters, a: Point, b: Point) -> Double:
    """All pairs of the last axes of the points: (..., I) and (..., J) give (..., I, J)."""
    base = all_pairs(par, a.solved, b.solved)  # type: ignore[arg-type]
    g = _brackets(base)
    w, theta, theta_b = _averages(par, a, b)
    ratio = par.psi_p / par.psi_n
    t = ratio * np.linalg.solve(np.eye(3) - ratio * g @ w, g)
    left, right = a.k[..., :, None], b.k[..., None, :]
    shared = left * a.solved.psi_s[..., :, None] + right * b.solved.psi_s[..., None, :]
    t2 = par.psi_n * (left * right)[..., None] * t[..., 1, :]
    if par.eps:
        edge = theta - theta_b * shared[..., None]
        t2 = t2 + np.einsum("...i,...ib->...b", edge, t)
    return Double(np.moveaxis(t2, -1, 0), shared)


def _brackets(base: Pair) -> Array:
    """G (..., 3, 3)."""
    i, j = np.triu_indices(3)
    g = np.empty((*base.p0.shape, 3, 3), dtype=base.p0.dtype)
    for k, m in zip(i, j, strict=True):
        g[..., k, m] = g[..., m, k] = base.bracket(BASIS[k], BASIS[m])
    return g


def _averages(par: EllipticalParameters, a: Point, b: Point) -> tuple[Array, Array, Array]:
    """W (..., 3, 3) and the vectors theta, theta_b (..., 3) of the noise's share, averages over scales."""
    e, c = par.eps, par.constants
    v2, alpha2, s2, b2 = par.squares
    zero = np.zeros_like(v2)
    groups = [(1.0, a.chi_1, b.chi_1, np.stack([v2 + e * s2, e * b2, alpha2]))]
    if 0 < e < 1:
        groups.append((e * (1 - e), a.chi_2, b.chi_2, np.stack([s2, b2, zero])))

    def mean(first: Array, second: Array, load: Array) -> Array:
        return np.asarray((first * (c.weights * load)) @ np.swapaxes(second, -1, -2))

    shape = (*a.k.shape, b.k.shape[-1])
    w = np.zeros((*shape, 3, 3), dtype=np.result_type(a.k, b.k))
    theta, theta_b = np.zeros((2, *shape, 3), dtype=w.dtype)
    for number, (share, first, second, parts) in enumerate(groups):
        for i in range(3):
            for j in range(i, 3):
                part = share * mean(first, second, parts[i] * parts[j])
                w[..., i, j] += part
                if i != j:
                    w[..., j, i] += part
            if e:
                noise = e if number == 0 else share
                theta[..., i] += noise * mean(first, second, parts[i])
                theta_b[..., i] += noise * mean(first, second, parts[i] * c.b)
    return w, theta, theta_b


def test_of_scales(par: EllipticalParameters, two: Double) -> Array:
    """(1/d) tr V^T R_1 Ut(tau) R_2 V, Ut(tau) = C_g + C_h of one scale, (K, ..., I, J)."""
    v2, alpha2, s2, b2 = par.squares
    return np.tensordot(np.stack([v2 + s2, b2, alpha2], axis=1), two.t2, 1)


def empirical_of_scales(par: EllipticalParameters, a: Point, b: Point, two: Double) -> Array:
    """The same with the m = infinity matrix of a training sample of each scale in place of Ut(tau).

    One sample is taken out: own = chi_1 t_C is its overlap with its own residual.
    """
    e = par.eps
    v2, alpha2, s2, b2 = par.squares
    zero = np.zeros_like(v2)
    draw, own, mean = (
        np.tensordot(np.stack(c, axis=1), two.t2, 1)
        for c in ((s2, b2, zero), (v2, zero, alpha2), (v2 + e * s2, e * b2, alpha2))
    )
    left, right = np.moveaxis(a.own, -1, 0)[..., :, None], np.moveaxis(b.own, -1, 0)[..., None, :]
    scale = par.constants.b.reshape(-1, *(1,) * two.shared.ndim)
    return np.asarray(draw + (1 - left - right) * own + left * right * (mean + e * (1 - scale * two.shared)))
