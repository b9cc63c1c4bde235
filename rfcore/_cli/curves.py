"""Losses over training time: theory, a simulation, and how far apart the two are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore import theory
from rfcore._cli import linear_law
from rfcore.answers import LossCurves, Minimizer
from rfcore.model import LinearModel
from rfcore.progress import progress
from rfcore.theory import Timescales

Floats = npt.NDArray[np.float64]
PER_DECADE = 12
FIELDS = ("train", "test", "empirical", "score_error")


@dataclass(frozen=True)
class Found:
    """The curves, what they end at, when to stop, the loss of the exact score; the times of a network."""

    curves: LossCurves
    end: Minimizer
    stop: float
    lowest_test: float
    exact: float
    times: Timescales | None

    @property
    def tau(self) -> Floats:
        return self.curves.tau


def answer(model: Any, limits: tuple[float, float] | None) -> Found:
    """The losses at d = infinity, at twelve times a decade."""
    times = training_times(model)
    first, last = limits or (_linear_limits(model) if times is None else _limits(model, times))
    tau = np.geomspace(first, last, round(PER_DECADE * math.log10(last / first)) + 1)
    curves, end = theory.loss_curves(model, tau), theory.minimizer(model)
    if times is None:
        found = theory.optimal_stopping(model)
        stop, lowest = found.tau, found.test
    else:
        stop = times.stop_best
        lowest = end.test if math.isinf(stop) else float(theory.loss_curves(model, stop).test)
    noise = model.noise if times is None else model.delta
    exact = float(curves.test[0] - noise * curves.score_error[0])
    return Found(curves, end, stop, lowest, exact, times)


def training_times(model: Any) -> Timescales | None:
    """The times of a network; a linear denoiser has none."""
    return None if isinstance(model, LinearModel) else theory.timescales(model)


def simulate(model: Any, tau: Floats, d: int, draws: int, seed: int) -> LossCurves:
    """The same at dimension d, mean over draws."""
    from rfcore import simulation

    if isinstance(model, LinearModel):
        return simulation.loss_curves(model, tau, d=d, draws=draws, seed=seed)
    seeds: Iterable[int] = range(seed, seed + draws)
    seeds = progress(seeds) if draws > 1 else seeds
    each = [simulation.loss_curves(model, tau, d=d, seed=one) for one in seeds]
    stacked = [np.stack([getattr(curves, name) for curves in each]) for name in (*FIELDS, "error")]
    mean = [values.mean(axis=0) for values in stacked]
    errors = None
    if draws > 1:
        errors = LossCurves(tau, *(values.std(axis=0, ddof=1) / math.sqrt(draws) for values in stacked))
    return replace(LossCurves(tau, *mean), standard_error=errors)


def distance(found: Found, measured: LossCurves) -> float:
    """The largest difference of a train or test loss; relative to the theory where that is above 1."""
    apart = 0.0
    for name in ("train", "test"):
        expected = getattr(found.curves, name)
        change = np.abs(getattr(measured, name) - expected) / np.maximum(expected, 1)
        apart = max(apart, float(change.max()))
    return apart


def columns(found: Found, measured: LossCurves | None) -> dict[str, npt.ArrayLike]:
    """What goes into a file: as long as tau, then single numbers."""
    made: dict[str, npt.ArrayLike] = {"tau": found.tau}
    made |= {name: getattr(found.curves, name) for name in (*FIELDS, "error")}
    if measured is not None:
        made |= {f"simulated_{name}": getattr(measured, name) for name in FIELDS}
        if measured.standard_error is not None:
            made |= {f"standard_error_{name}": getattr(measured.standard_error, name) for name in FIELDS}
        made["distance"] = [distance(found, measured)]
    made |= {"end_train": [found.end.train], "end_test": [found.end.test], "exact_test": [found.exact]}
    made |= {"stop_best": [found.stop], "lowest_test": [found.lowest_test]}
    if found.times is not None:
        made |= {"window": found.times.window, "generalize": [found.times.generalize]}
        made["memorize"] = [found.times.memorize]
    return made


def _limits(model: Any, times: Timescales) -> tuple[float, float]:
    """From before the first direction is learnt to after the last one that matters, in whole decades."""
    clock, bulks = model.psi_p / model.delta, theory.support(model).bulks
    first = clock / (bulks[-1].right + model.ridge)
    if bulks[0].left + model.ridge == 0:  # eigenvalues reach 0: there is no last one
        return _decades(first / 30, 1e4 * clock / bulks[0].right)
    known = [time for time in (times.generalize, times.memorize) if math.isfinite(time)]
    if not math.isfinite(times.memorize):
        known += [clock / share.harmonic for share in theory.shares(model)]
    return _decades(first / 30, 10 * max(known))


def _linear_limits(model: LinearModel) -> tuple[float, float]:
    """The same: a direction of variance x relaxes as exp(-a (x + c) tau)."""
    largest = linear_law.bulks(model)[0][-1].right
    return _decades(1 / (model.signal * (largest + model.c)) / 30, 10 / (model.signal * model.c))


def _decades(first: float, last: float) -> tuple[float, float]:
    return 10.0 ** math.floor(math.log10(first)), 10.0 ** math.ceil(math.log10(last))
