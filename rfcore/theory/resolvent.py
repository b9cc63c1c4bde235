"""The resolvent of U at d = infinity: q, r, s anywhere in the complex plane, and the density."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, of_kind, refuse
from rfcore.model import RandomFeatureModel
from rfcore.theory import _elliptical as elliptical
from rfcore.theory._continuation import TOLERANCE, solve
from rfcore.theory._equations import Parameters, overlaps, parameters

Complex = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resolvent:
    """The resolvent R(z) = (U - z)^-1 seen through five scalars; every array has the shape of z.

    q : (1/p) tr R
    r : (1/p) tr(Sigma^1/2 M^T R M Sigma^1/2), M = W/sqrt d
    s : (1/p) tr(M^T R M)
    chi_1, chi_2 : leave-one-out factors of a sample's mean over its noise draws and of its noise
        contrasts (chi_2 = 1 at m = infinity, and is not used at m = 1).  With a scale law chi_1 stands
        for E[chi_1 alpha^2]/E alpha^2 and chi_2 for E[zeta b^2]/E b^2
    residual : the largest of |F|/sum of |terms| over the equations
    converged : residual <= 1e-12 on the branch that is connected to z = -infinity

    >>> answer = rf.theory.resolvent(rf.RandomFeatureModel(64, 8, 0.01), [-1.0, 0.5 + 0.1j])
    >>> print(answer.q.round(4), answer.converged, answer.residual.max() < 1e-12)
    [ 0.9652+0.j     -2.0277+0.4668j] [ True  True] True
    """

    z: Complex
    q: Complex
    r: Complex
    s: Complex
    chi_1: Complex
    chi_2: Complex
    residual: Floats
    converged: npt.NDArray[np.bool_]


def resolvent(model: RandomFeatureModel, z: npt.ArrayLike) -> Resolvent:
    """Solve the closed equations for the resolvent of U at d, n, p = infinity.

    With a, b, v, s of ``model.constants``, alpha = e^-t a, u = psi_p q, eps = 1/m,
    zeta = eps chi_1 + (1 - eps) chi_2, kappa = zeta b^2 + chi_1 alpha^2 lambda, h = 1/(1 + kappa u), and <>
    over the covariance law:

        1/q = chi_1 v^2 + zeta s^2 - z + <kappa h>,   r = q <lambda h>,   s = q <h>
        1/chi_1 = 1 + t_C + eps t_D,   1/chi_2 = 1 + eps t_D
        t_C = (psi_p/psi_n)(v^2 q + alpha^2 r),   t_D = (psi_p/psi_n)(s^2 q + b^2 s)

    z : complex or real, any shape.  Real z means z + i0; for Im z < 0 the conjugate of the answer at the
        conjugate is returned.  Units: those of U (features of order 1)

    Raises ValueError for a z that is not finite, or that lies on the atom or on a hard edge, where
    the resolvent is infinite.

    Source: Bonnaire et al. (2025), Theorem 3.1, for m = infinity; the form for any m by
    leave-one-out, chapter 4 of the book.

    >>> answer = rf.theory.resolvent(rf.RandomFeatureModel(64, 8, 0.01), -1.0)
    >>> print(f"{answer.q.real:.4f} {answer.r.real:.5f} {answer.s.real:.5f}")
    0.9652 0.05401 0.05401
    """
    of_kind("model", model, RandomFeatureModel)
    points = _points(z)
    flat = points.ravel()
    par = parameters(model) if model.scale is None else elliptical.elliptical_parameters(model)
    y = np.where(flat.imag < 0, np.conj(flat), flat) - par.floor
    if infinite_at_floor(model) and np.any(np.abs(y) <= 4 * np.finfo(float).eps * par.floor):
        raise refuse("z", par.floor, "a point off the atom and off the hard edge of the spectrum")
    x, residual = solve(par, y)
    own = overlaps(par, x) if isinstance(par, Parameters) else elliptical.overlaps(par, x)
    answers = [np.where(flat.imag < 0, np.conj(f), f) for f in (*own, x[1], x[2])]
    q, r, s, chi_1, chi_2 = (f.reshape(points.shape) for f in answers)
    residual = residual.reshape(points.shape)
    return Resolvent(points, q, r, s, chi_1, chi_2, residual, residual <= TOLERANCE)


def density(model: RandomFeatureModel, x: npt.ArrayLike) -> Floats:
    """The continuous part of the eigenvalue density of U, Im q(x + i0)/pi, at x > 0.

    It integrates to 1 minus the mass of the atom.  Raises ValueError for x that is not finite and
    positive or lies on the atom or a hard edge, RuntimeError if a point has not converged.

    Returns an array of the shape of x, per unit of x.

    >>> print(rf.theory.density(rf.RandomFeatureModel(64, 8, 0.01), [0.2, 1.0, 20.0]).round(5))
    [0.51781 0.      0.00064]
    """
    of_kind("model", model, RandomFeatureModel)
    points = finite_array("x", x)
    if points.size and points.min() <= 0:
        raise refuse("x", float(points.min()), "numbers > 0")
    answer = resolvent(model, points)
    if not np.all(answer.converged):
        bad = float(points[~answer.converged].flat[0])
        raise RuntimeError(f"the resolvent has not converged at x = {bad!r} of {model!r}")
    # On gaps Im q is round-off of either sign.
    return np.maximum(answer.q.imag, 0.0) / math.pi


def atom_mass(model: RandomFeatureModel) -> float:
    """1 - rank(U)/p: the mass of the atom at s^2 (m = infinity) or at 0 (finite m), 0 if there is none."""
    return max(0.0, 1 - _rank_ratio(model))


def infinite_at_floor(model: RandomFeatureModel) -> bool:
    """Whether the lowest point (s^2 at m = infinity, else 0) carries an atom or a hard edge."""
    return _rank_ratio(model) <= 1


def _rank_ratio(model: RandomFeatureModel) -> float:
    """Number of independent directions beyond the floor, divided by p (may exceed 1)."""
    linear = not np.any(model.scale_constants.v2)
    if math.isinf(model.noise_draws):
        # b M has rank d; each sample adds one direction unless its feature is linear in it.
        return (1 if linear else 1 + model.psi_n) / model.psi_p
    samples = model.psi_n * model.noise_draws
    return (min(1.0, samples) if linear else samples) / model.psi_p


def _points(z: npt.ArrayLike) -> Complex:
    try:
        points: Any = np.array(z, dtype=np.complex128)
    except (TypeError, ValueError):
        raise refuse("z", z, "complex or real numbers") from None
    if not np.all(np.isfinite(points)):
        raise refuse("z", complex(points[~np.isfinite(points)].flat[0]), "finite numbers")
    return np.asarray(points)
