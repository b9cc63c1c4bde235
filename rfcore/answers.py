"""The answers: frozen results, the same for theory (d = infinity) and simulation (finite d).

Plain numpy data, no torch; losses are dimensionless, the zero score has loss 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LossCurves", "Minimizer"]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LossCurves:
    """Losses along gradient flow dA/dtau = -d^2 grad L_train from A = 0, arrays of the shape of ``tau``.

    train : loss on the training points with the m noise draws that are trained on (without penalty)
    test : loss on fresh points with fresh noise
    empirical : loss on the training points with fresh noise (= train at m = infinity)
    score_error : (1/d) E||s_A - s*||^2, the distance to the exact score; nan where that is not known
    error : estimate of the numerical error of the losses (not of the distance between d and infinity)
    standard_error : the same losses' standard errors where they are means over draws, else None

    >>> curves = rf.theory.loss_curves(rf.RandomFeatureModel(64, 8, 0.01), [1e2, 1e4, 1e6])
    >>> print(curves.train.round(3), curves.test.round(3), curves.gap.round(3))
    [0.98  0.93  0.335] [ 0.982  1.037 23.956] [2.000e-03 1.070e-01 2.362e+01]
    """

    tau: Array
    train: Array
    test: Array
    empirical: Array
    score_error: Array
    error: Array
    standard_error: "LossCurves | None" = None

    @property
    def gap(self) -> Array:
        """Generalisation gap, test - train."""
        return self.test - self.train


@dataclass(frozen=True)
class Minimizer:
    """The losses of :class:`LossCurves` at tau = infinity (minimum norm where U is singular).

    Fields as there, each one number.

    >>> end = rf.theory.minimizer(rf.RandomFeatureModel(64, 8, 0.01))
    >>> print(f"train {end.train:.3f}, test {end.test:.3f}, gap {end.gap:.3f}")
    train 0.334, test 25.526, gap 25.192
    """

    train: float
    test: float
    empirical: float
    score_error: float
    error: float
    standard_error: "Minimizer | None" = None

    @property
    def gap(self) -> float:
        """Generalisation gap, test - train."""
        return self.test - self.train


@dataclass(frozen=True, eq=False)
class ModeCurves:
    """Gradient flow mode by mode: response and losses along K directions of the data, see ``mode_curves``.

    tau : training times; eigenvalues : (K,) lambda_k, the variance of the data along each direction
    mean : (..., K) E u_k^T D_tau u_k, what the linear response of the denoiser lets through
    train, test : (..., K) loss of the noise along u_k, 1 for the zero model; averaged over the law of the
        covariance they are the losses of :class:`LossCurves`
    best : (K,) lambda_k/(lambda_k + z), z = e^2t - 1: the mean *and* the test loss of the exact score
    times : (K,) 1/rate of mode k with infinitely many samples (and features)
    error : estimate of the numerical error
    standard_error : the same where the curves are means over draws, else None

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> curves = rf.theory.mode_curves(model, [1.0, 10.0])
    >>> print(curves.mean.round(3).tolist(), curves.times.round(3))
    [[0.801, 0.626], [0.755, 0.164]] [0.4 1.6]
    """

    tau: Array
    eigenvalues: Array
    mean: Array
    train: Array
    test: Array
    best: Array
    times: Array
    error: float
    standard_error: "ModeCurves | None" = None

    @property
    def learned(self) -> Array:
        """(1 - mean)/(1 - best), the learned share of the score: 0 at the start, 1 for the exact score."""
        return np.asarray((1 - self.mean) / (1 - self.best))

    @property
    def excess(self) -> Array:
        """test - best, the loss of mode k above that of the exact score."""
        return self.test - self.best

    def passing(self, values: Array, level: Array | float) -> Array:
        """When each mode of values (T, K) first passes its level, (K,), linear in log tau; nan if never.

        Upwards where the first value is below the level, downwards where it is above.
        Raises ValueError unless tau is one row of increasing times > 0.
        """
        tau = np.asarray(self.tau)
        if tau.ndim != 1 or tau.size < 2 or np.any(np.diff(tau) <= 0) or tau[0] <= 0:
            raise ValueError("tau is not allowed: one row of increasing times > 0")
        away = np.asarray(values) - level
        away = away * -np.sign(away[0])
        there = np.argmax(away >= 0, axis=0)
        mode = np.arange(away.shape[1])
        before = np.maximum(there - 1, 0)
        low, high = away[before, mode], away[there, mode]
        part = low / np.where(there > 0, low - high, 1)
        when = np.log(tau[before]) + part * (np.log(tau[there]) - np.log(tau[before]))
        return np.where(there > 0, np.exp(np.where(there > 0, when, 0)), np.nan)


@dataclass(frozen=True, eq=False)
class ScaleCurves:
    """Losses along gradient flow of samples of each scale, arrays (*tau.shape, K).

    test : on fresh points of scale ``scales[k]``; empirical : on training points of that scale with fresh
    noise (at m = infinity their train loss).  ``weights`` (K,) are the shares of the scales.
    error : numerical, for the worst scale, in the shape of tau
    """

    tau: Array
    scales: Array
    weights: Array
    test: Array
    empirical: Array
    error: Array

    def grouped(self, edges: npt.ArrayLike) -> "ScaleCurves":
        """Means over the scales between neighbouring edges 0 < e_1 < ... < infinity; none may be empty."""
        group = np.searchsorted(np.asarray(edges, dtype=float), self.scales)
        share = np.zeros((group.max() + 1, group.size))
        share[group, np.arange(group.size)] = self.weights
        weights = share.sum(axis=1)
        if np.any(weights == 0):
            raise ValueError(f"edges = {edges!r} is not allowed: at least one scale between neighbours")
        share /= weights[:, None]
        return ScaleCurves(
            self.tau, share @ self.scales, weights, self.test @ share.T, self.empirical @ share.T, self.error
        )
