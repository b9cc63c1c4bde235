"""How training times grow with the number of training pictures, and whether curves collapse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.stats import t as student

from rfcore.checks import finite_array, refuse, whole

Array = npt.NDArray[np.float64]


class Timed(Protocol):
    """What is needed of a time: see :class:`rfcore.images.estimators.Time`."""

    @property
    def value(self) -> float: ...
    @property
    def bound(self) -> str: ...
    @property
    def replicates(self) -> Array: ...


@dataclass(frozen=True, eq=False)
class Scaling:
    """The law time = scale n^slope, see :func:`scaling`.

    low, high : 95 % interval of the slope by the bootstrap over samples (and over seeds, where one n has
        several times); nan if the times carry no replicates
    fit_low, fit_high : 95 % interval of the slope from the scatter of the points about the line (Student,
        points - 2 degrees of freedom; nan for two points).  It contains what the bootstrap cannot know,
        such as the luck of one initialisation
    points : number of times used;  censored : number left out because only a bound is known
    lost : share of resamples that left fewer than two different n
    """

    slope: float
    scale: float
    low: float
    high: float
    fit_low: float
    fit_high: float
    points: int
    censored: int
    lost: float


@dataclass(frozen=True, eq=False)
class Collapse:
    """Do the curves of all n fall on one as functions of tau/n^exponent?

    score : residual/plain, near 0 for a collapse, 1 or more for none
    residual, plain : mean square of f_mem about the best increasing function of tau/n^exponent, and of tau
    error : of the score, by leaving out one curve at a time (jackknife); nan for fewer than three
    """

    score: float
    error: float
    residual: float
    plain: float


def scaling(n: npt.ArrayLike, times: Sequence[Timed], seed: int = 0) -> Scaling:
    """Least squares of log time on log n over times that are not censored.

    n : (M,), with repetitions for several seeds;  times : M of them.

    The bootstrap draws, for each n, as many of its times as there are, and of each one replicate; replicates
    that are censored drop out.  Raises ValueError if fewer than two different n are left.

    Source: chapter 13 of the book.

    >>> tau = np.geomspace(1, 1e4, 60)
    >>> sizes = (10, 40, 160)
    >>> times = [rf.images.tau_over(tau, (np.log(tau) - np.log(n)) ** 2) for n in sizes]
    >>> print(f"{rf.images.scaling(sizes, times).slope:.3f}")
    1.000
    """
    sizes = finite_array("n", n, ndim=1)
    if sizes.size != len(times) or sizes.size == 0 or sizes.min() <= 0:
        raise refuse("n", sizes.tolist(), f"{len(times)} numbers > 0, one for each time")
    use = [k for k, each in enumerate(times) if each.bound == ""]
    if len(set(sizes[use].tolist())) < 2:
        raise refuse(
            "times", [f"{each.bound} {each.value:.3g}" for each in times], "known for two n at least"
        )
    x, y = np.log(sizes[use]), np.log([times[k].value for k in use])
    slope, level = _line(x, y)
    fit = _spread(x, y, slope, level)
    replicates = [times[k].replicates for k in use]
    slopes = _resampled(x, replicates, whole("seed", seed, least=0)) if min(map(len, replicates)) else None
    good = np.empty(0) if slopes is None else slopes[np.isfinite(slopes)]
    low, high = np.quantile(good, [0.025, 0.975]) if good.size else (math.nan, math.nan)
    lost = math.nan if slopes is None else 1 - good.size / slopes.size
    return Scaling(
        slope,
        math.exp(level),
        float(low),
        float(high),
        slope - fit,
        slope + fit,
        len(use),
        len(times) - len(use),
        lost,
    )


def collapse_score(
    tau: Sequence[npt.ArrayLike],
    n: npt.ArrayLike,
    memorized: Sequence[npt.ArrayLike],
    exponent: float = 1.0,
) -> Collapse:
    """Mean square of f_mem about an increasing function of tau/n^exponent, over that of tau alone.

    tau, memorized : for each n its checkpoints and its f_mem, (K_n,); tau = 0 is left out
    Raises ValueError if f_mem is an increasing function of tau alone (then there is nothing to collapse).

    Source: the rescaling of time by n is that of Bonnaire et al. (2025); the score, chapter 13 of the book.

    >>> tau = np.geomspace(1, 1e4, 20)
    >>> curves = [tau / (tau + 10 * n) for n in (10, 40)]
    >>> found = rf.images.collapse_score([tau, tau], [10, 40], curves)
    >>> round(found.score, 2)
    0.0
    """
    sizes = finite_array("n", n, ndim=1)
    if not len(tau) == len(memorized) == sizes.size >= 2 or sizes.min() <= 0:
        raise refuse("n", sizes.tolist(), "two numbers > 0 at least, with one tau and one curve for each")
    curves = []
    for t, f in zip(tau, memorized, strict=True):
        grid, values = finite_array("tau", t, ndim=1), finite_array("memorized", f, ndim=1)
        if grid.shape != values.shape or not np.any(grid > 0) or grid.min() < 0:
            raise refuse("tau, memorized", (grid.shape, values.shape), "of one shape, tau >= 0, one > 0")
        curves.append((np.log(grid[grid > 0]), values[grid > 0]))
    shift = float(exponent) * np.log(sizes)
    residual, plain = _residuals(curves, shift)
    if plain <= 1e-12:
        raise refuse("memorized", plain, "curves that are not one increasing function of tau already")
    error = math.nan
    if sizes.size > 2:
        count = sizes.size
        rest = [_residuals([*curves[:k], *curves[k + 1 :]], np.delete(shift, k)) for k in range(count)]
        scores = np.array([a / b if b > 1e-12 else math.nan for a, b in rest])
        error = float(np.sqrt((count - 1) * np.var(scores)))
    return Collapse(residual / plain, error, residual, plain)


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and intercept of the least-squares line."""
    away = x - x.mean()
    slope = float(away @ y / (away @ away))
    return slope, float(y.mean() - slope * x.mean())


def _spread(x: Array, y: Array, slope: float, level: float) -> float:
    """Half the 95 % interval of the slope, from the residuals."""
    if x.size < 3:
        return math.nan
    variance = np.sum((y - level - slope * x) ** 2) / (x.size - 2) / np.sum((x - x.mean()) ** 2)
    return float(student.ppf(0.975, x.size - 2) * math.sqrt(variance))


def _resampled(x: Array, replicates: Sequence[Array], seed: int) -> Array:
    """Slopes of resampled times, (R,); nan where fewer than two different n are left."""
    rng, count = np.random.default_rng(seed), max(map(len, replicates))
    draws = np.stack([each[rng.integers(each.size, size=count)] for each in replicates])
    chosen = np.empty((x.size, count), dtype=np.int64)
    for each in np.unique(x):
        group = np.flatnonzero(x == each)
        chosen[group] = group[rng.integers(group.size, size=(group.size, count))]
    # Two places with the same time of one n get two different replicates of it.
    times = draws[chosen, rng.permuted(np.tile(np.arange(count), (x.size, 1)), axis=1)]
    slopes = np.full(count, math.nan)
    for r in range(count):
        known = np.isfinite(times[:, r]) & (times[:, r] > 0)
        if np.unique(x[known]).size > 1:
            slopes[r] = _line(x[known], np.log(times[known, r]))[0]
    return slopes


def _residuals(curves: Sequence[tuple[Array, Array]], shift: Array) -> tuple[float, float]:
    """Mean squares about the isotonic fit in log tau - shift, and in log tau."""
    f = np.concatenate([values for _, values in curves])
    return tuple(  # type: ignore[return-value]
        _about_fit(np.concatenate([x - move for (x, _), move in zip(curves, moves, strict=True)]), f)
        for moves in (shift, np.zeros_like(shift))
    )


def _about_fit(x: Array, f: Array) -> float:
    """Mean square of f about the best increasing function of x; equal x share one value."""
    places, index, counts = np.unique(x, return_inverse=True, return_counts=True)
    means = np.bincount(index, f) / counts
    fit = isotonic_regression(means, weights=counts.astype(np.float64)).x
    return float(np.mean((f - fit[index.reshape(-1)]) ** 2)) if places.size else 0.0
