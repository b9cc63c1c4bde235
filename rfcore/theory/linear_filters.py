r"""Spectral filters W = h(S) of a linear denoiser at d = infinity: the best of all, and gradient flow.

Ridge, gradient flow and any other way to train without looking at the test set give a function of the
sample covariance.  Its loss needs two things of each eigenvector u of S: its eigenvalue x, and the
variance of the data along it, xi(x) = u^T Sigma u,

    test = 1 - 2 sqrt b E h(x) + E[(a xi(x) + b) h(x)^2],

and both are known at d = infinity: xi(x) = |kappa(-x - i0)|^2/x, and in the null space of S, where
n < rank, xi(0) = kappa_0/(gamma - 1) for a Sigma of full rank.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from rfcore.checks import of_kind
from rfcore.model import LinearModel
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory.linear_spectrum import SpectralRule, spectral_rule

Floats = npt.NDArray[np.float64]
PER_DECADE = 8


@dataclass(frozen=True, eq=False)
class OracleFilter:
    """The best of all filters W = h(S), see :func:`oracle_filter`.

    loss : its test loss; error : of the spectral average
    eigenvalues : (Q,) x, ascending; weights : (Q,) share of the d eigenvalues at each; values : (Q,) h*(x)
    energy : (Q,) xi(x); null_weight, null_value, null_energy : the same at x = 0 (nan where n >= d)
    standard_error : of the loss over draws, for a simulation

    >>> oracle = rf.theory.oracle_filter(rf.LinearModel(gamma=0.5, noise_variance=0.1))
    >>> print(f"{oracle.loss:.4f} {oracle.weights.sum():.6f}")
    0.9091 1.000000
    """

    loss: float
    eigenvalues: Floats
    weights: Floats
    values: Floats
    energy: Floats
    null_weight: float
    null_value: float
    null_energy: float
    error: float
    standard_error: float | None = None


@dataclass(frozen=True)
class OptimalStopping:
    """The training time with the lowest test loss, and the losses there.

    tau : math.inf where training longer is always better; residual : the slope d test/d log tau at tau
    error : of the spectral average; standard_error : of ``test`` over draws, for a simulation

    >>> stop = rf.theory.optimal_stopping(rf.LinearModel(gamma=2.0, noise_variance=0.1))
    >>> print(f"tau = {stop.tau:.3f}, test {stop.test:.4f}, train {stop.train:.4f}")
    tau = 1.122, test 0.9211, train 0.8750
    """

    tau: float
    test: float
    train: float
    residual: float
    error: float
    standard_error: float | None = None


def oracle_filter(model: LinearModel) -> OracleFilter:
    """The filter W = h*(S) with the lowest test loss: a bound on every ridge and every stopping time.

        h*(x) = sqrt b/(a xi(x) + b),   loss = 1 - b E[1/(a xi + b)],   xi(x) = |kappa(-x - i0)|^2/x

    The ridge of the question does not enter.  Source: chapter 11 of the book; for the estimation of
    covariances, Ledoit and Peche (2011).

    Raises nothing for a valid question.

    >>> model = rf.LinearModel(gamma=2.0, noise_variance=0.1)
    >>> rf.theory.oracle_filter(model).loss < rf.theory.optimal_stopping(model).test
    True
    """
    of_kind("model", model, LinearModel)
    rule, (share, null) = spectral_rule(model.covariance, model.gamma), _shares(model)
    a, b = model.signal, model.noise
    level = a * rule.energy + b
    null_level = a * rule.null_energy + b
    loss = 1 - b * float(share @ (1 / level)) - (b * null / null_level if null > 0 else 0.0)
    return OracleFilter(
        loss,
        rule.x,
        share,
        math.sqrt(b) / level,
        rule.energy,
        null,
        math.sqrt(b) / null_level,
        rule.null_energy,
        rule.error,
    )


def optimal_stopping(model: LinearModel) -> OptimalStopping:
    """The stopping time of gradient flow from W = 0 with the lowest test loss, at the ridge of the question.

    The condition d test/dtau = 0 is E[e^(-m tau) ((a xi + b)(1 - e^(-m tau))/m - 1)] = 0; a grid of eight
    times a decade finds the valley, Brent's method the root (relative accuracy 1e-12).
    Source: chapter 11 of the book.
    """
    rule, (share, null) = spectral_rule(model.covariance, model.gamma), _shares(model)
    return best_time(model, *_with_null(rule, share, null), rule.error)


def best_time(model: LinearModel, x: Floats, weight: Floats, energy: Floats, error: float) -> OptimalStopping:
    """The best stopping time for eigenvalues x (Q,) of given weights (sum 1) and energies u^T Sigma u."""
    a, b = model.signal, model.noise
    m, level = a * (x + model.c), a * energy + b

    def losses(tau: float) -> tuple[float, float]:
        h = -np.expm1(-m * tau) / m
        plain = 1 - 2 * b * float(weight @ h)
        return plain + b * float(weight @ (level * h**2)), plain + b * float(weight @ ((a * x + b) * h**2))

    def slope(log_tau: float) -> float:
        tau = math.exp(log_tau)
        rest = np.exp(-m * tau)
        return 2 * b * tau * float(weight @ (rest * (level * (1 - rest) / m - 1)))

    low, high = 1e-2 / float(m.max()), 40 / float(m.min())
    grid = np.linspace(math.log(low), math.log(high), math.ceil(PER_DECADE * math.log10(high / low)))
    # Valleys by the sign of the slope: where the loss is flat to round-off, its own least value is chance.
    rising = np.array([slope(log_tau) > 0 for log_tau in grid])
    valleys = [
        math.exp(float(brentq(slope, grid[k], grid[k + 1], xtol=1e-13)))
        for k in np.flatnonzero(~rising[:-1] & rising[1:])
    ]
    best, end = min(valleys, key=lambda tau: losses(tau)[0], default=math.inf), losses(math.inf)
    if end[0] <= losses(best)[0]:
        return OptimalStopping(math.inf, *end, 0.0, error)
    return OptimalStopping(best, *losses(best), abs(slope(math.log(best))), error)


def _shares(model: LinearModel) -> tuple[Floats, float]:
    """Share of the eigenvalues at each node and at 0."""
    gaussian_only(model)
    rule, w = spectral_rule(model.covariance, model.gamma), model.covariance.weights
    return w @ rule.weights, float(w @ rule.zero)


def _with_null(rule: SpectralRule, share: Floats, null: float) -> tuple[Floats, Floats, Floats]:
    """x, weight and xi with the null space as one more node."""
    if null == 0:
        return rule.x, share, rule.energy
    return np.append(0.0, rule.x), np.append(null, share), np.append(rule.null_energy, rule.energy)
