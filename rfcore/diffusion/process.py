r"""The Ornstein-Uhlenbeck process, its two reversals, and their exact solution for Gaussian data.

    forward            dX = -X dt + sqrt(2) dB
    so that            X_t = e^{-t} x_0 + sqrt(Delta_t) xi ,   Delta_t = 1 - e^{-2t} ,   xi ~ N(0, I)
    reverse SDE        dY = (Y + 2 s(Y, t)) dtau + sqrt(2) dB      tau = T - t grows, t falls
    probability flow   dY = (Y +   s(Y, t)) dtau

Delta_t and Gamma_t are variances, never standard deviations.  Arrays are numpy arrays or torch
tensors where a function says so; times are plain numbers (or numpy arrays of them).
"""

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from rfcore.checks import nonnegative, refuse, whole

Array = npt.NDArray[np.float64]
State = Any  # a numpy array or a torch tensor: only arithmetic that both know is used on it


@overload
def signal(t: float) -> float: ...
@overload
def signal(t: Array) -> Array: ...
def signal(t: float | Array) -> float | Array:
    """e^{-t}, what is left of the data at time t >= 0.

    Returns an array of the shape of t, or a number.  Raises ValueError for a negative t.

    >>> print(rf.diffusion.signal(np.array([0.0, 0.5])).round(4))
    [1.     0.6065]
    """
    result: float | Array = np.exp(-_times("t", t))
    return result


@overload
def noise_variance(t: float) -> float: ...
@overload
def noise_variance(t: Array) -> Array: ...
def noise_variance(t: float | Array) -> float | Array:
    """Delta_t = 1 - e^{-2t}, by expm1: full relative accuracy down to t = 0.

    Returns an array of the shape of t, or a number.  Raises ValueError for a negative t.

    >>> print(rf.diffusion.noise_variance(np.array([0.0, 0.5, 3.0])).round(4))
    [0.     0.6321 0.9975]
    """
    result: float | Array = -np.expm1(-2 * _times("t", t))
    return result


@overload
def mode_variance(variance: float, t: float) -> float: ...
@overload
def mode_variance(variance: Array, t: float | Array) -> Array: ...
@overload
def mode_variance(variance: float, t: Array) -> Array: ...
def mode_variance(variance: float | Array, t: float | Array) -> float | Array:
    """Gamma_t = variance e^{-2t} + Delta_t: variance of X_t along a mode with that data variance.

    It is 1 at every t for variance 1.  The two arguments broadcast.

    Returns an array of the common shape.  Raises ValueError for negative variances and times.

    >>> rf.diffusion.mode_variance(np.array([4.0, 1.0]), 0.5).round(4)
    array([2.1036, 1.    ])
    """
    lam = np.asarray(variance, dtype=np.float64)
    if not np.all(np.isfinite(lam)) or np.any(lam < 0):
        raise refuse("variance", variance, "finite numbers >= 0")
    time = _times("t", t)
    result: float | Array = lam * np.exp(-2 * time) - np.expm1(-2 * time)
    return result


def forward(x0: State, t: float, seed: int) -> State:
    """X_t = e^{-t} x_0 + sqrt(Delta_t) xi for a batch x0 of any shape (numpy or torch), noise from ``seed``.

    Kind, dtype and device follow ``x0``.

    Returns an array of the kind and shape of x0.
    Raises ValueError for a negative t, a bad seed, and what is neither a numpy array nor a tensor.
    Source: Song et al. (2021).

    >>> noisy = rf.diffusion.forward(np.zeros((20000, 2)), t=0.5, seed=0)
    >>> print(noisy.var().round(2), round(rf.diffusion.noise_variance(0.5), 2))
    0.63 0.63
    """
    time = nonnegative("t", t)
    xi = standard_normal(x0, generator(x0, seed))
    return math.exp(-time) * x0 + math.sqrt(noise_variance(time)) * xi


def reverse_drift(x: State, score: State) -> State:
    """x + 2 s: drift of the reverse SDE in tau = T - t; its noise is sqrt(2) dB.  Source: Anderson (1982).

    x, score : arrays or tensors of one shape, the state and s(x, t) there

    Returns an array of the kind and shape of x.  Raises nothing.

    >>> x = np.array([[2.0]])
    >>> print(rf.diffusion.reverse_drift(x, -x))
    [[-2.]]
    """
    return x + 2 * score


def flow_drift(x: State, score: State) -> State:
    """x + s: velocity of the probability flow in tau = T - t.  Source: Song et al. (2021).

    x, score : arrays or tensors of one shape, the state and s(x, t) there

    Returns an array of the kind and shape of x.  Raises nothing.

    >>> x = np.array([[2.0]])
    >>> print(rf.diffusion.flow_drift(x, -x))  # data of variance 1 do not move
    [[0.]]
    """
    return x + score


def denoised(x: State, score: State, t: float) -> State:
    """E[x_0 | X_t = x] = e^t (x + Delta_t s(x, t)) (Tweedie), from the value ``score`` of s at (x, t).

    Returns an array of the kind and shape of x.  Raises ValueError for a negative t.
    Source: chapter 1 of the book.

    >>> score = rf.diffusion.GaussianScore([0.0], [[1.0]])
    >>> x = np.array([[2.0]])
    >>> print(rf.diffusion.denoised(x, score(x, 0.5), 0.5).round(4))  # e^-t x for unit variance
    [[1.2131]]
    """
    time = nonnegative("t", t)
    return math.exp(time) * (x + noise_variance(time) * score)


def predicted_noise(score: State, t: float) -> State:
    """E[xi | X_t = x] = -sqrt(Delta_t) s(x, t), from the value ``score`` of s at (x, t).

    Returns an array of the kind and shape of score.  Raises ValueError for a negative t.
    Source: chapter 1 of the book.

    >>> x = np.array([[2.0]])
    >>> print(rf.diffusion.predicted_noise(-x, t=0.5).round(4))
    [[1.5901]]
    """
    return -math.sqrt(noise_variance(nonnegative("t", t))) * score


def flow_factor(variance: float | Array, t: float, t_next: float) -> Array:
    """sqrt(Gamma_{t'}/Gamma_t): exact probability flow of the centred mode, y(t') = factor y(t).

    ``variance`` > 0 or t > 0.  The factor holds in either direction of time.

    Returns an array of the shape of variance.
    Raises ValueError for negative variances and times, and where Gamma vanishes.
    Source: chapter 1 of the book.

    >>> print(rf.diffusion.flow_factor(np.array([4.0, 1.0]), t=1.0, t_next=0.0).round(4))
    [1.6867 1.    ]
    """
    now = _positive_gamma(variance, t)
    return np.sqrt(mode_variance(np.asarray(variance, dtype=np.float64), t_next) / now)


def reverse_kernel(variance: float | Array, t: float, t_next: float) -> tuple[Array, Array]:
    """(Phi, V) of the exact reverse SDE of the centred mode: y(t') = Phi y(t) + N(0, V), t' <= t.

    Phi = e^{-h} Gamma_{t'}/Gamma_t ,  V = Gamma_{t'} Delta_h/Gamma_t ,  h = t - t'.
    It is the law of X_{t'} given X_t for Gaussian data.

    Returns two arrays of the shape of variance.
    Raises ValueError unless t_next <= t, and where Gamma vanishes.
    Source: chapter 1 of the book.

    >>> shrinkage, variance = rf.diffusion.reverse_kernel(np.array([4.0, 1.0]), t=1.0, t_next=0.5)
    >>> print(shrinkage.round(4), variance.round(4))
    [0.9075 0.6065] [0.9458 0.6321]
    """
    if not t_next <= t:
        raise refuse("t_next", t_next, f"at most t = {t!r}: the reverse process runs down in t")
    now = _positive_gamma(variance, t)
    ratio = mode_variance(np.asarray(variance, dtype=np.float64), t_next) / now
    return math.exp(t_next - t) * ratio, noise_variance(t - t_next) * ratio


def generator(x: State, seed: int) -> Any:
    """The seeded generator of the kind of ``x``: numpy's default one, or torch's on the device of x."""
    number = whole("seed", seed, least=0)
    if isinstance(x, np.ndarray):
        return np.random.default_rng(number)
    if is_tensor(x):
        import torch

        return torch.Generator(device=x.device).manual_seed(number)
    raise refuse("type of x", type(x).__name__, "a numpy array or a torch tensor")


def standard_normal(x: State, source: Any) -> State:
    """Independent N(0, 1) numbers of the shape, dtype and device of ``x``, from a :func:`generator`."""
    if isinstance(x, np.ndarray):
        if x.dtype not in (np.float64, np.float32):
            raise refuse("dtype of x", str(x.dtype), "float64 or float32")
        return source.standard_normal(x.shape, dtype=x.dtype)
    import torch

    return torch.randn(x.shape, generator=source, device=x.device, dtype=x.dtype)


def is_tensor(x: object) -> bool:
    """Whether x is a torch tensor, without importing torch (a tensor cannot exist before that import)."""
    return type(x).__module__.partition(".")[0] == "torch" or any(
        base.__module__ == "torch" and base.__name__ == "Tensor" for base in type(x).__mro__
    )


def _times(name: str, value: float | Array) -> Array:
    time = np.asarray(value)
    if time.dtype.kind not in "fiu" or not np.all(np.isfinite(time)) or np.any(time < 0):
        raise refuse(name, value, "a finite time >= 0")
    return time.astype(np.float64)


def _positive_gamma(variance: float | Array, t: float) -> Array:
    gamma = mode_variance(np.asarray(variance, dtype=np.float64), t)
    if np.any(gamma <= 0):
        raise refuse("t", t, "t > 0 where the variance is 0: Gamma_t must be positive")
    return gamma
