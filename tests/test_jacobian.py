"""Jacobians of denoisers: known matrices, finite differences, and their eigenbases."""

import math

import numpy as np
import pytest
import torch

import rfcore as rf
from rfcore.images.schedule import ABAR


def test_the_best_linear_denoiser_shrinks_by_wiener() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((16, 16)) / 4
    sigma = root @ root.T
    network = rf.images.LinearDenoiser(rng.standard_normal(16), sigma, (1, 4, 4))
    noisy = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z = (1 - ABAR[300]) / ABAR[300]
    jacobians = rf.images.denoiser_jacobian(network, noisy, 300)
    wiener = sigma @ np.linalg.inv(sigma + z * np.eye(16))
    np.testing.assert_allclose(jacobians, np.broadcast_to(wiener, (3, 16, 16)), atol=1e-12)
    own = rf.images.shrinkage(jacobians)
    lam, vectors = np.linalg.eigh(sigma)
    np.testing.assert_allclose(own.factors[0], (lam / (lam + z))[::-1], atol=1e-12)
    np.testing.assert_allclose(own.asymmetry, 0, atol=1e-13)
    kept, share = rf.images.in_basis(jacobians, vectors)
    np.testing.assert_allclose(kept[1], lam / (lam + z), atol=1e-12)
    np.testing.assert_allclose(share, 1, atol=1e-12)


def test_against_finite_differences() -> None:
    network = rf.images.build("nano", (1, 8, 8), seed=0).double()
    for parameter in network.parameters():  # the last layer starts at zero
        torch.nn.init.normal_(parameter, 0, 0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    generator = torch.Generator().manual_seed(2)
    noisy = torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    direction = torch.randn(1, 1, 8, 8, generator=generator, dtype=torch.float64)
    index, h = 150, 1e-5
    jacobians = rf.images.denoiser_jacobian(network, noisy, index)
    assert network.training and all(p.grad is None for p in network.parameters())
    network.eval()
    k = torch.full((2,), index)
    with torch.no_grad():
        slope = (network(noisy + h * direction, k, None) - network(noisy - h * direction, k, None)) / (2 * h)
    moved = direction - math.sqrt(1 - ABAR[index]) * slope
    got = jacobians @ direction.flatten().numpy()
    np.testing.assert_allclose(got, moved.flatten(1).numpy(), rtol=1e-6, atol=1e-7)
    assert np.all(rf.images.shrinkage(jacobians).asymmetry > 0.01)


def test_bad_shape() -> None:
    network = rf.images.build("nano", (1, 8, 8), seed=0)
    with pytest.raises(ValueError, match="shape of noisy"):
        rf.images.denoiser_jacobian(network, torch.zeros(8, 8), 100)
    with pytest.raises(ValueError, match="shape of jacobians"):
        rf.images.shrinkage(np.eye(3))
    with pytest.raises(ValueError, match="shape of basis"):
        rf.images.in_basis(np.eye(3)[None], np.eye(2))
