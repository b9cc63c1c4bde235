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
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import refuse
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

    Parameters
    ----------
    features : "nonlinear", the true network, or "gaussian", its Gaussian equivalent
        phi = e^-t a M x + v omega_nu + b M xi + s omega_nu,j
    device : any torch device; the random numbers do not depend on it
    x, x_test : (n, d) training points and (N, d) test points, both or neither; the population
        average is then the mean over the test points (with exact noise).  Without them the data are
        Gaussian and the population matrices exact.

    Raises ValueError for sizes that do not fit, and as :func:`rfcore.simulation.noise.average`.
    """
    s = setting(model, d, seed, features, device, x, x_test)
    if x is not None and x_test is None:
        raise refuse("x_test", None, "test points (N, d) when x is given: the test loss needs them")
    U, V, power, error = training(s)
    Ut, Vt, error_test = population(s)
    Ue, Ve, error_fresh = (U, V, error) if model.noise_draws == math.inf else fresh_noise(s)
    p, n = s.M.shape[0], s.x.shape[0]
    signal = s.signal**2 * s.spectrum
    best = math.nan if s.x_test is not None else float((signal / (signal + model.delta)).mean())
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
    activate = pointwise(s.model.activation, s.model.constants.mean)
    c = s.model.constants
    if s.features == "gaussian":
        for x in torch.split(s.x, rows):  # the shared part comes first in the stream
            own.standard_normal((len(x), p))
    for _ in range(int(s.model.noise_draws)):
        shared = sample_parts(s, rows) if s.features == "gaussian" else None
        for x in torch.split(s.x, rows):
            xi = tensor(noise.standard_normal(x.shape), s.M.device)
            if shared is None:
                phi = activate((s.signal * x + s.width * xi) @ s.M.T)
            else:
                fresh = tensor(own.standard_normal((len(x), p)), s.M.device)
                phi = next(shared) + c.b * xi @ s.M.T + math.sqrt(c.s2) * fresh
            yield phi, xi


def sample_parts(s: Setting, rows: int) -> Iterator[Tensor]:
    """The twin's e^-t a M x_nu + v omega_nu, shared by all noise draws of a sample, ``rows`` at a time."""
    c, generator = s.model.constants, np.random.default_rng(s.omega_seed)
    for x in torch.split(s.x, rows):
        omega = tensor(generator.standard_normal((len(x), len(s.M))), s.M.device)
        yield s.signal * c.a * x @ s.M.T + math.sqrt(c.v2) * omega


def fresh_noise(s: Setting) -> tuple[Tensor, Tensor, float]:
    """U, V at m = infinity on the training points, and the error bound."""
    if s.features == "gaussian":
        c = s.model.constants
        sample = next(sample_parts(s, len(s.x)))
        U = sample.T @ sample / len(sample) + _per_draw(s)
        return U, c.b * s.M, 0.0
    return _over_points(s, s.x)


def population(s: Setting) -> tuple[Tensor, Tensor, float]:
    """Ut, Vt: exact for Gaussian data, mean over the test points where they are given."""
    c = s.model.constants
    if s.features == "gaussian":
        scaled = s.M * s.spectrum @ s.M.T if s.x_test is None else _square(s.M @ s.x_test.T) / len(s.x_test)
        per_sample = (s.signal * c.a) ** 2 * scaled + c.v2 * _identity(s)
        return per_sample + _per_draw(s), c.b * s.M, 0.0
    if s.x_test is not None:
        return _over_points(s, s.x_test)
    covariance = s.signal**2 * (s.M * s.spectrum) @ s.M.T + s.model.delta * _square(s.M)
    deviation = torch.sqrt(torch.diagonal(covariance))
    u = torch.zeros((1, len(s.M)), dtype=s.M.dtype, device=s.M.device)
    correlation = covariance / deviation / deviation[:, None]
    result = average(u, deviation, correlation, s.model.activation, c.mean)
    return result.second, s.width * (result.first / deviation)[:, None] * s.M, result.error


def _over_points(s: Setting, points: Tensor) -> tuple[Tensor, Tensor, float]:
    norm = torch.linalg.vector_norm(s.M, dim=1)
    direction = s.M / norm[:, None]
    u = s.signal * points @ s.M.T
    result = average(u, s.width * norm, direction @ direction.T, s.model.activation, s.model.constants.mean)
    return result.second, result.first[:, None] * direction, result.error


def _per_draw(s: Setting) -> Tensor:
    """C_h = b^2 M M^T + s^2, the covariance that the noise adds."""
    c = s.model.constants
    return c.b**2 * _square(s.M) + c.s2 * _identity(s)


def _square(matrix: Tensor) -> Tensor:
    return matrix @ matrix.T


def _identity(s: Setting) -> Tensor:
    return torch.eye(len(s.M), dtype=s.M.dtype, device=s.M.device)
