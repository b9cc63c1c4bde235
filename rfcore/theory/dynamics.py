"""Losses at every training time, exactly, at d = infinity: any covariance, any m, with ridge."""

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves
from rfcore.checks import finite_array, refuse
from rfcore.model import RandomFeatureModel
from rfcore.theory import elliptical
from rfcore.theory._continuation import TOLERANCE
from rfcore.theory._contour import double, single, talbot
from rfcore.theory._equations import Parameters, parameters
from rfcore.theory._traces import all_pairs, solved, t_cross, t_empirical, t_test, t_train

Floats = npt.NDArray[np.float64]
FINE, COARSE = 24, 20  # sizes of the two contours; their difference is the error estimate
CHUNK = 3_000_000  # numbers in the largest array at once
IDENTITY = (1.0, 0.0, 0.0)


def loss_curves(model: RandomFeatureModel, tau: npt.ArrayLike) -> LossCurves:
    """Train, test and empirical loss and score error after gradient flow for times tau from A = 0.

    With c = 2 Delta/psi_p, R = (U - z)^-1 and the traces T_1 = (1/d) tr V^T R V,
    T_x = (1/d) tr Vt^T R V, T_2 = (1/d) tr V^T R_1 Ut R_2 V at their d = infinity values,

        L_train = 1 - ILT[T_1(-s)/s](2 c tau)
        L_test  = 1 - 2 ILT[T_x(-s)/s](c tau) + ILT2[T_2(-s_1, -s_2)/(s_1 s_2)](c tau, c tau)

    and the same with z = -s - mu, and a term for the penalty, when there is a ridge mu.

    Parameters: tau, times >= 0 of any shape, in the units of dA/dtau = -d^2 grad L.
    Returns LossCurves; ``error`` is the largest change between two contour sizes plus the
    round-off carried over from the solver, per time.
    Raises ValueError for negative or non-finite times, RuntimeError if the solver fails.

    Source: chapter 9 of the book; for the spectrum Bonnaire et al. (2025), for the contour form
    of random-feature regression Bodin and Macris (2021).
    """
    if model.scale is not None:
        return elliptical.loss_curves(model, tau)
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    flat = times.ravel()
    par = parameters(model)
    curves = np.ones((3, flat.size))
    error = np.zeros(flat.size)
    late = np.flatnonzero(flat > 0)
    width = max(1, CHUNK // (FINE // 2 * par.lam.size))
    for k in range(0, late.size, width):
        part = late[k : k + width]
        horizon = 2 * model.delta / model.psi_p * flat[part]
        fine, residual = _losses(par, model.ridge, horizon, FINE)
        coarse, _ = _losses(par, model.ridge, horizon, COARSE)
        curves[:, part] = fine
        error[part] = np.max(np.abs(fine - coarse), axis=0) + residual
    train, test, empirical = (f.reshape(times.shape) for f in curves)
    score = (test - lowest_loss(model)) / model.delta
    return LossCurves(times, train, test, empirical, score, error.reshape(times.shape))


def lowest_loss(model: RandomFeatureModel) -> float:
    """L* = <e^-2t lambda/(e^-2t lambda + Delta)>, the loss of the exact score of Gaussian data."""
    signal = np.exp(-2 * model.t) * model.covariance.eigenvalues
    return float(model.covariance.weights @ (signal / (signal + model.delta)))


def _losses(par: Parameters, ridge: float, horizon: Floats, points: int) -> tuple[Floats, Floats]:
    """Train, test, empirical (3, T) at c tau = horizon (T,), and the solver's residual (T,)."""
    s, o = talbot(points)
    late = solved(par, -s / horizon[:, None] - ridge)
    twice = solved(par, -s / (2 * horizon[:, None]) - ridge)
    residual = np.maximum(late.residual.max(axis=-1), twice.residual.max(axis=-1))
    if np.any(residual > TOLERANCE):
        raise RuntimeError(f"the resolvent has not converged on the contour (residual {residual.max():.1e})")
    upper, mixed = all_pairs(par, late, late), all_pairs(par, late, late.conj())
    train = 1 - single(o, t_train(par, twice))
    if ridge > 0:
        train -= ridge * double(o, upper.t2(IDENTITY), mixed.t2(IDENTITY))
    first = 1 - 2 * single(o, t_cross(par, late))
    test = first + double(o, t_test(upper), t_test(mixed))
    empirical = first + double(o, t_empirical(upper), t_empirical(mixed)) if par.eps else train
    return np.stack([train, test, empirical]), residual
