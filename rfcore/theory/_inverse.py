r"""The inverse map: the real curve (W, u) -> z of the spectral equations, for every number of draws.

Outside the spectrum q, chi_1, chi_2 are real.  With l = alpha^2 lambda, k = l + eps b^2 and

    W = (1 + zeta b^2 u)/(chi_1 u),   y_a = 1/chi_a,   c = (v^2 + eps s^2)/psi_n,
    G = <1/(W + l)>,   P = 1 - <k/(W + l)>/psi_n,   A = (W - eps b^2) P,

one has kappa-factors 1 + kappa u = chi_1 u (W + l), and the three equations become explicit at given W:

    y_1 = (1 + c u)/P,     y_2 = 1 + (eps/psi_n)(s^2 u + b^2 G y_1),
    A u y_2 = (1 + c u)(y_2 + (1 - eps) b^2 u)                        (a quadratic in u: two branches)
    z = v^2/y_1 + s^2 (eps/y_1 + (1 - eps)/y_2) + (1 - psi_p - G y_1/u)/u

A point of the curve is the solution on the real axis (lies in a gap) if and only if the non-negative
matrix F of the linear system for the imaginary parts of (u, -chi_1, -chi_2) has spectral radius < 1.
Then dz/d(-1/q) = E = det(1 - F)/det(1 - F_chichi) > 0, and edges are the zeros of E.

A point W is kept as a pair (reference, distance): W = reference + distance, the reference one of the
poles -l_i or 0, so that W + l_i keeps its relative accuracy next to a pole.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.theory._equations import Parameters

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
CHUNK = 2_000_000  # entries of the points x atoms matrix that are held at a time


@dataclass(frozen=True, eq=False)
class Curve:
    """The numbers of a question, in the variables of the curve; distinct l ascending."""

    psi_p: float
    psi_n: float
    eps: float
    b2: float
    v2: float
    s2: float
    l: Array  # noqa: E741
    weights: Array

    @property
    def k(self) -> Array:
        return self.l + self.eps * self.b2

    @property
    def c(self) -> float:
        return (self.v2 + self.eps * self.s2) / self.psi_n

    @property
    def single(self) -> bool:
        """Whether the equation for u is linear: one noise draw, or a linear activation."""
        return self.eps == 1 or (self.c == 0 and self.eps * self.s2 == 0)


def curve(par: Parameters) -> Curve:
    """The curve of a question; equal eigenvalues are one atom."""
    lam, index = np.unique(par.alpha2 * par.lam, return_inverse=True)
    weights = np.bincount(index, par.powers[0])
    return Curve(par.psi_p, par.psi_n, par.eps, par.b2, par.v2, par.s2, lam, weights)


def sums(cv: Curve, reference: Array, distance: Array) -> Array:
    """<g>, <k g>, <g^2>, <k g^2>, <k^2 g^2> with g = 1/(W + l), rows of a (5, N) array."""
    out = np.empty((5, distance.size))
    first = np.stack([cv.weights, cv.weights * cv.k], axis=1)
    second = np.stack([cv.weights, cv.weights * cv.k, cv.weights * cv.k**2], axis=1)
    step = max(1, CHUNK // cv.l.size)
    for i in range(0, distance.size, step):
        part = slice(i, i + step)
        g = np.add.outer(reference[part], cv.l)
        g += distance[part, None]
        np.divide(1.0, g, out=g)
        out[:2, part] = (g @ first).T
        g *= g
        out[2:, part] = (g @ second).T
    return out


@dataclass(frozen=True, eq=False)
class Points:
    """Points of the curve: iu = 1/u, r = y_1/u, and y_1, y_2, sums, W; discriminant < 0 where there is none."""

    w: Array
    sums: Array
    iu: Array
    y1: Array
    y2: Array
    r: Array
    discriminant: Array


def points(cv: Curve, reference: Array, distance: Array, branch: Array, known: Array | None = None) -> Points:
    """The points of the curve over W on the branches +1 and -1 (one branch only where ``cv.single``)."""
    total = sums(cv, reference, distance) if known is None else known
    w = reference + distance
    g, kg = total[0], total[1]
    p = 1 - kg / cv.psi_n
    q2, q1, q0, b1 = _quadratic(cv, w, g, p)
    disc = q1 * q1 - 4 * q2 * q0
    root = np.copysign(np.sqrt(np.maximum(disc, 0)), branch)
    # The branch +1 is (-q1 + root)/(2 q2) = 2 q0/(-q1 - root): take the form that does not cancel.
    far = q1 * branch < 0
    iu = np.where(far, 2 * q2, -q1 - root) / _nonzero(np.where(far, -q1 + root, 2 * q0))
    if cv.single:
        iu, disc = -q1 / q0, np.ones_like(w)
    u = 1 / _nonzero(iu)
    y1 = (1 + cv.c * u) / _nonzero(p)
    if cv.eps == 0:
        # Both forms are exact; near P = 0 the second keeps its digits, near 1 + b^2 u = 0 the first.
        other = w * u / _nonzero(1 + cv.b2 * u)
        lost = np.abs(1 + cv.b2 * u) * (1 + np.abs(cv.c * u)) > np.abs(1 + cv.c * u) * (1 + np.abs(cv.b2 * u))
        y1 = np.where(lost & (cv.c > 0), other, y1)
        y2 = np.ones_like(w)
    else:
        y2 = 1 + (cv.eps / cv.psi_n) * (cv.s2 * u + cv.b2 * g * y1)
    return Points(w, total, iu, y1, y2, y1 * iu, disc)


def _quadratic(cv: Curve, w: Array, g: Array, p: Array) -> tuple[Array, Array, Array, Array]:
    """Coefficients of q2 u^2 + q1 u + q0 = 0."""
    e, c = cv.eps, cv.c
    a = (w - e * cv.b2) * p
    if e == 0 or cv.single:
        one = np.ones_like(w)
        if e == 1:
            return 0 * one, c - a, one, one
        return cv.b2 * c * one, (1 - e) * cv.b2 + c - a, one, one
    b0 = p + e * cv.b2 * g / cv.psi_n
    b1 = (e / cv.psi_n) * (cv.s2 * p + cv.b2 * c * g)
    top = b1 + cv.b2 * (1 - e) * p
    return c * top - a * b1, top + (c - a) * b0, b0, b1


def _nonzero(x: Array) -> Array:
    return np.where(x == 0, 1e-300, x)
