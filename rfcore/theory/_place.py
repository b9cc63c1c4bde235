"""What a point of the curve means: its place z, the eigenvalues below it, the atom."""

import numpy as np

from rfcore.theory._inverse import EPS, Array, Curve, Points, nonzero

Estimate = tuple[Array, Array]


def positions(cv: Curve, pt: Points) -> tuple[Array, Array, Array, Array]:
    """z, its round-off error, z - s^2, its round-off error: of several forms, those that cancel least.

    The forms: E3 solved for z, and 1 + z q = (psi_n/psi_p)((1 - chi_1) + (m - 1)(1 - chi_2)), which is
    (1/p) Tr U R = 1 + z q counted vector by vector.
    """
    g, kg = pt.sums[:2]
    e, n, p, iu = cv.eps, cv.psi_n, cv.psi_p, pt.iu
    chi1, chi2 = 1 / nonzero(pt.y1), 1 / nonzero(pt.y2)
    h = pt.r * g
    if e == 0:
        offset = _least(
            _total(cv.v2 * chi1, iu, -p * iu, -h * iu),
            _total((n + 1 - p) * iu, -n * chi1 * iu, -kg * iu, -h * iu),
        )
        z = offset[0] + cv.s2
        return z, offset[1] + EPS * np.abs(z), *offset
    noise = (cv.s2 + cv.b2 * g * pt.r) * chi2  # u (1 - chi_2) psi_n/eps
    last = (iu, -p * iu, -h * iu)
    whole = _least(
        _total(cv.v2 * chi1, e * cv.s2 * chi1, (1 - e) * cv.s2 * chi2, *last),
        _total(n * (1 - chi1) * iu, (1 - e) * noise, -p * iu),
        _total((n / e - p) * iu, -n * chi1 * iu, -n * (1 / e - 1) * chi2 * iu),
    )
    less = (1 - e) * e * noise / (n * nonzero(iu))  # (1 - eps)(1 - chi_2)
    offset = _least(
        _total(cv.v2 * chi1, e * cv.s2 * chi1, -e * cv.s2, -cv.s2 * less, *last),
        (whole[0] - cv.s2, whole[1] + EPS * cv.s2),
    )
    return *_least(whole, (offset[0] + cv.s2, offset[1] + EPS * cv.s2)), *offset


def _total(*terms: Array | float) -> Estimate:
    """The sum of terms and the round-off error that their sizes bring."""
    every = np.stack(np.broadcast_arrays(*terms))
    return np.sum(every, axis=0), 2 * EPS * np.sum(np.abs(every), axis=0)


def _least(*forms: Estimate) -> Estimate:
    """Of several (value, error), point by point, the one with the least error.

    Where two forms differ by more than their errors the point is off the curve by round-off: the
    difference is then the error.
    """
    best, error = forms[0]
    for value, size in forms[1:]:
        best, error = np.where(size < error, value, best), np.minimum(size, error)
    for value, size in forms:
        error = np.maximum(error, np.abs(value - best) - size)
    return best, error


def count_below(cv: Curve, pt: Points) -> Array:
    """The fraction of eigenvalues below a point of a gap, from the signs of q, chi and 1 + kappa u."""
    e, n, p = cv.eps, cv.psi_n, cv.psi_p
    negative = np.concatenate([[0.0], np.cumsum(cv.weights)])[
        np.searchsorted(cv.l, -pt.w)
    ]  # weight of W + l < 0
    modes = np.where(pt.r > 0, negative, 1 - negative)  # weight of 1 + kappa u = chi_1 u (W + l) < 0
    below = (pt.iu < 0) - (n / p) * (pt.y1 < 0) + np.sign(pt.iu) * modes / p
    return np.asarray(below if e == 0 else below - (n / p) * (1 / e - 1) * (pt.y2 < 0))


def atom(cv: Curve) -> tuple[float, bool]:
    """Mass of the atom at the lowest possible place, and whether a bulk begins there too (a hard edge).

    The rank of U (of U - s^2 at m = infinity) is the least of the numbers of its factors, per dimension;
    where the two least are equal the spectrum reaches down to the place of the atom.
    """
    p, n = cv.psi_p, cv.psi_n
    through = 1.0 if cv.b2 > 0 else 0.0  # directions of R^p that are seen through M
    if cv.eps == 0:
        sizes = [p, through + (n if cv.v2 > 0 else 0.0)]
    else:
        sizes = [p, n / cv.eps] if cv.s2 > 0 else [p, n / cv.eps, through]
    least, second = sorted(sizes)[:2]
    hard = second - least <= 1e-12 * second
    rank = p if abs(p - least) <= 1e-12 * p else least
    return 1 - rank / p, hard
