"""The ridge that gives the lowest test loss, on drawn networks and data."""

import dataclasses
import math
from typing import Unpack

import numpy as np
import torch
from scipy.optimize import brentq

from rfcore.answers import Minimizer
from rfcore.checks import Array, whole
from rfcore.model import RandomFeatureModel
from rfcore.progress import progress
from rfcore.simulation.dynamics import Flow, end, flow
from rfcore.simulation.features import moments
from rfcore.simulation.options import DrawOptions
from rfcore.theory.ridge import DECADES, PER_DECADE, OptimalRidge

NEAR = 1e-3  # step in log mu for the curvature at the optimum


def optimal_ridge(
    model: RandomFeatureModel,
    d: int,
    draws: int,
    seed: int,
    features: str = "nonlinear",
    **how: Unpack[DrawOptions],
) -> OptimalRidge:
    """Minimise over mu >= 0 the test loss averaged over the draws seed, seed + 1, ... at dimension d.

    One eigendecomposition for each draw gives its test loss and the derivative at every ridge: a scan finds
    the valley, a root of the mean derivative its bottom.  The ridge of the question itself is ignored.

    ``standard_error`` of the ridge (first order) and of ``minimizer``: over draws, nan for one draw.
    how : :class:`DrawOptions`

    Raises ValueError as :func:`rfcore.simulation.moments`.  Source: chapter 10 of the book.

    >>> best = rf.simulation.optimal_ridge(rf.RandomFeatureModel(4, 2, 0.1), d=16, draws=2, seed=0)
    >>> best.ridge > 0, best.standard_error > 0
    (True, True)
    """
    first, count = whole("seed", seed, least=0), whole("draws", draws)
    flows = [
        flow(moments(model, d, k, features, **how)) for k in progress(range(first, first + count), "Draws")
    ]
    top = 10 * max(float(f.eigenvalues[-1]) for f in flows)
    grid = np.append(0.0, np.geomspace(top * 10.0**-DECADES, top, DECADES * PER_DECADE + 1))
    k = int(np.argmin(np.mean([_test(f, grid)[0] for f in flows], axis=0)))
    if k <= 1:
        return OptimalRidge(0.0, _mean([end(f) for f in flows]), math.nan)

    def slopes(log_mu: float) -> Array:
        return np.array([_test(f, np.exp([log_mu]))[1][0] for f in flows])

    log_mu = float(np.log(grid[k]))
    low, high = np.log([grid[k - 1], grid[min(k + 1, grid.size - 1)]])
    if slopes(low).mean() < 0 < slopes(high).mean():  # else the valley is flat to round-off
        log_mu = brentq(lambda v: slopes(v).mean(), low, high, xtol=1e-12)
    own = slopes(log_mu)
    curvature = (slopes(log_mu + NEAR) - slopes(log_mu - NEAR)).mean() / (2 * NEAR)
    mu = math.exp(log_mu)
    best = _mean([end(dataclasses.replace(f, ridge=mu)) for f in flows])
    return OptimalRidge(mu, best, float(own.mean()), mu * _standard_error(own) / abs(float(curvature)))


def _test(f: Flow, ridges: Array) -> tuple[Array, Array]:
    """L_test and dL_test/dlog mu at the end of training, for each ridge mu >= 0."""
    mu = torch.as_tensor(ridges, device=f.eigenvalues.device)[:, None]
    g = torch.where(f.eigenvalues > f.round_off, 1 / (f.eigenvalues + mu), 0)
    linear, d = f.linear["test"], f.projected.shape[1]
    half = g @ f.quadratic["test"] - linear
    loss = 1 + ((half - linear) * g).sum(dim=1) / d
    slope = -2 * mu[:, 0] * (half * g**2).sum(dim=1) / d
    return loss.cpu().numpy(), slope.cpu().numpy()


def _mean(ends: list[Minimizer]) -> Minimizer:
    """Mean over draws, with its standard errors."""
    values = np.array([[e.train, e.test, e.empirical, e.score_error] for e in ends]).T
    error = max(e.error for e in ends)
    train, test, empirical, score = (_standard_error(v) for v in values)
    spread = Minimizer(train, test, empirical, score, error)
    train, test, empirical, score = (float(v.mean()) for v in values)
    return Minimizer(train, test, empirical, score, error, spread)


def _standard_error(values: Array) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan
