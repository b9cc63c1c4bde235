r"""Exact scores s(x, t) = grad log p_t(x) of noised laws whose density is known.

Each score is called with x (m, d) and a time t and gives (m, d), numpy float64.  It also knows
``log_density(x, t)`` (m,), of which it is the gradient.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rfcore.checks import finite_array, nonnegative, positive, refuse, whole
from rfcore.diffusion.process import mode_variance, noise_variance, signal

Array = npt.NDArray[np.float64]
_BLOCK = 1 << 21  # numbers in one block of weights (16 MiB): memory stays bounded for any m


class GaussianScore:
    """Score of data N(mu, Sigma):  s = -(e^{-2t} Sigma + Delta_t)^{-1} (x - e^{-t} mu).

    Parameters
    ----------
    mean : (d,)
    covariance : (d, d), symmetric, eigenvalues >= 0; where one is 0 the score needs t > 0

    One eigendecomposition serves all times.

    Raises ValueError for a covariance that is not symmetric and positive semidefinite; the call, for x of
    another dimension.
    Source: chapter 1 of the book.

    >>> score = rf.diffusion.GaussianScore(mean=[0.0, 1.0], covariance=np.diag([4.0, 0.25]))
    >>> print(score([[1.0, 1.0]], t=0.5).round(4))
    [[-0.4754 -0.5434]]
    """

    def __init__(self, mean: npt.ArrayLike, covariance: npt.ArrayLike) -> None:
        self.mean = finite_array("mean", mean, ndim=1)
        self.covariance = finite_array("covariance", covariance, ndim=2)
        if self.covariance.shape != (self.d, self.d) or self.d == 0:
            raise refuse(
                "shape of covariance", self.covariance.shape, f"{(self.d, self.d)}, with d >= 1 that of mean"
            )
        size = float(np.max(np.abs(self.covariance)))
        asymmetry = float(np.max(np.abs(self.covariance - self.covariance.T)))
        if asymmetry > 1e-10 * size:
            raise refuse("asymmetry of covariance", asymmetry, "at most 1e-10 of its largest entry")
        self.eigenvalues, self.modes = np.linalg.eigh((self.covariance + self.covariance.T) / 2)
        if self.eigenvalues[0] < -1e-12 * max(float(self.eigenvalues[-1]), 0.0):
            raise refuse("smallest eigenvalue of covariance", float(self.eigenvalues[0]), "a number >= 0")
        self.eigenvalues = np.maximum(self.eigenvalues, 0.0)

    @property
    def d(self) -> int:
        return self.mean.size

    def __call__(self, x: npt.ArrayLike, t: float) -> Array:
        along, gamma = self._coordinates(x, t)
        return np.asarray(-(along / gamma) @ self.modes.T)

    def log_density(self, x: npt.ArrayLike, t: float) -> Array:
        """log p_t(x), (m,)."""
        along, gamma = self._coordinates(x, t)
        return np.asarray(-0.5 * (along**2 / gamma).sum(axis=1) - 0.5 * np.log(2 * math.pi * gamma).sum())

    def draw(self, m: int, t: float, seed: int) -> Array:
        """m independent samples of p_t, (m, d); t = 0 gives data."""
        xi = np.random.default_rng(whole("seed", seed, least=0)).standard_normal((whole("m", m), self.d))
        return np.asarray(
            signal(t) * self.mean + xi * np.sqrt(mode_variance(self.eigenvalues, t)) @ self.modes.T
        )

    def _coordinates(self, x: npt.ArrayLike, t: float) -> tuple[Array, Array]:
        """Coordinates of x - e^{-t} mu along the modes (m, d), and their variances Gamma_t (d,)."""
        time = nonnegative("t", t)
        gamma = mode_variance(self.eigenvalues, time)
        if gamma[0] <= 0:
            raise refuse("t", t, "a time > 0: the covariance is singular")
        return (_batch(x, self.d) - signal(time) * self.mean) @ self.modes, gamma


class MixtureScore:
    """Score of the mixture sum_k pi_k N(mu_k, Sigma_k):  s = sum_k r_k(x, t) s_k(x, t).

    Parameters
    ----------
    weights : (K,), each > 0, sum 1 (to 1e-9; then normalised)
    means : (K, d)
    covariances : (K, d, d); zeros give point masses (then t > 0)

    r_k is the posterior probability of component k, see :meth:`weights`.

    Raises ValueError for weights that are not positive or do not sum to 1 and shapes that do not fit.
    Source: chapter 1 of the book.

    >>> two = rf.diffusion.MixtureScore([0.5, 0.5], [[-2.0], [2.0]], np.full((2, 1, 1), 0.25))
    >>> print(two.weights([[0.5]], t=0.5).round(3), two([[1.0]], t=0.5).round(3))
    [[0.158 0.842]] [[0.181]]
    """

    def __init__(self, weights: npt.ArrayLike, means: npt.ArrayLike, covariances: npt.ArrayLike) -> None:
        pi = finite_array("weights", weights, ndim=1)
        mu = finite_array("means", means, ndim=2)
        sigma = finite_array("covariances", covariances, ndim=3)
        if pi.size == 0 or pi.min() <= 0:
            raise refuse("weights", pi.tolist(), "at least one number, each > 0")
        if abs(pi.sum() - 1) > 1e-9:
            raise refuse("sum of weights", float(pi.sum()), "1")
        if mu.shape[0] != pi.size or sigma.shape[0] != pi.size:
            raise refuse(
                "number of means, covariances", (mu.shape[0], sigma.shape[0]), f"{pi.size}, that of weights"
            )
        self.proportions = pi / pi.sum()
        self.components = [GaussianScore(m, s) for m, s in zip(mu, sigma, strict=True)]

    @property
    def d(self) -> int:
        return self.components[0].d

    def __call__(self, x: npt.ArrayLike, t: float) -> Array:
        r = self.weights(x, t)
        return np.asarray(sum(r[:, [k]] * score(x, t) for k, score in enumerate(self.components)))

    def weights(self, x: npt.ArrayLike, t: float) -> Array:
        """Posterior probabilities r_k = P(component k | X_t = x), (m, K), rows sum to 1."""
        return _softmax(self._joint(x, t))

    def log_density(self, x: npt.ArrayLike, t: float) -> Array:
        """log p_t(x), (m,)."""
        return _log_sum_exp(self._joint(x, t))

    def draw(self, m: int, t: float, seed: int) -> Array:
        """m independent samples of p_t, (m, d); t = 0 gives data."""
        rng = np.random.default_rng(whole("seed", seed, least=0))
        label = rng.choice(self.proportions.size, size=whole("m", m), p=self.proportions)
        x = np.empty((label.size, self.d))
        for k, score in enumerate(self.components):
            mine = np.flatnonzero(label == k)
            if mine.size:
                x[mine] = score.draw(mine.size, t, int(rng.integers(2**31)))
        return x

    def _joint(self, x: npt.ArrayLike, t: float) -> Array:
        """log pi_k + log N(x; component k at time t), (m, K)."""
        logs = np.stack([score.log_density(x, t) for score in self.components], axis=1)
        return np.asarray(logs + np.log(self.proportions))


class EmpiricalScore:
    """Score of the noised training set, a mixture of point masses:

        w_i(x, t) = softmax_i( -|x - e^{-t} x_i|^2/(2 Delta_t) ) ,   s = (e^{-t} sum_i w_i x_i - x)/Delta_t

    Parameters
    ----------
    data : (n, d).  Rows that repeat are merged into one point that carries their joint weight:
        ``points`` (k, d) in order of first appearance, ``counts`` (k,), and ``index`` (n,), the point
        of each row.  Without repetition k = n and points = data.

    Memory: a block of at most 2^21 weights at a time, except in :meth:`weights`, whose result it is.
    Accuracy of the exponents: about 1e-16 |x_i|^2/Delta_t.

    Raises ValueError for data that are not a table of finite numbers; the call, for t <= 0 and x of another
    dimension.
    Source: Biroli et al. (2024); chapter 2 of the book.

    >>> score = rf.diffusion.EmpiricalScore([[0.0], [3.0]])
    >>> print(score.weights([[1.0]], t=0.5).round(3), score([[1.0]], 0.5).round(3))
    [[0.435 0.565]] [[0.043]]
    """

    def __init__(self, data: npt.ArrayLike) -> None:
        rows = finite_array("data", data, ndim=2)
        if rows.size == 0:
            raise refuse("shape of data", rows.shape, "(n, d), n >= 1 and d >= 1")
        _, first, index, counts = np.unique(
            rows, axis=0, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)  # np.unique sorts: go back to the order of first appearance
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        self.points: Array = rows[first[order]]
        self.counts: npt.NDArray[np.int64] = counts[order]
        self.index: npt.NDArray[np.int64] = rank[index.reshape(-1)]
        # |x - e^{-t} x_i|^2 does not change when data and x move together; centred numbers lose fewer digits
        self._centre: Array = np.mean(self.points, axis=0)
        self._centred = self.points - self._centre
        self._half_square = 0.5 * (self._centred**2).sum(axis=1)

    @property
    def n(self) -> int:
        return self.index.size

    @property
    def d(self) -> int:
        return int(self.points.shape[1])

    def __call__(self, x: npt.ArrayLike, t: float) -> Array:
        state = _batch(x, self.d)
        return np.asarray((signal(t) * self.denoise(state, t) - state) / noise_variance(t))

    def weights(self, x: npt.ArrayLike, t: float) -> Array:
        """w (m, k): posterior probability of each point given X_t = x; rows sum to 1."""
        state = _batch(x, self.d)
        return _softmax(self._exponents(state, positive("t", t)))

    def denoise(self, x: npt.ArrayLike, t: float) -> Array:
        """E[x_0 | X_t = x] = sum_i w_i x_i under the empirical law, (m, d)."""
        state, time = _batch(x, self.d), positive("t", t)
        result = np.empty_like(state)
        for block in self._blocks(state):
            result[block] = _softmax(self._exponents(state[block], time)) @ self._centred
        return result + self._centre

    def log_density(self, x: npt.ArrayLike, t: float) -> Array:
        """log p_t(x) of the noised training set, (m,)."""
        state, time = _batch(x, self.d), positive("t", t)
        delta = noise_variance(time)
        result = np.empty(state.shape[0])
        for block in self._blocks(state):
            far = ((state[block] - signal(time) * self._centre) ** 2).sum(axis=1)
            result[block] = _log_sum_exp(self._exponents(state[block], time)) - far / (2 * delta)
        return result - math.log(self.n) - self.d / 2 * math.log(2 * math.pi * delta)

    def _exponents(self, x: Array, t: float) -> Array:
        """Logarithms of the weights up to a term that is the same for every point (|x|^2 drops out)."""
        near = (x - signal(t) * self._centre) @ self._centred.T
        return np.asarray(
            signal(t) * (near - signal(t) * self._half_square) / noise_variance(t) + np.log(self.counts)
        )

    def _blocks(self, x: Array) -> Iterator[slice]:
        length = max(1, _BLOCK // self.points.shape[0])
        return (slice(start, start + length) for start in range(0, x.shape[0], length))


def _batch(x: npt.ArrayLike, d: int) -> Array:
    state = finite_array("x", x, ndim=2)
    if state.shape[1] != d:
        raise refuse("shape of x", state.shape, f"(m, {d})")
    return state


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _log_sum_exp(logits: Array) -> Array:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))
