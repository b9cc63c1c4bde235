"""Inverse Laplace transforms on the modified Talbot contour.

U^-1 (1 - exp(-T U)) is the inverse Laplace transform of 1/(s (s + U)) at time T, so that losses at
training time T are sums over a few points z = -s_k/T of the contour.  The integrand decays like
exp(-N) with the number N of points; round-off grows like exp(0.17 N).

Source: Talbot (1979); Trefethen, Weideman and Schmelzer (2006).
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Complex = npt.NDArray[np.complex128]


@lru_cache(maxsize=16)
def talbot(points: int) -> tuple[Complex, Complex]:
    """Nodes s_k and weights o_k = exp(s_k) s'_k/(i N s_k), k = 0..N/2 - 1 (upper half), N even.

    The inverse transform at T of F(s)/s is 2 Re sum_k o_k F(s_k/T).
    """
    n = points
    theta = (2 * np.arange(n // 2) + 1) * np.pi / n
    cot = 1 / np.tan(0.6407 * theta)
    s = n * (-0.6122 + 0.5017 * theta * cot + 0.2645j * theta)
    slope = n * (0.5017 * cot - 0.5017 * 0.6407 * theta / np.sin(0.6407 * theta) ** 2 + 0.2645j)
    return s, np.exp(s) * slope / (1j * n * s)


def single(weights: Complex, values: Complex) -> npt.NDArray[np.float64]:
    """2 Re sum_k o_k F_k over the last axis."""
    return np.asarray(2 * np.real(values @ weights))


def double(weights: Complex, upper: Complex, mixed: Complex) -> npt.NDArray[np.float64]:
    """Double transform from F(z_k, z_l) (upper) and F(z_k, conj z_l) (mixed), over the last two axes."""
    both = np.einsum("k,...kl,l->...", weights, upper, weights)
    return np.asarray(2 * np.real(both + np.einsum("k,...kl,l->...", weights, mixed, np.conj(weights))))
