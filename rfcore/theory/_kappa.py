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

from rfcore.model import Covariance
from rfcore.theory._rank import positive

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
TABLE = 160  # nodes of the table that is inverted for a first guess


def real_kappa(covariance: Covariance, gamma: float, z: Floats) -> Floats:
    """kappa(z) for z >= 0 of any shape, to round-off.

    z(kappa) is explicit and convex, so a table of it is inverted for a guess that is then polished by
    Newton's method in log kappa; z = 0 is the largest root of 1 = gamma <lambda/(lambda + kappa)>.
    """
    flat = np.asarray(z, dtype=float).ravel()
    lam, w = covariance.eigenvalues, covariance.weights
    lowest = smallest_kappa(covariance, gamma)
    kappa = np.full(flat.size, lowest)
    positive = np.flatnonzero(flat > 0)
    if positive.size:
        target = flat[positive]
        # kappa - kappa_0 lies between z and z + gamma <lambda>: tabulate the difference on a log grid.
        upper = target.max() + gamma * covariance.variance
        grid = np.geomspace(min(target.min(), upper) / 4, 2 * upper, TABLE)
        values, slopes = _noise(lam, w, gamma, lowest + grid)
        values = np.maximum.accumulate(np.maximum(values, 1e-300))
        guess = np.exp(np.interp(np.log(target), np.log(values), np.log(grid)))
        kappa[positive] = lowest + _polish(lam, w, gamma, lowest, guess, target)
    return kappa.reshape(np.shape(z))


def smallest_kappa(covariance: Covariance, gamma: float) -> float:
    """kappa(0): 0 where n >= rank, else the root of gamma <lambda/(lambda + kappa)> = 1."""
    live = positive(covariance)
    lam, w = covariance.eigenvalues[live], covariance.weights[live]
    if gamma * float(w.sum()) <= 1 + 1e-14:  # n = rank, to round-off
        return 0.0
    # g(log kappa) = log(gamma df1/d) decreases; Newton from the left end in log variables, safeguarded.
    low, high = -745.0, math.log(gamma * covariance.variance)
    x = high
    for _ in range(200):
        ratio = lam / (lam + math.exp(x))
        value = gamma * float(w @ ratio)
        if value > 1:
            low = x
        else:
            high = x
        slope = -gamma * float(w @ (ratio * (1 - ratio)))
        new = x - (value - 1) / slope if slope else low
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


def _polish(lam: Floats, w: Floats, gamma: float, lowest: float, guess: Floats, target: Floats) -> Floats:
    """Newton for kappa = lowest + e^x with z written without cancellation where gamma > 1."""
    x = np.log(guess)
    for _ in range(60):
        e = np.exp(x)
        ratio = lam[:, None] / (lam[:, None] + lowest + e)
        if lowest > 0:
            # 1 - gamma <lam/(lam+k)> = gamma e <lam/((lam+k0)(lam+k))> because k0 solves it at e = 0.
            left = gamma * e * (w @ (ratio / (lam[:, None] + lowest)))
        else:
            left = 1 - gamma * (w @ ratio)
        value = (lowest + e) * left
        slope = (1 - gamma * (w @ (ratio * ratio))) * e
        step = np.clip((value - target) / np.maximum(slope, 1e-300), -2, 2)
        x = x - step
        if np.max(np.abs(step)) < 2e-15:
            break
    return np.asarray(np.exp(x))
