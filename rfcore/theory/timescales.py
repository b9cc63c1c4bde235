"""When the model generalises, when it memorises, and when to stop."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize_scalar

from rfcore.model import RandomFeatureModel
from rfcore.theory.dynamics import loss_curves
from rfcore.theory.minimizer import minimizer
from rfcore.theory.shares import Share, shares
from rfcore.theory.support import Bulk

Floats = npt.NDArray[np.float64]
ALIGNED = 1e-9  # to which a sum of masses must equal min(1, 1/psi_p)
SLACK = 0.1  # the early-stopping window allows this share of the best improvement to be lost
PER_DECADE = 12


@dataclass(frozen=True)
class Timescales:
    """Training times in units of the gradient flow dA/dtau = -d^2 grad L.

    generalize : psi_p/(Delta lambda), lambda the left edge of the population bulk (the d largest
        eigenvalues; all of its pieces when the covariance splits it)
    memorize : psi_p/(Delta h), h the harmonic mean of the eigenvalues below it, each weighted by its
        share of the drop of the train loss
    memorize_published : psi_p/(Delta (s^2 + v^2 (1 - sqrt(psi_p/psi_n))^2)), from the lower edge of
        the sample bulk in the limit of large psi
    loss_half_time : when half of the drop of the train loss below the population bulk is done
    stop_best : when the test loss is lowest; inf if it never turns up
    window : (begin, end), between which at most a tenth of the best improvement 1 - min L_test is lost
    reason : why a number is nan or inf; empty if none is

    >>> times = rf.theory.timescales(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(f"{times.generalize:.0f} {times.stop_best:.0f} {times.memorize:.0f}")
    329 133 570658
    """

    generalize: float
    memorize: float
    memorize_published: float
    loss_half_time: float
    stop_best: float
    window: tuple[float, float]
    reason: str


def timescales(model: RandomFeatureModel) -> Timescales:
    """The times of generalisation and memorisation from the exact spectrum and the exact curves.

    Raises what :func:`support` and :func:`loss_curves` raise.
    Source: Bonnaire et al. (2025), sec. 3.3, for the two scales and for ``memorize_published``; the
    weighting by the drop of the loss is chapter 9 of the book.

    >>> times = rf.theory.timescales(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(f"{times.memorize / times.generalize:.1f} {times.loss_half_time / times.memorize:.2f}")
    1736.6 0.17
    """
    parts = shares(model)
    reasons: list[str] = []
    generalize = memorize = half_time = math.nan
    below = below_population(model.psi_p, parts)
    if below is None:
        reasons.append("no gap below the d largest eigenvalues: generalize, memorize, loss_half_time are nan")
    else:
        slowest = parts[below].bulk.left + model.ridge
        generalize = model.psi_p / (model.delta * slowest) if slowest > 0 else math.inf
        if math.isinf(generalize):
            reasons.append("the d largest eigenvalues reach 0, at p = n m: generalize is inf")
        if rest := parts[:below]:
            drop = sum(s.drop for s in rest)
            if all(s.harmonic > 0 for s in rest):
                memorize = model.psi_p / model.delta * sum(s.drop / s.harmonic for s in rest) / drop
            else:
                memorize = math.inf
                reasons.append("eigenvalues reach 0, at p = n m: memorize is inf")
            half_time = _half_time(model, drop, min(memorize, 10 * generalize))
        else:
            reasons.append("no eigenvalue lies between the atom and the population bulk: memorize is nan")
    best, window = _stopping(model, parts)
    if math.isinf(best):
        reasons.append("the test loss never turns up: stop_best is inf")
    c, ratio = model.constants, model.psi_p / model.psi_n
    published = c.s2 + c.v2 * (1 - math.sqrt(ratio)) ** 2
    published_time = model.psi_p / (model.delta * published) if published > 0 else math.inf
    return Timescales(generalize, memorize, published_time, half_time, best, window, "; ".join(reasons))


def below_population(psi_p: float, parts: Sequence[Share | Bulk]) -> int | None:
    """How many bulks lie below the d largest eigenvalues; None if no gap separates those."""
    target, mass = min(1.0, 1 / psi_p), 0.0
    for k in range(len(parts) - 1, -1, -1):
        mass += parts[k].mass
        if abs(mass - target) < ALIGNED:
            return k
    return None


def _half_time(model: RandomFeatureModel, drop: float, guess: float) -> float:
    """Solve L_train(tau) = L_train(inf) + drop/2; the train loss decreases, so the root is unique."""
    middle = minimizer(model).train + drop / 2

    def excess(log_tau: float) -> float:
        return float(loss_curves(model, math.exp(log_tau)).train) - middle

    low = high = math.log(guess)
    while excess(low) < 0:
        low -= 2
    while excess(high) > 0:
        high += 2
    return math.exp(brentq(excess, low, high, xtol=1e-10))


def _stopping(model: RandomFeatureModel, parts: tuple[Share, ...]) -> tuple[float, tuple[float, float]]:
    """The best stopping time and the window around it."""
    first = model.psi_p / (model.delta * (parts[-1].bulk.right + model.ridge)) / 100
    slowest = min(part.harmonic or part.bulk.right / 100 for part in parts)
    last = 100 * model.psi_p / (model.delta * slowest)
    log_tau = np.linspace(math.log(first), math.log(last), int(PER_DECADE * math.log10(last / first)))
    test = loss_curves(model, np.exp(log_tau)).test
    k = int(np.argmin(test))
    end = minimizer(model).test

    def at(x: float) -> float:
        return float(loss_curves(model, math.exp(x)).test)

    if test[k] >= end - 1e-9 * max(1.0, abs(end)) or k == test.size - 1:
        best, lowest = math.inf, end
    else:
        found = minimize_scalar(at, bounds=(log_tau[max(k - 1, 0)], log_tau[k + 1]), method="bounded")
        best, lowest = math.exp(found.x), float(found.fun)
    level = lowest + SLACK * (1 - lowest)
    inside = np.flatnonzero(test <= level)
    if not inside.size:
        return best, (math.nan, math.nan)
    i, j = int(inside[0]), int(inside[-1])
    begin = math.exp(brentq(lambda x: at(x) - level, log_tau[i - 1], log_tau[i])) if i else 0.0
    if end <= level:
        return best, (begin, math.inf)
    return best, (begin, math.exp(brentq(lambda x: at(x) - level, log_tau[j], log_tau[j + 1])))
