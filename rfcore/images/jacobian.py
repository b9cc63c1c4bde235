r"""The Jacobian of a denoiser, its eigenbasis, and what it keeps of each direction.

A network that predicts noise is, at noise variance z = e^2t - 1 added to the data, the denoiser

    D(y) = y - sqrt z eps(x_t),   y = e^t x_t,   J = dD/dy = 1 - sqrt Delta d eps/dx_t .

The exact denoiser of any law has J = Cov(x | y)/z: symmetric, with eigenvalues >= 0, what it keeps of each
direction next to y.  A Gaussian law has J = Sigma (Sigma + z)^-1 everywhere (Wiener).
Source: Kadkhodaie, Guth, Simoncelli and Mallat (2024), sec. 3, for reading networks by their Jacobian.

>>> rf.images.jacobian.shrinkage is rf.images.shrinkage
True
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

    >>> own = rf.images.shrinkage(np.diag([0.2, 0.9])[None])
    >>> own.factors.tolist(), own.asymmetry.tolist()
    ([[0.9, 0.2]], [0.0])
    """

    factors: Array
    vectors: Array
    asymmetry: Array


def denoiser_jacobian(
    network: nn.Module, noisy: torch.Tensor, index: int, labels: torch.Tensor | None = None
) -> Array:
    """J at noisy pictures, by one backward pass for each of the d outputs, all pictures at once.

    network : predicts the noise, called as network(x, index, labels)
    noisy : (m, C, H, W), pictures x_t of a noise level; index : that of the level in the schedule, whole
    labels : (m,) classes of the pictures, for a network with classes

    Returns (m, d, d), d = C H W.  Raises ValueError for another shape of pictures, and for an index that is
    not a whole number from 0 to 999.
    Source: Kadkhodaie, Guth, Simoncelli and Mallat (2024).

    >>> import torch
    >>> wiener = rf.images.LinearDenoiser(np.zeros(4), np.eye(4), (1, 2, 2))
    >>> noisy = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    >>> kept = rf.images.denoiser_jacobian(wiener, noisy, 100)[0]
    >>> bool(np.allclose(kept, rf.images.ABAR[100] * np.eye(4)))
    True
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
    """Eigenvalues and eigenvectors of (J + J^T)/2, and how far each J is from symmetric.

    jacobians : (m, d, d), as from :func:`denoiser_jacobian`.  Returns a :class:`Shrinkage`.
    Raises ValueError for another shape.
    Source: Kadkhodaie, Guth, Simoncelli and Mallat (2024).

    >>> own = rf.images.shrinkage(np.array([[[0.5, 0.3], [0.1, 0.5]]]))
    >>> print(own.factors.round(2).tolist(), own.asymmetry.round(2).tolist())
    [[0.7, 0.3]] [0.18]
    """
    _square(jacobians)
    turned = np.swapaxes(jacobians, 1, 2)
    values, vectors = np.linalg.eigh((jacobians + turned) / 2)
    odd = np.linalg.norm(jacobians - turned, axis=(1, 2)) / 2
    size = np.linalg.norm(jacobians, axis=(1, 2))
    return Shrinkage(values[:, ::-1], vectors[:, :, ::-1], odd / size)


def in_basis(jacobians: Array, basis: Array) -> tuple[Array, Array]:
    """What Jacobians keep of each direction of a basis, and how nearly diagonal they are in it.

    jacobians : (m, d, d); basis : (d, d), orthonormal columns e_k
    Returns e_k^T J e_k, (m, d), and their share of ||J||^2, (m,).  Raises ValueError for other shapes.
    Source: Kadkhodaie, Guth, Simoncelli and Mallat (2024).

    >>> kept, share = rf.images.in_basis(np.array([[[0.5, 0.3], [0.1, 0.5]]]), np.eye(2))
    >>> print(kept.tolist(), share.round(2).tolist())
    [[0.5, 0.5]] [0.83]
    """
    _square(jacobians)
    if np.shape(basis) != np.shape(jacobians)[1:]:
        raise refuse("shape of basis", np.shape(basis), f"{np.shape(jacobians)[1:]}, that of a Jacobian")
    diagonal = np.einsum("ik,mij,jk->mk", basis, jacobians, basis, optimize=True)
    return diagonal, np.sum(diagonal**2, axis=1) / np.sum(jacobians**2, axis=(1, 2))


def _square(jacobians: Array) -> None:
    shape = np.shape(jacobians)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise refuse("shape of jacobians", shape, "(m, d, d)")
