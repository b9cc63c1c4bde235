r"""The Jacobian of a denoiser, its eigenbasis, and what it keeps of each direction.

A network that predicts noise is, at noise variance z = e^2t - 1 added to the data, the denoiser

    D(y) = y - sqrt z eps(x_t),   y = e^t x_t,   J = dD/dy = 1 - sqrt Delta d eps/dx_t .

The exact denoiser of any law has J = Cov(x | y)/z: symmetric, with eigenvalues >= 0, what it keeps of each
direction next to y.  A Gaussian law has J = Sigma (Sigma + z)^-1 everywhere (Wiener).
Source: Kadkhodaie, Guth, Simoncelli and Mallat (2024), sec. 3, for reading networks by their Jacobian.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rfcore.checks import refuse, whole
from rfcore.images.schedule import clock

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """The symmetric parts of m Jacobians in their own bases.

    factors : (m, d) eigenvalues, descending; vectors : (m, d, d), columns
    asymmetry : (m,) norm of the antisymmetric part over that of J
    """

    factors: Array
    vectors: Array
    asymmetry: Array


def denoiser_jacobian(
    network: nn.Module, noisy: torch.Tensor, index: int, labels: torch.Tensor | None = None
) -> Array:
    """J at the noisy pictures x_t (m, C, H, W) of a whole index of the schedule, (m, d, d), d = C H W.

    One backward pass for each of the d outputs, all pictures at once.  Raises ValueError for another shape.
    """
    if noisy.ndim != 4:
        raise refuse("shape of noisy", tuple(noisy.shape), "(m, C, H, W)")
    k = whole("index", index, least=0)
    width = math.sqrt(-math.expm1(-2 * float(clock(k))))
    mode = network.training
    network.eval()
    try:
        with torch.enable_grad():
            x = noisy.detach().clone().requires_grad_(True)
            eps = network(x, torch.full((len(x),), k, device=x.device), labels).flatten(1).sum(dim=0)
            rows = [torch.autograd.grad(each, x, retain_graph=True)[0].flatten(1) for each in eps]
    finally:
        network.train(mode)
    slope = torch.stack(rows, dim=1).double().cpu().numpy()
    return np.asarray(np.eye(slope.shape[1]) - width * slope)


def shrinkage(jacobians: Array) -> Shrinkage:
    """Eigenvalues and eigenvectors of (J + J^T)/2 for each J of (m, d, d)."""
    turned = np.swapaxes(jacobians, 1, 2)
    values, vectors = np.linalg.eigh((jacobians + turned) / 2)
    odd = np.linalg.norm(jacobians - turned, axis=(1, 2)) / 2
    size = np.linalg.norm(jacobians, axis=(1, 2))
    return Shrinkage(values[:, ::-1], vectors[:, :, ::-1], odd / size)


def in_basis(jacobians: Array, basis: Array) -> tuple[Array, Array]:
    """e_k^T J e_k for the columns of an orthonormal basis, (m, d), and their share of ||J||^2, (m,)."""
    diagonal = np.einsum("ik,mij,jk->mk", basis, jacobians, basis, optimize=True)
    return diagonal, np.sum(diagonal**2, axis=1) / np.sum(jacobians**2, axis=(1, 2))
