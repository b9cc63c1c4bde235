"""Measured counterparts of the collapse laws: weights of an empirical score, copies among samples."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import entr

from rfcore.checks import finite_array, positive, refuse, whole
from rfcore.diffusion.process import forward
from rfcore.diffusion.scores import EmpiricalScore

Array = npt.NDArray[np.float64]
_BLOCK = 1 << 21  # numbers in one block of weights or distances (16 MiB)


class Estimate(NamedTuple):
    """Means over independent draws and their standard errors, one per time.

    mean, error : (K,) each

    >>> data = rf.datasets.digits().x[:32]
    >>> own = rf.diffusion.weight_statistics(data, t=[0.01, 3.0], draws=50, seed=0).own
    >>> print(own.mean.round(1), own.error.shape)
    [1. 0.] (2,)
    """

    mean: Array
    error: Array


@dataclass(frozen=True, eq=False)
class WeightStatistics:
    """What the posterior w over training points looks like at the times t (K,).

    own : w of the point of origin;  square : sum_i w_i^2, the cloning probability;  largest : max_i w_i
    correct : 1 where the largest weight is the own one (its mean is P(argmax = origin))
    majority : 1 where the own weight exceeds 1/2;  entropy : -sum_i w_i log w_i, in nats

    >>> data = rf.datasets.digits().x[:32]
    >>> found = rf.diffusion.weight_statistics(data, t=[0.01, 3.0], draws=50, seed=0)
    >>> print(found.majority.mean, found.entropy.mean.round(1))
    [1. 0.] [0.  3.4]
    """

    t: Array
    own: Estimate
    square: Estimate
    largest: Estimate
    correct: Estimate
    majority: Estimate
    entropy: Estimate


def weight_statistics(data: npt.ArrayLike, t: npt.ArrayLike, draws: int, seed: int) -> WeightStatistics:
    """Statistics of w_i(X_t) for X_t = e^{-t} x_{i0} + sqrt(Delta_t) xi, i0 uniform over the data (n, d).

    ``draws`` >= 2 independent X_t at each of the times t (K,).  The standard errors are those of draws for
    *this* data set; they do not contain its own randomness.

    Raises ValueError for fewer than two draws and unless t > 0.
    Source: Biroli et al. (2024); chapter 2 of the book.

    >>> data = rf.datasets.digits().x[:32]
    >>> print(rf.diffusion.weight_statistics(data, t=[0.01], draws=50, seed=0).correct.mean)
    [1.]
    """
    score = EmpiricalScore(data)
    times, count = np.atleast_1d(finite_array("t", t)), whole("draws", draws, least=2)
    if times.ndim > 1 or times.min() <= 0:
        raise refuse("t", times.tolist(), "a list of times > 0")
    rng = np.random.default_rng(whole("seed", seed, least=0))
    columns = [_one_time(score, float(time), count, rng) for time in times]
    means, errors = np.moveaxis(np.array(columns), 1, 0)
    return WeightStatistics(times, *(Estimate(means[:, k], errors[:, k]) for k in range(6)))


@dataclass(frozen=True, eq=False)
class MemorizedFraction:
    """Share of samples that are copies, see :func:`memorized_fraction`.

    fraction, error : the share, and its standard deviation
    ratio, nearest : (m,) of each sample, distance ratio and index of the nearest training point

    >>> copies = rf.diffusion.memorized_fraction([[0.1], [1.6]], training=[[0.0], [3.0]], threshold=0.5)
    >>> copies.fraction, copies.nearest
    (0.5, array([0, 1]))
    """

    fraction: float
    error: float
    ratio: Array
    nearest: npt.NDArray[np.int64]


def memorized_fraction(
    samples: npt.ArrayLike, training: npt.ArrayLike, threshold: float = 1 / 3
) -> MemorizedFraction:
    """Share of samples (m, d) nearer to one training point (n, d) than ``threshold`` times to the next.

    ratio = |x - nearest|/|x - second nearest| over *distinct* training points, of which there must be two;
    nearest : index into ``training``.  error : standard deviation of the posterior of the fraction under a
    flat prior, so that it does not vanish at 0 and 1.  Source of the criterion: Yoon et al. (2023).

    Raises ValueError for fewer than two distinct training points, samples of another dimension, and unless
    threshold > 0.

    >>> copies = rf.diffusion.memorized_fraction([[0.1], [1.6]], training=[[0.0], [3.0]], threshold=0.5)
    >>> print(copies.fraction, copies.ratio.round(3))
    0.5 [0.034 0.875]
    """
    x, rows = finite_array("samples", samples, ndim=2), finite_array("training", training, ndim=2)
    limit = positive("threshold", threshold)
    points, first = np.unique(rows, axis=0, return_index=True)
    if len(points) < 2:
        raise refuse("number of distinct training points", len(points), "at least 2")
    if len(x) == 0 or x.shape[1] != rows.shape[1]:
        raise refuse("shape of samples", x.shape, f"(m, {rows.shape[1]}), m >= 1, as training has")
    length = max(1, _BLOCK // len(points))
    pairs = np.concatenate([_two_nearest(x[k : k + length], points) for k in range(0, len(x), length)])
    # Distances from differences: the expanded square that found the neighbours loses small ones.
    distance = np.linalg.norm(x[:, None] - points[pairs], axis=2)
    nearest = first[pairs[np.arange(len(x)), distance.argmin(axis=1)]]
    near = distance.min(axis=1) / distance.max(axis=1)
    hits, m = int(np.sum(near < limit)), len(x)
    middle = (hits + 1) / (m + 2)
    return MemorizedFraction(hits / m, math.sqrt(middle * (1 - middle) / (m + 3)), near, nearest)


def _one_time(score: EmpiricalScore, t: float, draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Means (6,) and standard errors (6,) at one time."""
    values = []
    length = max(1, _BLOCK // len(score.points))
    origins = score.index[rng.integers(score.n, size=draws)]
    for start in range(0, draws, length):
        origin = origins[start : start + length]
        x = forward(score.points[origin], t, seed=int(rng.integers(2**31)))
        w = score.weights(x, t)
        own, largest = w[np.arange(len(w)), origin], w.max(axis=1)
        columns = (own, (w**2).sum(axis=1), largest, own == largest, own > 0.5, entr(w).sum(axis=1))
        values.append(np.stack([np.asarray(c, dtype=np.float64) for c in columns]))
    table = np.concatenate(values, axis=1)
    return table.mean(axis=1), table.std(axis=1, ddof=1) / math.sqrt(draws)


def _two_nearest(x: Array, points: Array) -> npt.NDArray[np.int64]:
    """Indices of the two nearest points, in either order, (m, 2)."""
    square = (points**2).sum(axis=1) - 2 * x @ points.T
    return np.argpartition(square, 1, axis=1)[:, :2].astype(np.int64)
