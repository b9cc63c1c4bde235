"""What samples of a network are worth: are they copies, and is their law that of the data?

>>> rf.images.metrics.memorized_fraction is rf.images.memorized_fraction
True
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from rfcore.checks import choice, finite_array, positive, refuse, whole
from rfcore.diffusion import memorization
from rfcore.images._arrays import Array, alike, pictures, rows
from rfcore.images._frechet import Frechet, distance_of_features, gaussian_distance, principal

__all__ = [
    "Frechet",
    "MemorizedFraction",
    "frechet_distance",
    "frechet_floor",
    "gaussian_distance",
    "memorized_fraction",
    "trained_features",
]
FEATURES = ("pixels", "cnn", "random", "inception")
Features = Callable[[Array], Array]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MemorizedFraction:
    """Share of copies among m samples, see :func:`memorized_fraction`.

    fraction : share of samples with ratio < ``limit``;  error : its standard error, > 0 even at 0 and 1
    low, high : 95 % interval of the fraction
    ratios : (m,), nearest distance over second nearest;  distances : (m,), the nearest distance
    nearest : (m,), index into the training pictures
    coverage : share of the n training pictures of which some sample is a copy
    control : the same samples measured against held-out pictures, or None; as many of them as there are
        training pictures, or all if there are fewer
    typical : median distance of a held-out picture to the nearest training picture (nan without held_out)
    """

    fraction: float
    error: float
    low: float
    high: float
    limit: float
    ratios: Array = field(repr=False)
    distances: Array = field(repr=False)
    nearest: Indices = field(repr=False)
    coverage: float
    control: "MemorizedFraction | None" = field(repr=False)
    typical: float

    def at(self, limit: float) -> float:
        """The fraction by another limit of the ratio."""
        return float(np.mean(self.ratios < positive("limit", limit)))

    @property
    def calibrated(self) -> Array:
        """Nearest distances in units of ``typical``, (m,): 1 is as far as a picture never seen."""
        return self.distances / self.typical


def memorized_fraction(
    samples: npt.ArrayLike,
    training: npt.ArrayLike,
    ratio: float = 1 / 3,
    held_out: npt.ArrayLike | None = None,
) -> MemorizedFraction:
    """Share of samples that are nearer to one training picture than ``ratio`` times to any other.

    samples : (m, ...), training : (n, ...), held_out : (k, ...), numpy or torch, pictures or rows of numbers

    Distances are Euclidean, in float64, those of the two nearest from direct differences.  The interval is
    the percentile bootstrap over samples with infinitely many resamples: the mean of resampled zeros and
    ones is Binomial(m, f)/m, so that no resampling is needed.  For f = 0 it is [0, 3/m] (rule of three), for
    f = 1 [1 - 3/m, 1].

    Raises ValueError for fewer than two training pictures and for training pictures that repeat: the ratio
    of a perfect copy of one would be 0/0.
    Source of the criterion: Yoon et al. (2023); ratio 1/3 and bootstrap as in Bonnaire et al. (2025).

    >>> x = rf.datasets.digits().images
    >>> copies = rf.images.memorized_fraction(np.concatenate([x[:5], x[50:55]]), training=x[:20])
    >>> copies.fraction, copies.low < 0.5 < copies.high
    (0.5, True)
    """
    x, known, limit = rows("samples", samples), _distinct("training", training), positive("ratio", ratio)
    alike("samples", x, known)
    if held_out is None:
        return _memorized(x, known, limit, None, np.nan)
    fresh = rows("held_out", held_out, least=2)
    alike("held_out", fresh, known)
    control = _memorized(x, fresh[_first_of_each(fresh)[: len(known)]], limit, None, np.nan)
    typical = float(np.median(_nearest(fresh, known, limit)[1]))
    return _memorized(x, known, limit, control, typical)


def frechet_distance(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    features: str | Features = "pixels",
    weights: str | Path | None = None,
) -> Frechet:
    """Frechet distance between the laws of features of pictures a (samples) and b (reference).

        |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^{1/2} S_b S_a^{1/2})^{1/2})

    a, b : (N, C, H, W), numpy or torch, in [-1, 1]; for "pixels" also (N, d)
    features : "pixels", coordinates along the first 64 principal directions of b: the distance of second
            moments, blind to all else (a Gaussian of the right covariance scores 0)
        "cnn", 64 features of a small network that tells the digits of scikit-learn apart, stored with this
            package; trained on the last 512 of them, which are therefore no training data for anything else
        "random", the same network without training, for pictures of any size
        "inception", 2,048 features of Inception v3, with ``weights`` the path of a file with its parameters
            (the published ones for this purpose; nothing is downloaded)
        a function of pictures (N, C, H, W) that gives (N, k), for instance :func:`trained_features`

    Compare only distances with the same N on both sides: the bias is of order dimension/N, see ``bias``.
    Covariances have divisor N - 1, all in float64.
    Source: Heusel et al. (2017).

    Raises ValueError for pictures of different sizes, unknown features, and weights that are not asked for.

    >>> x = rf.datasets.digits().images
    >>> same = rf.images.frechet_distance(x[:400], x[400:800])
    >>> flat = rf.images.frechet_distance(np.zeros_like(x[:400]), x[400:800])
    >>> same.value < 0.2 * flat.value
    True
    """
    name = choice("features", features, FEATURES) if isinstance(features, str) else "given"
    if (features == "inception") != (weights is not None):
        raise refuse("weights", weights, "a file for features = 'inception', None for all others")
    x, y = pictures("a", a, least=2), pictures("b", b, least=2)
    alike("a", x, y)
    if features == "pixels":
        return distance_of_features(*principal(x.reshape(len(x), -1), y.reshape(len(y), -1)), name)
    if isinstance(features, str):
        from rfcore.images import _features

        features = _features.named(features, y.shape[1:], weights)
    f, g = (finite_array("features", features(each), ndim=2) for each in (x, y))
    return distance_of_features(f, g, name)


def trained_features(images: npt.ArrayLike, labels: npt.ArrayLike | None = None, seed: int = 0) -> Features:
    """The small network of "cnn", trained on other pictures (N, C, H, W): features for frechet_distance.

    images : pictures in [-1, 1];  seed : of the network
    labels : (N,) classes 0, 1, ...; None: the network learns to tell turned and flipped pictures apart
    Use pictures that are nobody's training data.  320 steps of Adam; seconds for 8 x 8, a minute for 32 x 32.

    Returns a function of pictures (N, C, H, W) that gives their features, (N, 64).
    Source: Heusel et al. (2017) for the distance, here with other features.
    Raises ValueError for pictures that are not (N, C, H, W), and labels that are not whole numbers >= 0.

    >>> x = rf.datasets.digits().images[:16]
    >>> features = rf.images.trained_features(x, labels=np.arange(16) % 2)
    >>> features(x.astype(float)).shape
    (16, 64)
    """
    from rfcore.images import _features

    x = pictures("images", images).astype(np.float32)
    if labels is None:
        return _features.of(_features.fit(*_features.turned(x), seed))
    y = np.asarray(labels)
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or y.min() < 0:
        raise refuse("labels", (str(y.dtype), y.shape), f"classes 0, 1, ... ({len(x)},)")
    return _features.of(_features.fit(x, y.astype(np.int64), seed))


def frechet_floor(
    b: npt.ArrayLike, features: str | Features = "pixels", weights: str | Path | None = None, seed: int = 0
) -> Frechet:
    """:func:`frechet_distance` of a random half of the reference b to the other half, as good as data.

    b, features, weights : as for :func:`frechet_distance`;  seed : of the halves

    Source: chapter 13 of the book.

    Raises ValueError as :func:`frechet_distance`.

    >>> x = rf.datasets.digits().images
    >>> floor = rf.images.frechet_floor(x, seed=0)
    >>> floor.value < 2 * floor.bias
    True
    """
    y = pictures("b", b, least=4)
    order = np.random.default_rng(whole("seed", seed, least=0)).permutation(len(y))
    half = len(y) // 2
    return frechet_distance(y[order[:half]], y[order[half : 2 * half]], features, weights)


def _memorized(
    x: Array, known: Array, limit: float, control: MemorizedFraction | None, typical: float
) -> MemorizedFraction:
    found, distances = _nearest(x, known, limit)
    low, high = _interval(found.fraction, len(x))
    copied = np.unique(found.nearest[found.ratio < limit]).size / len(known)
    return MemorizedFraction(
        found.fraction,
        found.error,
        low,
        high,
        limit,
        found.ratio,
        distances,
        found.nearest,
        copied,
        control,
        typical,
    )


def _nearest(x: Array, known: Array, limit: float) -> tuple[memorization.MemorizedFraction, Array]:
    """Ratios and nearest points of the rows of x, and the nearest distances (m,)."""
    found = memorization.memorized_fraction(x, known, limit)
    return found, np.linalg.norm(x - known[found.nearest], axis=1)


def _interval(fraction: float, m: int) -> tuple[float, float]:
    if fraction in (0, 1):
        reach = min(1.0, 3 / m)
        return (0.0, reach) if fraction == 0 else (1 - reach, 1.0)
    low, high = binom.ppf([0.025, 0.975], m, fraction) / m
    return float(low), float(high)


def _distinct(name: str, value: npt.ArrayLike) -> Array:
    known = rows(name, value)
    if len(known) < 2:
        raise refuse(f"number of {name} pictures", len(known), "at least 2: there is no second nearest")
    repeated = len(known) - len(_first_of_each(known))
    if repeated:
        raise refuse(f"number of {name} pictures that repeat others", repeated, "0: remove duplicates first")
    return known


def _first_of_each(x: Array) -> list[int]:
    """Indices of the rows that do not repeat an earlier one, by their bytes (numpy's unique sorts: slow)."""
    seen: dict[bytes, int] = {}
    for k, row in enumerate(x + 0.0):  # -0.0 becomes 0.0
        seen.setdefault(row.tobytes(), k)
    return list(seen.values())
