r"""What each sampler does to Gaussian data, in closed form: the theory beside the particles.

With the exact score every sampler is linear in a mode of variance lam, so a Gaussian stays
Gaussian.  Around the exact mean, one step t -> t' = t - h of a sampler is

    y' = A y + N(0, B)                     variance   v' = A^2 v + B
    m' = A (m - e^{-t} mu) + c mu          mean in the full coordinate

Errors of a sampler are thus known to round-off, without a particle.  Arrays over modes broadcast.
Source of the strong error: derived here (chapter 1); the rest by inserting the score in each update.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rfcore.checks import choice, finite_array, refuse
from rfcore.diffusion.process import flow_factor, mode_variance, noise_variance, reverse_kernel
from rfcore.diffusion.samplers import METHODS, time_grid

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FlowMoments:
    """Law N(mean, variance) of the samples per mode, the exact law at the same time, and the KL between them.

    ``kl`` is KL(samples || exact law), per mode, in nats; a sum over modes gives the total.
    Exact up to round-off: there is no statistical error.

    >>> law = rf.diffusion.moments("ddim", [4.0, 0.25], np.linspace(3.0, 0.0, 51))
    >>> print(law.variance.round(3), law.target_variance, law.kl.shape)
    [3.696 0.154] [4.   0.25] (2,)
    """

    mean: Array
    variance: Array
    target_mean: Array
    target_variance: Array
    kl: Array


def step_law(method: str, variance: npt.ArrayLike, t: float, t_next: float) -> tuple[Array, float]:
    """(A, B) of one step: A has the shape of ``variance`` (data variance of the modes), B is a number.

    Returns both, for the step from t to t_next < t.
    Raises ValueError for an unknown method, bad times, and negative variances.
    Source: chapter 1 of the book.

    >>> A, B = rf.diffusion.step_law("ddim", [4.0, 1.0], t=1.0, t_next=0.9)
    >>> print(A.round(4), B)
    [1.0297 0.9991] 0.0
    """
    choice("method", method, METHODS)
    lam = _variances(variance)
    t, t_next = time_grid([t, t_next], method)
    h = t - t_next
    E, D, D1 = math.exp(h), float(noise_variance(t)), float(noise_variance(t_next))
    G, G1 = mode_variance(lam, t), mode_variance(lam, t_next)
    v = D1 * float(noise_variance(h)) / D
    laws = {
        "euler_maruyama": (1 + h - 2 * h / G, 2 * h),
        "exponential_sde": (E - 2 * (E - 1) / G, E * E - 1),
        "euler_ode": (1 + h - h / G, 0.0),
        "exponential_ode": (E - (E - 1) / G, 0.0),
        "heun": (1 + h / 2 * ((1 - 1 / G) + (1 - 1 / G1) * (1 + h * (1 - 1 / G))), 0.0),
        "ddim": (E - (E * D - math.sqrt(D * D1)) / G, 0.0),
        "ddpm": (E - (E * D - math.sqrt(D * max(D1 - v, 0.0))) / G, v),
    }
    return laws[method]


def moments(
    method: str,
    variance: npt.ArrayLike,
    times: npt.ArrayLike,
    mean: npt.ArrayLike = 0.0,
    start_variance: npt.ArrayLike | None = None,
    start_mean: npt.ArrayLike | None = None,
) -> FlowMoments:
    """Mean and variance of the samples at times[-1] for data N(mean, variance) per mode.

    ``times`` as in :func:`rfcore.diffusion.sample`.  The start is the exact law at times[0],
    N(e^{-T} mean, Gamma_T), unless ``start_variance`` and ``start_mean`` say otherwise.

    Raises ValueError for an unknown method, bad times, and negative variances.
    Source: chapter 1 of the book.

    >>> law = rf.diffusion.moments("heun", variance=4.0, times=np.linspace(3.0, 0.01, 101))
    >>> print(f"{law.variance:.4f} {law.target_variance:.4f}")
    3.9406 3.9406
    """
    grid = time_grid(times, choice("method", method, METHODS))
    lam, mu = np.broadcast_arrays(_variances(variance), finite_array("mean", mean))
    v = _start_variance(start_variance, lam, grid[0])
    m = math.exp(-grid[0]) * mu if start_mean is None else finite_array("start_mean", start_mean)
    for t, t1 in pairwise(grid):
        A, B = step_law(method, lam, t, t1)
        m = A * (m - math.exp(-t) * mu) + _centre(method, lam, t, t1) * mu
        v = A * A * v + B
    target_mean, target = math.exp(-grid[-1]) * mu, mode_variance(lam, grid[-1])
    excess = v / target - 1
    with np.errstate(divide="ignore"):  # a sampler that leaves no variance is infinitely far in KL
        kl = 0.5 * (excess - np.log1p(excess) + (m - target_mean) ** 2 / target)
    return FlowMoments(m + 0 * v, v + 0 * m, target_mean, np.asarray(target), kl)


def wrong_start(variance: npt.ArrayLike, start: float, end: float) -> tuple[Array, Array]:
    """Variances at ``end`` of the exact (probability flow, reverse SDE) started from N(0, 1) at ``start``.

    Flow: Gamma_end/Gamma_start.  SDE: Gamma_end + Phi^2 (1 - Gamma_start).

    Returns two arrays of the shape of variance.
    Raises ValueError for a start before the end, and where Gamma vanishes.
    Source: chapter 1 of the book.

    >>> flow, sde = rf.diffusion.wrong_start(np.array([4.0]), start=2.0, end=0.1)
    >>> print(flow.round(4), sde.round(4))
    [3.2762] [3.443]
    """
    lam = _variances(variance)
    phi, _ = reverse_kernel(lam, start, end)
    target = mode_variance(lam, end)
    return flow_factor(lam, start, end) ** 2, np.asarray(target + phi**2 * (1 - mode_variance(lam, start)))


def strong_error(
    method: str, variance: npt.ArrayLike, times: npt.ArrayLike, start_variance: npt.ArrayLike | None = None
) -> Array:
    """Root mean square distance at times[-1] between the sampler and the exact reverse SDE, per mode.

    variance : of the data, per mode;  start_variance : at times[0], the exact one if None

    Both start from the same point and are driven by the same Brownian path.  For "euler_maruyama"
    and "exponential_sde", whose noises are the increments int sqrt(2) dB and int e^{u-t'} sqrt(2) dB.
    The recursion of P = E y_ex^2, C = E y_ex y_num, V = E y_num^2; error^2 = P - 2C + V.
    The subtraction leaves an absolute error of about 1e-16 in error^2.

    Returns an array of the shape of variance.
    Raises ValueError for another method, bad times, and negative variances.
    Source: chapter 1 of the book.

    >>> steps = (50, 100)
    >>> coarse, fine = (
    ...     rf.diffusion.strong_error("euler_maruyama", 4.0, np.linspace(3.0, 0.1, k + 1)) for k in steps
    ... )
    >>> print(f"{coarse / fine:.2f}")  # first order
    1.98
    """
    grid = time_grid(times, choice("method", method, ("euler_maruyama", "exponential_sde")))
    lam = _variances(variance)
    exact = _start_variance(start_variance, lam, grid[0])
    cross = numerical = exact
    for t, t1 in pairwise(grid):
        A, B = step_law(method, lam, t, t1)
        phi, noise = reverse_kernel(lam, t, t1)
        cross = phi * A * cross + _shared_noise(method, lam, t, t1)
        exact, numerical = phi**2 * exact + noise, A * A * numerical + B
    return np.sqrt(np.maximum(exact - 2 * cross + numerical, 0.0))


def _centre(method: str, lam: Array, t: float, t1: float) -> Array | float:
    """c of the mean recursion: what the step makes of the exact mean e^{-t} mu, in units of mu."""
    h, now, then = t - t1, math.exp(-t), math.exp(-t1)
    if method in ("euler_maruyama", "euler_ode"):
        return now * (1 + h)
    if method == "heun":
        p = now * (1 + h)
        return now + (h / 2) * (now + p - (p - then) / mode_variance(lam, t1))
    return then


def _shared_noise(method: str, lam: Array, t: float, t1: float) -> Array:
    """X: covariance of the noises that one step adds to the exact and to the numerical solution."""
    G1 = mode_variance(lam, t1)
    if method == "exponential_sde":
        # 2 G' (h + (1/2) log(G/G')), without the cancellation at large lam
        return np.asarray(G1 * np.log1p(math.expm1(2 * (t - t1)) / np.maximum(G1, 1e-300)))
    return np.asarray(2 * G1 * math.exp(t1) * _kernel_integral(lam, t, t1))


def _kernel_integral(lam: Array, t: float, t1: float) -> Array:
    """J = int_{t1}^{t} e^u/(e^{2u} + lam - 1) du, by its primitive in e^u for lam <, =, > 1.

    Differences of primitives are taken inside one arctan or one log, so that short steps keep their digits.
    """
    hi, lo = math.exp(t), math.exp(t1)
    width = lo * math.expm1(t - t1)
    q = np.sqrt(np.abs(lam - 1))
    safe = np.where(q > 0, q, 1.0)
    above = np.arctan2(q * width, q * q + hi * lo) / safe
    below = np.arctanh(np.minimum(q * width / np.maximum(hi * lo - q * q, 1e-300), 1 - 1e-16)) / safe
    return np.where(lam > 1, above, np.where(lam < 1, below, width / (hi * lo)))


def _start_variance(value: npt.ArrayLike | None, lam: Array, start: float) -> Array:
    return mode_variance(lam, start) if value is None else _variances(value, "start_variance")


def _variances(value: npt.ArrayLike, name: str = "variance") -> Array:
    lam = finite_array(name, value)
    if np.any(lam < 0):
        raise refuse(name, float(lam.min()), "numbers >= 0")
    return lam
