"""The closed equations for the resolvent of U at d = infinity, their Jacobian, and one Newton step.

Unknowns: u = psi_p q, chi_1 (one sample's mean over its noise draws) and chi_2 (its noise
contrasts).  With eps = 1/m, zeta = eps chi_1 + (1 - eps) chi_2, k0 = zeta b^2, k1 = chi_1 alpha^2,
kappa = k0 + k1 lambda, h = 1/(1 + kappa u) and averages < > over the law of the covariance,

    t_C = (v^2 u + alpha^2 u <lambda h>)/psi_n,      t_D = (s^2 u + b^2 u <h>)/psi_n
    F_1 = chi_1 (1 + t_C + eps t_D) - 1
    F_2 = chi_2 (1 + eps t_D) - 1
    F_3 = (u (chi_1 v^2 + zeta s^2 - z) + u <kappa h>)/psi_p - 1

For m = infinity and m = 1 the unknown chi_2 does not act and is left out.  The equations are
written in y = z - floor with floor the point below which U has no eigenvalue (s^2 at m = infinity,
0 otherwise), because the bulks crowd s^2 when t is large and z -> 0 matters at finite m.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import of_kind
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[Any]  # float64 on the negative axis, complex128 elsewhere
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Parameters:
    """The numbers that enter the equations; ``powers`` holds w, w lambda, w lambda^2 as rows."""

    psi_p: float
    psi_n: float
    eps: float
    alpha2: float
    b2: float
    v2: float
    s2: float
    lam: npt.NDArray[np.float64]
    powers: npt.NDArray[np.float64]

    @property
    def three(self) -> bool:
        """Whether chi_2 is an unknown of its own."""
        return 0 < self.eps < 1

    @property
    def floor(self) -> float:
        """The point z below which U has no eigenvalue: s^2 at m = infinity, 0 otherwise."""
        return 0.0 if self.eps else self.s2

    def newton(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """One Newton step, see :func:`newton`."""
        return newton(self, x, y)


@lru_cache(maxsize=256)
def parameters(model: RandomFeatureModel) -> Parameters:
    """Collect the numbers of a question."""
    of_kind("model", model, RandomFeatureModel)
    c = model.constants
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    return Parameters(
        psi_p=model.psi_p,
        psi_n=model.psi_n,
        eps=1 / model.noise_draws,
        alpha2=float(np.exp(-2 * model.t)) * c.a**2,
        b2=c.b**2,
        v2=c.v2,
        s2=c.s2,
        lam=lam,
        powers=np.stack([w, w * lam, w * lam * lam]),
    )


def newton(par: Parameters, x: Array, y: Array) -> tuple[Array, Array, Array]:
    """One Newton step at the points x (3, N) for y = z - floor (N,).

    Returns the relative correction (3, N), the relative tangent d log x/dy (3, N), and the
    residual (N,): the largest of |F|/sum of |terms| over the equations.
    """
    u, c1, c2 = x
    e, e1 = par.eps, 1 - par.eps
    zeta = mean_chi(par, c1, c2)
    k0, k1 = par.b2 * zeta, par.alpha2 * c1
    h = (u * k1) * par.lam[:, None]  # in place: temporaries of this size would take most of the time
    h += 1 + u * k0
    np.reciprocal(h, out=h)
    a0, a1 = par.powers[:2] @ h
    b0, b1, b2 = par.powers @ np.square(h, out=h)

    tc = u * (par.v2 + par.alpha2 * a1) / par.psi_n
    td = e * u * (par.s2 + par.b2 * a0) / par.psi_n
    below = par.v2 * c1 + (par.s2 * zeta if par.eps else 0)
    f1 = c1 * (1 + tc + td) - 1
    f3 = (u * (below - y) + u * (k0 * a0 + k1 * a1)) / par.psi_p - 1

    # Columns are scaled by the unknowns, so the solution of the linear system is relative.
    u2 = u * u / par.psi_n
    dc1 = e * par.b2 * b0 + par.alpha2 * b1  # -d<h>/d chi_1 divided by u
    g1 = par.alpha2 * u2 * (e * par.b2 * b1 + par.alpha2 * b2) + e * par.b2 * u2 * dc1
    j11 = c1 * u * (par.v2 + par.alpha2 * b1 + e * (par.s2 + par.b2 * b0)) / par.psi_n
    j12 = c1 * (1 + tc + td - c1 * g1)
    j31 = u * (below - y + k0 * b0 + k1 * b1) / par.psi_p
    j32 = u * c1 * (par.v2 + e * par.s2 + dc1) / par.psi_p
    size1 = np.abs(c1) * (1 + np.abs(tc) + np.abs(td)) + 1
    size3 = (np.abs(u * y) + np.abs(u * below) + np.abs(u * k0 * a0) + np.abs(u * k1 * a1)) / par.psi_p + 1
    residual = np.maximum(np.abs(f1) / size1, np.abs(f3) / size3)
    rhs = u / par.psi_p
    if not par.three:
        det = j11 * j32 - j12 * j31 + TINY
        step = np.stack([(j12 * f3 - j32 * f1) / det, (j31 * f1 - j11 * f3) / det, 0 * u])
        tangent = np.stack([-j12 * rhs / det, j11 * rhs / det, 0 * u])
        return step, tangent, residual

    f2 = c2 * (1 + td) - 1
    residual = np.maximum(residual, np.abs(f2) / (np.abs(c2) * (1 + np.abs(td)) + 1))
    w2 = e1 * par.b2 * u2
    j13 = -c1 * c2 * w2 * (par.alpha2 * b1 + e * par.b2 * b0)
    j21 = c2 * e * u * (par.s2 + par.b2 * b0) / par.psi_n
    j22 = -c2 * c1 * e * par.b2 * u2 * dc1
    j23 = c2 * (1 + td - c2 * e * w2 * par.b2 * b0)
    j33 = u * c2 * e1 * (par.s2 + par.b2 * b0) / par.psi_p
    # Cofactors of the 3 x 3 Jacobian: one set serves the step and the tangent.
    m11, m12, m13 = j22 * j33 - j23 * j32, j23 * j31 - j21 * j33, j21 * j32 - j22 * j31
    m21, m22, m23 = j13 * j32 - j12 * j33, j11 * j33 - j13 * j31, j12 * j31 - j11 * j32
    m31, m32, m33 = j12 * j23 - j13 * j22, j13 * j21 - j11 * j23, j11 * j22 - j12 * j21
    det = j11 * m11 + j12 * m12 + j13 * m13 + TINY
    step = np.stack(
        [
            -(m11 * f1 + m21 * f2 + m31 * f3) / det,
            -(m12 * f1 + m22 * f2 + m32 * f3) / det,
            -(m13 * f1 + m23 * f2 + m33 * f3) / det,
        ]
    )
    return step, np.stack([m31, m32, m33]) * (rhs / det), residual


def mean_chi(par: Parameters, c1: Array, c2: Array) -> Array:
    """zeta = chi_1/m + (1 - 1/m) chi_2."""
    if par.three:
        return par.eps * c1 + (1 - par.eps) * c2
    return c1 if par.eps else np.ones_like(c1)


def overlaps(par: Parameters, x: Array) -> tuple[Array, Array, Array]:
    """q = u/psi_p, r = q <lambda h>, s = q <h> at a solution x (3, N)."""
    u, c1, c2 = x
    zeta = mean_chi(par, c1, c2)
    h = 1 / ((u * par.alpha2 * c1) * par.lam[:, None] + (1 + u * par.b2 * zeta))
    a0, a1 = par.powers[:2] @ h
    q = u / par.psi_p
    return q, q * a1, q * a0
