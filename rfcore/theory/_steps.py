r"""Contours for polynomials of the matrix: r_k(U) after k steps of descent with momentum.

In place of z use the larger root rho of the recursion, a conformal coordinate outside the cut on which both
roots have the same modulus,

    heavy ball  h z = (1 - rho)(rho - beta)/rho
    Nesterov    h z = (1 - rho)(rho - beta)/((1 + beta) rho - beta)

Then r_k = a rho^k + (1 - a) rho_2^k with r_k -> a rho^k late, and |rho| = 1 is the edge of stability: the
circle for beta = 0, an ellipse round the foci (1 -+ sqrt beta)^2/h for the heavy ball.  With f = (1 - r_k)/z
and a resolvent trace T, whose integral against 1/z vanishes,

    tr f(U) = (1/2 pi i) oint r_k(z) T(z) dz/z

counter-clockwise round spectrum and origin.  Early (``circle``): |rho| = R > 1, a trapezoidal rule, exact up
to the coefficients of order k + N.  Late (``talbot_steps``): rho = exp(s/k) with s on Talbot's contour, round
the slow modes, and rho = -exp(s/k) round those next to the edge of stability.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rfcore.descent import Descent
from rfcore.theory._contour import talbot

Complex = npt.NDArray[np.complex128]
PLAIN = 48  # steps up to which the circle is used without momentum
NEGLIGIBLE = 20.5  # -log of what modes on the cut may still weigh when they are left out


@dataclass(frozen=True, eq=False)
class Contour:
    """Points z (upper half, I), weights o (K, I) for K numbers of steps: tr f(U) = 2 Re sum_i o_i T(z_i)."""

    z: Complex
    weights: Complex


def early(question: Descent) -> int:
    """Number of steps up to which modes on the cut are still alive, |rho| = sqrt(beta) there."""
    beta = question.momentum
    return PLAIN if beta == 0 else max(PLAIN, math.ceil(2 * NEGLIGIBLE / -math.log(beta)))


def circle(question: Descent, steps: npt.NDArray[np.int64], ratio: int, digits: int) -> Contour:
    """All numbers of steps on one circle of N = ratio * max(steps) points, with R^N = 10^digits."""
    most = int(steps.max())
    n = 2 * max(ratio * most // 2, 24)
    rho = 10 ** (digits / n) * np.exp(1j * np.pi * (2 * np.arange(n // 2) + 1) / n)
    z, slope = _plane(question, rho)
    wanted = set(steps.tolist())
    rows = {k: r for k, r in enumerate(question.residuals(z, most)) if k in wanted}
    residuals = np.stack([rows[k] for k in steps.tolist()])
    return Contour(z, residuals * slope / n)


def talbot_steps(question: Descent, steps: int, points: int, fast: bool) -> Contour:
    """One number of steps; ``fast``: with the modes at negative rho."""
    s, o = talbot(points)
    parts = []
    for sign in (1, -1) if fast else (1,):
        rho = sign * np.exp(s / steps)
        z, slope = _plane(question, rho)
        weight = o * s * slope / steps * _leading(question, rho, z)
        if sign < 0:
            weight *= (-1) ** steps
            z, weight = np.conj(z), np.conj(weight)  # to the upper half plane
        keep = np.abs(rho) > math.sqrt(question.momentum)
        parts.append((z[keep], weight[keep]))
    z, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Contour(z, weight[None])


def _plane(question: Descent, rho: Complex) -> tuple[Complex, Complex]:
    """z(rho), and rho z'(rho)/z(rho)."""
    beta = question.momentum
    bottom = (1 + beta) * rho - beta if question.nesterov else rho
    growth = (1 + beta) * rho / bottom if question.nesterov else 1.0
    z = (1 - rho) * (rho - beta) / (question.h * bottom)
    return z, rho / (rho - 1) + rho / (rho - beta) - growth


def _leading(question: Descent, rho: Complex, z: Complex) -> Complex:
    """The coefficient a of rho^k in r_k, or in its moving average."""
    beta, gamma = question.momentum, question.average
    hz = question.h * z
    other = beta * (1 - hz) / rho if question.nesterov else beta / rho
    a = (1 - hz - other) / (rho - other)
    return a * (1 - gamma) * rho / (rho - gamma) if gamma else a
