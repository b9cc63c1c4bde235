"""Losses and divergences of linear denoisers trained on drawn data, averaged over training sets."""

import math
from typing import Unpack

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import LossCurves, Minimizer
from rfcore.checks import Array, finite_array, refuse, whole
from rfcore.model import LinearModel
from rfcore.simulation.linear_draws import Batch, Population, batches, population, round_off, standard_error
from rfcore.simulation.options import SetOptions
from rfcore.simulation.setting import Tensor
from rfcore.theory._gaussian_only import gaussian_only
from rfcore.theory.linear import KL, lowest_loss


def loss_curves(
    model: LinearModel, tau: npt.ArrayLike, d: int, draws: int, seed: int, **how: Unpack[SetOptions]
) -> LossCurves:
    """Losses during gradient flow from W = 0, mean over ``draws`` training sets of n = round(d/gamma).

    test = 1 - 2 sqrt b tr h(S) + tr[(a C + b) h(S)^2], h(x) = sqrt b (1 - exp(-m tau))/m, m = a (x + c), with
    C the second moment of test points (Sigma, or that of the points left out) and C = S for the train loss.

    tau : times >= 0 of any shape
    how : :class:`SetOptions`; with a data set x the score error is nan

    ``error`` estimates round-off; ``standard_error`` holds the standard errors over draws (nan for one).
    Raises ValueError for sizes that do not fit and times that are negative or not finite.
    """
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    train, test, score, error = _losses(model, times.ravel(), d, draws, seed, **how)
    centre = [values.mean(axis=0).reshape(times.shape) for values in (train, test, score)]
    spread = [standard_error(values).reshape(times.shape) for values in (train, test, score)]
    zero = np.zeros(times.shape)
    errors = LossCurves(times, spread[0], spread[1], spread[0], spread[2], zero)
    return LossCurves(times, centre[0], centre[1], centre[0], centre[2], error.reshape(times.shape), errors)


def minimizer(model: LinearModel, d: int, draws: int, seed: int, **how: Unpack[SetOptions]) -> Minimizer:
    """Losses of W = (sqrt b/a)(S + c)^-1, mean over training sets; parameters as in :func:`loss_curves`."""
    train, test, score, error = _losses(model, np.array([math.inf]), d, draws, seed, **how)
    centre = [float(values.mean()) for values in (train, test, score)]
    spread = [float(standard_error(values)[0]) for values in (train, test, score)]
    errors = Minimizer(spread[0], spread[1], spread[0], spread[2], 0.0)
    return Minimizer(centre[0], centre[1], centre[0], centre[2], float(error[0]), errors)


def kl(model: LinearModel, d: int, draws: int, seed: int, **how: Unpack[SetOptions]) -> KL:
    """KL divergences per dimension of N(mu_0, S + c) and N(mu, Sigma), mean over training sets.

    mu_0 = mu for a known mean, else the mean of the training set.  With ``x``, mu and Sigma are mean and
    covariance of the whole data set.  inf where Sigma is singular: restrict to its range first
    (``rf.theory.restricted(model)``, ``rf.simulation.restricted(x)``).  Parameters as in :func:`loss_curves`.

    Raises ValueError for sizes that do not fit.  Source: Merger and Goldt (2025).

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=0.5)
    >>> measured = rf.simulation.kl(model, d=32, draws=8, seed=0).generated_to_data
    >>> abs(measured - rf.theory.kl(model).generated_to_data) < 0.02
    True
    """
    if how.get("x") is None:
        gaussian_only(model)
    p = population(model, d, **how)
    if np.any(p.spectrum == 0):
        return KL(math.inf, math.inf)
    spectrum = torch.as_tensor(p.spectrum, device=p.device)
    log_sigma, rows, error = float(np.mean(np.log(p.spectrum))), [], 0.0
    for b in batches(p, whole("draws", draws), whole("seed", seed, least=0)):
        level = b.values + p.model.c
        log_det = torch.log(level).mean(dim=1)
        # tr Sigma^-1 (S + c) in the eigenbasis of S, and |mu_0 - mu|^2 in both metrics.
        precision = torch.einsum("bji,j->bi", b.vectors**2, 1 / spectrum)
        forward = (precision * level).mean(dim=1) + (b.offset**2 / spectrum).mean(dim=1)
        turned = torch.einsum("bji,bj->bi", b.vectors, b.offset)
        backward = ((b.population + turned**2) / level).mean(dim=1)
        both = torch.stack([forward - 1 - log_det + log_sigma, backward - 1 + log_det - log_sigma], dim=1)
        rows.append((both / 2).cpu().numpy())
        error = max(error, round_off(b, level))
    values = np.concatenate(rows)
    spread = standard_error(values)
    errors = KL(float(spread[0]), float(spread[1]))
    centre = values.mean(axis=0)
    return KL(float(centre[0]), float(centre[1]), error, errors)


def _losses(
    model: LinearModel, tau: Array, d: int, draws: int, seed: int, **how: Unpack[SetOptions]
) -> tuple[Array, Array, Array, Array]:
    """Train, test and score error of each draw (draws, T), and the round-off (T,)."""
    p = population(model, d, **how)
    parts = [
        _batch_losses(p, b, tau) for b in batches(p, whole("draws", draws), whole("seed", seed, least=0))
    ]
    train, test, error = (np.concatenate([part[k] for part in parts]) for k in range(3))
    best = lowest_loss(p.model) if p.points is None else math.nan
    return train, test, (test - best) / p.model.noise, error.max(axis=0)


def _batch_losses(p: Population, b: Batch, tau: Array) -> tuple[Array, Array, Array]:
    a, noise = p.model.signal, p.model.noise
    m = a * (b.values + p.model.c)
    times = torch.as_tensor(tau, device=m.device)[:, None]
    h = math.sqrt(noise) * -torch.expm1(-m[:, None, :] * times) / m[:, None, :]  # (B, T, d)
    plain = 1 - 2 * math.sqrt(noise) * h.mean(dim=2)

    def loss(second: Tensor) -> Tensor:
        return plain + torch.einsum("btd,bd->bt", h**2, a * second + noise) / p.d

    train, test = loss(b.values), loss(b.test)
    error = 1e-15 * p.d**0.5 + torch.maximum(train, test) * 2 * round_off(b, b.values + p.model.c)
    return train.cpu().numpy(), test.cpu().numpy(), error.cpu().numpy()
