"""Training times read off curves, with intervals: when samples are good, when copies, when losses part.

Curves are numbers at checkpoints tau (K,), in steps of the optimiser, increasing; tau[0] may be 0.  Between
two checkpoints they are interpolated linearly in log tau.  What happens after the last checkpoint is
reported as "> tau_max", what has happened at the first one as "<= tau_min": a bound, not a number.

Source: Bonnaire et al. (2025), sec. 2, for tau_gen and tau_mem.

>>> curve = rf.images.estimators.monotone([0.0, 0.2, 0.1, 0.4])
>>> print(curve.round(2))
[0.   0.15 0.15 0.4 ]
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from rfcore.checks import finite_array, positive, refuse, whole
from rfcore.images._arrays import Array
from rfcore.images._scaling import Collapse, Scaling, collapse_score, scaling

__all__ = [
    "Collapse",
    "Scaling",
    "Time",
    "collapse_score",
    "monotone",
    "scaling",
    "tau_gap",
    "tau_gen",
    "tau_mem",
    "tau_over",
]
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Time:
    """A training time.

    value : the time; where it is censored, the checkpoint that bounds it
    bound : "" for a number, ">" if it lies beyond the last checkpoint, "<=" if before the first one
    low, high : 95 % percentile interval of the bootstrap, 0 and inf where resamples are censored; nan if no
        error was given
    replicates : (R,), the resampled times, 0 and inf where censored; empty if no error was given
    """

    value: float
    bound: str
    low: float
    high: float
    replicates: Array = field(repr=False)

    @property
    def censored(self) -> bool:
        return self.bound != ""

    def __str__(self) -> str:
        if self.censored:
            return f"{self.bound} {self.value:.3g}"
        return f"{self.value:.3g}" + ("" if math.isnan(self.low) else f" [{self.low:.3g}, {self.high:.3g}]")


def tau_mem(
    tau: npt.ArrayLike,
    ratios: npt.ArrayLike,
    q: float = 0.1,
    ratio: float = 1 / 3,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Time:
    """First tau with f_mem >= q, f_mem made monotone by isotonic regression.

    tau : (K,) checkpoints;  q : level of f_mem;  resamples : of the bootstrap;  seed : of the resamples
    ratio : the distance ratio below which a sample is a copy
    ratios : (K, m), those of :func:`rfcore.images.memorized_fraction` for m samples at each checkpoint.
        Resampled are the m samples, each with its whole history, because the checkpoints share their noise

    Raises ValueError for ratios of another shape, and unless 0 < q <= 1.
    Source: Bonnaire et al. (2025).

    >>> ratios = np.repeat([[0.9], [0.5], [0.1]], 100, axis=1)
    >>> print(rf.images.tau_mem([1, 10, 100], ratios, q=0.5))
    31.6 [31.6, 31.6]
    """
    t, table = _checkpoints(tau), finite_array("ratios", ratios, ndim=2)
    if len(table) != t.size or table.shape[1] == 0:
        raise refuse("shape of ratios", table.shape, f"({t.size}, m), m >= 1")
    if not 0 < positive("q", q) <= 1:
        raise refuse("q", q, "a number in (0, 1]")
    copies = table < positive("ratio", ratio)
    count, rng = copies.shape[1], _generator(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=whole("resamples", resamples)) / count
    curves = copies @ weights.T
    found = np.array([_first(t, monotone(curve), q) for curve in curves.T])
    return _time(t, _first(t, monotone(copies.mean(axis=1)), q), found)


def tau_gen(
    tau: npt.ArrayLike,
    distance: npt.ArrayLike,
    memorized: npt.ArrayLike,
    error: npt.ArrayLike | None = None,
    factor: float = 1.25,
    most: float = 0.01,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Time:
    """First tau at which a Frechet distance (K,) is at most ``factor`` times its least value.

    The least is that over checkpoints with memorised fraction (K,) below ``most``: copies also have a small
    distance.  Interpolated linearly in log tau, log distance.  If the distance still falls at the last of
    these checkpoints, so that no other is within the factor, the time is only bounded: ">" that checkpoint.

    resamples : of the bootstrap, with ``error``;  seed : of the resamples
    error : (K,), standard errors of the distance; resampled are independent log-normal errors
    Raises ValueError when no checkpoint is below ``most``.

    Source: Bonnaire et al. (2025) for the idea; chapter 13 of the book for the rule.

    >>> print(rf.images.tau_gen([1, 10, 100, 1000], distance=[9.0, 2.0, 1.0, 1.0], memorized=np.zeros(4)))
    47.7
    """
    t = _checkpoints(tau)
    values, f = _curve("distance", distance, t), _curve("memorized", memorized, t)
    if values.min() <= 0:
        raise refuse("distance", float(values.min()), "numbers > 0")
    few = f < positive("most", most)
    if not few.any():
        raise refuse("memorized", float(f.min()), f"below {most} at one checkpoint at least")
    if positive("factor", factor) <= 1:
        raise refuse("factor", factor, "a number > 1")

    last = int(np.flatnonzero(few)[-1])

    def time(curve: Array) -> float:
        level = math.log(factor) + np.log(curve[few]).min()
        near = np.flatnonzero(few & (np.log(curve) <= level))
        return math.inf if near[0] == last else _first(t, -np.log(curve), -level)

    if error is None:
        return _time(t[: last + 1], time(values), np.empty(0))
    spread = _errors(error, t) / values
    noise = _generator(seed).standard_normal((whole("resamples", resamples), t.size))
    return _time(t[: last + 1], time(values), np.array([time(values * np.exp(spread * z)) for z in noise]))


def tau_gap(
    tau: npt.ArrayLike,
    train: npt.ArrayLike,
    test: npt.ArrayLike,
    level: float = 0.1,
    error: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Time:
    """First tau with a relative gap (test - train)/test >= level.

    resamples : of the bootstrap, with ``error``;  seed : of the resamples
    error : (K,), standard errors of the relative gap (:class:`rfcore.images.losses.Losses`); resampled are
        independent normal errors

    tau, train, test : (K,)

    Raises ValueError for curves that do not fit tau and test losses that are not positive.
    Source: chapter 13 of the book.

    >>> print(rf.images.tau_gap([1, 10, 100], train=[1.0, 0.5, 0.2], test=[1.0, 0.5, 0.4], level=0.25))
    31.6
    """
    t = _checkpoints(tau)
    a, b = _curve("train", train, t), _curve("test", test, t)
    if b.min() <= 0:
        raise refuse("test", float(b.min()), "numbers > 0")
    return _noisy(
        t, (b - a) / b, error, lambda curve: _first(t, curve, positive("level", level)), resamples, seed
    )


def tau_over(
    tau: npt.ArrayLike,
    curve: npt.ArrayLike,
    error: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Time:
    """Where a curve (K,) turns up again, the test loss at low noise or a Frechet distance.

    The vertex of the parabola in log tau through the lowest point and its two neighbours.  tau = 0 is left
    out.

    resamples : of the bootstrap, with ``error``;  seed : of the resamples
    error : (K,), standard errors of the curve; resampled are independent normal errors.  Errors of a
        frozen bank are common to all checkpoints, so that this overstates the uncertainty

    Raises ValueError for fewer than three checkpoints > 0.  Source: chapter 13 of the book.

    >>> tau = np.geomspace(1, 1000, 7)
    >>> print(rf.images.tau_over(tau, np.log(tau / 30) ** 2))
    30
    """
    t = _checkpoints(tau)
    values = _curve("curve", curve, t)
    later = t > 0
    if later.sum() < 3:
        raise refuse("tau", t.tolist(), "at least three checkpoints > 0")
    return _noisy(t, values, error, lambda each: _lowest(np.log(t[later]), each[later]), resamples, seed)


def monotone(curve: npt.ArrayLike) -> Array:
    """The nearest curve (K,) in least squares that never falls (isotonic regression)."""
    return np.asarray(isotonic_regression(finite_array("curve", curve, ndim=1)).x, dtype=np.float64)


def _noisy(
    t: Array,
    curve: Array,
    error: npt.ArrayLike | None,
    time: Callable[[Array], float],
    resamples: int,
    seed: int,
) -> Time:
    if error is None:
        return _time(t, time(curve), np.empty(0))
    noise = _generator(seed).standard_normal((whole("resamples", resamples), t.size)) * _errors(error, t)
    return _time(t, time(curve), np.array([time(curve + each) for each in noise]))


def _first(t: Array, curve: Array, level: float) -> float:
    """First time at which the curve reaches the level: 0 if it has at the first tau > 0, inf if never."""
    start = int(t[0] == 0)
    above = curve[start:] >= level
    if curve[0] >= level or above[0]:
        return 0.0
    if not above.any():
        return math.inf
    k = start + int(above.argmax())
    share = (level - curve[k - 1]) / (curve[k] - curve[k - 1])
    return float(math.exp(math.log(t[k - 1]) + share * math.log(t[k] / t[k - 1])))


def _lowest(x: Array, y: Array) -> float:
    """exp of the vertex of the parabola through the lowest of the points (x, y) and its neighbours."""
    k = int(y.argmin())
    if k in (0, y.size - 1):
        return 0.0 if k == 0 else math.inf
    left, right = x[k - 1] - x[k], x[k + 1] - x[k]
    a, b = (y[k - 1] - y[k]) / left, (y[k + 1] - y[k]) / right
    slope, bend = (a * right - b * left) / (right - left), (b - a) / (right - left)
    return float(np.exp(x[k] - slope / (2 * bend))) if bend > 0 else float(np.exp(x[k]))


def _time(t: Array, value: float, replicates: Array) -> Time:
    bound = "<=" if value == 0 else ">" if math.isinf(value) else ""
    shown = float(t[t > 0][0]) if value == 0 else float(t[-1]) if math.isinf(value) else value
    if replicates.size == 0:
        return Time(shown, bound, math.nan, math.nan, replicates)
    low, high = np.quantile(replicates, [0.025, 0.975], method="inverted_cdf")
    return Time(shown, bound, float(low), float(high), replicates)


def _checkpoints(tau: npt.ArrayLike) -> Array:
    t = finite_array("tau", tau, ndim=1)
    if t.size < 2 or t[0] < 0 or np.any(np.diff(t) <= 0):
        raise refuse("tau", t.tolist(), "at least two increasing numbers >= 0")
    return t


def _curve(name: str, values: npt.ArrayLike, t: Array) -> Array:
    curve = finite_array(name, values, ndim=1)
    if curve.shape != t.shape:
        raise refuse(f"shape of {name}", curve.shape, f"{t.shape}, that of tau")
    return curve


def _errors(error: npt.ArrayLike, t: Array) -> Array:
    spread = _curve("error", error, t)
    if spread.min() < 0:
        raise refuse("error", float(spread.min()), "numbers >= 0")
    return spread


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(whole("seed", seed, least=0))
