"""Bulks of the spectrum of U for elliptical data: edges by bisection, masses by the signs in the gaps.

There is no explicit inverse map when samples have several scales.  In a gap all unknowns are real, and the
fraction of eigenvalues below x follows from signs alone, as for one scale but with one sign per scale:

    N(x) = [q < 0] - (psi_n/psi_p) E{[chi_1 < 0] + (m - 1)[chi_2 < 0]} + (sign q/psi_p) <[1 + kappa u < 0]>
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rfcore.model import RandomFeatureModel
from rfcore.theory._continuation import TOLERANCE, solve
from rfcore.theory._elliptical import EllipticalParameters, elliptical_parameters, sample_factors
from rfcore.theory.resolvent import atom_mass

Floats = npt.NDArray[np.float64]
DECADES, PER_DECADE = (7, 13), 100
MOST = 8  # decades added above the first guess of the largest eigenvalue
INSIDE = 1e-7  # Im q/|q| above which a point lies in a bulk
ROUNDS, PARTS = 8, 64
PART = np.arange(1, PARTS)[:, None] / PARTS
MISSED = 1e-12  # a bulk of less is left out


@dataclass(frozen=True)
class Edges:
    """Edges minus the floor (2 B,), masses (B,), the defect of the counts, the relative error of the edges.

    ``hard`` says that the density reaches the floor.
    """

    place: Floats
    mass: Floats
    defect: float
    error: float
    hard: bool


@lru_cache(maxsize=32)
def edges(model: RandomFeatureModel) -> Edges:
    """All edges, by a scan and bisection.

    Raises ArithmeticError if the counts show a bulk that no point of the scan is in: it is then narrower
    than round-off.
    """
    par = elliptical_parameters(model)
    atom = atom_mass(model)
    seen = _scan(par, atom)
    for _ in range(ROUNDS):
        seen = _refined(par, *seen)
        found, ends, counts = _assembled(par, *seen, atom)
        if found.defect < MISSED:
            break
        seen = _merged(*seen, ends, counts)  # a bulk hides beside another
    if not found.defect < 1e-6 or found.place.size % 2:
        raise ArithmeticError(
            f"a bulk of mass {found.defect:.1e} is narrower than round-off: take scales, or eigenvalues of "
            "the covariance, that lie closer together"
        )
    return found


def _assembled(
    par: EllipticalParameters, y: Floats, count: Floats, atom: float
) -> tuple[Edges, Floats, Floats]:
    """What a scan says; and points near both ends of each gap, with their counts, which must agree."""
    inside = np.isnan(count)
    change = np.flatnonzero(np.diff(inside.astype(int)))
    low, high = _narrowed(par, y[change], y[change + 1], ~inside[change])
    place, hard = np.sqrt(low * high), bool(inside[0])
    if hard:
        place = np.append(0.0, place)
    gaps = np.stack([place[1:-1:2], place[2::2]], axis=1)
    ends = np.concatenate([gaps[:, 0] * 0.99 + gaps[:, 1] * 0.01, gaps[:, 0] * 0.01 + gaps[:, 1] * 0.99])
    ends = np.append(ends, place[-1] * 1.01)
    counts, known = _count_below(par, ends)
    left, right = counts[: len(gaps)], counts[len(gaps) : 2 * len(gaps)]
    below = np.concatenate([[atom], right, [counts[-1]]])
    defect = max(float(np.max(np.abs(left - right), initial=0.0)), abs(float(counts[-1]) - 1))
    error = max(1e-11, float(np.max(high / low - 1)))
    return Edges(place, np.diff(below), defect, error, hard), ends[known], counts[known]


def _merged(y: Floats, count: Floats, more: Floats, counts: Floats) -> tuple[Floats, Floats]:
    y, count = np.append(y, more), np.append(count, counts)
    order = np.argsort(y)
    return y[order], count[order]


def _scan(par: EllipticalParameters, atom: float) -> tuple[Floats, Floats]:
    """A hundred points a decade, from below all bulks to above, and the share of eigenvalues below each."""
    top = 4 * (par.alpha2 * float(par.lam.max()) + par.b2 + par.v2 + par.s2)
    top *= (1 + math.sqrt(par.psi_p)) ** 2 * (1 + 1 / math.sqrt(par.psi_n)) ** 2
    for _ in range(MOST):  # rare samples of large scale may have eigenvalues far above the guess
        if _count_below(par, np.array([top]))[0][0] > 1 - MISSED:
            break
        top *= 10
    for decades in DECADES:
        y = np.geomspace(top * 10.0**-decades, top, decades * PER_DECADE)
        count, known = _count_below(par, y)
        y, count = y[known], count[known]
        if count[0] < atom + MISSED:
            break
    return y, count


def _refined(par: EllipticalParameters, y: Floats, count: Floats) -> tuple[Floats, Floats]:
    """With a point in each bulk: where neighbours outside of bulks have different fractions below them."""
    for _ in range(ROUNDS):
        hidden = np.flatnonzero(np.abs(np.diff(count)) > MISSED)  # nan, inside a bulk, is not
        if not hidden.size:
            break
        finer = (y[hidden] * (y[hidden + 1] / y[hidden]) ** PART).ravel()
        more, known = _count_below(par, finer)
        y, count = _merged(y, count, finer[known], more[known])
    return y, count


def _narrowed(
    par: EllipticalParameters, low: Floats, high: Floats, rising: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Intervals with an edge in each, as narrow as the solver tells apart; where rising, a bulk begins."""
    low, high = low.copy(), high.copy()
    for _ in range(ROUNDS):  # one call for many parts: the solver is fastest on many points
        part = low * (high / low) ** PART
        count, known = (each.reshape(part.shape) for each in _count_below(par, part.ravel()))
        for k in range(low.size):
            points = part[known[:, k], k]
            passed = np.isnan(count[known[:, k], k]) == rising[k]
            first = int(np.argmax(np.append(passed, True)))
            low[k], high[k] = [low[k], *points][first], [*points, high[k]][first]
    return low, high


def _count_below(par: EllipticalParameters, y: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The fraction of eigenvalues below each y, nan inside a bulk; and where the solver has converged.

    It may not within 1e-6 of an edge, where two solutions are about to meet.
    """
    x, residual = solve(par, y.astype(np.complex128))
    u, c1, c0 = x.real
    kappa = par.b2 * c0 + par.alpha2 * c1 * par.lam[:, None]
    h = 1 / (1 + kappa * u)
    chi_1, chi_2 = sample_factors(par, u, par.powers[0] @ h, par.powers[1] @ h)
    w = par.constants.weights
    samples = w @ (chi_1 < 0)
    if par.eps:
        samples = samples + (1 / par.eps - 1) * (w @ (chi_2 < 0))
    turned = np.sign(u) * (par.powers[0] @ (h < 0))
    count = (u < 0) - par.psi_n / par.psi_p * samples + turned / par.psi_p
    return np.where(x[0].imag > INSIDE * np.abs(x[0]), np.nan, count), residual <= TOLERANCE
