"""The renormalised noise of elliptical data: one more scalar, delta, the load on one sample of scale one.

With psi(delta) = E[tau delta/(1 + tau delta)] and gamma = d/n the equations

    delta = gamma <lambda/(mbar lambda + z)>,   mbar = E[tau/(1 + tau delta)] = psi/delta,   kappa = z/mbar

are one scalar equation H(delta) = gamma <lambda/(psi(delta) lambda + delta z)> = 1.  H decreases, and its
logarithmic slope lies in [-1, 0): Newton's method in log delta, kept in a bracket, finds the root for z > 0.

Source: separable covariances, Zhang (2006) and Paul and Silverstein (2009); here chapter 18 of the book.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from rfcore._scale import ScaleLaw
from rfcore.covariance import Covariance
from rfcore.theory._kappa import smallest_kappa

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


class ScaledKappa:
    """delta and kappa(z) for one covariance, one scale law and one gamma."""

    def __init__(self, covariance: Covariance, scale: ScaleLaw, gamma: float) -> None:
        self.covariance, self.gamma = covariance, gamma
        self.lam, self.share = covariance.eigenvalues[:, None], gamma * covariance.weights
        self.tau, self.weights = scale.values[:, None], scale.weights

    def real(self, z: Floats) -> Floats:
        """kappa(z) at z >= 0 of any shape; kappa(0) does not depend on the scale law."""
        flat = np.asarray(z, dtype=float).ravel()
        kappa = np.full(flat.size, smallest_kappa(self.covariance, self.gamma))
        live = flat > 0
        if live.any():
            kappa[live] = self.kappa(self.delta(flat[live]), flat[live])
        return kappa.reshape(np.shape(z))

    def delta(self, z: Floats) -> Floats:
        """The root at z > 0 (N,).  It lies between gamma <lambda/(lambda + z)> and gamma <lambda>/z."""
        low = np.log(self.share @ (self.lam / (self.lam + z)))
        high = np.log(float(self.share @ self.lam[:, 0]) / z)
        x = low.copy()
        for _ in range(200):
            value, slope, _ = self._load(np.exp(x), z)
            excess = np.log(value)
            low, high = np.where(excess > 0, x, low), np.where(excess > 0, high, x)
            new = x - excess / slope
            new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
            moved, x = np.max(np.abs(new - x)), new
            if moved < 1e-14 * (1 + np.max(np.abs(x))):
                return np.asarray(np.exp(x))
        raise ArithmeticError(f"delta: Newton's method stopped at a step of {moved:.1e}")

    def complex(self, z: Complex) -> Complex:
        """kappa(z) off the negative axis, of any shape, continued from |z| along the arc."""
        flat = np.asarray(z, dtype=np.complex128).ravel()
        radius, angle = np.abs(flat), np.angle(flat)
        x = np.log(self.delta(radius)).astype(np.complex128)
        path = np.geomspace(math.pi, np.maximum(math.pi - np.abs(angle), 1e-300), 24)
        position, sign = radius.astype(np.complex128), np.where(angle < 0, -1.0, 1.0)
        for distance in path[1:]:
            goal = radius * np.exp(1j * sign * (math.pi - distance))
            _, slope, drift = self._load(np.exp(x), position)
            x = x - drift / slope * (goal - position)
            for _ in range(3):
                value, slope, _ = self._load(np.exp(x), goal)
                x = x - np.log(value) / slope
            position = goal
        for _ in range(4):
            value, slope, _ = self._load(np.exp(x), flat)
            x = x - np.log(value) / slope
        return np.asarray(self.kappa(np.exp(x), flat).reshape(np.shape(z)))

    def kappa(self, delta: Any, z: Any) -> Any:
        """kappa = z delta/psi(delta)."""
        return z * delta / self.psi(delta)[0]

    def slope(self, delta: Any, z: Any) -> Any:
        """dkappa/dz."""
        _, slope, drift = self._load(delta, z)
        psi, steep = self.psi(delta)
        return delta / psi * (1 - z * drift / slope * (1 - steep / psi))

    def psi(self, delta: Any) -> tuple[Any, Any]:
        """psi and d psi/d log delta."""
        part = self.tau * delta / (1 + self.tau * delta)
        return self.weights @ part, self.weights @ (part * (1 - part))

    def chi(self, delta: Any) -> Any:
        """chi = E[(tau/(1 + tau delta))^2]."""
        return self.weights @ (self.tau / (1 + self.tau * delta)) ** 2

    def _load(self, delta: Any, z: Any) -> tuple[Any, Any, Any]:
        """H, d log H/d log delta and d log H/dz."""
        psi, steep = self.psi(delta)
        below = psi * self.lam + delta * z
        value = self.share @ (self.lam / below)
        square = self.lam / below**2
        slope = -(self.share @ (square * (steep * self.lam + delta * z))) / value
        return value, slope, -delta * (self.share @ square) / value
