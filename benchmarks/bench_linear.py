"""Linear diffusion models: the renormalised noise, the moments of the sampling map, the oracle filter."""

import math

import numpy as np
from scipy.optimize import brentq

import rfcore as rf
from benchmarks import best_of
from rfcore.theory import renormalized_noise, sampling_map_moments, spectral_rule
from rfcore.theory._kappa import complex_kappa

GAMMA = 0.5


def by_brentq(law: rf.Covariance, gamma: float, z: np.ndarray) -> np.ndarray:
    """kappa(z), one bracketed root per noise level: kappa lies between z and z + gamma <lambda>."""
    lam, w = law.eigenvalues, law.weights

    def excess(kappa: float, level: float) -> float:
        return kappa * (1 - gamma * float(w @ (lam / (lam + kappa)))) - level

    high = gamma * law.variance
    return np.array([brentq(excess, x, x + high, args=(x,), xtol=1e-14, rtol=1e-13) for x in z])


def by_bisection(law: rf.Covariance, gamma: float, z: np.ndarray) -> np.ndarray:
    """kappa(z), all noise levels at once, 52 halvings of the bracket."""
    lam, w = law.eigenvalues[:, None], law.weights
    low, high = z.copy(), z + gamma * law.variance
    for _ in range(52):
        middle = (low + high) / 2
        above = middle * (1 - gamma * (w @ (lam / (lam + middle)))) > z
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def by_steps_to_the_axis(law: rf.Covariance, gamma: float, x: np.ndarray) -> np.ndarray:
    """xi(x) = |kappa(-x - i0)|^2/x on a grid, by Newton's method at ever smaller imaginary parts."""
    lam, w = law.eigenvalues[:, None], law.weights
    y = law.eigenvalues.max()
    kappa = complex_kappa(law, gamma, -x + 1j * y)
    while y > 1e-9 * law.eigenvalues.max():
        y *= 0.7
        for _ in range(3):
            ratio = lam / (lam + kappa)
            value = kappa * (1 - gamma * (w @ ratio)) - (-x + 1j * y)
            kappa = kappa - value / (1 - gamma * (w @ ratio**2))
    return np.abs(kappa) ** 2 / x


def noise_rows() -> list[dict[str, object]]:
    law, z = rf.Covariance.power_law(1.5, 1000), np.geomspace(1e-3, 1e3, 1000)
    name = "kappa, 1,000 noise levels x 1,000 atoms"
    exact = renormalized_noise(law, GAMMA, z)
    ours = best_of(lambda: renormalized_noise(law, GAMMA, z))
    rows = []
    for other, what in ((by_brentq, "brentq per noise level"), (by_bisection, "bisection, vectorised")):
        time = best_of(lambda other=other: other(law, GAMMA, z), repeat=2)  # type: ignore[misc]
        error = np.max(np.abs(other(law, GAMMA, z) / exact - 1))
        note = f"{what}: agrees to {error:.0e}"
        rows.append({"name": name, "ours_ms": ours, "other_ms": time, "ratio": time / ours, "note": note})
    return rows


def map_row(atoms: int) -> dict[str, object]:
    model = rf.LinearModel(GAMMA, 0.5, rf.Covariance.power_law(1.5, atoms))
    ours = best_of(lambda: sampling_map_moments(model, math.inf))
    error = sampling_map_moments(model, math.inf).error
    return {
        "name": f"mean and variance of S^1/2, {atoms} modes",
        "ours_ms": ours,
        "other_ms": math.nan,
        "ratio": math.nan,
        "note": f"error of the integral {error:.0e}",
    }


def oracle_row() -> dict[str, object]:
    law = rf.Covariance(np.linspace(0.3, 3, 100))
    rule = spectral_rule(law, GAMMA)
    ours = best_of(lambda: spectral_rule.__wrapped__(law, GAMMA))
    other = best_of(lambda: by_steps_to_the_axis(law, GAMMA, rule.x), repeat=2)
    error = np.max(np.abs(by_steps_to_the_axis(law, GAMMA, rule.x) / rule.energy - 1))
    note = f"Newton down to the axis: agrees to {error:.0e}"
    name = f"spectrum of S and xi(x), 100 atoms, {rule.x.size} nodes"
    return {"name": name, "ours_ms": ours, "other_ms": other, "ratio": other / ours, "note": note}


def run() -> list[dict[str, object]]:
    """Rows of the table."""
    return [*noise_rows(), map_row(100), map_row(256), oracle_row()]
