"""The ends of the gaps: zeros of E on the curve of :mod:`rfcore.theory._inverse`.

A grid (:mod:`rfcore.theory._pieces`) shows most of them as changes of sign.  Gaps that are narrower than
the grid show as local maxima of E; bulks that are narrower show as neighbours that lie in different gaps,
which the exact count of the eigenvalues below tells.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.theory import _inverse as inverse
from rfcore.theory import _place as place
from rfcore.theory._inverse import Array, Curve, Points
from rfcore.theory._pieces import between_folds, bracket, grid, regions, split
from rfcore.theory._roots import bracketed, highest

FLAT = 1e-4  # |E| at an edge is less, by far
SAME = 1e-11  # counts of eigenvalues in one gap differ by less


@dataclass(frozen=True, eq=False)
class Edges:
    """Ends of gaps: the points of the curve with E = 0, and whether the gap lies below (a left edge)."""

    reference: Array
    distance: Array
    points: Points
    below: npt.NDArray[np.bool_]


def edges(cv: Curve, fineness: int = 1) -> Edges:
    """All ends of gaps.  ``fineness`` multiplies the number of grid points."""
    with np.errstate(all="ignore"):
        return _edges(cv, fineness)


def _edges(cv: Curve, fineness: int) -> Edges:
    pieces = split(cv, regions(cv))
    per_end = fineness * int(np.clip(4000 // pieces.length.size, 24, 100))
    pieces = between_folds(cv, pieces, per_end)
    reference, distance = grid(cv, pieces, per_end)
    shape = reference.shape
    known = inverse.sums(cv, reference.ravel(), distance.ravel())
    found = []
    for sign in (1.0,) if cv.single else (1.0, -1.0):
        pt = inverse.points(cv, reference.ravel(), distance.ravel(), np.full(known.shape[1], sign), known)
        e = inverse.excess(cv, pt)
        count = _count(cv, pt)
        found.append(_ends(_Branch(cv, sign, reference, distance, e.reshape(shape), count.reshape(shape))))
    ref, dist, branch, inside = (np.concatenate(x) for x in zip(*found, strict=True))
    pt = inverse.points(cv, ref, dist, branch)
    # At a fold the sign can change by round-off of the discriminant, but E does not vanish there.
    true = np.abs(inverse.raw_excess(cv, pt)) < FLAT
    ref, dist, branch, inside = ref[true], dist[true], branch[true], inside[true]
    pt = inverse.points(cv, ref, dist, branch)
    return Edges(ref, dist, pt, inside > pt.iu)


@dataclass(frozen=True, eq=False)
class _Branch:
    """One branch of the curve on the grid: E, and the count of eigenvalues below where E > 0."""

    cv: Curve
    sign: float
    reference: Array
    distance: Array
    e: Array
    count: Array

    def at(self, reference: Array, distance: Array) -> tuple[Array, Points]:
        """E (-1 where there is no stable point) and the points."""
        pt = inverse.points(self.cv, reference, distance, np.full(distance.shape, self.sign))
        return inverse.excess(self.cv, pt), pt


def _count(cv: Curve, pt: Points) -> Array:
    """The fraction of eigenvalues below a point, without the atom, where the curve passes u = infinity."""
    return np.maximum(place.count_below(cv, pt) - place.atom(cv)[0], 0.0)


Bracket = tuple[Array, Array, Array, Array, Array]  # reference, two distances, E at both


def _ends(br: _Branch) -> tuple[Array, Array, Array, Array]:
    """Zeros of E: reference, distance, branch, and 1/u at a point inside the gap."""
    parts = (_crossings(br), *_narrow_gaps(br), *_narrow_bulks(br))
    ref, a, b, fa, fb = (np.concatenate(x) for x in zip(*parts, strict=True))
    root = bracketed(lambda x, i: br.at(ref[i], x)[0], a, b, fa, fb)
    inside = br.at(ref, np.where(fa > 0, a, b))[1].iu
    return ref, root, np.full(root.shape, br.sign), inside


def _crossings(br: _Branch) -> Bracket:
    """Neighbouring grid points of which one lies in a gap."""
    gap = br.e > 0
    row, column = np.nonzero(gap[:, 1:] != gap[:, :-1])
    return *bracket(br.reference, br.distance, row, column), br.e[row, column], br.e[row, column + 1]


def _narrow_gaps(br: _Branch) -> list[Bracket]:
    """Gaps between grid points: local maxima of E that reach above 0."""
    m = br.e[:, 1:-1]
    near = (m <= 0) & (m > -20) & (m != -1)  # -1 marks the absence of a stable point
    i, j = np.nonzero(near & (m >= br.e[:, :-2]) & (m >= br.e[:, 2:]))
    ref, low, middle = bracket(br.reference, br.distance, i, j)
    other, _, high = bracket(br.reference, br.distance, i, j + 1)
    x, value = highest(lambda x, k: br.at(ref[k], x)[0], low, middle, high + (other - ref), br.e[i, j + 1])
    new = value > 0
    i, j = i[new], j[new]
    ref, low, x, high, value = ref[new], low[new], x[new], (high + (other - ref))[new], value[new]
    return [(ref, low, x, br.e[i, j], value), (ref, x, high, value, br.e[i, j + 2])]


def _narrow_bulks(br: _Branch) -> list[Bracket]:
    """Bulks between grid points: neighbours in different gaps, bisected until one point lies in the bulk."""
    gap = br.e > 0
    row, column = np.nonzero(gap[:, 1:] & gap[:, :-1] & (np.abs(np.diff(br.count)) > SAME))
    ref, a, b = bracket(br.reference, br.distance, row, column)
    low = br.count[row, column]
    middle, value, turned = a.copy(), np.ones_like(a), np.zeros(a.shape, dtype=bool)
    for _ in range(60):
        go = value > 0
        if not go.any():
            break
        middle[go] = (a + b)[go] / 2
        value[go], pt = br.at(ref[go], middle[go])
        turned[go] = pt.discriminant < -inverse.ROUND_OFF
        first = np.abs(_count(br.cv, pt) - low[go]) < SAME
        a[go] = np.where((value[go] > 0) & first, middle[go], a[go])
        b[go] = np.where((value[go] > 0) & ~first, middle[go], b[go])
    done = (value <= 0) & ~turned
    ref, a, b, middle, value, one = (x[done] for x in (ref, a, b, middle, value, np.ones_like(a)))
    return [(ref, a, middle, one, value), (ref, middle, b, value, one)]
