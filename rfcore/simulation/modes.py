"""Gradient flow mode by mode, measured: one draw of a network, or many training sets of a linear denoiser."""

import math
from typing import Unpack

import numpy as np
import numpy.typing as npt
import torch

from rfcore.answers import ModeCurves
from rfcore.checks import Array, finite_array, refuse, whole
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.simulation.dynamics import filters, flow
from rfcore.simulation.features import moments
from rfcore.simulation.linear_draws import (
    Batch,
    Groups,
    atoms,
    batches,
    population,
    round_off,
    standard_error,
)
from rfcore.simulation.linear_flow import in_modes
from rfcore.simulation.options import DrawOptions
from rfcore.simulation.setting import Tensor, tensor
from rfcore.theory.modes import flow_times


def random_feature_modes(
    model: RandomFeatureModel,
    tau: npt.ArrayLike,
    d: int,
    seed: int,
    features: str = "nonlinear",
    basis: npt.ArrayLike | None = None,
    **how: Unpack[DrawOptions],
) -> ModeCurves:
    """One draw of a network at dimension d, resolved along directions of the data.

    basis : (d, K), columns are the directions (orthonormal, or not).  Without it, and without data, they are
        the atoms of the covariance that occur at d, each the mean over its eigendirections; with data x the
        eigenvectors of the second moment of x_test.  Other parameters as in ``loss_curves``

    ``mean`` is 1 - e^T (V^T g Vt) e, the linear response on the test points.  For a single direction it
    fluctuates like d^(-1/2), for an atom of many directions like 1/d.
    ``best`` and ``times`` are those of Gaussian data with the variances of the directions.
    """
    times = finite_array("tau", tau)
    if times.size and times.min() < 0:
        raise refuse("tau", float(times.min()), "numbers >= 0")
    m = moments(model, d, seed, features, **how)
    directions, lam, share = _directions(model, d, how.get("device", "cpu"), how.get("x_test"), basis)
    f, c = flow(m, model.ridge), model.constants
    g = filters(f, times.ravel())
    own, first = f.projected @ directions, f.basis.T @ m.Vt @ directions
    second = f.basis.T @ m.Ut @ f.basis
    removed = g @ (own * first)
    kept = torch.stack([((row[:, None] * own) * (second @ (row[:, None] * own))).sum(dim=0) for row in g])
    fitted = (f.eigenvalues * g**2 - 2 * g) @ own**2
    curves = [1 - removed, m.noise_power + fitted, 1 - 2 * removed + kept]
    mean, train, test = ((v @ share).cpu().numpy().reshape(*times.shape, -1) for v in curves)
    z = math.expm1(2 * model.t)
    rate = 2 * model.delta * c.a**2 * (model.delta + math.exp(-2 * model.t) * lam)
    error = m.error + f.round_off
    return ModeCurves(times, lam, mean, train, test, lam / (lam + z), 1 / rate, error)


def linear_modes(
    model: LinearModel,
    tau: npt.ArrayLike,
    d: int,
    draws: int,
    seed: int,
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
) -> ModeCurves:
    """The modes of a linear denoiser during gradient flow, mean over training sets; tau = inf is allowed.

    Modes are the atoms of ``realized(model, d, x).covariance``; parameters as in
    :func:`rfcore.simulation.linear.loss_curves`, with a known mean.  With x the test loss is that on the
    whole data set.
    """
    p, times = population(model, d, device, x), flow_times(tau)
    group, rows, error = Groups(p), [], 0.0
    flat = torch.as_tensor(times.ravel(), device=device)[:, None]
    for b in batches(p, whole("draws", draws), whole("seed", seed, least=0)):
        rows.append(
            np.stack([group.diagonal(v) for v in _linear(model, b, flat, tensor(p.spectrum, device))])
        )
        error = max(error, round_off(b, b.values + model.c))
    values = np.concatenate(rows, axis=1)
    shape = (*times.shape, values.shape[-1])
    mean, train, test = (v.mean(axis=0).reshape(shape) for v in values)
    spread = [standard_error(v).reshape(shape) for v in values]
    lam = p.model.covariance.eigenvalues
    best, clock = lam / (lam + model.noise_variance), 1 / (model.signal * (lam + model.c))
    zero = np.zeros(lam.size)
    errors = ModeCurves(times, lam, spread[0], spread[1], spread[2], zero, zero, 0.0)
    return ModeCurves(times, lam, mean, train, test, best, clock, error, errors)


def _linear(model: LinearModel, b: Batch, flat: Tensor, spectrum: Tensor) -> list[Tensor]:
    """Mean, train and test loss of every mode of each training set, (B, T, d)."""
    a, noise = model.signal, model.noise
    m = a * (b.values + model.c)[:, None, :]
    h = -torch.expm1(-m * flat) / m
    removed = noise * in_modes(b.vectors, h)
    own = noise * in_modes(b.vectors, h**2 * (a * b.values[:, None, :] + noise))
    back = b.vectors.transpose(1, 2)
    crossed = [((b.vectors * h[:, t, None, :]) @ back) ** 2 @ spectrum for t in range(len(flat))]
    test = a * noise * torch.stack(crossed, dim=1) + noise**2 * in_modes(b.vectors, h**2)
    return [1 - removed, 1 - 2 * removed + own, 1 - 2 * removed + test]


def _directions(
    model: RandomFeatureModel, d: int, device: str, x_test: npt.ArrayLike | None, basis: npt.ArrayLike | None
) -> tuple[Tensor, Array, Tensor]:
    """Directions (d, J), variances (K,), and the averages over groups of directions, (J, K)."""
    if x_test is not None:
        points = finite_array("x_test", x_test, ndim=2)
        sigma = points.T @ points / len(points)
        chosen = np.linalg.eigh(sigma)[1] if basis is None else finite_array("basis", basis, ndim=2)
    else:
        sigma = np.diag(model.covariance.quantiles(d))
        chosen = np.eye(d) if basis is None else finite_array("basis", basis, ndim=2)
    if chosen.shape[0] != d:
        raise ValueError(f"basis has shape {chosen.shape}, which is not allowed: (d, K) with d = {d}")
    if basis is not None or x_test is not None:
        lam = np.einsum("ik,ij,jk->k", chosen, sigma, chosen)
        return tensor(chosen, device), lam, tensor(np.eye(chosen.shape[1]), device)
    atom = atoms(model.covariance, d)
    present, index = np.unique(atom, return_inverse=True)
    share = np.zeros((d, present.size))
    share[np.arange(d), index] = 1 / np.bincount(index)[index]
    return tensor(chosen, device), model.covariance.eigenvalues[present], tensor(share, device)
