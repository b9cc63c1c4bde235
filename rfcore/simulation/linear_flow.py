"""The sampler of denoisers that are stopped early, measured on drawn training sets."""

import math

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import whole
from rfcore.model import LinearModel
from rfcore.simulation.linear_draws import Groups, batches, population, round_off, standard_error
from rfcore.simulation.setting import Tensor
from rfcore.theory.linear_sampler import StoppedSampler, sampler_start, stopped_log_variance
from rfcore.theory.modes import flow_times


def stopped_sampler(
    model: LinearModel,
    tau: npt.ArrayLike,
    start_variance: float,
    *,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> StoppedSampler:
    """The law N(mu, g(S)) that denoisers stopped at tau generate, means over training sets.

    g is the exact solution of the probability flow for the eigenvalues of each S, see
    :func:`rfcore.theory.linear_sampler.stopped_sampler`.  Parameters as in
    :func:`rfcore.simulation.linear.loss_curves`, with a known mean; tau = math.inf is allowed.

    Raises ValueError for sizes that do not fit, negative times, and unless T > s_0.

    >>> model = rf.LinearModel(gamma=0.5, noise_variance=0.01)
    >>> law = rf.simulation.stopped_sampler(model, [10.0, math.inf], 100.0, d=16, draws=2, seed=0)
    >>> law.variance.shape
    (2, 1)
    """
    p, times, start = population(model, d, device, x), flow_times(tau), sampler_start(model, start_variance)
    group, modes, divergences, error = Groups(p), [], [], 0.0
    spectrum = torch.as_tensor(p.spectrum, device=device)
    log_sigma = float(np.log(p.spectrum).mean()) if np.all(p.spectrum > 0) else math.nan
    for b in batches(p, whole("draws", draws), whole("seed", seed, least=0)):
        log_g = stopped_log_variance(model, b.values.cpu().numpy(), times.ravel(), start)
        g = torch.as_tensor(np.exp(log_g), device=device).movedim(0, 1)  # (B, T, d)
        modes.append(group.diagonal(in_modes(b.vectors, g)))
        precision = torch.einsum("bji,j->bi", b.vectors**2, 1 / spectrum)[:, None, :]
        log_det = torch.log(g).mean(dim=2)
        forward = ((precision * g).mean(dim=2) - 1 - log_det + log_sigma) / 2
        backward = ((b.population[:, None, :] / g).mean(dim=2) - 1 + log_det - log_sigma) / 2
        divergences.append(torch.stack([forward, backward], dim=1).cpu().numpy())
        error = max(error, round_off(b, b.values + model.c))
    mode, both = np.concatenate(modes), np.concatenate(divergences)
    if math.isnan(log_sigma):
        both = np.full_like(both, math.inf)
    answers = [
        StoppedSampler(
            times,
            modal.reshape(*times.shape, -1),
            pair[0].reshape(times.shape),
            pair[1].reshape(times.shape),
            size,
        )
        for modal, pair, size in (
            (standard_error(mode), np.nan_to_num(standard_error(both)), 0.0),
            (mode.mean(axis=0), both.mean(axis=0), error),
        )
    ]
    spread, centre = answers
    return StoppedSampler(
        times, centre.variance, centre.generated_to_data, centre.data_to_generated, error, spread
    )


def in_modes(vectors: Tensor, values: Tensor) -> Tensor:
    """Diagonal in the eigenbasis of Sigma of the matrices with eigenvalues (B, T, d), (B, T, d)."""
    return values @ (vectors**2).transpose(1, 2)
