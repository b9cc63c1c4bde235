"""The constants of the Gaussian equivalence by quadrature: for tanh, and for any callable."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rfcore import _quadrature as quadrature
from rfcore._activations import EPS, Constants, Function, Mixture

Array = npt.NDArray[np.float64]
Pair = tuple[Array, Array]
Rule = Callable[[int], "Rules"]

HERMITE_TERMS = 60  # enough for sum c_k^2 rho^k at rho <= 1/2


def tanh_constants(m: Mixture) -> Constants:
    """For tanh, whose mean vanishes."""
    found = _refine(np.tanh, m, partial(_trapezoids, m), "tanh")
    return Constants(found.a, found.v2, found.s2, 0.0, found.error)


def callable_constants(f: Function, m: Mixture, name: object) -> Constants:
    """For a callable with values already checked; ``name`` is what a complaint shows."""
    breaks = find_breaks(f, quadrature.REACH * math.sqrt(m.gamma), name)
    return _refine(f, m, partial(_panels, m, breaks), name)


@dataclass(frozen=True)
class Rules:
    """Nodes and weights for the argument as one variable u, for eta, and for xi at each eta."""

    u: Pair
    eta: Callable[[], Pair]
    xi: Callable[[Array], Pair]


def _trapezoids(m: Mixture, level: int) -> Rules:
    """For tanh: its poles are at i pi/2, so the step is a fraction of pi/(2 scale)."""

    def rule(scale2: float) -> Pair:
        return quadrature.trapezoid(min(0.5, math.pi / (2 * math.sqrt(scale2)) / 6) / 2**level)

    xi, weight = rule(m.delta)
    return Rules(rule(m.gamma), lambda: rule(m.signal), lambda eta: (xi[None], weight[None]))


def _panels(m: Mixture, breaks: list[float], level: int) -> Rules:
    """For callables: Gauss-Legendre panels, split where the argument meets a break of the activation."""
    total, signal, noise = math.sqrt(m.gamma), math.sqrt(m.signal), math.sqrt(m.delta)

    def edges(scale: float, smoothing: float) -> Array:
        width = min(1.0, 2 / scale) / 2**level
        if smoothing >= width * scale:
            return quadrature.graded_edges(width, [], width)
        return quadrature.graded_edges(width, [x / scale for x in breaks], smoothing / scale)

    inner = quadrature.graded_edges(1.0 / 2**level, [], 1.0)

    def xi(eta: Array) -> Pair:
        cuts = (np.array(breaks) - signal * eta[:, None]) / noise
        cuts = np.clip(cuts, -quadrature.REACH, quadrature.REACH)
        both = np.hstack([np.broadcast_to(inner, (eta.size, inner.size)), cuts])
        return quadrature.panels(np.sort(both, axis=1))

    whole_line = np.union1d(edges(total, math.inf), np.array(breaks) / total)
    # The average over xi smooths a break over sqrt(Delta): panels in eta shrink to that and no further.
    return Rules(quadrature.panels(whole_line), lambda: quadrature.panels(edges(signal, noise)), xi)


def _refine(f: Function, m: Mixture, rules: Rule, name: object) -> Constants:
    """Halve the step until the constants stand still; the last change is the error estimate."""
    best, error = _moments(f, m, rules(0), name), math.inf
    for level in (1, 2, 3):
        coarse, best = best, _moments(f, m, rules(level), name)
        error = max(_relative(x, y) for x, y in zip(coarse[:3], best[:3], strict=True))
        a, v2, s2, mean, floor = best
        if error < max(1e-13, floor):
            break
    error = max(error, floor)
    if not error <= 1e-8:
        raise too_rough(name, error)
    return Constants(a, v2, s2, mean, error)


def _moments(f: Function, m: Mixture, rules: Rules, name: object) -> tuple[float, float, float, float, float]:
    """a, v2, s2, the mean, and an estimate of the relative error that no refinement removes."""
    u, w = rules.u
    values = f(math.sqrt(m.gamma) * u)
    c = project(values, u, w, HERMITE_TERMS if m.rho <= 0.5 else 1)
    centred = values - c[0]
    total, rest = float(w @ centred**2), float(w @ (centred - c[1] * u) ** 2)
    # Round-off of a sum is relative to the largest thing in it: the mean, before it is subtracted.
    noise = 2 * EPS * math.sqrt(total + c[0] ** 2)
    if abs(c[1]) <= max(1e-8 * math.sqrt(total), 10 * noise):
        raise ValueError(
            f"activation = {name!r} is not allowed: it has no linear part (E[u sigma(u)] = 0 to "
            "round-off), and the model would learn nothing at leading order"
        )
    a = float(c[1]) / math.sqrt(m.gamma)
    if rest <= (50 * noise) ** 2:  # linear to round-off
        return a, 0.0, 0.0, float(c[0]), 2 * EPS * math.sqrt(1 + c[0] ** 2 / total)
    if m.rho <= 0.5:
        v2 = float(np.sum(c[2:] ** 2 * m.rho ** np.arange(2, c.size)))
        s2 = rest - v2
    else:
        v2, s2 = _conditional_moments(lambda x: f(x) - c[0] - a * x, m, rules)
    # What the truncation of the line leaves out, of an integrand that grows to its ends.
    ends = (centred - c[1] * u)[[0, -1]]
    lost = quadrature.REACH * float(quadrature.density(u[-1:])[0] * np.max(ends**2)) / rest
    round_off = noise / min(abs(float(c[1])), math.sqrt(min(rest, s2)))
    return a, v2, s2, float(c[0]), round_off + lost


def _conditional_moments(residual: Function, m: Mixture, rules: Rules) -> tuple[float, float]:
    """E_eta of the squared mean over xi, and E_eta of the variance over xi, of the residual."""
    v2 = s2 = 0.0
    eta, weight = rules.eta()
    for part in np.array_split(np.arange(eta.size), math.ceil(eta.size / 1000)):
        xi, wxi = rules.xi(eta[part])
        g = residual(math.sqrt(m.signal) * eta[part, None] + math.sqrt(m.delta) * xi)
        mean = np.sum(wxi * g, axis=1)
        v2 += float(weight[part] @ mean**2)
        s2 += float(weight[part] @ np.sum(wxi * (g - mean[:, None]) ** 2, axis=1))
    return v2, s2


def project(values: Array, u: Array, w: Array, order: int) -> Array:
    """c_0..c_order of values at nodes u with Gaussian weights w."""
    c = np.empty(order + 1)
    before, h = np.zeros_like(u), np.ones_like(u)
    for k in range(order + 1):
        c[k] = w @ (values * h)
        before, h = h, (u * h - math.sqrt(k) * before) / math.sqrt(k + 1)
    return c


def find_breaks(f: Function, reach: float, name: object) -> list[float]:
    found = quadrature.breakpoints(f, reach)
    if found is None:
        raise ValueError(
            f"activation = {name!r} is not allowed: it jumps or oscillates too often for the quadrature "
            "(or computes in less than double precision)"
        )
    return found


def _relative(x: float, y: float) -> float:
    return abs(x - y) / max(abs(x), abs(y)) if x != y else 0.0


def too_rough(name: object, error: float) -> ValueError:
    return ValueError(
        f"activation = {name!r} is not allowed: it is too rough for the quadrature, with an "
        f"estimated relative error of {error:.1e}; at most 1e-8"
    )
