"""Many bracketed roots and maxima at once, each with the same vectorised function."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
# f(x, i): values at x of the problems number i
Function = Callable[[Array, Index], Array]


def bracketed(f: Function, a: Array, b: Array, fa: Array, fb: Array, steps: int = 90) -> Array:
    """Roots of f between a and b, where fa and fb differ in sign, by the method of Chandrupatla.

    Inverse quadratic interpolation where it is safe, bisection elsewhere; f needs only be right in
    sign.  Stops at a bracket of 4 units in the last place or after ``steps``.
    """
    n = a.size
    result, index = np.where(np.abs(fa) < np.abs(fb), a, b), np.arange(n)
    x1, x2, f1, f2 = b.copy(), a.copy(), fb.copy(), fa.copy()
    x3, f3, t = x2.copy(), f2.copy(), np.full(n, 0.5)
    for _ in range(steps):
        if index.size == 0:
            break
        x = x1 + t * (x2 - x1)
        fx = f(x, index)
        same = (fx > 0) == (f1 > 0)
        x3, f3 = np.where(same, x1, x2), np.where(same, f1, f2)
        x2, f2 = np.where(same, x2, x1), np.where(same, f2, f1)
        x1, f1 = x, fx
        best = np.where(np.abs(f2) < np.abs(f1), x2, x1)
        result[index] = best
        width = np.abs(x2 - x1)
        tolerance = 4 * np.finfo(float).eps * np.abs(best) + 1e-300
        go = (width > tolerance) & (fx != 0)
        t = _next(x1, x2, x3, f1, f2, f3, tolerance / np.where(width > 0, width, 1))
        index, t = index[go], t[go]
        x1, x2, x3, f1, f2, f3 = (v[go] for v in (x1, x2, x3, f1, f2, f3))
    return result


def _next(x1: Array, x2: Array, x3: Array, f1: Array, f2: Array, f3: Array, least: Array) -> Array:
    """The next fraction of the way from x1 to x2 (Chandrupatla 1997)."""
    with np.errstate(all="ignore"):
        xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        good = (phi * phi < xi) & ((1 - phi) ** 2 < 1 - xi)
        t = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
    t = np.where(good & np.isfinite(t), t, 0.5)
    return np.clip(t, least / 2, 1 - least / 2)


def highest(f: Function, a: Array, m: Array, b: Array, fm: Array, steps: int = 40) -> tuple[Array, Array]:
    """Points where f > 0 between a and b, or else its maxima near m: golden sections from a < m < b.

    A problem stops as soon as a positive value is found, because only the sign of the maximum counts.
    """
    best, value, index = m.copy(), fm.copy(), np.arange(m.size)
    a, b = a.copy(), b.copy()
    for _ in range(steps):
        if index.size == 0:
            break
        x0, f0 = best[index], value[index]
        right = b - x0 > x0 - a
        x = np.where(right, x0 + 0.381966 * (b - x0), x0 - 0.381966 * (x0 - a))
        fx = f(x, index)
        better = fx > f0
        low, high = np.where(right, x0, x), np.where(right, x, x0)
        a = np.where(better, np.where(right, low, a), np.where(right, a, low))
        b = np.where(better, np.where(right, b, high), np.where(right, high, b))
        best[index], value[index] = np.where(better, x, x0), np.where(better, fx, f0)
        go = (value[index] <= 0) & (b - a > 1e-14 * np.abs(best[index]))
        index, a, b = index[go], a[go], b[go]
    return best, value
