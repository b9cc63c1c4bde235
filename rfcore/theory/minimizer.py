"""The end of training at d = infinity, for any covariance, any m and any ridge."""

import math

import numpy as np

from rfcore.answers import Minimizer
from rfcore.model import RandomFeatureModel
from rfcore.theory._continuation import TOLERANCE, below_spectrum
from rfcore.theory._equations import Parameters, newton, parameters
from rfcore.theory._traces import from_unknowns, pair, t_cross, t_empirical, t_test, t_train
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
    par = parameters(model)
    singular = infinite_at_floor(model) and par.floor == 0
    z = -model.ridge
    if singular and model.ridge == 0:
        z = -NEGLIGIBLE * (par.v2 + par.s2 + par.b2 + par.alpha2 * float(par.lam.max()))
    train, test, empirical, residual = _at(par, z)
    if residual > TOLERANCE:
        raise RuntimeError(
            f"the resolvent has not converged at z = {z!r} of {model!r} (residual {residual:.1e})"
        )
    if singular and model.ridge == 0:
        train = max(train, 0.0)
        if model.psi_p == model.psi_n * model.noise_draws:
            train, test, empirical = 0.0, math.inf, math.inf
    score = (test - lowest_loss(model)) / model.delta
    return Minimizer(train, test, empirical, score, residual)


def _at(par: Parameters, z: float) -> tuple[float, float, float, float]:
    x, _ = below_spectrum(par, np.array([par.floor - z]))
    _, _, residual = newton(par, x, np.array([z - par.floor]))
    point = from_unknowns(par, x[0], x[1], x[2], residual)
    two = pair(par, point, point)
    train = 1 - t_train(par, point) + z * two.t2(IDENTITY)
    cross = 1 - 2 * t_cross(par, point)
    test = cross + t_test(two)
    empirical = cross + t_empirical(two) if par.eps else train
    return float(train[0]), float(test[0]), float(empirical[0]), float(residual[0])
