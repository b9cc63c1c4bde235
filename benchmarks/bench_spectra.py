"""Masses of the bulks of one draw: Lanczos' method without U, against all eigenvalues of U."""

import math

import numpy as np

import rfcore as rf
from benchmarks import best_of

PROBES, STEPS = 8, 60


def row(d: int, draws: float, features: str, rival: bool) -> dict[str, object]:
    """One comparison at psi_p = 16, psi_n = 2."""
    model = rf.RandomFeatureModel(16, 2, 0.05, noise_draws=draws)
    support = rf.theory.support(model)
    cuts = np.array([math.sqrt(left * right) for left, right in support.gaps])
    exact = np.array([b.mass for b in support.bulks])
    exact[0] += support.atom.mass if support.atom else 0.0

    def lanczos() -> rf.simulation.TraceEstimate:
        drawn = rf.simulation.spectrum(model, d, 0, features, probes=PROBES, steps=STEPS)
        return drawn.masses(cuts)

    ours = best_of(lanczos, repeat=2 if rival else 1)
    found = lanczos()
    off, claimed = np.max(np.abs(found.value - exact)), np.max(found.standard_error)
    name = f"masses, {features}, m = {draws:g}, p = {16 * d:,}"
    note = f"(ours within {off:.0e} of the limit, standard error {claimed:.0e})"
    if not rival:
        return {"name": name, "ours_ms": ours, "other_ms": math.nan, "ratio": math.nan, "note": note}
    other = best_of(lambda: rf.simulation.eigenvalues(model, d, 0, features), repeat=1)
    note = f"all eigenvalues {note}"
    return {"name": name, "ours_ms": ours, "other_ms": other, "ratio": other / ours, "note": note}


def run() -> list[dict[str, object]]:
    """With and without a rival: p = 8,192 takes it minutes."""
    return [
        row(128, math.inf, "gaussian", True),
        row(128, 1, "nonlinear", True),
        row(512, math.inf, "gaussian", False),
        row(512, 1, "nonlinear", False),
    ]
