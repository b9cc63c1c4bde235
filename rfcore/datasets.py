"""Real data, embedded in scikit-learn (no download), and three controls that take its structure apart.

Random matrix theory sees data through the covariance Sigma alone.  Real pictures have more: their norm
varies from picture to picture, they come in classes, their pixels are not Gaussian.  :func:`controls`
returns three data sets with the same Sigma, so that one theory line serves all three and the
differences say which part of that structure matters.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from rfcore._patches import cut, patch_covariance, photographs
from rfcore.checks import finite_array, refuse, whole
from rfcore.model import Covariance

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
_ORDER_SEED = 0
_STRIDE = 4


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures, the vectors the theory speaks of, a fixed order, and the population they come from.

    images : float32 (N, C, H, W) in [-1, 1]
    x : (N, d), d = C H W, mean removed (``x.mean(axis=0)`` is zero to round-off)
    mean : (d,), what was removed from every sample; ``x + mean`` are pictures again
    order : int64 (N,), a fixed permutation: training sets are cut from its head, the test set from its tail
    tests : number of test samples
    sigma : (d, d), covariance matrix Sigma of the population
    population : (M, d), a dense, centred sample of the population (``x`` itself where there is no other)
    labels : int64 (N,), the class of each picture, or None

    All arrays are read-only.
    """

    name: str
    images: npt.NDArray[np.float32]
    x: Array
    mean: Array
    order: Indices
    tests: int
    sigma: Array
    population: Array
    labels: Indices | None = None

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def train(self, n: int, split: int = 0) -> Indices:
        """Indices of training set number ``split``: ``order[split n : (split + 1) n]``, (n,).

        Splits of one size are disjoint; sets of split 0 are nested in n; none meets ``test``.
        Raises ValueError when there are too few samples.
        """
        n, split = whole("n", n), whole("split", split, least=0)
        available = self.order.size - self.tests
        if (split + 1) * n > available:
            limit = f"(split + 1) n <= {available}, the number of training samples; here split = {split}"
            raise refuse("n", n, limit)
        return self.order[split * n : (split + 1) * n]

    @property
    def test(self) -> Indices:
        """Indices of the held-out samples, the tail of ``order``, (tests,)."""
        return self.order[-self.tests :]

    @cached_property
    def covariance(self) -> Covariance:
        """Law of the eigenvalues of Sigma."""
        return Covariance.from_matrix(self.sigma)


@dataclass(frozen=True, eq=False)
class Controls:
    """Three data sets (n, d) with the same population covariance, see :func:`controls`.

    error : |Sigma_equalised - Sigma|_F/|Sigma|_F, both of the population
    """

    gaussian: Array
    equalised: Array
    raw: Array
    error: float


@dataclass(frozen=True)
class NormStatistics:
    """Spread of |x|^2/d over samples, see :func:`norm_statistics`."""

    mean: float
    variance: float
    gaussian: float
    error: float

    @property
    def ratio(self) -> float:
        """variance/gaussian: 1 for Gaussian data, 0 for equal norms."""
        return self.variance / self.gaussian


@cache
def digits() -> Dataset:
    """Handwritten digits of scikit-learn: 1,797 pictures of 8 x 8, d = 64, ten classes, 512 of them held out.

    The population is the set of all 1,797: a training set of n is drawn from it *without* replacement,
    so that comparisons with n independent draws want n much smaller.  Sigma is singular: three pixels
    are the same in every picture.
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = (raw.images / 8 - 1).astype(np.float32)[:, None]
    x, mean = _centred(images.reshape(len(images), -1).astype(np.float64))
    labels = raw.target.astype(np.int64)
    return Dataset("digits", images, x, mean, _order(len(x)), 512, x.T @ x / len(x), x, labels)


@cache
def patches(size: int = 16) -> Dataset:
    """Grey patches of natural pictures, size x size, from the two photographs that scikit-learn ships.

    ``images`` are the disjoint patches (2,080 at size 16), a quarter of them held out.  Sigma is the exact
    covariance of *all* overlapping patches (515,000 at size 16); ``population`` holds every fourth of
    them in each direction.

    ``x`` has the brightness of each patch removed (its own mean over pixels), then the mean over patches.
    Brightness alone carries nine tenths of the variance of raw patches: one direction as strong as all
    others together, for which no law at d = infinity holds, not even for Gaussian data.  Without it the
    spectrum is a power law; Sigma has one zero eigenvalue, the constant patch.

    The held-out patches come from the same two photographs, and patches next to each other are correlated:
    this is real data, not independent draws.
    """
    s = whole("size", size, least=2)
    photos = photographs()
    if s > min(photos[0].shape) // 4:
        raise refuse("size", size, f"at most {min(photos[0].shape) // 4}, or too few patches are left")
    tiles = np.concatenate([cut(photo, s, s) for photo in photos])
    dense = np.concatenate([cut(photo, s, _STRIDE) for photo in photos])
    x, mean = _centred(_without_brightness(tiles))
    population, _ = _centred(_without_brightness(dense))
    images = tiles.reshape(-1, 1, s, s).astype(np.float32)
    sigma = patch_covariance(photos, s)
    return Dataset("patches", images, x, mean, _order(len(x)), len(x) // 4, sigma, population)


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
    """
    rows = dataset.x[dataset.train(n, split)]
    transform, error = equalising_map(dataset)
    values, vectors = np.linalg.eigh(dataset.sigma)
    root = vectors * np.sqrt(np.maximum(values, 0))
    gaussian = np.random.default_rng(seed).standard_normal((len(rows), rows.shape[1])) @ root.T
    return Controls(gaussian, _equal_norms(rows @ transform.T, float(np.trace(dataset.sigma))), rows, error)


def gaussian_classes(dataset: Dataset, n: int, split: int = 0, seed: int = 0) -> Array:
    """For each sample of a training set a draw from the Gaussian of its class, (n, d).

    Mean and covariance of each class are those of all its pictures, so that the mixture has the
    covariance Sigma; what is left out is all that is not Gaussian within a class.
    Raises ValueError for a data set without labels.
    """
    if dataset.labels is None:
        raise refuse("dataset", dataset.name, "one with labels")
    wanted, rng = dataset.labels[dataset.train(n, split)], np.random.default_rng(seed)
    x = rng.standard_normal((len(wanted), dataset.x.shape[1]))
    for label in np.unique(wanted):
        mine = wanted == label
        rows, mean = _centred(dataset.x[dataset.labels == label])
        values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
        x[mine] = mean + x[mine] * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return x


@cache
def equalising_map(dataset: Dataset) -> tuple[Array, float]:
    """The matrix A (d, d) of :func:`controls`, and the relative error of the covariance it leaves.

    Directions of Sigma below 1e-12 of its largest eigenvalue are projected out.
    Raises ArithmeticError when 100 rounds do not bring the error to 1e-3.
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


def _order(size: int) -> Indices:
    return np.random.default_rng(_ORDER_SEED).permutation(size).astype(np.int64)


def _centred(x: Array) -> tuple[Array, Array]:
    mean = x.mean(axis=0)
    return x - mean, mean


def _without_brightness(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=1, keepdims=True))


def _equal_norms(x: Array, square: float) -> Array:
    return np.asarray(x * np.sqrt(square / np.sum(x**2, axis=1, keepdims=True)))
