"""Mean and variance, over training sets, of a linear denoiser and of the whole sampling map."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import nonnegative, of_kind, refuse
from rfcore.checks import positive as positive_number
from rfcore.model import LinearModel
from rfcore.theory import _averages as averages
from rfcore.theory import _elliptical_linear as elliptical
from rfcore.theory import _rank
from rfcore.theory._kappa import real_kappa

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapMoments:
    """Moments of a random map f(S) over training sets, in the eigenbasis of Sigma.

    mean : (K,) E u_k^T f(S) u_k
    scaled_variance : (K, K) n Var(u_j^T f(S) u_k) at leading order, with u_j and u_k two eigenvectors of
        the atoms j and k (the same one where j = k)
    error : of the quadrature, or the round-off of a simulation
    standard_error : over draws, for a simulation

    >>> moments = rf.theory.denoiser_moments(rf.LinearModel(0.5, 1.0, rf.Covariance([4.0, 0.25])))
    >>> print(moments.mean.round(3), moments.scaled_variance.round(3).tolist())
    [0.755 0.162] [[0.08, 0.029], [0.029, 0.043]]
    """

    mean: Floats
    scaled_variance: Floats
    error: float
    standard_error: "MapMoments | None" = None


def denoiser_moments(model: LinearModel) -> MapMoments:
    """The denoiser S (S + c)^-1: mean lambda/(lambda + kappa) and its variance.

        n Var(u_j . D u_k) = (1 + delta_jk) kappa^2/(1 - df2/n) A_j A_k,   A_k = lambda_k/(lambda_k + kappa)^2

    The 1 in (1 + delta_jk) is the product term, delta_jk the crossed term of the same order.
    With a scale law kappa is that of elliptical data, and the crossed term grows, see chapter 18.
    Source: Wang, Zavatone-Veth and Pehlevan (2026) for the product term; the crossed one is chapter 12.

    Raises nothing for a valid question.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> kappa = rf.theory.renormalized_noise(model.covariance, 0.5, 1.0)
    >>> print(rf.theory.denoiser_moments(model).mean.round(6), (1 / (1 + kappa)).round(6))
    [0.438447] 0.438447
    """
    of_kind("model", model, LinearModel)
    if model.scale is not None:
        kappa = elliptical.load(model, model.scale, model.c).kappa
        lam = model.covariance.eigenvalues
        return MapMoments(lam / (lam + kappa), elliptical.scaled_variance(model, model.scale), 1e-14)
    node, one = np.array([model.c]), np.ones(1)
    mean = averages.mean(model, node, one, np.zeros(1))
    return MapMoments(mean, averages.scaled_variance(model, node, one), 1e-15)


def sampling_map_moments(model: LinearModel, start_variance: float, end_variance: float = 0.0) -> MapMoments:
    """The probability flow from noise variance T to s_0, ((S + s_0)/(S + T))^(1/2).

    start_variance : T, math.inf allowed;  end_variance : s_0

    T = inf means (S + s_0)^(1/2).  The map is an average of denoisers over an arcsine law of the noise,
    ((S + s_0)/(S + T))^(1/2) = (2/pi) int [1 - (1 - s_0/s) s (S + s)^-1] dtheta on [0, pi/2], with
    s = s_0 + (T - s_0) sin^2 theta.

    Uses gamma and covariance of the question; its noise_variance does not enter.  ``error`` compares
    with every second node left out.  Where Sigma has no variance the map is (s_0/T)^(1/2) for any data.
    Raises ValueError unless 0 <= end < start, and for a ridge, with which the map is another function.
    Source: fractional powers, Wang, Zavatone-Veth and Pehlevan (2026); arcsine average, chapter 12.

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> print(rf.theory.sampling_map_moments(model, math.inf).mean.round(4))
    [1.9242 0.4392]
    """
    nodes, weights, constants = _nodes(model, start_variance, end_variance)
    mean = averages.mean(model, nodes, weights, constants)
    error = averages.halved(model, nodes[::2], 2 * weights[::2], 2 * constants[::2], mean)
    return MapMoments(mean, averages.scaled_variance(model, nodes, weights), error)


def power_moments(model: LinearModel, alpha: float) -> MapMoments:
    """The fractional power S^alpha of the sample covariance, 0 < alpha < 1; S^(1/2) is the map from T = inf.

        S^alpha = (sin(pi alpha)/pi) int_0^inf s^(alpha - 1) S (S + s)^-1 ds

    The trapezoid rule in y, s = e^(2y), covers 62 decades of s; beyond, the integrand is a pure power and its
    sum a geometric series.  ``error`` bounds the relative error of this sum, for every data set: with step h

        (4 pi/h) exp(1 - pi^2/h)     from |x + s| >= (x + |s|) cos(arg s/2), in the strip |Im y| < pi/2
        s_min/lambda_min + lambda_max/s_max     what the pure power leaves out

    Uses gamma and covariance of the question; its noise_variance does not enter.

    Raises ValueError unless 0 < alpha < 1.
    Source: Wang, Zavatone-Veth and Pehlevan (2026), by the integral of Balakrishnan (1960).

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> print(rf.theory.power_moments(model, alpha=0.5).mean.round(4))
    [1.9242 0.4392]
    """
    of_kind("model", model, LinearModel)
    alpha = power(alpha)
    y, zero = averages.grid(), np.zeros(1)
    nodes = averages.middle(model) * np.exp(2 * y)
    weights = 2 * averages.STEP * math.sin(math.pi * alpha) / math.pi * nodes**alpha
    weights = _with_tails(weights, alpha)
    lam = model.covariance.eigenvalues[_rank.positive(model.covariance)]
    strip = 4 * math.pi / averages.STEP * math.exp(1 - math.pi**2 / averages.STEP)
    error = strip + float(nodes[0] / lam.min() + lam.max() / nodes[-1])
    mean = averages.mean(model, nodes, weights, zero)
    return MapMoments(mean, averages.scaled_variance(model, nodes, weights), error)


def generated_covariance(model: LinearModel, start_variance: float, end_variance: float = 0.0) -> MapMoments:
    """Mean and variance over training sets of the covariance of the samples that one model generates.

    start_variance : T, math.inf allowed;  end_variance : s_0

    From x_T ~ N(mu, T) the map gives the covariance T (S + s_0)/(S + T) = s_0 + (T - s_0) S (S + T)^-1: but
    for constants the denoiser of noise T, so its moments are those of :func:`denoiser_moments` at c = T.
    T = inf: S + s_0, with mean lambda + s_0 and n Var = (1 + delta_jk) lambda_j lambda_k.

    The average over models of the sample from one start has the smaller covariance T m_k^2, m_k the mean of
    the map: what is pulled to the mean is the average sample, not the samples of one model.
    Uses gamma and covariance of the question; its noise_variance does not enter.
    Raises what :func:`sampling_map_moments` raises.  Source: chapter 12 of the book.

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> print(rf.theory.generated_covariance(model, math.inf).mean)
    [4.   0.25]
    """
    start, end = map_interval(model, start_variance, end_variance)
    lam = model.covariance.eigenvalues
    if math.isinf(start):
        return MapMoments(lam + end, np.outer(lam, lam) * (1 + np.eye(lam.size)), 0.0)
    d = denoiser_moments(dataclasses.replace(model, noise_variance=start))
    return MapMoments(end + (start - end) * d.mean, (start - end) ** 2 * d.scaled_variance, d.error)


def split_agreement(model: LinearModel, start_variance: float, end_variance: float = 0.0) -> float:
    """Correlation of samples from two models trained on disjoint sets and started from the same noise.

    start_variance : T, math.inf allowed;  end_variance : s_0

    E<x_A - mu, x_B - mu>/E|x - mu|^2 = sum_k w_k m_k^2/sum_k w_k E[f(S)^2]_kk, with m_k the mean of the
    sampling map and E[f^2]_kk = 1 - (1 - s_0/T) kappa(T)/(lambda_k + kappa(T)), or lambda_k + s_0 at T = inf.
    gamma = d/n with n the size of each set.

    Raises what :func:`sampling_map_moments` raises.  Source: chapter 12 of the book.

    Returns one number in [0, 1].

    >>> for gamma in (0.5, 2.0):
    ...     model = rf.LinearModel(gamma, 1.0, covariance=rf.Covariance.power_law(1.0))
    ...     print(f"{rf.theory.split_agreement(model, math.inf):.3f}")
    0.934
    0.716
    """
    mean = averages.mean(model, *_nodes(model, start_variance, end_variance))
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    if math.isinf(start_variance):
        total = lam + end_variance
    else:
        kappa = float(real_kappa(model.covariance, model.gamma, np.array(start_variance)))
        total = 1 - (1 - end_variance / start_variance) * kappa / (lam + kappa)
    return float(w @ mean**2 / (w @ total))


def power(alpha: float) -> float:
    """An exponent.  Raises ValueError unless 0 < alpha < 1."""
    if not 0 < positive_number("alpha", alpha) < 1:
        raise refuse("alpha", alpha, "a number in (0, 1)")
    return float(alpha)


def map_interval(model: LinearModel, start: float, end: float) -> tuple[float, float]:
    """T and s_0 of a sampling map.  Raises ValueError unless 0 <= s_0 < T and the ridge is 0."""
    of_kind("model", model, LinearModel)
    s0 = nonnegative("end_variance", end)
    if not (isinstance(start, int | float | np.number) and start > s0):
        raise refuse("start_variance", start, f"a number > end_variance = {s0!r}, or math.inf")
    if model.ridge > 0:
        raise refuse("ridge", model.ridge, "0: with a ridge the sampling map is not a power of S")
    return float(start), s0


def _nodes(model: LinearModel, start: float, end: float) -> tuple[Floats, Floats, Floats]:
    """Noise levels s_a, weights and constants with f(S) = sum_a (constant_a + weight_a S (S + s_a)^-1)."""
    start, s0 = map_interval(model, start, end)
    y, step = averages.grid(), averages.STEP
    if math.isinf(start):
        scale = averages.middle(model) + s0
        noise = scale * np.exp(2 * y)
        share = 2 / math.pi * math.sqrt(scale) * np.exp(y) * step
        nodes = s0 + noise
        keep = noise / nodes
    else:
        sine = 1 / (1 + np.exp(-2 * y))
        share = step / (math.pi * np.cosh(y))
        nodes = s0 + (start - s0) * sine
        keep = (start - s0) * sine / nodes  # 1 - s_0/s without cancellation
    return nodes, share * keep, share * (s0 / nodes)


def _with_tails(weights: Floats, alpha: float) -> Floats:
    """The end nodes stand for all beyond, where the sum goes on as e^(2 alpha y) and e^(-2 (1 - alpha) y)."""
    longer = weights.copy()
    longer[0] /= -math.expm1(-2 * alpha * averages.STEP)
    longer[-1] /= -math.expm1(-2 * (1 - alpha) * averages.STEP)
    return longer
