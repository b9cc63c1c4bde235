"""Three controls with the covariance of a data set, and the spread of norms that tells them apart."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from rfcore._dataset import Array, Dataset, centred
from rfcore.checks import finite_array, refuse


@dataclass(frozen=True, eq=False)
class Controls:
    """Three data sets (n, d) with the same population covariance, see :func:`controls`.

    error : |Sigma_equalised - Sigma|_F/|Sigma|_F, both of the population

    >>> three = rf.datasets.controls(rf.datasets.digits(), n=100)
    >>> three.gaussian.shape, three.raw.shape, three.error < 1e-3
    ((100, 64), (100, 64), True)
    """

    gaussian: Array
    equalised: Array
    raw: Array
    error: float


@dataclass(frozen=True)
class NormStatistics:
    """Spread of |x|^2/d over samples, see :func:`norm_statistics`.

    >>> digits = rf.datasets.digits()
    >>> print(f"{rf.datasets.norm_statistics(digits.x, digits.sigma).ratio:.1f}")
    0.3
    """

    mean: float
    variance: float
    gaussian: float
    error: float

    @property
    def ratio(self) -> float:
        """variance/gaussian: 1 for Gaussian data, 0 for equal norms."""
        return self.variance / self.gaussian


def controls(dataset: Dataset, n: int, split: int = 0, seed: int = 0) -> Controls:
    """Three training sets of n samples with the same covariance Sigma.

    gaussian : n draws of N(0, Sigma)
    equalised : the real samples, transformed so that all norms are equal, |x|^2 = tr Sigma
    raw : the real samples, ``dataset.x[dataset.train(n, split)]``

    gaussian against raw is the whole effect of real data; equalised against raw is what the spread of
    norms does, gaussian against equalised what is left (directions, classes, non-Gaussian pixels; the
    Gaussian norms have a spread of their own, 2 tr Sigma^2/d^2, see :func:`norm_statistics`).

    Equal norms alone would change the covariance: faint pictures would count for more.  So one matrix A,
    fitted on the population, keeps it: y = sqrt(tr Sigma) A x/|A x| with E y y^T = Sigma, found by
    alternating the two conditions (for Sigma = 1 the fixed point is Tyler's estimator of shape).
    Norms are then equal to round-off; the error of the covariance is reported, and is at most 1e-3.

    Raises ValueError for more samples than there are, ArithmeticError where the equal norms do not settle.
    Source: for the fixed point, Tyler (1987).

    >>> three = rf.datasets.controls(rf.datasets.digits(), n=100)
    >>> norms = (three.equalised**2).sum(axis=1)
    >>> bool(norms.std() < 1e-9 * norms.mean())
    True
    """
    rows = dataset.x[dataset.train(n, split)]
    transform, error = equalising_map(dataset)
    values, vectors = np.linalg.eigh(dataset.sigma)
    root = vectors * np.sqrt(np.maximum(values, 0))
    gaussian = np.random.default_rng(seed).standard_normal((len(rows), rows.shape[1])) @ root.T
    return Controls(gaussian, _equal_norms(rows @ transform.T, float(np.trace(dataset.sigma))), rows, error)


def gaussian_classes(dataset: Dataset, n: int, split: int = 0, seed: int = 0) -> Array:
    """For each sample of a training set a draw from the Gaussian of its class, (n, d).

    dataset, n, split : the training set, as :meth:`Dataset.train`;  seed : of the draws

    Mean and covariance of each class are those of all its pictures, so that the mixture has the
    covariance Sigma; what is left out is all that is not Gaussian within a class.
    Raises ValueError for a data set without labels.

    Returns (n, d).

    >>> rf.datasets.gaussian_classes(rf.datasets.digits(), n=50).shape
    (50, 64)
    """
    if dataset.labels is None:
        raise refuse("dataset", dataset.name, "one with labels")
    wanted, rng = dataset.labels[dataset.train(n, split)], np.random.default_rng(seed)
    x = rng.standard_normal((len(wanted), dataset.x.shape[1]))
    for label in np.unique(wanted):
        mine = wanted == label
        rows, mean = centred(dataset.x[dataset.labels == label])
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        x[mine] = mean + x[mine] * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return x


@cache
def equalising_map(dataset: Dataset) -> tuple[Array, float]:
    """The matrix A (d, d) of :func:`controls`, and the relative error of the covariance it leaves.

    dataset : its population is what the matrix is fitted on

    Directions of Sigma below 1e-12 of its largest eigenvalue are projected out.
    Raises ArithmeticError when 100 rounds do not bring the error to 1e-3.

    Returns (d, d) and one number.

    >>> matrix, error = rf.datasets.equalising_map(rf.datasets.digits())
    >>> matrix.shape, error < 1e-3
    ((64, 64), True)
    """
    values, vectors = np.linalg.eigh(dataset.sigma)
    kept = values > 1e-12 * values[-1]
    lam, basis = values[kept], vectors[:, kept]
    coordinates = dataset.population @ basis
    a = np.eye(lam.size)
    for _ in range(100):
        y = _equal_norms(coordinates @ a.T, float(lam.sum()))
        second = y.T @ y / len(y)
        error = float(np.linalg.norm(second - np.diag(lam)) / np.linalg.norm(lam))
        if error <= 1e-3:
            return basis @ a @ basis.T, error
        # In coordinates where Sigma is the identity, the inverse root of the covariance just found.
        share, turn = np.linalg.eigh(second / np.sqrt(np.outer(lam, lam)))
        a = np.sqrt(lam)[:, None] * ((turn / np.sqrt(share)) @ turn.T) / np.sqrt(lam) @ a
    raise ArithmeticError(f"equal norms with covariance Sigma: error {error:.1e} after 100 rounds")


def norm_statistics(x: npt.ArrayLike, sigma: npt.ArrayLike) -> NormStatistics:
    """Mean and variance of |x|^2/d over the rows of x (n, d), beside the Gaussian 2 tr Sigma^2/d^2.

    ``error`` is the standard error of ``variance`` for independent rows, from the fourth central moment.

    Raises ValueError for fewer than two samples, and a sigma that is not (d, d).

    >>> x = np.random.default_rng(0).standard_normal((4000, 16))
    >>> found = rf.datasets.norm_statistics(x, np.eye(16))
    >>> found.gaussian, abs(found.ratio - 1) < 0.15
    (0.125, True)
    """
    data, matrix = finite_array("x", x, ndim=2), finite_array("sigma", sigma, ndim=2)
    d = data.shape[1]
    if len(data) < 2:
        raise refuse("number of samples in x", len(data), "at least 2")
    if matrix.shape != (d, d):
        raise ValueError(f"sigma has shape {matrix.shape}, which is not allowed: {(d, d)}, as x has d = {d}")
    r = np.sum(data**2, axis=1) / d
    variance = float(r.var(ddof=1))
    fourth = float(np.mean((r - r.mean()) ** 4))
    error = float(np.sqrt(max(fourth - variance**2, 0.0) / len(r)))
    return NormStatistics(float(r.mean()), variance, float(2 * np.sum(matrix * matrix.T)) / d**2, error)


def _equal_norms(x: Array, square: float) -> Array:
    return np.asarray(x * np.sqrt(square / np.sum(x**2, axis=1, keepdims=True)))
