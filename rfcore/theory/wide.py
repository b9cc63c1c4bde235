"""The end of training where d << n and d << p: closed forms in p/n alone.

At leading order in psi_p, psi_n -> infinity at fixed p/n every sample is told apart by its non-linear
part.  With y = (p/n) q, C = v^2 + s^2/m and the leave-one-out factors

    chi_1 = 1/(1 + C y)  (mean over the draws of a sample),   chi_2 = 1/(1 + s^2 y/m)  (its contrasts)

y solves one equation, which counts parameters: the leverages of all n m vectors sum to p,

    (1 - chi_1) + (m - 1)(1 - chi_2) + mu y = p/n
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from rfcore.checks import of_kind, refuse
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WideMinimizer:
    """The losses of :class:`Minimizer` at leading order for d << n, p, and what they are made of.

    signal : theta = chi_1/zeta; the mean score is that of Gaussian data of covariance theta Sigma
    samples, noise : F_x and F_xi, the fluctuations due to the samples and to their frozen noise
    bias, variance : parts of the score error (the variance over first layers vanishes here)

    >>> wide = rf.theory.wide_minimizer(rf.RandomFeatureModel(64, 8, 0.01, ridge=0.1))
    >>> print(f"test {wide.test:.3f}, bias {wide.bias:.3f}, variance {wide.variance:.3f}")
    test 1.049, bias 3.038, variance 0.439
    """

    signal: float
    samples: float
    noise: float
    bias: float
    variance: float
    train: float
    test: float
    empirical: float

    @property
    def score_error(self) -> float:
        """(1/d) E||s_A - s*||^2 = bias + variance."""
        return self.bias + self.variance


def wide_minimizer(model: RandomFeatureModel) -> WideMinimizer:
    """Losses at the end of training as psi_p, psi_n -> infinity at fixed p/n; delta = Delta e^2t/lambda:

        L_test = < [(1 + F_xi) theta^2 + (1 + F_x) delta]/(theta + delta)^2 >
        Delta bias = < delta (1 - theta)^2/((1 + delta)(theta + delta)^2) >

    The ridge mu is kept as it is, while psi_p grows; only p/n is read from psi_p and psi_n.  At p = n m
    without ridge test and empirical loss and variance are infinite.

    Raises ValueError for an activation without non-linear part (v^2 = 0), for which no sample is told apart.
    Source: chapter 10 of the book; for m = 1 and no ridge the classical 1/(1 - p/n) of least squares.

    >>> model = rf.RandomFeatureModel(psi_p=2000, psi_n=1000, t=0.1, ridge=0.1)
    >>> print(f"{rf.theory.wide_minimizer(model).test:.3f} {rf.theory.minimizer(model).test:.3f}")
    0.831 0.831
    """
    of_kind("model", model, RandomFeatureModel)
    c, m, mu, ratio = model.constants, model.noise_draws, model.ridge, model.psi_p / model.psi_n
    if c.v2 <= 0:
        raise refuse("v^2 of the activation", c.v2, "a number > 0: a linear network has another limit")
    mean, whole = c.v2 + c.s2 / m, c.v2 + c.s2
    if mu == 0 and ratio >= m:  # interpolation: chi_1, chi_2 -> 0 at a fixed ratio
        chi_1, left = 0.0, c.s2 / (c.s2 + (m - 1) * c.v2)
        excess = math.inf if ratio == m else 1 / (ratio - m)
        samples = excess * whole / mean
        noise = excess * whole * (1 / (m * mean) + (m - 1) / c.s2)
    else:
        y = leverage_root(model)
        chi_1, chi_2 = 1 / (1 + mean * y), 1 / (1 + c.s2 * y / m)
        left = chi_1 if math.isinf(m) else chi_1 / (chi_1 / m + (1 - 1 / m) * chi_2)
        contrasts = 0.0 if math.isinf(m) else (m - 1) * (1 - chi_2) ** 2
        spread = ((1 - chi_1) ** 2 + contrasts) / ratio
        response = y * y / ratio * whole / (1 - spread)
        samples = response * chi_1**2 * mean
        noise = samples / m + response * (1 - 1 / m) / m * chi_2**2 * c.s2
    return _losses(model, chi_1, left, samples, noise)


def leverage_root(model: RandomFeatureModel) -> float:
    """y > 0 with (1 - chi_1) + (m - 1)(1 - chi_2) + mu y = p/n; needs mu > 0 or p < n m."""
    c, m, ratio = model.constants, model.noise_draws, model.psi_p / model.psi_n
    mean = c.v2 + c.s2 / m

    def excess(log_y: float) -> float:
        y = math.exp(log_y)
        # (m - 1)(1 - chi_2) tends to s^2 y at m = infinity.
        contrasts = c.s2 * y if math.isinf(m) else (m - 1) * (c.s2 * y / m) / (1 + c.s2 * y / m)
        return mean * y / (1 + mean * y) + contrasts + model.ridge * y - ratio

    low = high = math.log(ratio / (mean + c.s2 + model.ridge))
    while excess(low) > 0:
        low -= 1
    while excess(high) < 0:
        high += 1
    return math.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15, maxiter=500))


def _losses(
    model: RandomFeatureModel, chi_1: float, left: float, samples: float, noise: float
) -> WideMinimizer:
    """The averages over the law of the covariance; directions with lambda = 0 carry no loss."""
    c, m, delta_t = model.constants, model.noise_draws, model.delta
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    seen = lam > 0
    w, delta = w[seen], delta_t * math.exp(2 * model.t) / lam[seen]
    whole, mean = c.v2 + c.s2, c.v2 + c.s2 / m
    square = w / (left + delta) ** 2
    lowest = float(w @ (1 / (1 + delta)))
    bias = float(square @ (delta * (1 - left) ** 2 / (1 + delta)))
    variance = float(square @ (noise * left**2 + samples * delta))
    own = (1 - chi_1) * c.v2 / mean  # overlap of a sample with itself
    fresh = (c.s2 + (1 - 2 * own) * c.v2 + own**2 * mean) / whole
    empirical = float(square @ (left**2 * (1 + own**2 / m) + delta * (1 - own) ** 2)) + fresh * variance
    train = float(w @ (chi_1 / (left + delta)))
    if model.ridge > 0:
        train -= model.ridge * variance / whole
    return WideMinimizer(
        left, samples, noise, bias / delta_t, variance / delta_t, train, lowest + bias + variance, empirical
    )
