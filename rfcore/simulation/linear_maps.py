"""Mean and variance over training sets of a linear denoiser and of the sampling map, measured."""

import math
from collections.abc import Callable
from typing import Unpack

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import of_kind, whole
from rfcore.model import LinearModel
from rfcore.simulation.linear_draws import (
    Batch,
    Groups,
    Population,
    batches,
    population,
    standard_error,
)
from rfcore.simulation.options import SetOptions
from rfcore.simulation.setting import Tensor
from rfcore.theory.linear_maps import MapMoments, map_interval, power
from rfcore.theory.linear_variance import VarianceFactors, coordinates

Filter = Callable[[Tensor], Tensor]


class Estimate(float):
    """A number with its standard error over draws: a float that has ``standard_error``.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> measured = rf.simulation.split_agreement(model, math.inf, d=16, draws=4, seed=0)
    >>> measured + 0.0 == float(measured), measured.standard_error > 0
    (True, True)
    """

    standard_error: float

    def __new__(cls, value: float, standard_error: float) -> "Estimate":
        number = super().__new__(cls, value)
        number.standard_error = standard_error
        return number


def denoiser_moments(
    model: LinearModel, d: int, draws: int, seed: int, **how: Unpack[SetOptions]
) -> MapMoments:
    """Mean and variance of the denoiser S (S + c)^-1 over ``draws`` >= 2 training sets of n = round(d/gamma).

    The indices of the answer are the atoms of ``realized(model, d, x).covariance``, in the order of the
    question; an atom with several modes gets their average (j = k: of the same eigenvector).
    With ``x`` (N, d): modes are the eigenvectors of its covariance, variances come from disjoint subsets
    (2 n <= N) and so estimate those over independent sets; see :mod:`rfcore.simulation.linear_draws`.
    Parameters as in :func:`rfcore.simulation.linear.loss_curves`.  ``standard_error``: over draws.

    Raises ValueError for fewer than two draws and for sizes that do not fit.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> moments = rf.simulation.denoiser_moments(model, d=32, draws=8, seed=0)
    >>> bool(abs(moments.mean[0] - rf.theory.denoiser_moments(model).mean[0]) < 0.02)
    True
    """
    p = population(model, d, **how)
    return _moments(p, lambda v: v / (v + p.model.c), draws, seed)


def sampling_map_moments(
    model: LinearModel,
    start_variance: float,
    end_variance: float = 0.0,
    *,
    d: int,
    draws: int,
    seed: int,
    **how: Unpack[SetOptions],
) -> MapMoments:
    """Mean and variance of ((S + s_0)/(S + T))^(1/2), T = start, s_0 = end; T = inf means (S + s_0)^(1/2).

    Answer, parameters and errors as in :func:`denoiser_moments`; bounds on T and s_0 as in the theory.

    Raises ValueError unless 0 <= s_0 < T, for a ridge, for fewer than two draws and for sizes that do not
    fit.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> rf.simulation.sampling_map_moments(model, 100.0, 0.01, d=16, draws=4, seed=0).mean.shape
    (1,)
    """
    p = population(model, d, **how)
    return _moments(p, _sampling_filter(model, start_variance, end_variance), draws, seed)


def power_moments(
    model: LinearModel, alpha: float, *, d: int, draws: int, seed: int, **how: Unpack[SetOptions]
) -> MapMoments:
    """Mean and variance of S^alpha, 0 < alpha < 1; answer and parameters as in :func:`denoiser_moments`.

    Raises ValueError unless 0 < alpha < 1, for fewer than two draws and for sizes that do not fit.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> moments = rf.simulation.power_moments(model, 0.5, d=32, draws=8, seed=0)
    >>> bool(abs(moments.mean[0] - rf.theory.power_moments(model, 0.5).mean[0]) < 0.02)
    True
    """
    exponent = power(alpha)
    return _moments(population(model, d, **how), lambda v: v**exponent, draws, seed)


def generated_covariance(
    model: LinearModel,
    start_variance: float,
    end_variance: float = 0.0,
    *,
    d: int,
    draws: int,
    seed: int,
    **how: Unpack[SetOptions],
) -> MapMoments:
    """Mean and variance of the covariance T f(S)^2 of the samples of one model, f the sampling map.

    T = inf: f(S)^2.  Answer and parameters as in :func:`denoiser_moments`.

    Raises what :func:`sampling_map_moments` raises.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> moments = rf.simulation.generated_covariance(model, math.inf, d=32, draws=8, seed=0)
    >>> bool(abs(moments.mean[0] - 1) < 0.05)
    True
    """
    of_kind("model", model, LinearModel)
    f, start = _sampling_filter(model, start_variance, end_variance), float(start_variance)
    scale = 1.0 if math.isinf(start) else start
    return _moments(population(model, d, **how), lambda v: scale * f(v) ** 2, draws, seed)


def variance_factors(
    model: LinearModel,
    direction: npt.ArrayLike,
    point: npt.ArrayLike,
    *,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> VarianceFactors:
    """n Var(v . D x) of the denoiser D = S (S + c)^-1; its factors are not measured (nan).

    direction, point : v and x, (..., K) coordinates along one unit eigenvector of each atom of
    ``realized(model, d, x).covariance`` (the first of several).  Other parameters as in
    :func:`denoiser_moments`, with a known mean.

    Raises ValueError for another last axis than K, fewer than two draws, and sizes that do not fit.

    >>> model = rf.LinearModel(0.5, 1.0, covariance=rf.Covariance([4.0, 0.25]))
    >>> measured = rf.simulation.variance_factors(model, [1, 0], [1, 0], d=16, draws=4, seed=0)
    >>> measured.scaled_variance.shape
    ()
    """
    p, c = population(model, d, device, x), model.c
    size = p.model.covariance.eigenvalues.size
    v, at = np.broadcast_arrays(coordinates("direction", direction, size), coordinates("point", point, size))
    first = torch.as_tensor(np.unique(p.atom, return_index=True)[1], device=device)
    flat = [torch.as_tensor(array.reshape(-1, size).copy(), device=device) for array in (v, at)]
    squares, error = [], 0.0
    for b in batches(p, whole("draws", draws, least=2), whole("seed", seed, least=0), disjoint=2):
        left, right = (part @ b.vectors[:, first] for part in flat)  # (B, M, d)
        values = torch.einsum("bmi,bi,bmi->bm", left, b.values / (b.values + c), right)
        if len(values) > 1:
            deviation = (values - values.mean(dim=0)) ** 2 * (len(values) / (len(values) - 1))
            squares.append(deviation.cpu().numpy())
        error = max(error, _round_off(b, lambda w: w / (w + c)))
    square, shape = np.concatenate(squares), v.shape[:-1]
    never, spread = np.full(shape, math.nan), p.n * standard_error(square).reshape(shape)
    total = p.n * square.mean(axis=0).reshape(shape)
    return VarianceFactors(total, math.nan, never, never, never, error, spread)


def split_agreement(
    model: LinearModel,
    start_variance: float,
    end_variance: float = 0.0,
    *,
    d: int,
    draws: int,
    seed: int,
    **how: Unpack[SetOptions],
) -> Estimate:
    """Correlation of samples from two models trained on disjoint sets of n and started from the same noise.

    E Tr f(S_A) f(S_B)/E Tr f(S)^2 over ``draws`` pairs (A, B); independent sets, or with ``x`` disjoint
    subsets of the data set.  A float with an attribute ``standard_error``.

    Raises what :func:`sampling_map_moments` raises.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=1.0)
    >>> measured = rf.simulation.split_agreement(model, math.inf, d=32, draws=8, seed=0)
    >>> abs(measured - rf.theory.split_agreement(model, math.inf)) < 0.02
    True
    """
    p, f = population(model, d, **how), _sampling_filter(model, start_variance, end_variance)
    rows = []
    for b in batches(p, 2 * whole("draws", draws), whole("seed", seed, least=0), disjoint=2):
        scale = f(b.values)
        maps = (b.vectors * scale[:, None, :]) @ b.vectors.transpose(1, 2)
        cross = (maps[::2] * maps[1::2]).sum(dim=(1, 2))
        own = (scale**2).sum(dim=1)
        rows.append(torch.stack([cross, (own[::2] + own[1::2]) / 2], dim=1).cpu().numpy())
    values = np.concatenate(rows)
    cross, own = values.mean(axis=0)
    ratio = float(cross / own)
    # The error of a ratio of means, to first order.
    return Estimate(ratio, float(standard_error(values[:, 0] - ratio * values[:, 1]) / own))


def _sampling_filter(model: LinearModel, start: float, end: float) -> Filter:
    start, end = map_interval(model, start, end)
    if math.isinf(start):
        return lambda v: torch.sqrt(v + end)
    return lambda v: torch.sqrt((v + end) / (v + start))


def _moments(p: Population, f: Filter, draws: int, seed: int) -> MapMoments:
    means, squares, error = [], [], 0.0
    group = Groups(p)
    for b in batches(p, whole("draws", draws, least=2), whole("seed", seed, least=0), disjoint=2):
        maps = (b.vectors * f(b.values)[:, None, :]) @ b.vectors.transpose(1, 2)
        means.append(group.diagonal(torch.diagonal(maps, dim1=1, dim2=2)))
        count = len(maps)
        if count > 1:
            deviation = (maps - maps.mean(dim=0)) ** 2 * (count / (count - 1))
            squares.append(group.pairs(deviation))
        error = max(error, _round_off(b, f))
    mean, square = np.concatenate(means), np.concatenate(squares)
    scaled, spread = p.n * square.mean(axis=0), p.n * standard_error(square)
    errors = MapMoments(standard_error(mean), spread, 0.0)
    return MapMoments(mean.mean(axis=0), scaled, error, errors)


def _round_off(b: Batch, f: Filter) -> float:
    """Change of f by the round-off of an eigenvalue, the largest over eigenvalues."""
    d = b.values.shape[1]
    step = 2e-16 * math.sqrt(d) * b.values[:, -1:]
    return float((f(b.values + step) - f(b.values)).abs().max()) + 1e-15
