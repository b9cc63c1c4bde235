r"""Leading-order places of the bulks when psi_p and psi_n are large: what is published, and the third bulk.

With gamma = psi_p/psi_n = p/n and |z| = O(1), q tends to 0 and y = gamma q is what stays.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import of_kind, refuse
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TwoBulks:
    """The published picture: two bulks and an atom at s^2.

    sample, population : edges (left, right) of the two bulks
    sample_mass, population_mass, atom_mass : shares of the eigenvalues

    >>> published = rf.theory.two_bulks(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(f"{published.sample_mass:.4f} {published.population_mass:.4f} {published.atom_mass:.4f}")
    0.1250 0.0156 0.8594
    """

    sample: tuple[float, float]
    population: tuple[float, float]
    sample_mass: float
    population_mass: float
    atom_mass: float


@dataclass(frozen=True, eq=False)
class ThirdBulk:
    """The third bulk, one entry per eigenvalue of the covariance law.

    delta : Delta e^2t/lambda
    location : lambda_3 (nan at lambda = 0)
    separate : whether it lies in a gap, at leading order
    weight : w_3, the residue of (1/d) tr V^T R V there (m = infinity, else nan)

    >>> third = rf.theory.third_bulk(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(third.location.round(4), third.separate)
    [0.0054] [ True]
    """

    delta: Array
    location: Array
    separate: npt.NDArray[np.bool_]
    weight: Array


def two_bulks(model: RandomFeatureModel) -> TwoBulks:
    """Sample bulk s^2 + v^2 (1 -/+ sqrt(p/n))^2, population bulk of Sigma = lambda I.

    The population bulk is s^2 + v^2 + (b^2 + alpha^2 lambda)(1 -/+ sqrt(psi_p))^2, with b, v, s of
    ``model.constants`` and alpha = e^-t a.

    Raises ValueError for finitely many noise draws, and for a covariance with more than one eigenvalue.
    Source: Bonnaire et al. (2025), Theorem 3.2, for psi_p, psi_n >> 1.

    >>> published = rf.theory.two_bulks(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(" ".join(f"{edge:.3f}" for edge in (*published.sample, *published.population)))
    0.087 0.376 18.004 29.745
    """
    of_kind("model", model, RandomFeatureModel)
    if math.isfinite(model.noise_draws):
        raise refuse("noise_draws", model.noise_draws, "math.inf")
    lam = np.unique(model.covariance.eigenvalues)
    if lam.size > 1:
        raise refuse(
            "number of eigenvalues of covariance", lam.size, "1, as the published formula is for lambda I"
        )
    c, p, n = model.constants, model.psi_p, model.psi_n
    root, wide = math.sqrt(p / n), math.sqrt(p)
    level = c.b**2 + math.exp(-2 * model.t) * c.a**2 * float(lam[0])
    low, high = c.s2 + c.v2 * (1 - root) ** 2, c.s2 + c.v2 * (1 + root) ** 2
    base = c.s2 + c.v2
    population = base + level * (1 - wide) ** 2, base + level * (1 + wide) ** 2
    atom = max(0.0, 1 - (1 + n) / p)
    return TwoBulks((low, high), population, min(n / p, 1 - 1 / p), 1 / p, atom)


def third_bulk(model: RandomFeatureModel) -> ThirdBulk:
    """Leading-order place of the third bulk for m >= 2 noise draws or m = infinity.

    m = infinity: lambda_3 = s^2 + v^2 delta (gamma/(1 + delta) - 1), separate iff gamma > (1 + delta)^2,
    w_3 = delta v^2 (gamma/(1 + delta)^2 - 1).  Finite m: lambda_3 = z(y_3) with
    z(y) = chi_1 v^2 + zeta s^2 - gamma/y, chi_1 = 1/(1 + y (v^2 + s^2/m)), chi_2 = 1/(1 + y s^2/m),
    y_3 = -(1 + k)/(v^2 + (1 + k) s^2/m), k = (1/m + 1/delta)/(1 - 1/m), separate iff z'(y_3) > 0.

    Raises ValueError for m = 1, where chi_1 and zeta are one and there is no third bulk.
    Source: chapter 8 of the book; for gamma -> infinity the memorisation bulk of Urfin et al. (2026).

    >>> model = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
    >>> lowest = rf.theory.support(model).bulks[0]
    >>> print(lowest.left < rf.theory.third_bulk(model).location[0] < lowest.right)
    True
    """
    of_kind("model", model, RandomFeatureModel)
    if model.noise_draws == 1:
        raise refuse("noise_draws", 1, "an integer >= 2, or math.inf (with one draw there is no third bulk)")
    c, e = model.constants, 1 / model.noise_draws
    gamma = model.psi_p / model.psi_n
    with np.errstate(divide="ignore", invalid="ignore"):
        delta = model.delta * math.exp(2 * model.t) / model.covariance.eigenvalues
        k = (e + 1 / delta) / (1 - e)
        y = -(1 + k) / (c.v2 + (1 + k) * e * c.s2)
        chi_1, chi_2 = 1 / (1 + y * (c.v2 + e * c.s2)), 1 / (1 + y * e * c.s2)
        place = chi_1 * c.v2 + (e * chi_1 + (1 - e) * chi_2) * c.s2 - gamma / y
        one = (c.v2 + e * c.s2) * chi_1
        slope = gamma / y**2 - one**2 - e * (1 - e) * c.s2**2 * chi_2**2
        weight = delta * c.v2 * (gamma / (1 + delta) ** 2 - 1)
    finite = np.isfinite(delta)
    return ThirdBulk(
        delta,
        np.where(finite, place, np.nan),
        finite & (slope > 0),
        np.where(finite & (e == 0), weight, np.nan),
    )
