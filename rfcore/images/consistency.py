r"""Two models started from the same noise: how far apart are their samples, and in which directions?

Samples are pictures or rows of numbers, x_A and x_B (m, ...), made from the same m noises in the same order.
Eigenvectors u_k and eigenvalues lambda_k, descending, are those of the covariance of reference pictures.

Source: Wang, Zavatone-Veth and Pehlevan (2026); chapter 12 of the book for the linear map.

>>> rf.images.consistency.agreement is rf.images.agreement
True
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from rfcore.images._arrays import Array, alike, rows
from rfcore.images._linear_map import (
    LinearMap,
    LinearPrediction,
    eigenbasis,
    linear_map,
    linear_pair,
    per_variance,
    predicted_pair,
)

__all__ = [
    "Agreement",
    "LinearMap",
    "LinearPrediction",
    "LinearShare",
    "agreement",
    "linear_map",
    "linear_pair",
    "linear_share",
    "predicted_pair",
]
GROUPS = 20


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of two models over m common noises, see :func:`agreement`.

    d2 : mean |x_A - x_B|^2/d
    control : the same for different noises, the mean over all pairs of samples i != j
    rho2 : 1 - d2/control, 1 for identical, 0 for unrelated samples
    cosine : mean cosine between x_A and x_B, both minus the mean of the reference
    nearest : share of noises for which x_A and x_B have the same nearest reference picture
    nearest_control : the same by chance, for different noises
    distances : (m,), |x_A - x_B|^2/d of each noise
    eigenvalues, modes : (d,), lambda_k and mean (u_k.(x_A - x_B))^2, which sum to d d2

    Each ``error`` is a standard error over noises (by a jackknife in 20 groups for rho2 and control).
    """

    d2: float
    d2_error: float
    control: float
    control_error: float
    rho2: float
    rho2_error: float
    cosine: float
    cosine_error: float
    nearest: float
    nearest_error: float
    nearest_control: float
    distances: Array = field(repr=False)
    eigenvalues: Array = field(repr=False)
    modes: Array = field(repr=False)
    modes_error: Array = field(repr=False)

    @property
    def ratio(self) -> Array:
        """modes/(2 lambda_k): 1 for unrelated samples of the law of the reference; nan where lambda_k = 0."""
        return per_variance(self.modes, self.eigenvalues)

    @property
    def ratio_error(self) -> Array:
        """Standard error of ``ratio``."""
        return per_variance(self.modes_error, self.eigenvalues)


@dataclass(frozen=True, eq=False)
class LinearShare:
    """How much of the samples a linear map of their noise says, see :func:`linear_share`.

    share : 1 - sum |x - l|^2/sum |x - mean|^2, with its standard error over noises
    control : the same with the noises exchanged among samples: what a map of the right law gives by chance
    each : (m,), 1 - |x - l|^2/|x - mean|^2 of each sample
    eigenvalues, modes : (d,), lambda_k, and the share along u_k; nan where the reference has no variance
    """

    share: float
    error: float
    control: float
    each: Array = field(repr=False)
    eigenvalues: Array = field(repr=False)
    modes: Array = field(repr=False)
    modes_error: Array = field(repr=False)


def agreement(a: npt.ArrayLike, b: npt.ArrayLike, reference: npt.ArrayLike) -> Agreement:
    """Compare samples a and b (m, ...), numpy or torch, that two models made from the same m >= 20 noises.

    reference : (N, ...), pictures that give mean, eigenvectors and nearest neighbours; best none of the
        training pictures of either model

    Raises ValueError for fewer than 20 samples, and for samples and pictures of different sizes.
    Source: Wang, Zavatone-Veth and Pehlevan (2026).

    >>> x = rf.datasets.digits().images
    >>> found = rf.images.agreement(x[:50], x[:50], reference=x[100:300])
    >>> found.d2, round(found.cosine, 6)
    (0.0, 1.0)
    """
    x, y, known = rows("a", a, least=GROUPS), rows("b", b), rows("reference", reference, least=2)
    alike("b", y, x, same_number=True)
    alike("reference", known, x)
    lam, u, mean = eigenbasis(known)
    count, d = x.shape
    distances = ((x - y) ** 2).sum(axis=1) / d
    squares = ((x - y) @ u) ** 2
    control, rho2 = _against_shuffled(x - mean, y - mean)
    cosines = _cosines(x - mean, y - mean)
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known)
    first, second = (near.kneighbors(each, return_distance=False)[:, 0] for each in (x, y))
    same = float((first == second).mean())
    return Agreement(
        float(distances.mean()),
        _error(distances),
        *control,
        *rho2,
        float(cosines.mean()),
        _error(cosines),
        same,
        # of the posterior under a flat prior: it does not vanish at 0 and 1
        float(np.sqrt((same * count + 1) * ((1 - same) * count + 1) / (count + 3)) / (count + 2)),
        _coincidence(first, second, len(known)),
        distances,
        lam,
        squares.mean(axis=0),
        squares.std(axis=0, ddof=1) / np.sqrt(count),
    )


def linear_share(
    samples: npt.ArrayLike, noise: npt.ArrayLike, linear: LinearMap, reference: npt.ArrayLike
) -> LinearShare:
    """Share of the variance of samples (m, ...) that the linear map of the same noise (m, ...) predicts.

    The variance is about the mean of the map's training set.  1: the network is that linear map; negative:
    worse than the mean.  For a sampler "ddim" take the map of the same sampler (see linear_map).
    reference : (N, ...), pictures that give the eigenvectors

    Raises ValueError for fewer than two samples, and for samples, noise and pictures of different sizes.
    Source: chapter 12 of the book.

    >>> x = rf.datasets.digits().images
    >>> linear = rf.images.linear_map(x[:200], [3.0, 0.0])
    >>> noise = np.random.default_rng(0).standard_normal((50, 64))
    >>> round(rf.images.linear_share(linear(noise), noise, linear, reference=x[400:800]).share, 6)
    1.0
    """
    x, z = rows("samples", samples, least=2), rows("noise", noise)
    alike("noise", z, x, same_number=True)
    known = rows("reference", reference, least=2)
    alike("reference", known, x)
    lam, u, _ = eigenbasis(known)
    predicted = linear(z)
    left, whole = (x - predicted) @ u, (x - linear.mean) @ u
    lost, total = (left**2).sum(axis=1), (whole**2).sum(axis=1)
    others = _mean_square_of_different(x, predicted)
    along = 1 - (left**2).mean(axis=0) / np.where(whole.any(axis=0), (whole**2).mean(axis=0), np.nan)
    return LinearShare(
        1 - float(lost.sum() / total.sum()),
        _ratio_error(lost, total),
        1 - float(others / total.mean()),
        1 - lost / np.where(total > 0, total, np.nan),
        lam,
        np.where(np.isnan(per_variance(lam, lam)), np.nan, along),
        np.array([_ratio_error(p**2, q**2) for p, q in zip(left.T, whole.T, strict=True)]),
    )


def _against_shuffled(x: Array, y: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean |x_i - y_j|^2/d over i != j, and 1 - d2 over it; each with its error by a jackknife in groups."""
    groups = np.arange(len(x)) % GROUPS
    values = np.array([_shuffled(x, y)] + [_shuffled(x[groups != g], y[groups != g]) for g in range(GROUPS)])
    errors = np.sqrt((GROUPS - 1) * values[1:].var(axis=0))
    return (float(values[0, 0]), float(errors[0])), (float(values[0, 1]), float(errors[1]))


def _shuffled(x: Array, y: Array) -> tuple[float, float]:
    others, same = _mean_square_of_different(x, y), float(((x - y) ** 2).sum(axis=1).mean())
    return others / x.shape[1], 1 - same / others


def _mean_square_of_different(x: Array, y: Array) -> float:
    """Mean of |x_i - y_j|^2 over i != j, from sums alone: all pairs less the pairs i = i."""
    m = len(x)
    every = m * float(np.sum(x**2) + np.sum(y**2)) - 2 * float(x.sum(axis=0) @ y.sum(axis=0))
    return (every - float(np.sum((x - y) ** 2))) / (m * (m - 1))


def _cosines(x: Array, y: Array) -> Array:
    sizes = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray((x * y).sum(axis=1) / np.where(sizes > 0, sizes, 1.0))


def _coincidence(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], size: int) -> float:
    """Share of pairs i != j with first_i = second_j."""
    m = len(first)
    pairs = int(np.bincount(first, minlength=size) @ np.bincount(second, minlength=size))
    return float(pairs - np.sum(first == second)) / (m * (m - 1))


def _error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _ratio_error(above: Array, below: Array) -> float:
    """Standard error of sum above/sum below, to first order."""
    if not below.any():
        return float("nan")
    ratio = above.sum() / below.sum()
    return _error(above - ratio * below) / float(below.mean())
