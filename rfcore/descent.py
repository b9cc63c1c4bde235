"""The question of how a model is trained in steps, and its polynomials.

With B = A/sqrt(p), one step of size eta (in the time units of dA/dtau = -d^2 grad L) multiplies the part of
the error at curvature x by 1 - h x, h = 2 Delta eta/psi_p.  Momentum beta makes this a recursion of second
order for the residual polynomials r_k, r_0 = 1, r_1 = 1 - h x,

    heavy ball  r_{k+1} = (1 + beta - h x) r_k - beta r_{k-1}
    Nesterov    r_{k+1} = (1 - h x) ((1 + beta) r_k - beta r_{k-1})

and B_k = -(1/sqrt Delta) V^T g_k(U + mu) with g_k(x) = (1 - r_k(x))/x.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.checks import nonnegative, positive, refuse, whole
from rfcore.model import RandomFeatureModel

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Descent:
    """A random-feature model trained in steps from A = 0; with all defaults, plain gradient descent.

    Parameters
    ----------
    model : RandomFeatureModel; its ridge is a weight decay, see below
    step : float > 0, eta: training time per step, so that k steps of plain descent take the time k eta
    momentum : float in [0, 1), beta
    nesterov : whether the gradient is taken at the extrapolated point A_k + beta (A_k - A_{k-1})
    average : float in [0, 1), gamma; losses are those of the weights' exponential moving average,
        Abar_{k+1} = gamma Abar_k + (1 - gamma) A_{k+1}, Abar_0 = 0.  0: of the weights themselves
    batch : float > 0, S/d with S rows (point, noise) per step, drawn anew with replacement; math.inf: the
        whole loss.  At noise_draws = math.inf each row has a fresh noise; else rows are among the n m

    A ridge mu multiplies A by 1 - h mu in each plain step: it is decay of the weights by a factor 1 - w,
    w = h mu, applied beside the gradient, exactly.

    Raises ValueError naming the parameter, its value and what is allowed.

    >>> question = rf.Descent(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1), step=0.5, momentum=0.9)
    >>> question.edge, round(question.h, 4)
    (3.8, 0.0453)
    """

    model: RandomFeatureModel
    step: float
    momentum: float = 0.0
    nesterov: bool = False
    average: float = 0.0
    batch: float = math.inf

    def __post_init__(self) -> None:
        if not isinstance(self.model, RandomFeatureModel):
            raise refuse("model", self.model, "a RandomFeatureModel")
        object.__setattr__(self, "step", positive("step", self.step))
        for name in ("momentum", "average"):
            if nonnegative(name, getattr(self, name)) >= 1:
                raise refuse(name, getattr(self, name), "a number in [0, 1)")
            object.__setattr__(self, name, float(getattr(self, name)))
        if not isinstance(self.nesterov, bool):
            raise refuse("nesterov", self.nesterov, "True or False")
        if self.batch != math.inf:
            object.__setattr__(self, "batch", positive("batch", self.batch))
            if self.nesterov:
                raise refuse("batch", self.batch, "math.inf with nesterov, whose noise is not that of L_k")

    @property
    def h(self) -> float:
        """h = 2 Delta eta/psi_p: a plain step multiplies errors at curvature x by 1 - h x."""
        return 2 * self.model.delta * self.step / self.model.psi_p

    @property
    def edge(self) -> float:
        """The h x that does not yet diverge, 2 (1 + beta), or 2 (1 + beta)/(1 + 2 beta) (Nesterov)."""
        beta = self.momentum
        return 2 * (1 + beta) / (1 + 2 * beta if self.nesterov else 1)

    def rates(self, x: npt.ArrayLike) -> Array:
        """The rate per step at which r_k(x) decays, -log of the larger modulus of the two roots.

        h x/(1 - beta) for h x << (1 - sqrt beta)^2; for the heavy ball log(1/beta)/2 from there to
        (1 + sqrt beta)^2.
        """
        beta, hx = self.momentum, self.h * np.asarray(x, dtype=np.complex128)
        one, two = (
            ((1 + beta) * (1 - hx), beta * (1 - hx)) if self.nesterov else (1 + beta - hx, beta + 0 * hx)
        )
        root = np.sqrt(one**2 - 4 * two)
        return np.asarray(-np.log(np.maximum(np.abs(one + root), np.abs(one - root)) / 2))

    def residuals(self, x: Array, steps: int) -> Iterator[Array]:
        """r_0(x), ..., r_steps(x) at curvatures x (ridge included), of the averaged weights if asked for."""
        gamma, beta, hx = self.average, self.momentum, self.h * x
        now, last, mean = np.ones_like(hx), np.ones_like(hx), np.ones_like(hx)
        yield mean
        for _ in range(steps):
            if self.nesterov:
                now, last = (1 - hx) * (now + beta * (now - last)), now
            else:
                now, last = now + beta * (now - last) - hx * now, now
            mean = gamma * mean + (1 - gamma) * now if gamma else now
            yield mean


def whole_steps(steps: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Numbers of steps, of any shape, as integers >= 0."""
    values = np.asarray(steps)
    for each in values.ravel().tolist():
        whole("steps", each, least=0)
    return np.asarray(values.astype(np.int64))
