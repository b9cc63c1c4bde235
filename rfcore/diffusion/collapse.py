r"""When the exact empirical score falls onto single training points, and when classes split.

The posterior of the training point behind X_t is w_i(x) = softmax_i(-|x - e^{-t} x_i|^2/(2 Delta_t)).
At large t it is spread over all n points, at small t one point carries all of it.  For Gaussian data of
covariance Sigma (eigenvalues lambda_k) the change takes place where the information that X_t carries
about its origin has grown to the information needed to name one of n points:

    I(t) = (1/2) sum_k log(1 + lambda_k/(e^{2t} - 1)) = log n        (natural logarithms)

Source: Biroli et al. (2024); the exact law of the largest weight and the finite-size law go beyond it.
Here n counts distinct training points.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_expit, ndtr

from rfcore.checks import finite_array, positive, refuse, whole
from rfcore.diffusion._argmax import FEWER_NODES, NODES, argmax_probability

Array = npt.NDArray[np.float64]
_MOST_POINTS = 10**12  # probabilities of being nearer are right to 1e-18, and n of them are added


def collapse_time(n: int, d: int, variance: float) -> float:
    """t_C = (1/2) log(1 + variance/(n^{2/d} - 1)) for n points of N(0, variance) in d dimensions.

    n, d : integers, n >= 2, d >= 1 (n may be as large as Python integers go);  variance > 0
    Source: Biroli et al. (2024), collapse of a Gaussian; n = exp(alpha d) gives a limit at fixed alpha.

    Returns one number.  Raises ValueError for numbers outside these ranges.

    >>> print(f"{rf.diffusion.collapse_time(n=1000, d=8, variance=1.0):.4f}")
    0.0979
    """
    exponent = 2 * math.log(whole("n", n, least=2)) / whole("d", d)
    # variance/(e^a - 1) in a form that does not overflow for large a
    ratio = positive("variance", variance) * math.exp(-exponent) / -math.expm1(-exponent)
    return 0.5 * math.log1p(ratio)


def gaussian_collapse_time(n: int, eigenvalues: npt.ArrayLike) -> float:
    """The t_C that solves I(t_C) = log n for N(0, Sigma), see :func:`information`.

    n : integer >= 2.  eigenvalues : (d,), those of Sigma, each >= 0, one at least > 0; directions of
    variance 0 tell nothing and drop out.  Relative accuracy 1e-12.

    Returns one number.  Raises ValueError for numbers outside these ranges.
    Source: Biroli et al. (2024).

    >>> print(f"{rf.diffusion.gaussian_collapse_time(1000, np.ones(8)):.4f}")
    0.0979
    >>> print(f"{rf.diffusion.gaussian_collapse_time(1000, [4.0, 1.0, 0.25]):.4f}")
    0.0051
    """
    target = math.log(whole("n", n, least=2))
    lam = _eigenvalues(eigenvalues)
    lam = lam[lam > 0]
    # Between the answers for all eigenvalues at the smallest and at the largest one, in log(e^{2t} - 1).
    a = 2 * target / lam.size
    shift = a + math.log(-math.expm1(-a))
    low, high = math.log(lam.min()) - shift - 1e-9, math.log(lam.max()) - shift + 1e-9

    def excess(log_c: float) -> float:
        return 0.5 * float(np.sum(np.logaddexp(0, np.log(lam) - log_c))) - target

    log_c = float(brentq(excess, low, high, xtol=1e-13, rtol=1e-14))
    return 0.5 * math.log1p(math.exp(log_c))


def information(eigenvalues: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """I(t) = (1/2) sum_k log(1 + lambda_k/(e^{2t} - 1)), in nats, at every t > 0: shape of t.

    Mutual information between x_0 ~ N(0, Sigma) and X_t.

    Returns an array of the shape of t.
    Raises ValueError unless t > 0 and the eigenvalues are >= 0 with one > 0.
    Source: chapter 2 of the book.

    >>> print(rf.diffusion.information([4.0, 1.0], [0.1, 1.0]).round(4))
    [2.3279 0.3158]
    """
    lam, time = _eigenvalues(eigenvalues), _times(t)
    return np.asarray(0.5 * np.log1p(lam / np.expm1(2 * time)[..., None]).sum(axis=-1))


def excess_entropy(n: int, eigenvalues: npt.ArrayLike, t: npt.ArrayLike) -> Array:
    """max(0, log n - I(t))/d: entropy of the posterior over training points, per dimension, at large d.

    Zero below t_C: one point carries all the weight.  Shape of t.
    Source: Biroli et al. (2024), excess-entropy criterion.

    Raises ValueError unless n >= 2, t > 0, and the eigenvalues are >= 0 with one > 0.
    Returns an array of the shape of t, in nats.

    >>> print(rf.diffusion.excess_entropy(1000, np.ones(8), [0.05, 0.5]).round(4))
    [0.     0.6341]
    """
    rest = math.log(whole("n", n, least=2)) - information(eigenvalues, t)
    return np.maximum(rest, 0.0) / _eigenvalues(eigenvalues).size


@dataclass(frozen=True, eq=False)
class ArgmaxLaw:
    """P(largest weight belongs to the point of origin) at the times t.

    t, probability : of one shape;  error : change with the number of nodes

    >>> law = rf.diffusion.argmax_law(n=100, d=8, variance=1.0, t=[0.1, 1.0])
    >>> print(law.probability.round(3), law.error.max() < 1e-6)
    [0.911 0.082] True
    """

    t: Array
    probability: Array
    error: Array


def argmax_law(n: int, d: int, variance: float, t: npt.ArrayLike) -> ArgmaxLaw:
    """Exact probability that the nearest of n points is the one X_t was made from, at finite n and d.

    Data N(0, variance) in d dimensions, averaged over data, origin and noise.  With v = variance e^{-2t}

        P = E[ (1 - F(Delta |xi|^2/v; d, |x|^2/v))^{n-1} ] ,   |xi|^2 ~ chi2_d ,
        |x|^2/v given xi ~ noncentral chi2_d(Delta |xi|^2/v) ,   F its cdf with noncentrality |x|^2/v

    because each of the n - 1 others is nearer than the origin with probability F, independently given
    x and xi.  Since w is the posterior of the origin, P is also E max_i w_i.  Gauss-Legendre in both radii.

    Raises ValueError unless variance > 0, t > 0, d >= 1 and 2 <= n, with n within reach of the quadrature.
    Source: chapter 2 of the book.

    >>> print(rf.diffusion.argmax_law(n=100, d=8, variance=1.0, t=[0.1, 1.0]).probability.round(3))
    [0.911 0.082]
    """
    points, dimension = whole("n", n, least=2), whole("d", d)
    if points > _MOST_POINTS:
        raise refuse("n", n, f"at most {_MOST_POINTS:.0e}, the reach of the quadrature")
    scale, time = positive("variance", variance), _times(t)
    flat = time.reshape(-1)
    fine = np.array([argmax_probability(points, dimension, scale, s, NODES) for s in flat])
    coarse = np.array([argmax_probability(points, dimension, scale, s, FEWER_NODES) for s in flat])
    return ArgmaxLaw(time, fine.reshape(time.shape), np.abs(fine - coarse).reshape(time.shape))


@dataclass(frozen=True, eq=False)
class FiniteSizeLaw:
    """Gaussian law N(mean, variance) of L = log(weight of all others/own weight), and what follows.

    entropy : E log(1 + e^L), of the posterior, in nats;  cloning : E 1/(1 + e^L), for E sum_i w_i^2;
    majority : P(own weight > 1/2).  All of the shape of t.

    >>> law = rf.diffusion.finite_size_law(n=100, eigenvalues=np.ones(8), t=[0.1, 1.0])
    >>> print(law.mean.round(3), law.variance.round(3), law.majority.round(3))
    [-2.226  4.024] [6.55  1.083] [0.808 0.   ]
    """

    t: Array
    mean: Array
    variance: Array
    entropy: Array
    cloning: Array
    majority: Array


def finite_size_law(n: int, eigenvalues: npt.ArrayLike, t: npt.ArrayLike) -> FiniteSizeLaw:
    """Width of the collapse at finite d: Gaussian law of the log ratio of all other weights to the own.

        L = log n + log p_t(X_t) - log p(X_t | x_0) ~ N(mu, s^2)
        rho_k = Delta_t/(lambda_k e^{-2t} + Delta_t)
        mu = log n - (1/2) sum_k log(1/rho_k) = log n - I(t) ,     s^2 = sum_k (1 - rho_k)

    Mean and variance are exact, the normal form holds at large d.  e^L is the mean over the other points
    of the ratio, so that by Jensen's inequality E 1/(1 + e^L) is a lower bound of cloning and
    E log(1 + e^L) an upper bound of the entropy (which is at least max(0, mu)): near t_C the sum over
    other points does not self-average, and the bounds are not sharp.  mu = 0 at t_C.

    Raises ValueError unless n >= 2, t > 0, and the eigenvalues are >= 0 with one > 0.
    Source: chapter 2 of the book.

    >>> time = rf.diffusion.gaussian_collapse_time(1000, np.ones(8))
    >>> bool(abs(rf.diffusion.finite_size_law(1000, np.ones(8), time).mean) < 1e-9)
    True
    """
    lam, time = _eigenvalues(eigenvalues), _times(t)
    mean = math.log(whole("n", n, least=2)) - information(lam, time)
    # 1 - rho_k = lambda_k/(lambda_k + e^{2t} - 1)
    variance = (lam / (lam + np.expm1(2 * time)[..., None])).sum(axis=-1)
    spread = np.sqrt(variance)
    entropy = _gaussian_mean(lambda x: -log_expit(-x), mean, spread)
    cloning = _gaussian_mean(lambda x: np.exp(log_expit(-x)), mean, spread)
    return FiniteSizeLaw(time, mean, variance, entropy, cloning, ndtr(-mean / spread))


def speciation_time(largest_eigenvalue: float) -> float:
    """t_S = (1/2) log lambda_max: when the strongest direction of the data sinks into the noise.

    largest_eigenvalue : of the data covariance, noise having variance 1; at least 1 (below, no
    direction ever exceeds the noise).  A scaling law, not a sharp threshold.  Source: Biroli et al. (2024).

    Returns one number.  Raises ValueError for an eigenvalue below 1.

    >>> print(f"{rf.diffusion.speciation_time(math.e**2):.3f}")
    1.000
    """
    value = positive("largest_eigenvalue", largest_eigenvalue)
    if value < 1:
        raise refuse("largest_eigenvalue", largest_eigenvalue, "a number >= 1, the variance of the noise")
    return 0.5 * math.log(value)


def speciation_cloning(signal: npt.ArrayLike) -> Array:
    """phi(s) = (1/2)(1 + E tanh(s + sqrt(s) xi)), xi ~ N(0, 1): shape of ``signal``, each >= 0.

    Probability that two reverse trajectories from one x_t end in the same of two classes at +-m, with
    s = e^{-2t} |m|^2/Gamma_t and Gamma_t = (variance within a class) e^{-2t} + Delta_t.
    1/2 at s = 0, tends to 1.  Source: Biroli et al. (2024); here in closed form.

    Returns an array of the shape of signal.  Raises ValueError for a negative signal.

    >>> print(rf.diffusion.speciation_cloning([0.0, 1.0, 10.0]).round(4))
    [0.5    0.7752 0.9988]
    """
    s = finite_array("signal", signal)
    if s.size and s.min() < 0:
        raise refuse("signal", float(s.min()), "numbers >= 0")
    return 0.5 * (1 + _gaussian_mean(np.tanh, s, np.sqrt(s)))


def _gaussian_mean(f: Callable[[Array], Array], mean: Array, spread: Array) -> Array:
    """E f(mean + spread xi), xi ~ N(0, 1), for f without a singularity nearer to the axis than i pi/2.

    Trapezoidal rule on [-10, 10]: in xi the strip has half-width a = pi/(2 spread), and the error is
    exp(-2 pi a/step), below 1e-16.
    """
    step = min(0.05, 0.25 / max(float(np.max(spread, initial=0.0)), 1e-300))
    xi = np.linspace(-10, 10, 2 * math.ceil(10 / step) + 1)
    density = np.exp(-(xi**2) / 2)
    return np.asarray(f(mean[..., None] + spread[..., None] * xi) @ (density / density.sum()))


def _eigenvalues(eigenvalues: npt.ArrayLike) -> Array:
    lam = finite_array("eigenvalues", eigenvalues, ndim=1)
    if lam.size == 0 or lam.max() <= 0:
        raise refuse("eigenvalues", lam.tolist(), "at least one number > 0")
    if lam.min() < 0:
        raise refuse("eigenvalues", float(lam.min()), "numbers >= 0")
    return lam


def _times(t: npt.ArrayLike) -> Array:
    time = finite_array("t", t)
    if time.size and time.min() <= 0:
        raise refuse("t", float(time.min()), "finite times > 0")
    return time
