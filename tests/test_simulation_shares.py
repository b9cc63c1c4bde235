"""Drawn shares of the drop, bulk by bulk, against the limit and against the loss at the end."""

import dataclasses
import math

import numpy as np
import pytest

import rfcore as rf

BASE = rf.RandomFeatureModel(8, 2, 0.05)
NAMES = ("mass", "drop", "harmonic")


def columns(answer):
    return np.array([[getattr(share, name) for name in NAMES] for share in answer])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ridge": 0.01},
        {"psi_p": 3, "t": 0.2, "covariance": rf.Covariance([0.5, 1.5]), "noise_draws": 2},
        {"psi_p": 0.5, "noise_draws": 1},
    ],
)
def test_shares_of_the_twin_are_those_of_the_limit(changes):
    model, d = dataclasses.replace(BASE, **changes), 64
    exact = columns(rf.theory.shares(rf.simulation.realized(model, d)))
    drawn = rf.simulation.shares(model, d, 6, 0, "gaussian")
    errors = columns([share.standard_error for share in drawn])
    assert np.all(np.abs(columns(drawn) - exact) < 4 * errors + 1.5 * exact / d)
    assert np.all(errors < 0.1 * exact)


@pytest.mark.parametrize("draws", [1, math.inf])
def test_drops_of_a_network_add_up_to_the_drop_of_its_loss(draws):
    """Where all eigenvalues belong to a bulk; with the atom, what it carries is missing."""
    model = dataclasses.replace(BASE, psi_p=0.8, noise_draws=draws, ridge=0.02)
    found = rf.simulation.shares(model, 30, 1, 4)
    start = float(rf.simulation.loss_curves(model, 0.0, 30, 4).train)
    drop = sum(share.drop for share in found)
    assert drop == pytest.approx(start - rf.simulation.minimizer(model, 30, 4).train, rel=1e-12)
    assert sum(share.mass for share in found) == pytest.approx(1, abs=1e-12)
    assert all(math.isnan(share.standard_error.drop) for share in found)


@pytest.mark.parametrize(
    ("changes", "named"), [({"draws": 0}, "draws"), ({"seed": -1}, "seed"), ({"d": 0}, "d")]
)
def test_bad_input_is_named(changes, named):
    with pytest.raises(ValueError, match=named):
        rf.simulation.shares(**{"model": BASE, "d": 10, "draws": 2, "seed": 0, **changes})
