"""The closed equations for elliptical data: each sample has its own scale tau, and its own constants.

With t_C(tau) = u (v^2 + alpha^2 <lambda h>)/psi_n, t_D(tau) = u (s^2 + b^2 <h>)/psi_n, eps = 1/m,

    chi_1(tau) = 1/(1 + t_C + eps t_D),   chi_2(tau) = 1/(1 + eps t_D),   zeta = eps chi_1 + (1 - eps) chi_2

and E the average over the scale law, three numbers carry everything: u = psi_p q and

    k_1 = E[chi_1 alpha^2],   k_0 = E[zeta b^2],   h = 1/(1 + u (k_0 + k_1 lambda))
    1/q = E[chi_1 v^2] + E[zeta s^2] - z + <(k_0 + k_1 lambda) h>

The unknowns are u, c_1 = k_1/E alpha^2 and c_0 = k_0/E b^2 (one at m = infinity), so that without a law of
scales c_1 = chi_1 and c_0 = zeta.  As there, the equations are written in y = z - floor.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.gaussian import ScaleConstants
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
TINY = 1e-300
V, A, S, B = range(4)  # rows of ``squares``: v^2, alpha^2, s^2, b^2


@dataclass(frozen=True, eq=False)
class EllipticalParameters:
    """The numbers that enter the equations.  alpha2, b2, v2, s2 are means over the law of scales;

    squares (4, K): v^2, alpha^2, s^2, b^2 at each scale; first (4, K) and second (10, K): these and their
    products two by two, times the weights; constants: the same and b at each scale.
    """

    psi_p: float
    psi_n: float
    eps: float
    alpha2: float
    b2: float
    v2: float
    s2: float
    lam: Floats
    powers: Floats
    squares: Floats
    first: Floats
    second: Floats
    constants: ScaleConstants

    @property
    def floor(self) -> float:
        """The point z below which U has no eigenvalue: E s^2 at m = infinity, 0 otherwise."""
        return 0.0 if self.eps else self.s2

    def newton(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """One Newton step, see :func:`newton`."""
        return newton(self, x, y)


@lru_cache(maxsize=64)
def elliptical_parameters(model: RandomFeatureModel) -> EllipticalParameters:
    """Collect the numbers of a question."""
    c = model.scale_constants
    squares = np.stack([c.v2, c.alpha2, c.s2, c.b**2])
    i, j = np.triu_indices(4)
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    means = squares @ c.weights
    return EllipticalParameters(
        psi_p=model.psi_p,
        psi_n=model.psi_n,
        eps=1 / model.noise_draws,
        alpha2=float(means[A]),
        b2=float(means[B]),
        v2=float(means[V]),
        s2=float(means[S]),
        lam=lam,
        powers=np.stack([w, w * lam, w * lam * lam]),
        squares=squares,
        first=squares * c.weights,
        second=squares[i] * squares[j] * c.weights,
        constants=c,
    )


def sample_factors(par: EllipticalParameters, u: Array, h0: Array, h1: Array) -> tuple[Array, Array]:
    """chi_1 and chi_2 at each scale, (K, N), from u, <h> and <lambda h> (N,)."""
    v2, alpha2, s2, b2 = par.squares[..., None]
    draws = 1 + par.eps * u * (s2 + b2 * h0) / par.psi_n
    return 1 / (draws + u * (v2 + alpha2 * h1) / par.psi_n), 1 / draws


def newton(par: EllipticalParameters, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """One Newton step at the points x (3, N), rows u, c_1, c_0, for y = z - floor (N,).

    Returns the relative correction (3, N), the relative tangent d log x/dy (3, N), and the residual (N,):
    the largest of |F|/sum of |terms| over the equations.
    """
    u, c1, c0 = x
    k0, k1 = par.b2 * c0, par.alpha2 * c1
    h = 1 / ((u * k1) * par.lam[:, None] + (1 + u * k0))
    a0, a1 = par.powers[:2] @ h
    b0, b1, b2 = par.powers @ (h * h)
    chi_1, chi_2 = sample_factors(par, u, a0, a1)
    one, two = par.first @ chi_1, par.first @ chi_2
    zeta = par.eps * one + (1 - par.eps) * two
    # Derivatives of <lambda h> and <h> by log u (times 1/u, of u <.>), log c_1, log c_0.
    da = np.stack([b1, -u * k1 * b2, -u * k0 * b1])
    db = np.stack([b0, -u * k1 * b1, -u * k0 * b0])
    done, dtwo = _slopes(par, u, chi_1, chi_2, da, db)
    dzeta = par.eps * done + (1 - par.eps) * dtwo

    below = one[V] + (zeta[S] if par.eps else 0)
    dbelow = done[V] + (dzeta[S] if par.eps else 0)
    own = np.stack([u * (k0 * b0 + k1 * b1), u * k1 * b1, u * k0 * b0])
    row3 = (u * dbelow + own) / par.psi_p
    row3[0] += u * (below - y) / par.psi_p
    f3 = (u * (below - y) + u * (k0 * a0 + k1 * a1)) / par.psi_p - 1
    size3 = (np.abs(u * y) + np.abs(u * below) + np.abs(u * k0 * a0) + np.abs(u * k1 * a1)) / par.psi_p + 1

    f1, row1, size1 = _ratio(k1, one[A], done[A], 1, np.abs(par.first[A]) @ np.abs(chi_1))
    residual = np.maximum(np.abs(f1) / size1, np.abs(f3) / size3)
    if par.eps:
        sizes = np.abs(par.first[B]) @ (par.eps * np.abs(chi_1) + (1 - par.eps) * np.abs(chi_2))
        f2, row2, size2 = _ratio(k0, zeta[B], dzeta[B], 2, sizes)
        residual = np.maximum(residual, np.abs(f2) / size2)
    else:  # c_0 = 1 does not move
        f2, row2 = 0 * f1, np.stack([0 * u, 0 * u, 1 + 0 * u])
    m1, m2, m3 = _cross(row2, row3), _cross(row3, row1), _cross(row1, row2)
    det = np.sum(row1 * m1, axis=0) + TINY
    return -(m1 * f1 + m2 * f2 + m3 * f3) / det, m3 * (u / par.psi_p / det), residual


def _slopes(
    par: EllipticalParameters, u: Array, chi_1: Array, chi_2: Array, da: Array, db: Array
) -> tuple[Array, Array]:
    """Derivatives (4, 3, N) of E[chi_1 g] and E[chi_2 g], g = v^2, alpha^2, s^2, b^2, by the log unknowns."""
    p, q = _symmetric(par.second @ (chi_1 * chi_1)), _symmetric(par.second @ (chi_2 * chi_2))
    e = par.eps
    done = p[:, A, None] * da + e * p[:, B, None] * db
    dtwo = e * q[:, B, None] * db
    done[:, 0] += p[:, V] + e * p[:, S]
    dtwo[:, 0] += e * q[:, S]
    return -u / par.psi_n * done, -u / par.psi_n * dtwo


def _symmetric(upper: Array) -> Array:
    """(10, N) to a symmetric (4, 4, N)."""
    i, j = np.triu_indices(4)
    full = np.empty((4, 4, upper.shape[1]), dtype=upper.dtype)
    full[i, j] = full[j, i] = upper
    return full


def _ratio(k: Array, mean: Array, slope: Array, column: int, size: Array) -> tuple[Array, Array, Array]:
    """F = k/mean - 1 (no pole for a single scale), its row of the Jacobian, and the size of its terms."""
    ratio = k / mean
    row = -ratio * slope / mean
    row[column] += ratio
    return ratio - 1, row, 1 + np.abs(ratio) * size / np.abs(mean)


def _cross(a: Array, b: Array) -> Array:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def overlaps(par: EllipticalParameters, x: Array) -> tuple[Array, Array, Array]:
    """q = u/psi_p, r = q <lambda h>, s = q <h> at a solution x (3, N)."""
    u, c1, c0 = x
    h = 1 / ((u * par.alpha2 * c1) * par.lam[:, None] + (1 + u * par.b2 * c0))
    a0, a1 = par.powers[:2] @ h
    q = u / par.psi_p
    return q, q * a1, q * a0
