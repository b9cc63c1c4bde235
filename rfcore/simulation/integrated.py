"""The score error summed over diffusion times, measured on drawn networks and data."""

import dataclasses
import math

import numpy as np

from rfcore.checks import of_kind, whole
from rfcore.model import RandomFeatureModel
from rfcore.progress import progress
from rfcore.simulation import dynamics
from rfcore.simulation.features import moments
from rfcore.theory.integrated import IntegratedError, times

NODES = (8, 12)


def integrated_score_error(
    model: RandomFeatureModel,
    start: float,
    end: float,
    d: int,
    draws: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
) -> IntegratedError:
    """Train one readout at every diffusion time t in [start, end] and integrate the score error over t.

    Mean over the draws seed, seed + 1, ... at dimension d; a draw keeps its first layer, data and noise xi
    for all t.  The t of the question is ignored.  Gauss-Legendre in log t with 12 nodes; ``error``: change
    from 8 nodes;  ``standard_error``: over draws, nan for one.

    Raises ValueError unless 0 < start < end, and as :func:`rfcore.simulation.moments`.

    Source: the bound is that of Song et al. (2021); chapter 10 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=2, psi_n=4, t=0.1, ridge=0.1)
    >>> total = rf.simulation.integrated_score_error(model, start=0.5, end=1.0, d=4, draws=2, seed=0)
    >>> total.value > 0, total.standard_error > 0
    (True, True)
    """
    of_kind("model", model, RandomFeatureModel)
    first, count = whole("seed", seed, least=0), whole("draws", draws)
    rules = [times(start, end, nodes) for nodes in NODES]
    values = np.empty((count, len(NODES)))
    for k in progress(range(count), "Draws"):
        for j, (t, w) in enumerate(rules):
            errors = [_score_error(model, time, d, first + k, features, device) for time in t]
            values[k, j] = w @ errors
    coarse, fine = values.mean(axis=0)
    spread = np.std(values[:, 1], ddof=1) / math.sqrt(count) if count > 1 else math.nan
    return IntegratedError(float(fine), float(start), float(end), abs(float(fine - coarse)), float(spread))


def _score_error(model: RandomFeatureModel, t: float, d: int, seed: int, features: str, device: str) -> float:
    question = dataclasses.replace(model, t=float(t))
    return dynamics.minimizer(moments(question, d, seed, features, device), model.ridge).score_error
