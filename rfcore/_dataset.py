"""A set of pictures with its vectors, its covariance and its fixed, disjoint splits."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rfcore.checks import choice, refuse, whole
from rfcore.covariance import Covariance

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
SCALES = ("pm1", "paper")


@dataclass(frozen=True, eq=False)
class Subset:
    """Training and test pictures as a network sees them, see :meth:`Dataset.subset`.

    train : float32 (n, C, H, W);  test : float32 (tests, C, H, W)
    train_labels, test_labels : int64 (n,), (tests,), or None
    scale : "pm1" or "paper";  mean : the scalar that scale "paper" removed (0.0 for "pm1")

    >>> subset = rf.datasets.digits().subset(n=16)
    >>> subset.train.shape, subset.test.shape, subset.mean
    ((16, 1, 8, 8), (512, 1, 8, 8), 0.0)
    """

    train: Pixels
    test: Pixels
    train_labels: Indices | None
    test_labels: Indices | None
    scale: str
    mean: float

    def pictures(self, values: Pixels) -> Pixels:
        """Back from a network's scale to pictures in [-1, 1] (what lies outside stays outside)."""
        return values if self.scale == "pm1" else np.asarray(2 * (values + np.float32(self.mean)) - 1)


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

    >>> digits = rf.datasets.digits()
    >>> digits.images.shape, digits.x.shape, len(digits.test)
    ((1797, 1, 8, 8), (1797, 64), 512)
    """

    name: str
    images: Pixels
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

        >>> rf.datasets.digits().train(n=4, split=1).shape
        (4,)
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

    def subset(self, n: int, split: int = 0, scale: str = "pm1") -> Subset:
        """Training set number ``split`` of n pictures, and the test pictures, at one of two scales.

        pm1 : values in [-1, 1], as they are in ``images``
        paper : values in [0, 1] minus one scalar, the mean over all pixels of the *training* pictures, as
            in Bonnaire et al. (2025).  The signal is half as strong, so that the same noise level means a
            lower signal-to-noise ratio: training times at the two scales are not comparable.

        >>> rf.datasets.digits().subset(n=16, scale="paper").train.shape
        (16, 1, 8, 8)
        """
        choice("scale", scale, SCALES)
        mine = self.train(n, split)
        train, test = self.images[mine], self.images[self.test]
        mean = 0.0
        if scale == "paper":
            mean = float((train.astype(np.float64).mean() + 1) / 2)
            train, test = ((np.float32(0.5) * (part + 1) - np.float32(mean)) for part in (train, test))
        classes = self.labels
        ours, theirs = (None, None) if classes is None else (classes[mine], classes[self.test])
        return Subset(train, test, ours, theirs, scale, mean)

    @cached_property
    def covariance(self) -> Covariance:
        """Law of the eigenvalues of Sigma."""
        return Covariance.from_matrix(self.sigma)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of pictures, labels and order: equal numbers mean equal training and test sets."""
        digest = hashlib.sha256(repr((self.images.shape, self.tests)).encode())
        digest.update(self.images.tobytes() + self.order.tobytes())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        return digest.hexdigest()


def from_pictures(
    name: str, images: Pixels, order: Indices, tests: int, labels: Indices | None = None
) -> Dataset:
    """A data set whose population is the set of its own pictures: x = images - mean, Sigma = x^T x/N."""
    if whole("tests", tests) >= len(images):
        raise refuse("tests", tests, f"less than the number of pictures, {len(images)}")
    x, mean = centred(images.reshape(len(images), -1).astype(np.float64))
    return Dataset(name, images, x, mean, order, whole("tests", tests), x.T @ x / len(x), x, labels)


def permutation(size: int, seed: int = 0) -> Indices:
    """The fixed order of ``size`` samples."""
    return np.random.default_rng(seed).permutation(size).astype(np.int64)


def centred(x: Array) -> tuple[Array, Array]:
    """The rows minus their mean, and the mean."""
    mean = x.mean(axis=0)
    return x - mean, mean
