"""The spectrum of a sample covariance S: its bulks, the density on them, and the share of zeros."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, idst

from rfcore.model import LinearModel
from rfcore.theory.linear_spectrum import spectral_rule, support_of_u

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bulk:
    """An interval with the share ``mass`` of eigenvalues; nodes x (N,), the density there, their shares."""

    left: float
    right: float
    mass: float
    x: Floats
    density: Floats
    part: Floats


def bulks(model: LinearModel) -> tuple[list[Bulk], float]:
    """The bulks, ascending, and the share of the eigenvalues that are 0.

    The edges are x(u) = u^2 gamma <lambda/(lambda - u)^2> at the ends of the intervals of u, and the nodes
    are midpoints in an angle, see :mod:`rfcore.theory.linear_spectrum`.
    """
    law, gamma = model.covariance, model.gamma
    rule = spectral_rule(law, gamma)
    live = rule.weights.any(axis=1)  # the range of Sigma, to round-off
    lam, w = law.eigenvalues[live], law.weights[live]
    share, found = law.weights @ rule.weights, []
    for ends in support_of_u(lam, w, gamma):
        left, right = (u**2 * gamma * float((w * lam) @ (1 / (lam - u) ** 2)) for u in ends)
        inside = (rule.x >= left * (1 - 1e-9)) & (rule.x <= right * (1 + 1e-9))
        x, part = rule.x[inside], share[inside]
        found.append(Bulk(left, right, float(part.sum()), x, part / _widths(x), part))
    return found, float(law.weights @ rule.zero)


def _widths(x: Floats) -> Floats:
    """dx of each node: log x is an even, smooth function of the angle, so its cosine series has the slope."""
    waves = dct(np.log(x)) * np.arange(x.size)
    slope = -idst(np.append(waves[1:], 0.0))  # of log x, per radian
    return np.asarray(x * np.abs(slope) * math.pi / x.size)
