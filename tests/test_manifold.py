"""Curved manifolds: exact covariance, its law by Gaussian equivalence, and where that law ends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rfcore as rf


@pytest.mark.parametrize("degree", [2, 3])
def test_covariance_of_samples(degree: int) -> None:
    data = rf.CurvedManifold(0.5, 0.4, degree)
    x = data.sample(24, 200_000, 3)
    error = np.abs(x.T @ x / len(x) - data.matrix(24, 3))
    assert np.max(error) < 6 * np.sqrt(15 / len(x))  # fourth moments of h_3 are of order 100
    assert np.allclose(np.diagonal(data.matrix(24, 3)), 1)


def test_splits_share_the_manifold() -> None:
    data = rf.CurvedManifold(0.25)
    x, y = data.sample(40, 30, 1), data.sample(40, 30, 1, split=1)
    assert np.linalg.matrix_rank(np.concatenate([x, y])) == 10
    assert not np.allclose(x, y)


@pytest.mark.parametrize("fraction", [0.25, 1.0, 2.0])
def test_law_of_a_flat_manifold(fraction: float) -> None:
    law, drawn = rf.CurvedManifold(fraction).law(), rf.CurvedManifold(fraction).matrix(600, 0)
    assert law.variance == pytest.approx(1, rel=1e-12)
    assert law.weights @ law.eigenvalues**2 == pytest.approx(1 + 1 / fraction, rel=1e-9)
    values = np.linalg.eigvalsh(drawn)
    for w in (0.1, 1.0):
        there = float(np.mean(values / (w + values)))
        assert law.weights @ (law.eigenvalues / (w + law.eigenvalues)) == pytest.approx(there, abs=5e-3)


def test_curved_directions_are_as_many_as_there_are_products() -> None:
    data = rf.CurvedManifold(8 / 120, 0.5)
    values = np.linalg.eigvalsh(data.matrix(120, 0))
    assert np.sum(values > 1e-9) == 8 + 8 * 9 // 2  # z_i, and z_i z_j
    assert np.linalg.matrix_rank(data.sample(120, 300, 0), tol=1e-8) == 8 + 8 * 9 // 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: rf.CurvedManifold(0.0),
        lambda: rf.CurvedManifold(0.5, 1.0),
        lambda: rf.CurvedManifold(0.5, 0.1, 4),
        lambda: rf.CurvedManifold(0.01).sample(20, 5, 0),
        lambda: rf.CurvedManifold(0.5).law(0),
    ],
)
def test_what_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        call()
