"""What the linear denoiser of a training set makes of noise: exactly, and on average over training sets."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, nonnegative, positive, refuse, whole
from rfcore.covariance import Covariance
from rfcore.diffusion.process import flow_factor, mode_variance, signal
from rfcore.diffusion.samplers import coefficients
from rfcore.images._arrays import Array, alike, rows
from rfcore.model import LinearModel
from rfcore.theory.linear_maps import generated_covariance, sampling_map_moments


@dataclass(frozen=True, eq=False)
class LinearMap:
    """x = offset + matrix z: the sample that the linear denoiser of a training set makes of the noise z.

    matrix : (d, d), symmetric;  offset : (d,);  mean : (d,), that of the training set
    """

    matrix: Array
    offset: Array
    mean: Array

    def __call__(self, z: npt.ArrayLike) -> Array:
        """Samples (m, d) from noise (m, ...)."""
        noise = rows("z", z)
        if noise.shape[1] != self.offset.size:
            raise refuse("shape of z", noise.shape, f"(m, {self.offset.size}) as rows")
        return np.asarray(self.offset + noise @ self.matrix)


@dataclass(frozen=True, eq=False)
class LinearPrediction:
    """Disagreement of two linear maps from the same noise: of two given ones, or on average over data sets.

    d2 : mean over noise z of |x_A - x_B|^2/d;  rho2 : 1 - d2 over the same with independent noises
    eigenvalues, modes : (d,) each, lambda_k of the reference, descending, and E (u_k.(x_A - x_B))^2
    error : of the calculation: round-off; for the average the relative difference of two ways to
        d2, of order 1/d
    """

    d2: float
    rho2: float
    eigenvalues: Array
    modes: Array
    error: float

    @property
    def ratio(self) -> Array:
        """modes/(2 lambda_k): 1 for unrelated samples; nan where the reference has no variance."""
        return per_variance(self.modes, self.eigenvalues)


def linear_map(training: npt.ArrayLike, times: npt.ArrayLike, method: str | None = None) -> LinearMap:
    """The sampling map of the best linear denoiser of a training set (n, ...), from pure noise at times[0].

    times : (K,), decreasing, as for :func:`rfcore.diffusion.sample`
    method : None, the exact probability flow from times[0] to times[-1]; "ddim", the sampler of that name at
        these times, with its errors: compare networks sampled by it with this one

    With mean m and covariance C (divisor n), flow to time 0: x = m + C^{1/2} (abar C + 1 - abar)^{-1/2}
    (z - sqrt(abar) m) with abar = exp(-2 times[0]).

    Raises ValueError for fewer than two pictures, times that do not decrease, and another method.
    Source: chapter 12 of the book; "ddim" is that of Song, Meng and Ermon (2021).

    >>> linear = rf.images.linear_map(rf.datasets.digits().images[:100], [3.0, 0.0])
    >>> linear.matrix.shape, linear(np.zeros((2, 64))).shape
    ((64, 64), (2, 64))
    """
    x = rows("training", training, least=2)
    mean = x.mean(axis=0)
    lam, u = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    lam = np.maximum(lam, 0)
    along = mean @ u
    grid = finite_array("times", times, ndim=1)
    if grid.size < 2 or grid[-1] < 0 or np.any(np.diff(grid) >= 0):
        raise refuse("times", grid.tolist(), "at least two decreasing times >= 0")
    if method is None:
        gain = flow_factor(lam, float(grid[0]), float(grid[-1]))
        offset = signal(float(grid[-1])) * along - gain * signal(float(grid[0])) * along
    elif method == "ddim":
        gain, offset = np.ones_like(lam), np.zeros_like(lam)
        for t, t_next in pairwise(grid.tolist()):
            grow, pull, _ = coefficients("ddim", t, t_next)
            pull = pull / mode_variance(lam, t)  # the score along a mode is -(x - e^{-t} m)/Gamma_t
            gain, offset = (grow - pull) * gain, (grow - pull) * offset + pull * signal(t) * along
    else:
        raise refuse("method", method, "None or 'ddim'")
    return LinearMap((u * gain) @ u.T, u @ offset, mean)


def linear_pair(a: LinearMap, b: LinearMap, reference: npt.ArrayLike) -> LinearPrediction:
    """Disagreement of two linear maps, exactly, resolved by the eigenvectors of the covariance of reference.

        D2 = |M_A - M_B|_F^2/d + |offset_A - offset_B|^2/d

    a, b : maps of :func:`linear_map`;  reference : (N, ...), pictures

    Raises ValueError for maps and pictures of different sizes.  Source: chapter 12 of the book.

    >>> pictures = rf.datasets.digits().images
    >>> one, two = (rf.images.linear_map(pictures[k : k + 200], [3.0, 0.0]) for k in (0, 200))
    >>> pair = rf.images.linear_pair(one, two, pictures[400:800])
    >>> 0 < pair.d2 < 0.3, pair.error < 1e-9
    (True, True)
    """
    lam, u, _ = eigenbasis(reference)
    alike("reference", u, a.matrix, same_number=True)
    alike("matrix of b", b.matrix, a.matrix, same_number=True)
    difference, shift = (a.matrix - b.matrix) @ u, (a.offset - b.offset) @ u
    modes = (difference**2).sum(axis=0) + shift**2
    common = 2 * float(np.sum(a.matrix * b.matrix))
    total = float(np.sum(a.matrix**2) + np.sum(b.matrix**2) + shift @ shift)
    d2 = float(modes.sum())
    error = abs(d2 - (total - common)) / total
    return LinearPrediction(d2 / lam.size, common / total, lam, modes, error)


def predicted_pair(
    covariance: npt.ArrayLike, mean: npt.ArrayLike, n: int, start: float, end: float = 0.0
) -> LinearPrediction:
    """Average disagreement of the linear maps of two independent training sets of n, by random matrix theory.

    covariance : (d, d), mean : (d,), of the population;  start, end : times of the flow, as in linear_map

    With y = e^t x the flow is ((S + s_0)/(S + T))^{1/2}, T = e^{2 start} - 1, s_0 = e^{2 end} - 1, whose mean
    m_k and variance V_jk over training sets :func:`rfcore.theory.sampling_map_moments` gives.  So, with
    a = e^{-start},

        D2_k = 2 e^{-2 end} [ sum_j V_kj (1 + a^2 (u_j.mu)^2)/a^2 + (1 - m_k)^2 lambda_k/n ]

    The last term is the shift between the two means, which are taken from the data, so that S has n - 1
    degrees of freedom.  ``error``: relative difference to D2 by the covariance of one model's samples.

    Raises ValueError unless n >= 2 and 0 <= end < start, and for shapes that do not fit.
    Source: Wang, Zavatone-Veth and Pehlevan (2026); chapter 12 of the book.

    >>> pairs = [rf.images.predicted_pair(np.eye(16), np.zeros(16), n, start=3.0) for n in (20, 200)]
    >>> print(" ".join(f"{pair.d2:.3f}" for pair in pairs))
    0.550 0.052
    """
    size, late, early = whole("n", n, least=2), positive("start", start), nonnegative("end", end)
    sigma, mu = finite_array("covariance", covariance, ndim=2), finite_array("mean", mean, ndim=1)
    if sigma.shape != (mu.size, mu.size) or mu.size == 0:
        raise refuse("shape of covariance", sigma.shape, f"{(mu.size, mu.size)}, as mean has")
    if early >= late:
        raise refuse("end", end, f"a time < start = {late!r}")
    Covariance.from_matrix(sigma)  # raises for a matrix that is no covariance
    lam, u = _descending(sigma)
    shrunk = Covariance(lam * (size - 1) / size)  # what S, with divisor n, is on average
    model = LinearModel(gamma=mu.size / (size - 1), noise_variance=1.0, covariance=shrunk)
    variances = math.expm1(2 * late), math.expm1(2 * early)
    moments = sampling_map_moments(model, *variances)
    a2, scale = signal(late) ** 2, signal(early) ** 2
    v = moments.scaled_variance / (size - 1)
    shift = (1 - moments.mean) ** 2 * lam / size
    modes = 2 * scale * (v @ (1 + a2 * (mu @ u) ** 2) / a2 + shift)
    # E[f(S)^2]_kk by another route: the covariance of the samples of one model.
    square = generated_covariance(model, *variances).mean / variances[0]
    again = 2 * scale * (np.sum(square - moments.mean**2) / a2 + np.sum(v @ (mu @ u) ** 2) + shift.sum())
    d2, common = float(modes.sum()), float(2 * scale * np.sum(moments.mean**2) / a2)
    return LinearPrediction(d2 / lam.size, common / (common + d2), lam, modes, float(abs(again / d2 - 1)))


def eigenbasis(reference: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Eigenvalues (d,), descending, eigenvectors (d, d) in columns, and mean (d,) of pictures (N, ...)."""
    x = rows("reference", reference, least=2)
    mean = x.mean(axis=0)
    lam, u = _descending((x - mean).T @ (x - mean) / len(x))
    return lam, u, mean


def per_variance(modes: Array, eigenvalues: Array) -> Array:
    """modes/(2 lambda_k), nan where lambda_k is zero or round-off of the largest."""
    real = eigenvalues > eigenvalues.max() * eigenvalues.size * np.finfo(float).eps
    return np.where(real, modes / (2 * np.where(real, eigenvalues, 1.0)), np.nan)


def _descending(sigma: Array) -> tuple[Array, Array]:
    lam, u = np.linalg.eigh((sigma + sigma.T) / 2)
    return np.maximum(lam[::-1], 0), u[:, ::-1]
