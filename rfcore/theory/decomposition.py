"""Bias and variance of the trained score at the end of training."""

from dataclasses import dataclass

import numpy as np

from rfcore.model import RandomFeatureModel
from rfcore.theory._equations import parameters
from rfcore.theory._traces import pair, population, t_cross, t_test
from rfcore.theory.dynamics import lowest_loss
from rfcore.theory.minimizer import end_point
from rfcore.theory.resolvent import infinite_at_floor


@dataclass(frozen=True)
class Decomposition:
    """Score error (1/d) E||s_A - s*||^2 = bias + features + data.

    bias : squared distance of the score averaged over training sets and first layers
    features : variance over first layers W of the score averaged over training sets
    data : variance over training sets (points and noise draws) at fixed W
    error : residual of the equations (theory), or of round-off (simulation)
    standard_error : those of bias, features and data where they are means over draws, else None

    >>> parts = rf.theory.decomposition(rf.RandomFeatureModel(4, 2, 0.1, ridge=0.01))
    >>> print(f"{parts.bias:.4f} + {parts.features:.4f} + {parts.data:.4f} = {parts.total:.4f}")
    0.7463 + 0.0865 + 1.3365 = 2.1693
    """

    bias: float
    features: float
    data: float
    error: float
    standard_error: "Decomposition | None" = None

    @property
    def total(self) -> float:
        """The score error itself."""
        return self.bias + self.features + self.data


def decomposition(model: RandomFeatureModel) -> Decomposition:
    """Split the score error of :func:`minimizer` into bias and two variances.

    Two independent training sets share no leave-one-out response, so only the first term of T_2 is left,
    zeta^2 b^2 psi_p <<M M^T, Ut>>; with independent first layers also, M^T Rbar M = diag(u h) on each side:

        1 - 2 T_x + zeta^2 b^2 <(alpha^2 lambda + b^2) u^2 h^2>  =  L* + Delta bias

    Raises ValueError exactly at the interpolation peak without ridge, where the data variance is infinite.
    Source: for ridge and any m Urfin et al. (2026); this form in chapter 10 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, ridge=0.01)
    >>> print(f"{rf.theory.decomposition(model).total:.6f}")
    2.169260
    >>> print(f"{rf.theory.minimizer(model).score_error:.6f}")
    2.169260
    """
    par = parameters(model)
    singular = infinite_at_floor(model) and par.floor == 0
    if singular and model.ridge == 0 and model.psi_p == model.psi_n * model.noise_draws:
        raise ValueError(
            f"psi_p = {model.psi_p!r} is not allowed at ridge = 0: the peak p = n m, take a ridge > 0"
        )
    point = end_point(model)
    two = pair(par, point, point)
    cross = 1 - 2 * t_cross(par, point)
    same_layer = point.zeta**2 * par.b2 * par.psi_p * two.bracket((0.0, 1.0, 0.0), population(par))
    response = par.alpha2 * par.lam + par.b2
    no_layer = point.zeta**2 * par.b2 * point.u**2 * ((point.h**2 * response) @ par.powers[0])
    total = cross + t_test(two)
    bias, features, data = (
        float(np.real(part)[0]) / model.delta
        for part in (cross + no_layer - lowest_loss(model), same_layer - no_layer, total - cross - same_layer)
    )
    return Decomposition(bias, features, data, float(point.residual[0]))
