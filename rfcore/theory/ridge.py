"""The ridge that gives the lowest test loss at the end of training."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from rfcore.answers import Minimizer
from rfcore.checks import of_kind, positive
from rfcore.model import RandomFeatureModel
from rfcore.theory._continuation import TOLERANCE, below_spectrum
from rfcore.theory._equations import Parameters, newton, parameters
from rfcore.theory._traces import from_unknowns, pair, solved, t_cross, t_test
from rfcore.theory.minimizer import minimizer

Array = npt.NDArray[np.float64]
PER_DECADE = 6
DECADES = 14
TILT = 1e-5  # relative imaginary step; the error of the slope is about its square


@dataclasses.dataclass(frozen=True)
class OptimalRidge:
    """The ridge with the lowest test loss.

    ridge : mu, 0 if none helps;  minimizer : the losses there
    slope : dL_test/dlog mu there (nan at mu = 0)
    standard_error : of the ridge, over draws, for a simulation

    >>> best = rf.theory.optimal_ridge(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1))
    >>> print(f"mu = {best.ridge:.4f}, test loss {best.minimizer.test:.4f}")
    mu = 0.5760, test loss 0.8501
    """

    ridge: float
    minimizer: Minimizer
    slope: float
    standard_error: float = math.nan


def optimal_ridge(model: RandomFeatureModel) -> OptimalRidge:
    """Minimise L_test(mu) over mu >= 0; the ridge of the question itself is ignored.

    A grid of six points a decade over every scale of U finds the valley, a root of the exact derivative
    (:func:`ridge_slope`) its bottom.  Raises RuntimeError if the solver fails.
    Source: the lower envelope of Urfin et al. (2026); chapter 10 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1)
    >>> best = rf.theory.optimal_ridge(model)
    >>> best.minimizer.test < rf.theory.minimizer(model).test
    True
    """
    of_kind("model", model, RandomFeatureModel)
    par = parameters(dataclasses.replace(model, ridge=0.0))
    top = 10 * (par.v2 + par.s2 + (par.b2 + par.alpha2 * float(par.lam.max())) * (1 + par.psi_p))
    top *= 1 + 1 / par.psi_n
    grid = np.geomspace(top * 10.0**-DECADES, top, DECADES * PER_DECADE + 1)
    values = _test_losses(par, grid)
    k = int(np.argmin(values))
    none = minimizer(dataclasses.replace(model, ridge=0.0))
    if k == 0 or none.test <= values[k]:
        return OptimalRidge(0.0, none, math.nan)

    def slope(log_mu: float) -> float:
        return ridge_slope(dataclasses.replace(model, ridge=math.exp(log_mu)))

    low, high = math.log(grid[k - 1]), math.log(grid[min(k + 1, grid.size - 1)])
    log_mu = math.log(grid[k])
    if slope(low) < 0 < slope(high):  # else the valley is flat to round-off, and any point of it will do
        log_mu = brentq(slope, low, high, xtol=1e-12)
    mu = math.exp(log_mu)
    return OptimalRidge(mu, minimizer(dataclasses.replace(model, ridge=mu)), slope(log_mu))


def ridge_slope(model: RandomFeatureModel) -> float:
    """dL_test/dlog mu at the ridge mu > 0 of the question.

    L_test is analytic in mu, so its derivative is Im L_test(mu + i h)/h up to h^2: one evaluation off
    the axis, and no difference of nearly equal numbers.
    Raises ValueError for mu = 0.
    Returns one number.  Source: chapter 10 of the book.

    >>> slope = rf.theory.ridge_slope(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, ridge=1e-4))
    >>> slope < 0  # more ridge would lower the test loss
    True
    """
    of_kind("model", model, RandomFeatureModel)
    mu = positive("ridge", model.ridge)
    par = parameters(model)
    point = solved(par, np.array([-mu * (1 + 1j * TILT)]))
    return float(np.imag(1 - 2 * t_cross(par, point) + t_test(pair(par, point, point)))[0] / TILT)


def _test_losses(par: Parameters, ridges: Array) -> Array:
    """L_test at many ridges > 0 at once."""
    x, _ = below_spectrum(par, par.floor + ridges)
    _, _, residual = newton(par, x, -(par.floor + ridges))
    if np.any(residual > TOLERANCE):
        raise RuntimeError(f"no convergence for a ridge (residual {residual.max():.1e})")
    point = from_unknowns(par, x[0], x[1], x[2], residual)
    return np.asarray(1 - 2 * t_cross(par, point) + t_test(pair(par, point, point)))
