"""The ridge that gives the lowest test loss at the end of training."""

import dataclasses
import math

import numpy as np
from scipy.optimize import minimize_scalar

from rfcore.answers import Minimizer
from rfcore.model import RandomFeatureModel
from rfcore.theory.minimizer import minimizer

PER_DECADE = 6


@dataclasses.dataclass(frozen=True)
class OptimalRidge:
    """The best ridge mu (0 if none helps), and the losses there."""

    ridge: float
    minimizer: Minimizer


def optimal_ridge(model: RandomFeatureModel) -> OptimalRidge:
    """Minimise L_test(mu) over mu >= 0; the ridge of the question itself is ignored.

    A grid of six points a decade over every scale of U finds the valley, a bounded Brent search its
    bottom (relative accuracy of mu about 1e-6).
    Source: the lower envelope of Urfin et al. (2026); by scanning, no closed form is used.
    """
    c, cov = model.constants, model.covariance
    top = 10 * (c.v2 + c.s2 + (c.b**2 + c.a**2 * float(cov.eigenvalues.max())) * (1 + model.psi_p))
    grid = np.geomspace(1e-9 * top, top, 9 * PER_DECADE + 1)

    def test(log_mu: float) -> float:
        return minimizer(dataclasses.replace(model, ridge=math.exp(log_mu))).test

    values = [test(x) for x in np.log(grid)]
    k = int(np.argmin(values))
    bounds = (math.log(grid[max(k - 1, 0)]), math.log(grid[min(k + 1, grid.size - 1)]))
    found = minimize_scalar(test, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    none = minimizer(dataclasses.replace(model, ridge=0.0))
    if none.test <= found.fun:
        return OptimalRidge(0.0, none)
    mu = math.exp(found.x)
    return OptimalRidge(mu, minimizer(dataclasses.replace(model, ridge=mu)))
