"""The end of training at d = infinity, for any covariance, any m and any ridge."""

import math

import numpy as np

from rfcore.answers import Minimizer
from rfcore.model import RandomFeatureModel
from rfcore.theory import elliptical
from rfcore.theory._continuation import TOLERANCE, below_spectrum
from rfcore.theory._equations import newton, parameters
from rfcore.theory._traces import Solved, from_unknowns, pair, t_cross, t_empirical, t_test, t_train
from rfcore.theory.dynamics import IDENTITY, lowest_loss
from rfcore.theory.resolvent import infinite_at_floor

NEGLIGIBLE = 1e-18  # distance from a singular point, relative to the scale of U


def minimizer(model: RandomFeatureModel) -> Minimizer:
    """Losses of B = -(1/sqrt Delta) V^T (U + mu)^-1; mu -> 0 is the minimum-norm solution.

    At z = -mu, with T_1' = (1/d) tr V^T R^2 V (both points of a two-point function equal):

        L_train = 1 - T_1 + z T_1'      (without the penalty)
        L_test  = 1 - 2 T_x + T_2

    Where U is singular and mu = 0 the scale-invariant limit z -> 0 is taken.  Exactly at the
    interpolation peak p = n m without ridge the test and the empirical loss are infinite.

    Returns Minimizer; ``error`` is the residual of the equations.
    Raises RuntimeError if the solver fails.

    Source: George et al. (2025) for m = 1 and infinity, Urfin et al. (2026) for any m; here by the
    two-point equivalents of chapter 9.
    """
    if model.scale is not None:
        return elliptical.minimizer(model)
    par = parameters(model)
    point = end_point(model)
    two = pair(par, point, point)
    cross = 1 - 2 * t_cross(par, point)
    train = float((1 - t_train(par, point) - model.ridge * two.t2(IDENTITY))[0])
    test = float((cross + t_test(two))[0])
    empirical = float((cross + t_empirical(two))[0]) if par.eps else train
    if model.ridge == 0 and infinite_at_floor(model) and par.floor == 0:
        train = max(train, 0.0)
        if model.psi_p == model.psi_n * model.noise_draws:
            train, test, empirical = 0.0, math.inf, math.inf
    score = (test - lowest_loss(model)) / model.delta
    return Minimizer(train, test, empirical, score, float(point.residual[0]))


def end_point(model: RandomFeatureModel) -> Solved:
    """The solution at z = -mu, or at a negligible distance from 0 where U is singular and mu = 0."""
    par = parameters(model)
    z = -model.ridge
    if z == 0 and infinite_at_floor(model) and par.floor == 0:
        z = -NEGLIGIBLE * (par.v2 + par.s2 + par.b2 + par.alpha2 * float(par.lam.max()))
    x, _ = below_spectrum(par, np.array([par.floor - z]))
    _, _, residual = newton(par, x, np.array([z - par.floor]))
    if residual[0] > TOLERANCE:
        raise RuntimeError(f"no convergence at z = {z!r} of {model!r} (residual {residual[0]:.1e})")
    return from_unknowns(par, x[0], x[1], x[2], residual)
