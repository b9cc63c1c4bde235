"""The partition function Z(z) = det(U - z)^(-1/2) of drawn Gaussian-equivalent matrices, many at a time."""

import math

import numpy as np
import numpy.typing as npt
import torch

from rfcore.checks import Array, finite_array, of_kind, refuse, whole
from rfcore.model import RandomFeatureModel
from rfcore.simulation.setting import available, sizes, tensor

BATCH = 4_000_000  # numbers per batch of features


def log_partition(
    model: RandomFeatureModel, z: npt.ArrayLike, d: int, seed: int, draws: int, device: str = "cpu"
) -> Array:
    """log Z(z) = -(1/2) log det(U - z) for ``draws`` Gaussian-equivalent matrices, (draws, *z.shape).

    Each draw has its own M, data (Gaussian, Sigma = diag(quantiles(d))) and, at finite m, noise; p and n
    are round(psi_p d) and round(psi_n d).  Another number of draws gives other matrices.

    Parameters
    ----------
    z : real numbers < 0, any shape

    Returns (draws, ...), with the shape of z.
    Raises ValueError for z >= 0, sizes that do not fit, and a device that this machine lacks.
    Twin of :func:`rfcore.theory.log_partition`, which gives the law of these numbers.

    Source: chapter 6 of the book.

    >>> model = rf.RandomFeatureModel(psi_p=2, psi_n=2, t=0.1)
    >>> measured = rf.simulation.log_partition(model, [-1.0, -2.0], d=8, draws=100, seed=0)
    >>> law = rf.theory.log_partition(model, [-1.0, -2.0], d=8)
    >>> measured.shape, bool(np.all(np.abs(measured.mean(axis=0) - law.mean) < 0.2))
    ((100, 2), True)
    """
    of_kind("model", model, RandomFeatureModel)
    points = finite_array("z", z)
    if not np.all(points < 0):
        raise refuse("z", float(points.max()), "numbers < 0")
    p, n = sizes(model, d)
    available(device)
    rng = np.random.default_rng(whole("seed", seed, least=0))
    rows = n if math.isinf(model.noise_draws) else n * int(model.noise_draws)
    batch = max(1, BATCH // ((p + d) * (rows + p)))
    values = []
    for start in range(0, whole("draws", draws), batch):
        U = _draw(model, d, p, n, min(batch, draws - start), rng, device)
        lam = torch.linalg.eigvalsh(U).cpu().numpy()
        values.append(-0.5 * np.log(lam[:, None, :] - points.reshape(-1, 1)).sum(axis=-1))
    return np.concatenate(values).reshape(draws, *points.shape)


def _draw(
    model: RandomFeatureModel, d: int, p: int, n: int, count: int, rng: np.random.Generator, device: str
) -> torch.Tensor:
    """``count`` matrices U, (count, p, p)."""
    c = model.constants

    def normal(*shape: int) -> torch.Tensor:
        return tensor(rng.standard_normal((count, *shape)), device)

    M = normal(p, d) / math.sqrt(d)
    x = normal(n, d) * tensor(np.sqrt(model.covariance.quantiles(d)), device)
    y = math.exp(-model.t) * c.a * x @ M.mT + math.sqrt(c.v2) * normal(n, p)
    if math.isinf(model.noise_draws):
        identity = torch.eye(p, dtype=M.dtype, device=M.device)
        return y.mT @ y / n + c.b**2 * M @ M.mT + c.s2 * identity
    m = int(model.noise_draws)
    noise = c.b * normal(n * m, d) @ M.mT + math.sqrt(c.s2) * normal(n * m, p)
    y = y.repeat_interleave(m, dim=1) + noise
    return y.mT @ y / (n * m)
