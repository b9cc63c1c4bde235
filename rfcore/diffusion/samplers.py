"""One sampler for exact scores and for networks: seven updates, the same loop.

Every one-stage update has the form x' = a x + b s(x, t) + c z with z ~ N(0, I).  With h = t - t',
E = e^h, D = Delta_t, D' = Delta_{t'}:

    euler_maruyama    1 + h   2h                                    sqrt(2h)
    exponential_sde   E       2(E - 1)                              sqrt(E^2 - 1)
    euler_ode         1 + h   h                                     0
    exponential_ode   E       E - 1                                 0
    ddim              E       E D - sqrt(D D')                      0
    ddpm              E       E D - sqrt(D (D' - c^2)) = E - 1/E    sqrt(D' Delta_h/D)
    heun              two stages: the trapezoidal rule for dx/dtau = x + s

Weak order 1 in h, heun 2.  Sources: Ho et al. (2020) for ddpm, Song et al. (2021) for ddim (there in
discrete time), Karras et al. (2022) for heun; the common form is derived in chapter 1.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import choice, finite_array, refuse
from rfcore.diffusion.process import State, generator, is_tensor, noise_variance, standard_normal

Array = npt.NDArray[np.float64]
Score = Callable[[State, float], State]
METHODS = ("euler_maruyama", "exponential_sde", "euler_ode", "exponential_ode", "heun", "ddim", "ddpm")
"""The samplers by name, for :func:`sample`; their orders are in chapter 1 of the book.

>>> rf.diffusion.METHODS
('euler_maruyama', 'exponential_sde', 'euler_ode', 'exponential_ode', 'heun', 'ddim', 'ddpm')
"""

STOCHASTIC = ("euler_maruyama", "exponential_sde", "ddpm")
"""Those of :data:`METHODS` that draw noise, and so need a seed.

>>> rf.diffusion.STOCHASTIC
('euler_maruyama', 'exponential_sde', 'ddpm')
"""


def sample(score: Score, x: State, times: npt.ArrayLike, method: str, seed: int | None = None) -> State:
    """Carry the batch ``x`` from times[0] down to times[-1] and return it.

    Parameters
    ----------
    score : callable (x, t) -> s(x, t), of the kind, shape and dtype of its x; t is a float.
        An exact score on numpy arrays, or a network on torch tensors (evaluated without gradients)
    x : (m, d), or any shape that the score knows; numpy array or torch tensor, at time times[0].
        Dtype and device are kept.  To start from pure noise, pass N(0, I) numbers
    times : (K,) strictly decreasing, K >= 2, last one >= 0 (> 0 for heun, which evaluates the
        score there)
    method : one of :data:`METHODS`
    seed : integer >= 0; the methods in :data:`STOCHASTIC` refuse None

    Raises ValueError for bad input, for a score of the wrong shape or kind, and when the result is
    not finite.

    Source: chapter 1 of the book, with the orders of the methods.

    >>> score = rf.diffusion.GaussianScore([0.0], [[4.0]])
    >>> start = score.draw(5000, t=3.0, seed=0)
    >>> x = rf.diffusion.sample(score, start, np.linspace(3.0, 0.01, 51), "heun")
    >>> x.shape, bool(abs(x.var() - 3.94) < 0.3)
    ((5000, 1), True)
    """
    for state in _states(score, x, times, method, seed):
        last = state
    return last


def trajectory(score: Score, x: State, times: npt.ArrayLike, method: str, seed: int | None = None) -> State:
    """The states of :func:`sample` at all K times, stacked on a new first axis: (K, m, d).

    Returns an array of the kind of x.

    Raises ValueError as :func:`sample`.

    >>> score = rf.diffusion.GaussianScore([0.0], [[1.0]])
    >>> x = np.array([[2.0], [-1.0]])
    >>> rf.diffusion.trajectory(score, x, [1.0, 0.5, 0.1], "euler_maruyama", seed=0).shape
    (3, 2, 1)
    """
    states = list(_states(score, x, times, method, seed))
    if is_tensor(x):
        import torch

        return torch.stack(states)
    return np.stack(states)


def step(score: Score, x: State, t: float, t_next: float, method: str, noise: State = None) -> State:
    """One update from t to t_next < t, of a state x of any shape.

    noise : standard normal, of the shape of x, for the methods in :data:`STOCHASTIC` (so that a Brownian
        path can be prescribed); not used by the others

    Returns an array of the kind and shape of x.  Source: chapter 1 of the book.

    Raises ValueError for an unknown method, and for a score of another kind or shape than x.

    >>> score = rf.diffusion.GaussianScore([0.0], [[1.0]])
    >>> print(rf.diffusion.step(score, np.array([[2.0]]), t=1.0, t_next=0.9, method="ddim").round(4))
    [[1.9982]]
    """
    h = t - t_next
    if method == "heun":
        drift = x + _evaluate(score, x, t)
        guess = x + h * drift
        return x + (h / 2) * (drift + guess + _evaluate(score, guess, t_next))
    a, b, c = coefficients(method, t, t_next)
    moved = a * x + b * _evaluate(score, x, t)
    return moved + c * noise if c > 0 else moved


def coefficients(method: str, t: float, t_next: float) -> tuple[float, float, float]:
    """(a, b, c) of the one-stage update x' = a x + b s + c z, in forms without cancellation at small h.

    Returns three numbers; c = 0 for the methods that draw no noise.

    Raises ValueError for an unknown method and for "heun", which has two stages.
    Source: chapter 1 of the book; "ddim" Song, Meng and Ermon (2021), "ddpm" Ho et al. (2020).

    >>> a, b, c = rf.diffusion.coefficients("ddim", t=1.0, t_next=0.9)
    >>> print(f"{a:.4f} {b:.4f} {c}")
    1.1052 0.1061 0.0
    """
    h = t - t_next
    growth, now, then = math.exp(h), float(noise_variance(t)), float(noise_variance(t_next))
    match method:
        case "euler_maruyama":
            return 1 + h, 2 * h, math.sqrt(2 * h)
        case "exponential_sde":
            return growth, 2 * math.expm1(h), math.sqrt(math.expm1(2 * h))
        case "euler_ode":
            return 1 + h, h, 0.0
        case "exponential_ode":
            return growth, math.expm1(h), 0.0
        case "ddim":
            # E D - sqrt(D D'), multiplied out with E^2 D - D' = E^2 - 1
            slope = math.sqrt(now) * math.expm1(2 * h) / (growth * math.sqrt(now) + math.sqrt(then))
            return growth, slope, 0.0
        case "ddpm":
            # D (D' - v) = (D' e^{-h})^2 for v = D' Delta_h/D, and E D - D'/E = E - 1/E
            return growth, 2 * math.sinh(h), math.sqrt(then * float(noise_variance(h)) / now)
    raise refuse("method", method, "a one-stage method: any of METHODS but 'heun'")


def _states(score: Score, x: State, times: npt.ArrayLike, method: str, seed: int | None) -> Iterator[State]:
    choice("method", method, METHODS)
    grid = time_grid(times, method)
    _check_batch(x)
    source = None
    if method in STOCHASTIC:
        if seed is None:
            raise refuse("seed", None, f"an integer >= 0: {method} draws noise")
        source = generator(x, seed)
    yield x
    for t, t_next in pairwise(grid):
        with _without_gradients(x):
            noise = None if source is None else standard_normal(x, source)
            x = step(score, x, t, t_next, method, noise)
        yield x
    # A number that overflowed stays infinite or becomes nan: one look at the end finds it.
    if not math.isfinite(float(abs(x).max())):
        raise ValueError(
            f"the result of {method} is not finite: the score overflowed, or a step was too long"
        )


def _check_batch(x: State) -> None:
    if not (isinstance(x, np.ndarray) or is_tensor(x)):
        raise refuse("type of x", type(x).__name__, "a numpy array or a torch tensor")
    if not (x.is_floating_point() if is_tensor(x) else x.dtype in (np.float64, np.float32)):
        raise refuse("dtype of x", str(x.dtype), "a floating-point type, float64 for exact scores")
    if 0 in x.shape or x.ndim == 0:
        raise refuse("shape of x", tuple(x.shape), "a batch (m, ...) that is not empty")


def time_grid(times: npt.ArrayLike, method: str) -> list[float]:
    """The times as floats: strictly decreasing, at least two, the last >= 0 (> 0 for heun), or ValueError."""
    grid = finite_array("times", times, ndim=1)
    if grid.size < 2:
        raise refuse("times", grid.tolist(), "at least two times")
    if np.any(np.diff(grid) >= 0):
        raise refuse("times", grid.tolist(), "strictly decreasing times")
    if grid[-1] < 0:
        raise refuse("last of times", float(grid[-1]), "a time >= 0")
    if method == "heun" and grid[-1] == 0:
        raise refuse("last of times", 0.0, "a time > 0: heun evaluates the score there")
    return [float(t) for t in grid]


def _evaluate(score: Score, x: State, t: float) -> State:
    value = score(x, t)
    if is_tensor(value) != is_tensor(x) or not hasattr(value, "shape"):
        raise refuse("type of score(x, t)", type(value).__name__, f"that of x, {type(x).__name__}")
    if tuple(value.shape) != tuple(x.shape) or value.dtype != x.dtype:
        got, wanted = f"{tuple(value.shape)} {value.dtype}", f"those of x, {tuple(x.shape)} {x.dtype}"
        raise refuse("shape and dtype of score(x, t)", got, wanted)
    return value


def _without_gradients(x: State) -> Any:
    if is_tensor(x):
        import torch

        return torch.no_grad()
    return contextlib.nullcontext()
