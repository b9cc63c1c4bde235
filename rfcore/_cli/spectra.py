"""The spectrum of a question: theory, a simulation, and how far apart the two are."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore import theory
from rfcore._cli import linear_law
from rfcore.model import LinearModel, RandomFeatureModel
from rfcore.progress import progress
from rfcore.theory.timescales import below_population

Floats = npt.NDArray[np.float64]
NODES = 200  # of the density, per bulk


@dataclass(frozen=True, eq=False)
class Bulk:
    """A bulk; nodes x (N,), the density there, the share of eigenvalues below; when the last is learnt."""

    left: float
    right: float
    mass: float
    time: float
    x: Floats
    density: Floats
    below: Floats


@dataclass(frozen=True)
class Spectrum:
    """Bulks in ascending order, the atom (location, mass), and how many eigenvalues there are per dimension.

    memorising : how many bulks lie below those of the d largest eigenvalues; None if no gap ends there
    """

    bulks: tuple[Bulk, ...]
    atom: tuple[float, float] | None
    per_dimension: float
    memorising: int | None = None


def answer(model: RandomFeatureModel | LinearModel) -> Spectrum:
    """The spectrum at d = infinity."""
    if isinstance(model, LinearModel):
        found, zeros = linear_law.bulks(model)
        times = [1 / (model.signal * (b.left + model.c)) for b in found]
        parts = [(b.left, b.right, b.mass, b.x, b.density, b.part) for b in found]
        return Spectrum(_bulks(parts, times, zeros), (0.0, zeros) if zeros > 0 else None, 1.0)
    support, clock = theory.support(model), model.psi_p / model.delta
    parts, times = [], []
    for b in support.bulks:
        x, dx = b.nodes(NODES)
        height = theory.density(model, x)
        parts.append((b.left, b.right, b.mass, x, height, height * dx))
        slowest = b.left + model.ridge
        times.append(clock / slowest if slowest > 0 else math.inf)
    atom = (support.atom.location, support.atom.mass) if support.atom else None
    bulks = _bulks(parts, times, atom[1] if atom else 0.0)
    return Spectrum(bulks, atom, model.psi_p, below_population(model.psi_p, support.bulks))


def _bulks(parts: list[Any], times: list[float], start: float) -> tuple[Bulk, ...]:
    found = []
    for (left, right, mass, x, density, share), time in zip(parts, times, strict=True):
        below = start + mass * (np.cumsum(share) - share / 2) / share.sum()
        found.append(Bulk(left, right, mass, time, x, density, below))
        start += mass
    return tuple(found)


def distance(spectrum: Spectrum, eigenvalues: Floats) -> float:
    """The largest difference of the two distribution functions (Kolmogorov): a share of all eigenvalues."""
    ordered = np.sort(eigenvalues, axis=None)
    x = np.concatenate([bulk.x for bulk in spectrum.bulks])
    below = np.concatenate([bulk.below for bulk in spectrum.bulks])
    return float(np.max(np.abs(np.searchsorted(ordered, x, side="right") / ordered.size - below)))


def simulate(model: Any, d: int, draws: int, seed: int) -> Floats:
    """Eigenvalues (draws, p) of U, or (draws, d) of S."""
    from rfcore import simulation

    if isinstance(model, RandomFeatureModel):
        seeds: Iterable[int] = range(seed, seed + draws)
        seeds = progress(seeds) if draws > 1 else seeds
        return np.stack([simulation.eigenvalues(model, d, each) for each in seeds])
    from rfcore.simulation.linear_draws import batches, population

    drawn = batches(population(model, d), draws, seed)
    return np.concatenate([batch.values.cpu().numpy() for batch in drawn])
