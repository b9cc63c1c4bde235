"""Solving the closed equations: along the negative axis first, then on an arc to the target.

Below the spectrum everything is real and positive and Newton's method in log variables converges
from a crude start.  From there each target z is reached on the arc z_0 + R e^(i theta), theta from
pi down to arg(z - z_0), with z_0 the point below which there are no eigenvalues.  The arc has
length at most pi however many decades separate the bulks, and only the last part of it, where
theta is comparable with the relative width of a bulk, needs small steps.  Each point has its own
theta and step; a point jumps to its target as soon as the tangent says that it is near, and goes
back to the arc when Newton's method does not contract from there.
"""

import numpy as np
import numpy.typing as npt

from rfcore.theory._elliptical import EllipticalParameters
from rfcore.theory._equations import Array, Parameters

Equations = Parameters | EllipticalParameters
Bools = npt.NDArray[np.bool_]
TOLERANCE = 1e-12
NEAR = 0.25  # relative change up to which a jump to the target is tried
CHUNK = 400_000  # atoms x points in memory at once


def solve(par: Equations, y: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.float64]]:
    """Solve at y = z - floor (N,), real or with Im y >= 0 (real means from above).

    Returns the unknowns (u, chi_1, chi_2) as a (3, N) array and the residual (N,).
    """
    y = np.asarray(y, dtype=np.complex128)
    x = np.empty((3, y.size), dtype=np.complex128)
    residual = np.empty(y.size)
    width = max(1, CHUNK // par.lam.size)
    for k in range(0, y.size, width):
        part = slice(k, k + width)
        x[:, part], residual[part] = _solve_chunk(par, y[part])
    return x, residual


def below_spectrum(par: Equations, radius: npt.NDArray[np.float64]) -> tuple[Array, Array]:
    """Real solution and d log x/dy at y = -radius <= 0."""
    scale = radius + par.v2 + (par.s2 if par.eps else 0.0) + par.b2 + par.alpha2 * par.lam.max()
    x = np.ones((3, radius.size))
    x[0] = par.psi_p / scale
    for _ in range(200):
        step, tangent, _ = par.newton(x, -radius)
        biggest = np.max(np.abs(step))
        x = x * np.exp(np.clip(step, -1.5, 1.5))
        if biggest < 1e-13:
            break
    return x, tangent


def _solve_chunk(par: Equations, y: Array) -> tuple[Array, npt.NDArray[np.float64]]:
    radius = np.abs(y)
    x, tangent = below_spectrum(par, radius)
    x = x.astype(np.complex128)
    slope = tangent * -radius  # d log x/d log(z - z_0)
    _, _, residual = par.newton(x, y)
    target = np.angle(y)
    moving = np.flatnonzero((target < np.pi) & (radius > 0))
    if moving.size:
        x[:, moving], residual[moving] = _along_arc(
            par, x[:, moving], slope[:, moving], radius[moving], target[moving], y[moving]
        )
    return x, residual


def _along_arc(
    par: Equations, x: Array, slope: Array, radius: Array, target: Array, y: Array
) -> tuple[Array, npt.NDArray[np.float64]]:
    n = target.size
    answer, residual = np.empty_like(x), np.full(n, np.inf)
    index = np.arange(n)
    gap = np.pi - target  # what is left of the arc
    factor = np.full(n, 0.45)
    retry = np.full(n, np.inf)  # a jump that failed is tried again at a quarter of that gap
    for _ in range(400):
        reach = np.max(np.abs(slope), axis=0) * gap
        try_now = ((reach < NEAR) | (gap < 1e-15)) & (gap <= retry)
        if try_now.any():
            k = np.flatnonzero(try_now)
            start = x[:, k] * np.exp(-1j * gap[k] * slope[:, k])
            good, end, res = _polish(par, start, y[index[k]], gap[k] < 1e-13)
            answer[:, index[k[good]]], residual[index[k[good]]] = end[:, good], res[good]
            retry[k] = gap[k] / 4
            keep = np.ones(index.size, dtype=bool)
            keep[k[good]] = False
            x, slope, index = x[:, keep], slope[:, keep], index[keep]
            gap, factor, retry = gap[keep], factor[keep], retry[keep]
            if not index.size:
                break
        new_gap = gap * factor
        guess = x * np.exp(-1j * (gap - new_gap) * slope)
        arm = radius[index] * np.exp(1j * (target[index] + new_gap))
        step, tangent, _ = par.newton(guess, arm)
        size = np.max(np.abs(step), axis=0)
        ok = size < 0.15
        moved = guess * (1 + step)
        x = np.where(ok, moved, x)
        slope = np.where(ok, tangent * arm, slope)
        gap = np.where(ok, new_gap, gap)
        factor = np.where(ok, np.where(size < 0.03, np.maximum(factor * 0.6, 0.02), factor), np.sqrt(factor))
    return answer, residual


def _polish(
    par: Equations, x: Array, y: Array, forced: Bools
) -> tuple[Bools, Array, npt.NDArray[np.float64]]:
    """Newton's method at the target; good where it contracts at every step to the tolerance."""
    good = np.ones(y.size, dtype=bool)
    last = np.full(y.size, 0.3)
    for _ in range(12):
        step, _, residual = par.newton(x, y)
        size = np.max(np.abs(step), axis=0)
        settled = residual < 1e-15
        good &= (size < 0.5 * last) | settled | forced | (size < 1e-9)
        x = x * (1 + np.where(good, step, 0))
        last = size
        if np.all((size < 1e-10) | ~good):
            break
    # At real z the conjugate of a solution is one too: next to an edge Newton's method may find that one.
    mirrored = forced & (np.imag(y) == 0) & (np.imag(x[0]) < 0)
    x = np.where(mirrored, np.conj(x), x)
    _, tangent, residual = par.newton(x, y)
    sign = (np.imag(x[0]) >= -1e-9 * np.abs(x[0])) & (np.imag(x[1]) <= 1e-9 * np.abs(x[1]))
    # In a gap dq/dx = <(lambda - x)^-2> >= q^2 (Jensen).  A real root inside a bulk, next to the complex
    # pair that is wanted, does not obey this.
    u = x[0].real
    real = (np.imag(y) == 0) & (np.abs(x[0].imag) <= 1e-9 * np.abs(x[0]))
    possible = u * tangent[0].real >= u * u / par.psi_p * (1 - 1e-6)
    # At the end of the arc (forced) the branch is known; next to an edge the two roots are one to round-off.
    return good & (residual < TOLERANCE) & sign & (~real | possible | forced), x, residual
