"""The renormalised noise kappa(z): kappa (1 - df1(kappa)/n) = z, on the half-line and in the plane.

Per dimension, with gamma = d/n and averages over the covariance law,

    z(kappa) = kappa (1 - gamma <lambda/(lambda + kappa)>),
    dz/dkappa = 1 - gamma <lambda^2/(lambda + kappa)^2>

Source: Wang, Zavatone-Veth and Pehlevan (2026), and the ridge literature before it.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore.covariance import Covariance
from rfcore.theory._rank import positive

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
PER_DECADE = 28  # nodes of the table that is inverted for a first guess
SQUARE = 1e-14  # |1 - gamma rank/d| below this is n = rank
BLOCK = 1 << 15  # entries of a block of lambda + kappa: it stays in the cache


def real_kappa(covariance: Covariance, gamma: float, z: Floats) -> Floats:
    """kappa(z) for z >= 0 of any shape, to round-off.

    kappa(0) is the largest root of 1 = gamma <lambda/(lambda + kappa)>, or 0.  z is an explicit function of
    e = kappa - kappa(0) without cancellation, see :class:`_Curve`.  A table of log z and its slope on a grid
    of log e is inverted by cubic Hermite interpolation; Newton's method in the same variables polishes, as a
    rule in one step.
    """
    flat = np.asarray(z, dtype=float).ravel()
    curve = _Curve(covariance, gamma)
    kappa = np.full(flat.size, curve.lowest)
    above = np.flatnonzero(flat > 0)
    if above.size:
        target = flat[above]
        kappa[above] += curve.polish(curve.guess(target), target)
    return kappa.reshape(np.shape(z))


class _Curve:
    """z(e) = (kappa_0 + e) left, left = (1 - gamma rank/d)_+ + gamma e <omega/(lambda + kappa)>, all >= 0.

    omega = lambda/(lambda + kappa_0) on the range of Sigma, kappa = kappa_0 + e; because kappa_0 solves the
    equation at e = 0 nothing cancels.  dz/de = left + kappa gamma <lambda/(lambda + kappa)^2>.
    """

    def __init__(self, covariance: Covariance, gamma: float) -> None:
        live = positive(covariance)
        self.lam, w = covariance.eigenvalues[live, None], gamma * covariance.weights[live]
        self.lowest = smallest_kappa(covariance, gamma)
        self.missing = 1 - float(w.sum()) if self.lowest == 0 else 0.0
        if self.missing < SQUARE:
            self.missing = 0.0
        self.reach = float(w @ self.lam[:, 0])  # kappa - z is at most gamma <lambda>
        self.first, self.second = w * self.lam[:, 0] / (self.lam[:, 0] + self.lowest), w * self.lam[:, 0]

    def __call__(self, e: Floats) -> tuple[Floats, Floats]:
        """log z and d log z/d log e."""
        kappa = self.lowest + e
        sums = np.empty((2, e.size))
        width = max(1, BLOCK // self.lam.size)
        for k in range(0, e.size, width):
            inverse = 1 / (self.lam + kappa[k : k + width])
            sums[0, k : k + width] = self.first @ inverse
            sums[1, k : k + width] = self.second @ (inverse * inverse)
        left = self.missing + e * sums[0]
        return np.log(kappa * left), e * (left + kappa * sums[1]) / (kappa * left)

    def guess(self, target: Floats) -> Floats:
        """log e for each z: e lies between z and z + gamma <lambda>, because dkappa/dz >= 1."""
        low, high = math.log(target.min()), math.log(target.max() + self.reach)
        nodes = math.ceil(PER_DECADE * (high - low) / math.log(10))
        x = np.linspace(low, high + 1e-9, max(2, min(nodes, 16 + target.size // 2)))
        y, slope = self(np.exp(x))
        at = np.log(target)
        k = np.clip(np.searchsorted(y, at), 1, x.size - 1) - 1
        width = y[k + 1] - y[k]
        t = np.clip((at - y[k]) / width, 0, 1)
        ends = x[k] + t * t * (3 - 2 * t) * (x[k + 1] - x[k])
        return np.asarray(ends + t * (1 - t) * width * ((1 - t) / slope[k] - t / slope[k + 1]))

    def polish(self, x: Floats, target: Floats) -> Floats:
        """e from log e.  Newton is quadratic: a step of 1e-8 was the last one."""
        goal = np.log(target)
        for _ in range(60):
            value, slope = self(np.exp(x))
            step = np.clip((value - goal) / slope, -2, 2)
            x = x - step
            if np.max(np.abs(step)) < 1e-8:
                return np.asarray(np.exp(x))
        raise ArithmeticError(
            f"kappa: Newton's method stopped at a step of {float(np.max(np.abs(step))):.1e}"
        )


def smallest_kappa(covariance: Covariance, gamma: float) -> float:
    """kappa(0): 0 where n >= rank, else the root of gamma <lambda/(lambda + kappa)> = 1."""
    live = positive(covariance)
    lam, w = covariance.eigenvalues[live], covariance.weights[live]
    load = gamma * float(w.sum())
    if load <= 1 + SQUARE:
        return 0.0
    # g(log kappa) = log(gamma df1/d) decreases; Newton from the left end in log variables, safeguarded.
    low, high = -745.0, math.log(gamma * covariance.variance)
    x = high
    for _ in range(200):
        kappa = math.exp(x)
        ratio = lam / (lam + kappa)
        # Two ways to write the same, each without cancellation where it is used.
        excess = (
            gamma * float(w @ ratio) - 1
            if load > 2
            else load - 1 - gamma * float(w @ (kappa / (lam + kappa)))
        )
        if excess > 0:
            low = x
        else:
            high = x
        slope = -gamma * float(w @ (ratio * (1 - ratio)))
        new = x - excess / slope if slope else low
        if not low < new < high:
            new = (low + high) / 2
        if abs(new - x) < 1e-15 * max(1.0, abs(x)):
            break
        x = new
    return math.exp(x)


def complex_kappa(covariance: Covariance, gamma: float, z: Complex) -> Complex:
    """kappa(z) off the negative axis, of any shape: continued from |z| on the positive axis along the arc.

    Each step follows the tangent dkappa/dz and is corrected by Newton's method; the arc is cut finer
    near the negative axis, where S has its eigenvalues.
    """
    flat = np.asarray(z, dtype=np.complex128).ravel()
    lam, w = covariance.eigenvalues, covariance.weights
    radius, angle = np.abs(flat), np.angle(flat)
    kappa = real_kappa(covariance, gamma, radius).astype(np.complex128)
    left = math.pi - np.abs(angle)  # what is left of the arc to the negative axis
    path = np.geomspace(math.pi, np.maximum(left, 1e-300), 24)  # (steps, points)
    position = radius.astype(np.complex128)
    sign = np.where(angle < 0, -1.0, 1.0)
    for distance in path[1:]:
        goal = radius * np.exp(1j * sign * (math.pi - distance))
        _, slope = _noise(lam, w, gamma, kappa)
        kappa = kappa + (goal - position) / slope
        for _ in range(3):
            value, slope = _noise(lam, w, gamma, kappa)
            kappa = kappa - (value - goal) / slope
        position = goal
    for _ in range(4):
        value, slope = _noise(lam, w, gamma, kappa)
        kappa = kappa - (value - flat) / slope
    return kappa.reshape(np.shape(z))


def _noise(lam: Floats, w: Floats, gamma: float, kappa: Any) -> tuple[Any, Any]:
    """z(kappa) and dz/dkappa."""
    ratio = lam[:, None] / (lam[:, None] + kappa)
    value = kappa * (1 - gamma * (w @ ratio))
    return value, 1 - gamma * (w @ (ratio * ratio))
