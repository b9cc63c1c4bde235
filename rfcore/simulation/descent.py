r"""Plain gradient descent on the denoising loss, by automatic differentiation.

Nothing here knows U or V: the loss is summed over explicit features and noise, so that it checks
the closed forms of :mod:`rfcore.simulation.dynamics` independently.

>>> model = rf.RandomFeatureModel(psi_p=4, psi_n=2, t=0.1, noise_draws=2)
>>> phi, xi = rf.simulation.descent.sample(model, d=8, seed=0)
>>> A = xi.new_zeros(8, 32)
>>> float(rf.simulation.descent.gradient(A, phi, xi, model.delta).norm()) > 0
True
"""

import math

import numpy as np
import torch

from rfcore.checks import positive, refuse, whole
from rfcore.model import RandomFeatureModel
from rfcore.simulation.features import draws
from rfcore.simulation.setting import Tensor, setting


def sample(
    model: RandomFeatureModel, d: int, seed: int, features: str = "nonlinear"
) -> tuple[Tensor, Tensor]:
    """Features phi (n m, p) and noise xi (n m, d): the very ones that ``moments`` averages; m finite."""
    if model.noise_draws == math.inf:
        raise refuse("noise_draws", model.noise_draws, "an integer >= 1, to have explicit noise")
    phi, xi = zip(*draws(setting(model, d, seed, features)), strict=True)
    return torch.cat(phi), torch.cat(xi)


def denoising_loss(A: Tensor, phi: Tensor, xi: Tensor, delta: float) -> Tensor:
    """(1/dN) sum over N rows of ||sqrt(Delta) (A/sqrt p) phi + xi||^2, differentiable in A (d, p)."""
    residual = math.sqrt(delta / A.shape[1]) * phi @ A.T + xi
    return (residual**2).sum() / xi.numel()


def gradient(A: Tensor, phi: Tensor, xi: Tensor, delta: float) -> Tensor:
    """grad_A of :func:`denoising_loss` by reverse-mode differentiation."""
    leaf = A.detach().clone().requires_grad_(True)
    denoising_loss(leaf, phi, xi, delta).backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return leaf.grad


def descend(
    A: Tensor,
    phi: Tensor,
    xi: Tensor,
    delta: float,
    step: float,
    steps: int,
    batch: int | None = None,
    seed: int = 0,
) -> Tensor:
    """``steps`` steps A <- A - step d^2 grad L: after k steps the training time is tau = k step.

    (The learning rate is eta = step d^2.)  With ``batch`` each step uses that many rows of (phi, xi),
    drawn without replacement: stochastic gradient descent.
    """
    step, steps = positive("step", step), whole("steps", steps)
    if batch is not None and whole("batch", batch) > len(phi):
        raise refuse("batch", batch, f"an integer from 1 to the number of rows, {len(phi)}")
    generator = np.random.default_rng(whole("seed", seed, least=0))
    scale = step * xi.shape[1] ** 2
    for _ in range(steps):
        if batch is None:
            A = A - scale * gradient(A, phi, xi, delta)
        else:
            rows = torch.as_tensor(generator.choice(len(phi), batch, replace=False), device=phi.device)
            A = A - scale * gradient(A, phi[rows], xi[rows], delta)
    return A
