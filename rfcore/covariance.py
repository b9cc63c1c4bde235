"""The law of the eigenvalues of a data covariance: atoms and weights."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, nonnegative, positive, refuse, whole

__all__ = ["Covariance"]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Covariance:
    """Law of the eigenvalues of the data covariance Sigma: atoms lambda_i with weights w_i.

    Parameters
    ----------
    eigenvalues : (K,) array, each >= 0 and at least one > 0; the order given is kept
    weights : (K,) array, each > 0, sum 1 (to 1e-9; then normalised); equal weights if left out

    ``error`` is 0 unless the law came from :meth:`compressed`.  Two laws are equal when all their
    numbers are; a law can be a dictionary key.

    Raises ValueError for negative, infinite or all vanishing eigenvalues, and for weights that are not
    positive, of another shape, or do not sum to 1.

    >>> law = rf.Covariance(eigenvalues=[0.5, 2.0], weights=[0.75, 0.25])
    >>> law.variance
    0.875
    >>> law.quantiles(4)
    array([0.5, 0.5, 0.5, 2. ])
    """

    eigenvalues: Array
    weights: Array = None  # type: ignore[assignment]
    error: float = 0.0

    def __post_init__(self) -> None:
        lam = finite_array("eigenvalues", self.eigenvalues, ndim=1).copy()
        if lam.size == 0:
            raise refuse("eigenvalues", [], "at least one eigenvalue")
        if lam.min() < 0:
            raise refuse("eigenvalues", float(lam.min()), "numbers >= 0")
        if lam.max() == 0:
            raise refuse("eigenvalues", 0.0, "at least one eigenvalue > 0")
        weights = np.full(lam.size, 1 / lam.size) if self.weights is None else self.weights
        w = finite_array("weights", weights, ndim=1).copy()
        if w.shape != lam.shape:
            raise ValueError(
                f"weights has shape {w.shape}, which is not allowed: {lam.shape}, that of eigenvalues"
            )
        if w.min() <= 0:
            raise refuse("weights", float(w.min()), "numbers > 0")
        if abs(w.sum() - 1) > 1e-9:
            raise refuse("sum of weights", float(w.sum()), "1")
        w /= w.sum()
        lam.flags.writeable = w.flags.writeable = False
        object.__setattr__(self, "eigenvalues", lam)
        object.__setattr__(self, "weights", w)
        object.__setattr__(self, "error", nonnegative("error", self.error))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Covariance)
            and np.array_equal(self.eigenvalues, other.eigenvalues)
            and np.array_equal(self.weights, other.weights)
        )

    def __hash__(self) -> int:
        return hash((self.eigenvalues.tobytes(), self.weights.tobytes()))

    @classmethod
    def isotropic(cls, variance: float = 1.0) -> "Covariance":
        """Sigma = variance * identity.

        Raises ValueError unless variance > 0.

        >>> rf.Covariance.isotropic(2.0).eigenvalues
        array([2.])
        """
        return cls(np.array([positive("variance", variance)]), np.ones(1))

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike) -> "Covariance":
        """The d eigenvalues of a symmetric matrix S (d, d), each with weight 1/d, ascending.

        Negative eigenvalues down to -1e-12 of the largest are round-off and become 0; below that
        the matrix is refused.  So is a matrix that is not symmetric to 1e-10 of its largest entry.

        >>> rf.Covariance.from_matrix([[2.0, 1.0], [1.0, 2.0]]).eigenvalues.round(12)
        array([1., 3.])
        """
        s = finite_array("matrix", matrix, ndim=2)
        if s.shape[0] != s.shape[1] or s.size == 0:
            raise ValueError(f"matrix has shape {s.shape}, which is not allowed: a square matrix")
        asymmetry = float(np.max(np.abs(s - s.T)))
        if asymmetry > 1e-10 * np.max(np.abs(s)):
            raise refuse("asymmetry of matrix", asymmetry, "at most 1e-10 of its largest entry")
        return cls(_clip_round_off(np.linalg.eigvalsh((s + s.T) / 2)))

    @classmethod
    def from_data(cls, x: npt.ArrayLike) -> "Covariance":
        """Eigenvalues of the sample covariance (X - mean)^T (X - mean)/n of data X (n, d), n >= 2.

        Raises ValueError for fewer than two samples, and for numbers that are not finite.

        >>> rf.Covariance.from_data([[0.0, 1.0], [2.0, 1.0]]).eigenvalues
        array([0., 1.])
        """
        data = finite_array("x", x, ndim=2)
        if data.shape[0] < 2 or data.shape[1] < 1:
            raise ValueError(
                f"x has shape {data.shape}, which is not allowed: at least 2 samples of at least 1 number"
            )
        centred = data - data.mean(axis=0)
        return cls.from_matrix(centred.T @ centred / data.shape[0])

    @classmethod
    def power_law(cls, exponent: float, atoms: int = 200) -> "Covariance":
        """lambda_k proportional to k^-exponent, k = 1..atoms, equal weights, scaled to variance 1.

        Raises ValueError for a negative exponent or no atom.

        >>> rf.Covariance.power_law(exponent=1.0, atoms=3).eigenvalues.round(3)
        array([1.636, 0.818, 0.545])
        """
        lam = np.arange(1, whole("atoms", atoms) + 1, dtype=np.float64) ** -nonnegative("exponent", exponent)
        return cls(lam / lam.mean())

    @classmethod
    def low_rank(cls, fraction: float, variance: float = 1.0) -> "Covariance":
        """A projector: lambda = variance/fraction on a fraction of directions, 0 elsewhere.

        Raises ValueError unless 0 < fraction <= 1 and variance > 0.

        >>> rf.Covariance.low_rank(fraction=0.25).eigenvalues
        array([0., 4.])
        """
        f = positive("fraction", fraction)
        v = positive("variance", variance)
        if f > 1:
            raise refuse("fraction", fraction, "a number in (0, 1]")
        if f == 1:
            return cls.isotropic(v)
        return cls(np.array([0.0, v / f]), np.array([1 - f, f]))

    @cached_property
    def variance(self) -> float:
        """sigma_x^2 = tr Sigma/d = sum_i w_i lambda_i."""
        return float(self.weights @ self.eigenvalues)

    def quantiles(self, d: int) -> Array:
        """The d eigenvalues of a finite Sigma with this law: quantiles at (k + 1/2)/d, ascending, (d,).

        Raises ValueError unless d is an integer >= 1.
        """
        order = np.argsort(self.eigenvalues, kind="stable")
        cumulative = np.cumsum(self.weights[order])
        level = (np.arange(whole("d", d)) + 0.5) / d
        # An atom owns the levels up to its cumulative weight; the tolerance keeps a level that
        # lies on the boundary by arithmetic (1/2 of two atoms) from moving by round-off.
        index = np.searchsorted(cumulative, level * (1 - 1e-12), side="left")
        return np.asarray(self.eigenvalues[order][np.minimum(index, order.size - 1)])

    def compressed(self, atoms: int) -> "Covariance":
        """A law with at most ``atoms`` atoms, the same mean, and a stated ``error``.

        Neighbours are merged at their common mean, in groups of equal share of weight and of log
        eigenvalue.  ``error`` = max over w > 0 (20 per decade) of the change of
        I(w) = <lambda/(w + lambda)>, the only way in which the law enters the spectrum.

        Raises ValueError unless atoms is an integer >= 1.

        >>> law = rf.Covariance.power_law(exponent=1.0, atoms=200).compressed(16)
        >>> law.eigenvalues.size, law.error < 2e-3
        (16, True)
        """
        k = whole("atoms", atoms)
        if k >= self.eigenvalues.size:
            return self
        order = np.argsort(self.eigenvalues, kind="stable")
        lam, w = self.eigenvalues[order], self.weights[order]
        group = _groups(lam, w, k)
        mass, moment = (np.bincount(group, x).astype(np.float64) for x in (w, w * lam))
        small = Covariance(moment[mass > 0] / mass[mass > 0], mass[mass > 0])
        low, high = max(math.log10(lam[lam > 0][0]) - 3, -300.0), math.log10(lam[-1]) + 3
        grid = np.logspace(low, high, 20 * math.ceil(high - low))[:, None]
        change = (lam / (grid + lam)) @ w - (small.eigenvalues / (grid + small.eigenvalues)) @ small.weights
        return Covariance(small.eigenvalues, small.weights, self.error + float(np.max(np.abs(change))))


def _clip_round_off(eigenvalues: npt.NDArray[np.floating[Any]]) -> Array:
    lowest = -1e-12 * max(float(eigenvalues.max()), 0.0)
    if eigenvalues.min() < lowest:
        raise refuse("smallest eigenvalue", float(eigenvalues.min()), f"at least {lowest:.1e} (round-off)")
    return np.asarray(np.maximum(eigenvalues, 0.0))


def _groups(lam: Array, w: Array, k: int) -> npt.NDArray[np.int64]:
    """Group index of each atom (ascending); zero eigenvalues keep a group of their own."""
    zero = lam == 0
    share = np.cumsum(w) - w / 2
    if np.any(~zero):
        logs = np.log(lam[~zero])
        spread = logs[-1] - logs[0]
        if spread > 0:
            share[~zero] = (share[~zero] + (logs - logs[0]) / spread) / 2
    group = np.minimum((share * (k - zero.any()) + zero.any()).astype(np.int64), k - 1)
    group[zero] = 0
    return np.asarray(group)
