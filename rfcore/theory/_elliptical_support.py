"""Bulks of the spectrum of U for elliptical data: edges by bisection, masses by the signs in the gaps.

There is no explicit inverse map when samples have several scales.  In a gap all unknowns are real, and the
fraction of eigenvalues below x follows from signs alone, as for one scale but with one sign per scale:

    N(x) = [q < 0] - (psi_n/psi_p) E{[chi_1 < 0] + (m - 1)[chi_2 < 0]} + (sign q/psi_p) <[1 + kappa u < 0]>
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.model import RandomFeatureModel
from rfcore.theory._continuation import TOLERANCE, solve
from rfcore.theory._elliptical import EllipticalParameters, elliptical_parameters, sample_factors
from rfcore.theory.resolvent import atom_mass

Floats = npt.NDArray[np.float64]
DECADES, PER_DECADE = (7, 13), 100
INSIDE = 1e-7  # Im q/|q| above which a point lies in a bulk
ROUNDS, PARTS = 8, 64


@lru_cache(maxsize=32)
def edges(model: RandomFeatureModel) -> tuple[Floats, Floats, float, bool]:
    """Edges minus the floor (2 B,), masses (B,), the defect of the counts, and whether the first is hard.

    Raises ArithmeticError if the counts at the two ends of a gap differ by more than 1e-6: then a bulk
    between them is narrower than the scan of 100 points a decade resolves.
    """
    par = elliptical_parameters(model)
    top = 4 * (par.alpha2 * float(par.lam.max()) + par.b2 + par.v2 + par.s2)
    top *= (1 + math.sqrt(par.psi_p)) ** 2 * (1 + 1 / math.sqrt(par.psi_n)) ** 2
    for decades in DECADES:
        y = np.geomspace(top * 10.0**-decades, top, decades * PER_DECADE)
        inside = _inside(par, y)
        if not inside[0]:
            break
    change = np.flatnonzero(np.diff(inside.astype(int)))
    hard = bool(inside[0])  # the density reaches the floor
    low, high = y[change], y[change + 1]
    rising = ~inside[change]
    for _ in range(ROUNDS):  # one call for many parts: the solver is fastest on many points
        part = low * (high / low) ** (np.arange(1, PARTS)[:, None] / PARTS)
        seen = _inside(par, part.ravel()).reshape(part.shape)
        ends = np.concatenate([low[None], part, high[None]])
        first = np.argmax(np.concatenate([seen == rising, np.ones((1, low.size), bool)]), axis=0)
        columns = np.arange(low.size)
        low, high = ends[first, columns], ends[first + 1, columns]
    found = np.sqrt(low * high)
    if hard:
        found = np.append(0.0, found)
    gaps = np.stack([found[1:-1:2], found[2::2]], axis=1)
    ends = np.concatenate([gaps[:, 0] * 0.99 + gaps[:, 1] * 0.01, gaps[:, 0] * 0.01 + gaps[:, 1] * 0.99])
    counts = _count_below(par, np.append(ends, [found[-1] * 1.01])).reshape(-1)
    left, right = counts[: len(gaps)], counts[len(gaps) : 2 * len(gaps)]
    below = np.concatenate([[atom_mass(model)], right, [counts[-1]]])
    defect = max(float(np.max(np.abs(left - right), initial=0.0)), abs(float(counts[-1]) - 1))
    if defect > 1e-6 or found.size % 2:
        raise ArithmeticError(f"a bulk of mass {defect:.1e} is too narrow for the scan of {model}")
    return found, np.diff(below), defect, hard


def _unknowns(par: EllipticalParameters, y: Floats) -> Any:
    x, residual = solve(par, y.astype(np.complex128))
    if np.any(residual > TOLERANCE):
        raise RuntimeError(f"the resolvent has not converged on the axis (residual {residual.max():.1e})")
    return x


def _inside(par: EllipticalParameters, y: Floats) -> npt.NDArray[np.bool_]:
    u = _unknowns(par, y)[0]
    return np.asarray(u.imag > INSIDE * np.abs(u))


def _count_below(par: EllipticalParameters, y: Floats) -> Floats:
    u, c1, c0 = _unknowns(par, y).real
    kappa = par.b2 * c0 + par.alpha2 * c1 * par.lam[:, None]
    h = 1 / (1 + kappa * u)
    chi_1, chi_2 = sample_factors(par, u, par.powers[0] @ h, par.powers[1] @ h)
    w = par.constants.weights
    samples = w @ (chi_1 < 0)
    if par.eps:
        samples = samples + (1 / par.eps - 1) * (w @ (chi_2 < 0))
    turned = np.sign(u) * (par.powers[0] @ (h < 0))
    return np.asarray((u < 0) - par.psi_n / par.psi_p * samples + turned / par.psi_p)
