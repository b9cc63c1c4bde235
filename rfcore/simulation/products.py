"""Products of U with vectors, without forming U where that can be avoided."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from rfcore.checks import refuse
from rfcore.simulation.features import draws, sample_parts, training
from rfcore.simulation.setting import Setting, Tensor

Parts = Callable[[], Iterable[Tensor]]
PART = 2**24  # numbers in one part of the features
COPIES = 8  # matrices (p, p) in memory at once while the noise is averaged exactly


@dataclass(frozen=True)
class Product:
    """A symmetric matrix K (size, size) by its action on rows, v (k, size) -> v K.

    The eigenvalues of U (p, p) are ``shift`` + those of K, and p - size times ``shift`` itself.
    """

    apply: Callable[[Tensor], Tensor]
    size: int
    shift: float


def product(s: Setting, memory: float) -> Product:
    """The matrix U of one draw of everything random, or the smaller one that has the same eigenvalues.

    With m noise draws, and for the Gaussian twin, U = shift + F^T F.  F (N, p) comes in parts: they are kept
    if they fit into ``memory`` bytes, and made again from the seed at each product otherwise.  Where N < p,
    K is F F^T.  The average over the noise of the true network (m = infinity) has no such form: U is made.

    Raises ValueError if U must be formed and does not fit into the memory of the device.
    """
    (n, d), p, m = s.x.shape, len(s.M), s.model.noise_draws
    if m == math.inf and s.features == "nonlinear":
        _refuse_too_large(s)
        U = training(s)[0]
        return Product(lambda v: v @ U, p, 0.0)
    rows = max(1, PART // p)
    if m < math.inf:
        count = n * int(m)
        made = _kept(lambda: (phi for phi, _ in draws(s, rows)), 8.0 * count * p <= memory)
        return _from_factor(lambda: ((phi, 1 / count) for phi in made()), count, p, 0.0)
    c = s.model.constants
    made = _kept(lambda: sample_parts(s, rows), 8.0 * n * p <= memory)

    def parts() -> Iterator[tuple[Tensor, float]]:
        yield from ((g, 1 / n) for g in made())
        yield s.M.T, c.b**2

    return _from_factor(parts, n + d, p, c.s2)


def _kept(make: Parts, keep: bool) -> Parts:
    if not keep:
        return make
    kept = list(make())
    return lambda: kept


def _from_factor(
    parts: Callable[[], Iterable[tuple[Tensor, float]]], count: int, p: int, shift: float
) -> Product:
    """F^T F, or F F^T if that is smaller, for F made of the parts X sqrt(c)."""

    def gram(v: Tensor) -> Tensor:
        return sum((c * ((v @ x.T) @ x) for x, c in parts()), torch.zeros_like(v))

    def dual(y: Tensor) -> Tensor:
        w, start = y.new_zeros((len(y), p)), 0
        for x, c in parts():
            w += math.sqrt(c) * (y[:, start : start + len(x)] @ x)
            start += len(x)
        return torch.cat([math.sqrt(c) * (w @ x.T) for x, c in parts()], dim=1)

    return Product(dual, count, shift) if count < p else Product(gram, p, shift)


def _refuse_too_large(s: Setting) -> None:
    p, d = s.M.shape
    available = _memory(s.M.device)
    if COPIES * 8 * p**2 > available:
        most = math.isqrt(int(available / (8 * COPIES)))
        advice = "a finite noise_draws, or features = 'gaussian', forms no p x p matrix"
        raise refuse("d", d, f"p = round(psi_p d) = {p} at most {most} on this device, exact noise; {advice}")


def _memory(device: torch.device) -> float:
    """Bytes of memory of the device; infinite where that cannot be known."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type == "cpu" and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return math.inf
