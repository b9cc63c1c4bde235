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
EPS = float(np.finfo(float).eps)
ROUND_OFF = 4e-15  # of a relative discriminant
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
    weights = np.asarray(np.bincount(index, par.powers[0]), dtype=np.float64)
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
    """Points of the curve: W, the sums there, iu = 1/u, y_1, y_2, r = y_1/u.

    The discriminant is relative to its terms; where it is negative the curve has no point, and the
    double root is given in its place.
    """

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
    if cv.single:
        return _single(cv, w, total)
    g = total[0]
    p = 1 - total[1] / cv.psi_n
    eta = lag(cv, reference, distance, total)
    first, second, scale = _quadratics(cv, w, g, p, eta)
    root, disc = _root(first, second, scale)
    root = np.copysign(root, branch)
    iu = _reciprocal_root(*first, -root * scale)
    y1 = 1 / nonzero(_reciprocal_root(*second, root))
    y2 = 1 + (cv.eps / cv.psi_n) * (cv.s2 / nonzero(iu) + cv.b2 * g * y1) if cv.eps else np.ones_like(w)
    return Points(w, total, iu, y1, y2, y1 * iu, disc)


def lag(cv: Curve, reference: Array, distance: Array, total: Array) -> Array:
    """eta = (1 - eps) b^2 - A, decreasing in W; what lies near s^2 lies where it is small."""
    w = reference + distance
    return np.asarray((cv.b2 - reference) - distance + (w - cv.eps * cv.b2) * total[1] / cv.psi_n)


def _single(cv: Curve, w: Array, total: Array) -> Points:
    """The points where the equation for u is linear: m = 1 (y_2 drops out), or c = s^2 = 0 (y_1 = 1/P)."""
    g, e = total[0], cv.eps
    p, one = 1 - total[1] / cv.psi_n, np.ones_like(w)
    if e == 1:
        iu = (w - cv.b2) * p - cv.c
        return Points(w, total, iu, (w - cv.b2) / nonzero(iu), one, w - cv.b2, one)
    y1 = 1 / nonzero(p)
    y2 = 1 + e / cv.psi_n * cv.b2 * g * y1
    iu = (w - e * cv.b2) * p - (1 - e) * cv.b2 / nonzero(y2)
    return Points(w, total, iu, y1, y2, y1 * iu, one)


Quadratic = tuple[Array, Array, Array]


def _quadratics(cv: Curve, w: Array, g: Array, p: Array, eta: Array) -> tuple[Quadratic, Quadratic, Array]:
    """Coefficients (of degree 2, 1, 0) of the quadratics for u and for y_1.

    They are tied by P y_1 = 1 + c u: the roots of the first are (-q1 -/+ scale root)/(2 q2) where those
    of the second are (-b +/- root)/(2 a).
    """
    e, n, c, b2, own = cv.eps, cv.psi_n, cv.c, cv.b2, cv.v2 / cv.psi_n
    one = np.ones_like(w)
    if e == 0:  # one factor c and one factor P divided off
        return (b2 * c * one, eta + c, one), (-b2 * p, 2 * b2 - eta - c, -w), one
    noise, rest = e * cv.s2 / n, e * b2 * g / n
    a = (w - e * b2) * p
    b0, b1 = p + rest, noise * p + c * rest
    first = (
        p * (own * (1 - e) * b2 + noise * eta) + c * (b1 - a * rest),
        b1 + c * b0 + p * eta - a * rest,
        b0,
    )
    middle = own * (2 * (1 - e) * b2 - eta - c) + noise * eta - (w - e * b2) * c * rest
    return first, (-first[0], middle, -(w - e * b2) * own), p / c


def _root(first: Quadratic, second: Quadratic, scale: Array) -> tuple[Array, Array]:
    """The root of the discriminant of the second quadratic, and the discriminant relative to its terms.

    The second has no false double root at P = 0, the first none at small c: the better one is used.
    """
    (a, b, d), (q2, q1, q0) = second, first
    size, other = b * b + np.abs(4 * a * d), q1 * q1 + np.abs(4 * q2 * q0)
    use = size * scale * scale > other
    disc = np.where(use, q1 * q1 - 4 * q2 * q0, b * b - 4 * a * d)
    root = np.sqrt(np.maximum(disc, 0)) / np.where(use, np.abs(scale), 1.0)
    return root, disc / nonzero(np.where(use, other, size))


def _reciprocal_root(a: Array, b: Array, c: Array, root: Array) -> Array:
    """1/x of x = (-b + root)/(2 a) = 2 c/(-b - root), by the form that does not cancel."""
    far = b * root < 0
    return np.where(far, 2 * a, -b - root) / nonzero(np.where(far, -b + root, 2 * c))


def nonzero(x: Array) -> Array:
    return np.where(np.abs(x) < 1e-150, 1e-150, x)


def excess(cv: Curve, pt: Points) -> Array:
    """E = dz/d(-1/q) where the solution is stable (then the point lies in a gap iff E > 0), else -1.

    Also -1 where the curve has no point.
    """
    with np.errstate(all="ignore"):
        value = np.where(pt.discriminant < -ROUND_OFF, -1.0, raw_excess(cv, pt))
    return np.nan_to_num(value, nan=-1.0, posinf=-1.0, neginf=-1.0)


def raw_excess(cv: Curve, pt: Points) -> Array:
    """The same without regard to the discriminant (continuous at a fold)."""
    g, _, g2, k1, k2 = pt.sums
    r, n, p, e = pt.r, cv.psi_n, cv.psi_p, cv.eps
    r2 = r * r
    t = 1 / nonzero(r)  # u/y_1
    from_chi1 = t * (n * cv.c + r2 * k1)
    here = 1 - (1 - 2 * r * g + r2 * g2) / p
    one = 1 - k2 / n
    if e in (0, 1):
        return np.where(one > 0, here - from_chi1 * from_chi1 / (p * n * nonzero(one)), -1.0)
    s = pt.y1 / nonzero(pt.y2)
    two = 1 - s * s * e * (1 - e) * cv.b2**2 * g2 / n
    cross = np.abs(s) * k1 * cv.b2 / n  # F_12 = (1 - eps) cross, F_21 = eps cross
    from_chi2 = np.abs(t * s) * (cv.s2 + cv.b2 * r2 * g2)
    det = one * two - e * (1 - e) * cross * cross
    a = np.abs(from_chi1)
    back = a * a * two + e * (1 - e) * (from_chi2**2 * one + 2 * a * from_chi2 * cross)
    stable = (one > 0) & (two > 0) & (det > 0)
    return np.where(stable, here - back / (p * n * nonzero(det)), -1.0)
