r"""Gradient flow mode by mode at d = infinity: which directions of the data are learned when.

Every matrix that the losses are made of has a deterministic equivalent that is a function of Sigma.  So
each eigendirection u_k of Sigma has its own response, its own train loss and its own test loss, and they
need no unknowns beyond those of the totals.  With h_k = 1/(1 + kappa(lambda_k) u),

    (M^T R M)_kk = u h_k,
    (M^T Rbar_1 (c + M D M^T) Rbar_2 M)_kk
        = psi_p h_1k h_2k {G (c + <D h_1 h_2>) + psi_p q_1 q_2 D(lambda_k)},

the traces of chapter 9 before their last average <.>.

Source: chapter 19 of the book.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.answers import ModeCurves
from rfcore.checks import finite_array, refuse
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.theory._contour import single, talbot
from rfcore.theory._equations import Parameters, parameters
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory._kappa import complex_kappa, real_kappa
from rfcore.theory._traces import Solved, Triple, all_pairs, population, solved
from rfcore.theory.linear_spectrum import spectral_rule

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
FINE, COARSE = 24, 20
CHUNK = 1_000_000
SETTLED = 45.0
IDENTITY: Triple = (1.0, 0.0, 0.0)


def random_feature_modes(model: RandomFeatureModel, tau: npt.ArrayLike) -> ModeCurves:
    """The modes of a random-feature network, gradient flow dA/dtau = -d^2 grad L from A = 0.

    With c = 2 Delta/psi_p, R = (U + mu)^-1 along the contour,

        mean_k  = 1 - ILT[(V^T R Vt)_kk/s](c tau)
        train_k = 1 - ILT[(V^T R V)_kk/s](2 c tau)                 (and a term for the ridge)
        test_k  = 1 - 2 ILT[(V^T R Vt)_kk/s](c tau) + ILT2[(V^T R_1 Ut R_2 V)_kk/(s_1 s_2)](c tau, c tau)

    ``error`` is the largest change between two contours.  Raises ValueError for negative or infinite times.
    """
    gaussian_only(model)
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    flat, par = times.ravel(), parameters(model)
    curves, error = np.ones((3, flat.size, par.lam.size)), 0.0
    late = np.flatnonzero(flat > 0)
    width = max(1, CHUNK // (FINE * par.lam.size))
    for k in range(0, late.size, width):
        part = late[k : k + width]
        horizon = 2 * model.delta / model.psi_p * flat[part]
        curves[:, part] = _modes(par, model.ridge, horizon, FINE)
        coarse = _modes(par, model.ridge, horizon, COARSE)
        error = max(error, float(np.max(np.abs(curves[:, part] - coarse))))
    mean, train, test = (f.reshape(*times.shape, -1) for f in curves)
    rate = 2 * model.delta * (par.b2 + par.alpha2 * par.lam)
    return ModeCurves(
        times, par.lam, mean, train, test, _best(par.lam, np.expm1(2 * model.t)), 1 / rate, error
    )


def _modes(par: Parameters, ridge: float, horizon: Floats, points: int) -> Floats:
    """Mean, train and test loss of every mode at c tau = horizon (T,), (3, T, K)."""
    s, o = talbot(points)
    late = solved(par, -s / horizon[:, None] - ridge)
    twice = solved(par, -s / (2 * horizon[:, None]) - ridge)
    removed = _single(o, (late.zeta * par.b2 * late.u)[..., None] * late.h)
    own = (twice.zeta**2 * par.b2 * twice.u)[..., None] * twice.h
    train = 1 - _single(o, (1 - twice.zeta)[..., None] + own)
    if ridge > 0:
        train = train - ridge * _double(par, late, o, IDENTITY)
    return np.stack([1 - removed, train, 1 - 2 * removed + _double(par, late, o, population(par))])


def _single(o: Array, values: Array) -> Floats:
    return single(o, np.swapaxes(values, -1, -2))


def _double(par: Parameters, a: Solved, o: Array, matrix: Triple) -> Floats:
    """ILT2 of (V^T R_1 B R_2 V)_kk/(s_1 s_2) over all pairs of the contour, (T, K)."""
    left = o[:, None] * a.zeta[..., None] * a.h
    total = np.zeros((*a.u.shape[:-1], par.lam.size))
    for b, weights, right in ((a, o, left), (a.conj(), np.conj(o), np.conj(left))):
        pair = all_pairs(par, a, b)
        flat, slope, theta = pair.mode_parts(matrix)
        inner = flat @ right + (slope @ right) * par.lam
        total += 2 * np.real(par.b2 * par.psi_p * np.einsum("tik,tik->tk", left, inner))
        if par.eps:
            rows, columns = theta @ weights, np.einsum("i,tij->tj", o, theta)
            edge = np.einsum("ti,tik->tk", rows * a.u, left) + np.einsum("tj,tjk->tk", columns * b.u, right)
            total += 2 * np.real((rows @ o)[:, None] - par.b2 * edge)
    return total


def linear_modes(model: LinearModel, tau: npt.ArrayLike) -> ModeCurves:
    """The modes of a linear denoiser D_tau = 1 - sqrt b W(tau), gradient flow from W = 0; inf is allowed.

        mean_k = 1 - b E[(1 - e^(-m tau))/m]_kk,   m = a (x + c) over the eigenvalues x of S
        test_k = 1 - 2 sqrt b E h_kk + E[h (a Sigma + b) h]_kk,   h = sqrt b (1 - e^(-m tau))/m

    mean runs from 1 (nothing is removed) to (lambda_k + kappa(c) ridge/c)/(lambda_k + kappa(c)).  Removing
    noise is learned last where there is no signal: mode k at 1/(a (lambda_k + c)), at most 1/b.
    All but h Sigma h needs the law of S alone; that term is E[Q_1 Sigma Q_2]_kk on a double contour.

    Raises ValueError for negative times and nan.  Source: chapters 11 and 19 of the book.
    """
    gaussian_only(model)
    times = flow_times(tau)
    rule = spectral_rule(model.covariance, model.gamma)
    a, b, lam = model.signal, model.noise, model.covariance.eigenvalues

    def shape(x: Floats | float) -> Floats:
        m = a * (np.asarray(x) + model.c)
        with np.errstate(over="ignore"):
            return np.asarray(-np.expm1(-m * times[..., None]) / m)

    def modes(values: Floats, at_zero: Floats) -> Floats:
        return np.asarray(values @ rule.weights.T + at_zero * rule.zero)

    inner, outer = shape(rule.x), shape(0.0)
    removed = b * modes(inner, outer)
    own = b * modes(inner**2 * (a * rule.x + b), b * outer**2)
    flat = times.ravel()
    mixed, error = _mixed(model, flat)
    test = 1 - 2 * removed + b * b * modes(inner**2, outer**2) + a * b * mixed.reshape(*times.shape, -1)
    best, clock = _best(lam, model.noise_variance), 1 / (a * (lam + model.c))
    mean, train = 1 - removed, 1 - 2 * removed + own
    return ModeCurves(times, lam, mean, train, test, best, clock, rule.error + error)


def flow_times(tau: npt.ArrayLike) -> Floats:
    """Training times >= 0, math.inf allowed."""
    times = np.asarray(tau, dtype=float)
    finite_array("tau", np.where(np.isposinf(times), 0.0, times))
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0, or math.inf")
    return times


def _mixed(model: LinearModel, tau: Floats) -> tuple[Floats, float]:
    """E[f Sigma f]_kk with f(S) = (1 - e^(-m tau))/m at each time, (T, K), and the error of the contour."""
    lam, w, gamma, a = model.covariance.eigenvalues, model.covariance.weights, model.gamma, model.signal
    late = tau * a * model.c > SETTLED
    kappa = float(real_kappa(model.covariance, gamma, np.array(model.c)))
    ratio = lam / (lam + kappa)
    end = (kappa / (a * model.c)) ** 2 * ratio / (lam + kappa) / (1 - gamma * float(w @ ratio**2))
    answer = np.zeros((tau.size, lam.size))
    answer[late] = end
    moving = np.flatnonzero((tau > 0) & ~late)
    error = 0.0
    for part in np.array_split(moving, max(1, moving.size * FINE * lam.size // CHUNK)):
        if part.size:
            answer[part] = _linear_pairs(model, tau[part], FINE)
            coarse = _linear_pairs(model, tau[part], COARSE)
            error = max(error, a * model.noise * float(np.max(np.abs(answer[part] - coarse))))
    return answer, error


def _linear_pairs(model: LinearModel, tau: Floats, points: int) -> Floats:
    """ILT2 of Q_1 Sigma Q_2 = kappa_1 kappa_2/(z_1 z_2) Sigma R_1 R_2/(1 - gamma tr Sigma^2 R_1 R_2)."""
    s, o = talbot(points)
    lam, w, gamma, a = model.covariance.eigenvalues, model.covariance.weights, model.gamma, model.signal
    z = model.c + s / (a * tau[:, None])
    kappa = complex_kappa(model.covariance, gamma, z)
    inverse = 1 / (lam + kappa[..., None])
    left = (o * kappa / z)[..., None] * inverse
    total = np.zeros((tau.size, lam.size))
    for other, right in ((inverse, left), (np.conj(inverse), np.conj(left))):
        load = gamma * ((inverse * (w * lam**2)) @ np.swapaxes(other, -1, -2))
        total += 2 * np.real(np.einsum("tik,tik->tk", left, (1 / (1 - load)) @ right))
    return total * lam / a**2


def _best(lam: Floats, z: float) -> Floats:
    return np.asarray(lam / (lam + z))
