r"""The inverse map in public: points of the real curve (w, u) -> z, and which of them lie in a gap."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array
from rfcore.model import RandomFeatureModel
from rfcore.theory import _inverse as inverse
from rfcore.theory import _place as place
from rfcore.theory._equations import parameters

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RealCurve:
    """Real solutions of the spectral equations over w, on two branches: every array is (2, N).

    q, chi_1, chi_2, z : the solution and the real z that it belongs to (nan where there is none)
    gap : whether it is *the* resolvent, so that z lies outside the spectrum
    slope : dz/d(-1/q), positive in gaps, 0 at the edges; -1 where the solution is not stable
    below : in gaps, the fraction of eigenvalues below z (nan elsewhere)

    Where the equation for u is linear (m = 1, or the identity) the second branch is nan.

    >>> curve = rf.theory.real_curve(rf.RandomFeatureModel(64, 8, 0.01), [-0.5, 0.1, 2.0])
    >>> curve.z.shape, int(curve.gap.sum())
    ((2, 3), 6)
    """

    w: Array
    z: Array
    q: Array
    chi_1: Array
    chi_2: Array
    gap: npt.NDArray[np.bool_]
    slope: Array
    below: Array


def real_curve(model: RandomFeatureModel, w: npt.ArrayLike) -> RealCurve:
    """All real solutions of the spectral equations at w = (1 + zeta b^2 u)/(chi_1 alpha^2 u), u = psi_p q.

    w : (N,) real numbers, not the negative of an eigenvalue of the covariance.

    Raises ValueError for a w that is not finite or is a pole.
    Source: chapter 8 of the book; Silverstein and Choi (1995) for sample covariance matrices.

    >>> curve = rf.theory.real_curve(rf.RandomFeatureModel(64, 8, 0.01), [0.1, 2.0])
    >>> print(curve.z[0].round(2), curve.gap[0], curve.below[0])
    [ -1.26 -43.18] [ True  True] [0. 0.]
    """
    values = finite_array("w", w, ndim=1)
    par = parameters(model)
    cv = inverse.curve(par)
    poles = -np.unique(par.lam)
    for value in values[np.isin(values, poles)]:
        raise ValueError(f"w = {float(value)!r} is not allowed: it is minus an eigenvalue of the covariance")
    scaled = par.alpha2 * values
    rows = [_branch(cv, scaled, sign) for sign in (1.0, -1.0)]
    z, q, chi_1, chi_2, slope, below = (np.stack(x) for x in zip(*rows, strict=True))
    if cv.single:
        for array in (z, q, chi_1, chi_2, below):
            array[1] = np.nan
        slope[1] = -1.0
    return RealCurve(np.stack([values, values]), z, q, chi_1, chi_2, slope > 0, slope, below)


def _branch(cv: inverse.Curve, scaled: Array, sign: float) -> tuple[Array, ...]:
    with np.errstate(all="ignore"):
        pt = inverse.points(cv, np.zeros_like(scaled), scaled, np.full(scaled.shape, sign))
        none = pt.discriminant < 0
        slope = inverse.excess(cv, pt)
        slope = np.where(none, -1.0, slope)
        below = np.where(slope > 0, place.count_below(cv, pt), np.nan)
        arrays = place.positions(cv, pt)[0], 1 / pt.iu / cv.psi_p, 1 / pt.y1, 1 / pt.y2
    return *(np.where(none, np.nan, x) for x in arrays), slope, below
