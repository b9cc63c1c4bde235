r"""Classifier-free guidance, s_w = (1 + w) s(x | class) - w s(x), where its law is known exactly.

One mode of a conditional law N(m, lambda) inside an unconditional one N(m_0, lambda_0), r = lambda/lambda_0,
carried from pure noise at T = infinity to t = 0:

                    mean, m_0 = 0                             variance
    flow (ODE)      m (1 + w) int_0^1 (r + (1-r) y^2)^{w/2} dy    lambda r^w
    reverse SDE     m (1 - r^{1+w})/(1 - r)                    lambda (1 - r^{1+2w})/((1 + 2w)(1 - r))
    tilted law      m (1 + w)/(1 + w - w r)                    lambda/(1 + w - w r)

The tilted law is p(x | class)^{1+w}/p(x)^w, which guidance is often said to sample.
Sources: Ho and Salimans (2022) for the rule; Bradley and Nakkiran (2024) for the two variances at lambda = 1,
lambda_0 = 2; the general forms are derived in chapter 17.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp
from scipy.special import hyp2f1

from rfcore.checks import choice, finite_array, nonnegative, positive, refuse
from rfcore.diffusion.process import State
from rfcore.diffusion.samplers import Score
from rfcore.diffusion.scores import EmpiricalScore

Array = npt.NDArray[np.float64]
LAWS = ("flow", "sde", "tilted")
CLOSE = 1e-6  # |1 - r| below which the quotients of the table are replaced by their expansions


class GuidedScore:
    """s_w(x, t) = (1 + w) s(x, t | class) - w s(x, t) from two scores, exact or learnt; w >= 0.

    Raises ValueError unless the weight w is a finite number >= 0.
    Source: Ho and Salimans (2022).

    >>> one = rf.diffusion.GaussianScore([1.0], [[1.0]])
    >>> both = rf.diffusion.MixtureScore([0.5, 0.5], [[1.0], [-1.0]], np.ones((2, 1, 1)))
    >>> guided = rf.diffusion.GuidedScore(one, both, weight=2.0)
    >>> print(one(np.zeros((1, 1)), 0.5).round(4), guided(np.zeros((1, 1)), 0.5).round(4))
    [[0.6065]] [[1.8196]]
    """

    def __init__(self, conditional: Score, unconditional: Score, weight: float) -> None:
        self.conditional, self.unconditional = conditional, unconditional
        self.weight = nonnegative("weight", weight)

    def __call__(self, x: State, t: float) -> State:
        given = self.conditional(x, t)
        if self.weight == 0:
            return given
        return given + self.weight * (given - self.unconditional(x, t))


@dataclass(frozen=True, eq=False)
class GuidedMoments:
    """Mean and variance of a Gaussian law along one or more modes, arrays of one shape.

    >>> law = rf.diffusion.guided_moments(1.0, 0.5, 0.0, 1.0, weight=[0.0, 1.0, 2.0])
    >>> print(law.variance)
    [0.5   0.25  0.125]
    """

    mean: Array
    variance: Array


def guided_moments(
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
    free_mean: npt.ArrayLike,
    free_variance: npt.ArrayLike,
    weight: npt.ArrayLike,
    law: str = "flow",
) -> GuidedMoments:
    """Law of guided samples at t = 0, started from N(0, 1) at T = infinity, mode by mode; all broadcast.

    mean, variance : of the conditional law, variance > 0;  free_mean, free_variance : of the other
    weight : w >= 0 (0 is no guidance)
    law : "flow", the probability flow; "sde", the reverse SDE; "tilted", p(x|class)^{1+w}/p(x)^w itself

    Returns GuidedMoments.
    Raises ValueError for bad input and where the tilted law cannot be normalised, 1 + w <= w r.
    Source: chapter 17 of the book; Bradley and Nakkiran (2024) for two of the variances.

    >>> for law in ("flow", "sde", "tilted"):
    ...     found = rf.diffusion.guided_moments(1.0, 0.5, 0.0, 1.0, weight=2.0, law=law)
    ...     print(f"{law}: mean {found.mean:.3f}, variance {found.variance:.3f}")
    flow: mean 2.000, variance 0.125
    sde: mean 1.750, variance 0.194
    tilted: mean 1.500, variance 0.250
    """
    named = zip(
        ("mean", "variance", "free_mean", "free_variance", "weight"),
        (mean, variance, free_mean, free_variance, weight),
        strict=True,
    )
    m, v, m0, v0, w = np.broadcast_arrays(*(finite_array(name, value) for name, value in named))
    for name, value, least in (("variance", v, 0.0), ("free_variance", v0, 0.0), ("weight", w, -1e-300)):
        if value.size and value.min() <= least:
            raise refuse(name, float(value.min()), "numbers > 0" if least == 0 else "numbers >= 0")
    r = v / v0
    if choice("law", law, LAWS) == "tilted":
        return _tilted(m, v, m0, w, r)
    if law == "sde":
        # q(a) = (1 - r^a)/(1 - r)
        middle = m * _quotient(r, 1 + w) - m0 * r * _quotient(r, w)
        return GuidedMoments(middle, v * _quotient(r, 1 + 2 * w) / (1 + 2 * w))
    # The hypergeometric functions are the integrals over y of (1 + (1/r - 1) y^2)^{w/2} and its twin for m_0.
    own = (1 + w) * r ** (w / 2) * hyp2f1(0.5, -w / 2, 1.5, 1 - 1 / r)
    free = w * r ** ((1 + w) / 2) * hyp2f1(0.5, (1 + w) / 2, 1.5, 1 - r)
    return GuidedMoments(m * own - m0 * free, v * r**w)


def guided_classes(
    weight: float, separation: npt.ArrayLike, start: npt.ArrayLike, prior: float = 0.5
) -> Array:
    """Guided probability flow towards one of two classes N(+-mu, sigma^2), in units of sigma.

    In y = x/sqrt(Gamma_t) and s = e^{-t} mu/sqrt(Gamma_t), which runs from 0 at T = infinity to
    S = mu/sigma at t = 0, the flow is the same for all mu and sigma:

        dy/ds = 1 + w (1 - tanh(s y + b)) ,    b = (1/2) log(prior/(1 - prior))

    Parameters: weight w >= 0; separation S = mu/sigma >= 0, (K,); start : (m,), the N(0, 1) numbers at s = 0;
    prior in (0, 1), the probability of the class asked for.
    Returns y(S) = x_0/sigma, (K, m).  Without guidance y = start + S.  Orthogonal directions are not touched.
    Accuracy: 1e-10 (an explicit method of order 8).
    Raises ValueError for bad input, RuntimeError if the solver fails.
    Source: chapter 17 of the book.

    >>> print(rf.diffusion.guided_classes(2.0, [1.0, 3.0], [0.0]).round(4).ravel())
    [1.9648 3.9766]
    """
    w, y = nonnegative("weight", weight), finite_array("start", start, ndim=1)
    goal = finite_array("separation", separation, ndim=1)
    if goal.size == 0 or goal.min() < 0:
        raise refuse("separation", goal.tolist(), "at least one number >= 0")
    if not 0 < positive("prior", prior) < 1:
        raise refuse("prior", prior, "a number in (0, 1)")
    b = 0.5 * math.log(prior / (1 - prior))

    def velocity(s: float, state: Array) -> Array:
        return np.asarray(1 + w * (1 - np.tanh(s * state + b)))

    last = max(float(goal.max()), 1e-12)
    found = solve_ivp(velocity, (0.0, last), y, "DOP853", t_eval=np.unique(goal), rtol=1e-11, atol=1e-11)
    if not found.success:
        raise RuntimeError(f"the guided flow was not solved: {found.message}")
    return np.asarray(found.y.T[np.searchsorted(np.unique(goal), goal)])


def tilted_classes(weight: float, separation: float, y: npt.ArrayLike, prior: float = 0.5) -> Array:
    """Density at y = x/sigma of p(x|class)^{1+w}/p(x)^w for two classes N(+-mu, sigma^2), S = mu/sigma.

    Proportional to exp(-(y - S)^2/2) P(class | y)^w, normalised by the trapezoidal rule on a grid of its own.

    Parameters: weight w >= 0; separation S >= 0; y, any shape; prior in (0, 1) of the class.
    Returns the density in the shape of y.
    Raises ValueError for bad input.
    Source: chapter 17 of the book.

    >>> print(rf.diffusion.tilted_classes(2.0, 1.0, [0.0, 1.0]).round(4))
    [0.0913 0.467 ]
    """
    w, s, b = nonnegative("weight", weight), nonnegative("separation", separation), positive("prior", prior)
    if b >= 1:
        raise refuse("prior", prior, "a number in (0, 1)")
    shift = 0.5 * math.log(b / (1 - b))

    def log_density(x: Array) -> Array:
        return np.asarray(-0.5 * (x - s) ** 2 - w * np.logaddexp(0, -2 * (s * x + shift)))

    grid = np.linspace(-12 - s, 12 + 2 * s + 2 * abs(shift), 8001)
    logs = log_density(grid)
    total = np.exp(logs - logs.max()).sum() * (grid[1] - grid[0])
    return np.asarray(np.exp(log_density(finite_array("y", y)) - logs.max()) / total)


def decision_times(data: npt.ArrayLike, path: npt.ArrayLike, times: npt.ArrayLike) -> Array:
    """When each trajectory (K, m, d) at decreasing times (K,) collapses onto one data point (n, d).

    path : the states of m trajectories at the times
    Returns the smallest of the times at which no point of the data has more than half of the posterior
    weight, (m,); times[0] if one has from the start on.
    Raises ValueError for shapes and times that do not fit.
    Source: chapter 17 of the book.

    >>> path = np.array([[[0.0]], [[0.2]], [[0.99]]])
    >>> print(rf.diffusion.decision_times([[1.0], [-1.0], [0.2]], path, [2.0, 0.5, 0.01]))
    [0.5]
    """
    score, t = EmpiricalScore(data), finite_array("times", times, ndim=1)
    states = finite_array("path", path, ndim=3)
    if len(states) != t.size or t.size < 2 or np.any(np.diff(t) >= 0) or t[-1] <= 0:
        raise refuse("times", t.tolist(), f"{len(states)} strictly decreasing times > 0, one per state")
    undecided = np.stack(
        [score.weights(x, float(at)).max(axis=1) <= 0.5 for x, at in zip(states, t, strict=True)]
    )
    last = t.size - 1 - np.argmax(undecided[::-1], axis=0)
    return np.asarray(np.where(undecided.any(axis=0), t[last], t[0]))


def _tilted(m: Array, v: Array, m0: Array, w: Array, r: Array) -> GuidedMoments:
    precision = 1 + w - w * r
    if precision.size and precision.min() <= 0:
        raise refuse(
            "1 + w - w r", float(precision.min()), "a number > 0: else the tilted law has no integral"
        )
    return GuidedMoments(((1 + w) * m - w * r * m0) / precision, v / precision)


def _quotient(r: Array, a: Array) -> Array:
    """(1 - r^a)/(1 - r), by its expansion near r = 1."""
    near = np.abs(1 - r) < CLOSE
    safe = np.where(near, 0.5, r)
    value = -np.expm1(a * np.log(safe)) / (1 - safe)
    return np.asarray(np.where(near, a * (1 + (a - 1) / 2 * (r - 1)), value))
