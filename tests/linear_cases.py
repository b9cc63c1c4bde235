"""The questions about linear denoisers that several tests ask, and sample covariances to answer them."""

import numpy as np
import numpy.typing as npt

import rfcore as rf

Array = npt.NDArray[np.float64]
LAM = np.linspace(0.3, 3, 60)
LAW = rf.Covariance(LAM)


def ask(n: float, z: float, ridge: float = 0.0, law: rf.Covariance = LAW) -> rf.LinearModel:
    return rf.LinearModel(gamma=60 / n, noise_variance=z, covariance=law, ridge=ridge)


def draws(n: int, count: int, seed: int, lam: Array = LAM) -> Array:
    """Sample covariances (count, d, d) of n Gaussian points, known mean."""
    x = np.random.default_rng(seed).standard_normal((count, n, lam.size)) * np.sqrt(lam)
    return np.asarray(np.swapaxes(x, 1, 2) @ x / n)
