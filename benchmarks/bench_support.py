"""All bulk edges and masses, against reading the edges off a grid of the density."""

import math

import numpy as np

import rfcore as rf
from benchmarks import best_of
from rfcore.theory import density, support
from rfcore.theory.support import Support

FLOOR = 1e-6  # of the largest density times x: below it a grid point counts as a gap


def read_off(model: rf.RandomFeatureModel, low: float, high: float, points: int) -> np.ndarray:
    """Edges from a logarithmic grid in x - s^2: midpoints between a zero and a positive density."""
    y = np.geomspace(low, high, points)
    x = model.constants.s2 + y
    inside = density(model, x) * x > FLOOR
    change = np.nonzero(inside[1:] != inside[:-1])[0]
    return np.sqrt(y[change] * y[change + 1])


def edges(answer: Support) -> np.ndarray:
    """All edges, as distances from s^2."""
    return np.array([e for b in answer.bulks for e in (b.left_offset, b.right_offset)])


def row(name: str, model: rf.RandomFeatureModel, points: int | None) -> dict[str, object]:
    answer = support(model)
    ours = best_of(lambda: support(model))
    exact = edges(answer)
    if points is None:
        note = f"{len(answer.bulks)} bulks, edges to {answer.edge_error:.0e}"
        return {"name": name, "ours_ms": ours, "other_ms": math.nan, "ratio": math.nan, "note": note}
    low, high = exact[0] / 2, exact[-1] * 2
    grid = read_off(model, low, high, points)
    other = best_of(lambda: read_off(model, low, high, points), repeat=2)
    if grid.size == exact.size:
        found = f"edges to {np.max(np.abs(grid / exact - 1)):.0e}"
    else:
        found = f"{grid.size} of {exact.size} edges"
    note = f"grid of {points} densities: {found} (ours {answer.edge_error:.0e})"
    return {"name": name, "ours_ms": ours, "other_ms": other, "ratio": other / ours, "note": note}


def run() -> list[dict[str, object]]:
    """Rows of the table: two atoms and 200, a grid that is as fine as a reader would make it."""
    two = rf.RandomFeatureModel(64, 8, 0.01, rf.Covariance([0.5, 1.5]))
    draws = rf.RandomFeatureModel(64, 8, 0.01, rf.Covariance([0.5, 1.5]), noise_draws=50)
    many = rf.RandomFeatureModel(64, 8, 0.01, rf.Covariance.power_law(1.0, 200))
    late = rf.RandomFeatureModel(6, 2, 3.0, rf.Covariance([0.5, 1.5]))
    return [
        row("support, two atoms", two, 400),
        row("support, two atoms", two, 20_000),
        row("support, two atoms, m = 50", draws, None),
        row("support, two atoms, t = 3", late, 400),
        row("support, 200 atoms (power law)", many, 2_000),
        row(
            "support, 1,024 atoms (power law)",
            rf.RandomFeatureModel(64, 8, 0.01, rf.Covariance.power_law(1.0, 1024)),
            None,
        ),
    ]
