"""Mean and variance over training sets of a linear denoiser and of the sampling map, measured."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array, whole
from rfcore.model import LinearModel
from rfcore.simulation.linear_draws import Batch, Population, batches, population, standard_error
from rfcore.simulation.setting import Tensor
from rfcore.theory.linear_maps import MapMoments, map_interval

Filter = Callable[[Tensor], Tensor]


class Estimate(float):
    """A number with its standard error over draws."""

    standard_error: float

    def __new__(cls, value: float, standard_error: float) -> "Estimate":
        number = super().__new__(cls, value)
        number.standard_error = standard_error
        return number


def denoiser_moments(
    model: LinearModel,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    mean: str = "known",
) -> MapMoments:
    """Mean and variance of the denoiser S (S + c)^-1 over ``draws`` >= 2 training sets of n = round(d/gamma).

    The indices of the answer are the atoms of ``realized(model, d, x).covariance``, in the order of the
    question; an atom with several modes gets their average (j = k: of the same eigenvector).
    With ``x`` (N, d): modes are the eigenvectors of its covariance, variances come from disjoint subsets
    (2 n <= N) and so estimate those over independent sets; see :mod:`rfcore.simulation.linear_draws`.
    Parameters as in :func:`rfcore.simulation.linear.loss_curves`.  ``standard_error``: over draws.
    """
    p = population(model, d, device, x, mean)
    return _moments(p, lambda v: v / (v + p.model.c), draws, seed)


def sampling_map_moments(
    model: LinearModel,
    start_variance: float,
    end_variance: float = 0.0,
    *,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    mean: str = "known",
) -> MapMoments:
    """Mean and variance of ((S + s_0)/(S + T))^(1/2), T = start, s_0 = end; T = inf means (S + s_0)^(1/2).

    Answer, parameters and errors as in :func:`denoiser_moments`; bounds on T and s_0 as in the theory.
    """
    p = population(model, d, device, x, mean)
    return _moments(p, _sampling_filter(model, start_variance, end_variance), draws, seed)


def split_agreement(
    model: LinearModel,
    start_variance: float,
    end_variance: float = 0.0,
    *,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    mean: str = "known",
) -> Estimate:
    """Correlation of samples from two models trained on disjoint sets of n and started from the same noise.

    E Tr f(S_A) f(S_B)/E Tr f(S)^2 over ``draws`` pairs (A, B); independent sets, or with ``x`` disjoint
    subsets of the data set.  A float with an attribute ``standard_error``.
    """
    p, f = population(model, d, device, x, mean), _sampling_filter(model, start_variance, end_variance)
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
    group = _Groups(p)
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


class _Groups:
    """Averages over the modes of each atom: of a diagonal, and of a matrix over pairs j, k.

    An atom with itself stands for one and the same eigenvector: there only the diagonal counts.
    """

    def __init__(self, p: Population) -> None:
        count = np.bincount(p.atom)
        share = np.zeros((count.size, p.d))
        share[p.atom, np.arange(p.d)] = 1 / count[p.atom]
        self.single = bool(np.all(count == 1))
        self.share = torch.as_tensor(share, device=p.device)

    def diagonal(self, values: Tensor) -> Array:
        return np.asarray((values @ self.share.T).cpu().numpy())

    def pairs(self, matrices: Tensor) -> Array:
        grouped = self.share @ matrices @ self.share.T
        if not self.single:
            own = torch.diagonal(matrices, dim1=1, dim2=2) @ self.share.T
            grouped.diagonal(dim1=1, dim2=2).copy_(own)
        return np.asarray(grouped.cpu().numpy())


def _round_off(b: Batch, f: Filter) -> float:
    """Change of f by the round-off of an eigenvalue, the largest over eigenvalues."""
    d = b.values.shape[1]
    step = 2e-16 * math.sqrt(d) * b.values[:, -1:]
    return float((f(b.values + step) - f(b.values)).abs().max()) + 1e-15
