r"""The bulks of the spectrum of U at d = infinity: exact edges, exact masses, the atom.

The edges are the ends of the gaps on the curve of :mod:`rfcore.theory._inverse`, found without a
density; the mass below each gap is a rational number given by signs (:func:`_place.count_below`).
"""

import math
from dataclasses import dataclass

import numpy as np

from rfcore.checks import of_kind, whole
from rfcore.model import RandomFeatureModel
from rfcore.theory import _elliptical_support as elliptical
from rfcore.theory import _inverse as inverse
from rfcore.theory import _place as place
from rfcore.theory import _scan as scan
from rfcore.theory._equations import parameters
from rfcore.theory._inverse import Array, Curve
from rfcore.theory.resolvent import atom_mass

MERGED = 1e-12  # a gap narrower than this, relative to its place, is no gap
TOLERANCE = 1e-9
TINY = 1e-300
ATTEMPTS = (1, 3, 9, 27, 81)


@dataclass(frozen=True)
class Bulk:
    """An interval [left, right] that holds the fraction ``mass`` of the eigenvalues.

    ``left_offset`` and ``right_offset`` are the edges minus s^2, which keep their relative accuracy
    where the bulks crowd s^2; ``hard`` says that the left edge is a hard one, where the density grows
    like an inverse square root (p = n + d, or p = n m); at all other edges it vanishes like a root.
    ``floor`` : the least that an eigenvalue of U can be, s^2 at m = infinity and 0 otherwise.

    >>> low, middle, top = rf.theory.support(rf.RandomFeatureModel(64, 8, 0.01)).bulks
    >>> print(f"[{top.left:.2f}, {top.right:.2f}] holds {top.mass:.4f}")
    [9.84, 44.69] holds 0.0156
    """

    left: float
    right: float
    mass: float
    left_offset: float
    right_offset: float
    hard: bool = False
    floor: float = 0.0

    @property
    def above_floor(self) -> tuple[float, float]:
        """Both edges minus ``floor``, not by subtraction."""
        return (self.left_offset, self.right_offset) if self.floor > 0 else (self.left, self.right)

    def nodes(self, points: int = 100) -> tuple[Array, Array]:
        """Nodes x and weights dx, (points,) each: sum f(x) dx ~ integral of f over the bulk.

        Midpoint rule in theta with x = floor + exp(h + c cos theta) (x linear in cos theta from a hard
        edge): it converges spectrally for densities, as square-root edges and hard edges are both smooth
        in theta.  x ascends.
        """
        theta = (whole("points", points) - np.arange(points) - 0.5) * np.pi / points
        if self.hard:
            x = self.left + (self.right - self.left) * (1 + np.cos(theta)) / 2
            return x, (self.right - self.left) / 2 * np.sin(theta) * np.pi / points
        low, high = self.above_floor
        half = math.log(high / low) / 2
        y = math.sqrt(low) * math.sqrt(high) * np.exp(half * np.cos(theta))
        return self.floor + y, y * half * np.sin(theta) * np.pi / points


@dataclass(frozen=True)
class Atom:
    """A fraction ``mass`` of the eigenvalues at one ``location``.

    >>> model = rf.RandomFeatureModel(psi_p=64, psi_n=8, t=0.01)
    >>> atom = rf.theory.support(model).atom
    >>> print(f"{atom.mass:.4f} at {atom.location:.4f}")
    0.8594 at 0.0019
    """

    location: float
    mass: float


@dataclass(frozen=True)
class Support:
    """The bulks in ascending order, and the atom if there is one.

    ``edge_error`` : largest estimated relative round-off error of an edge
    ``mass_error`` : largest defect of the mass balance: |sum of the masses - 1|, and of the counts of
        eigenvalues below each gap computed at its two ends
    ``merged`` : number of gaps that were found but are narrower than 1e-12 of their place

    >>> support = rf.theory.support(rf.RandomFeatureModel(64, 8, 0.01))
    >>> len(support.bulks), len(support.gaps), round(support.mass, 6)
    (3, 2, 1.0)
    """

    bulks: tuple[Bulk, ...]
    atom: Atom | None
    edge_error: float
    mass_error: float
    merged: int
    converged: bool

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """The bounded gaps (end of one bulk, begin of the next)."""
        return tuple((a.right, b.left) for a, b in zip(self.bulks, self.bulks[1:], strict=False))

    @property
    def mass(self) -> float:
        """Sum of all masses; 1 to ``mass_error``."""
        return math.fsum([b.mass for b in self.bulks] + ([self.atom.mass] if self.atom else []))


def support(model: RandomFeatureModel) -> Support:
    """Bulk edges, masses and atom of the spectrum of U, from the inverse map.

    Edges are accurate to 1e-10 relative (and edge - s^2 to 1e-8 where the bulks crowd s^2), masses sum
    to 1 to 1e-9.  Any covariance law, any number of noise draws.  For m = infinity the atom sits at s^2,
    for finite m at 0.

    With a scale law the edges come from a scan of the density and bisection (relative accuracy of
    edge - s^2: ``edge_error``), the masses from the sign rule.  A scan is refined wherever the sign rule
    says that a bulk is hidden; a gap narrower than a fortieth of its distance from s^2 may be missed.
    Where atoms stand for a continuous law (:meth:`rfcore.ScaleLaw.student`), the rare ones have a narrow bulk
    each; of the law itself these are a tail.

    Raises ValueError for another kind of question, ArithmeticError if the ends of the gaps do not
    alternate or the masses do not balance.
    Source: rank rules and sign rule of the book, chapter 8; edges as critical points of the inverse map
    go back to Silverstein and Choi (1995).

    >>> support = rf.theory.support(rf.RandomFeatureModel(64, 8, 0.01))
    >>> [(round(bulk.left, 3), round(bulk.right, 3)) for bulk in support.bulks]
    [(0.004, 0.01), (0.091, 0.359), (9.836, 44.693)]
    """
    of_kind("model", model, RandomFeatureModel)
    if model.scale is not None:
        return _elliptical(model)
    cv = inverse.curve(parameters(model))
    for fineness in ATTEMPTS:
        answer = _assemble(cv, scan.edges(cv, fineness))
        if answer is not None:
            return answer
    raise ArithmeticError(f"the ends of the gaps of {model} do not alternate or the masses do not balance")


def _assemble(cv: Curve, found: scan.Edges) -> Support | None:
    """Bulks from the ends of the gaps, or None if these contradict each other."""
    z, z_error, offset, offset_error = place.positions(cv, found.points)
    below = place.count_below(cv, found.points)
    order = np.argsort(offset, kind="stable")
    left = found.below[order]
    z, offset, below = z[order], offset[order], below[order]
    error = np.minimum(
        z_error[order] / np.maximum(np.abs(z), TINY), offset_error[order] / np.maximum(np.abs(offset), TINY)
    )
    atom, hard = place.atom(cv)
    if hard:
        # The gap below a hard edge ends at u = infinity: what was found there is round-off.
        inner = np.abs(found.points.iu[order]) > 1e-6 * (cv.c or cv.b2 / cv.psi_p)
        z, offset, below, error = z[inner], offset[inner], below[inner], error[inner]
        left = left[inner]
        floor = 0.0 if cv.eps else cv.s2
        z, offset = np.append(floor, z), np.append(floor - cv.s2, offset)
        below, error, left = np.append(atom, below), np.append(0.0, error), np.append(True, left)
    if z.size == 0 or z.size % 2 or not np.all(left[::2]) or np.any(left[1::2]):
        return None
    defect = _mass_defect(below, atom)
    if defect > TOLERANCE:
        return None
    narrow = z[2::2] - z[1:-1:2] <= MERGED * z[2::2]
    keep = np.ones(z.size, dtype=bool)
    keep[2::2] = keep[1:-1:2] = ~narrow
    z, offset, below = z[keep], offset[keep], below[keep]
    mass = np.diff(below)[::2]
    location = 0.0 if cv.eps else cv.s2
    bulks = []
    for i in range(0, z.size, 2):
        left_edge, right_edge, low, high = (float(x) for x in (z[i], z[i + 1], offset[i], offset[i + 1]))
        bulks.append(Bulk(left_edge, right_edge, float(mass[i // 2]), low, high, hard and i == 0, location))
    return Support(
        tuple(bulks),
        Atom(location, atom) if atom > 0 else None,
        float(error.max()),
        defect,
        int(narrow.sum()),
        True,
    )


def _elliptical(model: RandomFeatureModel) -> Support:
    """With a scale law: by a scan of the density, see :mod:`rfcore.theory._elliptical_support`."""
    found, c = elliptical.edges(model), model.scale_constants
    s2 = float(c.weights @ c.s2)
    floor = s2 if math.isinf(model.noise_draws) else 0.0
    bulks = []
    for i, share in enumerate(found.mass):
        left, right = float(found.place[2 * i]), float(found.place[2 * i + 1])
        offsets = (left + floor - s2, right + floor - s2)
        bulks.append(Bulk(floor + left, floor + right, float(share), *offsets, found.hard and i == 0, floor))
    atom = atom_mass(model)
    at_floor = Atom(floor, atom) if atom > 0 else None
    return Support(tuple(bulks), at_floor, found.error, found.defect, 0, found.error < 1e-8)


def _mass_defect(below: Array, atom: float) -> float:
    """The counts below each gap must agree at its two ends, begin with the atom, grow, and end with 1."""
    ends = np.concatenate([[atom], below, [1.0]])
    defect = float(np.max(np.abs(ends[1::2] - ends[::2])))
    return defect if np.all(np.diff(below)[::2] > -TOLERANCE) else math.inf
