"""The Frechet distance between Gaussian laws fitted to features, with its bias and its error."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, refuse

Array = npt.NDArray[np.float64]
RULE = 20  # samples per feature below which the bias is no longer small
PIXELS = 64  # principal directions


@dataclass(frozen=True)
class Frechet:
    """A Frechet distance, see :func:`rfcore.images.frechet_distance`.

    value : the distance (a square, in units of features squared) = mean_part + covariance_part
    error : its standard error over samples, to order 1/N, with the spread that is left at distance 0
    bias : what two samples of these sizes from one Gaussian law with the covariance of b would give, to
        first order in 1/N: what a perfect generator scores on average
    samples : (N_a, N_b);  dimension : number of features
    enough : whether both N are at least 20 times the dimension.  Below, bias is not small against the
        spectrum of the features and ``value`` must only be compared with values of the same N
    """

    value: float
    error: float
    bias: float
    mean_part: float
    covariance_part: float
    samples: tuple[int, int]
    dimension: int
    features: str

    @property
    def enough(self) -> bool:
        return min(self.samples) >= RULE * self.dimension


def gaussian_distance(
    mean_a: npt.ArrayLike, covariance_a: npt.ArrayLike, mean_b: npt.ArrayLike, covariance_b: npt.ArrayLike
) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^{1/2} S_b S_a^{1/2})^{1/2}) of N(m_a, S_a) and N(m_b, S_b)."""
    m_a, m_b = finite_array("mean_a", mean_a, ndim=1), finite_array("mean_b", mean_b, ndim=1)
    s_a = finite_array("covariance_a", covariance_a, ndim=2)
    s_b = finite_array("covariance_b", covariance_b, ndim=2)
    shapes = (m_a.shape, s_a.shape, m_b.shape, s_b.shape)
    if shapes != ((m_a.size,), (m_a.size, m_a.size)) * 2:
        raise refuse("shapes of means and covariances", shapes, "(k,), (k, k) twice")
    return float(np.sum((m_a - m_b) ** 2)) + _covariance_part(s_a, s_b, _root(s_a), _root(s_b))


def distance_of_features(a: Array, b: Array, name: str) -> Frechet:
    """The distance between features a (N_a, k) and b (N_b, k)."""
    means, covariances = zip(*map(_moments, (a, b)), strict=True)
    roots = [_root(s) for s in covariances]
    shift = means[0] - means[1]
    first, second = float(shift @ shift), _covariance_part(*covariances, *roots)
    bias, spread = _same_law(covariances[1], 1 / len(a) + 1 / len(b))
    slopes = (_slope(a, means[0], shift, *roots), _slope(b, means[1], -shift, *roots[::-1]))
    # Near 0 the slope is itself noise: for a square q of mean mu, Var q = 4 mu^2 v + 2 v^2, where 4 q v alone
    # has the mean 4 mu^2 v + 4 v^2.
    first_order = sum(float(np.var(each, ddof=1)) / len(each) for each in slopes)
    variance = max(first_order - spread, spread)
    sizes = (len(a), len(b))
    return Frechet(first + second, float(np.sqrt(variance)), bias, first, second, sizes, a.shape[1], name)


def principal(a: Array, b: Array) -> tuple[Array, Array]:
    """Coordinates of a and b along the first 64 principal directions of b."""
    centre = b.mean(axis=0)
    if b.shape[1] <= PIXELS:
        return a - centre, b - centre
    _, _, directions = np.linalg.svd(b - centre, full_matrices=False)
    return (a - centre) @ directions[:PIXELS].T, (b - centre) @ directions[:PIXELS].T


def _moments(x: Array) -> tuple[Array, Array]:
    mean = x.mean(axis=0)
    away = x - mean
    return mean, away.T @ away / (len(x) - 1)


def _root(s: Array) -> Array:
    lam, u = np.linalg.eigh((s + s.T) / 2)
    # The root would make 1e-8 of a round-off of 1e-16.
    lam = np.where(lam > lam.max() * lam.size * np.finfo(float).eps, lam, 0.0)
    return np.asarray((u * np.sqrt(np.maximum(lam, 0))) @ u.T)


def _covariance_part(s_a: Array, s_b: Array, root_a: Array, root_b: Array) -> float:
    # The trace of the root is the sum of singular values of S_a^{1/2} S_b^{1/2}: no square is lost.
    common = float(np.linalg.svd(root_a @ root_b, compute_uv=False).sum())
    return max(float(np.trace(s_a) + np.trace(s_b)) - 2 * common, 0.0)


def _slope(x: Array, mean: Array, shift: Array, root: Array, other: Array) -> Array:
    """What each sample adds to the distance, to first order (N,): 2 shift.y + y.(1 - T) y, y = x - mean.

    T carries N(0, S) to N(0, S') : T = S^{-1/2} (S^{1/2} S' S^{1/2})^{1/2} S^{-1/2}, on the range of S.
    """
    lam, u = np.linalg.eigh(root)
    inverse = np.where(lam > 1e-7 * lam[-1], 1 / np.where(lam > 0, lam, 1.0), 0.0)
    back = (u * inverse) @ u.T
    left, values, _ = np.linalg.svd(root @ other)
    y = x - mean
    moved = y @ back @ (left * np.sqrt(values))
    return np.asarray(2 * y @ shift + (y**2).sum(axis=1) - (moved**2).sum(axis=1))


def _same_law(s: Array, c: float) -> tuple[float, float]:
    """Mean and variance of the distance of two samples of N(m, S), to leading order; c = 1/N_a + 1/N_b.

    The distance is |dm|^2 + (1/2) sum_jk dS_jk^2/(lambda_j + lambda_k) in the eigenbasis of S, with
    Var dm_k = c lambda_k, Var dS_jk = (1 + delta_jk) c lambda_j lambda_k.
    """
    lam = np.maximum(np.linalg.eigvalsh(s), 0)
    total = lam[:, None] + lam
    each = np.divide(np.outer(lam, lam), total, out=np.zeros_like(total), where=total > 0)
    bias = c * float(lam.sum() + each.sum() / 2 + np.trace(each) / 2)
    upper = float(np.sum(np.triu(each, 1) ** 2) + np.sum(np.diag(each) ** 2))
    return bias, 2 * c**2 * (float(np.sum(lam**2)) + upper)
