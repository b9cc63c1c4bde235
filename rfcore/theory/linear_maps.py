"""Mean and variance, over training sets, of a linear denoiser and of the whole sampling map."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import nonnegative, refuse
from rfcore.model import LinearModel
from rfcore.theory._kappa import real_kappa

Floats = npt.NDArray[np.float64]
STEP, REACH = 0.25, 36.0  # trapezoid in y with tan theta = e^y: 12 digits


@dataclass(frozen=True, eq=False)
class MapMoments:
    """Moments of a random map f(S) over training sets, in the eigenbasis of Sigma.

    mean (K,): E u_k^T f(S) u_k; scaled_variance (K, K): n Var(u_j^T f(S) u_k) at leading order, with u_j and
    u_k two eigenvectors of the atoms j and k (the same one where j = k); error: of the quadrature, or the
    round-off of a simulation; standard_error: over draws, for a simulation.
    """

    mean: Floats
    scaled_variance: Floats
    error: float
    standard_error: "MapMoments | None" = None


def denoiser_moments(model: LinearModel) -> MapMoments:
    """The denoiser S (S + c)^-1: mean lambda/(lambda + kappa) and its variance.

        n Var(u_j . D u_k) = (1 + delta_jk) kappa^2/(1 - df2/n) A_j A_k,   A_k = lambda_k/(lambda_k + kappa)^2

    The 1 in (1 + delta_jk) is the product term, delta_jk the crossed term of the same order.
    Source: Wang, Zavatone-Veth and Pehlevan (2026) for the product term; the crossed one is chapter 12.
    """
    return _moments(model, np.array([model.c]), np.ones(1), np.zeros(1), 0.0)


def sampling_map_moments(model: LinearModel, start_variance: float, end_variance: float = 0.0) -> MapMoments:
    """The probability flow from noise variance T = start to s_0 = end, ((S + s_0)/(S + T))^(1/2).

    T = inf means (S + s_0)^(1/2).  The map is an average of denoisers over an arcsine law of the noise,
    ((S + s_0)/(S + T))^(1/2) = (2/pi) int [1 - (1 - s_0/s) s (S + s)^-1] dtheta on [0, pi/2], with
    s = s_0 + (T - s_0) sin^2 theta.

    Uses gamma and covariance of the question; its noise_variance does not enter.  ``error`` compares
    with every second node left out.
    Raises ValueError unless 0 <= end < start, and for a ridge, with which the map is another function.
    Source: fractional powers, Wang, Zavatone-Veth and Pehlevan (2026); arcsine average, chapter 12.
    """
    nodes, weights, constants = _nodes(model, start_variance, end_variance)
    fine = _moments(model, nodes, weights, constants, 0.0)
    coarse = _moments(model, nodes[::2], 2 * weights[::2], 2 * constants[::2], 0.0, variance=False)
    # The trapezoid rule converges geometrically: halving the step squares the error.
    # A direction without variance has mean zero, and no error.
    scale = np.where(fine.mean == 0, 1.0, np.abs(fine.mean))
    error = float(np.max(np.abs(fine.mean - coarse.mean) / scale)) ** 2
    return MapMoments(fine.mean, fine.scaled_variance, max(error, 1e-15))


def split_agreement(model: LinearModel, start_variance: float, end_variance: float = 0.0) -> float:
    """Correlation of samples from two models trained on disjoint sets and started from the same noise.

    E<x_A - mu, x_B - mu>/E|x - mu|^2 = sum_k w_k m_k^2/sum_k w_k E[f(S)^2]_kk, with m_k the mean of the
    sampling map and E[f^2]_kk = 1 - (1 - s_0/T) kappa(T)/(lambda_k + kappa(T)), or lambda_k + s_0 at T = inf.
    gamma = d/n with n the size of each set.

    Raises what :func:`sampling_map_moments` raises.  Source: chapter 12 of the book.
    """
    nodes, weights, constants = _nodes(model, start_variance, end_variance)
    mean = _moments(model, nodes, weights, constants, 0.0, variance=False).mean
    lam, w = model.covariance.eigenvalues, model.covariance.weights
    if math.isinf(start_variance):
        total = lam + end_variance
    else:
        kappa = float(real_kappa(model.covariance, model.gamma, np.array(start_variance)))
        total = 1 - (1 - end_variance / start_variance) * kappa / (lam + kappa)
    return float(w @ mean**2 / (w @ total))


def map_interval(model: LinearModel, start: float, end: float) -> tuple[float, float]:
    """T and s_0 of a sampling map.  Raises ValueError unless 0 <= s_0 < T and the ridge is 0."""
    s0 = nonnegative("end_variance", end)
    if not (isinstance(start, int | float | np.number) and start > s0):
        raise refuse("start_variance", start, f"a number > end_variance = {s0!r}, or math.inf")
    if model.ridge > 0:
        raise refuse("ridge", model.ridge, "0: with a ridge the sampling map is not a power of S")
    return float(start), s0


def _nodes(model: LinearModel, start: float, end: float) -> tuple[Floats, Floats, Floats]:
    """Noise levels s_a, weights and constants with f(S) = sum_a (constant_a + weight_a S (S + s_a)^-1)."""
    start, s0 = map_interval(model, start, end)
    y = np.arange(-REACH, REACH + STEP / 2, STEP)
    if math.isinf(start):
        lam = model.covariance.eigenvalues
        middle = math.exp(float(np.mean(np.log(lam[lam > 0])))) + s0
        noise = middle * np.exp(2 * y)
        share = 2 / math.pi * math.sqrt(middle) * np.exp(y) * STEP
        nodes = s0 + noise
        keep = noise / nodes
    else:
        sine = 1 / (1 + np.exp(-2 * y))
        share = STEP / (math.pi * np.cosh(y))
        nodes = s0 + (start - s0) * sine
        keep = (start - s0) * sine / nodes  # 1 - s_0/s without cancellation
    return nodes, share * keep, share * (s0 / nodes)


def _moments(
    model: LinearModel, nodes: Floats, weights: Floats, constants: Floats, error: float, variance: bool = True
) -> MapMoments:
    lam, w, gamma = model.covariance.eigenvalues, model.covariance.weights, model.gamma
    kappa = real_kappa(model.covariance, gamma, nodes)
    inverse = 1 / (lam[:, None] + kappa)  # (K, A)
    mean = (lam[:, None] * inverse) @ weights + constants.sum()
    scaled = np.zeros((lam.size, lam.size))
    if variance:
        size = weights * kappa * np.max(lam[:, None] * inverse**2, axis=0)
        heavy = size > 1e-18 * size.max()
        r = inverse[:, heavy]
        load = gamma * (r.T * (w * lam**2)) @ r
        form = np.outer((weights * kappa)[heavy], (weights * kappa)[heavy]) / (1 - load)
        for j in range(lam.size):
            both = r[j] * r
            scaled[j] = lam[j] * lam * np.einsum("ka,ka->k", both @ form, both)
        scaled[np.diag_indices(lam.size)] *= 2
    return MapMoments(mean, scaled, error)
