"""Losses for elliptical data at d = infinity: at every training time and at its end, scale by scale."""

import math

import numpy as np
import numpy.typing as npt

from rfcore.answers import LossCurves, Minimizer, ScaleCurves
from rfcore.checks import finite_array, of_kind, refuse
from rfcore.model import RandomFeatureModel
from rfcore.theory import _contour as contour
from rfcore.theory import _elliptical_traces as traces
from rfcore.theory._continuation import TOLERANCE, below_spectrum
from rfcore.theory._elliptical import EllipticalParameters, elliptical_parameters

Floats = npt.NDArray[np.float64]
FINE, COARSE = 24, 20
CHUNK = 400_000  # numbers in the largest array at once: pairs of points times scales


def scale_curves(model: RandomFeatureModel, tau: npt.ArrayLike) -> ScaleCurves:
    """Who is memorised when: the losses at training times tau >= 0 of the samples of each scale.

    With R = (U - z)^-1, a sample of scale tau_k has Ut(tau_k) = C_g + C_h and V = b(tau_k) M, and

        L_k = 1 - 2 b_k ILT[(1/d) tr M^T R V/s](c tau)
                + ILT2[(1/d) tr V^T R_1 Ut(tau_k) R_2 V/(s_1 s_2)](c tau)

    tau : training times >= 0 of any shape.  A question without a scale law has one scale.
    Raises ValueError for negative or non-finite times, RuntimeError if the solver fails.
    Source: chapter 18 of the book.

    >>> model = rf.RandomFeatureModel(4, 2, 0.1, scale=rf.ScaleLaw([0.1, 1.9]))
    >>> curves = rf.theory.scale_curves(model, 100.0)
    >>> print((curves.test - curves.empirical).round(3))
    [0.028 0.805]
    """
    of_kind("model", model, RandomFeatureModel)
    times = _times(tau)
    par = elliptical_parameters(model)
    _, test, empirical, error = _curves(model, par, times.ravel())
    c, shape = par.constants, (*times.shape, par.constants.weights.size)
    scales = np.ones(1) if model.scale is None else model.scale.values
    return ScaleCurves(
        times, scales, c.weights, test.reshape(shape), empirical.reshape(shape), error.reshape(times.shape)
    )


def loss_curves(model: RandomFeatureModel, tau: npt.ArrayLike) -> LossCurves:
    """What :func:`rfcore.theory.dynamics.loss_curves` returns, for a question with a scale law."""
    times = _times(tau)
    par = elliptical_parameters(model)
    train, test, empirical, error = _curves(model, par, times.ravel())
    w = par.constants.weights
    values = [f.reshape(times.shape) for f in (train, test @ w, empirical @ w, error)]
    score = (values[1] - lowest_loss(model)) / model.delta
    return LossCurves(times, values[0], values[1], values[2], score, values[3])


def minimizer(model: RandomFeatureModel) -> Minimizer:
    """What :func:`rfcore.theory.minimizer.minimizer` returns, for a question with a scale law.

    U is singular at finite m with p > n m; without a ridge the limit z -> 0 is then taken at a distance of
    1e-18 of the scale of U.  Exactly at p = n m the test loss is infinite.
    """
    par, z = elliptical_parameters(model), -model.ridge
    singular = bool(par.eps) and model.psi_p >= model.psi_n * model.noise_draws
    if z == 0 and singular:
        z = -1e-18 * (par.v2 + par.s2 + par.b2 + par.alpha2 * float(par.lam.max()))
    x, _ = below_spectrum(par, np.array([par.floor - z]))
    _, _, residual = par.newton(x, np.array([z - par.floor]))
    if residual[0] > TOLERANCE:
        raise RuntimeError(f"no convergence at z = {z!r} of {model!r} (residual {residual[0]:.1e})")
    end = traces.from_unknowns(par, x, residual, (1,))
    two, w = traces.double(par, end, end), par.constants.weights
    first, cross = traces.one_point(par, end)
    train = float((1 - first - model.ridge * two.t2[0, :, 0])[0])
    plain = 1 - 2 * float(par.constants.b @ w) * float(cross[0])
    test = plain + float(w @ traces.test_of_scales(par, two)[:, 0, 0])
    empirical = plain + float(w @ traces.empirical_of_scales(par, end, end, two)[:, 0, 0])
    if model.ridge == 0 and singular:
        train = max(train, 0.0)
        if model.psi_p == model.psi_n * model.noise_draws:
            train, test, empirical = 0.0, math.inf, math.inf
    score = (test - lowest_loss(model)) / model.delta
    return Minimizer(train, test, empirical, score, float(residual[0]))


def lowest_loss(model: RandomFeatureModel) -> float:
    """L* = E_tau <tau l/(tau l + Delta)>, l = e^-2t lambda: the exact score reads the scale off |x_t|."""
    tau = np.ones(1) if model.scale is None else model.scale.values
    signal = math.exp(-2 * model.t) * tau[:, None] * model.covariance.eigenvalues
    return float(model.scale_constants.weights @ (signal / (signal + model.delta)) @ model.covariance.weights)


def _curves(
    model: RandomFeatureModel, par: EllipticalParameters, times: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Train (T,), test and empirical (T, K), and the error (T,)."""
    scales = par.constants.weights.size
    train, error = np.ones(times.size), np.zeros(times.size)
    test, empirical = np.ones((2, times.size, scales))
    late = np.flatnonzero(times > 0)
    width = max(1, CHUNK // ((FINE // 2) ** 2 * max(scales, par.lam.size // FINE)))
    for k in range(0, late.size, width):
        part = late[k : k + width]
        horizon = 2 * model.delta / model.psi_p * times[part]
        train[part], test[part], empirical[part], residual = _losses(par, model.ridge, horizon, FINE)
        coarse = _losses(par, model.ridge, horizon, COARSE)
        change = [np.abs(train[part] - coarse[0])]
        change += [
            np.abs(x - y).max(axis=1) for x, y in ((test[part], coarse[1]), (empirical[part], coarse[2]))
        ]
        error[part] = np.max(change, axis=0) + residual
    return train, test, empirical, error


def _losses(
    par: EllipticalParameters, ridge: float, horizon: Floats, points: int
) -> tuple[Floats, Floats, Floats, Floats]:
    s, o = contour.talbot(points)
    late = traces.point(par, -s / horizon[:, None] - ridge)
    twice = traces.point(par, -s / (2 * horizon[:, None]) - ridge)
    residual = np.maximum(late.solved.residual.max(axis=-1), twice.solved.residual.max(axis=-1))
    if np.any(residual > TOLERANCE):
        raise RuntimeError(f"the resolvent has not converged on the contour (residual {residual.max():.1e})")
    upper, mixed = traces.double(par, late, late), traces.double(par, late, late.conj())
    train = 1 - contour.single(o, traces.one_point(par, twice)[0])
    if ridge > 0:
        train -= ridge * contour.double(o, upper.t2[0], mixed.t2[0])
    gain = contour.single(o, traces.one_point(par, late)[1])
    plain = 1 - 2 * par.constants.b[:, None] * gain
    test = plain + contour.double(o, traces.test_of_scales(par, upper), traces.test_of_scales(par, mixed))
    empirical = plain + contour.double(
        o,
        traces.empirical_of_scales(par, late, late, upper),
        traces.empirical_of_scales(par, late, late.conj(), mixed),
    )
    return train, test.T, empirical.T, residual


def _times(tau: npt.ArrayLike) -> Floats:
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    return times
