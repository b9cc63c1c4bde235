"""Loss curves and spectra at d = infinity, against gradient descent and direct simulation at d = 128.

Direct simulation draws one network and its data, diagonalises U once, and has all times from that: the best
one can do at finite d.  Gradient descent steps through explicit features by automatic differentiation, with
half the largest stable step, to the last of the same times; part of its steps are run, the rest is counted.
The notes say how far each rival is from the limit: that is what its numbers would be off by.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

import rfcore as rf
from benchmarks import best_of
from rfcore.simulation import descent

D = 128
TAU = np.geomspace(0.1, 1e4, 60)
RUN = 60  # steps of gradient descent that are run
LAWS = {"2 atoms": rf.Covariance([0.5, 1.5]), "200 atoms": rf.Covariance.power_law(1.0, 200)}


def row(name: str, ours: float, other: float, note: str) -> dict[str, object]:
    return {"name": name, "ours_ms": ours, "other_ms": other, "ratio": other / ours, "note": note}


def curves(atoms: str, draws: float, rivals: str = "simulation") -> list[dict[str, object]]:
    """60 times of all losses; ``rivals`` may add "descent"."""
    model = rf.RandomFeatureModel(3, 2, 0.1, LAWS[atoms], noise_draws=draws)
    exact = rf.theory.loss_curves(model, TAU)
    ours = best_of(lambda: rf.theory.loss_curves(model, TAU))
    name = f"losses at 60 times, {atoms}, m = {draws:g}"
    drawn = rf.simulation.loss_curves(model, TAU, D, 0)
    other = best_of(lambda: rf.simulation.loss_curves(model, TAU, D, 0), repeat=2)
    off = np.max(np.abs(drawn.test / exact.test - 1))
    note = (
        f"one draw at d = {D}, one eigendecomposition: L_test off by {off:.1%} (ours {exact.error.max():.0e})"
    )
    rows = [row(name, ours, other, note)]
    if "descent" in rivals:
        rows.append(row(name, ours, *by_descent(model)))
    return rows


def by_descent(model: rf.RandomFeatureModel) -> tuple[float, str]:
    """Milliseconds of gradient descent to the last time, and what was run."""
    phi, xi = descent.sample(model, D, 0)
    largest = float(torch.linalg.matrix_norm(phi, 2)) ** 2 / len(phi)
    step = phi.shape[1] / D / (2 * model.delta * largest)  # stable below twice that
    steps = math.ceil(TAU[-1] / step)
    start = torch.zeros(D, phi.shape[1], dtype=torch.float64)
    part: Callable[[], object] = lambda: descent.descend(start, phi, xi, model.delta, step, RUN)  # noqa: E731
    milliseconds = best_of(part, repeat=2) * steps / RUN
    return milliseconds, f"gradient descent at d = {D}: {steps:,} steps, timed on {RUN}"


def spectra(atoms: str) -> list[dict[str, object]]:
    """400 points of the density, and the eigenvalues of one draw."""
    model = rf.RandomFeatureModel(8, 4, 0.1, LAWS[atoms])
    x = np.geomspace(3e-3, 60, 400)
    ours = best_of(lambda: rf.theory.density(model, x))
    values = rf.simulation.eigenvalues(model, D, 0)
    other = best_of(lambda: rf.simulation.eigenvalues(model, D, 0), repeat=1)
    bulks = rf.theory.support(model).bulks
    bulk = bulks[-1]
    nodes, weights = bulk.nodes(400)
    below = 1 - bulk.mass + np.cumsum(weights * rf.theory.density(model, nodes))
    off = np.max(np.abs(np.searchsorted(values, nodes) / values.size - below))
    note = f"eigenvalues of one draw at d = {D}: top bulk off by {off:.2%} of p"
    return [row(f"density at 400 points, {atoms}", ours, other, note)]


def run() -> list[dict[str, object]]:
    """All rows."""
    return [
        *curves("2 atoms", math.inf),
        *curves("2 atoms", 1),
        *curves("2 atoms", 2, "simulation, descent"),
        *curves("200 atoms", math.inf),
        *curves("200 atoms", 2),
        *spectra("2 atoms"),
        *spectra("200 atoms"),
    ]
