r"""The parts of the W axis in which gaps can begin and end, and the grid on them.

On each interval of W between two poles the function <k^2/(W + l)^2> is convex, and a gap needs it to be
below psi_n: this confines the search to one subinterval, or none, per pair of neighbouring atoms.  The
subinterval is split where the curve turns (zeros of the discriminant) and where its scales separate (at
W = 0 and at the zeros of P and eta), and gets a grid that is logarithmically dense at both ends.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.theory import _inverse as inverse
from rfcore.theory._inverse import Array, Curve
from rfcore.theory._roots import bracketed, highest

Index = npt.NDArray[np.intp]
INFINITY = 1e30  # in units of the largest scale of W


@dataclass(frozen=True, eq=False)
class Pieces:
    """Intervals of W, each from reference[0] + distance[0] to reference[1] + distance[1]; arrays (2, N)."""

    reference: Array
    distance: Array

    @property
    def length(self) -> Array:
        return np.asarray((self.reference[1] - self.reference[0]) + (self.distance[1] - self.distance[0]))


def regions(cv: Curve) -> Pieces:
    """The parts of the W axis with <k^2 g^2> < psi_n."""
    scale = INFINITY * (cv.l[-1] + cv.b2 + cv.c + cv.v2)
    pole = cv.k > 0
    l, a = cv.l[pole], (cv.weights * cv.k**2)[pole]  # noqa: E741
    if l.size == 0:
        return Pieces(np.zeros((2, 1)), np.array([[-scale], [scale]]))
    top = np.sqrt(a.sum() / cv.psi_n) * (1 + 1e-12)
    ends = np.array([-l[-1], -l[0]])
    near = np.sqrt(a[[-1, 0]] / cv.psi_n) * (1 - 1e-12)
    sign = np.array([-1.0, 1.0])
    out = sign * _level(cv, ends, sign * near, sign * np.full(2, top))
    low = Pieces(ends[[0, 0]][:, None], np.array([[-scale], [-out[0]]]))
    high = Pieces(ends[[1, 1]][:, None], np.array([[out[1]], [scale]]))
    return _join(low, *_inner(cv, l, a), high)


def _inner(cv: Curve, l: Array, a: Array) -> list[Pieces]:  # noqa: E741
    length = np.diff(l)
    third = np.cbrt(a)
    # The two nearest atoms alone bound <k^2 g^2> from below.
    keep = (third[1:] + third[:-1]) ** 3 < cv.psi_n * length**2
    left, right, length = -l[1:][keep], -l[:-1][keep], length[keep]
    if not left.size:
        return []
    middle = length * third[1:][keep] / (third[1:] + third[:-1])[keep]

    def slope(x: Array, i: Index) -> Array:
        g = 1 / (np.add.outer(left[i], cv.l) + x[:, None])
        return np.asarray(np.cbrt((g**3) @ (cv.weights * cv.k**2)))

    one = np.ones_like(middle)
    middle = bracketed(slope, middle * 1e-9, length * (1 - 1e-9), one, -one, steps=30)
    keep = inverse.sums(cv, left, middle)[4] < cv.psi_n
    left, right, middle, length = left[keep], right[keep], middle[keep], length[keep]
    begin = _level(cv, left, middle * 1e-12, middle)
    end = _level(cv, right, (middle - length) * 1e-12, middle - length)
    return [Pieces(np.stack([left, right]), np.stack([begin, end]))]


def _level(cv: Curve, reference: Array, near: Array, far: Array) -> Array:
    """The distance between near (large) and far (small) at which <k^2 g^2> = psi_n."""

    def f(x: Array, i: Index) -> Array:
        return np.asarray(1 / np.sqrt(inverse.sums(cv, reference[i], x)[4]) - 1 / np.sqrt(cv.psi_n))

    one = np.ones_like(near)
    return bracketed(f, near, far, -one, one)


def _join(*parts: Pieces) -> Pieces:
    return Pieces(
        np.concatenate([x.reference for x in parts], axis=1),
        np.concatenate([x.distance for x in parts], axis=1),
    )


def split(cv: Curve, pieces: Pieces) -> Pieces:
    """Cut the pieces at W = 0 and at the zeros of P and of eta, which are monotone on every piece."""
    start, end = pieces.reference + pieces.distance
    zero = np.zeros((2, pieces.length.size))
    pieces = _cut(pieces, (start < 0) & (end > 0), zero)
    tiny = 1e-30 * (cv.l[-1] + cv.b2 + cv.c)  # W = 0 itself is a pole of G if there is a zero eigenvalue
    at_zero = (pieces.reference + pieces.distance) == 0
    pieces = Pieces(pieces.reference, np.where(at_zero, [[tiny], [-tiny]], pieces.distance))
    top = 2 * float(cv.b2 + cv.l[-1] + cv.weights @ cv.k / cv.psi_n)  # both zeros lie below
    pieces = _split_at(pieces, top, lambda ref, x: cv.psi_n - inverse.sums(cv, ref, x)[1])
    return _split_at(pieces, top, lambda ref, x: -inverse.lag(cv, ref, x, inverse.sums(cv, ref, x)))


def _split_at(pieces: Pieces, top: float, f: Callable[[Array, Array], Array]) -> Pieces:
    """Cut the pieces on which the increasing function f(reference, distance) changes sign, below top."""
    (r0, r1), (d0, d1) = pieces.reference, pieces.distance
    # The root is measured from the reference of the end that is nearer to its own.
    near = np.abs(d0) < np.abs(d1)
    ref = np.where(near, r0, r1)
    a, b = np.where(near, d0, d0 + (r0 - r1)), np.where(near, d1 + (r1 - r0), d1)
    b = np.minimum(b, top)
    fa, fb = f(ref, a), f(ref, b)
    at = (fa < 0) & (fb > 0)
    root = np.zeros_like(d0)
    root[at] = bracketed(lambda x, i: f(ref[at][i], x), a[at], b[at], fa[at], fb[at])
    return _cut(pieces, at, np.stack([ref, root]))


def _cut(pieces: Pieces, at: npt.NDArray[np.bool_], point: Array) -> Pieces:
    """Cut the marked pieces in two at ``point`` (reference, distance)."""
    r, d = pieces.reference, pieces.distance
    low = Pieces(
        np.stack([r[0], np.where(at, point[0], r[1])]), np.stack([d[0], np.where(at, point[1], d[1])])
    )
    high = Pieces(np.stack([point[0], r[1]])[:, at], np.stack([point[1], d[1]])[:, at])
    return _join(low, high)


def grid(cv: Curve, pieces: Pieces, per_end: int) -> tuple[Array, Array]:
    """Reference and distance of the grid points, (pieces, 2 per_end), ascending in W."""
    r, d, length = pieces.reference, pieces.distance, pieces.length
    scale = cv.l[-1] + cv.b2 + cv.c
    open_up, open_down = d[1] > 1e20 * scale, d[0] < -1e20 * scale
    with np.errstate(divide="ignore"):
        near = [np.where(x == 0, np.inf, np.abs(x)) for x in d]
    reach = np.where(open_up | open_down, scale, length / 2)
    step = [np.minimum(1e-9 * reach, 1e-4 * x) for x in near]
    t = np.linspace(0, 1, per_end - 1)
    # The two halves must not share their last point.
    reaches = reach, 0.9 * reach
    rise = [
        np.exp(np.log(s)[:, None] + np.log(r / s)[:, None] * t) for s, r in zip(step, reaches, strict=True)
    ]
    far = np.exp(np.log(scale) + np.log(length / scale)[:, None] * np.linspace(0, 1, per_end)[1:])
    low = np.where(open_down[:, None], d[1][:, None] - far[:, ::-1], d[0][:, None] + rise[0])
    high = np.where(open_up[:, None], d[0][:, None] + far, d[1][:, None] - rise[1][:, ::-1])
    distance = np.concatenate([d[0][:, None], low, high, d[1][:, None]], axis=1)
    half = np.full(distance.shape, False)
    half[:, per_end:] = True
    late = np.where(open_up[:, None], False, np.where(open_down[:, None], True, half))
    return np.where(late, r[1][:, None], r[0][:, None]), distance


def between_folds(cv: Curve, pieces: Pieces, per_end: int) -> Pieces:
    """The parts of the pieces over which the curve has points (discriminant >= 0)."""
    if cv.single:
        return pieces
    reference, distance = grid(cv, pieces, per_end)

    def disc(ref: Array, dist: Array) -> Array:
        return inverse.points(cv, ref, dist, np.ones_like(dist)).discriminant

    value = disc(reference.ravel(), distance.ravel()).reshape(reference.shape)
    some = value >= 0
    row, column = np.nonzero(some[:, 1:] != some[:, :-1])
    ref, a, b = bracket(reference, distance, row, column)
    fa, fb = value[row, column], value[row, column + 1]
    # The two folds can be closer than the grid: local minima of the discriminant that reach below 0.
    inner = value[:, 1:-1]
    i, j = np.nonzero((inner > 0) & (inner < 0.95) & (inner <= value[:, :-2]) & (inner <= value[:, 2:]))
    mid_ref, low, middle = bracket(reference, distance, i, j)
    other, _, high = bracket(reference, distance, i, j + 1)
    high = high + (other - mid_ref)
    x, least = highest(lambda x, k: -disc(mid_ref[k], x), low, middle, high, -value[i, j + 1])
    new = least > 0
    row = np.concatenate([row, i[new], i[new]])
    ref = np.concatenate([ref, mid_ref[new], mid_ref[new]])
    a, b = np.concatenate([a, low[new], x[new]]), np.concatenate([b, x[new], high[new]])
    fa = np.concatenate([fa, value[i, j][new], -least[new]])
    fb = np.concatenate([fb, -least[new], value[i, j + 2][new]])
    root = bracketed(lambda x, i: disc(ref[i], x), a, b, fa, fb)
    order = np.lexsort((ref + root, row))
    row, ref, root, start = row[order], ref[order], root[order], (fa > 0)[order]
    whole = np.setdiff1d(np.nonzero(some[:, 1:-1].any(axis=1))[0], row)
    out = [Pieces(pieces.reference[:, whole], pieces.distance[:, whole])]
    for piece in np.unique(row):
        at = row == piece
        r = np.concatenate([pieces.reference[:1, piece], ref[at], pieces.reference[1:, piece]])
        d = np.concatenate([pieces.distance[:1, piece], root[at], pieces.distance[1:, piece]])
        keep = np.arange(0 if start[at][0] else 1, r.size - 1, 2)
        out.append(Pieces(np.stack([r[keep], r[keep + 1]]), np.stack([d[keep], d[keep + 1]])))
    return _join(*out)


def bracket(reference: Array, distance: Array, row: Index, column: Index) -> tuple[Array, Array, Array]:
    """Neighbouring grid points with one reference: that of the point nearer to its own."""
    r0, r1 = reference[row, column], reference[row, column + 1]
    d0, d1 = distance[row, column], distance[row, column + 1]
    first = np.abs(d0) < np.abs(d1)
    ref = np.where(first, r0, r1)
    return ref, np.where(first, d0, d0 + (r0 - r1)), np.where(first, d1 + (r1 - r0), d1)
