"""The best filter, the best c and the best stopping time, measured on drawn training sets."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.checks import Array, whole
from rfcore.model import LinearModel
from rfcore.simulation.linear_draws import Population, batches, population, round_off, standard_error
from rfcore.theory.linear_filters import OptimalStopping, OracleFilter, best_time
from rfcore.theory.linear_optimal import OptimalNoise, Optimum, balance


@dataclass(frozen=True)
class _Spectra:
    """All training sets, (draws, d): eigenvalues of S, u^T Sigma u, u^T C u; error: round-off of S + c."""

    values: Array
    population: Array
    test: Array
    error: float


def oracle_filter(
    model: LinearModel,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> OracleFilter:
    """The best filter of the sample covariance: a value for each eigenvalue by rank, one for the null space.

    With q_i the mean over training sets of u_i^T C u_i for the i-th eigenvector, h_i = sqrt b/(a q_i + b) and
    loss = 1 - b mean_i 1/(a q_i + b).  Eigenvalues are means over training sets.  Parameters as in
    :func:`rfcore.simulation.linear.loss_curves`.

    Raises ValueError for sizes that do not fit.

    >>> oracle = rf.simulation.oracle_filter(rf.LinearModel(0.5, 0.1), d=16, draws=4, seed=0)
    >>> oracle.values.shape, oracle.loss < 1
    ((16,), True)
    """
    p = population(model, d, device, x)
    s = _spectra(p, draws, seed)
    a, b = model.signal, model.noise
    empty = s.values.max(axis=0) == 0
    energy = s.test.mean(axis=0)
    null_weight = float(empty.mean())
    null_energy = float(energy[empty].mean()) if empty.any() else math.nan
    energy[empty] = null_energy
    h = math.sqrt(b) / (a * energy + b)
    losses = 1 - 2 * math.sqrt(b) * h.mean() + ((a * s.test + b) * h**2).mean(axis=1)
    live = ~empty
    return OracleFilter(
        float(losses.mean()),
        s.values.mean(axis=0)[live],
        np.full(int(live.sum()), 1 / d),
        h[live],
        energy[live],
        null_weight,
        math.sqrt(b) / (a * null_energy + b),
        null_energy,
        s.error,
        float(standard_error(losses)),
    )


def optimal_stopping(
    model: LinearModel,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> OptimalStopping:
    """The time with the lowest mean test loss; parameters as in :func:`oracle_filter`.

    Raises ValueError for sizes that do not fit.

    >>> stop = rf.simulation.optimal_stopping(rf.LinearModel(2.0, 0.1), d=32, draws=4, seed=0)
    >>> print(f"{stop.test:.1f}", 0.5 < stop.tau < 2)
    0.9 True
    """
    p = population(model, d, device, x)
    s = _spectra(p, draws, seed)
    best = best_time(
        model, s.values.ravel(), np.full(s.values.size, 1 / s.values.size), s.test.ravel(), s.error
    )
    a, b = model.signal, model.noise
    m = a * (s.values + model.c)
    h = -np.expm1(-m * best.tau) / m
    losses = (1 - 2 * b * h + b * (a * s.test + b) * h**2).mean(axis=1)
    return OptimalStopping(
        best.tau, best.test, best.train, best.residual, best.error, float(standard_error(losses))
    )


def optimal_noise(
    model: LinearModel,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> OptimalNoise:
    """The c with the lowest mean test loss and mean divergences over training sets (the same c for all).

    Parameters as in :func:`rfcore.simulation.linear.loss_curves`, with a known mean.

    Raises ValueError for sizes that do not fit.

    >>> best = rf.simulation.optimal_noise(rf.LinearModel(0.5, 0.1), d=32, draws=4, seed=0)
    >>> best.test.c > best.data_to_generated.c > best.generated_to_data.c
    True
    """
    p = population(model, d, device, x)
    s, z, scale = _spectra(p, draws, seed), model.noise_variance, p.model.covariance.variance

    def test(c: float) -> tuple[float, float]:
        return float(((s.test + z) / (s.values + c) ** 3).mean()), float((1 / (s.values + c) ** 2).mean())

    def test_at(c: float) -> Array:
        level = s.values + c
        return np.asarray((1 - 2 * z / level + z * (s.test + z) / level**2).mean(axis=1))

    first = _optimum(test_at, *balance(test, z))
    if np.any(p.spectrum == 0):
        never = Optimum(math.nan, math.inf, 0.0)
        return OptimalNoise(first, never, never)
    inverse, log_sigma = float((1 / p.spectrum).mean()), float(np.log(p.spectrum).mean())

    def forward(c: float) -> tuple[float, float]:
        return inverse, float((1 / (s.values + c)).mean())

    def backward(c: float) -> tuple[float, float]:
        level = s.values + c
        return float((s.population / level**2).mean()), float((1 / level).mean())

    def forward_at(c: float) -> Array:
        # E tr Sigma^-1 S = 1 is exact and would only add noise.
        return np.asarray((c * inverse - np.log(s.values + c).mean(axis=1) + log_sigma) / 2)

    def backward_at(c: float) -> Array:
        level = s.values + c
        return np.asarray(((s.population / level + np.log(level)).mean(axis=1) - 1 - log_sigma) / 2)

    return OptimalNoise(
        first,
        _optimum(forward_at, *balance(forward, scale)),
        _optimum(backward_at, *balance(backward, scale)),
    )


def _optimum(values: Callable[[float], Array], c: float, residual: float) -> Optimum:
    at = values(c)
    return Optimum(c, float(at.mean()), residual, float(standard_error(at)))


def _spectra(p: Population, draws: int, seed: int) -> _Spectra:
    rows, error = [], 0.0
    for b in batches(p, whole("draws", draws), whole("seed", seed, least=0)):
        rows.append(np.stack([v.cpu().numpy() for v in (b.values, b.population, b.test)]))
        error = max(error, round_off(b, b.values + p.model.c))
    values, inside, test = np.concatenate(rows, axis=1)
    return _Spectra(values, inside, test, error)
