"""Deterministic equivalents of the traces that make up the losses: one and two resolvents.

All matrices that occur have the form c I + M D(Sigma) M^T with D(lambda) = d0 + d1 lambda, kept as
the triple (c, d0, d1).  Every function works elementwise on points that broadcast against each
other, so that one call serves all pairs of a contour.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.theory._continuation import solve
from rfcore.theory._equations import Parameters, mean_chi

Array = npt.NDArray[Any]
Triple = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Solved:
    """Solutions at points z: u = psi_p q, chi_1, chi_2, zeta and psi_p s, each (...,); h is (..., K)."""

    u: Array
    chi_1: Array
    chi_2: Array
    zeta: Array
    h: Array
    psi_s: Array
    residual: Array

    def conj(self) -> "Solved":
        """The solutions at the conjugate points."""
        u, c1, c2, zeta, h, s = map(np.conj, (self.u, self.chi_1, self.chi_2, self.zeta, self.h, self.psi_s))
        return Solved(u, c1, c2, zeta, h, s, self.residual)

    def outer(self, axis: int) -> "Solved":
        """Insert an axis before the last (-2) or after it (-1), so that two sets form all pairs."""
        names = (self.u, self.chi_1, self.chi_2, self.zeta, self.psi_s)
        u, c1, c2, zeta, s = (np.expand_dims(f, axis) for f in names)
        return Solved(u, c1, c2, zeta, self.h, s, self.residual)


def solved(par: Parameters, z: Array) -> Solved:
    """Solve the closed equations at complex points z of any shape."""
    return solved_above(par, np.asarray(z, dtype=np.complex128) - par.floor)


def solved_above(par: Parameters, y: Array) -> Solved:
    """The same at z = s^2 + y, for points much nearer to s^2 than the size of s^2."""
    flat = y.ravel()
    lower = flat.imag < 0
    x, residual = solve(par, np.where(lower, np.conj(flat), flat))
    u, c1, c2 = (np.where(lower, np.conj(f), f).reshape(y.shape) for f in x)
    return from_unknowns(par, u, c1, c2, residual.reshape(y.shape))


def from_unknowns(par: Parameters, u: Array, c1: Array, c2: Array, residual: Array) -> Solved:
    """Complete a solution (u, chi_1, chi_2) by zeta, h and psi_p s."""
    zeta = mean_chi(par, c1, c2)
    h = np.asarray((u * par.alpha2 * c1)[..., None] * par.lam)
    h += (1 + u * par.b2 * zeta)[..., None]
    np.reciprocal(h, out=h)
    return Solved(u, c1, c2, zeta, h, u * (h @ par.powers[0]), residual)


def t_train(par: Parameters, a: Solved) -> Array:
    """T_1 = (1/d) tr V^T R V = (1 - zeta) + zeta^2 b^2 psi_p s."""
    return 1 - a.zeta + a.zeta**2 * par.b2 * a.psi_s


def t_cross(par: Parameters, a: Solved) -> Array:
    """T_x = (1/d) tr Vt^T R V = zeta b^2 psi_p s."""
    return a.zeta * par.b2 * a.psi_s


@dataclass(frozen=True, eq=False)
class Pair:
    """Two-point functions of resolvents at z_1 and z_2: brackets <<X, Y>> and T_2 of any matrix."""

    par: Parameters
    first: Solved
    second: Solved
    p0: Array
    p1: Array
    p2: Array

    @cached_property
    def scale(self) -> Array:
        """psi_p q_1 q_2."""
        return self.first.u * self.second.u / self.par.psi_p

    def bracket(self, x: Triple, y: Triple) -> Array:
        """<<X, Y>> = (1/p) tr X Rbar_1 Y Rbar_2, averaged over M."""
        smooth = self._smooth * self._mean(x) * self._mean(y)
        cross = x[1] * y[1] * self.p0 + (x[1] * y[2] + x[2] * y[1]) * self.p1 + x[2] * y[2] * self.p2
        return smooth + self.scale * cross

    def t2(self, matrix: Triple) -> Array:
        """(1/d) tr V^T R_1 B R_2 V for the deterministic matrix B."""
        par, a, b = self.par, self.first, self.second
        ones: Triple = (0.0, 1.0, 0.0)
        tau_1, tau_2 = self._responses(matrix)
        w_1, w_2 = a.chi_1 * b.chi_1, (1 - par.eps) * a.chi_2 * b.chi_2
        total = self.bracket(ones, matrix) + w_1 * tau_1 * self.bracket(ones, mean_part(par))
        theta = par.eps * w_1 * tau_1
        if par.three:
            total = total + w_2 * tau_2 * self.bracket(ones, contrast_part(par))
            theta = theta + w_2 * tau_2
        edge = 1 - par.b2 * (a.zeta * a.psi_s + b.zeta * b.psi_s)
        return np.asarray(a.zeta * b.zeta * par.b2 * par.psi_p * total + theta * edge)

    def mode_parts(self, matrix: Triple) -> tuple[Array, Array, Array]:
        """(V^T R_1 B R_2 V)_kk, T_2 before its average over modes, in three functions f, g, Theta:

        zeta_1 zeta_2 b^2 psi_p h_1k h_2k (f + g lambda_k)
            + Theta (1 - b^2 (zeta_1 u_1 h_1k + zeta_2 u_2 h_2k)).
        """
        par, a, b = self.par, self.first, self.second
        tau_1, tau_2 = self._responses(matrix)
        w_1 = a.chi_1 * b.chi_1 * tau_1
        parts: list[tuple[Any, Triple]] = [(1.0, matrix), (w_1, mean_part(par))]
        theta = par.eps * w_1
        if par.three:
            w_2 = (1 - par.eps) * a.chi_2 * b.chi_2 * tau_2
            parts.append((w_2, contrast_part(par)))
            theta = theta + w_2
        c, d0, d1 = (sum(factor * part[k] for factor, part in parts) for k in range(3))
        smooth = self._smooth * (c + d0 * self.p0 + d1 * self.p1)
        return np.asarray(smooth + self.scale * d0), np.asarray(self.scale * d1), np.asarray(theta)

    @cached_property
    def _smooth(self) -> Array:
        """G = (1/p) tr Rbar_1 Rbar_2 = q_1 q_2/(1 - psi_p q_1 q_2 J), J = <kappa_1 kappa_2 h_1 h_2>."""
        par, a, b = self.par, self.first, self.second
        k0a, k1a, k0b, k1b = par.b2 * a.zeta, par.alpha2 * a.chi_1, par.b2 * b.zeta, par.alpha2 * b.chi_1
        j = k0a * k0b * self.p0 + (k0a * k1b + k1a * k0b) * self.p1 + k1a * k1b * self.p2
        return self.scale / (par.psi_p * (1 - self.scale * j))

    def _mean(self, x: Triple) -> Array:
        return x[0] + x[1] * self.p0 + x[2] * self.p1

    def _responses(self, matrix: Triple) -> tuple[Array, Array]:
        """tau_a = (1/N_a) tr C_a R_1 B R_2: how the two groups of samples answer a source B."""
        par, a, b = self.par, self.first, self.second
        c_1, g = mean_part(par), par.psi_p / par.psi_n
        w_1 = a.chi_1 * b.chi_1
        m11, r1 = 1 - g * w_1 * self.bracket(c_1, c_1), g * self.bracket(c_1, matrix)
        if not par.three:
            return r1 / m11, np.zeros_like(r1)
        c_2, e = contrast_part(par), par.eps
        w_2 = (1 - e) * a.chi_2 * b.chi_2
        mixed = self.bracket(c_1, c_2)
        m12, m21 = -g * w_2 * mixed, -e * g * w_1 * mixed
        m22, r2 = 1 - e * g * w_2 * self.bracket(c_2, c_2), e * g * self.bracket(c_2, matrix)
        det = m11 * m22 - m12 * m21
        return (m22 * r1 - m12 * r2) / det, (m11 * r2 - m21 * r1) / det


def pair(par: Parameters, a: Solved, b: Solved) -> Pair:
    """Elementwise pairs of two sets of points of the same shape."""
    p0, p1, p2 = (np.einsum("...k,...k,k->...", a.h, b.h, row) for row in par.powers)
    return Pair(par, a, b, p0, p1, p2)


def all_pairs(par: Parameters, a: Solved, b: Solved) -> Pair:
    """All pairs of the last axes: (..., I) and (..., J) give (..., I, J)."""
    other = np.swapaxes(b.h, -1, -2)
    p0, p1, p2 = ((a.h * row) @ other for row in par.powers)
    return Pair(par, a.outer(-1), b.outer(-2), p0, p1, p2)


def sample_part(par: Parameters) -> Triple:
    """C_g = alpha^2 M Sigma M^T + v^2: what all noise draws of a sample share."""
    return (par.v2, 0.0, par.alpha2)


def contrast_part(par: Parameters) -> Triple:
    """C_h = b^2 M M^T + s^2: what each noise draw adds."""
    return (par.s2, par.b2, 0.0)


def mean_part(par: Parameters) -> Triple:
    """C_1 = C_g + C_h/m: the mean of a sample's draws."""
    return (par.v2 + par.eps * par.s2, par.eps * par.b2, par.alpha2)


def population(par: Parameters) -> Triple:
    """Ut = C_g + C_h, the population matrix."""
    return (par.v2 + par.s2, par.b2, par.alpha2)


def t_test(two: Pair) -> Array:
    """T_2 = (1/d) tr V^T R_1 Ut R_2 V."""
    return two.t2(population(two.par))


def t_empirical(two: Pair) -> Array:
    """T_e = (1/d) tr V^T R_1 U_e R_2 V with U_e the m = infinity matrix of the same samples.

    One sample is taken out: t_C = (1/n) tr C_g R is its overlap with its own residual.
    """
    par, a, b = two.par, two.first, two.second
    t_c = [par.v2 * f.u / par.psi_n + par.alpha2 * _r_times_psi_p(par, f) / par.psi_n for f in (a, b)]
    own = [f.chi_1 * t for f, t in zip((a, b), t_c, strict=True)]
    draws = (par.eps * (1 - t_cross(par, a) - t_cross(par, b))) if par.eps else 0.0
    mean = two.t2(mean_part(par)) + draws
    return (
        two.t2(contrast_part(par)) + (1 - own[0] - own[1]) * two.t2(sample_part(par)) + own[0] * own[1] * mean
    )


def _r_times_psi_p(par: Parameters, a: Solved) -> Array:
    """psi_p r = u <lambda h>; the pair keeps h unexpanded, so the sum is expanded like u."""
    total = a.h @ par.powers[1]
    if total.shape != a.u.shape:
        total = total.reshape(a.u.shape)
    return np.asarray(a.u * total)
