r"""The matrices of a random-feature network at finite d: U, V and their population versions.

phi(x) = sigma(M x) - c_0, M = W/sqrt(d) with independent standard Gaussian W (p, d), and

    U = (1/nm) sum phi phi^T (p, p)    V = (1/nm) sum phi xi^T (p, d)    Ut = E phi phi^T,  Vt = E phi xi^T

over n points x_nu and m noise draws each, x_t = e^-t x + sqrt(Delta) xi.  m = infinity is the exact
average over xi (no sampling), see :mod:`rfcore.simulation.noise`.

The mean that is subtracted is *one number*, c_0 = E sigma(Gamma^1/2 eta) with Gamma = e^-2t sigma_x^2
+ Delta of the model's law: the same for every feature, as in the Gaussian equivalence.  At finite d
the mean of a single feature differs from it because the rows of M have fluctuating norms; this
leaves a few outlier eigenvalues and an effect of O(1/d) on the losses.

Source: Bonnaire et al. (2025), sec. 3 and supplement A; George et al. (2025), sec. 3.

>>> rf.simulation.features.moments is rf.simulation.moments
True
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array, refuse
from rfcore.model import RandomFeatureModel
from rfcore.simulation.noise import average, pointwise
from rfcore.simulation.setting import Setting, Tensor, setting, tensor


@dataclass(frozen=True)
class Moments:
    """U, V, their population versions Ut, Vt, and Ue, Ve (fresh noise on the training points).

    Torch tensors, float64, on the device asked for.  ``noise_power`` is (1/dnm) sum ||xi||^2, the
    train loss of the zero score (1 for m = infinity).  ``error`` bounds the Frobenius error of U,
    Ut and Ue from the truncated series (0 for sampled or Gaussian features; round-off excluded).
    ``psi_p``, ``psi_n`` are the realised ratios p/d, n/d.  ``best`` is the loss of the exact score,
    nan for given data, whose score is not known.

    >>> drawn = rf.simulation.moments(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1), d=8, seed=0)
    >>> tuple(drawn.U.shape), tuple(drawn.V.shape), drawn.error < 1e-6
    ((32, 32), (32, 8), True)
    """

    U: Tensor
    V: Tensor
    Ut: Tensor
    Vt: Tensor
    Ue: Tensor
    Ve: Tensor
    delta: float
    psi_p: float
    psi_n: float
    noise_power: float
    error: float
    best: float


def moments(
    model: RandomFeatureModel,
    d: int,
    seed: int,
    features: str = "nonlinear",
    device: str = "cpu",
    x: npt.ArrayLike | None = None,
    x_test: npt.ArrayLike | None = None,
) -> Moments:
    """Draw a network and data at dimension d, and return all its matrices.

    features : "nonlinear", the true network, or "gaussian", its Gaussian equivalent
        phi = e^-t a M x + v omega_nu + b M xi + s omega_nu,j
    device, x, x_test : see :class:`DrawOptions`

    Raises ValueError for sizes that do not fit, and as :func:`rfcore.simulation.noise.average`.

    >>> drawn = rf.simulation.moments(rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1), d=8, seed=0)
    >>> drawn.psi_p, drawn.psi_n, drawn.noise_power
    (4.0, 2.0, 1.0)
    """
    s = setting(model, d, seed, features, device, x, x_test)
    if x is not None and x_test is None:
        raise refuse("x_test", None, "test points (N, d) when x is given: the test loss needs them")
    return of_setting(s)


def of_setting(s: Setting) -> Moments:
    """All matrices of one draw."""
    model, d = s.model, s.M.shape[1]
    U, V, power, error = training(s)
    Ut, Vt, error_test = population(s)
    Ue, Ve, error_fresh = (U, V, error) if model.noise_draws == math.inf else fresh_noise(s)
    p, n = s.M.shape[0], s.x.shape[0]
    best = math.nan if s.x_test is not None else _best(s)
    error = max(error, error_test, error_fresh)
    return Moments(U, V, Ut, Vt, Ue, Ve, model.delta, p / d, n / d, power, error, best)


def training(s: Setting) -> tuple[Tensor, Tensor, float, float]:
    """U, V, noise power and error bound of the training set with the model's m."""
    if s.model.noise_draws == math.inf:
        U, V, error = fresh_noise(s)
        return U, V, 1.0, error
    (n, d), m = s.x.shape, int(s.model.noise_draws)
    U, V, power = s.M.new_zeros((len(s.M),) * 2), torch.zeros_like(s.M), 0.0
    for phi, xi in draws(s):
        U += phi.T @ phi / (n * m)
        V += phi.T @ xi / (n * m)
        power += float((xi**2).sum()) / (d * n * m)
    return U, V, power, 0.0


def draws(s: Setting, rows: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over the m noise draws: features phi (n, p) and noise xi (n, d) of each.

    rows : if given, each draw comes in parts of so many samples, with the same numbers
    """
    rows, p = rows or len(s.x), len(s.M)
    noise, own = np.random.default_rng(s.noise_seed), np.random.default_rng(s.omega_seed)
    activate = pointwise(s.model.activation, s.model.scale_constants.mean)
    if s.features == "gaussian":
        for x in torch.split(s.x, rows):  # the shared part comes first in the stream
            own.standard_normal((len(x), p))
    for _ in range(int(s.model.noise_draws)):
        shared = sample_parts(s, rows) if s.features == "gaussian" else None
        scale = _gains(s, rows, "noise")
        for x in torch.split(s.x, rows):
            xi = tensor(noise.standard_normal(x.shape), s.M.device)
            if shared is None:
                phi = activate((s.signal * x + s.width * xi) @ s.M.T)
            else:
                fresh = tensor(own.standard_normal((len(x), p)), s.M.device)
                b, omega = next(scale)
                phi = next(shared) + b * xi @ s.M.T + omega * fresh
            yield phi, xi


def sample_parts(s: Setting, rows: int) -> Iterator[Tensor]:
    """The twin's e^-t a M x_nu + v omega_nu, shared by all noise draws of a sample, ``rows`` at a time."""
    generator = np.random.default_rng(s.omega_seed)
    for x, (a, v) in zip(torch.split(s.x, rows), _gains(s, rows, "sample"), strict=True):
        omega = tensor(generator.standard_normal((len(x), len(s.M))), s.M.device)
        yield s.signal * a * x @ s.M.T + v * omega


def _gains(s: Setting, rows: int, part: str) -> Iterator[tuple[Any, Any]]:
    """The factors a, v ("sample") or b, s ("noise") of the samples, ``rows`` at a time: one number without
    a scale law, else columns (rows, 1)."""
    c = s.model.scale_constants
    pair = (c.a, np.sqrt(c.v2)) if part == "sample" else (c.b, np.sqrt(c.s2))
    for first in range(0, len(s.x), rows):
        if s.model.scale is None or s.atom is None:
            yield float(pair[0][0]), float(pair[1][0])
        else:
            atom = s.atom[first : first + rows]
            one, two = (tensor(f[atom][:, None], s.M.device) for f in pair)
            yield one, two


def fresh_noise(s: Setting) -> tuple[Tensor, Tensor, float]:
    """U, V at m = infinity on the training points, and the error bound."""
    if s.features == "gaussian":
        sample = next(sample_parts(s, len(s.x)))
        share = None if s.atom is None else np.bincount(s.atom, minlength=s.model.scale_constants.b.size)
        weights = None if share is None else share / len(s.x)
        U = sample.T @ sample / len(sample) + _per_draw(s, weights)
        return U, _mean(s, "b", weights) * s.M, 0.0
    return over_points(s, s.x)


def population(s: Setting) -> tuple[Tensor, Tensor, float]:
    """Ut, Vt: exact for Gaussian data, mean over the test points where they are given."""
    if s.features == "gaussian":
        scaled = s.M * s.spectrum @ s.M.T if s.x_test is None else _square(s.M @ s.x_test.T) / len(s.x_test)
        per_sample = _mean(s, "alpha2") * scaled + _mean(s, "v2") * _identity(s)
        return per_sample + _per_draw(s), _mean(s, "b") * s.M, 0.0
    if s.x_test is not None:
        return over_points(s, s.x_test)
    weights = s.model.scale_constants.weights
    parts = [population_of_scale(s, k) for k in range(weights.size)]
    second, first = (sum(w * part[i] for w, part in zip(weights, parts, strict=True)) for i in (0, 1))
    return second, first, max(part[2] for part in parts)


def population_of_scale(s: Setting, k: int) -> tuple[Tensor, Tensor, float]:
    """E phi phi^T and E phi xi^T over Gaussian data of the scale of atom k, exactly, and the error bound."""
    tau = 1.0 if s.model.scale is None else float(s.model.scale.values[k])
    covariance = s.signal**2 * tau * (s.M * s.spectrum) @ s.M.T + s.model.delta * _square(s.M)
    deviation = torch.sqrt(torch.diagonal(covariance))
    u = torch.zeros((1, len(s.M)), dtype=s.M.dtype, device=s.M.device)
    u = u if s.shift is None else u + s.shift
    correlation = covariance / deviation / deviation[:, None]
    result = average(u, deviation, correlation, s.model.activation, s.model.scale_constants.mean)
    return result.second, s.width * (result.first / deviation)[:, None] * s.M, result.error


def over_points(s: Setting, points: Tensor) -> tuple[Tensor, Tensor, float]:
    """U, V at m = infinity of the network at the points, and the error bound."""
    norm = torch.linalg.vector_norm(s.M, dim=1)
    direction = s.M / norm[:, None]
    u = s.signal * points @ s.M.T
    u = u if s.shift is None else u + s.shift
    result = average(
        u, s.width * norm, direction @ direction.T, s.model.activation, s.model.scale_constants.mean
    )
    return result.second, result.first[:, None] * direction, result.error


def _per_draw(s: Setting, weights: Array | None = None) -> Tensor:
    """C_h = b^2 M M^T + s^2, the covariance that the noise adds, mean over scales of given weights."""
    return _mean(s, "b2", weights) * _square(s.M) + _mean(s, "s2", weights) * _identity(s)


def _mean(s: Setting, name: str, weights: Array | None = None) -> float:
    """Mean over scales of a constant; weights of the law unless others are given."""
    c = s.model.scale_constants
    values = c.b**2 if name == "b2" else getattr(c, name)
    return float((c.weights if weights is None else weights) @ values)


def _best(s: Setting) -> float:
    """Loss of the exact score."""
    tau = np.ones(1) if s.model.scale is None else s.model.scale.values
    signal = s.signal**2 * tau[:, None] * s.spectrum.cpu().numpy()
    return float(s.model.scale_constants.weights @ (signal / (signal + s.model.delta)).mean(axis=1))


def _square(matrix: Tensor) -> Tensor:
    return matrix @ matrix.T


def _identity(s: Setting) -> Tensor:
    return torch.eye(len(s.M), dtype=s.M.dtype, device=s.M.device)
