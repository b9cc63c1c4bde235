"""The activations: functions, and closed forms of their Gaussian-equivalence constants."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from rfcore._quadrature import legendre

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]
EPS = 2.3e-16

FUNCTIONS: dict[str, Function] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "erf": lambda x: np.asarray(erf(x)),
    "sin": np.sin,
    "identity": lambda x: np.asarray(x, dtype=np.float64),
}


@dataclass(frozen=True)
class Mixture:
    """sigma's argument sqrt(signal) eta + sqrt(delta) xi: every ratio without cancellation.

    gamma = signal + delta (Gamma_t of the book) is its variance; rho = signal/gamma is the correlation of
    two arguments that share eta but not xi.
    """

    variance: float
    t: float

    @property
    def delta(self) -> float:
        return -math.expm1(-2 * self.t)

    @property
    def signal(self) -> float:
        return math.exp(-2 * self.t) * self.variance

    @property
    def gamma(self) -> float:
        return self.signal + self.delta

    @property
    def rho(self) -> float:
        return self.signal / self.gamma

    @property
    def one_minus_rho(self) -> float:
        return self.delta / self.gamma


@dataclass(frozen=True)
class Constants:
    """a, v2, s2, the mean c_0, and an estimate of the largest relative error of the first three."""

    a: float
    v2: float
    s2: float
    mean: float
    error: float


def checked(f: Function) -> Function:
    """f, refusing another shape or values that are not finite real numbers."""

    def safe(x: Array) -> Array:
        y = np.asarray(f(x))
        if y.shape != x.shape:
            raise _refused(f, f"it maps shape {x.shape} to {y.shape}, and must keep the shape")
        if y.dtype.kind not in "fiub":
            raise _refused(f, f"it returns {y.dtype}, and must return real numbers")
        if not np.all(np.isfinite(y)):
            where = float(x[~np.isfinite(y)][0])
            raise _refused(f, f"it is not finite at {where:.6g}, and must be finite on the whole line")
        return y.astype(np.float64)

    return safe


def _refused(f: object, reason: str) -> ValueError:
    return ValueError(f"activation = {f!r} is not allowed: {reason}")


def identity(m: Mixture) -> Constants:
    """No residual at all."""
    return Constants(1.0, 0.0, 0.0, 0.0, 4 * EPS)


def relu(m: Mixture) -> Constants:
    """E_r[relu relu] = Gamma/(2 pi) (sin th + (pi - th) cos th), cos th = r (the arc-cosine kernel)."""
    sine = math.sqrt(m.one_minus_rho * (1 + m.rho))
    theta = 2 * math.asin(math.sqrt(m.one_minus_rho / 2))
    y, w = legendre(0, theta)
    lens = float(w @ (y * np.sin(y)))  # sin th - th cos th
    scale = m.gamma / (2 * math.pi)
    v2 = scale * (m.rho * math.atan2(m.rho, sine) - m.rho**2 / (1 + sine))
    s2 = scale * (math.pi / 2 * m.one_minus_rho - lens)
    return Constants(0.5, v2, s2, math.sqrt(scale), 32 * EPS)


def erf_(m: Mixture) -> Constants:
    """E_r[erf erf] = (2/pi) asin(q r), q = 2 Gamma/(1 + 2 Gamma); its linear part is (2/pi) q r."""
    width = 1 + 2 * m.gamma
    q = 2 * m.gamma / width
    # Angles phi_1 = asin(q rho), phi_2 = asin q; their difference from its sine and cosine.
    sin1, cos1 = q * m.rho, math.sqrt((1 + 2 * m.delta) / width * (1 + q * m.rho))
    cos2 = math.sqrt((1 + q) / width)
    sine = q * m.one_minus_rho * q * (1 + m.rho) / (q * cos1 + sin1 * cos2)
    start, step = math.atan2(sin1, cos1), math.atan2(sine, cos1 * cos2 + q * sin1)
    v2, s2 = (_one_minus_cosine(left, length) for left, length in ((0.0, start), (start, step)))
    return Constants(2 / math.sqrt(math.pi * width), v2, s2, 0.0, 32 * EPS)


def _one_minus_cosine(left: float, length: float) -> float:
    y, w = legendre(0, length)
    return 2 / math.pi * float(w @ (2 * np.sin((left + y) / 2) ** 2))


def sin(m: Mixture) -> Constants:
    """E_r[sin sin] = exp(-Gamma) sinh(Gamma r); its linear part is exp(-Gamma) Gamma r."""
    x = m.signal  # = Gamma rho
    if x < 1:
        v2 = _cosh_minus_one(m, 0.0, x)
    else:
        v2 = -math.exp(-m.delta) * math.expm1(-2 * x) / 2 - x * math.exp(-m.gamma)
    # The exponential turns the round-off of Gamma into a relative error Gamma times as large.
    return Constants(
        math.exp(-m.gamma / 2), v2, _cosh_minus_one(m, x, m.delta), 0.0, (32 + 2 * m.gamma) * EPS
    )


def _cosh_minus_one(m: Mixture, left: float, length: float) -> float:
    """exp(-Gamma) times the integral of cosh y - 1, without overflow."""
    step, w = legendre(0, length)
    y = left + step
    return float(w @ (np.expm1(-y) ** 2 * np.exp(y - m.gamma) / 2))


CLOSED: dict[str, Callable[[Mixture], Constants]] = {
    "identity": identity,
    "relu": relu,
    "erf": erf_,
    "sin": sin,
}
