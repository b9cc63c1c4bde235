"""Laws that every spectrum obeys, as functions of a question: nothing here knows the solver's equations.

`violations` asks rfcore for q, r, s at points of all kinds and returns what is broken.  It serves
tests/test_laws.py (a few questions, shrunk by hypothesis) and tools/stress.py (ten thousand).

A Stieltjes transform f of a positive measure of mass c obeys, for any points z_i in the upper half
plane, that the Pick matrix (f(z_i) - conj f(z_j))/(z_i - conj z_j) is positive semidefinite
(Nevanlinna-Pick); with one point this is Im f >= Im z |f|^2/c.  A value on a wrong branch breaks it
even where its residual is zero and its sign is right.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import rfcore as rf

Array = npt.NDArray[Any]
ACTIVATIONS = ("tanh", "relu", "erf", "sin", "identity")
MOST_BULKS = 12  # whose densities are integrated, of the hundreds that hundreds of atoms can have
DRAWS = (1, 2, 3, 10, 1000, math.inf)


@dataclass
class Report:
    """What one question gave: broken laws in words, and the largest numbers seen."""

    broken: list[str] = field(default_factory=list)
    residual: float = 0.0
    mass_defect: float = 0.0
    points: int = 0

    def law(
        self, name: str, error: npt.ArrayLike, tolerance: npt.ArrayLike, where: npt.ArrayLike = 0.0
    ) -> None:
        """Note a law whose error is not <= its tolerance (nan counts as broken), at its worst point."""
        e, tol, at = np.broadcast_arrays(np.asarray(error, float), tolerance, where)
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = np.where(np.isnan(e), np.inf, e / np.maximum(tol, 1e-300))
        if excess.size and excess.max() > 1:
            k = int(excess.argmax())
            self.broken.append(f"{name}: {e.flat[k]:.3g} > {tol.flat[k]:.3g} at z = {at.flat[k]!r}")


def two_moments(model: rf.RandomFeatureModel) -> tuple[float, float]:
    """m1 and m2 of the spectrum of U in closed form, any m.

    E tr U^2 = tr C^2 + sum over groups of N w^2 (tr C_a)^2: n sample means of weight 1/n and n(m-1)
    noise contrasts of weight 1/(nm).
    """
    c, law, m = model.constants, model.covariance, model.noise_draws
    alpha2 = math.exp(-2 * model.t) * c.a**2
    d = alpha2 * law.eigenvalues + c.b**2
    fresh = c.s2 + c.b**2
    groups = (alpha2 * law.variance + c.v2 + fresh / m) ** 2
    if m < math.inf:
        groups += (m - 1) / m**2 * fresh**2
    m1 = float(c.v2 + c.s2 + law.weights @ d)
    return m1, float(m1**2 + model.psi_p * (law.weights @ d**2) + model.psi_p / model.psi_n * groups)


def upper_bound(model: rf.RandomFeatureModel) -> float:
    """A number above all eigenvalues: product of the norms of the Gaussian factors, doubled."""
    c, top = model.constants, float(model.covariance.eigenvalues.max())
    alpha2 = math.exp(-2 * model.t) * c.a**2
    first = (1 + math.sqrt(model.psi_p)) ** 2
    data = (1 + math.sqrt(1 / model.psi_n)) ** 2
    own = (1 + math.sqrt(model.psi_p / model.psi_n)) ** 2
    return 4 * ((alpha2 * top + c.b**2) * first * data + (c.v2 + c.s2) * own)


def floor(model: rf.RandomFeatureModel) -> float:
    """A point below which there is no eigenvalue."""
    return model.constants.s2 if math.isinf(model.noise_draws) else 0.0


def contour_moments(model: rf.RandomFeatureModel, points: int = 24) -> tuple[Array, float]:
    """m0, m1, m2 from q on a circle around the spectrum (trapezoid rule), and its radius."""
    radius = 2 * upper_bound(model)
    z = radius * np.exp(1j * np.pi * (np.arange(points) + 0.5) / points)
    answer = rf.theory.resolvent(model, z)
    return np.array([-np.mean((answer.q * z ** (k + 1)).real) for k in range(3)]), radius


def violations(model: rf.RandomFeatureModel, rng: np.random.Generator, support: bool = True) -> Report:
    """Ask one question at random points and return the broken laws."""
    report = Report()
    low, high = floor(model), upper_bound(model)
    arm = high * 10 ** rng.uniform(-8, 0.5, 8)
    complex_points = low + arm * np.exp(1j * np.pi * 10 ** rng.uniform(-4, -0.01, 8))
    axis = low + high * 10 ** rng.uniform(-9, 0.2, 12)
    if model.constants.s2 > 0:
        axis[:4] = low + model.constants.s2 * 10 ** rng.uniform(-3, 2, 4)
    axis[4:8] = low + two_moments(model)[0] * 10 ** rng.uniform(-4, 1, 4)
    _half_plane(model, complex_points, report)
    _axis(model, axis, report)
    _negative(model, low - high * np.sort(10 ** rng.uniform(-9, 3, 6))[::-1], report)
    _moments(model, report)
    if support:
        _masses(model, rng, report)
    return report


def _ask(model: rf.RandomFeatureModel, z: Array, report: Report) -> Any:
    answer = rf.theory.resolvent(model, z)
    report.law("residual", answer.residual, 1e-12, z)
    report.law("converged", ~answer.converged, 0.5, z)
    report.residual = max(report.residual, float(np.max(answer.residual)))
    report.points += z.size
    return answer


def _half_plane(model: rf.RandomFeatureModel, z: Array, report: Report) -> None:
    """Nevanlinna-Pick for q, r, s and 1/chi; lambda_min s <= r <= lambda_max s as measures; decay."""
    answer = _ask(model, z, report)
    law = model.covariance
    for name, f, mass in (("q", answer.q, 1.0), ("r", answer.r, law.variance), ("s", answer.s, 1.0)):
        # The last row, a point at infinity, ties the values to the mass: f ~ -mass/z there.
        _pick(f"Pick matrix of {name}", z, f, mass, report)
    low, high = law.eigenvalues.min(), law.eigenvalues.max()
    slack = 1e-11 * np.abs(answer.s) * high
    report.law("lambda_min Im s <= Im r", low * answer.s.imag - answer.r.imag, slack, z)
    report.law("Im r <= lambda_max Im s", answer.r.imag - high * answer.s.imag, slack, z)


def _pick(name: str, z: Array, f: Array, mass: float, report: Report) -> None:
    """Smallest eigenvalue of the Pick matrix, bordered by the point at infinity and scaled to unit diagonal.

    The border is the inner product of 1/(lambda - z_i) with 1, that is f_i, and the corner the mass.
    """
    n = z.size
    gram = np.empty((n + 1, n + 1), dtype=complex)
    gram[:n, :n] = (f[:, None] - f.conj()) / (z[:, None] - z.conj())
    gram[:n, n], gram[n, :n], gram[n, n] = f, f.conj(), mass
    diagonal = gram.diagonal().real
    if not np.all(diagonal > 0):
        report.law(name + " (Im f > 0)", -diagonal[:n], 0.0, z)
        report.law(name + " (Im f > 0)", diagonal[:n] == 0, 0.5, z)
        return
    scale = 1 / np.sqrt(diagonal)
    lowest = float(np.linalg.eigvalsh(gram * scale[:, None] * scale).min())
    # Round-off of an entry is eps |f|/|z_i - conj z_j| and is amplified where Im f << |f|.
    noise = 1e-13 * (n + 1) * float(np.max(np.abs(f) / np.abs(f.imag)))
    report.law(name, -lowest, max(noise, 1e-12), complex(z[np.argmax(np.abs(f / f.imag))]))


def _axis(model: rf.RandomFeatureModel, x: Array, report: Report) -> None:
    """On the axis Im q >= 0 to round-off; a point just above belongs to the same function."""
    below = _ask(model, x.astype(complex), report)
    report.law("Im q >= 0 on the axis", -below.q.imag, 1e-9 * np.abs(below.q), x)
    lifted = x + 1e-7j * (x - floor(model))
    above = _ask(model, lifted, report)
    _pick("Pick matrix of q near the axis", lifted, above.q, 1.0, report)
    step = np.abs(above.q - below.q)
    # Bulks have relative widths down to sqrt(psi_p/psi_n) ~ 1e-3, where q changes by sqrt(1e-7/1e-6).
    report.law("continuity at the axis", step, 0.5 * np.abs(below.q), x)


def _negative(model: rf.RandomFeatureModel, z: Array, report: Report) -> None:
    """Below the spectrum q is real, positive, increasing, and between its Jensen bounds."""
    answer = _ask(model, z.astype(complex), report)
    q, low, m1 = answer.q.real, floor(model), two_moments(model)[0]
    report.law("real below the spectrum", np.abs(answer.q.imag), 1e-12 * np.abs(q), z)
    report.law("increasing below the spectrum", -np.diff(q), 1e-13 * q[1:], z[1:])
    report.law("q >= 1/(m1 - z)", 1 / (m1 - z) - q, 1e-12 * q, z)
    report.law("q <= 1/(floor - z)", q - 1 / (low - z), 1e-12 * q, z)
    lam, s, r = model.covariance.eigenvalues, answer.s.real, answer.r.real
    report.law("lambda_min s <= r", lam.min() * s - r, 1e-12 * r, z)
    report.law("r <= lambda_max s", r - lam.max() * s, 1e-12 * r, z)
    report.law("s > 0", -s, 0.0, z)


def _moments(model: rf.RandomFeatureModel, report: Report) -> None:
    got, radius = contour_moments(model)
    report.points += 24
    for k, want in enumerate((1.0, *two_moments(model))):
        # q carries round-off relative to 1/radius, so a moment carries it relative to radius^k.
        report.law(f"moment {k}", abs(got[k] - want), 1e-14 * radius**k + 1e-11 * want)


def _masses(model: rf.RandomFeatureModel, rng: np.random.Generator, report: Report) -> None:
    """Bulks are disjoint and ascending, their masses and the atom's sum to 1, and q is real in the gaps."""
    answer = rf.theory.support(model)
    bulks = answer.bulks
    total = sum(b.mass for b in bulks) + (answer.atom.mass if answer.atom else 0.0)
    report.mass_defect = abs(total - 1)
    report.law("masses sum to 1", abs(total - 1), 1e-9)
    report.law("masses >= 0", [-b.mass for b in bulks], 0.0)
    edges = np.array([x for b in bulks for x in (b.left, b.right)])
    report.law("edges ascend", -np.diff(edges), 0.0, edges[1:])
    _edges(model, edges, report)
    for k in rng.permutation(len(bulks))[:MOST_BULKS]:
        _bulk(model, bulks[k], report)


def _edges(model: rf.RandomFeatureModel, edges: Array, report: Report) -> None:
    """Im q is positive just inside an edge and zero just outside, as seen by the resolvent."""
    ends = np.concatenate([[floor(model)], edges, [2 * edges[-1]]])
    steps = np.diff(ends)
    kind = np.arange(steps.size) % 2  # 0 for a gap, 1 for a bulk
    seen = steps > 1e-9 * ends[1:]  # in double precision nothing lies between closer numbers
    x = np.concatenate([(ends[:-1] + 1e-3 * steps)[seen], (ends[1:] - 1e-3 * steps)[seen]])
    kind = np.concatenate([kind[seen], kind[seen]])
    answer = _ask(model, x.astype(complex), report)
    relative = answer.q.imag / np.abs(answer.q)
    report.law("Im q > 0 inside an edge", relative[kind == 1] <= 0, 0.5, x[kind == 1])
    report.law("Im q = 0 outside an edge", np.abs(relative[kind == 0]), 1e-9, x[kind == 0])


def _bulk(model: rf.RandomFeatureModel, bulk: Any, report: Report) -> None:
    """The mass is the integral of the density, to ten times the change between numbers of points.

    In theta, with y = x - floor (logarithmic unless the bulk begins at the floor), square roots at
    the edges and a hard edge are smooth and the midpoint rule converges spectrally.
    """
    low = floor(model)
    left, right = bulk.left - low, bulk.right - low
    if bulk.right - bulk.left < 1e-9 * bulk.right:
        return  # in double precision no x lies well inside
    sums = []
    for n in (24, 48, 96):
        theta = (np.arange(n) + 0.5) * math.pi / n
        if left > 1e-12 * right:
            half = math.log(right / left) / 2
            y = math.sqrt(left * right) * np.exp(-half * np.cos(theta))
            weight = y * half * np.sin(theta)
        else:
            y, weight = right * np.sin(theta / 2) ** 2, right / 2 * np.sin(theta)
        apart = y > 1e-14 * low  # closer than that, low + y is the floor itself
        answer = _ask(model, (low + y[apart]).astype(complex), report)
        sums.append(float(np.sum(answer.q.imag * weight[apart])) / n)
        # A real root of the equations, accepted inside a bulk, has Im q = 0 to round-off.
        report.law("Im q > 0 in a bulk", answer.q.imag < 1e-12 * np.abs(answer.q), 0.5, low + y[apart])
    # (Rounding low + y moves y: relevant where a bulk is close to the floor.)
    round_off = 1e-15 * low / max(left, 1e-3 * right)
    change = max(abs(sums[2] - sums[1]), abs(sums[1] - sums[0]))
    tolerance = (1e-8 + 1e3 * math.sqrt(round_off)) * bulk.mass + 10 * change
    report.law("mass = integral of the density", abs(sums[2] - bulk.mass), tolerance, bulk.left)
