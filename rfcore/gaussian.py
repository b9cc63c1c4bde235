r"""Gaussian equivalence: Hermite coefficients of an activation and the constants a, b, v2, s2.

With eta, xi independent standard Gaussians, Gamma^2 = e^-2t sigma_x^2 + Delta and
f(eta, xi) = sigma(e^-t sigma_x eta + sqrt(Delta) xi) - c_0, where the mean c_0 = E sigma(Gamma eta)
is subtracted,

    a  = E[eta f]/(e^-t sigma_x)                     b  = E[xi f] = sqrt(Delta) a
    v2 = E_eta[(E_xi f)^2] - a^2 e^-2t sigma_x^2     s2 = E[f^2] - a^2 e^-2t sigma_x^2 - v2 - b^2

In terms of the Hermite coefficients c_k of y -> sigma(Gamma y) and rho = e^-2t sigma_x^2/Gamma^2:
a = c_1/Gamma, v2 = sum_{k>=2} c_k^2 rho^k, s2 = sum_{k>=2} c_k^2 (1 - rho^k).  The differences
cancel almost completely at large t (v2) or small t (s2), so no constant is formed by them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from rfcore import _quadrature as quadrature
from rfcore.checks import choice, positive, whole

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]
Activation = str | Function

_ROUND_OFF = 4e-16


@dataclass(frozen=True)
class GaussianConstants:
    """The constants of the Gaussian equivalence; ``error`` bounds the relative error of each.

    Replace sigma(M x_t) by e^-t a M x + sqrt(v2) omega_nu + b M xi + sqrt(s2) omega_nu,j.
    ``mean`` is the c_0 that was subtracted from the activation.
    """

    a: float
    b: float
    v2: float
    s2: float
    mean: float = 0.0
    error: float = 0.0


@dataclass(frozen=True)
class _Geometry:
    """Gamma^2, rho and 1 - rho, each without cancellation."""

    variance: float
    t: float

    @property
    def delta(self) -> float:
        return -math.expm1(-2 * self.t)

    @property
    def signal(self) -> float:
        return math.exp(-2 * self.t) * self.variance

    @property
    def gamma2(self) -> float:
        return self.signal + self.delta

    @property
    def rho(self) -> float:
        return self.signal / self.gamma2

    @property
    def one_minus_rho(self) -> float:
        return self.delta / self.gamma2


def function(activation: Activation) -> Function:
    """The activation as a callable on float64 arrays (not centred)."""
    if callable(activation):
        return activation
    return _FUNCTIONS[choice("activation", activation, tuple(_FUNCTIONS))]


def constants(activation: Activation, variance: float, t: float) -> GaussianConstants:
    """The constants a, b, v2, s2 of ``activation`` at data variance sigma_x^2 and diffusion time t.

    Parameters
    ----------
    activation : "tanh", "relu", "erf", "sin", "identity", or a callable that maps an array to an
        array of the same shape.  Its mean c_0 is subtracted: a constant added to it changes nothing
    variance : sigma_x^2 = tr Sigma/d > 0
    t : diffusion time > 0

    Raises ValueError for bad numbers, and for a callable that returns another shape or non-finite
    values, has no linear part (a = 0, as every even function), or is too rough for the quadrature
    (estimated relative error above 1e-8).
    """
    variance, t = positive("variance", variance), positive("t", t)
    if not callable(activation):
        choice("activation", activation, tuple(_FUNCTIONS))
    if activation.__hash__ is None:  # an unhashable callable cannot be remembered
        return _constants.__wrapped__(activation, variance, t)
    return _constants(activation, variance, t)


@lru_cache(maxsize=1024)
def _constants(activation: Activation, variance: float, t: float) -> GaussianConstants:
    g = _Geometry(variance, t)
    if activation == "tanh":
        return _by_quadrature(np.tanh, g, _smooth_rules(g), "tanh")
    if isinstance(activation, str):
        a, v2, s2, mean = _CLOSED[activation](g)
        return GaussianConstants(a, math.sqrt(g.delta) * a, v2, s2, mean, 1e-13)
    return _by_quadrature(_checked(activation), g, _panel_rules(g), activation)


# Closed forms: each returns a, v2, s2, mean.


def _identity(g: _Geometry) -> tuple[float, float, float, float]:
    return 1.0, 0.0, 0.0, 0.0


def _relu(g: _Geometry) -> tuple[float, float, float, float]:
    rho, sine2 = g.rho, g.one_minus_rho * (1 + g.rho)
    theta = 2 * math.asin(math.sqrt(g.one_minus_rho / 2))
    x, w = quadrature.legendre(0, theta)
    lens = float(w @ (x * np.sin(x)))  # sin theta - theta cos theta
    scale = g.gamma2 / (2 * math.pi)
    v2 = scale * (rho * math.asin(rho) - rho**2 / (1 + math.sqrt(sine2)))
    s2 = scale * (math.pi / 2 * g.one_minus_rho - lens)
    return 0.5, v2, s2, math.sqrt(scale)


def _erf(g: _Geometry) -> tuple[float, float, float, float]:
    # sum_k c_k^2 r^k = (2/pi) asin(q r), and its linear term is (2/pi) q r.
    width = 1 + 2 * g.gamma2
    q = 2 * g.gamma2 / width
    cos1 = math.sqrt((1 - q * g.rho) * (1 + q * g.rho))
    cos2 = math.sqrt((1 + q) / width)
    sine = q**2 * g.one_minus_rho * (1 + g.rho) / (q * cos1 + q * g.rho * cos2)
    start = math.asin(q * g.rho)
    step = math.atan2(sine, cos1 * cos2 + q**2 * g.rho)
    sums = []
    for left, right in ((0.0, start), (start, start + step)):
        x, w = quadrature.legendre(left, right)
        sums.append(2 / math.pi * float(w @ (2 * np.sin(x / 2) ** 2)))
    return 2 / math.sqrt(math.pi * width), sums[0], sums[1], 0.0


def _sin(g: _Geometry) -> tuple[float, float, float, float]:
    # sum_k c_k^2 r^k = exp(-Gamma^2) sinh(Gamma^2 r).
    def rate(y: Array) -> Array:
        return np.asarray(np.expm1(-y) ** 2 * np.exp(y - g.gamma2) / 2)

    def integral(left: float, length: float) -> float:
        x, w = quadrature.legendre(0, length)
        return float(w @ rate(left + x))

    x = g.signal
    if x < 1:
        v2 = integral(0.0, x)
    else:
        v2 = -math.exp(-g.delta) * math.expm1(-2 * x) / 2 - x * math.exp(-g.gamma2)
    return math.exp(-g.gamma2 / 2), v2, integral(x, g.delta), 0.0


_FUNCTIONS: dict[str, Function] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "erf": lambda x: np.asarray(erf(x)),
    "sin": np.sin,
    "identity": lambda x: np.asarray(x, dtype=np.float64),
}
_CLOSED = {"identity": _identity, "relu": _relu, "erf": _erf, "sin": _sin}


# Quadrature: tanh and callables.


@dataclass(frozen=True)
class _Rules:
    """Nodes and Gaussian weights for one argument u, and for the pair (eta, xi)."""

    u: Array
    wu: Array
    eta: Array
    weta: Array
    xi: Array  # (1 or N_eta, N_xi)
    wxi: Array


def _smooth_rules(g: _Geometry) -> Callable[[int], _Rules]:
    """Trapezoid rules for tanh, whose poles lie at i pi/2: step = strip half-width/6 and finer."""

    def rules(level: int) -> _Rules:
        def rule(scale: float) -> tuple[Array, Array]:
            return quadrature.trapezoid(min(0.5, math.pi / (2 * scale) / 4.5) / 2**level)

        xi, wxi = rule(math.sqrt(g.delta))
        return _Rules(*rule(math.sqrt(g.gamma2)), *rule(math.sqrt(g.signal)), xi[None], wxi[None])

    return rules


def _panel_rules(g: _Geometry) -> Callable[[int], _Rules]:
    """Gauss-Legendre panels split where the argument of the activation is 0 (a kink may sit there)."""

    def width(scale: float, level: int) -> float:
        return min(1.0, 1 / scale) / 2**level

    def rules(level: int) -> _Rules:
        edges = quadrature.graded_edges(width(math.sqrt(g.gamma2), level), [0.0], 1.0)
        u, wu = quadrature.panels(edges)
        ratio = math.sqrt(g.delta / g.signal) if g.signal > 0 else math.inf
        outer = quadrature.graded_edges(width(math.sqrt(g.signal), level), [0.0], max(min(1.0, ratio), 1e-6))
        eta, weta = quadrature.panels(outer)
        inner = quadrature.graded_edges(width(math.sqrt(g.delta), level), [], 1.0)
        kink = np.clip(-eta / ratio, -quadrature.REACH, quadrature.REACH)[:, None]
        split = np.sort(np.hstack([np.broadcast_to(inner, (eta.size, inner.size)), kink]), axis=1)
        return _Rules(u, wu, eta, weta, *quadrature.panels(split))

    return rules


def _by_quadrature(
    f: Function, g: _Geometry, rules: Callable[[int], _Rules], name: object
) -> GaussianConstants:
    best = None
    for level in range(3):
        fine = _moments(f, g, rules(level))
        if best is not None:
            error = max(_relative(x, y) for x, y in zip(best[:4], fine[:4], strict=True))
            if error < 1e-13:
                break
        best = fine
    a, v2, s2, _, mean, roundoff = fine
    error = max(error, roundoff)
    if not error <= 1e-8:
        raise ValueError(
            f"activation = {name!r} is not allowed: its constants have an estimated relative error of "
            f"{error:.1e}, more than 1e-8 (it has no linear part, or is too rough)"
        )
    return GaussianConstants(a, math.sqrt(g.delta) * a, v2, s2, mean, error)


def _moments(f: Function, g: _Geometry, r: _Rules) -> tuple[float, float, float, float, float, float]:
    """a, v2, s2, E f^2, mean and an estimate of relative round-off."""
    gamma = math.sqrt(g.gamma2)
    values = f(gamma * r.u)
    c0 = float(r.wu @ values)
    c1 = float(r.wu @ (values * r.u))
    total = float(r.wu @ (values - c0) ** 2)
    rest = float(r.wu @ (values - c0 - c1 * r.u) ** 2)
    if c1**2 < 1e-20 * total or total < 1e-300:
        return c1 / gamma, 0.0, 0.0, total, c0, math.inf
    if rest < 1e-28 * total:
        return c1 / gamma, 0.0, 0.0, total, c0, _ROUND_OFF
    v2, s2 = 0.0, 0.0
    chunk = max(1, 500_000 // r.xi.shape[1])
    for k in range(0, r.eta.size, chunk):
        eta, weta = r.eta[k : k + chunk, None], r.weta[k : k + chunk]
        rows = slice(k, k + chunk) if r.xi.shape[0] > 1 else slice(None)
        xi, wxi = r.xi[rows], r.wxi[rows]
        argument = math.sqrt(g.signal) * eta + math.sqrt(g.delta) * xi
        residual = f(argument) - c0 - (c1 / gamma) * argument
        mean = np.sum(wxi * residual, axis=1)
        v2 += float(weta @ mean**2)
        s2 += float(weta @ np.sum(wxi * (residual - mean[:, None]) ** 2, axis=1))
    if g.rho <= 0.5:
        c = _project(values, r.u, r.wu, 60)
        k = np.arange(2, 61)
        v2 = float(np.sum(c[2:] ** 2 * g.rho**k))
    size = math.sqrt(total)
    lowest = math.sqrt(min(x for x in (rest, s2) if x > 0))
    return c1 / gamma, v2, s2, total, c0, _ROUND_OFF * max(size / abs(c1), size / lowest)


def _project(values: Array, u: Array, w: Array, order: int) -> Array:
    """c_0..c_order of values at nodes u with Gaussian weights w."""
    c = np.empty(order + 1)
    before, h = np.zeros_like(u), np.ones_like(u)
    for k in range(order + 1):
        c[k] = w @ (values * h)
        before, h = h, (u * h - math.sqrt(k) * before) / math.sqrt(k + 1)
    return c


def _relative(x: float, y: float) -> float:
    return abs(x - y) / max(abs(x), abs(y)) if x != y else 0.0


def _checked(f: Function) -> Function:
    def safe(x: Array) -> Array:
        y = np.asarray(f(x))
        if y.shape != x.shape:
            raise ValueError(
                f"activation = {f!r} is not allowed: it maps shape {x.shape} to {y.shape}; the same shape is needed"
            )
        if y.dtype.kind not in "fiub" or not np.all(np.isfinite(y)):
            raise ValueError(f"activation = {f!r} is not allowed: it returns values that are not finite real numbers")
        return y.astype(np.float64)

    return safe


@dataclass(frozen=True)
class HermiteExpansion:
    """sigma(scale y) = sum_k c_k h_k(y), h_k orthonormal under the standard Gaussian.

    ``theta_1`` is the second moment E[sigma(scale y)^2], ``theta_2`` = c_1^2 the square of the
    coefficient of the linear regression on y; ``error`` estimates the error of each c_k,
    relative to sqrt(theta_1).
    """

    coefficients: Array
    theta_1: float
    error: float

    @property
    def theta_2(self) -> float:
        return float(self.coefficients[1] ** 2)


def hermite_coefficients(activation: Activation, scale: float, order: int) -> HermiteExpansion:
    """c_0..c_order of y -> sigma(scale y) in orthonormal Hermite polynomials (order >= 1)."""
    scale, order = positive("scale", scale), whole("order", order)
    f = _checked(function(activation))
    results = []
    for level in (1, 2):
        width = min(1.0, 1 / scale, 4 / math.sqrt(order)) / 2**level
        u, w = quadrature.panels(quadrature.graded_edges(width, [0.0], 1.0) * 1.3)
        values = f(scale * u)
        results.append((_project(values, u, w, order), float(w @ values**2)))
    (coarse, _), (c, theta_1) = results
    error = float(np.max(np.abs(coarse - c))) / math.sqrt(theta_1) if theta_1 > 0 else 0.0
    return HermiteExpansion(c, theta_1, max(error, _ROUND_OFF))
