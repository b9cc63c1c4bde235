r"""What denoisers that were stopped early generate, mode by mode, and how far it is from the data.

The probability flow from noise variance T to s_0, with the denoiser of noise s stopped at training time
tau, multiplies the component of x - mu along an eigenvector of S with eigenvalue x by a factor of its own,

    d log/ds = (1/2)(1 - e^(-m_s tau))/(x + s + r),   m_s = (x + s + r)/(1 + s),

r the ridge.  So from x_T ~ N(mu, T) it generates N(mu, g(S)) with

    log g(x) = log T - log((x + T + r)/(x + s_0 + r)) + int_{s_0}^T e^(-m_s tau)/(x + s + r) ds.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import of_kind, positive, refuse
from rfcore.model import LinearModel
from rfcore.theory import _rank
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory.linear_spectrum import spectral_rule
from rfcore.theory.modes import flow_times

Floats = npt.NDArray[np.float64]
PANEL, POINTS = 0.5, 14  # Gauss-Legendre in log s


@dataclass(frozen=True, eq=False)
class StoppedSampler:
    """What early-stopped denoisers generate, see :func:`stopped_sampler`.

    tau : times (...); variance : (..., K) mean variance of the samples along mode k, E g(S)_kk
    generated_to_data, data_to_generated : (...) KL divergences per dimension, inf where Sigma is singular
    error : of the spectral average and the quadrature
    standard_error : over draws, for a simulation

    >>> law = rf.theory.stopped_sampler(rf.LinearModel(0.5, 0.01), [10.0, math.inf], 100.0)
    >>> print(law.variance.round(3).tolist(), law.generated_to_data.round(3))
    [[0.999], [0.995]] [0.139 0.146]
    """

    tau: Floats
    variance: Floats
    generated_to_data: Floats
    data_to_generated: Floats
    error: float
    standard_error: "StoppedSampler | None" = None


def stopped_sampler(model: LinearModel, tau: npt.ArrayLike, start_variance: float) -> StoppedSampler:
    """The law N(mu, g(S)) that denoisers stopped at training time tau generate from noise of variance T.

    tau : times >= 0 of any shape, math.inf allowed;  start_variance : T, finite

    The sampler ends at the noise variance s_0 of the question.  tau = math.inf gives T (S + s_0)/(S + T) at
    ridge 0, and for T -> inf the divergences of :func:`rfcore.theory.kl`.

        KL(gen || data)/d = (1/2)(tr Sigma^-1 g(S) - 1 - tr log g(S) + tr log Sigma)
        KL(data || gen)/d = (1/2)(tr Sigma g(S)^-1 - 1 + tr log g(S) - tr log Sigma)

    Raises ValueError unless T > s_0, and for negative times.  Source: chapter 11 of the book.

    >>> law = rf.theory.stopped_sampler(rf.LinearModel(0.5, 0.01), [10.0, math.inf], 100.0)
    >>> print(law.variance.round(3).tolist())
    [[0.999], [0.995]]
    """
    of_kind("model", model, LinearModel)
    gaussian_only(model)
    times, start = flow_times(tau), sampler_start(model, start_variance)
    law, rule = model.covariance, spectral_rule(model.covariance, model.gamma)
    log_g = stopped_log_variance(model, rule.x, times, start)
    log_null = stopped_log_variance(model, np.zeros(1), times, start)
    g, null = np.exp(log_g), np.exp(log_null)
    variance = g @ rule.weights.T + null * rule.zero
    share, empty = law.weights @ rule.weights, float(law.weights @ rule.zero)
    log_det = log_g @ share + log_null[..., 0] * empty
    precise = (1 / g) @ (share * rule.energy)
    if empty > 0:
        precise = precise + empty * rule.null_energy / null[..., 0]
    if not np.all(_rank.positive(law)):
        never = np.full(times.shape, math.inf)
        return StoppedSampler(times, variance, never, never, max(rule.error, 1e-13))
    log_sigma = float(law.weights @ np.log(law.eigenvalues))
    forward = (variance @ (law.weights / law.eigenvalues) - 1 - log_det + log_sigma) / 2
    backward = (precise - 1 + log_det - log_sigma) / 2
    return StoppedSampler(times, variance, forward, backward, max(rule.error, 1e-13))


def sampler_start(model: LinearModel, start_variance: float) -> float:
    """T of a sampler that ends at the noise variance of the question."""
    start = positive("start_variance", start_variance)
    if start <= model.noise_variance:
        raise refuse("start_variance", start, f"a number > noise_variance = {model.noise_variance!r}")
    return start


def stopped_log_variance(model: LinearModel, x: Floats, tau: Floats, start: float) -> Floats:
    """log g(x) at eigenvalues x (...X) for each time tau (...T): shape tau.shape + x.shape."""
    end, r = model.noise_variance, model.ridge
    low, high = math.log(end), math.log(start)
    panels = math.ceil((high - low) / PANEL)
    node, weight = np.polynomial.legendre.leggauss(POINTS)
    width = (high - low) / panels
    s = np.exp(low + width * (np.arange(panels)[:, None] + (node + 1) / 2).ravel())
    ds = s * np.tile(weight * width / 2, panels)
    level = x[..., None] + s + r
    exponent, share = level / (1 + s), ds / level
    whole = math.log(start) - np.log((x + start + r) / (x + end + r))
    answer = np.empty(tau.shape + x.shape)
    for index in np.ndindex(tau.shape):
        left = np.sum(np.exp(-tau[index] * exponent) * share, axis=-1) if tau[index] < math.inf else 0.0
        answer[index] = whole + left
    return answer
