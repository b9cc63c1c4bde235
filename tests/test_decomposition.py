"""Bias and variances, the optimal ridge and the integrated error, against draws and against limits."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest

import rfcore as rf
from rfcore.theory.decomposition import decomposition
from rfcore.theory.integrated import integrated_score_error
from rfcore.theory.ridge import optimal_ridge

Array = npt.NDArray[np.float64]
BASE = rf.RandomFeatureModel(psi_p=3, psi_n=2, t=0.2, noise_draws=2, ridge=0.05)


def readout(model: rf.RandomFeatureModel, layer: Array, rng: np.random.Generator) -> Array:
    """B of one Gaussian-equivalent training set for the first layer M (p, d), isotropic data."""
    c, (p, d) = model.constants, layer.shape
    n, m, a = round(model.psi_n * d), int(model.noise_draws), math.exp(-model.t) * model.constants.a
    own = a * layer @ rng.standard_normal((d, n)) + math.sqrt(c.v2) * rng.standard_normal((p, n))
    xi = rng.standard_normal((d, n * m))
    phi = np.repeat(own, m, axis=1) + c.b * layer @ xi + math.sqrt(c.s2) * rng.standard_normal((p, n * m))
    u, v = phi @ phi.T / (n * m), phi @ xi.T / (n * m)
    return -np.linalg.solve(u + model.ridge * np.eye(p), v).T / math.sqrt(model.delta)


def test_decomposition_against_draws() -> None:
    """Products of two readouts: same training set, same layer, nothing in common, each in expectation."""
    d, layers, sets = 60, 4, 4
    c, rng = BASE.constants, np.random.default_rng(0)
    a = math.exp(-BASE.t) * c.a
    matrices = [rng.standard_normal((round(BASE.psi_p * d), d)) / math.sqrt(d) for _ in range(layers)]
    readouts = [[readout(BASE, m, rng) for _ in range(sets)] for m in matrices]
    signal = a**2 + c.b**2
    linear = [[b @ m for b in group] for m, group in zip(matrices, readouts, strict=True)]
    rough = c.v2 + c.s2
    full = (
        np.mean(
            [
                [signal * np.sum(x**2) + rough * np.sum(b**2) for x, b in zip(xs, bs, strict=True)]
                for xs, bs in zip(linear, readouts, strict=True)
            ]
        )
        / d
    )
    pairs = [(i, j) for i in range(sets) for j in range(i)]
    layer = (
        np.mean(
            [
                [signal * np.sum(xs[i] * xs[j]) + rough * np.sum(bs[i] * bs[j]) for i, j in pairs]
                for xs, bs in zip(linear, readouts, strict=True)
            ]
        )
        / d
    )
    apart = (
        np.mean(
            [
                signal * np.sum(linear[k][i] * linear[h][j])
                for k in range(layers)
                for h in range(k)
                for i in range(sets)
                for j in range(sets)
            ]
        )
        / d
    )
    split = decomposition(BASE)
    assert split.data == pytest.approx(full - layer, rel=0.05)
    assert split.features == pytest.approx(layer - apart, rel=0.1)
    assert split.total == pytest.approx(rf.theory.minimizer(BASE).score_error, rel=1e-12)


def test_bias_and_variances_are_positive_and_vanish_where_they_must() -> None:
    wide = decomposition(dataclasses.replace(BASE, psi_p=1e7))
    assert wide.features < 1e-5, "very wide layers all act the same"
    large = decomposition(dataclasses.replace(BASE, psi_n=1e9))
    assert large.data < 1e-7, "very large training sets all say the same"
    for psi_p in (0.5, 3.0, 30.0):
        split = decomposition(dataclasses.replace(BASE, psi_p=psi_p))
        assert min(split.bias, split.features, split.data) > 0


def test_optimal_ridge_is_a_minimum() -> None:
    best = optimal_ridge(BASE)
    for factor in (0.9, 1.1):
        other = rf.theory.minimizer(dataclasses.replace(BASE, ridge=best.ridge * factor))
        assert other.test > best.minimizer.test
    plain = rf.theory.minimizer(dataclasses.replace(BASE, ridge=0.0))
    assert best.minimizer.test < plain.test


def test_no_ridge_helps_a_model_that_misses_nothing() -> None:
    model = rf.RandomFeatureModel(psi_p=3, psi_n=1e9, t=0.5, activation="identity")
    assert optimal_ridge(model).ridge < 1e-5


def test_integrated_error_adds_up() -> None:
    whole = integrated_score_error(BASE, 0.01, 3.0)
    parts = [integrated_score_error(BASE, 0.01, 0.2), integrated_score_error(BASE, 0.2, 3.0)]
    assert whole.error < 1e-9 * whole.value
    assert whole.value == pytest.approx(sum(part.value for part in parts), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: integrated_score_error(BASE, 1.0, 0.5), "end = 0.5"),
        (lambda: integrated_score_error(BASE, 0.0, 0.5), "start = 0.0"),
        (lambda: decomposition(dataclasses.replace(BASE, psi_p=4.0, ridge=0.0)), "peak p = n m"),
    ],
)
def test_bad_input(call: object, words: str) -> None:
    with pytest.raises(ValueError, match="is not allowed") as caught:
        call()  # type: ignore[operator]
    assert words in str(caught.value)
