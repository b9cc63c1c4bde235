"""The stopping time with the lowest test loss of a random-feature network."""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from rfcore.model import RandomFeatureModel
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory.dynamics import loss_curves
from rfcore.theory.linear_filters import OptimalStopping
from rfcore.theory.minimizer import minimizer

PER_DECADE, STEP = 6, 1e-3


def random_feature_stopping(model: RandomFeatureModel) -> OptimalStopping:
    """Minimise L_test(tau) over the times of gradient flow, at the ridge of the question.

    A grid of six times a decade, from the fastest scale of the flow to the slowest, finds the valley, Brent's
    method its bottom (relative accuracy of tau about 1e-5, of the loss 1e-10).  ``residual`` is the slope
    d test/d log tau there, a central difference.
    Source: chapter 19 of the book.
    """
    gaussian_only(model)
    c = model.constants
    top = c.v2 + c.s2 + c.a**2 * (model.delta + float(model.covariance.eigenvalues.max())) * (1 + model.psi_p)
    unit = model.psi_p / (2 * model.delta)
    low = 1e-2 * unit / (top * (1 + 1 / model.psi_n))
    high = 1e3 * unit / (c.s2 + model.ridge) if c.s2 + model.ridge > 0 else 1e14 * low
    grid = np.geomspace(low, high, math.ceil(PER_DECADE * math.log10(high / low)))
    curves = loss_curves(model, grid)
    k, end = int(np.argmin(curves.test)), minimizer(model)
    if end.test <= curves.test[k] or k + 1 == grid.size:
        return OptimalStopping(math.inf, end.test, end.train, 0.0, end.error)

    def loss(log_tau: float) -> float:
        return float(loss_curves(model, math.exp(log_tau)).test)

    around = (math.log(grid[max(k - 1, 0)]), math.log(grid[k + 1]))
    log_tau = float(minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-6}).x)
    slope = (loss(log_tau + STEP) - loss(log_tau - STEP)) / (2 * STEP)
    best = loss_curves(model, math.exp(log_tau))
    return OptimalStopping(
        math.exp(log_tau), float(best.test), float(best.train), abs(slope), float(best.error)
    )
