r"""Exact averages over the diffusion noise, by the Mehler expansion with a bounded remainder.

For rows u_i + tau_i g_i, where g is a Gaussian vector of correlation matrix r, and orthonormal
Hermite polynomials h_k,

    E[f(u_i + tau_i g_i) f(u_j + tau_j g_j)] = sum_k H_k(i) H_k(j) r_ij^k
    H_k(i) = E[h_k(g) f(u_i + tau_i g)]

(Mehler 1866).  The diagonal r_ii = 1 is E f^2, computed without the series.  Off the diagonal the
terms beyond K are, by Cauchy-Schwarz, at most |r_ij|^{K+1} sqrt(T_i T_j) with the tail
T_i = E f^2 - sum_{k <= K} H_k(i)^2, which is known: terms are added until the Frobenius norm of
this bound is below the tolerance.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from rfcore.model import Activation

Tensor = torch.Tensor
TOLERANCE = 1e-12  # of the series, relative to the norm of the diagonal
LARGEST_ORDER = 320
_BLOCK = 8  # terms added at a time
_CHUNK = 4_000_000  # activation values held in memory at a time
_BUILT_IN: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "erf": torch.erf,
    "sin": torch.sin,
    "identity": lambda x: x,
}


class Projector(Protocol):
    """(u (n, p), tau (p,), orders first..last-1) -> H (last - first, n, p), and E f^2 (n, p)."""

    def __call__(self, u: Tensor, tau: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class NoiseAverage:
    """Means over samples of E f f^T (p, p) and of H_1 (p,); error bounds ||second - exact||_F."""

    second: Tensor
    first: Tensor
    error: float
    order: int


def average(u: Tensor, tau: Tensor, correlation: Tensor, activation: Activation, mean: float) -> NoiseAverage:
    """Average f f^T over Gaussian noise and over the n rows of u; f = activation - mean.

    Parameters
    ----------
    u : (n, p) noiseless pre-activations; tau : (p,) > 0, standard deviation of the noise in each
    correlation : (p, p) correlation matrix of the noise between the p rows

    Raises ValueError when the series needs more than ``LARGEST_ORDER`` terms (rough activations
    whose rows are nearly parallel, d below about 10), or when a callable is too rough.
    """
    n, p = u.shape
    project = projector(activation, mean, u, tau)
    power = torch.ones_like(correlation).fill_diagonal_(0)
    total = torch.zeros_like(correlation)
    captured, first, diagonal = u.new_zeros((3, p))
    for start in range(0, LARGEST_ORDER, _BLOCK):
        lowest = power
        for part in torch.split(u, max(1, _CHUNK // (_BLOCK * p))):
            h, square = project(part, tau, start, start + _BLOCK)
            power = lowest.clone()
            for k in range(h.shape[0]):
                total.addcmul_(h[k].T @ h[k], power, value=1 / n)
                power *= correlation
            captured += (h**2).sum(dim=(0, 1)) / n
            if start == 0:
                first += h[1].sum(dim=0) / n
                diagonal += square.sum(dim=0) / n
        # Below round-off the tail is not known: it is then taken to be round-off.
        tail = torch.maximum(diagonal - captured, 1e-15 * diagonal)
        error = float(torch.sqrt((power**2 @ tail) @ tail))
        if error <= TOLERANCE * float(torch.linalg.vector_norm(diagonal)):
            total = (total + total.T) / 2
            return NoiseAverage(total + torch.diag(diagonal), first, error, start + _BLOCK - 1)
    raise ValueError(
        f"activation = {activation!r} is not allowed with exact noise here: {LARGEST_ORDER} terms leave "
        f"an error of {error:.1e}; take a larger d (10 or more) or a finite noise_draws"
    )


def pointwise(activation: Activation, mean: float) -> Callable[[Tensor], Tensor]:
    """The centred activation on tensors; a callable of the user sees numpy arrays."""
    if not callable(activation):
        built_in = _BUILT_IN[activation]
        return lambda x: built_in(x) - mean

    def f(x: Tensor) -> Tensor:
        values = np.asarray(activation(x.cpu().numpy()), dtype=np.float64)
        return torch.as_tensor(values, device=x.device) - mean

    return f


def projector(activation: Activation, mean: float, u: Tensor, tau: Tensor) -> Projector:
    """The way to the coefficients H_k: closed form (relu), trapezoid rule (smooth), panels (kink at 0).

    A callable is tried on a few rows of ``u``: each rule against a twice finer one.
    """
    f = pointwise(activation, mean)
    if activation == "relu":
        return functools.partial(_relu, mean)
    if not callable(activation):
        return functools.partial(_trapezoid, f, 1)
    few = u[:: max(1, u.shape[0] // 4)][:4]
    for rule, smallest in ((_trapezoid, 1), (_panels, 4)):
        for size in (smallest, 2 * smallest, 4 * smallest):
            error = _difference(rule(f, size, few, tau, 0, _BLOCK), rule(f, 2 * size, few, tau, 0, _BLOCK))
            if error < 1e-11:
                return functools.partial(rule, f, size)
    raise ValueError(
        f"activation = {activation!r} is not allowed with exact noise: its noise average has an estimated "
        f"error of {error:.1e} (smooth functions, and kinks at 0, are allowed); take a finite noise_draws"
    )


def _difference(coarse: tuple[Tensor, Tensor], fine: tuple[Tensor, Tensor]) -> float:
    scale = math.sqrt(float(fine[1].mean()))
    h, square = (float((x - y).abs().max()) for x, y in zip(coarse, fine, strict=True))
    return max(h / scale, square / scale**2)


def _hermite(g: Tensor, first: int, last: int) -> Tensor:
    """h_first..h_{last-1}, orthonormal, along a new leading axis."""
    before, h, kept = torch.zeros_like(g), torch.ones_like(g), []
    for k in range(last):
        if k >= first:
            kept.append(h)
        before, h = h, (g * h - math.sqrt(k) * before) / math.sqrt(k + 1)
    return torch.stack(kept)


def _reach(order: int) -> float:
    """Beyond this, h_k(g) times the Gaussian weight is below round-off for k < order."""
    return 8.5 + 0.6 * math.sqrt(order)


def _trapezoid(
    f: Callable[[Tensor], Tensor], finer: int, u: Tensor, tau: Tensor, first: int, last: int
) -> tuple[Tensor, Tensor]:
    """Trapezoid rule in g: exponentially convergent for f analytic in the strip of tanh, |Im| < pi/2.

    The aliasing error is the Fourier transform of the integrand at 2 pi/step: the Hermite part ends
    near sqrt(order) + 9, the activation decays as exp(-a |frequency|), a = pi/(2 tau).
    """
    a = math.pi / (2 * float(tau.max()))
    band = math.sqrt(last) + max(9.0, 37 / a + min(a, 9.0) / 2)
    reach = _reach(last)
    half = math.ceil(reach * band * finer / (2 * math.pi))
    g = torch.arange(-half, half + 1, dtype=u.dtype, device=u.device) * (reach / half)
    weight = torch.exp(-(g**2) / 2) * (reach / half) / math.sqrt(2 * math.pi)
    basis = (_hermite(g, first, last) * weight).T.contiguous()
    h = u.new_empty((last - first, *u.shape))
    square = torch.empty_like(u)
    rows = max(1, _CHUNK // (u.shape[1] * g.numel()))
    for k in range(0, u.shape[0], rows):
        y = f(u[k : k + rows, :, None] + tau[None, :, None] * g)
        h[:, k : k + rows] = (y @ basis).movedim(-1, 0)
        square[k : k + rows] = y**2 @ weight
    return h, square


def _panels(
    f: Callable[[Tensor], Tensor], count: int, u: Tensor, tau: Tensor, first: int, last: int
) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre panels on either side of the point where the argument of f is 0."""
    reach = _reach(last)
    count = math.ceil(count * max(1.0, float(tau.max())) * max(1.0, reach / 10))
    x, w = np.polynomial.legendre.leggauss(16)
    unit = ((np.arange(count)[:, None] + (x + 1) / 2) / count).ravel()
    base = torch.as_tensor(unit, device=u.device)
    share = torch.as_tensor(np.tile(w / (2 * count), count), device=u.device)
    h = u.new_empty((last - first, *u.shape))
    square = torch.empty_like(u)
    rows = max(1, _CHUNK // (u.shape[1] * 2 * unit.size * (last - first)))
    for k in range(0, u.shape[0], rows):
        kink = torch.clamp(-u[k : k + rows] / tau, -reach, reach)[..., None]
        g = torch.cat([-reach + (kink + reach) * base, kink + (reach - kink) * base], dim=-1)
        weight = torch.cat([(kink + reach) * share, (reach - kink) * share], dim=-1)
        weight = weight * torch.exp(-(g**2) / 2) / math.sqrt(2 * math.pi)
        y = f(u[k : k + rows, :, None] + tau[None, :, None] * g)
        h[:, k : k + rows] = (_hermite(g, first, last) * (weight * y)).sum(dim=-1)
        square[k : k + rows] = (weight * y**2).sum(dim=-1)
    return h, square


def _relu(mean: float, u: Tensor, tau: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
    """Closed form in z = u/tau, with Phi and phi the Gaussian distribution function and density:

    H_0 = tau (z Phi + phi) - c_0,   H_1 = tau Phi,   H_k = tau (-1)^k h_{k-2}(z) phi/sqrt(k (k-1))
    """
    z = u / tau
    cdf = torch.special.ndtr(z)
    pdf = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    zeroth = tau * (z * cdf + pdf)
    h = u.new_empty((last - first, *u.shape))
    if first == 0:
        h[0], h[1] = zeroth - mean, tau * cdf
    low = max(first, 2)
    for k, polynomial in enumerate(_hermite(z, low - 2, last - 2), start=low):
        h[k - first] = (-1) ** k / math.sqrt(k * (k - 1)) * tau * polynomial * pdf
    square = tau**2 * ((z**2 + 1) * cdf + z * pdf) - 2 * mean * zeroth + mean**2
    return h, square
